//! Records that a connector cannot unify: what they are, why, and trying them again.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    changes::PROVIDER,
    json,
    lists::{connection, limit, object, parsed, short},
    sync_runs,
};
use crate::{
    http::{
        Services,
        body::OptionalJson,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{DEFAULT_LIMIT, FailureId, MAX_LIMIT, ProjectId, RunId, SyncFailure},
    store::FailureFilter,
    unify::FailureRetry,
};

pub(super) fn operations() -> Vec<Operation> {
    let cursor =
        || Parameter::query::<Uuid>("cursor", "From where: `next_cursor` of another page.");
    vec![
        Operation::get("/sync-failures", list)
            .id("listSyncFailures")
            .tag("Sync")
            .summary("Records that could not be unified when they were read last.")
            .describe("Such a record stops no page. It is kept as the provider gave it until it can be unified, its connection is deleted, or it was not seen for the time that runs are kept.")
            .query::<Uuid>("connection_id", "Only those of this connection.")
            .query::<String>("object", "Only those of this object, such as `crm.contact`.")
            .query::<Uuid>("run_id", "Only those that this run read last.")
            .parameter(cursor())
            .parameter(limit())
            .gives::<PageBody>(200, "A page."),
        Operation::get("/sync-runs/{id}/failures", of_run)
            .id("listSyncRunFailures")
            .tag("Sync")
            .summary("Records that this run read last and that could not be unified.")
            .path::<Uuid>("id", "The run's id.")
            .parameter(cursor())
            .parameter(limit())
            .gives::<PageBody>(200, "A page.")
            .fails(&[Code::SyncRunNotFound]),
        Operation::post("/sync-failures/{id}/retry", retry)
            .id("retrySyncFailure")
            .tag("Sync")
            .summary("Try a failing record again, alone.")
            .describe("It is read from the provider anew, or, where the connector reads no single records, the document that is kept is unified again.")
            .path::<Uuid>("id", "The failure's id.")
            .takes_optional::<Retry>()
            .gives::<RetryBody>(200, "What came of it.")
            .fails(&[Code::SyncFailureNotFound])
            .fails(PROVIDER),
    ]
}

/// A page of failing records.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncFailurePage")]
struct PageBody {
    #[schemars(with = "Option<Uuid>")]
    next_cursor: Option<String>,
    data: Vec<FailureBody>,
}

/// A record that could not be unified.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncFailure")]
struct FailureBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(with = "Uuid")]
    connection_id: String,
    provider: String,
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    /// The provider's id of the record.
    remote_id: String,
    /// Why, in a sentence.
    reason: String,
    /// The record as the provider gave it last.
    #[schemars(with = "serde_json::Value")]
    remote_data: Option<Box<RawValue>>,
    /// The run that read it last; null where it was read alone.
    #[schemars(with = "Option<Uuid>")]
    run_id: Option<String>,
    /// How often it failed.
    count: u64,
    #[schemars(extend("format" = "date-time"))]
    first_seen_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_seen_at: String,
}

/// How a failing record is tried again.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "RetrySyncFailure")]
#[serde(deny_unknown_fields)]
struct Retry {
    /// Whether the document that is kept is unified again, without asking the provider.
    #[serde(default)]
    stored: bool,
}

/// What came of trying a failing record again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncFailureRetry")]
struct RetryBody {
    /// `stored`: it is unified now; `deleted`: the provider has it no more; `failed`: it still
    /// cannot be unified.
    #[schemars(extend("enum" = ["stored", "deleted", "failed"]))]
    outcome: &'static str,
    /// The record's id.
    #[schemars(with = "Option<Uuid>")]
    record_id: Option<String>,
    /// Why it still fails.
    reason: Option<String>,
}

async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let project = caller.project.id;
    let filter = FailureFilter {
        connection: connection(&services, project, &query).await?,
        kind: object(&query)?,
        run: parsed::<RunId>(&query, "run_id", "the id of a sync run")?,
        ..FailureFilter::default()
    };
    page(&services, project, filter, &query).await
}

async fn of_run(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Error> {
    let project = caller.project.id;
    let run = sync_runs::by_id(&services, project, &id).await?;
    let filter = FailureFilter {
        run: Some(run.id),
        ..FailureFilter::default()
    };
    page(&services, project, filter, &query).await
}

async fn page(
    services: &Services,
    project: ProjectId,
    filter: FailureFilter,
    query: &Query,
) -> Result<Response, Error> {
    let filter = FailureFilter {
        before: parsed::<FailureId>(query, "cursor", "a `next_cursor` of this list")?,
        limit: query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT),
        ..filter
    };
    let failures = services.store.failures(project, &filter).await?;
    let last = failures.last().map(|failure| failure.id.to_string());
    json(&PageBody {
        next_cursor: last.filter(|_| failures.len() == filter.limit as usize),
        data: failures.into_iter().map(body).collect(),
    })
}

async fn retry(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    OptionalJson(retry): OptionalJson<Retry>,
) -> Result<Response, Error> {
    let project = actor.project.id;
    let store = &services.store;
    let not_found = || {
        let detail = format!(
            "This project has no failing record {:?}; one that can be unified again is none any more.",
            short(&id)
        );
        Error::new(Code::SyncFailureNotFound, detail)
    };
    let failure = match id.parse::<FailureId>() {
        Ok(id) => store.failure(project, id).await?,
        Err(_) => None,
    };
    let failure = failure.ok_or_else(not_found)?;
    let scope = store.scope_by_id(project, failure.connection).await?;
    let scope = scope.ok_or_else(not_found)?;
    let stored = retry.unwrap_or_default().stored;
    let (outcome, record, reason) = match services
        .unify
        .retry_failure(&scope, &failure, stored)
        .await?
    {
        FailureRetry::Stored(record) => ("stored", Some(record), None),
        FailureRetry::Deleted => ("deleted", None, None),
        FailureRetry::Failed(reason) => ("failed", None, Some(reason)),
    };
    let details = serde_json::json!({ "record": failure.record.remote_id, "outcome": outcome });
    let sync = (&scope, failure.kind);
    actor
        .audit_sync(&services, "sync_failure.retry", sync, details)
        .await?;
    json(&RetryBody {
        outcome,
        record_id: record.map(|id| id.to_string()),
        reason,
    })
}

fn body(failure: SyncFailure) -> FailureBody {
    FailureBody {
        id: failure.id.to_string(),
        connection_id: failure.connection.to_string(),
        provider: failure.connector.to_string(),
        object: failure.kind.name(),
        remote_id: failure.record.remote_id,
        reason: failure.record.reason,
        remote_data: RawValue::from_string(failure.record.remote).ok(),
        run_id: failure.run.map(|id| id.to_string()),
        count: failure.count,
        first_seen_at: failure.first_seen_at.to_string(),
        last_seen_at: failure.last_seen_at.to_string(),
    }
}
