-- Where a project wants its events delivered. after_seq is the newest event when the endpoint was
-- made: it gets later ones only. The secret before the last rotation signs too until previous_until.
CREATE TABLE webhook_endpoint (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    project         TEXT NOT NULL REFERENCES project (id),
    url             TEXT NOT NULL,
    description     TEXT NOT NULL,
    scopes          TEXT NOT NULL,
    active          INTEGER NOT NULL,
    disabled_reason TEXT,
    disabled_at     INTEGER,
    failing_since   INTEGER,
    sealed_secret   BLOB NOT NULL,
    sealed_previous BLOB,
    previous_until  INTEGER,
    after_seq       INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    deleted_at      INTEGER
) STRICT;
CREATE INDEX webhook_endpoint_by_project ON webhook_endpoint (project, created_at);

-- How far events have become deliveries: all up to seq. Those up to target may follow once every
-- transaction below target_turn has ended.
CREATE TABLE webhook_fan_out (
    number      INTEGER PRIMARY KEY,
    seq         INTEGER NOT NULL,
    target      INTEGER NOT NULL,
    target_turn INTEGER NOT NULL
) STRICT;
INSERT INTO webhook_fan_out (number, seq, target, target_turn)
SELECT 1, COALESCE(MAX(seq), 0), COALESCE(MAX(seq), 0), 0 FROM event;

-- One event on its way to one endpoint. A claim counts an attempt, raises the fence and moves
-- next_at to the end of its lease. tries counts since the schedule began. No foreign keys: a check
-- for each row would be paid for a million times.
CREATE TABLE webhook_delivery (
    endpoint    INTEGER NOT NULL,
    event       INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'pending',
    cause       TEXT NOT NULL DEFAULT 'schedule',
    attempt     INTEGER NOT NULL DEFAULT 0,
    tries       INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER NOT NULL,
    lease_owner TEXT,
    fence       INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (endpoint, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint, next_at) WHERE state = 'pending';

CREATE TABLE webhook_attempt (
    endpoint    INTEGER NOT NULL,
    event       INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    cause       TEXT NOT NULL,
    at          INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    duration_ms INTEGER NOT NULL,
    response    TEXT NOT NULL,
    PRIMARY KEY (endpoint, event, number)
) STRICT, WITHOUT ROWID;
