-- Answers to requests with an idempotency key, for a short time.
CREATE TABLE replies (
    key text COLLATE "C" NOT NULL,
    answer bytea NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT reply_by_key PRIMARY KEY (key)
);

CREATE INDEX replies_by_age ON replies (at);
