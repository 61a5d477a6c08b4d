//! Whether all is well, and why not: in one sentence, then what to do, then what happens now.

mod attention;
mod charts;
mod first_steps;

use std::sync::Arc;

use axum::{Router, response::Response, routing::get};
use maud::{Markup, html};
use serde::Deserialize;

use self::attention::{Item, Weight};
use super::{Desktop, Section, address::address, desk::ProjectDesk};
use crate::{
    model::Run,
    store::{ConnectionCounts, Counted},
    web::{
        self, Page, assets, fragment,
        parts::{self, Tone},
    },
};

/// Runs at work that are shown.
const AT_WORK: u32 = 8;

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}", get(overview))
        .route("/dashboard/{project}/overview/now", get(now))
        .route("/dashboard/{project}/overview/charts", get(charts))
}

/// Which time the charts show.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    range: String,
    /// Whether the charts come with the page: without JavaScript nothing loads them.
    #[serde(default)]
    charts: String,
}

async fn overview(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    let connections = store.connection_counts(desk.project.id).await?;
    if connections == ConnectionCounts::default() {
        let body = first_steps::body(&desk);
        return Ok(desk.page(Section::Overview, "Overview", body));
    }
    let mut idle = store.valid_connections(desk.project.id).await?;
    idle.retain(|(slug, _)| desk.services.runtime.active(slug).is_none());
    let waiting: u64 = idle.iter().map(|(_, count)| count).sum();
    let working = connections.valid.saturating_sub(waiting);
    let items = attention::find(&desk, &connections, &idle).await?;
    let (runs, at_work) = store.runs_at_work(desk.project.id, AT_WORK).await?;
    let path = desk.href("/overview/charts");
    let load = address(&path, &[("range", &asked.range)]);
    let with_charts = address(
        &desk.href(""),
        &[("range", &asked.range), ("charts", "shown")],
    );
    let body = html! {
        (sentence(&items, working, at_work))
        div.stats {
            (parts::stat("Connections", &parts::number(connections.valid + connections.needs_reconnect), &match (connections.needs_reconnect, waiting) {
                (0, 0) => "all of them work".to_owned(),
                (0, waiting) => format!("{} without their connector", parts::number(waiting)),
                (dead, 0) => dead_logins(dead),
                (dead, waiting) => format!("{}, {} without their connector", dead_logins(dead), parts::number(waiting)),
            }))
            (parts::stat("Syncs running", &at_work.to_string(), "at this moment"))
            (parts::stat("Failed records", &store.failing_records(desk.project.id).await?.to_string(), "could not be unified"))
            (parts::stat("Open conflicts", &store.open_conflicts(desk.project.id, None, None).await?.to_string(), "wait for a decision"))
        }
        @if !items.is_empty() {
            section aria-labelledby="attention" {
                h2 id="attention" { "Needs attention" }
                ul.attention {
                    @for item in &items { (attention_item(item)) }
                }
            }
        }
        section aria-labelledby="now" {
            h2 id="now" { "Syncs running now" }
            div hx-get=(desk.href("/overview/now")) hx-trigger="every 4s" {
                (running(&desk, &runs, at_work))
            }
        }
        section aria-labelledby="time" {
            h2 id="time" { "Over time" }
            @if asked.charts.is_empty() {
                div hx-get=(load) hx-trigger="load" hx-swap="innerHTML" {
                    p.muted { "The charts are being added up…" }
                    noscript { p { a href=(with_charts) { "Show the charts" } } }
                }
            } @else {
                (charts::body(&desk, &asked.range).await?)
            }
        }
    };
    let page = Page::new("Overview").script(assets::UPLOT).style(STYLE);
    Ok(desk.page_with(page, Section::Overview, body))
}

const STYLE: &str = "
main > section { margin-top: 1.75rem; }
.attention { list-style: none; margin: 0; padding: 0; display: grid; gap: .6rem; }
.attention li { background: var(--panel); border: 1px solid var(--line); border-left: 4px solid var(--warn);
  border-radius: var(--radius); padding: .7rem 1rem; display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; }
.attention li.bad { border-left-color: var(--bad); }
.attention .text { flex: 1 1 20rem; }
.attention .text p { margin: 0; }
";

async fn now(desk: ProjectDesk) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    let (runs, at_work) = store.runs_at_work(desk.project.id, AT_WORK).await?;
    Ok(fragment(running(&desk, &runs, at_work)))
}

async fn charts(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
) -> Result<Response, web::Error> {
    Ok(fragment(charts::body(&desk, &asked.range).await?))
}

fn dead_logins(dead: u64) -> String {
    let needs = if dead == 1 { "needs" } else { "need" };
    format!("{} {needs} a new login", parts::number(dead))
}

/// The one sentence that matters.
fn sentence(items: &[Item], working: u64, at_work: Counted) -> Markup {
    let broken = items
        .iter()
        .filter(|item| item.weight == Weight::Broken)
        .count();
    let runs = match (at_work.number, at_work.more) {
        (0, _) => "No sync is running at this moment.".to_owned(),
        (1, false) => "One sync is running.".to_owned(),
        _ => format!("{at_work} syncs are running."),
    };
    let things = |count: usize| match count {
        1 => "One thing".to_owned(),
        count => format!("{count} things"),
    };
    let needs = |count: usize| if count == 1 { "needs" } else { "need" };
    let (tone, title) = match (items.len(), broken) {
        (0, _) => (Tone::Good, "All is well.".to_owned()),
        (all, 0) => (
            Tone::Warn,
            format!(
                "It works; {} {} a look.",
                things(all).to_lowercase(),
                needs(all)
            ),
        ),
        (all, broken) => {
            let are = if broken == 1 { "is" } else { "are" };
            let look = match all - broken {
                0 => String::new(),
                look => format!(", {look} {} a look", needs(look)),
            };
            let title = format!("{} {are} broken{look}.", things(broken));
            (Tone::Bad, title)
        }
    };
    let valid = match working {
        0 => "No connection works.".to_owned(),
        1 => "One connection works.".to_owned(),
        working => format!("{} connections work.", parts::number(working)),
    };
    // The page says it when it comes; nothing interrupts its reader.
    html! {
        div class={ "alert " (tone.class()) } id="state" {
            strong { (title) }
            div { p { (valid) " " (runs) } }
        }
    }
}

fn attention_item(item: &Item) -> Markup {
    let (class, badge) = match item.weight {
        Weight::Broken => ("bad", parts::badge(Tone::Bad, "broken")),
        Weight::Look => ("warn", parts::badge(Tone::Warn, "look")),
    };
    html! {
        li class=(class) {
            (badge)
            div.text {
                p { strong { (item.title) } }
                @if !item.text.is_empty() { p.muted { (item.text) } }
            }
            a.button href=(item.href) { (item.action) }
        }
    }
}

/// Runs that are at work.
fn running(desk: &ProjectDesk, runs: &[Run], at_work: Counted) -> Markup {
    if runs.is_empty() {
        let text = "The next ones begin when their schedules say so.";
        return html! { p.muted { "No sync is running. " (text) } };
    }
    let now = desk.services.clock.now();
    let rows = html! {
        @for run in runs {
            tr {
                th scope="row" {
                    a href=(desk.href(&format!("/runs/{}", run.id))) { (run.connector) " · " (run.kind) }
                }
                td.number { (parts::number(run.counts.read + run.counts.pushed)) }
                td { (super::runs::progress(run)) }
                td.nowrap { (parts::duration(now.since(run.started_at))) }
            }
        }
    };
    html! {
        (parts::table("Syncs running now", &["Sync", "Records", "Progress", "For"], &rows))
        @if at_work.number > u64::from(AT_WORK) {
            p { a href=(desk.href("/runs?status=running")) { "All " (at_work) " that are running" } }
        }
    }
}
