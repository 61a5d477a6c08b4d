-- People who operate this server. email is in small letters; password is argon2id in PHC form, none
-- for those who sign in elsewhere only; oidc_subject is issuer and subject of the account there.
CREATE TABLE operator_account (
    id              TEXT NOT NULL PRIMARY KEY,
    email           TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    role            TEXT NOT NULL,
    password        TEXT,
    oidc_subject    TEXT UNIQUE,
    created_at      BIGINT NOT NULL,
    last_sign_in_at BIGINT
);

-- Browsers that are signed in. hash is of the cookie, which is nowhere else. When one ends follows
-- from the two times and the configuration.
CREATE TABLE operator_session (
    id         TEXT NOT NULL PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE,
    operator   TEXT NOT NULL REFERENCES operator_account (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL
);
CREATE INDEX operator_session_by_operator ON operator_session (operator, used_at);
CREATE INDEX operator_session_by_use ON operator_session (used_at);

-- Links that work once: purpose is set_up (for the first operator), invitation (email, role) or
-- new_password (operator). hash is of the token in the link.
CREATE TABLE operator_link (
    hash       BYTEA NOT NULL PRIMARY KEY,
    purpose    TEXT NOT NULL,
    operator   TEXT REFERENCES operator_account (id) ON DELETE CASCADE,
    email      TEXT,
    role       TEXT,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX operator_link_by_purpose ON operator_link (purpose, email);

-- Attempts to sign in that did not succeed (yet), by what they were about: an account, an address.
-- Nobody may try before blocked_until.
CREATE TABLE sign_in_attempt (
    subject       TEXT NOT NULL PRIMARY KEY,
    attempts      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);
CREATE INDEX sign_in_attempt_by_age ON sign_in_attempt (last_at);
