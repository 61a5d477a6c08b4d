-- What the operator allowed each connector, which versions of it are known, and their bytes: one
-- answer for all hosts.

-- One row. generation grows with every change of the tables below; hosts look at it.
CREATE TABLE connector_change (
    number     BIGINT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
);
INSERT INTO connector_change (number, generation) VALUES (1, 0);

-- pinned is the digest of the version that serves whatever lies in the folder, pin_origin why:
-- installed, rolled_back or held.
CREATE TABLE connector (
    slug             TEXT NOT NULL PRIMARY KEY,
    pinned           BYTEA,
    pin_origin       TEXT,
    pinned_at        BIGINT,
    disabled_at      BIGINT,
    suspended_until  BIGINT,
    suspended_reason TEXT
);

-- permissions is a JSON list of lines; permission_hash is of those. publisher is the key that
-- signed, or unsigned.
CREATE TABLE connector_grant (
    slug            TEXT NOT NULL,
    publisher       TEXT NOT NULL,
    permission_hash BYTEA NOT NULL,
    permissions     TEXT NOT NULL,
    granted_by      TEXT NOT NULL,
    granted_at      BIGINT NOT NULL,
    revoked_at      BIGINT,
    PRIMARY KEY (slug, publisher, permission_hash)
);

-- standing is admitted, pending or rolled_back.
CREATE TABLE connector_version (
    slug        TEXT NOT NULL,
    digest      BYTEA NOT NULL,
    version     TEXT NOT NULL,
    publisher   TEXT NOT NULL,
    permissions TEXT NOT NULL,
    bytes       BIGINT NOT NULL,
    source      TEXT NOT NULL,
    standing    TEXT NOT NULL,
    reason      TEXT,
    seen_at     BIGINT NOT NULL,
    served_at   BIGINT,
    PRIMARY KEY (slug, digest)
);

-- The bytes of versions, in parts of at most a MiB.
CREATE TABLE connector_part (
    digest BYTEA NOT NULL,
    part   BIGINT NOT NULL,
    bytes  BYTEA NOT NULL,
    PRIMARY KEY (digest, part)
);
