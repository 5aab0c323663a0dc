-- Names are compared and sorted by their bytes: what comes after a name must not depend on a server's locale.
CREATE TABLE users (
    user_id uuid NOT NULL,
    username text COLLATE "C" NOT NULL,
    display_name text,
    display_name_folded text COLLATE "C",
    email text,
    email_folded text COLLATE "C",
    avatar text,
    status_text text,
    status_emoji text,
    status_until bigint,
    read_receipts boolean NOT NULL,
    do_not_disturb_until bigint,
    is_admin boolean NOT NULL,
    disabled boolean NOT NULL,
    created_at bigint NOT NULL,
    password_hash text NOT NULL,
    -- Forgotten; the row only keeps the id, as old entries have an author.
    deleted boolean NOT NULL DEFAULT false,
    CONSTRAINT user_by_id PRIMARY KEY (user_id)
);

-- Sign-in, and search by username.
CREATE UNIQUE INDEX user_by_username ON users (username);
CREATE UNIQUE INDEX user_by_email ON users (email_folded) WHERE email_folded IS NOT NULL;
-- Search by the name shown.
CREATE INDEX users_by_display_name ON users (display_name_folded, username) WHERE display_name_folded IS NOT NULL;
