-- Commands a change of the directory has brought about and that are not done yet, written in the change's transaction. The
-- commands of one room are done in the order of their places; a place is never used again.
CREATE TABLE owed_commands (
    place bigint GENERATED ALWAYS AS IDENTITY,
    room uuid NOT NULL,
    command text NOT NULL,
    CONSTRAINT owed_by_place PRIMARY KEY (place)
);

CREATE INDEX owed_commands_of_room ON owed_commands (room, place);
