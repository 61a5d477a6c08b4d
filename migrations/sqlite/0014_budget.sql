-- What is left of providers' rate limits, one budget for all hosts.

-- subject says who shares it: c:<connection>, a:<connector>:<account> or p:<connector>. bucket is
-- the manifest's name of it; the empty one only says until when a provider without a manifest's
-- bucket wants to hear nothing. Of tokens, so many were taken in the window that ends at ends_at;
-- declared is the manifest's number, tokens the provider's own. Times are the database's.
CREATE TABLE rate_budget (
    subject       TEXT NOT NULL,
    bucket        TEXT NOT NULL,
    declared      INTEGER NOT NULL,
    tokens        INTEGER NOT NULL,
    used          INTEGER NOT NULL,
    ends_at       INTEGER NOT NULL,
    blocked_until INTEGER,
    PRIMARY KEY (subject, bucket)
) STRICT, WITHOUT ROWID;
