CREATE TABLE members (
    room_key INTEGER NOT NULL,
    user BLOB NOT NULL,
    role INTEGER NOT NULL,
    blocking INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    PRIMARY KEY (room_key, user)
) STRICT, WITHOUT ROWID;

-- Apart from members: a watermark outlives leaving, for a return.
CREATE TABLE watermarks (
    room_key INTEGER NOT NULL,
    user BLOB NOT NULL,
    read_generation INTEGER NOT NULL,
    read_seq INTEGER NOT NULL,
    delivered_generation INTEGER NOT NULL,
    delivered_seq INTEGER NOT NULL,
    PRIMARY KEY (room_key, user)
) STRICT, WITHOUT ROWID;
