CREATE TABLE users (
    user_key INTEGER PRIMARY KEY,
    user_id BLOB NOT NULL,
    username TEXT NOT NULL,
    display_name TEXT,
    display_name_folded TEXT,
    email TEXT,
    email_folded TEXT,
    avatar TEXT,
    status_text TEXT,
    status_emoji TEXT,
    status_until INTEGER,
    read_receipts INTEGER NOT NULL,
    do_not_disturb_until INTEGER,
    is_admin INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    -- 1: forgotten; the row only keeps the id, as old entries have an author.
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX user_by_id ON users (user_id);
-- Sign-in, and search by username.
CREATE UNIQUE INDEX user_by_username ON users (username);
CREATE UNIQUE INDEX user_by_email ON users (email_folded) WHERE email_folded IS NOT NULL;
-- Search by the name shown.
CREATE INDEX users_by_display_name ON users (display_name_folded, username) WHERE display_name_folded IS NOT NULL;
