-- What entries still owe outside their shard: the directory's copy of a room or a member, and a notice to an inbox. Written
-- in the transaction of the entry, removed once all of it is done. of_member is false, and user_id all zeros, when the entry
-- changed the room itself. The key's order is the order of each room, in which its notices must arrive.
CREATE TABLE follow_ups (
    slot integer NOT NULL,
    room uuid NOT NULL,
    seq bigint NOT NULL,
    of_member boolean NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT follow_ups_in_order PRIMARY KEY (room, seq, of_member, user_id, slot)
) PARTITION BY LIST (slot);
