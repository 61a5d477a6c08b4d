-- What providers told by webhooks and was not read yet: at most one row for each record. remote_id
-- is empty where only the object is known. generation counts the notices of a record, fence the
-- claims: whoever worked on an older generation has not seen the latest change.
CREATE TABLE inbound_notice (
    connection  BIGINT NOT NULL,
    object      BIGINT NOT NULL,
    remote_id   TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    attempt     BIGINT NOT NULL,
    fence       BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    lease_until BIGINT,
    dead_at     BIGINT,
    last_error  TEXT,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (connection, object, remote_id)
);
CREATE INDEX inbound_notice_by_due ON inbound_notice (due_at);
CREATE INDEX connection_by_provider_account ON connection (connector, account);

-- The secret that a provider signs the webhooks of one connection with.
CREATE TABLE inbound_secret (
    connection BIGINT NOT NULL PRIMARY KEY,
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
