-- What the operator allowed each connector, which versions of it are known, and their bytes: one
-- answer for all hosts.

-- One row. generation grows with every change of the tables below; hosts look at it.
CREATE TABLE connector_change (
    number     INTEGER NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO connector_change (number, generation) VALUES (1, 0);

-- pinned is the digest of the version that serves whatever lies in the folder, pin_origin why:
-- installed, rolled_back or held.
CREATE TABLE connector (
    slug             TEXT NOT NULL PRIMARY KEY,
    pinned           BLOB,
    pin_origin       TEXT,
    pinned_at        INTEGER,
    disabled_at      INTEGER,
    suspended_until  INTEGER,
    suspended_reason TEXT
) STRICT, WITHOUT ROWID;

-- permissions is a JSON list of lines; permission_hash is of those. publisher is the key that
-- signed, or unsigned.
CREATE TABLE connector_grant (
    slug            TEXT NOT NULL,
    publisher       TEXT NOT NULL,
    permission_hash BLOB NOT NULL,
    permissions     TEXT NOT NULL,
    granted_by      TEXT NOT NULL,
    granted_at      INTEGER NOT NULL,
    revoked_at      INTEGER,
    PRIMARY KEY (slug, publisher, permission_hash)
) STRICT, WITHOUT ROWID;

-- standing is admitted, pending or rolled_back.
CREATE TABLE connector_version (
    slug        TEXT NOT NULL,
    digest      BLOB NOT NULL,
    version     TEXT NOT NULL,
    publisher   TEXT NOT NULL,
    permissions TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    source      TEXT NOT NULL,
    standing    TEXT NOT NULL,
    reason      TEXT,
    seen_at     INTEGER NOT NULL,
    served_at   INTEGER,
    PRIMARY KEY (slug, digest)
) STRICT, WITHOUT ROWID;

-- The bytes of versions, in parts of at most a MiB.
CREATE TABLE connector_part (
    digest BLOB NOT NULL,
    part   INTEGER NOT NULL,
    bytes  BLOB NOT NULL,
    PRIMARY KEY (digest, part)
) STRICT;
