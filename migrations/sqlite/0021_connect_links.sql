-- What a project says of its connect pages; no row where it said nothing.
CREATE TABLE connect_settings (
    project         TEXT NOT NULL PRIMARY KEY REFERENCES project (id),
    allowed_origins TEXT NOT NULL,
    brand_name      TEXT,
    logo            TEXT,
    primary_color   TEXT
) STRICT;

-- Addresses that let a linked user connect an account. Only the hash of the token is kept. Once
-- used, connection is what was made with it.
CREATE TABLE connect_link (
    id          TEXT NOT NULL PRIMARY KEY,
    project     TEXT NOT NULL REFERENCES project (id),
    linked_user TEXT NOT NULL REFERENCES linked_user (id),
    hash        BLOB NOT NULL UNIQUE,
    connectors  TEXT NOT NULL,
    vertical    TEXT,
    return_url  TEXT,
    language    TEXT,
    connection  TEXT,
    email       TEXT,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER,
    revoked_at  INTEGER
) STRICT;
CREATE INDEX connect_link_by_project ON connect_link (project, id);

-- Logins that reach several accounts, while somebody chooses one. Sealed: credentials are in it.
CREATE TABLE pending_login (
    hash       BLOB NOT NULL PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES project (id),
    link       TEXT NOT NULL REFERENCES connect_link (id),
    sealed     BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_login_by_expiry ON pending_login (expires_at);
