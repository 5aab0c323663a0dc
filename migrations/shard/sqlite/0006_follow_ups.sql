-- What entries still owe outside their shard: the directory's copy of a room or a member, and a notice to an inbox. Written
-- in the transaction of the entry, removed once all of it is done. An empty user: the entry changed the room itself. Plain
-- messages leave no row. The key's order is the order of each room, in which its notices must arrive.
CREATE TABLE follow_ups (
    room_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    user BLOB NOT NULL,
    PRIMARY KEY (room_key, seq, user)
) STRICT, WITHOUT ROWID;
