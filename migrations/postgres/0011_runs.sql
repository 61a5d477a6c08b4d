-- The sync log, and the records that cannot be unified.

-- One row for each execution of a sync; one that goes on after a failure, a crash or a turn stays
-- the same. Counts are added in the transaction of the page, or of the push, that they count.
-- is_full: everything is read; NULL until the first page. resumed: it goes on in the middle of a
-- pass that an earlier run gave up. errors: how many of each class, as JSON.
CREATE TABLE sync_run (
    id                TEXT NOT NULL PRIMARY KEY,
    project           TEXT NOT NULL,
    connection        BIGINT NOT NULL,
    object            BIGINT NOT NULL,
    direction         TEXT NOT NULL,
    trigger           TEXT NOT NULL,
    status            TEXT NOT NULL,
    is_full           BOOLEAN,
    resumed           BOOLEAN NOT NULL,
    connector_version TEXT,
    digest            TEXT,
    attempts          BIGINT NOT NULL,
    pages             BIGINT NOT NULL,
    records_read      BIGINT NOT NULL,
    created           BIGINT NOT NULL,
    updated           BIGINT NOT NULL,
    unchanged         BIGINT NOT NULL,
    deleted           BIGINT NOT NULL,
    failed            BIGINT NOT NULL,
    conflicts         BIGINT NOT NULL,
    pushed            BIGINT NOT NULL,
    requests          BIGINT NOT NULL,
    bytes             BIGINT NOT NULL,
    estimate          BIGINT,
    estimate_source   TEXT,
    error_class       TEXT,
    error             TEXT,
    errors            TEXT NOT NULL,
    next_attempt_at   BIGINT,
    started_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    finished_at       BIGINT
);
CREATE INDEX sync_run_by_project ON sync_run (project, id);
CREATE INDEX sync_run_by_sync ON sync_run (connection, object, id);
CREATE INDEX sync_run_by_end ON sync_run (finished_at);

-- The last run that was begun.
ALTER TABLE sync_state ADD COLUMN run TEXT;

-- Records that the connector could not unify when they were read last, as the provider gave them.
CREATE TABLE sync_failure (
    id                 TEXT NOT NULL PRIMARY KEY,
    project            TEXT NOT NULL,
    connection         BIGINT NOT NULL,
    object             BIGINT NOT NULL,
    remote_id          TEXT NOT NULL,
    reason             TEXT NOT NULL,
    remote             TEXT NOT NULL,
    remote_version     TEXT,
    remote_modified_at BIGINT,
    run                TEXT,
    count              BIGINT NOT NULL,
    first_seen_at      BIGINT NOT NULL,
    last_seen_at       BIGINT NOT NULL,
    UNIQUE (connection, object, remote_id)
);
CREATE INDEX sync_failure_by_project ON sync_failure (project, id);
CREATE INDEX sync_failure_by_run ON sync_failure (run);
CREATE INDEX sync_failure_by_time ON sync_failure (last_seen_at);
