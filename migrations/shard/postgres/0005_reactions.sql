-- The key's order is the order in which a page counts them.
CREATE TABLE reactions (
    slot integer NOT NULL,
    room uuid NOT NULL,
    seq bigint NOT NULL,
    emoji text COLLATE "C" NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT reactions_of_entry PRIMARY KEY (room, seq, emoji, user_id, slot)
) PARTITION BY LIST (slot);
