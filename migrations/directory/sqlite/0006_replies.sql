-- Answers to requests with an idempotency key, for a short time.
CREATE TABLE replies (
    key TEXT PRIMARY KEY,
    answer BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX replies_by_age ON replies (at);
