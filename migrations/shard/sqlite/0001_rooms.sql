-- Which shard of which data folder this file is: files of two folders are never mixed up. One row.
CREATE TABLE identity (
    folder BLOB NOT NULL,
    shard INTEGER NOT NULL
) STRICT;

-- room_key is what every other table names a room by: a small integer instead of 16 bytes a row.
-- Head and ordinal are not here: the last entry has them, so that appending writes no row twice.
CREATE TABLE rooms (
    room_key INTEGER PRIMARY KEY,
    room_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT,
    visibility INTEGER NOT NULL,
    -- Of the whole log: a restore raises it, and every entry then stands in the new one.
    generation INTEGER NOT NULL,
    members_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    -- A deleted room's entries up to this seq are emptied already; NULL: nothing to empty.
    emptied_to INTEGER
) STRICT;

CREATE UNIQUE INDEX room_by_id ON rooms (room_id);
CREATE INDEX rooms_to_empty ON rooms (room_key) WHERE emptied_to IS NOT NULL;
