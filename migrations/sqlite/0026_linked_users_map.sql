-- Whether linked users may map the field themselves, on the page of their connection.
ALTER TABLE custom_field ADD COLUMN linked_users_map INTEGER NOT NULL DEFAULT 0;
