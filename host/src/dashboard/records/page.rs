//! One record: unified beside the provider's document, where each value came from, what it was.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use maud::{Markup, html};
use serde_json::Value;

use super::{document, past};
use crate::{
    dashboard::{Section, address::address, board, desk::ProjectDesk},
    model::RecordId,
    store::RecordPlace,
    web::{
        self, Page,
        parts::{self, Tone},
    },
};

const STYLE: &str = "
main > section, main > .grid { margin-top: 1.5rem; }
.document table { table-layout: fixed; }
.document th:first-child { width: 10rem; overflow-wrap: anywhere; }
.document th:last-child { width: 7rem; }
.document td { overflow-wrap: anywhere; }
.document pre { margin: 0; padding: .4rem .6rem; max-height: 12rem; white-space: pre-wrap; }
.timeline p { margin: 0; }
";

/// The record of a path.
pub(super) async fn found(
    desk: &ProjectDesk,
    path: &BTreeMap<String, String>,
) -> Result<RecordPlace, web::Error> {
    let name = |name: &str| path.get(name).map_or("", String::as_str);
    let place = match name("id").parse::<RecordId>() {
        Ok(id) => {
            let store = &desk.services.store;
            store.record_place(desk.project.id, id).await?
        }
        Err(_) => None,
    };
    let place = place.filter(|place| place.kind.name() == name("object"));
    place.ok_or_else(|| {
        let object = board::cut(name("object"), 80);
        let id = board::cut(name("id"), 80);
        web::Error::not_found(format!(
            "This project has no record “{id}” of {object}. A reference may lead to a record that was not synced yet."
        ))
    })
}

pub(super) async fn show(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
    web::Query(asked): web::Query<past::Asked>,
) -> Result<Response, web::Error> {
    let place = found(&desk, &path).await?;
    let store = &desk.services.store;
    let gone = || web::Error::not_found("This record was removed a moment ago.");
    let record = store.documents(&place).await?.ok_or_else(gone)?;
    let origins = store.provenance(&place).await?;
    let history = past::history(&desk, &place, &asked).await?;
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let unified = json(&record.unified);
    let known = document::known_references(&desk, &place, &unified).await?;
    let custom = json(&record.custom);
    let remote = record.remote.as_deref().map(json).unwrap_or_default();
    let connection = place.scope.connection();
    let (kind, id) = (place.kind, place.id);
    let connection_href = desk.href(&format!("/connections/{}", connection.id));
    let list = address(
        &desk.href("/records"),
        &[
            ("object", kind.name()),
            ("connection", &connection.id.to_string()),
        ],
    );
    let facts = [
        ("Id", parts::copyable(&id.to_string())),
        ("Remote id", parts::copyable(&place.remote_id)),
        ("First seen", parts::time(place.created_at)),
        ("Changed", parts::time(place.modified_at)),
        (
            "Changed at the provider",
            board::moment(place.remote_modified_at),
        ),
    ];
    let body = html! {
        p {
            a href=(list) { "Records of " (kind) } " / "
            a href=(connection_href) {
                (connection.connector) @if let Some(name) = &connection.account_name { " · " (name) }
            }
        }
        @if let Some(at) = place.deleted_at {
            p { (parts::badge(Tone::Warn, "deleted")) " " (parts::time(at)) ". What was known of it is kept." }
        }
        section.card { (parts::definition(&facts)) }
        div.grid.two {
            section aria-labelledby="unified" {
                h2 id="unified" { "Unified" }
                (document::fields(&desk, kind, &document::Shown { unified: &unified, custom: &custom, origins: &origins, known: &known }))
            }
            section aria-labelledby="remote" {
                h2 id="remote" { "The provider’s document" }
                (parts::json(&board::covered(&remote)))
            }
        }
        section aria-labelledby="origins" {
            h2 id="origins" { "Where each value came from" }
            (document::provenance(&desk, &origins))
        }
        section aria-labelledby="history" {
            h2 id="history" { "History" }
            (history)
        }
        section aria-labelledby="events" {
            h2 id="events" { "Events and deliveries" }
            div hx-get=(desk.href(&format!("/records/{kind}/{id}/events"))) hx-trigger="load" {
                p.muted { "Looking for its events…" }
                noscript { p { a href=(desk.href(&format!("/records/{kind}/{id}/events"))) { "Show its events" } } }
            }
        }
    };
    let title = title(&unified, &place);
    Ok(desk.page_with(Page::new(title).style(STYLE), Section::Records, body))
}

/// What people call the record.
fn title(unified: &Value, place: &RecordPlace) -> String {
    let text = |name: &str| unified.get(name).and_then(Value::as_str);
    let whole = [text("first_name"), text("last_name")];
    let whole: Vec<&str> = whole.into_iter().flatten().collect();
    let name = ["name", "title", "subject"].into_iter().find_map(text);
    match (name, whole.is_empty()) {
        (Some(name), _) => board::cut(name, 80),
        (None, false) => board::cut(&whole.join(" "), 80),
        (None, true) => format!("{} {}", place.kind, board::cut(&place.remote_id, 40)),
    }
}

/// A message in place of a part that has nothing.
pub(super) fn none(text: &str) -> Markup {
    html! { p.muted { (text) } }
}
