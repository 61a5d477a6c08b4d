//! Background reads: how they stand, and asking for one now.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    json,
    sync_runs::{self, RunBody},
};
use crate::{
    http::{
        Services,
        body::OptionalJson,
        caller::MaybeScoped,
        error::{Code, Error},
        operation::Operation,
    },
    model::{Connection, Scope},
    store::SyncState,
    unify,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/sync/resync", resync)
            .id("resync")
            .tag("Sync")
            .summary("Read again now: the connection that the token names, or those that the body selects.")
            .describe("Without a token and without a body: all connections of the project.")
            .maybe_connection()
            .takes_optional::<Selection>()
            .gives::<Requested>(201, "What is due now.")
            .fails(&[Code::ConnectorUnavailable]),
        Operation::get("/sync/status/{vertical}", status)
            .id("status")
            .tag("Sync")
            .summary("How the background reads stand: of the connection that the token names, or of all.")
            .maybe_connection()
            .path::<String>("vertical", "Such as `crm`.")
            .gives::<Vec<StatusBody>>(200, "One for each object of each connection."),
    ]
}

/// Which connections, where no connection token names one. Nothing means all of the project.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "ResyncSelection")]
pub(super) struct Selection {
    #[serde(default)]
    vertical: Option<String>,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default, rename = "linkedUserId", alias = "linked_user_id")]
    linked_user: Option<String>,
}

impl Selection {
    fn takes(&self, connection: &Connection) -> bool {
        let same = |wanted: &Option<String>, is: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted.is_empty() || wanted == is)
        };
        same(&self.provider, connection.connector.as_str())
            && same(&self.linked_user, &connection.linked_user.to_string())
    }
}

/// Background reads that are due now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Resync")]
struct Requested {
    #[schemars(extend("format" = "date-time"))]
    timestamp: String,
    /// Null for several.
    vertical: Option<String>,
    /// Null for several.
    provider: Option<String>,
    #[schemars(extend("enum" = ["success", "fail"]))]
    status: &'static str,
    /// Syncs that are due now: one for each object of each connection.
    syncs: u32,
}

/// `POST /sync/resync`: the syncs of the connection that the token names, or of those that the
/// body selects, are due now.
pub(super) async fn resync(
    State(services): State<Arc<Services>>,
    caller: MaybeScoped,
    OptionalJson(selection): OptionalJson<Selection>,
) -> Result<Response, Error> {
    let selection = selection.unwrap_or_default();
    let scopes = chosen(&services, caller, |connection| selection.takes(connection)).await?;
    let vertical = selection
        .vertical
        .as_deref()
        .filter(|name| !name.is_empty());
    let mut syncs = 0;
    let mut status = "success";
    for scope in &scopes {
        match services.unify.request_sync(scope, vertical).await {
            Ok(due) => syncs += due,
            Err(error @ unify::Error::Store(_)) => return Err(error.into()),
            Err(error) if scopes.len() == 1 => return Err(error.into()),
            // One connector that is away does not keep the others from their syncs.
            Err(_) => status = "fail",
        }
    }
    let only = match scopes.as_slice() {
        [scope] => Some(scope.connection()),
        _ => None,
    };
    let requested = Requested {
        timestamp: services.clock.now().to_string(),
        vertical: selection
            .vertical
            .or_else(|| only.map(|connection| connection.vertical.clone())),
        provider: selection
            .provider
            .or_else(|| only.map(|connection| connection.connector.to_string())),
        status,
        syncs,
    };
    Ok((StatusCode::CREATED, json(&requested)?).into_response())
}

/// How the sync of one object of one connection stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncStatus")]
struct StatusBody {
    #[schemars(with = "Uuid")]
    id_connection: String,
    provider: String,
    #[schemars(with = "Uuid")]
    id_linked_user: String,
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    /// `waiting` before the first run.
    #[schemars(extend("enum" = ["waiting", "running", "completed", "failed"]))]
    status: String,
    /// Whether everything was read at least once.
    complete: bool,
    /// Of the run that runs, or of the last one.
    records_read: u64,
    pages: u64,
    last_error: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    last_finished_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    next_run_at: String,
    /// The run that runs, or the last one, while it is kept.
    last_run: Option<RunBody>,
}

/// `GET /sync/status/{vertical}`: of the connection that the token names, or of all.
pub(super) async fn status(
    State(services): State<Arc<Services>>,
    caller: MaybeScoped,
    Path(vertical): Path<String>,
) -> Result<Response, Error> {
    let mut bodies = Vec::new();
    for scope in chosen(&services, caller, |_| true).await? {
        let states = services.store.sync_states(&scope).await?;
        let states = states
            .into_iter()
            .filter(|state| state.kind.spec().vertical == vertical);
        for state in states {
            let run = match state.run {
                Some(run) => services.store.run(scope.project(), run).await?,
                None => None,
            };
            let run = run.map(|run| sync_runs::body(run, services.clock.now()));
            bodies.push(body(scope.connection(), state, run));
        }
    }
    json(&bodies)
}

fn body(connection: &Connection, state: SyncState, last_run: Option<RunBody>) -> StatusBody {
    StatusBody {
        id_connection: connection.id.to_string(),
        provider: connection.connector.to_string(),
        id_linked_user: connection.linked_user.to_string(),
        object: state.kind.name(),
        status: match state.last_status {
            None => "waiting".to_owned(),
            // The contract has no word for a run that waits for the provider's limit.
            Some(status) if status == "rate_limited" => "running".to_owned(),
            // Nor for one that somebody ended: the next goes on.
            Some(status) if status == "cancelled" => "waiting".to_owned(),
            Some(status) => status,
        },
        complete: state.full_done,
        records_read: state.records_read,
        pages: state.pages,
        last_error: state.last_error,
        last_finished_at: state.last_finished_at.map(|time| time.to_string()),
        next_run_at: state.next_run_at.to_string(),
        last_run,
    }
}

async fn chosen(
    services: &Services,
    caller: MaybeScoped,
    takes: impl Fn(&Connection) -> bool,
) -> Result<Vec<Scope>, Error> {
    if let Some(scope) = caller.scope {
        return Ok(vec![scope]);
    }
    let project = caller.project.id;
    let mut scopes = Vec::new();
    for (connection, _) in services.store.connections(project).await? {
        if takes(&connection) {
            scopes.extend(services.store.scope_by_id(project, connection.id).await?);
        }
    }
    Ok(scopes)
}
