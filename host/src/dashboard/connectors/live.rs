//! What a connector logs, as it logs it.

use axum::{extract::Path, response::Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::{HOME, parse_slug, unknown};
use crate::{
    dashboard::{Desk, Section},
    model::Slug,
    runtime::{LogLevel, LogLine},
    web::{
        self, Page, Query,
        parts::{self, Choice, Tone},
    },
};

const STYLE: &str = "\
.log { list-style: none; margin: 0; padding: .5rem .75rem; background: var(--sunk); border: 1px solid var(--line); border-radius: var(--radius); max-height: 70vh; overflow: auto; font-family: var(--mono); font-size: .85em; }\
.log li { display: grid; grid-template-columns: 10rem 4.5rem minmax(0, 1fr); gap: .75rem; padding: .2rem 0; }\
.log .said { white-space: pre-wrap; overflow-wrap: anywhere; }\
.log li.tail { display: block; min-height: 1px; padding: 0; }\
@media (max-width: 52rem) { .log li { grid-template-columns: 1fr; gap: 0; padding: .4rem 0; } }";

/// What is wanted of the log.
#[derive(Deserialize)]
pub(super) struct Wanted {
    /// The least level.
    #[serde(default)]
    level: Option<String>,
    /// The number of the last line that is shown already.
    #[serde(default)]
    after: Option<u64>,
}

impl Wanted {
    fn least(&self) -> LogLevel {
        let level = self.level.as_deref().and_then(LogLevel::parse);
        level.unwrap_or(LogLevel::Debug)
    }
}

pub(super) async fn show(
    desk: Desk,
    Path(slug): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, web::Error> {
    let slug = parse_slug(&slug)?;
    let runtime = &desk.services.runtime;
    let status = runtime
        .status(&slug)
        .ok_or_else(|| unknown(slug.as_str()))?;
    let name = status
        .described
        .map_or_else(|| slug.to_string(), |one| one.name);
    let least = wanted.least();
    let lines = runtime.live_log(&slug, 0, least);
    let choices = LogLevel::ALL.map(|level| {
        let label = match level {
            LogLevel::Debug => "Everything",
            LogLevel::Info => "Info and above",
            LogLevel::Warn => "Warnings and errors",
            LogLevel::Error => "Errors",
        };
        Choice::new(level.as_str(), label)
    });
    let body = html! {
        p { a href={ (HOME) "/" (slug) } { "← " (name) } }
        p.muted { "What the connector itself logs on this server, as it happens: the last few hundred lines since the server started. Other servers of the same database have their own. Secrets of connections are masked before a connector sees them." }
        form.form.filter method="get" {
            (parts::field("level", "Show", "", None, &parts::select("level", &choices, least.as_str(), false)))
            button.button type="submit" { "Show" }
        }
        ol.log aria-label="Log lines" aria-live="polite" tabindex="0" {
            @if lines.is_empty() { li.tail { "Nothing was logged yet. Lines appear here when the connector is called." } }
            (rows(&slug, least, 0, &lines))
        }
    };
    let page = Page::new(format!("Live log of {name}")).style(STYLE);
    Ok(desk.page_with(page, Section::Connectors, body))
}

pub(super) async fn lines(
    desk: Desk,
    Path(slug): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, web::Error> {
    let slug = parse_slug(&slug)?;
    let (least, after) = (wanted.least(), wanted.after.unwrap_or_default());
    let lines = desk.services.runtime.live_log(&slug, after, least);
    Ok(web::fragment(rows(&slug, least, after, &lines)))
}

/// Lines, and what asks for the next in its place.
fn rows(slug: &Slug, least: LogLevel, after: u64, lines: &[LogLine]) -> Markup {
    let after = lines.last().map_or(after, |line| line.number);
    let next = format!(
        "{HOME}/{slug}/log/lines?level={}&after={after}",
        least.as_str()
    );
    html! {
        @for line in lines {
            li {
                span { (parts::time(line.at)) }
                span { (parts::badge(tone(line.level), line.level.as_str())) }
                span.said {
                    (line.text)
                    @if !line.connection.is_empty() { " " span.muted { "connection " (line.connection) } }
                }
            }
        }
        li.tail hx-get=(next) hx-trigger="load delay:2s" hx-swap="outerHTML" {}
    }
}

const fn tone(level: LogLevel) -> Tone {
    match level {
        LogLevel::Debug => Tone::Neutral,
        LogLevel::Info => Tone::Info,
        LogLevel::Warn => Tone::Warn,
        LogLevel::Error => Tone::Bad,
    }
}
