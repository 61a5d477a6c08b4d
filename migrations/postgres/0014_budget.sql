-- What is left of providers' rate limits, one budget for all hosts.

-- subject says who shares it: c:<connection>, a:<connector>:<account> or p:<connector>. bucket is
-- the manifest's name of it; the empty one only says until when a provider without a manifest's
-- bucket wants to hear nothing. Of tokens, so many were taken in the window that ends at ends_at;
-- declared is the manifest's number, tokens the provider's own. Times are the database's.
CREATE TABLE rate_budget (
    subject       TEXT NOT NULL,
    bucket        TEXT NOT NULL,
    declared      BIGINT NOT NULL,
    tokens        BIGINT NOT NULL,
    used          BIGINT NOT NULL,
    ends_at       BIGINT NOT NULL,
    blocked_until BIGINT,
    PRIMARY KEY (subject, bucket)
);
