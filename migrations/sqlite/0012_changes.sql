-- What our applications changed and providers do not have yet, and what waits for a person.

-- One row for each record that differs from its provider's, and what became of it. pending is the
-- difference (model::Pending), pushed what the provider took (field to {from, to}), lost what gave
-- way or was refused (field to edit). base_version and base_at are the provider's token and time of
-- what both sides last agreed on. attempt counts claims since the last one that came
-- through. lease_until is in the database's time.
CREATE TABLE change (
    id           TEXT NOT NULL PRIMARY KEY,
    project      TEXT NOT NULL REFERENCES project (id),
    connection   INTEGER NOT NULL REFERENCES connection (number),
    object       INTEGER NOT NULL,
    record       BLOB NOT NULL,
    action       TEXT NOT NULL,
    pending      TEXT NOT NULL,
    base_version TEXT,
    base_at      INTEGER,
    pushed       TEXT NOT NULL,
    lost         TEXT NOT NULL,
    state        TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    next_at      INTEGER NOT NULL,
    lease_owner  TEXT,
    lease_until  INTEGER,
    fence        INTEGER NOT NULL,
    actor        TEXT,
    run          TEXT,
    undo_of      TEXT,
    error        TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    finished_at  INTEGER
) STRICT;
-- A record has one at a time: its edits are pushed in order, and never two pushes at once.
CREATE UNIQUE INDEX change_open ON change (record) WHERE state IN ('queued', 'pushing', 'conflict');
CREATE INDEX change_by_due ON change (next_at) WHERE state IN ('queued', 'pushing');
CREATE INDEX change_by_project ON change (project, id);
CREATE INDEX change_by_run ON change (run) WHERE run IS NOT NULL;

-- The review queue. fields: field to base, ours, theirs and who changed when.
CREATE TABLE conflict (
    id          TEXT NOT NULL PRIMARY KEY,
    change      TEXT NOT NULL REFERENCES change (id),
    project     TEXT NOT NULL REFERENCES project (id),
    connection  INTEGER NOT NULL REFERENCES connection (number),
    object      INTEGER NOT NULL,
    record      BLOB NOT NULL,
    fields      TEXT NOT NULL,
    state       TEXT NOT NULL,
    -- Field to what was decided, and by whom: the id of an API key, or none where both sides came
    -- to agree by themselves.
    decisions   TEXT,
    resolved_by TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    resolved_at INTEGER
) STRICT;
CREATE UNIQUE INDEX conflict_open ON conflict (change) WHERE state = 'open';
CREATE INDEX conflict_by_project ON conflict (project, id);

-- When a write of ours last reached the provider, in the times of the connection's written_at: what
-- was read of the record before is out of date.
ALTER TABLE record ADD COLUMN settled_at INTEGER;
ALTER TABLE connection ADD COLUMN settled_at INTEGER;
