-- Finding out what goes wrong, and since when, without reading what went well.

-- The last success of a sync, and whether there is one after a failure.
CREATE INDEX sync_run_good ON sync_run (connection, object, direction, id)
    WHERE status = 'completed';
-- Failures of one connection.
CREATE INDEX sync_run_troubled_at ON sync_run (connection, id) WHERE error IS NOT NULL;
-- When logins died.
CREATE INDEX event_login_died ON event (connection, created_at)
    WHERE type = 'connection.needs_reconnect';
