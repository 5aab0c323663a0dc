-- What the logs have decided about rooms. member_count follows room_members in the same transaction.
CREATE TABLE rooms (
    room uuid NOT NULL,
    kind smallint NOT NULL,
    name text,
    name_folded text COLLATE "C",
    visibility smallint NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    deleted boolean NOT NULL,
    member_count bigint NOT NULL,
    CONSTRAINT room_by_id PRIMARY KEY (room)
);

-- 2 is a group, 1 is public.
CREATE INDEX public_rooms_by_name ON rooms (name_folded, room) WHERE visibility = 1 AND kind = 2 AND NOT deleted;

-- What the logs have decided about members, and each member's own settings. A removed member keeps a row without a role:
-- its version stops an older join that comes late. The key's order is the order of a user's room list.
CREATE TABLE room_members (
    user_id uuid NOT NULL,
    room uuid NOT NULL,
    role smallint,
    joined_at bigint NOT NULL,
    version bigint NOT NULL,
    notify smallint NOT NULL DEFAULT 0,
    hidden boolean NOT NULL DEFAULT false,
    marked_unread boolean NOT NULL DEFAULT false,
    CONSTRAINT rooms_of_user PRIMARY KEY (user_id, room)
);

CREATE INDEX members_of_room ON room_members (room, user_id) WHERE role IS NOT NULL;
