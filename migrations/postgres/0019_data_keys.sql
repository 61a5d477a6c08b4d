-- The keys that values are sealed under, each wrapped by an encryption key of the operator, which
-- is never stored: wrapped_by is its fingerprint. id stands in front of what a key sealed. The
-- newest whose seals_from has come seals; all open.
CREATE TABLE data_key (
    number     BIGINT NOT NULL PRIMARY KEY,
    id         BYTEA NOT NULL UNIQUE,
    wrapped    BYTEA NOT NULL,
    wrapped_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seals_from BIGINT NOT NULL
);
