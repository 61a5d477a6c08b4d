-- A project's own OAuth app at a provider, for one scheme and one environment of a connector. The
-- secret is null for a public client; scopes is a JSON array, null where the connector's are asked for.
CREATE TABLE oauth_app (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    project       TEXT NOT NULL REFERENCES project (id),
    connector     TEXT NOT NULL,
    scheme        TEXT NOT NULL,
    environment   TEXT NOT NULL,
    client_id     TEXT NOT NULL,
    sealed_secret BLOB,
    scopes        TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (project, connector, scheme, environment)
) STRICT;
CREATE INDEX oauth_app_by_connector ON oauth_app (connector);

-- To the minute: see store::api_keys.
ALTER TABLE api_key ADD COLUMN last_used_at INTEGER;
