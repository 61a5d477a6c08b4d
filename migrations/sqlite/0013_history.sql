-- Where the values of records came from, and what they were before.

-- Each way in which values came to a connection: what made them, by whose key, through which
-- version of the connector and which mappings of custom fields (JSON: slug to rules). hash is of
-- all of that.
CREATE TABLE record_origin (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    connection INTEGER NOT NULL,
    hash       BLOB NOT NULL,
    source     TEXT NOT NULL,
    actor      TEXT,
    version    TEXT,
    digest     TEXT,
    mappings   TEXT,
    UNIQUE (connection, hash)
) STRICT;

-- origin is that of the values that the record was created with, as of created_at; fields_from
-- tells of those that came later: field to [time, origin]. A new record costs one number.
ALTER TABLE record ADD COLUMN origin INTEGER;
ALTER TABLE record ADD COLUMN fields_from TEXT;

-- What changed in a record that was there: fields is field to [before, after]. Ids of records begin
-- with the number of their connection, so those of one connection lie side by side. No foreign keys:
-- a check for each row would be paid for a million times.
CREATE TABLE record_history (
    record             BLOB NOT NULL,
    at                 INTEGER NOT NULL,
    origin             INTEGER NOT NULL,
    action             TEXT NOT NULL,
    fields             TEXT NOT NULL,
    run                TEXT,
    change             TEXT,
    remote_modified_at INTEGER,
    expires_at         INTEGER NOT NULL,
    PRIMARY KEY (record, at, origin)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_history_by_expiry ON record_history (expires_at);

-- How far stored documents of an object have been unified again: towards which mark, from which
-- record on, how many of how many, by whom until when. An empty unified_by says that documents
-- were unified by several.
ALTER TABLE sync_state ADD COLUMN remap_to TEXT;
ALTER TABLE sync_state ADD COLUMN remap_after BLOB;
ALTER TABLE sync_state ADD COLUMN remap_done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sync_state ADD COLUMN remap_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sync_state ADD COLUMN remap_until INTEGER;
ALTER TABLE sync_state ADD COLUMN remap_fence INTEGER NOT NULL DEFAULT 0;

-- Until when, by the database's clock, a delivery is its claimer's; next_at stays as it is.
ALTER TABLE webhook_delivery ADD COLUMN lease_until INTEGER;
