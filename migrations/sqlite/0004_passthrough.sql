-- Requests that a provider answered with 429, to be sent again. Requests and results are sealed:
-- they hold whatever the application and its customers sent. A row without result is pending.
CREATE TABLE passthrough_retry (
    id          TEXT NOT NULL PRIMARY KEY,
    project     TEXT NOT NULL REFERENCES project (id),
    connection  INTEGER NOT NULL REFERENCES connection (number),
    request     BLOB NOT NULL,
    attempt     INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    lease_until INTEGER,
    fence       INTEGER NOT NULL,
    result      BLOB,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX passthrough_retry_due ON passthrough_retry (next_at) WHERE finished_at IS NULL;
CREATE INDEX passthrough_retry_finished ON passthrough_retry (finished_at)
    WHERE finished_at IS NOT NULL;
CREATE INDEX passthrough_retry_by_connection ON passthrough_retry (connection);
