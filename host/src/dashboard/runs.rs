//! The sync log: every execution of a sync, in charts, in a list, and each with all that is known.

mod action;
mod charts;
mod missing;
mod page;
pub(super) mod range;

use std::sync::Arc;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use self::range::Range;
use super::{Desktop, Section, address::address, board, desk::ProjectDesk};
use crate::{
    model::{ErrorClass, Run, RunDirection, RunId, RunStatus, Scope, Slug},
    store::{LogFilter, RunChart},
    web::{self, Page, assets, fragment, parts},
};

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/runs", get(list))
        .route("/dashboard/{project}/runs/charts", get(chart_part))
        .route("/dashboard/{project}/runs/{id}", get(page::show))
        .route("/dashboard/{project}/runs/{id}/live", get(page::live))
        .route("/dashboard/{project}/runs/{id}/again", post(action::again))
        .route("/dashboard/{project}/runs/{id}/pause", post(action::pause))
        .route(
            "/dashboard/{project}/runs/{id}/resume",
            post(action::resume),
        )
        .route(
            "/dashboard/{project}/runs/{id}/cancel",
            post(action::cancel),
        )
        .route("/dashboard/{project}/runs/{id}/missing", get(missing::show))
        .route(
            "/dashboard/{project}/runs/{id}/answer",
            post(action::answer),
        )
}

/// What is asked of the log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    range: String,
    connector: String,
    connection: String,
    object: String,
    status: String,
    class: String,
    before: String,
    after: String,
    /// Whether the charts come with the page: without JavaScript nothing loads them.
    charts: String,
}

/// The same, understood.
struct Wanted {
    range: Range,
    scope: Option<Scope>,
    filter: LogFilter,
}

impl Wanted {
    async fn of(desk: &ProjectDesk, asked: &Asked) -> Result<Self, web::Error> {
        let range = board::word(&asked.range, "range", Range::parse)?.unwrap_or(Range::Week);
        let scope = board::connection(desk, &asked.connection).await?;
        let run = |text: &str| board::word(text, "run", |text| text.parse::<RunId>().ok());
        let slug = |text: &str| text.parse::<Slug>().ok();
        let filter = LogFilter {
            connector: board::word(&asked.connector, "connector", slug)?,
            connection: scope.as_ref().map(|scope| scope.connection().number),
            kind: board::object(&asked.object)?,
            status: board::word(&asked.status, "status", RunStatus::parse)?,
            class: board::word(&asked.class, "error class", ErrorClass::parse)?,
            since: range.since(desk.services.clock.now()),
            before: run(&asked.before)?,
            after: run(&asked.after)?,
            limit: board::PAGE + 1,
        };
        Ok(Self {
            range,
            scope,
            filter,
        })
    }

    fn chart(&self) -> RunChart {
        RunChart {
            connector: self.filter.connector.clone(),
            connection: self.filter.connection,
            kind: self.filter.kind,
        }
    }
}

impl Asked {
    /// The address of the same list elsewhere.
    fn at(&self, path: &str, before: &str, after: &str, charts: &str) -> String {
        address(
            path,
            &[
                ("range", &self.range),
                ("connector", &self.connector),
                ("connection", &self.connection),
                ("object", &self.object),
                ("status", &self.status),
                ("class", &self.class),
                ("before", before),
                ("after", after),
                ("charts", charts),
            ],
        )
    }
}

async fn list(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
) -> Result<Response, web::Error> {
    let wanted = Wanted::of(&desk, &asked).await?;
    let store = &desk.services.store;
    let mut runs = store.run_log(desk.project.id, &wanted.filter).await?;
    let is_more = runs.len() > board::PAGE as usize;
    let back = wanted.filter.after.is_some();
    if is_more && back {
        runs.remove(0);
    }
    runs.truncate(board::PAGE as usize);
    let path = desk.href("/runs");
    let has_next = if back { !runs.is_empty() } else { is_more };
    let has_previous = if back {
        is_more
    } else {
        wanted.filter.before.is_some()
    };
    let next = runs.last().filter(|_| has_next);
    let next = next.map(|run| asked.at(&path, &run.id.to_string(), "", ""));
    let previous = runs.first().filter(|_| has_previous);
    let previous = previous.map(|run| asked.at(&path, "", &run.id.to_string(), ""));
    let load = asked.at(&desk.href("/runs/charts"), "", "", "");
    let with_charts = asked.at(&path, "", "", "shown");
    let body = html! {
        (filter(&desk, &asked, &wanted))
        @if asked.charts.is_empty() {
            div hx-get=(load) hx-trigger="load" {
                p.muted { "The charts are being added up…" }
                noscript { p { a href=(with_charts) { "Show the charts" } } }
            }
        } @else {
            (charts::body(&desk, &wanted).await?)
        }
        h2 { "Runs" }
        @if runs.is_empty() {
            (nothing(&desk, &wanted))
        } @else {
            (table(&desk, "Runs", &runs))
            (parts::pager(next.as_deref(), previous.as_deref()))
        }
    };
    let page = Page::new("Sync log").script(assets::UPLOT);
    Ok(desk.page_with(page, Section::Runs, body))
}

async fn chart_part(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
) -> Result<Response, web::Error> {
    let wanted = Wanted::of(&desk, &asked).await?;
    Ok(fragment(charts::body(&desk, &wanted).await?))
}

fn filter(desk: &ProjectDesk, asked: &Asked, wanted: &Wanted) -> Markup {
    let slugs = board::connectors(desk);
    let ranges = Range::ALL.iter();
    let ranges = ranges.map(|range| (range.as_str().to_owned(), range.label().to_owned()));
    let statuses = RunStatus::ALL.iter().map(|one| one.as_str());
    let classes = ErrorClass::ALL.iter().map(|one| one.as_str());
    let choices: Vec<parts::Choice> = ranges
        .map(|(value, label)| parts::Choice::new(value, label))
        .collect();
    let range = parts::select("range", &choices, wanted.range.as_str(), false);
    html! {
        form.form.filter method="get" action=(desk.href("/runs")) role="search" aria-label="Filter the sync log" {
            (parts::field("range", "Begun in", "", None, &range))
            (board::choice("status", "Result", "All", board::words(statuses), &asked.status))
            (board::choice("class", "Error class", "All", board::words(classes), &asked.class))
            (board::choice("connector", "Connector", "All", slugs, &asked.connector))
            (board::choice("object", "Object", "All", board::objects(), &asked.object))
            (board::connection_field(&asked.connection))
            button.button type="submit" { "Filter" }
        }
        @if let Some(scope) = &wanted.scope {
            @let connection = scope.connection();
            p {
                "Of the connection "
                a href=(desk.href(&format!("/connections/{}", connection.id))) {
                    (connection.connector) @if let Some(name) = &connection.account_name { " · " (name) }
                }
                " only."
            }
        }
    }
}

fn nothing(desk: &ProjectDesk, wanted: &Wanted) -> Markup {
    let filter = &wanted.filter;
    let is_narrow = filter.connector.is_some()
        || filter.connection.is_some()
        || filter.kind.is_some()
        || filter.status.is_some()
        || filter.class.is_some()
        || wanted.range != Range::All;
    let all = desk.href("/runs?range=all");
    let connections = desk.href("/connections");
    if is_narrow {
        let text = "Choose a longer time, or other filters.";
        parts::empty("No run is like this", text, Some(("Show all runs", &all)))
    } else {
        let text = "A sync begins as soon as an account is connected.";
        parts::empty(
            "No sync has run yet",
            text,
            Some(("To the connections", &connections)),
        )
    }
}

/// Runs, one a line.
pub(super) fn table(desk: &ProjectDesk, name: &str, runs: &[Run]) -> Markup {
    let now = desk.services.clock.now();
    let rows = html! {
        @for run in runs {
            tr {
                th scope="row" {
                    a href=(desk.href(&format!("/runs/{}", run.id))) { (run.connector) " · " (run.kind) }
                    @if run.direction == RunDirection::Outbound { " " (parts::badge(parts::Tone::Neutral, "outbound")) }
                }
                td {
                    (board::status(run.status))
                    @if let Some(error) = run.error.as_ref().filter(|_| run.status != RunStatus::Completed) {
                        " " span.muted title=(error.message) { (board::plain(error.class.as_str())) }
                    }
                }
                td { (board::plain(run.trigger.as_str())) }
                td.number { (parts::number(run.counts.read + run.counts.pushed)) }
                td.number { (parts::number(run.counts.created + run.counts.updated + run.counts.deleted)) }
                td.number { (parts::number(run.counts.failed)) }
                td.nowrap { (parts::duration(run.finished_at.unwrap_or(now).since(run.started_at))) }
                td.nowrap { (parts::time(run.started_at)) }
            }
        }
    };
    let columns = [
        "Sync",
        "Result",
        "Because of",
        "Records",
        "Changed",
        "Failed",
        "Took",
        "Began",
    ];
    parts::table(name, &columns, &rows)
}

/// How far a run is, where that is known; else how many pages it read.
pub(super) fn progress(run: &Run) -> Markup {
    let done = run.counts.read;
    match run.estimate {
        Some(estimate) if estimate.records > 0 => {
            let percent = (done.saturating_mul(100) / estimate.records).min(100);
            let label = format!(
                "{percent} % of about {} records",
                parts::number(estimate.records)
            );
            html! {
                progress.progress value=(done.min(estimate.records)) max=(estimate.records) aria-label=(label) {}
                span.muted.small { (label) }
            }
        }
        _ => html! { (parts::number(run.pages)) @if run.pages == 1 { " page" } @else { " pages" } },
    }
}
