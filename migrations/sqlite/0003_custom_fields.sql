-- Custom fields: what a project defines for an object beyond the unified one, and where each
-- connector finds its value. Values themselves are in record.custom.

CREATE TABLE custom_field (
    id            TEXT NOT NULL PRIMARY KEY,
    project       TEXT NOT NULL REFERENCES project (id),
    object        INTEGER NOT NULL REFERENCES object_kind (number),
    slug          TEXT NOT NULL,
    description   TEXT NOT NULL,
    data_type     TEXT NOT NULL,
    default_value TEXT,
    created_at    INTEGER NOT NULL,
    modified_at   INTEGER NOT NULL,
    UNIQUE (project, object, slug)
) STRICT;

-- Without a linked user it holds for all of the project's. rules is JSON: remote fields,
-- transforms, default.
CREATE TABLE custom_field_mapping (
    id          TEXT NOT NULL PRIMARY KEY,
    field       TEXT NOT NULL REFERENCES custom_field (id) ON DELETE CASCADE,
    connector   TEXT NOT NULL,
    linked_user TEXT REFERENCES linked_user (id),
    rules       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX custom_field_mapping_by_place
    ON custom_field_mapping (field, connector, COALESCE(linked_user, ''));
