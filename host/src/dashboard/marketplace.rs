//! Connectors to be had: what the indexes list, what a version asks for, and installing it.

mod offer;
mod upload;

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Extension, Router,
    extract::Path,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Desk, Desktop, Section, connectors::words};
use crate::{
    market::{OnShelf, ShelfFilter},
    model::{ObjectKind, Role, Slug},
    web::{
        self, Form, Page, Query,
        parts::{self, Choice, Tone},
    },
};

const HOME: &str = "/dashboard/marketplace";
const ROWS: usize = 50;
const STYLE: &str = "\
.permissions { margin: .25rem 0 .75rem; padding-left: 1.2rem; }\
.permissions li { overflow-wrap: anywhere; }\
.offer { display: flex; flex-direction: column; }\
.offer h2 { margin: 0 0 .25rem; }\
.offer .end { margin-top: auto; padding-top: .75rem; }";

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route(HOME, get(list))
        .route("/dashboard/marketplace/{slug}", get(show))
        .route("/dashboard/marketplace/{slug}/install", post(install))
        .route(upload::HOME, get(upload::form).post(upload::take))
        .route("/dashboard/install/{digest}", get(upload::show))
        .route("/dashboard/install/{digest}/install", post(upload::install))
        .layer(Extension(Arc::new(upload::Uploads::default())))
}

/// What is looked for.
#[derive(Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    vertical: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    after: String,
}

fn some(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

async fn list(desk: Desk, Query(wanted): Query<Wanted>) -> Result<Response, web::Error> {
    let filter = ShelfFilter {
        word: some(&wanted.q),
        vertical: some(&wanted.vertical),
        state: some(&wanted.state),
        after: some(&wanted.after),
    };
    let services = &desk.services;
    let (mut shelf, problems) = services.market.shelf(&services.outlets, &filter).await?;
    let more = shelf.len() > ROWS;
    shelf.truncate(ROWS);
    let next = shelf.last().filter(|_| more).map(|last| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("q", &wanted.q)
            .append_pair("vertical", &wanted.vertical)
            .append_pair("state", &wanted.state)
            .append_pair("after", last.found.listed.slug.as_str());
        format!("{HOME}?{}", query.finish())
    });
    let filtered = filter.word.is_some() || filter.vertical.is_some() || filter.state.is_some();
    let body = html! {
        p.muted { "Connectors that the configured indexes list. You see what one may reach before anything is installed." }
        (filters(&wanted))
        @for problem in &problems {
            (parts::alert(Tone::Warn, "An index cannot be read", &html! { p { (problem) } }))
        }
        @if shelf.is_empty() && filtered {
            (parts::empty("Nothing fits", "No listed connector is like that. Look for less.", Some(("Show all", HOME))))
        } @else if shelf.is_empty() {
            (parts::empty("No connectors are listed", "Name an index under marketplace.indexes in the server's configuration, or install a connector from its file.", Some(("Install from a file", upload::HOME))))
        } @else {
            div.grid { @for one in &shelf { (card(one)) } }
            (parts::pager(next.as_deref(), None))
        }
        p { a href=(upload::HOME) { "Install from a .wasm file" } }
    };
    let page = Page::new("Marketplace").style(STYLE);
    Ok(desk.page_with(page, Section::Marketplace, body))
}

fn filters(wanted: &Wanted) -> Markup {
    let verticals: BTreeSet<&str> = ObjectKind::all()
        .map(|kind| kind.spec().vertical.as_str())
        .collect();
    let mut choices = vec![Choice::new("", "All verticals")];
    choices.extend(verticals.into_iter().map(|one| Choice::new(one, one)));
    let states = [
        Choice::new("", "All"),
        Choice::new("available", "Not installed"),
        Choice::new("installed", "Installed"),
        Choice::new("updatable", "Update available"),
    ];
    html! {
        form.form.filter method="get" role="search" {
            (parts::field("q", "Search", "", None, &parts::input("q", "search", &wanted.q, false, false)))
            (parts::field("vertical", "Vertical", "", None, &parts::select("vertical", &choices, &wanted.vertical, false)))
            (parts::field("state", "Show", "", None, &parts::select("state", &states, &wanted.state, false)))
            button.button type="submit" { "Search" }
        }
    }
}

fn card(one: &OnShelf) -> Markup {
    let listed = &one.found.listed;
    let newest = listed.version(None);
    let href = format!("{HOME}/{}", listed.slug);
    html! {
        section.card.offer {
            h2 { a href=(href) { (listed.name) } }
            p { (listed.description) }
            div.row {
                @if one.updatable { (parts::badge(Tone::Warn, "update available")) }
                @else if one.installed_version.is_some() { (parts::badge(Tone::Good, "installed")) }
                @for vertical in &listed.verticals { (parts::badge(Tone::Neutral, vertical)) }
            }
            p.small.muted {
                @if let Some(newest) = newest { "Version " (newest.version) " · " (parts::bytes(newest.size)) " · " }
                (words::publisher(Some(&listed.publisher)))
                @if let Some(here) = &one.installed_version { " · here " (here) }
            }
            @if let Some(newest) = newest {
                details { summary { "What it may do" } (words::permissions(&newest.permissions, &[])) }
            }
            p.end { a.button href=(href) { @if one.updatable { "Look at the update" } @else { "Details" } } }
        }
    }
}

/// Which version.
#[derive(Default, Deserialize)]
struct Version {
    #[serde(default)]
    version: String,
}

fn parse_slug(text: &str) -> Result<Slug, web::Error> {
    text.parse()
        .map_err(|_| web::Error::not_found("There is no such connector in the marketplace."))
}

async fn show(
    desk: Desk,
    Path(slug): Path<String>,
    Query(version): Query<Version>,
) -> Result<Response, web::Error> {
    let slug = parse_slug(&slug)?;
    let wanted = some(&version.version);
    let _turn = desk.services.outlets.turn().await;
    let offer = desk.services.outlets.fetch(&slug, wanted).await?;
    let action = format!("{HOME}/{slug}/install");
    offer::page(&desk, &offer, &action, None).await
}

async fn install(
    desk: Desk,
    Path(slug): Path<String>,
    Form(consent): Form<offer::Consent>,
) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let slug = parse_slug(&slug)?;
    let version = some(&consent.version);
    let _turn = desk.services.outlets.turn().await;
    let offer = desk.services.outlets.fetch(&slug, version).await?;
    let action = format!("{HOME}/{slug}/install");
    offer::install(&desk, &offer, &action, &consent).await
}
