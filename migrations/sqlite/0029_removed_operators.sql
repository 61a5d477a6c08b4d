-- Operators who were removed: what they signed in with, here and elsewhere. Nobody of them gets an
-- account by signing in elsewhere, unless somebody invites them again.
CREATE TABLE removed_operator (
    email        TEXT NOT NULL PRIMARY KEY,
    oidc_subject TEXT,
    removed_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
