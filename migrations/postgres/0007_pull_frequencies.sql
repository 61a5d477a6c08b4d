-- How often a project's connections of a vertical are read, where it chose.

CREATE TABLE pull_frequency (
    project  TEXT NOT NULL REFERENCES project (id),
    vertical TEXT NOT NULL,
    -- 0: only when asked for.
    seconds  BIGINT NOT NULL,
    PRIMARY KEY (project, vertical)
);
