-- Requests over time, and indexes for asking what goes wrong.

-- How many requests were answered in a minute, beginning at that time. project is empty for those
-- that no project's key came with. class is 2xx, 4xx or 5xx.
CREATE TABLE request_count (
    project TEXT NOT NULL,
    minute  INTEGER NOT NULL,
    class   TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (project, minute, class)
) STRICT, WITHOUT ROWID;
CREATE INDEX request_count_by_minute ON request_count (minute);

-- Most runs and deliveries go well; these lead to the others.
CREATE INDEX sync_run_troubled ON sync_run (project, id) WHERE error IS NOT NULL;
CREATE INDEX webhook_delivery_troubled ON webhook_delivery (endpoint, event) WHERE state = 'dead';
