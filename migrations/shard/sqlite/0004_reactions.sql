-- The key's order is the order in which a page counts them.
CREATE TABLE reactions (
    room_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    user BLOB NOT NULL,
    PRIMARY KEY (room_key, seq, emoji, user)
) STRICT, WITHOUT ROWID;
