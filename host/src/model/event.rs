//! What is announced to applications.

use super::{ConnectionId, EventId, ProjectId, Timestamp};

/// The type of an event, `crm.contact.created` or `connection.created` for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventKind(pub String);

/// Something that happened, written in the transaction that made it happen.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The connection it is about, where there is one.
    pub connection: Option<ConnectionId>,
    /// Its type.
    pub kind: EventKind,
    /// JSON text.
    pub data: String,
    /// When it happened.
    pub created_at: Timestamp,
}
