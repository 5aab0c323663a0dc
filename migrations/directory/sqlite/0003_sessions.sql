CREATE TABLE sessions (
    session_id BLOB PRIMARY KEY,
    user BLOB NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    secret_hash BLOB NOT NULL,
    secret_number INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_user ON sessions (user, session_id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_by_revocation ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
