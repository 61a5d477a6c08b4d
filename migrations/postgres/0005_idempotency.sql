-- Writes that an application wants done once: one row for each Idempotency-Key of a connection
-- (0 where the request belongs to none). hash is of the key, fingerprint of the request.
-- provider_key is what the provider gets, the same at every attempt. claimed_until is set while an
-- attempt is at work; attempt counts them, so that a late one cannot write over a newer. answer is
-- the JSON that http keeps; without one, the next attempt does the work again.
CREATE TABLE idempotency (
    project       TEXT NOT NULL,
    connection    INTEGER NOT NULL,
    hash          BYTEA NOT NULL,
    fingerprint   BYTEA NOT NULL,
    provider_key  TEXT NOT NULL,
    attempt       BIGINT NOT NULL,
    claimed_until BIGINT,
    answer        TEXT,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (project, connection, hash)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);
