CREATE TABLE sessions (
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind smallint NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    secret_number bigint NOT NULL,
    created_at bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    CONSTRAINT session_by_id PRIMARY KEY (session_id)
);

CREATE INDEX sessions_of_user ON sessions (user_id, session_id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_by_revocation ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
