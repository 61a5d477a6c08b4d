//! The connectors of this server: how each stands, what it may reach, and what is decided of it.

mod decide;
mod detail;
mod live;
pub(super) mod words;

use std::sync::Arc;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};

use super::{Desk, Desktop, Section};
use crate::{
    model::{Role, Slug},
    runtime::{ConnectorState, ConnectorStatus},
    web::{
        self,
        parts::{self, Tone},
    },
};

pub(super) const HOME: &str = "/dashboard/connectors";

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route(HOME, get(list))
        .route("/dashboard/connectors/{slug}", get(detail::show))
        .route("/dashboard/connectors/{slug}/log", get(live::show))
        .route("/dashboard/connectors/{slug}/log/lines", get(live::lines))
        .route(
            "/dashboard/connectors/{slug}/{decision}",
            post(decide::decide),
        )
}

/// The slug of a path.
fn parse_slug(text: &str) -> Result<Slug, web::Error> {
    text.parse().map_err(|_| unknown(text))
}

fn unknown(slug: &str) -> web::Error {
    let slug: String = slug.chars().take(80).collect();
    web::Error::not_found(format!("There is no connector “{slug}” on this server."))
}

/// How a connector stands, as a badge.
fn state_badge(state: ConnectorState) -> Markup {
    let (tone, text) = match state {
        ConnectorState::Active => (Tone::Good, "active"),
        ConnectorState::Rejected => (Tone::Bad, "broken"),
        ConnectorState::Retired => (Tone::Neutral, "file is gone"),
        ConnectorState::PendingConsent => (Tone::Warn, "waits for consent"),
        ConnectorState::Disabled => (Tone::Neutral, "disabled"),
        ConnectorState::Suspended => (Tone::Bad, "suspended"),
    };
    parts::badge(tone, text)
}

/// What stands beside the state: an update that waits, a rollback.
fn notes(status: &ConnectorStatus) -> Markup {
    let consent = status.consent.as_ref();
    let waits = consent.is_some_and(|consent| consent.pending.is_some());
    let pinned = consent.and_then(|consent| consent.pinned);
    html! {
        @if waits && status.state != ConnectorState::PendingConsent {
            " " (parts::badge(Tone::Warn, "update waits for consent"))
        }
        @if pinned == Some("rolled_back") { " " (parts::badge(Tone::Warn, "rolled back")) }
        @if status.state == ConnectorState::Active && status.last_error.is_some() && !waits {
            " " (parts::badge(Tone::Bad, "newer file refused"))
        }
    }
}

async fn list(desk: Desk) -> Result<Response, web::Error> {
    let mut connectors = desk.services.runtime.catalogue();
    connectors.sort_by_key(|status| status.slug.clone());
    let columns = [
        "Connector",
        "State",
        "Version",
        "Publisher",
        "Objects",
        "Calls",
    ];
    let body = html! {
        p.muted { "Connectors are WebAssembly components in a sandbox: each reaches what it was granted, and nothing else. They serve all projects of this server." }
        div.row {
            a.button.primary href="/dashboard/marketplace" { "Marketplace" }
            @if desk.is(Role::Owner) { a.button href="/dashboard/install" { "Install from a file" } }
        }
        @if connectors.is_empty() {
            (parts::empty("No connectors yet", "Install one from the marketplace, upload a .wasm file, or put one into the plugins folder of the server.", Some(("Open the marketplace", "/dashboard/marketplace"))))
        } @else {
            div.connectors {
                (parts::table("Connectors", &columns, &html! { @for status in &connectors { (row(status)) } }))
            }
        }
    };
    let page = web::Page::new("Connectors").style(".connectors { margin-top: 1rem; } .who { display: flex; gap: .75rem; align-items: flex-start; min-width: 14rem; }");
    Ok(desk.page_with(page, Section::Connectors, body))
}

fn row(status: &ConnectorStatus) -> Markup {
    let described = status.described.as_ref();
    let slug = status.slug.as_deref();
    let name = described.map_or_else(|| slug.unwrap_or(&status.file), |one| one.name.as_str());
    let icon = described.and_then(|one| one.icon.as_deref());
    let publisher = status
        .consent
        .as_ref()
        .and_then(|consent| consent.publisher.as_deref());
    let calls: u64 = status.versions.iter().map(|version| version.calls).sum();
    html! {
        tr {
            th scope="row" {
                div.who {
                    (parts::icon(icon, name))
                    div {
                        @match slug {
                            Some(slug) => a href={ (HOME) "/" (slug) } { (name) },
                            None => (name),
                        }
                        @if let Some(described) = described { div.muted.small { (described.description) } }
                    }
                }
            }
            td {
                (state_badge(status.state)) (notes(status))
                @if status.state != ConnectorState::Active && let Some(error) = &status.last_error {
                    div.muted.small { (error) }
                }
            }
            td { @if let Some(described) = described { (described.version) } @else { "–" } }
            td { (words::publisher(publisher)) }
            td { @if let Some(described) = described { (described.objects.len()) } @else { "–" } }
            td.number { (parts::number(calls)) }
        }
    }
}
