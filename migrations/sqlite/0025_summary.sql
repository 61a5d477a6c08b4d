-- What the dashboard counts and lists, each by an index that bounds it.

-- Runs that are over, with all that charts add up. A run gets here once, when it ends: counting its
-- pages before that does not touch it.
CREATE INDEX sync_run_by_project_end ON sync_run (project, finished_at, status, connection, object,
    started_at, created, updated, deleted, failed, records_read) WHERE finished_at IS NOT NULL;
-- The sync log by what people filter it by.
CREATE INDEX sync_run_by_status ON sync_run (project, status, id);

-- What needs attention.
CREATE INDEX sync_state_failing ON sync_state (connection, object) WHERE last_status = 'failed';
CREATE INDEX connection_by_status ON connection (project, status) WHERE deleted_at IS NULL;
CREATE INDEX conflict_by_state ON conflict (project, state, id);
