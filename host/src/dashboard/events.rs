//! What happened in a project.

use std::sync::Arc;

use axum::{Router, extract::Path, response::Response, routing::get};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Desktop, ProjectDesk, Section,
    address::{address, chosen},
    board, webhooks,
};
use crate::{
    model::{EventPattern, ObjectKind},
    store::{EventFilter, EventRow},
    web::{self, Query, parts},
};

const ROWS: u32 = 50;

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/events", get(list))
        .route("/dashboard/{project}/events/{number}", get(show))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    r#type: String,
    connection: String,
    after: String,
}

async fn list(desk: ProjectDesk, Query(asked): Query<Asked>) -> Result<Response, web::Error> {
    let filter = EventFilter {
        kind: chosen(&asked.r#type).map(|kind| kind.trim_end_matches(".*").to_owned()),
        connection: board::word(&asked.connection, "connection", |id| id.parse().ok())?,
        before: board::place(&asked.after)?,
        limit: ROWS,
    };
    let found = desk.services.store.event_page(desk.project.id, &filter);
    let found = found.await?;
    let here = desk.href("/events");
    let page = |after: &str| {
        let pairs = [
            ("type", asked.r#type.as_str()),
            ("connection", &asked.connection),
            ("after", after),
        ];
        address(&here, &pairs)
    };
    let next = found.next.map(|number| page(&number.to_string()));
    let first = (!asked.after.is_empty()).then(|| page(""));
    let kinds: Vec<String> = EventPattern::known().collect();
    let columns = ["When", "Type", "About", "Connection"];
    let rows = html! {
        @for (number, row) in &found.data {
            tr {
                td { (parts::time(row.event.created_at)) }
                th scope="row" { a.mono href={ (here) "/" (number) } { (row.event.kind.0) } }
                td { (about(&desk, row)) }
                td {
                    @match (row.event.connection, &row.connector) {
                        (Some(id), Some(connector)) => a href=(desk.href(&format!("/connections/{id}"))) { (connector) },
                        _ => span.muted { "—" },
                    }
                }
            }
        }
    };
    let narrowed = filter.kind.is_some() || filter.connection.is_some();
    let body = html! {
        form.form.filter method="get" action=(here) role="search" {
            div.field {
                label for="type" { "Type" }
                input id="type" name="type" type="search" value=(asked.r#type) list="types" aria-describedby="type-hint";
                p.hint id="type-hint" { "A type such as crm.contact.created, or its beginning: crm, crm.contact" }
                datalist id="types" { @for kind in &kinds { option value=(kind) {} } }
            }
            @if !asked.connection.is_empty() { (parts::hidden("connection", &asked.connection)) }
            button.button type="submit" { "Filter" }
        }
        @if found.data.is_empty() && found.next.is_some() {
            (parts::empty("None among these", "Look further back with Next.", None))
        } @else if found.data.is_empty() && narrowed {
            (parts::empty("Nothing fits", "No event is like that, or it is past its keeping time.", Some(("Show all events", &here))))
        } @else if found.data.is_empty() {
            (parts::empty("No events yet", "Everything that happens to connections and records is an event. Connect an account to see some.", Some(("Connections", &desk.href("/connections")))))
        } @else {
            (parts::table("Events", &columns, &rows))
        }
        (parts::pager(next.as_deref(), first.as_deref()))
    };
    Ok(desk.page(Section::Events, "Events", body))
}

/// The record that an event is about, as a link.
fn about(desk: &ProjectDesk, row: &EventRow) -> Markup {
    let data: Value = serde_json::from_str(&row.event.data).unwrap_or_default();
    let (object, _) = row.event.kind.0.rsplit_once('.').unwrap_or_default();
    let id = data.get("id").and_then(Value::as_str);
    html! {
        @match (ObjectKind::parse(object), id) {
            (Some(kind), Some(id)) => a.mono href=(desk.href(&format!("/records/{}/{id}", kind.name()))) { (id) },
            _ => @match data.get("object").and_then(Value::as_str) {
                Some(object) => (object),
                None => span.muted { "—" },
            },
        }
    }
}

async fn show(
    desk: ProjectDesk,
    Path((_, number)): Path<(String, String)>,
) -> Result<Response, web::Error> {
    let gone =
        || web::Error::not_found("There is no such event (any more): events go after some time.");
    let number: i64 = number.parse().map_err(|_| gone())?;
    let store = &desk.services.store;
    let row = store
        .event_at(desk.project.id, number)
        .await?
        .ok_or_else(gone)?;
    let deliveries = store.deliveries_of(desk.project.id, number).await?;
    let data: Value = serde_json::from_str(&row.event.data).unwrap_or_default();
    let columns = ["Endpoint", "State", "Changed"];
    let rows = html! {
        @for (id, state, url, at) in &deliveries {
            tr {
                th scope="row" { a href=(desk.href(&format!("/deliveries/{id}"))) { (url) } }
                td { (webhooks::delivery_state(*state)) }
                td { (parts::time(*at)) }
            }
        }
    };
    let body = html! {
        p { a href=(desk.href("/events")) { "All events" } }
        section.card {
            h2 { "What happened" }
            (parts::definition(&[
                ("When", parts::time(row.event.created_at)),
                ("About", about(&desk, &row)),
                ("Connection", html! {
                    @match row.event.connection {
                        Some(id) => a href=(desk.href(&format!("/connections/{id}"))) { (id) },
                        None => span.muted { "none" },
                    }
                }),
                ("Id", parts::copyable(&row.event.id.to_string())),
            ]))
        }
        section.card { h2 { "Data" } (parts::json(&data)) }
        section.card {
            h2 { "Deliveries" }
            @if deliveries.is_empty() { p.muted { "No endpoint wanted this event." } }
            @else { (parts::table("Deliveries", &columns, &rows)) }
        }
    };
    Ok(desk.page(Section::Events, &row.event.kind.0, body))
}
