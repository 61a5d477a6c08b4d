-- Syncs that are told what to do: configuration, pause, triggers, full passes, slots of schedules.

-- paused: nobody claims it until it is resumed. run_full: the run at
-- work reads everything; full_next: the next one will. runs_since_full counts completed runs.
-- trigger says why the next run, or the one at work, is made; what was asked for by hand goes
-- first. given_up_at: since when failed runs are not tried again before the schedule's next time.
ALTER TABLE sync_state ADD COLUMN paused BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sync_state ADD COLUMN run_full BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sync_state ADD COLUMN full_next BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sync_state ADD COLUMN runs_since_full BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sync_state ADD COLUMN trigger TEXT NOT NULL DEFAULT 'schedule';
ALTER TABLE sync_state ADD COLUMN given_up_at BIGINT;
UPDATE sync_state SET trigger = 'initial' WHERE last_finished_at IS NULL;
CREATE INDEX sync_state_by_lease ON sync_state (lease_until) WHERE lease_owner IS NOT NULL;

-- What differs from the defaults; without a row, nothing does. config is JSON.
CREATE TABLE sync_config (
    connection  BIGINT NOT NULL REFERENCES connection (number),
    object      BIGINT NOT NULL REFERENCES object_kind (number),
    config      TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    PRIMARY KEY (connection, object)
);

-- The times of cron schedules that were taken: each makes one run, whoever's clock says what.
CREATE TABLE sync_slot (
    connection BIGINT NOT NULL,
    object     BIGINT NOT NULL,
    slot_at    BIGINT NOT NULL,
    PRIMARY KEY (connection, object, slot_at)
);
