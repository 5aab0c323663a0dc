-- The data folder itself. One row.
CREATE TABLE data_folder (
    folder BLOB NOT NULL,
    -- 1 once every shard of the slot map was made: from then on a missing file is a loss, not a first start.
    shards_made INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The newest slot map. One row.
CREATE TABLE slot_map (
    epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE slot_owners (
    slot INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL
) STRICT;
