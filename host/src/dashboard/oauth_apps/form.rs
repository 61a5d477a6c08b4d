//! Setting and removing one app.

use std::sync::Arc;

use axum::{extract::Path, http::StatusCode, response::Response};
use maud::html;
use secrecy::SecretString;
use serde::Deserialize;

use super::{schemes, servers};
use crate::{
    dashboard::{ProjectDesk, Section},
    model::{AuthScheme, Environment, Manifest, OAuthAppKey, Role, Slug},
    vault::{self, AppSecret, NewProjectApp, ProjectApp},
    web::{
        self, Form, Page, Query,
        parts::{self, Tone},
    },
};

pub(super) fn href(
    desk: &ProjectDesk,
    connector: &Slug,
    scheme: &str,
    environment: Environment,
) -> String {
    let scheme: String = url::form_urlencoded::byte_serialize(scheme.as_bytes()).collect();
    let environment = environment.as_str();
    desk.href(&format!(
        "/oauth-apps/{connector}/{scheme}?environment={environment}"
    ))
}

/// Which environment.
#[derive(Deserialize)]
pub(super) struct Of {
    #[serde(default)]
    environment: Option<String>,
}

/// What is typed.
#[derive(Default, Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
    #[serde(default)]
    public_client: Option<String>,
    #[serde(default)]
    scopes: String,
}

/// What the form is about.
struct Subject {
    manifest: Arc<Manifest>,
    key: OAuthAppKey,
    own: Option<ProjectApp>,
}

impl Subject {
    async fn find(
        desk: &ProjectDesk,
        connector: &str,
        scheme: &str,
        of: &Of,
    ) -> Result<Self, web::Error> {
        let unknown =
            || web::Error::not_found("No active connector of this server has that OAuth login.");
        let slug: Slug = connector.parse().map_err(|_| unknown())?;
        let services = &desk.services;
        let version = services.runtime.active(&slug).ok_or_else(unknown)?;
        let manifest = Arc::clone(version.manifest());
        let is_there = schemes(&manifest).any(|one| one.name == scheme);
        if !is_there {
            return Err(unknown());
        }
        let environment = match of.environment.as_deref() {
            None => desk.project.environment,
            Some(text) => Environment::parse(text).ok_or_else(unknown)?,
        };
        let key = OAuthAppKey {
            connector: slug,
            scheme: scheme.to_owned(),
            environment,
        };
        let own = services.vault.oauth_apps(desk.project.id).await?;
        let own = own.into_iter().find(|app| app.key == key);
        Ok(Self { manifest, key, own })
    }

    fn scheme(&self) -> Option<&AuthScheme> {
        self.manifest.scheme(&self.key.scheme)
    }

    fn href(&self, desk: &ProjectDesk) -> String {
        let key = &self.key;
        href(desk, &key.connector, &key.scheme, key.environment)
    }
}

pub(super) async fn show(
    desk: ProjectDesk,
    Path((_, connector, scheme)): Path<(String, String, String)>,
    Query(of): Query<Of>,
) -> Result<Response, web::Error> {
    let subject = Subject::find(&desk, &connector, &scheme, &of).await?;
    let typed = subject
        .own
        .as_ref()
        .map_or_else(Typed::default, |app| Typed {
            client_id: app.client_id.clone(),
            public_client: (!app.has_secret).then(String::new),
            scopes: app
                .scopes
                .as_ref()
                .map_or_else(String::new, |scopes| scopes.join("\n")),
            client_secret: String::new(),
        });
    Ok(page(&desk, &subject, &typed, None))
}

/// `wrong` is a field and what is wrong with it.
fn page(
    desk: &ProjectDesk,
    subject: &Subject,
    typed: &Typed,
    wrong: Option<(&str, &str)>,
) -> Response {
    let name = &subject.manifest.name;
    let own = subject.own.as_ref();
    let servers = servers(desk, &subject.manifest);
    let scopes = subject.scheme().and_then(AuthScheme::oauth);
    let scopes = scopes.map_or_else(String::new, |oauth| oauth.scopes.join(" "));
    let wrong_at = |field| wrong.filter(|(at, _)| *at == field).map(|(_, text)| text);
    let environment = subject.key.environment.as_str();
    let writes = desk.is(Role::Developer);
    let secret_hint = match own {
        Some(app) if app.has_secret => {
            "A secret is set and is never shown. Leave this empty to keep it; with another client id it has to be typed again."
        }
        _ => "It is sealed as it is stored, and never shown again.",
    };
    let remove = subject.href(desk).replacen('?', "/remove?", 1);
    let body = html! {
        p { a href=(desk.href("/oauth-apps")) { "← All OAuth apps" } }
        p.muted { "For logins to " (name) " by “" (subject.key.scheme) "” in " (environment) ", of this project only." }
        section.card {
            h2 { "At the provider" }
            ol {
                li { "Register an OAuth app with the provider of " (name) "." }
                li { "Give it this redirect URI, exactly as it is: " (parts::copyable(desk.services.oauth_redirect_uri().as_str())) }
                @if !scopes.is_empty() { li { "Allow it these scopes: " (parts::copyable(&scopes)) } }
                li { "Type its client id and secret here." }
            }
        }
        @if writes {
            form.form.card method="post" action=(subject.href(desk)) {
                h2 { @if own.is_some() { "Replace" } @else { "Set your own" } }
                (parts::field("client_id", "Client id", "What the provider calls your app.", wrong_at("client_id"), &parts::input("client_id", "text", &typed.client_id, true, wrong_at("client_id").is_some())))
                (parts::field("client_secret", "Client secret", secret_hint, wrong_at("client_secret"), &parts::secret_input("client_secret", false, wrong_at("client_secret").is_some())))
                (parts::checkbox("public_client", "The app has no secret (a public client)", typed.public_client.is_some()))
                (parts::field("scopes", "Scopes", "Leave it empty to ask for the connector's. Else one on each line: with fewer, some objects may fail.", wrong_at("scopes"), &parts::textarea("scopes", &typed.scopes, false, wrong_at("scopes").is_some())))
                (parts::alert(Tone::Info, "What happens to connections that are there", &html! {
                    p { "Nothing at once. Tokens belong to the app that got them: connections that were made with the server's app go on with it. Connections that were made with another app of your own have to log in again once their token runs out." }
                }))
                button.button.primary type="submit" { "Save" }
            }
        }
        @if let Some(app) = own {
            section.card {
                h2 { "In use" }
                p { "Client id " code { (app.client_id) } ", set " (parts::time(app.created_at)) ", changed " (parts::time(app.updated_at)) "." }
                @if writes {
                    (parts::post_button(&remove, "Remove", Tone::Bad, Some(&format!(
                        "Remove your own app? {} Connections that were made with it have to log in again once their token runs out.",
                        if servers.is_some() { "New logins use the server's app then." } else { "Customers cannot log in this way then: the server has no app either." }
                    ))))
                }
            }
        } @else if let Some(app) = &servers {
            p.muted { "Until you set your own, the server's app with the client id " code { (app.client_id) } " is used." }
        }
    };
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = Page::new(format!("OAuth app for {name}")).status(status);
    desk.page_with(page, Section::OAuthApps, body)
}

pub(super) async fn set(
    desk: ProjectDesk,
    Path((_, connector, scheme)): Path<(String, String, String)>,
    Query(of): Query<Of>,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let subject = Subject::find(&desk, &connector, &scheme, &of).await?;
    let secret = typed.client_secret.trim();
    let has_secret = subject.own.as_ref().is_some_and(|app| app.has_secret);
    let secret = match (typed.public_client.is_some(), secret.is_empty()) {
        (true, true) => AppSecret::None,
        (true, false) => {
            let wrong = "A public client has no secret: leave this empty, or say that it has one.";
            return Ok(page(
                &desk,
                &subject,
                &typed,
                Some(("client_secret", wrong)),
            ));
        }
        (false, false) => AppSecret::New(SecretString::from(secret)),
        (false, true) if has_secret => AppSecret::Keep,
        (false, true) => {
            let wrong = "Type the secret, or say that the app has none.";
            return Ok(page(
                &desk,
                &subject,
                &typed,
                Some(("client_secret", wrong)),
            ));
        }
    };
    let words = typed.scopes.split([' ', '\n', '\r', '\t', ',']);
    let scopes: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let new = NewProjectApp {
        client_id: typed.client_id.clone(),
        secret,
        scopes: (!scopes.is_empty()).then_some(scopes),
    };
    let vault = &desk.services.vault;
    let actor = desk.actor();
    let set = vault.set_oauth_app(desk.project.id, &subject.key, new, &actor);
    match set.await {
        Ok(_) => {
            let message = format!("Logins to {} use your own app now.", subject.manifest.name);
            Ok(desk.done(&message, &desk.href("/oauth-apps")))
        }
        Err(vault::Error::Field { field, message }) => {
            Ok(page(&desk, &subject, &typed, Some((&field, &message))))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn remove(
    desk: ProjectDesk,
    Path((_, connector, scheme)): Path<(String, String, String)>,
    Query(of): Query<Of>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let subject = Subject::find(&desk, &connector, &scheme, &of).await?;
    let (vault, actor) = (&desk.services.vault, desk.actor());
    let removed = vault.remove_oauth_app(desk.project.id, &subject.key, &actor);
    if !removed.await? {
        return Err(web::Error::not_found("This project has no such app."));
    }
    let message = format!("Your own app for {} was removed.", subject.manifest.name);
    Ok(desk.done(&message, &desk.href("/oauth-apps")))
}
