//! The audit log.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    json,
    lists::{limit, parsed},
};
use crate::{
    http::{Services, caller::Audience, error::Error, operation::Operation, query::Query},
    model::{AuditId, AuditRow, DEFAULT_LIMIT, MAX_LIMIT},
    store::AuditFilter,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/audit-log", list)
            .id("listAuditLog")
            .tag("Audit")
            .summary("Who did what, newest first.")
            .describe("With a project's key: what concerns that project. With an operator's key: everything of this server.")
            .query::<String>("action", "Only entries of this action, such as `connector.grant`.")
            .query::<String>("subject", "Only entries about this subject: a slug, an id, a name.")
            .query::<String>("cursor", "From where: `next_cursor` of another page.")
            .parameter(limit())
            .gives::<PageBody>(200, "A page."),
    ]
}

/// A page of the audit log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditPage")]
struct PageBody {
    #[schemars(with = "Option<Uuid>")]
    next_cursor: Option<String>,
    data: Vec<EntryBody>,
}

/// Who did what.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
struct EntryBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// The project that it is about; null for what concerns the whole server.
    #[schemars(with = "Option<Uuid>")]
    project_id: Option<String>,
    /// Who did it: `operator:<id>`, a person at the dashboard; `api_key:<id>` of a project;
    /// `operator_key:<id>` of the server; `linked_user:<id>`, a customer where they connect;
    /// `connector:<slug>`; `cli`, somebody at the server's command line; `host`, the server itself;
    /// `oidc`, the provider that operators sign in at, for accounts and roles that follow from what
    /// it says; `anonymous`, who did not get in.
    #[schemars(example = &"cli")]
    actor: String,
    #[schemars(example = &"connector.grant")]
    action: String,
    /// What it was done to: a slug, an id, a name.
    subject: String,
    /// What else is known.
    details: Value,
}

async fn list(
    State(services): State<Arc<Services>>,
    audience: Audience,
    query: Query,
) -> Result<Response, Error> {
    let filter = AuditFilter {
        project: match audience {
            Audience::Project(project) => Some(project.id),
            Audience::Operator => None,
        },
        action: query.get("action").map(ToOwned::to_owned),
        subject: query.get("subject").map(ToOwned::to_owned),
        before: parsed::<AuditId>(&query, "cursor", "a `next_cursor` of this list")?,
        limit: query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT),
    };
    let rows = services.store.audit_log(&filter).await?;
    let last = rows.last().map(|row| row.id.to_string());
    json(&PageBody {
        next_cursor: last.filter(|_| rows.len() == filter.limit as usize),
        data: rows.into_iter().map(body).collect(),
    })
}

fn body(row: AuditRow) -> EntryBody {
    let entry = row.entry;
    EntryBody {
        id: row.id.to_string(),
        at: entry.at.to_string(),
        project_id: entry.project.map(|id| id.to_string()),
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        details: entry.details,
    }
}
