//! Records that a connector could not unify: why, what the provider gave, and trying again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::Path,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{Desktop, Section, address::address, board, desk::ProjectDesk};
use crate::{
    model::{ConnectionId, FailureId, ObjectKind, Role, RunId, Scope, SyncFailure},
    store::{FailureFilter, NEVER, SyncState},
    unify::FailureRetry,
    web::{self, parts, parts::Tone},
};

/// Records that are tried again by one click at most.
const TOGETHER: u32 = 100;
/// How long trying them again may take before the rest is left for another click.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/failures", get(list))
        .route("/dashboard/{project}/failures/retry", post(retry_all))
        .route("/dashboard/{project}/failures/{id}/retry", post(retry))
}

/// What is asked of the list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    connection: String,
    object: String,
    run: String,
    before: String,
}

/// How a failing record is tried again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Retry {
    /// Whether the document that is kept is unified again, without asking the provider.
    stored: bool,
}

/// When the sync of a failing record runs by itself.
type Schedules = HashMap<(ConnectionId, ObjectKind), SyncState>;

impl Asked {
    fn at(&self, path: &str, before: &str) -> String {
        let Self {
            connection,
            object,
            run,
            ..
        } = self;
        address(
            path,
            &[
                ("connection", connection),
                ("object", object),
                ("run", run),
                ("before", before),
            ],
        )
    }

    async fn filter(&self, desk: &ProjectDesk, limit: u32) -> Result<FailureFilter, web::Error> {
        let scope = board::connection(desk, &self.connection).await?;
        let run = |text: &str| text.parse::<RunId>().ok();
        let place = |text: &str| text.parse::<FailureId>().ok();
        Ok(FailureFilter {
            connection: scope.map(|scope| scope.connection().number),
            kind: board::object(&self.object)?,
            run: board::word(&self.run, "run", run)?,
            before: board::word(&self.before, "place in this list", place)?,
            limit,
        })
    }
}

async fn list(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    let filter = asked.filter(&desk, board::PAGE + 1).await?;
    let mut failures = store.failures(desk.project.id, &filter).await?;
    let is_more = failures.len() > board::PAGE as usize;
    failures.truncate(board::PAGE as usize);
    let schedules = schedules(&desk, &failures).await?;
    let path = desk.href("/failures");
    let next = failures.last().filter(|_| is_more);
    let next = next.map(|last| asked.at(&path, &last.id.to_string()));
    let first = asked.at(&path, "");
    let first = Some(first.as_str()).filter(|_| !asked.before.is_empty());
    let retry = asked.at(&desk.href("/failures/retry"), "");
    let question = format!(
        "Try up to {TOGETHER} records of this list again? Each is read from the provider anew."
    );
    let connections = desk.href("/runs");
    let body = html! {
        p.muted {
            "A record that its connector cannot unify is kept as the provider gave it, and the sync goes on without it. "
            "It leaves this list by itself as soon as it can be unified."
        }
        form.form.filter method="get" action=(path) role="search" aria-label="Filter the failed records" {
            (board::choice("object", "Object", "All", board::objects(), &asked.object))
            (board::connection_field(&asked.connection))
            @if !asked.run.is_empty() { (parts::hidden("run", &asked.run)) }
            button.button type="submit" { "Filter" }
        }
        @if !asked.run.is_empty() {
            p { "Of one run only. " a href=(desk.href("/failures")) { "Show all" } }
        }
        @if failures.is_empty() {
            (parts::empty(
                "No record fails",
                "Everything that was read could be unified.",
                Some(("To the sync log", &connections)),
            ))
        } @else {
            @if desk.is(Role::Developer) {
                div.row {
                    (parts::post_button(&retry, "Try all of these again", Tone::Good, Some(&question)))
                }
            }
            (table(&desk, &failures, Some(&schedules)))
            (parts::pager(next.as_deref(), first))
        }
    };
    Ok(desk.page(Section::Failures, "Failed records", body))
}

/// Failing records, one a line, with what can be done.
pub(super) fn table(
    desk: &ProjectDesk,
    failures: &[SyncFailure],
    schedules: Option<&Schedules>,
) -> Markup {
    let rows = html! {
        @for failure in failures {
            tr {
                th scope="row" {
                    (failure.connector) " · " (failure.kind) br;
                    code { (board::cut(&failure.record.remote_id, 60)) }
                }
                td {
                    p { (failure.record.reason) }
                    details {
                        summary { "The provider’s document" }
                        (payload(&failure.record.remote))
                    }
                }
                td {
                    (failure.count) @if failure.count == 1 { " time" } @else { " times" } br;
                    span.muted { "first " (parts::time(failure.first_seen_at)) br; "last " (parts::time(failure.last_seen_at)) }
                    @if let Some(run) = failure.run {
                        br; a href=(desk.href(&format!("/runs/{run}"))) { "Run" }
                    }
                }
                td { (next_attempt(failure, schedules)) }
                td {
                    @if desk.is(Role::Developer) {
                        @let path = desk.href(&format!("/failures/{}/retry", failure.id));
                        div.row {
                            (parts::post_button(&path, "Read again", Tone::Neutral, None))
                            (parts::post_button_with(&path, "Unify again", Tone::Neutral, None, &[("stored", "true")]))
                        }
                    }
                }
            }
        }
    };
    let columns = ["Record", "Reason", "Failed", "Next attempt", "Try again"];
    parts::table("Failed records", &columns, &rows)
}

fn payload(document: &str) -> Markup {
    match serde_json::from_str(document) {
        Ok(value) => parts::json(&board::covered(&value)),
        Err(_) => html! { p.muted { "It is no JSON, and not shown." } },
    }
}

/// When a failing record is tried again by itself.
fn next_attempt(failure: &SyncFailure, schedules: Option<&Schedules>) -> Markup {
    let key = (failure.connection, failure.kind);
    let Some(state) = schedules.and_then(|schedules| schedules.get(&key)) else {
        return html! { "When the provider changes the record, or everything is read again." };
    };
    if state.paused {
        return html! { "None: the sync is paused." };
    }
    if state.next_run_at >= NEVER {
        return html! { "When somebody asks for the sync." };
    }
    let is_full = state.full_next || !state.full_done;
    let every = state.config.full_every;
    html! {
        @if is_full {
            "With the next run, which reads everything: " (parts::time(state.next_run_at))
        } @else if let Some(every) = every.filter(|every| state.runs_since_full + 1 >= *every) {
            "With the next run, every " (every) "th of which reads everything: " (parts::time(state.next_run_at))
        } @else {
            "When the provider changes the record; the next look is " (parts::time(state.next_run_at)) "."
        }
    }
}

/// How the syncs of failing records stand.
async fn schedules(desk: &ProjectDesk, failures: &[SyncFailure]) -> Result<Schedules, web::Error> {
    let mut known = Schedules::new();
    for failure in failures {
        if known.contains_key(&(failure.connection, failure.kind)) {
            continue;
        }
        let Some(scope) = scope(desk, failure).await? else {
            continue;
        };
        for state in desk.services.store.sync_states(&scope).await? {
            known.insert((failure.connection, state.kind), state);
        }
    }
    Ok(known)
}

async fn scope(desk: &ProjectDesk, failure: &SyncFailure) -> Result<Option<Scope>, web::Error> {
    let store = &desk.services.store;
    Ok(store
        .scope_by_id(desk.project.id, failure.connection)
        .await?)
}

async fn retry(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
    web::Form(retry): web::Form<Retry>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let id = path.get("id").and_then(|id| id.parse::<FailureId>().ok());
    let failure = match id {
        Some(id) => desk.services.store.failure(desk.project.id, id).await?,
        None => None,
    };
    let href = desk.href("/failures");
    let Some(failure) = failure else {
        let message = "This record fails no more: it was unified, or is gone.";
        return Ok(desk.done(message, &href));
    };
    let Some(scope) = scope(&desk, &failure).await? else {
        return Err(web::Error::not_found(
            "The connection of this record was deleted.",
        ));
    };
    let tried = desk
        .services
        .unify
        .retry_failure(&scope, &failure, retry.stored)
        .await?;
    let details = json!({ "object": failure.kind.name(), "record": failure.record.remote_id });
    desk.audit("sync_failure.retry", failure.connection, details)
        .await?;
    let message = match tried {
        FailureRetry::Stored(_) => "It is unified now, and leaves this list.".to_owned(),
        FailureRetry::Deleted => "The provider has it no more; it leaves this list.".to_owned(),
        FailureRetry::Failed(reason) => format!("It still fails: {}", board::cut(&reason, 300)),
    };
    Ok(desk.done(&message, &href))
}

async fn retry_all(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let services = &desk.services;
    let filter = asked.filter(&desk, TOGETHER).await?;
    let failures = services.store.failures(desk.project.id, &filter).await?;
    let until = services.clock.now().plus(PATIENCE);
    let (mut good, mut bad, mut left) = (0_u32, 0_u32, 0_u32);
    let mut refused = None;
    for failure in &failures {
        if services.clock.now() > until {
            left += 1;
            continue;
        }
        let Some(scope) = scope(&desk, failure).await? else {
            continue;
        };
        match services.unify.retry_failure(&scope, failure, false).await {
            Ok(FailureRetry::Stored(_) | FailureRetry::Deleted) => good += 1,
            Ok(FailureRetry::Failed(_)) => bad += 1,
            Err(error) => {
                bad += 1;
                refused = Some(web::Error::from(error).detail().to_owned());
            }
        }
    }
    let details = json!({ "unified": good, "still_failing": bad });
    desk.audit("sync_failure.retry", desk.project.id, details)
        .await?;
    let mut message = format!("{good} can be unified now, {bad} still fail.");
    if left > 0 {
        message = format!("{message} {left} were not tried yet, for it took long: click again.");
    }
    if let Some(refused) = refused {
        let refused = board::cut(&refused, 200);
        message = format!("{message} The last error: {refused}");
    }
    Ok(desk.done(&message, &asked.at(&desk.href("/failures"), "")))
}
