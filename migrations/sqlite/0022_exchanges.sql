-- Requests to providers, one row for each attempt, with every secret masked. id is a UUID whose
-- text sorts by time. Headers are lines of text; bodies are there only where the operator keeps them.
-- No foreign key: rows are written in batches off the path of the requests, and pruned by age.
CREATE TABLE exchange (
    id               TEXT NOT NULL PRIMARY KEY,
    connection       INTEGER NOT NULL,
    at               INTEGER NOT NULL,
    cause            TEXT NOT NULL,
    subject          TEXT,
    method           TEXT NOT NULL,
    url              TEXT NOT NULL,
    status           INTEGER,
    error            TEXT,
    message          TEXT,
    duration_ms      INTEGER NOT NULL,
    bytes_out        INTEGER NOT NULL,
    bytes_in         INTEGER,
    attempt          INTEGER NOT NULL,
    request_headers  TEXT NOT NULL,
    response_headers TEXT NOT NULL,
    request_body     TEXT,
    response_body    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX exchange_by_connection ON exchange (connection, id);
CREATE INDEX exchange_by_age ON exchange (at);

-- Lists of the dashboard: newest first, and by customer.
CREATE INDEX connection_by_number ON connection (project, number) WHERE deleted_at IS NULL;
CREATE INDEX connection_by_linked_user ON connection (linked_user, number) WHERE deleted_at IS NULL;
CREATE INDEX linked_user_by_age ON linked_user (project, created_at, id);
