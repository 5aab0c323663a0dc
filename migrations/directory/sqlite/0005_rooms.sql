-- What the logs have decided about rooms. member_count follows room_members in the same transaction.
CREATE TABLE rooms (
    room_key INTEGER PRIMARY KEY,
    room_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT,
    name_folded TEXT,
    visibility INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    member_count INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX room_by_id ON rooms (room_id);
-- 2 is a group, 1 is public.
CREATE INDEX public_rooms_by_name ON rooms (name_folded, room_id) WHERE visibility = 1 AND kind = 2 AND deleted = 0;

-- What the logs have decided about members, and each member's own settings. A removed member keeps a row without a role:
-- its version stops an older join that comes late. The key's order is the order of a user's room list.
CREATE TABLE room_members (
    user BLOB NOT NULL,
    room BLOB NOT NULL,
    role INTEGER,
    joined_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    notify INTEGER NOT NULL DEFAULT 0,
    hidden INTEGER NOT NULL DEFAULT 0,
    marked_unread INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, room)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_of_room ON room_members (room, user) WHERE role IS NOT NULL;
