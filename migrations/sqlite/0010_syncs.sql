-- Syncs that are told what to do: configuration, pause, triggers, full passes, slots of schedules.

-- paused: nobody claims it until it is resumed. run_full: the run at
-- work reads everything; full_next: the next one will. runs_since_full counts completed runs.
-- trigger says why the next run, or the one at work, is made; what was asked for by hand goes
-- first. given_up_at: since when failed runs are not tried again before the schedule's next time.
ALTER TABLE sync_state ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sync_state ADD COLUMN run_full INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sync_state ADD COLUMN full_next INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sync_state ADD COLUMN runs_since_full INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sync_state ADD COLUMN trigger TEXT NOT NULL DEFAULT 'schedule';
ALTER TABLE sync_state ADD COLUMN given_up_at INTEGER;
UPDATE sync_state SET trigger = 'initial' WHERE last_finished_at IS NULL;
CREATE INDEX sync_state_by_lease ON sync_state (lease_until) WHERE lease_owner IS NOT NULL;

-- What differs from the defaults; without a row, nothing does. config is JSON.
CREATE TABLE sync_config (
    connection  INTEGER NOT NULL REFERENCES connection (number),
    object      INTEGER NOT NULL REFERENCES object_kind (number),
    config      TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    PRIMARY KEY (connection, object)
) STRICT, WITHOUT ROWID;

-- The times of cron schedules that were taken: each makes one run, whoever's clock says what.
CREATE TABLE sync_slot (
    connection INTEGER NOT NULL,
    object     INTEGER NOT NULL,
    slot_at    INTEGER NOT NULL,
    PRIMARY KEY (connection, object, slot_at)
) STRICT, WITHOUT ROWID;
