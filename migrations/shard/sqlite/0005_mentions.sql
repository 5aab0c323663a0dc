-- Who is called by which entry; an empty user is the whole room. The author stands here as well, because nobody's own
-- entry counts among their unread mentions.
CREATE TABLE mentions (
    room_key INTEGER NOT NULL,
    user BLOB NOT NULL,
    seq INTEGER NOT NULL,
    author BLOB NOT NULL,
    PRIMARY KEY (room_key, user, seq)
) STRICT, WITHOUT ROWID;
