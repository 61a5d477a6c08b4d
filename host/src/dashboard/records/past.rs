//! What happened to a record: its history with what was before and after, and its events.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{
    document,
    page::{found, none},
};
use crate::{
    dashboard::{address::address, board, desk::ProjectDesk},
    model::DeliveryState,
    store::{HistoryEntry, HistoryPlace, RecordEvent, RecordPlace},
    web::{
        self, fragment,
        parts::{self, Tone},
    },
};

/// Entries of the history on one page.
const ENTRIES: u32 = 20;

/// From where the history goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    history: String,
}

/// The history of a record, the newest first; how it was created is the last entry.
pub(super) async fn history(
    desk: &ProjectDesk,
    record: &RecordPlace,
    asked: &Asked,
) -> Result<Markup, web::Error> {
    let before = board::word(&asked.history, "place in this history", place)?;
    let store = &desk.services.store;
    let mut entries = store.history(record, before, ENTRIES + 1).await?;
    let is_more = entries.len() > ENTRIES as usize;
    entries.truncate(ENTRIES as usize);
    let path = desk.href(&format!("/records/{}/{}", record.kind, record.id));
    let next = entries.last().filter(|_| is_more).map(|last| {
        let place = format!("{}_{}", last.place.at, last.place.origin);
        format!("{}#history", address(&path, &[("history", &place)]))
    });
    let first = format!("{path}#history");
    let first = Some(first.as_str()).filter(|_| before.is_some());
    Ok(html! {
        ol.timeline {
            @for one in &entries { (entry(desk, one)) }
            @if !is_more {
                li {
                    p { strong { "Created" } " " (parts::time(record.created_at)) }
                    p.muted { (document::origin_words(record.created_by.as_ref())) }
                }
            }
        }
        (parts::pager(next.as_deref(), first))
    })
}

fn entry(desk: &ProjectDesk, entry: &HistoryEntry) -> Markup {
    let action = match entry.action.as_str() {
        "deleted" => "Deleted",
        "restored" => "Came back",
        _ => "Updated",
    };
    html! {
        li {
            p {
                strong { (action) } " " (parts::time(entry.at))
                @if let Some(run) = entry.run { " · " a href=(desk.href(&format!("/runs/{run}"))) { "run" } }
            }
            p.muted { (document::origin_words(Some(&entry.origin))) }
            @if !entry.fields.is_empty() {
                ul {
                    @for (field, (before, after)) in &entry.fields {
                        li { span.mono { (field) } ": " (difference(before, after)) }
                    }
                }
            }
        }
    }
}

fn difference(before: &Value, after: &Value) -> Markup {
    let text = |value: &Value| board::cut(&board::line(value), 400);
    match (before.is_null(), after.is_null()) {
        (true, false) => html! { "set to " (parts::diff_text("", &text(after))) },
        (false, true) => html! { (parts::diff_text(&text(before), "")) " was removed" },
        _ => parts::diff_text(&text(before), &text(after)),
    }
}

fn place(text: &str) -> Option<HistoryPlace> {
    let (at, origin) = text.split_once('_')?;
    Some(HistoryPlace {
        at: at.parse().ok()?,
        origin: origin.parse().ok()?,
    })
}

/// The part of a record's page with its events.
pub(super) async fn events(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
) -> Result<Response, web::Error> {
    let record = found(&desk, &path).await?;
    let store = &desk.services.store;
    let events = store.events_of_record(desk.project.id, record.id).await?;
    if events.is_empty() {
        let text = "None among the newest 5,000 events of this project.";
        return Ok(fragment(none(text)));
    }
    let rows = html! {
        @for event in &events { (event_row(&desk, event)) }
    };
    let columns = ["Event", "When", "Deliveries"];
    Ok(fragment(parts::table(
        "Events of this record",
        &columns,
        &rows,
    )))
}

fn event_row(desk: &ProjectDesk, event: &RecordEvent) -> Markup {
    html! {
        tr {
            th scope="row" { (event.kind.0) }
            td.nowrap { (parts::time(event.at)) }
            td {
                @if event.deliveries.is_empty() { span.muted { "no endpoint wants it" } }
                @for (id, state) in &event.deliveries {
                    a href=(desk.href(&format!("/deliveries/{id}"))) {
                        (parts::badge(tone(*state), state.as_str()))
                    } " "
                }
            }
        }
    }
}

const fn tone(state: DeliveryState) -> Tone {
    match state {
        DeliveryState::Delivered => Tone::Good,
        DeliveryState::Pending => Tone::Info,
        DeliveryState::Dead => Tone::Bad,
        DeliveryState::Cancelled => Tone::Neutral,
    }
}
