//! Which OAuth app logs customers in, for each connector: the project's own, or the server's.

mod form;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};

use super::{Desktop, ProjectDesk, Section};
use crate::{
    model::{AuthKind, AuthScheme, Environment, Manifest, Role},
    vault::{AppSource, ProjectApp, ServerApp, app_variable},
    web::{
        self, Page,
        parts::{self, Tone},
    },
};

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/oauth-apps", get(list))
        .route(
            "/dashboard/{project}/oauth-apps/{connector}/{scheme}",
            get(form::show).post(form::set),
        )
        .route(
            "/dashboard/{project}/oauth-apps/{connector}/{scheme}/remove",
            post(form::remove),
        )
}

/// The schemes for which somebody has to register an app.
fn schemes(manifest: &Manifest) -> impl Iterator<Item = &AuthScheme> {
    let needs_app = |scheme: &&AuthScheme| matches!(scheme.kind, AuthKind::OAuth2Code { .. });
    manifest.auth.iter().filter(needs_app)
}

/// The operator's app for the first vertical that has one: connections of any vertical count.
fn servers(desk: &ProjectDesk, manifest: &Manifest) -> Option<ServerApp> {
    let vault = &desk.services.vault;
    let mut verticals = manifest.verticals().into_iter();
    verticals.find_map(|vertical| vault.server_oauth_app(&manifest.slug, vertical))
}

async fn list(desk: ProjectDesk) -> Result<Response, web::Error> {
    let services = &desk.services;
    let own = services.vault.oauth_apps(desk.project.id).await?;
    let mut active = services.runtime.all_active();
    active.sort_by_key(|version| version.manifest().name.to_lowercase());
    let manifests: Vec<_> = active.iter().map(|version| version.manifest()).collect();
    let with_oauth = manifests
        .iter()
        .filter(|manifest| schemes(manifest).next().is_some());
    let with_oauth: Vec<_> = with_oauth.collect();
    let gone: Vec<&ProjectApp> = own
        .iter()
        .filter(|app| {
            !manifests
                .iter()
                .any(|manifest| manifest.slug == app.key.connector)
        })
        .collect();
    let redirect = services.oauth_redirect_uri();
    let body = html! {
        p.muted { "A provider's sign-in page shows the name of the OAuth app that asks. Set your own to have your name there and limits of your own; else the server's is used." }
        section.card {
            h2 { "Redirect URI" }
            p { "Register this address in every OAuth app, exactly as it is:" }
            (parts::copyable(redirect.as_str()))
        }
        @if with_oauth.is_empty() {
            (parts::empty("No connector needs an OAuth app", "None of the connectors of this server logs in through OAuth in the browser.", Some(("Open the marketplace", "/dashboard/marketplace"))))
        }
        @for manifest in with_oauth { (connector(&desk, manifest, &own)) }
        @for app in gone {
            section.card {
                h2 { (app.key.connector) }
                p.muted { "This connector is not active on this server now. The app is kept." }
                p { "Client id " code { (app.client_id) } " for " (app.key.environment.as_str()) }
            }
        }
    };
    let page = Page::new("OAuth apps").style(
        ".app { display: flex; gap: .75rem; align-items: center; margin-bottom: .75rem; } .app h2 { margin: 0; }",
    );
    Ok(desk.page_with(page, Section::OAuthApps, body))
}

fn connector(desk: &ProjectDesk, manifest: &Manifest, own: &[ProjectApp]) -> Markup {
    let servers = servers(desk, manifest);
    let columns = ["Login", "Environment", "App in use", "Change"];
    let find = |scheme: &AuthScheme, environment: Environment| {
        own.iter().find(|app| {
            app.key.connector == manifest.slug
                && app.key.scheme == scheme.name
                && app.key.environment == environment
        })
    };
    let rows = html! {
        @for scheme in schemes(manifest) {
            @for environment in [Environment::Production, Environment::Sandbox] {
                @let own = find(scheme, environment);
                tr {
                    th scope="row" { (scheme.title) }
                    td {
                        (environment.as_str())
                        @if environment == desk.project.environment { " " (parts::badge(Tone::Info, "this project's")) }
                    }
                    td { (in_use(own, servers.as_ref())) }
                    td {
                        @let href = form::href(desk, &manifest.slug, &scheme.name, environment);
                        a.button.small href=(href) {
                            @if !desk.is(Role::Developer) { "Look" } @else if own.is_some() { "Replace or remove" } @else { "Set your own" }
                            span.visually-hidden { " for " (manifest.name) ", " (environment.as_str()) }
                        }
                    }
                }
            }
        }
    };
    html! {
        section.card {
            div.app { (parts::icon(manifest.icon.as_deref(), &manifest.name)) h2 { (manifest.name) } }
            (parts::table(&format!("OAuth apps for {}", manifest.name), &columns, &rows))
            details {
                summary { "Environment variables of the server" }
                p { "An operator sets the server's app, for all projects without their own, by one of these:" }
                @for (id, secret) in variables(manifest) {
                    p { (parts::copyable(&id)) " " (parts::copyable(&secret)) }
                }
            }
        }
    }
}

fn in_use(own: Option<&ProjectApp>, servers: Option<&ServerApp>) -> Markup {
    html! {
        @match (own, servers) {
            (Some(app), _) => {
                (parts::badge(Tone::Good, "your own")) " " code { (app.client_id) }
                div.small.muted {
                    @if !app.has_secret { "without a secret · " }
                    "changed " (parts::time(app.updated_at))
                }
            }
            (None, Some(app)) => {
                (parts::badge(Tone::Neutral, "the server's")) " " code { (app.client_id) }
                div.small.muted { (match app.source { AppSource::Configuration => "set in the configuration", AppSource::Variables => "set by environment variables", AppSource::Project => "" }) }
            }
            (None, None) => {
                (parts::badge(Tone::Warn, "none"))
                div.small.muted { "Customers cannot log in this way until there is one." }
            }
        }
    }
}

/// Names of the variables of the client's id and secret: those of the published contract for each
/// vertical, then our own.
fn variables(manifest: &Manifest) -> Vec<(String, String)> {
    let names: BTreeMap<&str, ()> = manifest
        .verticals()
        .into_iter()
        .map(|one| (one, ()))
        .collect();
    let mut all: Vec<(String, String)> = names
        .into_keys()
        .map(|vertical| {
            let name = |attribute| app_variable(&manifest.slug, vertical, attribute);
            (name("CLIENT_ID"), name("CLIENT_SECRET"))
        })
        .collect();
    let slug = manifest
        .slug
        .as_str()
        .replace('-', "_")
        .to_ascii_uppercase();
    let name = |attribute| format!("JACKFIELD_CONNECTORS__{slug}__OAUTH__{attribute}");
    all.push((name("CLIENT_ID"), name("CLIENT_SECRET")));
    all
}
