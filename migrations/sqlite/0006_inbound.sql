-- What providers told by webhooks and was not read yet: at most one row for each record. remote_id
-- is empty where only the object is known. generation counts the notices of a record, fence the
-- claims: whoever worked on an older generation has not seen the latest change.
CREATE TABLE inbound_notice (
    connection  INTEGER NOT NULL,
    object      INTEGER NOT NULL,
    remote_id   TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    fence       INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    lease_until INTEGER,
    dead_at     INTEGER,
    last_error  TEXT,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (connection, object, remote_id)
) STRICT;
CREATE INDEX inbound_notice_by_due ON inbound_notice (due_at);
CREATE INDEX connection_by_provider_account ON connection (connector, account);

-- The secret that a provider signs the webhooks of one connection with.
CREATE TABLE inbound_secret (
    connection INTEGER NOT NULL PRIMARY KEY,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
