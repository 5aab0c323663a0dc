-- Rows are appended and never change their size: SQLite then never moves a body to another page, where a copy would
-- outlive its deletion (secure_delete zeroes the cell, not what rebalancing a page leaves behind). What changes later
-- stands in `changes` and `replaced_contents`; a body that must go is overwritten in place by as many spaces.
CREATE TABLE entries (
    entry_key INTEGER PRIMARY KEY,
    room_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    sender_user BLOB NOT NULL,
    sender_session BLOB NOT NULL,
    at INTEGER NOT NULL,
    -- A number for the kinds in kind.rs, the name itself for all others.
    kind ANY NOT NULL,
    content TEXT NOT NULL,
    -- NULL: the kind's default.
    content_type TEXT,
    reply_to INTEGER,
    thread INTEGER,
    target INTEGER,
    -- One byte, 1 for the whole room, then 16 bytes a user.
    mentions BLOB,
    silent INTEGER,
    attachments TEXT,
    expires_at INTEGER
) STRICT;

-- The order of a room's log: history, heads, and the fence against a stale head.
CREATE UNIQUE INDEX entry_by_seq ON entries (room_key, seq);
-- Repeats. The id comes first: ids are made in the order of time, so this index appends as well.
CREATE UNIQUE INDEX entry_by_message_id ON entries (message_id, room_key);
CREATE INDEX entries_of_thread ON entries (room_key, thread, seq) WHERE thread IS NOT NULL;
-- 3 is kind edit.
CREATE INDEX edits_of_target ON entries (room_key, target) WHERE kind = 3;
-- Messages that raise no ordinal: finding the last message of a room searches by ordinal, and these escape it.
CREATE INDEX silent_entries ON entries (room_key, seq) WHERE silent = 1;

-- What happened to an entry after it was written.
CREATE TABLE changes (
    entry_key INTEGER PRIMARY KEY,
    changed_seq INTEGER,
    edited_at INTEGER,
    -- NULL: the entry's own content; 0: {}; else the key of a replaced content.
    content_from INTEGER,
    deleted INTEGER NOT NULL DEFAULT 0,
    -- Of what was first sent, once the content is another.
    first_fingerprint BLOB
) STRICT;

-- New contents of edited entries. Appended and overwritten in place like entries.
CREATE TABLE replaced_contents (
    content_key INTEGER PRIMARY KEY,
    content TEXT NOT NULL
) STRICT;

-- Entries that still have a content to lose.
CREATE TABLE expiries (
    expires_at INTEGER NOT NULL,
    entry_key INTEGER NOT NULL,
    PRIMARY KEY (expires_at, entry_key)
) STRICT, WITHOUT ROWID;
