-- The lines of the logs. Contents are text, not jsonb: a client gets back the bytes that were sent.
CREATE TABLE entries (
    slot integer NOT NULL,
    room uuid NOT NULL,
    seq bigint NOT NULL,
    ordinal bigint NOT NULL,
    message_id uuid NOT NULL,
    sender_user uuid NOT NULL,
    sender_session uuid NOT NULL,
    at bigint NOT NULL,
    -- 0: see kind_name.
    kind smallint NOT NULL,
    kind_name text,
    content text NOT NULL,
    -- NULL: the kind's default.
    content_type text,
    reply_to bigint,
    thread bigint,
    target bigint,
    -- One byte, 1 for the whole room, then 16 bytes a user.
    mentions bytea,
    silent boolean NOT NULL,
    attachments text,
    expires_at bigint,
    -- What happened to it after it was written.
    changed_seq bigint,
    edited_at bigint,
    deleted boolean NOT NULL DEFAULT false,
    -- Content and attachments are gone for good.
    emptied boolean NOT NULL DEFAULT false,
    -- Of what was first sent, once the content is another.
    first_fingerprint bytea,
    -- The order of a room's log: history, heads, and the fence against a stale head.
    CONSTRAINT entry_by_seq PRIMARY KEY (room, seq, slot)
) PARTITION BY LIST (slot);

-- Repeats. The id comes first: ids are made in the order of time, so this index appends.
CREATE UNIQUE INDEX entry_by_message_id ON entries (message_id, room, slot);
CREATE INDEX entries_of_thread ON entries (room, thread, seq) WHERE thread IS NOT NULL;
-- 3 is kind edit.
CREATE INDEX edits_of_target ON entries (room, target) WHERE kind = 3;
-- Messages that raise no ordinal: finding the last message of a room searches by ordinal, and these escape it.
CREATE INDEX silent_entries ON entries (room, seq) WHERE silent;
-- Entries that still have a content to lose.
CREATE INDEX entries_by_expiry ON entries (expires_at) WHERE expires_at IS NOT NULL AND NOT emptied;
