//! A version of a connector before it is installed: everything that is to be known.

use axum::{http::StatusCode, response::Response};
use maud::html;
use serde::Deserialize;

use super::STYLE;
use crate::{
    dashboard::{Desk, Section, connectors},
    market::{self, Offer},
    model::{Digest, Role, consent::Wanted},
    web::{
        self, Page,
        markdown::markdown,
        parts::{self, Tone},
    },
};

/// What whoever installs has seen and agreed to.
#[derive(Default, Deserialize)]
pub(super) struct Consent {
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    consent: String,
    /// The file that was looked at.
    #[serde(default)]
    digest: String,
    #[serde(default)]
    allow_downgrade: Option<String>,
    #[serde(default)]
    new_publisher: Option<String>,
}

pub(super) async fn page(
    desk: &Desk,
    offer: &Offer,
    action: &str,
    refused: Option<&str>,
) -> Result<Response, web::Error> {
    let book = desk.services.market.book(offer.slug()).await?;
    let announced = &offer.announced;
    let manifest = &announced.manifest;
    let publisher = announced.publisher();
    let added = offer.added(book.as_ref());
    let former = book
        .as_ref()
        .and_then(|book| book.other_publisher(&publisher));
    let serving = book.as_ref().and_then(|book| book.serving());
    let older = serving.is_some_and(|known| {
        semver::Version::parse(&known.version).is_ok_and(|here| manifest.version < here)
    });
    let same = serving.is_some_and(|known| known.digest == announced.digest);
    let unmet = desk.services.runtime.check_signature(announced).err();
    let version = manifest.version.to_string();
    let (hash, digest) = (
        announced.asked.hash().to_string(),
        announced.digest.to_string(),
    );
    let objects = manifest.objects.iter().map(|object| object.kind.name());
    let objects: Vec<&str> = objects.collect();
    let dash = || html! { "–" };
    let body = html! {
        div.row {
            (parts::icon(manifest.icon.as_deref(), &manifest.name))
            div { (manifest.description) }
        }
        @if let Some(refused) = refused {
            (parts::alert(Tone::Bad, "It was not installed", &html! { p { (refused) } }))
        }
        @if let Some(unmet) = &unmet {
            (parts::alert(Tone::Bad, "This server does not take it", &html! { p { (unmet) } }))
        }
        @if let Some(former) = former {
            (parts::alert(Tone::Bad, "Another publisher", &html! { p { "The version that serves was published by " code { (former) } ", this one was not. Install it only if you know why." } }))
        }
        div.grid.two {
            section.card {
                h2 { "What it asks for" }
                @if added.is_empty() { p { "Everything it asks for is granted already." } }
                (connectors::words::permissions(announced.asked.lines(), if serving.is_some() { &added } else { &[] }))
                p.muted { "It gets nothing else: no file, no other address, no credential." }
            }
            section.card {
                h2 { "This version" }
                (parts::definition(&[
                    ("Version", html! { (version) @if let Some(known) = serving { " · " (known.version) " serves now" } }),
                    ("Publisher", connectors::words::publisher(Some(&publisher))),
                    ("Objects", html! { (objects.join(", ")) }),
                    ("Size", html! { (parts::bytes(announced.bytes)) }),
                    ("Digest", html! { code { (digest) } }),
                    ("From", html! { (offer.source) }),
                    ("Licence", manifest.licence.as_deref().map_or_else(dash, |licence| html! { (licence) })),
                ]))
            }
        }
        @if same {
            (parts::alert(Tone::Good, "This version serves already", &html! { p { a href={ (connectors::HOME) "/" (offer.slug()) } { "To the connector" } } }))
        } @else if desk.is(Role::Owner) {
            form.card.form method="post" action=(action) {
                h2 { "Install" }
                (parts::hidden("version", &version))
                (parts::hidden("consent", &hash))
                (parts::hidden("digest", &digest))
                @if older { (parts::checkbox("allow_downgrade", "Install it though it is older than the version that serves", false)) }
                @if former.is_some() { (parts::checkbox("new_publisher", "Install it though somebody else published it", false)) }
                p { "Installing grants all that is listed above. It serves on all servers of this database." }
                button.button.primary type="submit" { "Grant and install" }
            }
        } @else {
            p.muted { "An owner of this server can install it." }
        }
        @if !manifest.overview.trim().is_empty() {
            h2 { "Overview" }
            div.card { (markdown(&manifest.overview)) }
        }
    };
    let status = match refused {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = Page::new(manifest.name.clone()).style(STYLE).status(status);
    Ok(desk.page_with(page, Section::Marketplace, body))
}

pub(super) async fn install(
    desk: &Desk,
    offer: &Offer,
    action: &str,
    consent: &Consent,
) -> Result<Response, web::Error> {
    let hash = Digest::parse(&consent.consent);
    let hash = hash.ok_or_else(|| {
        web::Error::invalid("The form does not say which permissions were looked at.")
    })?;
    if consent.digest != offer.announced.digest.to_string() {
        let other = "What is there now is another file than the one that was looked at. Look at this one, then install it.";
        return page(desk, offer, action, Some(other)).await;
    }
    let wanted = Wanted {
        downgrade: consent.allow_downgrade.is_some(),
        new_publisher: consent.new_publisher.is_some(),
    };
    let services = &desk.services;
    let (market, runtime, actor) = (&services.market, &services.runtime, desk.actor());
    let installed = market.install_checked(runtime, offer, hash, wanted, &actor);
    match installed.await {
        Ok(_) => {
            let version = &offer.announced.manifest.version;
            let message = format!(
                "{} {version} is installed and serves in a moment.",
                offer.slug()
            );
            Ok(desk.done(&message, &format!("{}/{}", connectors::HOME, offer.slug())))
        }
        Err(
            error @ (market::Error::Refused(_)
            | market::Error::Consent { .. }
            | market::Error::Connector(_)),
        ) => page(desk, offer, action, Some(&error.to_string())).await,
        Err(error) => Err(error.into()),
    }
}
