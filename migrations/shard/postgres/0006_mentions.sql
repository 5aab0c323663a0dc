-- Who is called by which entry; of_member is false, and user_id all zeros, for a call to the whole room. The author stands
-- here as well, because nobody's own entry counts among their unread mentions.
CREATE TABLE mentions (
    slot integer NOT NULL,
    room uuid NOT NULL,
    of_member boolean NOT NULL,
    user_id uuid NOT NULL,
    seq bigint NOT NULL,
    author uuid NOT NULL,
    CONSTRAINT mentions_of_member PRIMARY KEY (room, of_member, user_id, seq, slot)
) PARTITION BY LIST (slot);
