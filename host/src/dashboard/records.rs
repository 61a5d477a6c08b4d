//! Records: chosen by object and connection, searched, shown beside the provider's document.

mod document;
mod page;
mod past;
mod search;

use std::sync::Arc;

use axum::{Router, response::Response, routing::get};
use maud::{Markup, html};
use serde_json::{Map, Value};

use self::search::{Asked, Found};
use super::{Desktop, Section, address::address, board, desk::ProjectDesk};
use crate::{
    model::{ObjectKind, Record, Scope},
    store::ObjectPlace,
    web::{
        self, Page,
        parts::{self, Choice, Tone},
    },
};

/// Fields of a record that a list shows.
const COLUMNS: usize = 4;
/// Fields that tell most of a record, the best first.
const TELLING: [&str; 16] = [
    "name",
    "first_name",
    "last_name",
    "title",
    "subject",
    "number",
    "email_address",
    "email",
    "email_addresses",
    "phone_numbers",
    "status",
    "stage",
    "description",
    "amount",
    "due_date",
    "type",
];

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/records", get(list))
        .route(
            "/dashboard/{project}/records/{object}/{id}",
            get(page::show),
        )
        .route(
            "/dashboard/{project}/records/{object}/{id}/events",
            get(past::events),
        )
}

async fn list(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
) -> Result<Response, web::Error> {
    let scope = board::connection(&desk, &asked.connection).await?;
    let places = desk
        .services
        .store
        .objects_with_records(desk.project.id, scope.as_ref())
        .await?;
    let kind = match board::object(&asked.object)? {
        Some(kind) => Some(kind),
        None => places.first().map(|place| place.kind),
    };
    let Some(kind) = kind else {
        return Ok(desk.page(Section::Records, "Records", nothing(&desk, scope.is_some())));
    };
    let found = search::find(&desk, &asked, scope.as_ref(), kind).await?;
    let body = html! {
        (objects(&desk, &asked, &places, kind))
        (filter(&desk, &asked))
        @if let Some(scope) = &scope {
            @let connection = scope.connection();
            p {
                "Of the connection "
                a href=(desk.href(&format!("/connections/{}", connection.id))) {
                    (connection.connector) @if let Some(name) = &connection.account_name { " · " (name) }
                }
                " only. "
                a href=(asked.at(&desk.href("/records"), &[("connection", ""), ("before", "")])) { "Of all connections" }
            }
        }
        @if found.is_partial {
            p.muted { "The latest changes at the 30 connections that were written last. Narrow the list to one connection to page through all of its records, or search by remote id." }
        }
        @if found.records.is_empty() {
            (parts::empty(
                "No record is like this",
                "Choose another object, or other filters.",
                Some(("Show all of this object", &address(&desk.href("/records"), &[("object", kind.name())]))),
            ))
        } @else {
            (table(&desk, &asked, kind, &found, scope.is_none()))
            (pager(&desk, &asked, &found))
        }
    };
    let page = Page::new("Records").style(STYLE);
    Ok(desk.page_with(page, Section::Records, body))
}

const STYLE: &str = "
.objects { display: flex; flex-wrap: wrap; gap: .4rem; list-style: none; margin: 0 0 1.25rem; padding: 0; }
.objects a { display: inline-block; padding: .2rem .7rem; border: 1px solid var(--control); border-radius: 99px; color: var(--text); text-decoration: none; }
.objects a[aria-current] { background: var(--accent-soft); color: var(--accent); border-color: var(--accent); font-weight: 600; }
";

fn nothing(desk: &ProjectDesk, of_connection: bool) -> Markup {
    if of_connection {
        let href = desk.href("/records");
        let text = "Its first sync has stored nothing yet, or the provider has nothing to show.";
        return parts::empty(
            "This connection has no record",
            text,
            Some(("Records of all connections", &href)),
        );
    }
    let href = desk.href("/connections");
    let text =
        "Records appear as soon as an account is connected and its first sync has read a page.";
    parts::empty("No record yet", text, Some(("To the connections", &href)))
}

/// The objects that have records; the chosen one is marked.
fn objects(desk: &ProjectDesk, asked: &Asked, places: &[ObjectPlace], kind: ObjectKind) -> Markup {
    let path = desk.href("/records");
    html! {
        nav aria-label="Objects" {
            ul.objects {
                @for place in places {
                    li {
                        a href=(asked.at(&path, &[("object", place.kind.name()), ("before", ""), ("remote_id", "")]))
                            aria-current=[(place.kind == kind).then_some("page")] {
                            (place.kind)
                            @if let Some(records) = place.records { " (" (records) ")" }
                        }
                    }
                }
            }
        }
    }
}

fn filter(desk: &ProjectDesk, asked: &Asked) -> Markup {
    let presence = [
        Choice::new("", "Those that are there"),
        Choice::new("deleted", "Deleted ones"),
        Choice::new("any", "Both"),
    ];
    let date = |id: &str, label: &str, value: &str| {
        let input = parts::input(id, "date", value, false, false);
        parts::field(id, label, "", None, &input)
    };
    let remote_id = parts::input("remote_id", "search", &asked.remote_id, false, false);
    let presence = parts::select("presence", &presence, &asked.presence, false);
    html! {
        form.form.filter method="get" action=(desk.href("/records")) role="search" aria-label="Search the records" {
            (parts::hidden("object", &asked.object))
            (parts::field("remote_id", "Remote id", "", None, &remote_id))
            (board::connection_field(&asked.connection))
            (date("since", "Changed from (UTC)", &asked.since))
            (date("until", "Changed before (UTC)", &asked.until))
            (parts::field("presence", "Show", "", None, &presence))
            button.button type="submit" { "Search" }
        }
    }
}

fn table(
    desk: &ProjectDesk,
    asked: &Asked,
    kind: ObjectKind,
    found: &Found,
    with_connection: bool,
) -> Markup {
    let fields = telling(kind);
    let mut columns: Vec<&str> = vec!["Record"];
    columns.extend(fields.iter().copied());
    if with_connection {
        columns.push("Connection");
    }
    columns.push("Changed");
    let rows = html! {
        @for (scope, record) in &found.records {
            @let values = values(record);
            tr {
                th scope="row" {
                    a href=(desk.href(&format!("/records/{kind}/{}", record.id))) { (board::cut(&record.remote_id, 40)) }
                    @if record.deleted_at.is_some() { " " (parts::badge(Tone::Warn, "deleted")) }
                }
                @for field in &fields { td { (shown(values.get(*field))) } }
                @if with_connection { td { (connection(desk, asked, scope)) } }
                td.nowrap { (parts::time(record.modified_at)) }
            }
        }
    };
    parts::table(&format!("Records of {kind}"), &columns, &rows)
}

fn connection(desk: &ProjectDesk, asked: &Asked, scope: &Scope) -> Markup {
    let connection = scope.connection();
    let id = connection.id.to_string();
    let href = asked.at(
        &desk.href("/records"),
        &[("connection", &id), ("before", "")],
    );
    html! {
        a href=(href) {
            (connection.connector) @if let Some(name) = &connection.account_name { " · " (name) }
        }
    }
}

fn pager(desk: &ProjectDesk, asked: &Asked, found: &Found) -> Markup {
    let path = desk.href("/records");
    let next = found.next.as_deref();
    let next = next.map(|place| asked.at(&path, &[("before", place)]));
    let first = asked.at(&path, &[("before", "")]);
    let first = Some(first.as_str()).filter(|_| !asked.before.is_empty());
    parts::pager(next.as_deref(), first)
}

/// The fields of an object that a list shows: those that tell most, then the first ones that are no
/// references.
pub(super) fn telling(kind: ObjectKind) -> Vec<&'static str> {
    let properties = &kind.spec().properties;
    let plain = properties
        .iter()
        .filter(|one| one.reference.is_none() && !one.write_only);
    let mut fields: Vec<&'static str> = plain.map(|one| one.name.as_str()).collect();
    let rank = |name: &str| TELLING.iter().position(|one| *one == name);
    fields.sort_by_key(|name| rank(name).unwrap_or(TELLING.len()));
    fields.truncate(COLUMNS);
    fields
}

pub(super) fn values(record: &Record) -> Map<String, Value> {
    serde_json::from_str(&record.unified).unwrap_or_default()
}

pub(super) fn shown(value: Option<&Value>) -> Markup {
    match value {
        None | Some(Value::Null) => html! { span.muted { "–" } },
        Some(value) => html! { (board::cut(&brief(value), 60)) },
    }
}

/// What a value says first: of a list its first entry and how many follow, of an object the part
/// that people look for.
fn brief(value: &Value) -> String {
    const PARTS: [&str; 8] = [
        "email_address",
        "phone_number",
        "name",
        "title",
        "value",
        "url",
        "street_1",
        "city",
    ];
    match value {
        Value::Array(list) => match list.as_slice() {
            [] => "–".to_owned(),
            [only] => brief(only),
            [first, rest @ ..] => format!("{} +{}", brief(first), rest.len()),
        },
        Value::Object(fields) => {
            let named = PARTS.iter().filter_map(|part| fields.get(*part));
            let told = named.chain(fields.values()).find(|value| !value.is_null());
            told.map(brief).unwrap_or_default()
        }
        other => board::line(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_what_tells_most() {
        let kind = |name| ObjectKind::parse(name).unwrap();
        assert_eq!(
            telling(kind("crm.contact")).get(..2),
            Some(["first_name", "last_name"].as_slice())
        );
        for kind in ObjectKind::all() {
            assert!(telling(kind).len() <= COLUMNS, "{kind}");
        }
        let list = serde_json::json!([
            {"owner_type": "CONTACT", "email_address": "ada@example.com"},
            {"email_address": "b@example.com"},
        ]);
        assert_eq!(brief(&list), "ada@example.com +1");
        assert_eq!(brief(&serde_json::json!([{"city": null}])), "");
    }
}
