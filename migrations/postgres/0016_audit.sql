-- Who did what. id is a UUID whose text sorts by time; without a project an entry is about the
-- whole server. details is a JSON object without secrets.
CREATE TABLE audit_log (
    id      TEXT NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    project TEXT,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL
);
CREATE INDEX audit_log_by_project ON audit_log (project, id);
CREATE INDEX audit_log_by_subject ON audit_log (subject, id);
CREATE INDEX audit_log_by_age ON audit_log (at);

-- Keys of operators: what concerns the whole server, and no project's data. hash is of the key.
CREATE TABLE operator_key (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    hash       BYTEA NOT NULL UNIQUE,
    hint       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
