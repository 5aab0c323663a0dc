-- Commands a change of the directory has brought about and that are not done yet, written in the change's transaction. The
-- commands of one room are done in the order of their places; a place is never used again.
CREATE TABLE owed_commands (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    room BLOB NOT NULL,
    command TEXT NOT NULL
) STRICT;

CREATE INDEX owed_commands_of_room ON owed_commands (room, place);
