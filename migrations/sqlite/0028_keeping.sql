-- For removing what is past its keeping time.
CREATE INDEX connect_link_by_end ON connect_link (expires_at);
CREATE INDEX change_by_end ON change (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX conflict_by_change ON conflict (change);
