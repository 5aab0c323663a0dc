-- One row a room, written when something of it changes, never for a message: head and ordinal stand in its last entry.
-- Every table of a slot is partitioned by the slot and has a primary key, which is its replica identity when a slot moves.
-- The slot stands last in every key: it is the same in all of a leaf.
CREATE TABLE rooms (
    slot integer NOT NULL,
    room uuid NOT NULL,
    kind smallint NOT NULL,
    name text,
    visibility smallint NOT NULL,
    -- Of the whole log: a restore raises it, and every entry then stands in the new one.
    generation bigint NOT NULL,
    members_version bigint NOT NULL,
    created_at bigint NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    -- A deleted room's entries up to this seq are emptied already; NULL: nothing to empty.
    emptied_to bigint,
    CONSTRAINT room_by_id PRIMARY KEY (room, slot)
) PARTITION BY LIST (slot);

CREATE INDEX rooms_to_empty ON rooms (room) WHERE emptied_to IS NOT NULL;
