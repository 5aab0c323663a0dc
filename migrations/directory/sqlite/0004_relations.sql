-- How a user stands to another: 1 requested, 2 incoming, 3 accepted, 4 blocked. All but 4 stand in both directions.
CREATE TABLE relations (
    user BLOB NOT NULL,
    other BLOB NOT NULL,
    status INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (user, other)
) STRICT, WITHOUT ROWID;
