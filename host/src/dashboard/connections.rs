//! Connections: all of them, one of them, and what was said to their providers.

mod act;
mod exchanges;
mod page;
mod settings;

use std::sync::Arc;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Desktop, ProjectDesk, Section,
    address::{address, chosen},
    board,
};
use crate::{
    http::Services,
    model::{ConnectionStatus, Scope, Slug},
    store::{ConnectionFilter, ConnectionRow},
    web::{
        self, Query,
        parts::{self, Choice, Tone},
    },
};

const ROWS: u32 = 50;
const HERE: &str = "/dashboard/{project}/connections";

pub(super) fn routes() -> Router<Arc<Desktop>> {
    let one = |rest: &str| format!("{HERE}/{{id}}{rest}");
    Router::new()
        .route(HERE, get(list))
        .route(&one(""), get(page::show))
        .route(&one("/test"), post(act::test))
        .route(&one("/token"), post(act::token))
        .route(&one("/reconnect-link"), post(act::reconnect_link))
        .route(&one("/disconnect"), post(act::disconnect))
        .route(&one("/syncs/{object}/{action}"), post(act::sync))
        .route(&one("/settings"), get(settings::show).post(settings::save))
        .route(&one("/exchanges"), get(exchanges::list))
        .route(&one("/exchanges/{exchange}"), get(exchanges::show))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    connector: String,
    state: String,
    user: String,
    text: String,
    after: String,
}

async fn list(desk: ProjectDesk, Query(asked): Query<Asked>) -> Result<Response, web::Error> {
    let filter = ConnectionFilter {
        connector: board::word(&asked.connector, "connector", |slug| {
            slug.parse::<Slug>().ok()
        })?,
        status: board::word(&asked.state, "state", ConnectionStatus::parse)?,
        linked_user: board::word(&asked.user, "linked user", |id| id.parse().ok())?,
        text: chosen(&asked.text).map(str::to_owned),
        before: board::place(&asked.after)?,
        limit: ROWS + 1,
    };
    let store = &desk.services.store;
    let mut rows = store.connection_page(desk.project.id, &filter).await?;
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let here = desk.href("/connections");
    let page = |after: &str| {
        let pairs = [
            ("connector", asked.connector.as_str()),
            ("state", &asked.state),
            ("user", &asked.user),
            ("text", &asked.text),
            ("after", after),
        ];
        address(&here, &pairs)
    };
    let last = rows.last().filter(|_| more);
    let next = last.map(|row| page(&row.connection.number.to_string()));
    let first = (!asked.after.is_empty()).then(|| page(""));
    let narrowed = [&asked.connector, &asked.state, &asked.user, &asked.text]
        .iter()
        .any(|text| !text.is_empty());
    let body = html! {
        (filter_form(&desk, &asked, &here))
        @if rows.is_empty() && narrowed {
            (parts::empty("Nothing fits", "No connection is like that. Search for less.", Some(("Show all connections", &here))))
        } @else if rows.is_empty() {
            (parts::empty("No connections yet", "A connection is the account of one of your customers at a provider. Make a linked user and send the customer a connect link.", Some(("Linked users", &desk.href("/linked-users")))))
        } @else {
            (table(&desk, &rows))
        }
        (parts::pager(next.as_deref(), first.as_deref()))
    };
    Ok(desk.page(Section::Connections, "Connections", body))
}

fn filter_form(desk: &ProjectDesk, asked: &Asked, here: &str) -> Markup {
    let mut connectors = vec![Choice::new("", "all")];
    let active = desk.services.runtime.all_active();
    let known = active.iter().map(|version| {
        let manifest = version.manifest();
        Choice::new(manifest.slug.to_string(), &manifest.name)
    });
    connectors.extend(known);
    if asked.connector.parse::<Slug>().is_ok()
        && !connectors.iter().any(|one| one.value == asked.connector)
    {
        connectors.push(Choice::new(&asked.connector, &asked.connector));
    }
    let states = [
        Choice::new("", "all"),
        Choice::new(ConnectionStatus::Valid.as_str(), "working"),
        Choice::new(
            ConnectionStatus::NeedsReconnect.as_str(),
            "needs a new login",
        ),
    ];
    let connector = parts::select("connector", &connectors, &asked.connector, false);
    let state = parts::select("state", &states, &asked.state, false);
    let text = parts::input("text", "search", &asked.text, false, false);
    html! {
        form.form.filter method="get" action=(here) role="search" {
            (parts::field("text", "Search", "Account, linked user or id", None, &text))
            (parts::field("connector", "Connector", "", None, &connector))
            (parts::field("state", "State", "", None, &state))
            @if !asked.user.is_empty() { (parts::hidden("user", &asked.user)) }
            button.button type="submit" { "Filter" }
        }
    }
}

/// A list of connections.
pub(super) fn table(desk: &ProjectDesk, rows: &[ConnectionRow]) -> Markup {
    let columns = [
        "Account",
        "Connector",
        "Linked user",
        "State",
        "Token ends",
        "Last sync",
        "Made",
    ];
    let rows = html! {
        @for row in rows {
            @let connection = &row.connection;
            tr {
                th scope="row" {
                    a href=(desk.href(&format!("/connections/{}", connection.id))) {
                        (connection.account_name.as_deref().or(connection.account.as_deref()).unwrap_or("Account"))
                    }
                }
                td { (connector(&desk.services, &connection.connector)) }
                td {
                    a href=(desk.href(&format!("/linked-users/{}", row.linked_user.id))) { (row.linked_user.alias) }
                }
                td {
                    (state(connection.status)) " "
                    @if row.failing > 0 {
                        (parts::badge(Tone::Warn, &format!("{} failing", plural(row.failing, "sync", "syncs"))))
                    }
                }
                td { @match row.token_expires_at { Some(at) => (parts::time(at)), None => span.muted { "—" } } }
                td { @match row.synced_at { Some(at) => (parts::time(at)), None => span.muted { "never" } } }
                td { (parts::time(connection.created_at)) }
            }
        }
    };
    parts::table("Connections", &columns, &rows)
}

/// A connector by its picture and name.
pub(super) fn connector(services: &Services, slug: &Slug) -> Markup {
    let version = services.runtime.active(slug);
    let manifest = version.as_ref().map(|version| version.manifest());
    let name = manifest.map_or(slug.as_str(), |manifest| manifest.name.as_str());
    let icon = manifest.and_then(|manifest| manifest.icon.as_deref());
    html! { span.row { (parts::icon(icon, name)) span { (name) } } }
}

/// How a connection stands.
pub(super) fn state(status: ConnectionStatus) -> Markup {
    match status {
        ConnectionStatus::Valid => parts::badge(Tone::Good, "working"),
        ConnectionStatus::NeedsReconnect => parts::badge(Tone::Bad, "needs a new login"),
    }
}

/// `1 sync`, `2 syncs`.
pub(super) fn plural(count: u32, one: &str, several: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    }
}

/// The connection that a path names.
async fn found(desk: &ProjectDesk, id: &str) -> Result<Scope, web::Error> {
    let scope = match id.parse() {
        Ok(id) => desk.services.store.scope_by_id(desk.project.id, id).await?,
        Err(_) => None,
    };
    scope.ok_or_else(|| {
        web::Error::not_found("This project has no such connection. It may have been disconnected.")
    })
}
