//! The sync log: every execution of a sync, what it did, and what it is doing.

mod progress;

pub use progress::Watches;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
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
        DEFAULT_LIMIT, ErrorClass, EstimateSource, MAX_LIMIT, ProjectId, Run, RunDirection, RunId,
        RunStatus, Timestamp, Trigger,
    },
    store::RunFilter,
};

pub(super) fn operations() -> Vec<Operation> {
    let words = |words: Vec<&'static str>| words;
    let status = RunStatus::ALL.iter().map(|one| one.as_str()).collect();
    let direction = RunDirection::ALL.iter().map(|one| one.as_str()).collect();
    let trigger = Trigger::ALL.iter().map(|one| one.as_str()).collect();
    let one_of = |name, description, words: Vec<&'static str>| {
        Parameter::query::<String>(name, description).rule("enum", words)
    };
    vec![
        Operation::get("/sync-runs", list)
            .id("listSyncRuns")
            .tag("Sync")
            .summary("The sync log: executions of syncs, the last begun first.")
            .query::<Uuid>("connection_id", "Only those of this connection.")
            .query::<String>("object", "Only those of this object, such as `crm.contact`.")
            .parameter(one_of("status", "Only those that stand so.", words(status)))
            .parameter(one_of("direction", "Only those of this direction.", words(direction)))
            .parameter(one_of("trigger", "Only those begun for this reason.", words(trigger)))
            .parameter(
                Parameter::query::<String>("since", "Only those that began then or later.")
                    .rule("format", "date-time"),
            )
            .query::<Uuid>("cursor", "From where: `next_cursor` of another page.")
            .parameter(limit())
            .gives::<PageBody>(200, "A page."),
        Operation::get("/sync-runs/{id}", get)
            .id("retrieveSyncRun")
            .tag("Sync")
            .summary("One execution of a sync: what it did, or how far it is.")
            .describe("What is counted was written in one transaction with what it counts. A run stays the same one over failures that are tried again, crashes and restarts. Pausing its sync ends it as `cancelled`; what is left to read is another run's, with `resumed`.")
            .path::<Uuid>("id", "The run's id.")
            .gives::<RunBody>(200, "The run.")
            .fails(&[Code::SyncRunNotFound]),
        Operation::post("/sync-runs/{id}/cancel", cancel)
            .id("cancelSyncRun")
            .tag("Sync")
            .summary("End a run that reads from the provider.")
            .describe("What it has read stays, and so does its place among the provider's pages: the next run goes on there, when it is due or asked for. A page that is being read is not written. To keep the sync from running again, pause it.")
            .path::<Uuid>("id", "The run's id.")
            .gives::<RunBody>(200, "The run.")
            .fails(&[Code::SyncRunNotFound, Code::Conflict]),
        progress::operation(),
    ]
}

/// A page of the sync log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncRunPage")]
struct PageBody {
    #[schemars(with = "Option<Uuid>")]
    next_cursor: Option<String>,
    data: Vec<RunBody>,
}

/// One execution of a sync.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncRun")]
pub(super) struct RunBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(with = "Uuid")]
    connection_id: String,
    provider: String,
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    /// `inbound`: records are read; `outbound`: queued changes are pushed, those that come soon
    /// after each other in one run.
    direction: RunDirection,
    trigger: Trigger,
    /// `retrying`: it failed for now and goes on by itself; `stopped`: it asks something, as `error`
    /// says; `interrupted`: its process was killed in every attempt; `cancelled`: somebody
    /// ended it, or its connection was deleted.
    status: RunStatus,
    /// Whether it reads everything; null until the first page, and for outbound runs.
    full: Option<bool>,
    /// Whether it went on in the middle of a pass that an earlier run gave up.
    resumed: bool,
    /// The connector's version that worked last.
    connector_version: Option<String>,
    /// The digest of that version's file.
    connector_digest: Option<String>,
    /// Attempts, the one at work included.
    attempts: u32,
    pages: u64,
    counts: CountsBody,
    /// Requests sent to the provider.
    requests: u64,
    /// Bytes of bodies, both ways.
    bytes: u64,
    /// How many records there are to read, where that is known.
    estimate: Option<EstimateBody>,
    /// What went wrong last; null once the run is completed.
    error: Option<ErrorBody>,
    /// How often what went wrong, by class.
    errors: BTreeMap<&'static str, u32>,
    #[schemars(extend("format" = "date-time"))]
    next_attempt_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    started_at: String,
    #[schemars(extend("format" = "date-time"))]
    finished_at: Option<String>,
    /// From its beginning to its end, or until now.
    duration_ms: i64,
}

/// How many of what. Of an outbound run, `created`, `updated` and `deleted` are the provider's.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncRunCounts")]
struct CountsBody {
    read: u64,
    created: u64,
    updated: u64,
    unchanged: u64,
    deleted: u64,
    /// Records that cannot be unified, `GET /sync-runs/{id}/failures`; of an outbound run, changes
    /// that the provider does not take.
    failed: u64,
    conflicts: u64,
    pushed: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncRunEstimate")]
struct EstimateBody {
    records: u64,
    source: EstimateSource,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncRunError")]
struct ErrorBody {
    class: ErrorClass,
    /// What happened.
    message: String,
    /// What to do about it.
    advice: &'static str,
}

async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let project = caller.project.id;
    let since = query.get("since").map(|text| {
        Timestamp::parse(text).ok_or_else(|| wrong("since", "it is no time as in RFC 3339"))
    });
    let filter = RunFilter {
        connection: connection(&services, project, &query).await?,
        kind: object(&query)?,
        status: word(&query, "status", RunStatus::parse)?,
        direction: word(&query, "direction", RunDirection::parse)?,
        trigger: word(&query, "trigger", Trigger::parse)?,
        since: since.transpose()?,
        before: parsed::<RunId>(&query, "cursor", "a `next_cursor` of this list")?,
        limit: query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT),
    };
    let runs = services.store.runs(project, &filter).await?;
    let last = runs.last().map(|run| run.id.to_string());
    let now = services.clock.now();
    json(&PageBody {
        next_cursor: last.filter(|_| runs.len() == filter.limit as usize),
        data: runs.into_iter().map(|run| body(run, now)).collect(),
    })
}

fn word<T>(
    query: &Query,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let word = query.get(name).map(|text| {
        parse(text).ok_or_else(|| wrong(name, &format!("there is no {name} {:?}", short(text))))
    });
    word.transpose()
}

async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let run = by_id(&services, caller.project.id, &id).await?;
    json(&body(run, services.clock.now()))
}

async fn cancel(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let project = actor.project.id;
    let run = by_id(&services, project, &id).await?;
    let scope = services.store.scope_by_id(project, run.connection).await?;
    let interval = services.sync_interval;
    // With a connection its runs end.
    let ended = match &scope {
        Some(scope) if services.unify.cancel_run(scope, &run, interval).await? => Some(scope),
        _ => None,
    };
    let Some(scope) = ended else {
        let detail = match run.direction {
            RunDirection::Inbound => "The run is over.",
            RunDirection::Outbound => "A run that pushes changes is not cancelled: cancel changes.",
        };
        return Err(Error::new(Code::Conflict, detail.to_owned()));
    };
    let details = serde_json::json!({ "run": run.id });
    actor
        .audit_sync(&services, "sync.cancel", (scope, run.kind), details)
        .await?;
    let run = by_id(&services, project, &id).await?;
    json(&body(run, services.clock.now()))
}

/// A run of the project.
pub(super) async fn by_id(services: &Services, project: ProjectId, id: &str) -> Result<Run, Error> {
    let run = match id.parse::<RunId>() {
        Ok(id) => services.store.run(project, id).await?,
        Err(_) => None,
    };
    run.ok_or_else(|| {
        let detail = format!("This project has no sync run {:?}.", short(id));
        Error::new(Code::SyncRunNotFound, detail)
    })
}

/// A run as it is shown.
pub(super) fn body(run: Run, now: Timestamp) -> RunBody {
    let counts = run.counts;
    let until = run.finished_at.unwrap_or(now).as_millis();
    let (version, digest) = run.by.map(|by| (by.version, by.digest)).unzip();
    RunBody {
        id: run.id.to_string(),
        connection_id: run.connection.to_string(),
        provider: run.connector.to_string(),
        object: run.kind.name(),
        direction: run.direction,
        trigger: run.trigger,
        status: run.status,
        full: run.full,
        resumed: run.resumed,
        connector_version: version,
        connector_digest: digest,
        attempts: run.attempts,
        pages: run.pages,
        counts: CountsBody {
            read: counts.read,
            created: counts.created,
            updated: counts.updated,
            unchanged: counts.unchanged,
            deleted: counts.deleted,
            failed: counts.failed,
            conflicts: counts.conflicts,
            pushed: counts.pushed,
        },
        requests: counts.requests,
        bytes: counts.bytes,
        estimate: run.estimate.map(|estimate| EstimateBody {
            records: estimate.records,
            source: estimate.source,
        }),
        error: run.error.map(|error| ErrorBody {
            class: error.class,
            message: error.message,
            advice: error.class.advice(),
        }),
        errors: run
            .errors
            .iter()
            .map(|(class, count)| (class.as_str(), *count))
            .collect(),
        next_attempt_at: run.next_attempt_at.map(|time| time.to_string()),
        started_at: run.started_at.to_string(),
        finished_at: run.finished_at.map(|time| time.to_string()),
        duration_ms: (until - run.started_at.as_millis()).max(0),
    }
}
