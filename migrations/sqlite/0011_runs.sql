-- The sync log, and the records that cannot be unified.

-- One row for each execution of a sync; one that goes on after a failure, a crash or a turn stays
-- the same. Counts are added in the transaction of the page, or of the push, that they count.
-- is_full: everything is read; NULL until the first page. resumed: it goes on in the middle of a
-- pass that an earlier run gave up. errors: how many of each class, as JSON.
CREATE TABLE sync_run (
    id                TEXT NOT NULL PRIMARY KEY,
    project           TEXT NOT NULL,
    connection        INTEGER NOT NULL,
    object            INTEGER NOT NULL,
    direction         TEXT NOT NULL,
    trigger           TEXT NOT NULL,
    status            TEXT NOT NULL,
    is_full           INTEGER,
    resumed           INTEGER NOT NULL,
    connector_version TEXT,
    digest            TEXT,
    attempts          INTEGER NOT NULL,
    pages             INTEGER NOT NULL,
    records_read      INTEGER NOT NULL,
    created           INTEGER NOT NULL,
    updated           INTEGER NOT NULL,
    unchanged         INTEGER NOT NULL,
    deleted           INTEGER NOT NULL,
    failed            INTEGER NOT NULL,
    conflicts         INTEGER NOT NULL,
    pushed            INTEGER NOT NULL,
    requests          INTEGER NOT NULL,
    bytes             INTEGER NOT NULL,
    estimate          INTEGER,
    estimate_source   TEXT,
    error_class       TEXT,
    error             TEXT,
    errors            TEXT NOT NULL,
    next_attempt_at   INTEGER,
    started_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    finished_at       INTEGER
) STRICT;
CREATE INDEX sync_run_by_project ON sync_run (project, id);
CREATE INDEX sync_run_by_sync ON sync_run (connection, object, id);
CREATE INDEX sync_run_by_end ON sync_run (finished_at);

-- The last run that was begun.
ALTER TABLE sync_state ADD COLUMN run TEXT;

-- Records that the connector could not unify when they were read last, as the provider gave them.
CREATE TABLE sync_failure (
    id                 TEXT NOT NULL PRIMARY KEY,
    project            TEXT NOT NULL,
    connection         INTEGER NOT NULL,
    object             INTEGER NOT NULL,
    remote_id          TEXT NOT NULL,
    reason             TEXT NOT NULL,
    remote             TEXT NOT NULL,
    remote_version     TEXT,
    remote_modified_at INTEGER,
    run                TEXT,
    count              INTEGER NOT NULL,
    first_seen_at      INTEGER NOT NULL,
    last_seen_at       INTEGER NOT NULL,
    UNIQUE (connection, object, remote_id)
) STRICT;
CREATE INDEX sync_failure_by_project ON sync_failure (project, id);
CREATE INDEX sync_failure_by_run ON sync_failure (run);
CREATE INDEX sync_failure_by_time ON sync_failure (last_seen_at);
