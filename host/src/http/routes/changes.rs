//! Changes of applications on their way to providers, and taking back what was pushed.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    json,
    lists::{connection, limit, object, parsed, short, wrong},
};
use crate::{
    http::{
        Services,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{
        ChangeId, ChangeState, DEFAULT_LIMIT, MAX_LIMIT, ObjectKind, ProjectId, QueuedChange,
        RunId, Scope,
    },
    store::ChangeFilter,
    unify::{Preview, Undone},
};

const STATES: [&str; 7] = [
    "queued",
    "pushing",
    "conflict",
    "done",
    "failed",
    "cancelled",
    "undone",
];
const ABOUT: &str = "Where an object's sync is `outbound` or `bidirectional`, updates and deletions are stored here at once and pushed afterwards. A change begins with the first edit that the provider does not have and takes in those that follow until it is pushed; the changes of one record are pushed in order.";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/changes", list)
            .id("listChanges")
            .tag("Sync")
            .summary("List changes on their way to providers, newest first.")
            .describe(ABOUT)
            .query::<Uuid>("connection_id", "Only those of this connection.")
            .query::<String>(
                "object",
                "Only those of this object, such as `crm.contact`.",
            )
            .parameter(
                Parameter::query::<String>("state", "Only those that stand so.")
                    .rule("enum", STATES.to_vec()),
            )
            .query::<Uuid>("run_id", "Only those that this outbound run pushed.")
            .query::<String>("cursor", "From where: `next_cursor` of another page.")
            .parameter(limit())
            .gives::<PageBody>(200, "A page."),
        Operation::get("/changes/{id}", get)
            .id("getChange")
            .tag("Sync")
            .summary("Show a change, and what would be sent now.")
            .path::<Uuid>("id", "The change's id.")
            .gives::<ChangeBody>(200, "The change.")
            .fails(&[Code::ChangeNotFound]),
        Operation::delete("/changes/{id}", cancel)
            .id("cancelChange")
            .tag("Sync")
            .summary("Call a change off that is not under way yet.")
            .describe("The record is as the provider has it again.")
            .path::<Uuid>("id", "The change's id.")
            .gives::<ChangeBody>(200, "The change, cancelled.")
            .fails(&[Code::ChangeNotFound, Code::Conflict]),
        Operation::post("/changes/{id}/retry", retry)
            .id("retryChange")
            .tag("Sync")
            .summary("Set again what a failed change could not push, as a new change.")
            .describe("For when what the provider refused it for is mended. `lost` of the failed change is what is set.")
            .path::<Uuid>("id", "The change's id.")
            .gives::<ChangeBody>(202, "The new change.")
            .fails(&[Code::ChangeNotFound, Code::RecordNotFound, Code::Conflict]),
        Operation::post("/changes/{id}/undo", undo)
            .id("undoChange")
            .tag("Sync")
            .summary("Take back what a change pushed, as a new change.")
            .describe("A field that was changed since keeps its value and is named under `kept`.")
            .path::<Uuid>("id", "The change's id.")
            .gives::<UndoneBody>(202, "What is taken back.")
            .fails(&[Code::ChangeNotFound])
            .fails(PROVIDER),
        Operation::post("/sync-runs/{id}/undo", undo_run)
            .id("undoSyncRun")
            .tag("Sync")
            .summary("Take back what an outbound run pushed.")
            .describe("Each of its changes as `POST /changes/{id}/undo` does.")
            .path::<Uuid>("id", "The run's id.")
            .gives::<Vec<UndoneBody>>(202, "What is taken back, change by change.")
            .fails(&[Code::SyncRunNotFound])
            .fails(PROVIDER),
    ]
}

/// What goes wrong where the provider is read first.
pub(super) const PROVIDER: &[Code] = &[
    Code::Unsupported,
    Code::NeedsReconnect,
    Code::RateLimited,
    Code::ProviderForbidden,
    Code::ProviderRefused,
    Code::ProviderFailed,
    Code::ProviderUnavailable,
    Code::ConnectorFailed,
    Code::ConnectorUnavailable,
    Code::ConnectorTimeout,
    Code::Busy,
];

/// A change of one record on its way to its provider.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Change")]
struct ChangeBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(with = "Uuid")]
    connection_id: String,
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    #[schemars(with = "Uuid")]
    record_id: String,
    #[schemars(extend("enum" = ["create", "update", "delete"]))]
    action: &'static str,
    #[schemars(extend("enum" = STATES))]
    state: &'static str,
    /// What is not pushed yet.
    fields: Vec<EditBody>,
    /// What the provider took.
    pushed: Vec<PushedBody>,
    /// What gave way to the provider's own changes, was refused or called off.
    lost: Vec<EditBody>,
    /// Fields that wait for somebody to decide: see `GET /conflicts`.
    in_conflict: Vec<String>,
    /// Claims since the last push that came through.
    attempts_made: u32,
    #[schemars(extend("format" = "date-time"))]
    next_attempt_at: Option<String>,
    /// Why the last try failed.
    error: Option<String>,
    /// Who made it: the id of an API key, or `undo`.
    actor: Option<String>,
    /// The outbound run that pushed it last.
    #[schemars(with = "Option<Uuid>")]
    run_id: Option<String>,
    /// The change that this one takes back.
    #[schemars(with = "Option<Uuid>")]
    undo_of: Option<String>,
    /// What the connector would be given to send now; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
    #[schemars(extend("format" = "date-time"))]
    finished_at: Option<String>,
}

/// A field that an application set.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChangedField")]
struct EditBody {
    /// Its name; a custom field's is `field_mappings.<slug>`, and `deleted_at` stands for the record.
    field: String,
    /// What both sides had.
    from: Value,
    /// What the application set.
    to: Value,
    #[schemars(extend("format" = "date-time"))]
    edited_at: String,
    /// Who set it: the id of an API key, or `undo`.
    edited_by: Option<String>,
}

/// A field that the provider took.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PushedField")]
struct PushedBody {
    field: String,
    from: Value,
    /// What the provider has since, in its own form.
    to: Value,
}

/// A page of changes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChangePage")]
struct PageBody {
    next_cursor: Option<String>,
    data: Vec<ChangeBody>,
}

/// What became of taking a change back.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UndoneChange")]
struct UndoneBody {
    /// The change that was to be taken back.
    #[schemars(with = "Uuid")]
    change_id: String,
    /// The change that does it; none where there is nothing to take back.
    #[schemars(with = "Option<Uuid>")]
    undone_by: Option<String>,
    /// Fields that get their old value again.
    fields: Vec<String>,
    /// Fields that do not.
    kept: Vec<KeptBody>,
}

/// A field that is not taken back.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeptField")]
struct KeptBody {
    field: String,
    reason: String,
}

/// What a write would send.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WritePreview")]
pub(super) struct PreviewBody {
    #[schemars(extend("enum" = ["create", "update", "delete"]))]
    action: &'static str,
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    /// The provider's id of the record; none for a new one.
    remote_id: Option<String>,
    /// What the connector would be given to send; none for a deletion.
    document: Option<Value>,
    changes: Vec<PushedBody>,
}

pub(super) fn preview_body(kind: ObjectKind, preview: Preview) -> PreviewBody {
    let changes = preview.changes.into_iter();
    PreviewBody {
        action: preview.action.as_str(),
        object: kind.name(),
        remote_id: preview.remote_id,
        document: preview.document,
        changes: changes
            .map(|one| PushedBody {
                field: one.field,
                from: one.from,
                to: one.to,
            })
            .collect(),
    }
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let project = caller.project.id;
    let state = query.get("state").map(|text| {
        ChangeState::parse(text)
            .ok_or_else(|| wrong("state", &format!("it is none of {}", STATES.join(", "))))
    });
    let filter = ChangeFilter {
        connection: connection(&services, project, &query).await?,
        kind: object(&query)?,
        state: state.transpose()?,
        run: parsed::<RunId>(&query, "run_id", "the id of a sync run")?,
        before: parsed::<ChangeId>(&query, "cursor", "a `next_cursor` of this list")?,
        limit: query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT),
    };
    let changes = services.store.changes(project, &filter).await?;
    let last = changes.last().map(|(_, change)| change.id.to_string());
    json(&PageBody {
        next_cursor: last.filter(|_| changes.len() == filter.limit as usize),
        data: changes
            .iter()
            .map(|(_, change)| body(change, None))
            .collect(),
    })
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let (scope, change) = by_id(&services, caller.project.id, &id).await?;
    let document = match change.state.is_open() {
        true => services.unify.change_document(&scope, &change).await,
        false => None,
    };
    json(&body(&change, document))
}

pub(super) async fn cancel(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let (scope, change) = by_id(&services, actor.project.id, &id).await?;
    if !services.store.cancel_change(&scope, change.id).await? {
        let state = change.state.as_str();
        let detail = format!(
            "The change is {state}: only one that waits, and of which nothing may have reached the provider, can be called off."
        );
        return Err(Error::new(Code::Conflict, detail));
    }
    audit(&services, &actor, "change.cancel", &change).await?;
    let (_, change) = by_id(&services, actor.project.id, &id).await?;
    json(&body(&change, None))
}

pub(super) async fn retry(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let (scope, change) = by_id(&services, actor.project.id, &id).await?;
    if change.state != ChangeState::Failed {
        let detail = format!("The change is {}, not failed.", change.state.as_str());
        return Err(Error::new(Code::Conflict, detail));
    }
    let unify = &services.unify;
    let queued = unify.repeat_change(&scope, &change, &actor.key).await?;
    let queued = queued.ok_or_else(|| {
        let detail = "The record has these values by now: there is nothing to set again.";
        Error::new(Code::Conflict, detail)
    })?;
    audit(&services, &actor, "change.retry", &change).await?;
    Ok((StatusCode::ACCEPTED, json(&body(&queued, None))?).into_response())
}

pub(super) async fn undo(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let (scope, change) = by_id(&services, actor.project.id, &id).await?;
    let undone = services.unify.undo_change(&scope, &change).await?;
    audit(&services, &actor, "change.undo", &change).await?;
    Ok((StatusCode::ACCEPTED, json(&undone_body(undone))?).into_response())
}

pub(super) async fn undo_run(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let run = id.parse::<RunId>().ok();
    let undone = match run {
        Some(run) => services.unify.undo_run(actor.project.id, run).await?,
        None => Vec::new(),
    };
    let Some(run) = run.filter(|_| !undone.is_empty()) else {
        let detail = format!(
            "There is no outbound run {:?} that pushed anything.",
            short(&id)
        );
        return Err(Error::new(Code::SyncRunNotFound, detail));
    };
    let details = serde_json::json!({ "changes": undone.len() });
    actor
        .audit(&services, "sync_run.undo", run, details)
        .await?;
    let bodies: Vec<UndoneBody> = undone.into_iter().map(undone_body).collect();
    Ok((StatusCode::ACCEPTED, json(&bodies)?).into_response())
}

/// Writes into the audit log what was done with a change.
async fn audit(
    services: &Services,
    actor: &Actor,
    action: &str,
    change: &QueuedChange,
) -> Result<(), Error> {
    let details = serde_json::json!({
        "connection": change.connection.id, "object": change.kind.name(),
        "record": change.record.to_string(),
    });
    actor.audit(services, action, change.id, details).await
}

async fn by_id(
    services: &Services,
    project: ProjectId,
    id: &str,
) -> Result<(Scope, QueuedChange), Error> {
    let found = match id.parse::<ChangeId>() {
        Ok(id) => services.store.change(project, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let detail = format!("This project has no change {:?}.", short(id));
        Error::new(Code::ChangeNotFound, detail)
    })
}

fn body(change: &QueuedChange, document: Option<Value>) -> ChangeBody {
    let pending = &change.pending;
    let edit = |(name, edit): (&String, &crate::model::Edit)| EditBody {
        field: name.clone(),
        from: pending.base.get(name).cloned().unwrap_or_default(),
        to: edit.value.clone(),
        edited_at: edit.at.to_string(),
        edited_by: edit.by.clone(),
    };
    let pushed = change.pushed.iter().map(|(field, pushed)| PushedBody {
        field: field.clone(),
        from: pushed.from.clone(),
        to: pushed.to.clone(),
    });
    let open = change.state.is_open();
    ChangeBody {
        id: change.id.to_string(),
        connection_id: change.connection.id.to_string(),
        object: change.kind.name(),
        record_id: change.record.to_string(),
        action: change.action.as_str(),
        state: change.state.as_str(),
        fields: pending.edits.iter().map(edit).collect(),
        pushed: pushed.collect(),
        lost: change.lost.iter().map(edit).collect(),
        in_conflict: pending.conflicts.keys().cloned().collect(),
        attempts_made: change.attempt,
        next_attempt_at: open.then(|| change.next_at.to_string()),
        error: change.error.clone(),
        actor: change.actor.clone(),
        run_id: change.run.map(|id| id.to_string()),
        undo_of: change.undo_of.map(|id| id.to_string()),
        document,
        created_at: change.created_at.to_string(),
        updated_at: change.updated_at.to_string(),
        finished_at: change.finished_at.map(|time| time.to_string()),
    }
}

fn undone_body(undone: Undone) -> UndoneBody {
    let kept = undone.kept.into_iter();
    UndoneBody {
        change_id: undone.of.to_string(),
        undone_by: undone.by.map(|id| id.to_string()),
        fields: undone.fields,
        kept: kept
            .map(|(field, reason)| KeptBody { field, reason })
            .collect(),
    }
}
