//! The page of a connection: how it stands, and what can be done about it.

mod own;
mod syncs;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde_json::json;

use super::{Look, OpenLink, list, mapping};
use crate::{
    http::{self, Services},
    model::{Connection, ConnectionStatus, Scope, SettingType, Trigger},
    unify::missing_settings,
    web::{
        self, Query,
        parts::{self, Tone},
    },
};

pub(super) use own::Own;

pub(super) fn routes() -> Router<Arc<Services>> {
    let at = "/connect/{token}/connections/{id}";
    Router::new()
        .route("/connect/{token}/connection", get(latest))
        .route(at, get(show))
        .route(&format!("{at}/syncs"), get(live))
        .route(&format!("{at}/sync"), post(sync))
        .route(&format!("{at}/pause"), post(pause))
        .route(&format!("{at}/resume"), post(resume))
        .route(&format!("{at}/disconnect"), get(ask).post(disconnect))
}

/// What is said after something was done, by the word in the address.
const DONE: [&str; 4] = ["saved", "synced", "paused", "resumed"];

async fn show(own: Own, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let done = query.get("done").map_or("", String::as_str);
    let made = page(&own, done).await;
    own.open.show(made)
}

async fn page(own: &Own, done: &str) -> Result<Response, http::Error> {
    let texts = own.open.texts;
    let connection = own.connection();
    let states = own.open.services.store.sync_states(&own.scope).await?;
    let fields = mapping::offered(own).await?;
    let steps = steps(own).await?;
    let has_settings = own
        .version
        .as_ref()
        .is_some_and(|version| !version.manifest().settings.is_empty());
    let paused = !states.is_empty() && states.iter().all(|state| state.paused);
    let is_dead = connection.status == ConnectionStatus::NeedsReconnect;
    let done = DONE.iter().find(|word| **word == done);
    let body = html! {
        @if let Some(word) = done {
            (parts::alert(Tone::Good, texts.get(&format!("manage.done.{word}")), &html! {}))
        }
        (head(own))
        (trouble(own))
        @if !steps.is_empty() {
            (parts::alert(Tone::Warn, texts.get("manage.more.title"), &html! {
                p { (texts.get("manage.more.text")) " " (steps.join(", ")) "." }
                p { a.button.primary href=(own.href("/settings")) { (texts.get("manage.more.button")) } }
            }))
        }
        (syncs::section(own, &states))
        div.row {
            @if !states.is_empty() && !is_dead {
                @if paused {
                    (parts::post_button(&own.href("/resume"), texts.get("manage.resume"), Tone::Good, None))
                } @else {
                    (parts::post_button(&own.href("/sync"), texts.get("manage.sync_now"), Tone::Good, None))
                    (parts::post_button(&own.href("/pause"), texts.get("manage.pause"), Tone::Neutral, None))
                }
            }
            @if has_settings { a.button href=(own.href("/settings")) { (texts.get("manage.settings")) } }
            @if !fields.is_empty() { a.button href=(own.href("/fields")) { (texts.get("manage.fields")) } }
            @if !is_dead { a.button href=(own.login_href()) { (texts.get("manage.reconnect")) } }
            a.button.danger href=(own.href("/disconnect")) { (texts.get("manage.disconnect")) }
        }
        p.manage-leave { a data-embed-close href=(own.leave_href()) { (texts.get("manage.back")) } }
    };
    let title = texts.with("manage.title", &[("connector", own.name())]);
    Ok(own.open.page_with(own.look(), &title, &body))
}

/// Which account it is, and how it stands in a word.
fn head(own: &Own) -> Markup {
    let texts = own.open.texts;
    let connection = own.connection();
    let icon = own
        .version
        .as_ref()
        .and_then(|version| version.manifest().icon.as_deref());
    let (tone, word) = match (connection.status, &own.version) {
        (ConnectionStatus::NeedsReconnect, _) => (Tone::Bad, "manage.state.dead"),
        (_, None) => (Tone::Warn, "manage.state.away"),
        (ConnectionStatus::Valid, Some(_)) => (Tone::Good, "manage.state.good"),
    };
    let account = connection
        .account_name
        .as_deref()
        .or(connection.account.as_deref());
    html! {
        div class={ "connector-head c-" (connection.connector) } {
            (parts::icon(icon, own.name()))
            div {
                p { strong { (account.unwrap_or_else(|| own.name())) } " " (parts::badge(tone, texts.get(word))) }
                p { (texts.get("manage.since")) " " (parts::time(connection.created_at)) }
            }
        }
    }
}

/// What is wrong with the connection as a whole, and what to do.
fn trouble(own: &Own) -> Markup {
    let texts = own.open.texts;
    let connection = own.connection();
    let name = [("connector", own.name()), ("brand", own.open.brand())];
    if connection.status == ConnectionStatus::NeedsReconnect {
        return parts::alert(
            Tone::Bad,
            &texts.with("manage.dead.title", &name),
            &html! {
                p { (texts.with("manage.dead.text", &name)) }
                p { a.button.primary href=(own.login_href()) { (texts.get("manage.reconnect")) } }
            },
        );
    }
    if own.version.is_none() {
        let text = html! { p { (texts.with("manage.away.text", &name)) } };
        return parts::alert(Tone::Warn, texts.get("manage.away.title"), &text);
    }
    Markup::default()
}

/// The titles of what has to be chosen before the connection is complete.
async fn steps(own: &Own) -> Result<Vec<String>, http::Error> {
    let Some(version) = &own.version else {
        return Ok(Vec::new());
    };
    let manifest = version.manifest();
    let missing = missing_settings(manifest, own.connection());
    let mut steps: Vec<String> = missing.iter().map(|one| one.title.clone()).collect();
    for setting in &manifest.settings {
        let needs = setting.required && setting.kind == SettingType::FieldMapping;
        let Some(kind) = setting.object_kind().filter(|_| needs) else {
            continue;
        };
        let store = &own.open.services.store;
        if store.effective_mappings(&own.scope, kind).await?.is_empty() {
            steps.push(setting.title.clone());
        }
    }
    Ok(steps)
}

/// `GET …/syncs`: the part of the page that changes by itself.
async fn live(own: Own) -> Response {
    match own.open.services.store.sync_states(&own.scope).await {
        Ok(states) => web::fragment(syncs::section(&own, &states)),
        Err(error) => own.open.show(Err(error.into())),
    }
}

async fn sync(own: Own) -> Response {
    let made = each(&own, "sync.run").await;
    own.open.show(made.map(|()| own.to_done("synced")))
}

async fn pause(own: Own) -> Response {
    let made = each(&own, "sync.pause").await;
    own.open.show(made.map(|()| own.to_done("paused")))
}

async fn resume(own: Own) -> Response {
    let made = each(&own, "sync.resume").await;
    own.open.show(made.map(|()| own.to_done("resumed")))
}

/// Does the same with every sync of the connection.
async fn each(own: &Own, what: &str) -> Result<(), http::Error> {
    let services = &own.open.services;
    for state in services.store.sync_states(&own.scope).await? {
        let (scope, kind) = (&own.scope, state.kind);
        match what {
            "sync.pause" => services.store.pause_sync(scope, kind).await?,
            "sync.resume" => services.store.resume_sync(scope, kind).await?,
            _ => {
                let asked = services
                    .store
                    .request_run(scope, kind, Trigger::Manual, false);
                asked.await?;
            }
        }
    }
    let connection = own.connection();
    let details = json!({ "connector": connection.connector });
    own.audit(what, connection.id, details).await?;
    services.unify.work().notify_one();
    Ok(())
}

/// `GET …/disconnect`: what would happen.
async fn ask(own: Own) -> Response {
    let texts = own.open.texts;
    let name = [("connector", own.name()), ("brand", own.open.brand())];
    let body = html! {
        (head(&own))
        p { (texts.with("manage.end.text", &name)) }
        ul {
            li { (texts.with("manage.end.access", &name)) }
            li { (texts.with("manage.end.records", &name)) }
            li { (texts.with("manage.end.provider", &name)) }
        }
        div.row {
            (parts::post_button(&own.href("/disconnect"), texts.get("manage.end.button"), Tone::Bad, None))
            a.button href=(own.href("")) { (texts.get("manage.end.keep")) }
        }
    };
    let title = texts.with("manage.end.title", &name);
    own.open.page_with(own.look(), &title, &body)
}

async fn disconnect(own: Own) -> Response {
    let made = end(&own).await;
    own.open.show(made)
}

async fn end(own: &Own) -> Result<Response, http::Error> {
    let services = &own.open.services;
    services.unify.disconnect(&own.scope).await?;
    let connection = own.connection();
    let details = json!({ "connector": connection.connector });
    own.audit("connection.delete", connection.id, details)
        .await?;
    let texts = own.open.texts;
    let name = [("connector", own.name()), ("brand", own.open.brand())];
    let body = html! {
        (told(connection, "disconnected"))
        p { (texts.with(if own.open.is_used() { "manage.ended.used" } else { "manage.ended.text" }, &name)) }
        @if !own.open.is_used() || own.open.return_url().is_some() {
            p { a.button data-embed-close href=(own.leave_href()) { (texts.get("manage.back")) } }
        } @else {
            p.muted { (texts.get("connected.close")) }
        }
    };
    let title = texts.with("manage.ended.title", &name);
    Ok(own.open.page_with(own.look(), &title, &body))
}

/// What the page tells the one that shows it in a frame: `connected` or `disconnected`.
pub(super) fn told(connection: &Connection, what: &str) -> Markup {
    let event = json!({
        "type": what,
        "connectionId": connection.id.to_string(),
        "connector": connection.connector.as_str(),
    });
    html! { span data-embed-event=(event) hidden {} }
}

/// `GET /connect/{token}/connection`: to the page of the connection that the link made.
async fn latest(open: OpenLink) -> Response {
    match open.connection().await {
        Ok(Some(scope)) => {
            let path = format!("/connections/{}", scope.connection().id);
            open.to(&open.href(&path))
        }
        Ok(None) => open.to(&open.href("")),
        Err(error) => open.show(Err(error)),
    }
}

/// The connections that the linked user has already, for the list of what can be connected; none
/// where there are none.
pub(super) async fn existing(open: &OpenLink) -> Result<Option<Markup>, http::Error> {
    let store = &open.services.store;
    let mut scopes = store
        .connections_of(open.project.id, open.linked_user.id)
        .await?;
    scopes.retain(|scope| own::is_of(open, scope));
    if scopes.is_empty() {
        return Ok(None);
    }
    let texts = open.texts;
    Ok(Some(html! {
        h2 { (texts.get("manage.existing")) }
        div.grid { @for scope in &scopes { (tile(open, scope)) } }
        h2 { (texts.get("manage.another")) }
    }))
}

fn tile(open: &OpenLink, scope: &Scope) -> Markup {
    let connection = scope.connection();
    let version = open.services.runtime.active(&connection.connector);
    let manifest = version.as_ref().map(|version| version.manifest());
    let name = manifest.map_or(connection.connector.as_str(), |manifest| {
        manifest.name.as_str()
    });
    let icon = manifest.and_then(|manifest| manifest.icon.as_deref());
    let account = connection
        .account_name
        .as_deref()
        .or(connection.account.as_deref());
    let (tone, word) = match connection.status {
        ConnectionStatus::Valid => (Tone::Good, "manage.state.good"),
        ConnectionStatus::NeedsReconnect => (Tone::Bad, "manage.state.dead"),
    };
    html! {
        a class={ "card tile c-" (connection.connector) } href=(open.href(&format!("/connections/{}", connection.id))) {
            (parts::icon(icon, name))
            span {
                strong { (name) }
                @if let Some(account) = account { p { (account) } }
                (parts::badge(tone, open.texts.get(word)))
            }
        }
    }
}

impl Own {
    /// The looks of the pages of a connection: the connector's colour.
    pub(super) fn look(&self) -> Look {
        let style = self
            .version
            .as_ref()
            .map(|version| list::tile_style(version.manifest()));
        Look {
            style: style.unwrap_or_default(),
            ..Look::default()
        }
    }
}
