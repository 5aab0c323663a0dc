-- Which shard of which cluster this database is: two shards are never mixed up. One row.
CREATE TABLE identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    cluster uuid NOT NULL,
    shard integer NOT NULL
);

-- The slots this shard has to do with. What counts for a writer is the fence on the leaves; this says why it is there.
--   active: here are the leaves, writers may write.    fenced: they may not, another shard is to take over or has.
--   importing: leaves are filled by a move.            aborted: that move was given up.    retired: the leaves are gone.
CREATE TABLE slot_owner (
    slot integer PRIMARY KEY CHECK (slot BETWEEN 0 AND 65534),
    state text NOT NULL CHECK (state IN ('active', 'fenced', 'importing', 'aborted', 'retired')),
    epoch bigint NOT NULL,
    move_id uuid
);
