//! Records that a connector cannot unify.

use crate::model::{ConnectionId, FailureId, ObjectKind, RunId, Slug, Timestamp};

/// A record as it was read, and why it could not be unified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRecord {
    /// The provider's id.
    pub remote_id: String,
    /// Why, in a sentence.
    pub reason: String,
    /// The provider's document, JSON text.
    pub remote: String,
    /// The provider's token of this version.
    pub remote_version: Option<String>,
    /// When it changed at the provider.
    pub remote_modified_at: Option<Timestamp>,
}

/// A failing record, kept until it can be unified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncFailure {
    /// Its id.
    pub id: FailureId,
    /// Of which connection.
    pub connection: ConnectionId,
    /// The connection's connector.
    pub connector: Slug,
    /// Of which object.
    pub kind: ObjectKind,
    /// The record as it was read last.
    pub record: FailedRecord,
    /// The run that read it last; none where it was read alone.
    pub run: Option<RunId>,
    /// How often it failed.
    pub count: u64,
    /// When it failed first.
    pub first_seen_at: Timestamp,
    /// When it failed last.
    pub last_seen_at: Timestamp,
}
