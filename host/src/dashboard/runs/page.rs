//! One run: what it does or did, why it failed, and what can be done.

use std::collections::BTreeMap;

use axum::{
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use maud::{Markup, html};

use super::{progress, table};
use crate::{
    dashboard::{Section, board, desk::ProjectDesk, diagnosis, failures},
    http,
    model::{Question, Role, Run, RunDirection, RunId, RunStatus, Scope, Timestamp},
    store::{FailureFilter, LogFilter, SyncState},
    web::{
        self, Page, fragment,
        parts::{self, Tone},
    },
};

/// Failed records that are shown with a run.
const FAILURES: u32 = 20;
/// Other runs of the same sync that are shown.
const BEFORE: u32 = 6;

const STYLE: &str = "
.live .stats { margin-bottom: .75rem; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); }
.timeline p { margin: 0; }
";

/// The run of a path, with its connection while that is there.
pub(super) async fn found(
    desk: &ProjectDesk,
    id: &str,
) -> Result<(Run, Option<Scope>), web::Error> {
    let store = &desk.services.store;
    let run = match id.parse::<RunId>() {
        Ok(id) => store.run(desk.project.id, id).await?,
        Err(_) => None,
    };
    let run = run.ok_or_else(|| {
        let id = board::cut(id, 80);
        web::Error::not_found(format!(
            "This project has no sync run “{id}”; runs are kept for a time only."
        ))
    })?;
    let scope = store.scope_by_id(desk.project.id, run.connection).await?;
    Ok((run, scope))
}

/// How the sync of a run stands.
async fn state(
    desk: &ProjectDesk,
    run: &Run,
    scope: &Scope,
) -> Result<Option<SyncState>, web::Error> {
    let states = desk.services.store.sync_states(scope).await?;
    Ok(states.into_iter().find(|state| state.kind == run.kind))
}

pub(super) async fn show(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
) -> Result<Response, web::Error> {
    let id = path.get("id").map_or("", String::as_str);
    let (run, scope) = found(&desk, id).await?;
    let store = &desk.services.store;
    let state = match &scope {
        Some(scope) => state(&desk, &run, scope).await?,
        None => None,
    };
    let failures = FailureFilter {
        run: Some(run.id),
        limit: FAILURES,
        ..FailureFilter::default()
    };
    let failures = store.failures(desk.project.id, &failures).await?;
    let others = match &scope {
        Some(scope) => {
            let filter = LogFilter {
                connection: Some(scope.connection().number),
                kind: Some(run.kind),
                limit: BEFORE,
                ..LogFilter::default()
            };
            store.run_log(desk.project.id, &filter).await?
        }
        None => Vec::new(),
    };
    let diagnosis = match &run.error {
        Some(_) if run.status != RunStatus::Stopped => {
            let diagnosis = desk.services.diagnoses.run(desk.project.id, run.id).await;
            diagnosis.map_err(http::Error::from)?
        }
        _ => None,
    };
    let is_over = run.finished_at.is_some();
    let waits = waits(&desk, &run);
    let question = state.as_ref().and_then(|state| state.question);
    // Of the last run of the sync only: after an earlier one there are others.
    let last = state
        .as_ref()
        .filter(|state| is_over && state.run == Some(run.id));
    let next = scope.as_ref().zip(last).map(|(scope, state)| {
        let now = desk.services.clock.now();
        board::next_run(state, scope.connection(), now)
    });
    let body = html! {
        p {
            a href=(desk.href("/runs")) { "Sync log" } " / "
            @match &scope {
                Some(scope) => {
                    a href=(desk.href(&format!("/connections/{}", run.connection))) {
                        (run.connector) @if let Some(name) = &scope.connection().account_name { " · " (name) }
                    }
                },
                None => { (run.connector) " (this connection was deleted)" },
            }
        }
        @if let Some(question) = question.filter(|_| run.direction == RunDirection::Inbound) {
            (asks(&desk, &run, &question))
        }
        @if is_over {
            div.live { (standing(&desk, &run, waits)) }
        } @else {
            div.live aria-live="polite" hx-get=(desk.href(&format!("/runs/{}/live", run.id))) hx-trigger="every 3s" {
                (standing(&desk, &run, waits))
            }
        }
        (error(&run, diagnosis.is_some()))
        @if let Some(diagnosis) = &diagnosis { (diagnosis::panel(&desk, diagnosis)) }
        @if desk.is(Role::Developer) && scope.is_some() && run.direction == RunDirection::Inbound {
            (buttons(&desk, &run, state.as_ref()))
        }
        div.grid.two {
            section.card {
                h2 { "What happened" }
                (timeline(&run, next.as_ref(), waits))
            }
            section.card {
                h2 { "Facts" }
                (facts(&run))
            }
        }
        @if !failures.is_empty() {
            h2 { "Records that failed" }
            (failures::table(&desk, &failures, None))
            @if failures.len() == FAILURES as usize {
                p { a href=(desk.href(&format!("/failures?run={}", run.id))) { "All failed records of this run" } }
            }
        }
        @if !others.is_empty() {
            h2 { "Last runs of this sync" }
            (table(&desk, "Last runs of this sync", &others))
        }
    };
    let title = format!("Sync of {} ({})", run.kind, run.connector);
    Ok(desk.page_with(Page::new(title).style(STYLE), Section::Runs, body))
}

/// The part that changes while the run is at work. With the end, the whole page is loaded anew.
pub(super) async fn live(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
) -> Result<Response, web::Error> {
    /// The status at which htmx asks no more.
    const OVER: u16 = 286;
    let id = path.get("id").map_or("", String::as_str);
    let (run, _) = found(&desk, id).await?;
    let waits = waits(&desk, &run);
    let mut response = fragment(standing(&desk, &run, waits));
    if run.finished_at.is_some() {
        *response.status_mut() = StatusCode::from_u16(OVER).unwrap_or(StatusCode::OK);
        let name = HeaderName::from_static("hx-refresh");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Until when a run that is begun waits for the provider's limit; none where it does not.
fn waits(desk: &ProjectDesk, run: &Run) -> Option<Timestamp> {
    let now = desk.services.clock.now();
    let until = run.next_attempt_at.filter(|until| *until > now)?;
    (run.status == RunStatus::Running).then_some(until)
}

/// How it stands, in numbers.
fn standing(desk: &ProjectDesk, run: &Run, waits: Option<Timestamp>) -> Markup {
    let now = desk.services.clock.now();
    let took = run.finished_at.unwrap_or(now).since(run.started_at);
    let counts = run.counts;
    let number = parts::number;
    let seconds = took.as_secs().max(1);
    let done = counts.read + counts.pushed;
    html! {
        p.row {
            @match waits {
                Some(_) => (parts::badge(Tone::Info, "waiting")),
                None => (board::status(run.status)),
            }
            @match run.status {
                RunStatus::Running if waits.is_some() => span { "the provider lets it go on " (board::moment(waits)) },
                RunStatus::Running => span { "at work for " (parts::duration(took)) ", " (number(done / seconds)) " records a second" },
                RunStatus::Retrying => span { "goes on by itself " (board::moment(run.next_attempt_at)) },
                _ => span { "took " (parts::duration(took)) },
            }
        }
        @if run.finished_at.is_none() { p { (progress(run)) } }
        div.stats {
            @if run.direction == RunDirection::Outbound {
                (parts::stat("Changes pushed", &number(counts.pushed), ""))
            } @else {
                (parts::stat("Records read", &number(counts.read), &match run.pages {
                    1 => "in one page".to_owned(),
                    pages => format!("in {} pages", number(pages)),
                }))
            }
            (parts::stat("Created", &number(counts.created), ""))
            (parts::stat("Updated", &number(counts.updated), ""))
            (parts::stat("Deleted", &number(counts.deleted), ""))
            (parts::stat("Unchanged", &number(counts.unchanged), ""))
            (parts::stat("Failed", &number(counts.failed), ""))
            @if counts.conflicts > 0 { (parts::stat("Conflicts", &number(counts.conflicts), "")) }
        }
    }
}

/// What it asks, and both answers.
fn asks(desk: &ProjectDesk, run: &Run, question: &Question) -> Markup {
    let Question {
        missing,
        stored,
        asked_at,
    } = *question;
    let path = desk.href(&format!("/runs/{}/answer", run.id));
    let delete = format!(
        "Delete {} records here? Your applications get an event for each.",
        parts::number(missing)
    );
    let body = html! {
        p {
            "The provider no longer shows " (parts::number(missing)) " of " (parts::number(stored))
            " records, more than this sync may delete unasked. Nothing was deleted. It asks since "
            (parts::time(asked_at)) "."
        }
        p {
            "If the records are really gone, delete them here too. If something is wrong at the provider "
            "(a lost permission, a filter), keep them and look there first."
        }
        p { a href=(desk.href(&format!("/runs/{}/missing", run.id))) { "See which records" } }
        @if desk.is(Role::Developer) {
            div.row {
                (parts::post_button_with(&path, "Delete them", Tone::Bad, Some(&delete), &[("delete", "true")]))
                (parts::post_button_with(&path, "Keep them", Tone::Neutral, None, &[("delete", "false")]))
            }
        }
    };
    parts::alert(Tone::Warn, "This sync stopped and asks", &body)
}

/// Why it failed, and what to do where nothing on the page knows better.
fn error(run: &Run, is_diagnosed: bool) -> Markup {
    let Some(error) = &run.error else {
        return Markup::default();
    };
    if run.status == RunStatus::Completed || run.status == RunStatus::Stopped {
        return Markup::default();
    }
    let tone = match run.status {
        RunStatus::Failed | RunStatus::Interrupted => Tone::Bad,
        _ => Tone::Warn,
    };
    let title = format!("What went wrong: {}", board::plain(error.class.as_str()));
    let body = html! {
        p { (error.message) }
        @if !is_diagnosed { p { strong { "What to do: " } (error.class.advice()) } }
    };
    // It is part of the page, and no news that interrupts.
    html! {
        section class={ "alert " (tone.class()) } aria-label="What went wrong" {
            strong { (title) }
            div { (body) }
        }
    }
}

fn buttons(desk: &ProjectDesk, run: &Run, state: Option<&SyncState>) -> Markup {
    let Some(state) = state else {
        return Markup::default();
    };
    let path = |action: &str| desk.href(&format!("/runs/{}/{action}", run.id));
    let full = "Read every record again? For large accounts that takes a while and uses up the provider's limits.";
    html! {
        div.row {
            (parts::post_button(&path("again"), "Sync again", Tone::Good, None))
            (parts::post_button_with(&path("again"), "Read everything again", Tone::Neutral, Some(full), &[("full", "true")]))
            @if run.finished_at.is_none() {
                (parts::post_button(&path("cancel"), "Cancel this run", Tone::Bad, Some("Cancel this run? What it has read stays. The next run goes on where it was, when it is due or somebody asks for it.")))
            }
            @if state.paused {
                (parts::post_button(&path("resume"), "Resume this sync", Tone::Neutral, None))
            } @else {
                (parts::post_button(&path("pause"), "Pause this sync", Tone::Neutral, None))
            }
        }
    }
}

fn timeline(run: &Run, next: Option<&Markup>, waits: Option<Timestamp>) -> Markup {
    let attempts = run.attempts.saturating_sub(1);
    html! {
        ol.timeline {
            li {
                p { "Began " (parts::time(run.started_at)) ", because of: " (board::plain(run.trigger.as_str())) }
                @if run.resumed { p.muted { "It went on in the middle of a pass that an earlier run gave up, or that somebody cancelled." } }
            }
            @if run.pages > 0 {
                li { p { "Read " (parts::number(run.pages)) @if run.pages == 1 { " page" } @else { " pages" } ", the last " (parts::time(run.updated_at)) } }
            }
            @for (class, count) in &run.errors {
                li { p { "Failed with “" (board::plain(class.as_str())) "” " (count) @if *count == 1 { " time" } @else { " times" } } }
            }
            @if attempts > 0 {
                li { p { "Was tried again " (attempts) @if attempts == 1 { " time" } @else { " times" } } }
            }
            @if let Some(next) = run.next_attempt_at.filter(|_| waits.is_none()) {
                li { p { "Is tried again " (parts::time(next)) } }
            }
            @match (run.finished_at, waits) {
                (Some(at), _) => li { p { (board::status(run.status)) " " (parts::time(at)) } },
                (None, Some(until)) => li { p { "Waits for the provider's limit; goes on " (parts::time(until)) } },
                (None, None) if run.status == RunStatus::Running => {
                    li { p { "Is at work; something was counted last " (parts::time(run.updated_at)) } }
                },
                (None, None) => {},
            }
            @if let Some(next) = next { li { p { "The next run begins " (next) } } }
        }
    }
}

fn facts(run: &Run) -> Markup {
    let direction = match run.direction {
        RunDirection::Inbound => "from the provider to here",
        RunDirection::Outbound => "from here to the provider",
    };
    let reads = match run.full {
        Some(true) => "everything",
        Some(false) => "what changed since the run before",
        None => "–",
    };
    let version = html! {
        @match &run.by {
            Some(by) => { (run.connector) " " (by.version) " " span.muted.mono title=(by.digest) { (board::cut(&by.digest, 12)) } },
            None => { (run.connector) },
        }
    };
    parts::definition(&[
        ("Object", html! { (run.kind) }),
        ("Direction", html! { (direction) }),
        ("Reads", html! { (reads) }),
        ("Connector", version),
        ("Attempts", html! { (run.attempts) }),
        (
            "Requests to the provider",
            html! { (parts::number(run.counts.requests)) },
        ),
        (
            "Bytes both ways",
            html! { (parts::bytes(run.counts.bytes)) },
        ),
        ("Run id", parts::copyable(&run.id.to_string())),
    ])
}
