-- Times are milliseconds since 1970-01-01T00:00:00Z. Ids of things people name are UUIDs as text;
-- connections and objects also have small numbers, which keep the record table narrow.

CREATE TABLE project (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    environment TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE api_key (
    id         TEXT NOT NULL PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES project (id),
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    hint       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE TABLE linked_user (
    id         TEXT NOT NULL PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES project (id),
    origin_id  TEXT NOT NULL,
    alias      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (project, origin_id)
) STRICT;

-- Numbers given to object kinds in this database. They are part of record ids: never changed.
CREATE TABLE object_kind (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
) STRICT;

-- written_at is the modification time of the last page of records. It only goes forward, and
-- updating it is what makes the writers of one connection wait for each other.
CREATE TABLE connection (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    project       TEXT NOT NULL REFERENCES project (id),
    linked_user   TEXT NOT NULL REFERENCES linked_user (id),
    connector     TEXT NOT NULL,
    vertical      TEXT NOT NULL,
    scheme        TEXT NOT NULL,
    environment   TEXT NOT NULL,
    account       TEXT,
    account_name  TEXT,
    settings      TEXT NOT NULL,
    token_hash    BLOB UNIQUE,
    sealed_token  BLOB NOT NULL,
    status        TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    written_at    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    deleted_at    INTEGER
) STRICT;
CREATE INDEX connection_by_project ON connection (project, created_at);
CREATE UNIQUE INDEX connection_by_account
    ON connection (linked_user, connector, vertical, COALESCE(account, ''))
    WHERE deleted_at IS NULL;

-- The lease (refresh_owner until refresh_until) makes one refresher out of many.
CREATE TABLE credential (
    connection    INTEGER PRIMARY KEY REFERENCES connection (number),
    sealed        BLOB NOT NULL,
    generation    INTEGER NOT NULL,
    expires_at    INTEGER,
    refresh_owner TEXT,
    refresh_until INTEGER
) STRICT;

CREATE TABLE oauth_state (
    hash       BLOB NOT NULL PRIMARY KEY,
    project    TEXT NOT NULL REFERENCES project (id),
    sealed     BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_state_by_expiry ON oauth_state (expires_at);

-- No foreign keys here: a page is written only after its connection was updated in the same
-- transaction, and a check for each row would be paid for a million times.
CREATE TABLE record (
    id                 BLOB NOT NULL PRIMARY KEY,
    connection         INTEGER NOT NULL,
    object             INTEGER NOT NULL,
    remote_id          TEXT NOT NULL,
    unified            TEXT NOT NULL,
    remote             TEXT NOT NULL,
    custom             TEXT NOT NULL,
    hash               BLOB NOT NULL,
    remote_version     TEXT,
    remote_modified_at INTEGER,
    created_at         INTEGER NOT NULL,
    modified_at        INTEGER NOT NULL,
    deleted_at         INTEGER
) STRICT;
CREATE INDEX record_by_change ON record (connection, object, modified_at, id);

CREATE TABLE event (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL,
    project    TEXT NOT NULL,
    connection INTEGER,
    type       TEXT NOT NULL,
    data       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX event_by_project ON event (project, seq);

-- fence counts the claims: whoever holds an older one has lost the lease. again is set when a
-- run is asked for while one is at work. position is the object's place in the manifest.
-- unified_by is the digest of the connector version that unified the stored documents.
CREATE TABLE sync_state (
    connection       INTEGER NOT NULL REFERENCES connection (number),
    object           INTEGER NOT NULL REFERENCES object_kind (number),
    position         INTEGER NOT NULL,
    cursor           TEXT,
    since            INTEGER,
    full_done        INTEGER NOT NULL,
    run_started_at   INTEGER,
    next_run_at      INTEGER NOT NULL,
    again            INTEGER NOT NULL,
    attempt          INTEGER NOT NULL,
    lease_owner      TEXT,
    lease_until      INTEGER,
    fence            INTEGER NOT NULL,
    records_read     INTEGER NOT NULL,
    pages            INTEGER NOT NULL,
    last_status      TEXT,
    last_error       TEXT,
    last_finished_at INTEGER,
    unified_by       TEXT,
    PRIMARY KEY (connection, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX sync_state_by_due ON sync_state (next_run_at);

-- One row, written to see that writing works.
CREATE TABLE health (
    number     INTEGER PRIMARY KEY,
    checked_at INTEGER NOT NULL
) STRICT;
