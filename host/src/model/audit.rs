//! Who did what that operators and projects may have to answer for.

use serde_json::Value;

use super::{AuditId, ProjectId, Timestamp};

/// One line of the audit log. It never holds a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Timestamp,
    /// The project that it is about; none for what concerns the whole server.
    pub project: Option<ProjectId>,
    /// Who did it: `api_key:<id>`, `operator:<id>` (a person at the dashboard), `operator_key:<id>`,
    /// `linked_user:<id>` (a customer on the connect page), `oidc` (the server that operators sign
    /// in at), `anonymous`, `cli`, `host`, `connector:<slug>`.
    pub actor: String,
    /// What was done: `connector.grant`, `secret.denied`, …
    pub action: String,
    /// What it was done to: a slug, an id, a name.
    pub subject: String,
    /// What else is to be known, an object.
    pub details: Value,
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// Its id, which sorts by time.
    pub id: AuditId,
    /// What was written.
    pub entry: AuditEntry,
}
