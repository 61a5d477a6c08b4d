//! What can be connected, as a list with a search.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Router, http::HeaderMap, response::Response, routing::get};
use maud::{Markup, html};

use super::{Look, OpenLink, connection};
use crate::{
    http::{self, Services},
    model::{Color, Manifest},
    runtime::ConnectorVersion,
    web::{self, Query, parts},
};

pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/connect/{token}", get(list))
}

/// `GET /connect/{token}?q=`. A link for one connector, or for a connection, goes there at once.
async fn list(
    open: OpenLink,
    headers: HeaderMap,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let made = page(&open, &headers, query.get("q").map_or("", String::as_str)).await;
    open.show(made)
}

async fn page(open: &OpenLink, headers: &HeaderMap, wanted: &str) -> Result<Response, http::Error> {
    if open.is_used() {
        return Ok(open.to(&open.href("/connected")));
    }
    if let Some(scope) = open.connection().await? {
        let path = format!("/connectors/{}", scope.connection().connector);
        return Ok(open.to(&open.href(&path)));
    }
    let all = open.connectors();
    let existing = connection::existing(open).await?;
    if let [only] = all.as_slice()
        && existing.is_none()
    {
        let path = format!("/connectors/{}", only.manifest().slug);
        return Ok(open.to(&open.href(&path)));
    }
    let found: Vec<_> = all
        .iter()
        .filter(|one| fits(one.manifest(), wanted))
        .collect();
    let tiles = tiles(open, &found, wanted);
    if headers
        .get("hx-target")
        .is_some_and(|target| target == "found")
    {
        return Ok(web::fragment(tiles));
    }
    let texts = open.texts;
    let body = html! {
        @if let Some(existing) = &existing { (existing) }
        p { (texts.with("list.lead", &[("brand", open.brand())])) }
        form.form role="search" method="get" action=(open.href("").split('?').next().unwrap_or_default()) {
            @if !open.language_query().is_empty() { (parts::hidden("lang", texts.language)) }
            div.field {
                label for="q" { (texts.get("list.search")) }
                div.row {
                    input.grow id="q" name="q" type="search" value=(wanted) autocomplete="off"
                        hx-get=(open.href("")) hx-trigger="input changed delay:200ms, search"
                        hx-target="#found" hx-swap="innerHTML";
                    button.button type="submit" { (texts.get("list.find")) }
                }
            }
        }
        div id="found" aria-live="polite" { (tiles) }
    };
    let look = Look {
        style: all.iter().map(|one| tile_style(one.manifest())).collect(),
        ..Look::default()
    };
    Ok(open.page_with(look, texts.get("list.title"), &body))
}

fn tiles(open: &OpenLink, found: &[&Arc<ConnectorVersion>], wanted: &str) -> Markup {
    let texts = open.texts;
    html! {
        @if found.is_empty() {
            div.empty {
                @if wanted.is_empty() {
                    p.empty-title { (texts.get("list.none")) }
                    p { (texts.with("list.none_detail", &[("brand", open.brand())])) }
                } @else {
                    p.empty-title { (texts.with("list.not_found", &[("wanted", wanted)])) }
                    p { a href=(open.href("")) { (texts.get("list.all")) } }
                }
            }
        } @else {
            p.visually-hidden { (texts.with("list.count", &[("count", &found.len().to_string())])) }
            div.grid {
                @for version in found {
                    @let manifest = version.manifest();
                    a class={ "card tile c-" (manifest.slug) } href=(open.href(&format!("/connectors/{}", manifest.slug))) {
                        (parts::icon(manifest.icon.as_deref(), &manifest.name))
                        span {
                            strong { (manifest.name) }
                            p { (manifest.description) }
                        }
                    }
                }
            }
        }
    }
}

/// The connector's own colour, beside its name.
pub(super) fn tile_style(manifest: &Manifest) -> String {
    let color = manifest.accent_color.as_deref();
    let color = color.and_then(|text| Color::parse(text).ok());
    color.map_or_else(String::new, |color| {
        format!(".c-{}{{--tile:{color}}}", manifest.slug)
    })
}

/// Whether every word that was typed is in what the connector says of itself.
fn fits(manifest: &Manifest, wanted: &str) -> bool {
    let verticals = manifest.verticals().join(" ");
    let text = format!(
        "{} {} {} {verticals}",
        manifest.slug, manifest.name, manifest.description
    );
    let text = text.to_lowercase();
    wanted
        .to_lowercase()
        .split_whitespace()
        .all(|word| text.contains(word))
}
