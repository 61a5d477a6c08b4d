//! Logins on the provider's own pages, in a window of their own where the browser allows one.
//!
//! The login is bound to the browser by a cookie, which the answer that leads to the provider sets.
//! In another site's frame no browser keeps one, and no provider lets itself be shown there: what
//! begins in a frame is answered with a page that opens a window.
//!
//! The window comes back to a page of ours, which tells the page that opened it and closes. Where
//! the two are cut off from each other, the opener learns it by asking the server.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
    routing::get,
};
use maud::{Markup, html};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{
    Form, OpenLink,
    field::{self, Field},
    login::{self, Typed},
};
use crate::{
    http::{self, Services},
    model::{AuthScheme, Connection, Manifest},
    runtime::ConnectorVersion,
    unify::{self, LoginProblem, OAuthRequest},
    vault::LoginLink,
    web::{Query, parts},
};

pub(super) fn routes() -> Router<Arc<Services>> {
    let start = get(start).post(start_with);
    Router::new().route("/connect/{token}/oauth/{connector}", start)
}

/// What the button stands in: a plain link, or a form where something has to be typed first.
pub(super) fn form(
    open: &OpenLink,
    manifest: &Manifest,
    scheme: &AuthScheme,
    fields: &[Field<'_>],
    typed: &Typed,
    problem: Option<&LoginProblem>,
) -> Markup {
    let texts = open.texts;
    let path = format!("/oauth/{}", manifest.slug);
    let label = texts.with("oauth.button", &[("connector", &manifest.name)]);
    html! {
        p { (texts.with("oauth.lead", &[("connector", &manifest.name)])) }
        @if fields.is_empty() {
            a.button.primary data-popup href=(open.href_with(&path, &[("scheme", &scheme.name)])) { (label) }
        } @else {
            form.form data-popup method="post" action=(open.href(&path)) {
                (parts::hidden("scheme", &scheme.name))
                (login::inputs(open, fields, typed, problem))
                button.button.primary type="submit" { (label) }
            }
        }
        p.muted data-waiting role="status" hidden { (texts.with("oauth.waiting", &[("connector", &manifest.name)])) }
        (asks(open))
    }
}

/// Goes on when the login in the other window is over.
fn asks(open: &OpenLink) -> Markup {
    html! {
        div hx-get=(open.href_with("/wait", &[("since", &mark(open))])) hx-trigger="every 3s" hx-swap="none" {}
    }
}

/// What changes with every login by a link.
pub(super) fn mark(open: &OpenLink) -> String {
    let at = open.link.used_at.map_or(0, |at| at.as_millis());
    at.to_string()
}

/// `GET /connect/{token}/oauth/{connector}?scheme=`: to the provider's page.
async fn start(
    open: OpenLink,
    Path((_, connector)): Path<(String, String)>,
    headers: HeaderMap,
    Query(mut query): Query<Typed>,
) -> Response {
    let scheme = query.remove("scheme");
    if is_framed(&headers) {
        return in_a_window(&open, &connector, scheme.as_deref(), &Typed::new());
    }
    let made = begin(&open, &connector, scheme, Typed::new()).await;
    open.show(made.map(|begun| match begun {
        Ok(begun) => begun.bound(open.to(begun.address.as_str())),
        Err(page) => page,
    }))
}

/// The same after something was typed. A form may not lead to another site, so the answer is a
/// page that goes there.
async fn start_with(
    open: OpenLink,
    Path((_, connector)): Path<(String, String)>,
    headers: HeaderMap,
    Form(mut typed): Form<Typed>,
) -> Response {
    let scheme = typed.remove("scheme");
    if is_framed(&headers) {
        return in_a_window(&open, &connector, scheme.as_deref(), &typed);
    }
    let made = begin(&open, &connector, scheme, typed).await;
    open.show(made.map(|begun| match begun {
        Ok(begun) => begun.bound(on_the_way(&open, &begun.address)),
        Err(page) => page,
    }))
}

fn is_framed(headers: &HeaderMap) -> bool {
    let dest = headers.get(HeaderName::from_static("sec-fetch-dest"));
    dest.is_some_and(|dest| dest == "iframe" || dest == "frame")
}

/// The page within a frame whose script or whose window does not work: a form that needs neither.
fn in_a_window(open: &OpenLink, connector: &str, scheme: Option<&str>, typed: &Typed) -> Response {
    let Some(version) = open.connector(connector) else {
        return login::gone(open);
    };
    let (texts, manifest) = (open.texts, version.manifest());
    let named = [("connector", manifest.name.as_str())];
    let body = html! {
        p { (texts.with("oauth.window", &named)) }
        form.form method="post" target="_blank" action=(open.href(&format!("/oauth/{}", manifest.slug))) {
            @if let Some(scheme) = scheme { (parts::hidden("scheme", scheme)) }
            @for (id, value) in typed { (parts::hidden(id, value)) }
            button.button.primary type="submit" { (texts.with("oauth.button", &named)) }
        }
        (asks(open))
    };
    open.page(texts.get("oauth.title"), &body)
}

/// A login that begins.
struct Begun {
    address: Url,
    /// What binds it to the browser.
    cookie: Option<HeaderValue>,
}

impl Begun {
    fn bound(&self, mut response: Response) -> Response {
        if let Some(cookie) = &self.cookie {
            let headers = response.headers_mut();
            headers.append(header::SET_COOKIE, cookie.clone());
        }
        response
    }
}

fn on_the_way(open: &OpenLink, url: &Url) -> Response {
    let texts = open.texts;
    let host = url.host_str().unwrap_or_default();
    let body = html! {
        p { (texts.with("oauth.on_the_way", &[("host", host)])) }
        p { a.button.primary href=(url) { (texts.get("oauth.go_on")) } }
    };
    let mut response = open.page(texts.get("oauth.title"), &body);
    if let Ok(value) = HeaderValue::from_str(&format!("0;url={url}")) {
        response.headers_mut().insert(header::REFRESH, value);
    }
    response
}

/// The way to the provider's page, or the page that says why there is none.
async fn begin(
    open: &OpenLink,
    connector: &str,
    scheme: Option<String>,
    typed: Typed,
) -> Result<Result<Begun, Response>, http::Error> {
    let Some(version) = open.connector(connector) else {
        return Ok(Err(login::gone(open)));
    };
    let scope = open.connection().await?;
    let again = scope.as_ref().map(|scope| scope.connection());
    if !login::may_log_in(open, &version, again) {
        return Ok(Err(login::used(open, again.is_some())));
    }
    let named = scheme.as_deref();
    let manifest = version.manifest();
    let typed = filled(typed, again);
    let refused = |problem| login::page(open, &version, named, again, &typed, Some(&problem));
    if let Some(problem) = login::checked(open, manifest, named, &typed) {
        return Ok(Err(refused(problem)));
    }
    if login::tries(open).await?.is_err() {
        return Ok(Err(refused(LoginProblem::too_often())));
    }
    let begun = to_provider(open, &version, scheme.clone(), typed.clone()).await;
    Ok(begun.map_err(|error| refused(login::told(open, manifest, &error))))
}

/// What a connection has already need not be typed again.
fn filled(mut typed: Typed, again: Option<&Connection>) -> Typed {
    for (id, value) in field::filled_in(again) {
        typed.entry(id).or_insert(value);
    }
    typed
}

async fn to_provider(
    open: &OpenLink,
    version: &ConnectorVersion,
    scheme: Option<String>,
    typed: Typed,
) -> Result<Begun, unify::Error> {
    let services = &open.services;
    let (secret, hash) = services.vault.new_browser_secret();
    let request = OAuthRequest {
        connect: login::request(open, version, scheme, typed),
        return_url: None,
        link: Some(LoginLink {
            id: open.link.id,
            token: open.token().to_owned(),
            connection: open.link.what.connection,
            query: open.language_query(),
            browser: Some(hash),
        }),
        redirect_uri: services.oauth_redirect_uri(),
    };
    let begun = services.unify.start_oauth(request).await?;
    Ok(Begun {
        cookie: services.login_cookie(begun.state.expose_secret(), &secret),
        address: begun.address,
    })
}
