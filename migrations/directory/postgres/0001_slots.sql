-- The cluster itself. One row.
CREATE TABLE cluster (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id uuid NOT NULL
);

-- The newest slot map. One row.
CREATE TABLE slot_map (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch bigint NOT NULL
);

CREATE TABLE slot_owners (
    slot integer PRIMARY KEY,
    shard integer NOT NULL
);
