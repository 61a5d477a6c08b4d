-- Full passes that find out what the provider no longer has, and the ways that runs take.

-- lap: a cursor of the run at work, kept while twice as many pages follow as came before it; one
-- that comes again goes in a circle. query: how far the run's present question to the provider has
-- come, JSON, where the provider gives only so many answers to one.
ALTER TABLE sync_state ADD COLUMN lap TEXT;
ALTER TABLE sync_state ADD COLUMN query TEXT;

-- Passes over everything of an object that are at work or wait for somebody. number is the fence of
-- the claim that began it. state: 'reading'; 'read' to the end; 'deleting' what it missed;
-- 'stopped' until somebody says what becomes of that; 'keeping' it, as somebody said.
CREATE TABLE full_pass (
    connection     INTEGER NOT NULL,
    object         INTEGER NOT NULL,
    number         INTEGER NOT NULL,
    run_started_at INTEGER NOT NULL,
    state          TEXT NOT NULL,
    missing        INTEGER NOT NULL DEFAULT 0,
    stored         INTEGER NOT NULL DEFAULT 0,
    asked_at       INTEGER,
    PRIMARY KEY (connection, object, number)
) STRICT, WITHOUT ROWID;

-- The records that are known to be at the provider since a pass began: for each page and each write
-- of our own one row, ids of 16 bytes one after the other. Those of pass 0 somebody wanted to keep.
CREATE TABLE pass_seen (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    connection INTEGER NOT NULL,
    object     INTEGER NOT NULL,
    pass       INTEGER NOT NULL,
    ids        BLOB NOT NULL
) STRICT;
CREATE INDEX pass_seen_by_pass ON pass_seen (connection, object, pass, number);
