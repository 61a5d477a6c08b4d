//! A connector's page: what it is, what it may do, and how to log in; then which account; then
//! that it is connected, and the way back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use maud::{Markup, html};
use secrecy::ExposeSecret as _;

use super::{
    Form, Look, OpenLink, embed,
    field::{self, Field},
    list::tile_style,
    oauth,
};
use crate::{
    http::{self, Services},
    model::{AuthKind, AuthScheme, Connection, LinkState, Manifest, Timestamp},
    runtime::ConnectorVersion,
    store::{Attempt, AttemptRule, AttemptSubject},
    unify::{self, ConnectRequest, LoggedIn, LoginProblem},
    vault::Vault,
    web::{
        Query,
        markdown::markdown,
        parts::{self, Tone},
    },
};

/// In forms that log a connection in again: which. A form from before there was one has it not, and
/// comes too late.
const AGAIN: &str = "again";

/// Logins by one link that come to nothing. The provider is asked each time, from this server.
const GUESSES: AttemptRule = AttemptRule {
    free: 10,
    first_wait: Duration::from_secs(30),
    longest_wait: Duration::from_secs(900),
    forget_after: Duration::from_secs(3600),
};

/// What was typed, by field.
pub(super) type Typed = BTreeMap<String, String>;

pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route(
            "/connect/{token}/connectors/{connector}",
            get(show).post(log_in),
        )
        .route(
            "/connect/{token}/accounts/{choice}",
            get(accounts).post(choose),
        )
        .route("/connect/{token}/connected", get(connected))
        .route("/connect/{token}/wait", get(wait))
        .route("/connect/{token}/finish", get(finish))
        .route("/connect/{token}/cancel", get(cancel))
}

/// `GET /connect/{token}/connectors/{connector}?scheme=`, with `problem=` after a login in the
/// browser that came to nothing.
async fn show(
    open: OpenLink,
    Path((_, connector)): Path<(String, String)>,
    Query(query): Query<Typed>,
) -> Response {
    let made = show_page(&open, &connector, &query).await;
    open.show(made)
}

async fn show_page(
    open: &OpenLink,
    connector: &str,
    query: &Typed,
) -> Result<Response, http::Error> {
    let Some(version) = open.connector(connector) else {
        return Ok(gone(open));
    };
    let scope = open.connection().await?;
    let again = scope.as_ref().map(|scope| scope.connection());
    if !may_log_in(open, &version, again) {
        return Ok(used(open, again.is_some()));
    }
    // Only what this server wrote there: nobody puts words of their own on the page.
    let said = query
        .get("said")
        .and_then(|sealed| open.services.vault.said_in_link(open.link.id, sealed));
    let problem = query.get("problem").and_then(|problem| {
        let name = LoginProblem::NAMES
            .into_iter()
            .find(|name| name == problem)?;
        Some(LoginProblem {
            name,
            said,
            field: None,
        })
    });
    let scheme = query.get("scheme").map(String::as_str);
    let typed = field::filled_in(again);
    Ok(page(
        open,
        &version,
        scheme,
        again,
        &typed,
        problem.as_ref(),
    ))
}

/// A used link logs its own connection in again, and nothing else.
pub(super) fn may_log_in(
    open: &OpenLink,
    version: &ConnectorVersion,
    again: Option<&Connection>,
) -> bool {
    match again {
        Some(connection) => connection.connector == version.manifest().slug,
        None => !open.is_used(),
    }
}

/// The page of a connector, with what was typed and what came of it.
pub(super) fn page(
    open: &OpenLink,
    version: &ConnectorVersion,
    scheme: Option<&str>,
    again: Option<&Connection>,
    typed: &Typed,
    problem: Option<&LoginProblem>,
) -> Response {
    let (texts, manifest) = (open.texts, version.manifest());
    let scheme = scheme.or_else(|| again.map(|connection| connection.scheme.as_str()));
    let chosen = scheme.and_then(|name| manifest.scheme(name));
    let chosen = chosen.or_else(|| manifest.auth.first());
    let here = format!("/connectors/{}", manifest.slug);
    let title = match again {
        Some(_) => texts.with("connector.again", &[("connector", &manifest.name)]),
        None => texts.with("connector.title", &[("connector", &manifest.name)]),
    };
    let body = html! {
        @if open.connectors().len() > 1 && again.is_none() {
            p { a href=(open.href("")) { (texts.get("back_to_list")) } }
        }
        div class={ "connector-head c-" (manifest.slug) } {
            (parts::icon(manifest.icon.as_deref(), &manifest.name))
            p { (manifest.description) }
        }
        @if let Some(problem) = problem { (alert(open, manifest, problem)) }
        @if let Some(connection) = again {
            p { (texts.with("connector.same", &[("account", account_of(connection))])) }
        }
        section.card data-login=[chosen.map(|chosen| open.href_with(&here, &[("scheme", &chosen.name)]))] {
            h2 { (texts.get("login.title")) }
            @if manifest.auth.len() > 1 {
                nav.tabs aria-label=(texts.get("login.ways")) {
                    @for scheme in &manifest.auth {
                        a href=(open.href_with(&here, &[("scheme", &scheme.name)]))
                            aria-current=[chosen.is_some_and(|chosen| chosen.name == scheme.name).then_some("page")] {
                            (scheme.title)
                        }
                    }
                }
            }
            @if let Some(scheme) = chosen { (form(open, manifest, scheme, typed, problem)) }
        }
        (may(open, version))
        @if !manifest.overview.trim().is_empty() {
            section.card {
                h2 { (texts.with("connector.about", &[("connector", &manifest.name)])) }
                (markdown(&manifest.overview))
            }
        }
    };
    let look = Look {
        status: problem.map_or(StatusCode::OK, status_of),
        style: tile_style(manifest),
        ..Look::default()
    };
    open.page_with(look, &title, &body)
}

fn form(
    open: &OpenLink,
    manifest: &Manifest,
    scheme: &AuthScheme,
    typed: &Typed,
    problem: Option<&LoginProblem>,
) -> Markup {
    let texts = open.texts;
    let in_browser = matches!(scheme.kind, AuthKind::OAuth2Code { .. });
    let login = scheme.fields();
    let fields = field::of_login(manifest, &login);
    if in_browser {
        return oauth::form(open, manifest, scheme, &fields, typed, problem);
    }
    html! {
        form.form method="post" action=(open.href(&format!("/connectors/{}", manifest.slug))) {
            (parts::hidden("scheme", &scheme.name))
            @if let Some(id) = open.link.what.connection { (parts::hidden(AGAIN, &id.to_string())) }
            (inputs(open, &fields, typed, problem))
            p.hint { (texts.with("login.kept", &[("brand", open.brand())])) }
            button.button.primary type="submit" { (texts.with("login.connect", &[("connector", &manifest.name)])) }
        }
    }
}

/// The fields with what was typed, and beside one of them what is wrong with it.
pub(super) fn inputs(
    open: &OpenLink,
    fields: &[Field<'_>],
    typed: &Typed,
    problem: Option<&LoginProblem>,
) -> Markup {
    let wrong = problem.and_then(|problem| problem.field.as_ref());
    html! {
        @for field in fields {
            @let message = wrong.filter(|(id, _)| id == field.id).map(|(_, message)| message.as_str());
            (field.show(open.texts, typed.get(field.id).map(String::as_str), message))
        }
    }
}

/// What went wrong, and what to do about it.
fn alert(open: &OpenLink, manifest: &Manifest, problem: &LoginProblem) -> Markup {
    let texts = open.texts;
    let key = format!("problem.{}", problem.name);
    let typed_address = manifest.variables.values().next().is_some();
    let sentence = texts.with(
        &key,
        &[
            ("connector", &manifest.name),
            ("brand", open.brand()),
            ("account", problem.said.as_deref().unwrap_or_default()),
        ],
    );
    html! {
        (parts::alert(Tone::Bad, texts.get("problem.heading"), &html! {
            p { (sentence) }
            @if problem.name == "unavailable" && typed_address { p { (texts.get("problem.check_address")) } }
            @if let Some(said) = problem.said.as_deref().filter(|_| problem.name != "other_account") {
                p.small { (texts.with("problem.said", &[("connector", &manifest.name), ("said", said)])) }
            }
        }))
        div data-login-result hidden {}
    }
}

const fn status_of(problem: &LoginProblem) -> StatusCode {
    match problem.name.as_bytes() {
        b"rate_limited" | b"too_often" => StatusCode::TOO_MANY_REQUESTS,
        b"unavailable" | b"connector_gone" | b"not_configured" => StatusCode::SERVICE_UNAVAILABLE,
        b"connector" | b"unexpected" => StatusCode::BAD_GATEWAY,
        b"link_closed" => StatusCode::CONFLICT,
        b"server" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// What it will be able to do, in plain words.
fn may(open: &OpenLink, version: &ConnectorVersion) -> Markup {
    let (texts, manifest) = (open.texts, version.manifest());
    let names = |wanted: &dyn Fn(&crate::model::ObjectSupport) -> bool| {
        let objects = manifest.objects.iter().filter(|object| wanted(object));
        let names = objects.map(|object| texts.object(object.kind));
        names.collect::<Vec<_>>().join(", ")
    };
    let reads = names(&|object| object.read);
    let writes = names(&|object| !object.push.is_empty());
    let hosts = manifest.permissions.http.iter().map(ToString::to_string);
    let hosts = hosts.collect::<Vec<_>>().join(", ");
    html! {
        section.card {
            h2 { (texts.with("may.title", &[("brand", open.brand())])) }
            ul.may {
                @if !reads.is_empty() { li { (texts.with("may.read", &[("objects", &reads)])) } }
                @if !writes.is_empty() { li { (texts.with("may.write", &[("objects", &writes)])) } }
                @if writes.is_empty() { li { (texts.get("may.nothing_written")) } }
                @if manifest.webhooks.is_some() { li { (texts.with("may.told", &[("connector", &manifest.name)])) } }
            }
            p.small.muted { (texts.with("may.reach", &[("hosts", &hosts)])) " " (texts.get("may.secrets")) }
        }
    }
}

/// `POST /connect/{token}/connectors/{connector}`: what was typed is tried, and kept if it works.
async fn log_in(
    open: OpenLink,
    Path((_, connector)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Response {
    let made = try_form(&open, &connector, typed).await;
    let mut response = open.show(made);
    // Without a copy the browser's Back would ask to send the form again, or show an error of its
    // own. No secret that was typed is in it.
    let value = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}

async fn try_form(
    open: &OpenLink,
    connector: &str,
    mut typed: Typed,
) -> Result<Response, http::Error> {
    let Some(version) = open.connector(connector) else {
        return Ok(gone(open));
    };
    let scope = open.connection().await?;
    let again = scope.as_ref().map(|scope| scope.connection());
    if !may_log_in(open, &version, again) {
        return Ok(used(open, again.is_some()));
    }
    let id = again.map(|connection| connection.id.to_string());
    if open.is_used() && typed.remove(AGAIN) != id {
        // The form is from before there was a connection: another tab, or a second click, made it.
        return Ok(open.to(&open.href("/connected")));
    }
    let scheme = typed.remove("scheme");
    let manifest = version.manifest();
    let named = scheme.as_deref();
    let refused = |problem| page(open, &version, named, again, &typed, Some(&problem));
    if let Some(problem) = checked(open, manifest, named, &typed) {
        return Ok(refused(problem));
    }
    let Ok(attempt) = tries(open).await? else {
        return Ok(refused(LoginProblem::too_often()));
    };
    let request = request(open, &version, scheme.clone(), typed.clone());
    let ended = open
        .services
        .unify
        .connect_by_link(&open.link, request)
        .await;
    if ended.is_ok() {
        open.services.store.end_attempt(&attempt).await?;
    }
    match ended {
        Ok(LoggedIn::Connected(_)) => Ok(open.to(&open.href("/connected"))),
        Ok(LoggedIn::Choose(choice)) => {
            let path = format!("/accounts/{}", choice.expose_secret());
            Ok(open.to(&open.href(&path)))
        }
        Err(unify::Error::LinkClosed) if was_used(open).await? => {
            Ok(open.to(&open.href("/connected")))
        }
        Err(error) => Ok(refused(told(open, manifest, &error))),
    }
}

/// Whether another tab, or a second click, used the link while this one tried to.
async fn was_used(open: &OpenLink) -> Result<bool, http::Error> {
    let Some(hash) = Vault::parse_link_token(open.token()) else {
        return Ok(false);
    };
    let link = open.services.store.connect_link_by_token(&hash).await?;
    Ok(link.is_some_and(|link| link.state(open.services.clock.now()) == LinkState::Used))
}

/// Counts an attempt to log in by this link: credentials are not to be guessed through this server.
pub(super) async fn tries(open: &OpenLink) -> Result<Result<Attempt, Timestamp>, http::Error> {
    let subject = (AttemptSubject::Link(open.link.id), GUESSES);
    Ok(open.services.store.begin_attempt(&[subject]).await?)
}

/// What was typed as the use case takes it.
pub(super) fn request(
    open: &OpenLink,
    version: &ConnectorVersion,
    scheme: Option<String>,
    fields: Typed,
) -> ConnectRequest {
    ConnectRequest {
        project: open.project.id,
        linked_user: open.linked_user.id,
        connector: version.manifest().slug.clone(),
        scheme,
        vertical: open.link.what.vertical.clone(),
        environment: open.project.environment,
        fields,
        account: None,
    }
}

/// The first field with something wrong, in the page's language.
pub(super) fn checked(
    open: &OpenLink,
    manifest: &Manifest,
    scheme: Option<&str>,
    typed: &Typed,
) -> Option<LoginProblem> {
    let scheme = scheme.and_then(|name| manifest.scheme(name));
    let login = scheme.or_else(|| manifest.auth.first())?.fields();
    let fields = field::of_login(manifest, &login);
    let wrong = fields.iter().find_map(|field| {
        let typed = typed.get(field.id).map_or("", String::as_str);
        Some((field.id.to_owned(), field.wrong(open.texts, typed)?))
    });
    wrong.map(|field| LoginProblem {
        name: "input",
        said: None,
        field: Some(field),
    })
}

/// What the customer is told; the log has the rest where it is not theirs to mend.
pub(super) fn told(open: &OpenLink, manifest: &Manifest, error: &unify::Error) -> LoginProblem {
    let problem = error.problem();
    tracing::info!(
        connector = %manifest.slug, project = %open.project.id, link = %open.link.id,
        problem = problem.name, %error,
        "a login on a connect page came to nothing"
    );
    problem
}

/// `GET /connect/{token}/accounts/{choice}`: which of several accounts.
async fn accounts(open: OpenLink, Path((_, choice)): Path<(String, String)>) -> Response {
    choice_page(&open, &choice, None).await
}

async fn choice_page(open: &OpenLink, choice: &str, missing: Option<&str>) -> Response {
    let (connector, accounts) = match open.services.unify.choice(&open.link, choice).await {
        Ok(found) => found,
        // Chosen already, in another tab or before the back button, or too late.
        Err(_) if open.is_used() => return open.to(&open.href("/connected")),
        Err(_) => {
            let path = open.href_with("", &[]);
            let body = html! {
                p { (open.texts.get("choice.over")) }
                p { a.button.primary href=(path) { (open.texts.get("again")) } }
            };
            return open.page_with(
                status(StatusCode::GONE),
                open.texts.get("choice.over_title"),
                &body,
            );
        }
    };
    let texts = open.texts;
    let name = open.connector(connector.as_str()).map_or_else(
        || connector.to_string(),
        |version| version.manifest().name.clone(),
    );
    let body = html! {
        p { (texts.with("choice.lead", &[("connector", &name), ("brand", open.brand())])) }
        form.form.accounts method="post" action=(open.href(&format!("/accounts/{choice}"))) {
            fieldset aria-describedby=[missing.map(|_| "account-error")] {
                legend { (texts.get("choice.account")) }
                @for account in &accounts {
                    label {
                        input type="radio" name="account" value=(account.id) required;
                        span {
                            strong { (account.name.as_deref().unwrap_or(&account.id)) }
                            @if account.name.is_some() { span.muted.small { " " (account.id) } }
                        }
                    }
                }
                @if let Some(missing) = missing { p.error id="account-error" { (missing) } }
            }
            button.button.primary type="submit" { (texts.get("choice.connect")) }
        }
    };
    let look = status(match missing {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    });
    open.page_with(look, texts.get("choice.title"), &body)
}

fn status(status: StatusCode) -> Look {
    Look {
        status,
        ..Look::default()
    }
}

/// `POST /connect/{token}/accounts/{choice}`.
async fn choose(
    open: OpenLink,
    Path((_, choice)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Response {
    let account = typed.get("account").map_or("", String::as_str);
    let made = open
        .services
        .unify
        .choose(&open.link, &choice, account)
        .await;
    match made {
        Ok(_) => open.to(&open.href("/connected")),
        Err(unify::Error::InvalidSetting { .. }) => {
            choice_page(&open, &choice, Some(open.texts.get("choice.missing"))).await
        }
        Err(unify::Error::LinkClosed) => {
            let made = was_used(&open).await;
            open.show(made.map(|was_used| match was_used {
                true => open.to(&open.href("/connected")),
                false => used(&open, false),
            }))
        }
        Err(error) if error.problem().name == "state" => choice_page(&open, &choice, None).await,
        Err(error) => open.show(Err(error.into())),
    }
}

/// `GET /connect/{token}/connected`: that it worked, and the way on.
async fn connected(open: OpenLink) -> Response {
    let made = connected_page(&open).await;
    open.show(made)
}

async fn connected_page(open: &OpenLink) -> Result<Response, http::Error> {
    let texts = open.texts;
    let scope = open.connection().await?;
    let Some(scope) = scope.filter(|_| open.is_used()) else {
        return Ok(if open.is_used() {
            used(open, false)
        } else {
            open.to(&open.href(""))
        });
    };
    let connection = scope.connection();
    let version = open.services.runtime.active(&connection.connector);
    let name = version.as_ref().map_or_else(
        || connection.connector.to_string(),
        |version| version.manifest().name.clone(),
    );
    let values = [
        ("connector", name.as_str()),
        ("brand", open.brand()),
        ("account", account_of(connection)),
    ];
    let body = html! {
        div data-login-result hidden {}
        (super::connection::told(connection, "connected"))
        (parts::alert(Tone::Good, &texts.with("connected.done", &values), &html! {
            p { (texts.with("connected.detail", &values)) }
        }))
        div.row {
            @if back(open, &[]).is_some() {
                a.button.primary data-embed-close href=(open.href("/finish")) { (texts.with("connected.go_on", &values)) }
            }
            a.button href=(open.href("/connection")) { (texts.get("connected.settings")) }
        }
        @if back(open, &[]).is_none() { p.muted { (texts.get("connected.close")) } }
    };
    Ok(open.page(&texts.with("connected.title", &values), &body))
}

/// `GET /connect/{token}/wait?since=`: the page that opened a window asks whether the login in it
/// is over, for where the window cannot tell it.
async fn wait(open: OpenLink, Query(query): Query<Typed>) -> Response {
    if query
        .get("since")
        .is_none_or(|since| *since == oauth::mark(&open))
    {
        return StatusCode::NO_CONTENT.into_response();
    }
    let href = HeaderValue::from_str(&open.href("/connected"));
    let href = href.unwrap_or(HeaderValue::from_static("/"));
    ([(HeaderName::from_static("hx-redirect"), href)], "").into_response()
}

/// `GET /connect/{token}/finish`: back to the integrator, with what was connected, or that it was
/// disconnected again.
async fn finish(open: OpenLink) -> Response {
    let Some(id) = open.link.what.connection.filter(|_| open.is_used()) else {
        return open.to(&open.href(""));
    };
    let status = match open.connection().await {
        Ok(Some(_)) => "connected",
        Ok(None) => "disconnected",
        Err(error) => return open.show(Err(error)),
    };
    let pairs = [
        ("connection_id", id.to_string()),
        ("status", status.to_owned()),
    ];
    back(&open, &pairs).unwrap_or_else(|| open.to(&open.href("/connected")))
}

/// `GET /connect/{token}/cancel`: back to the integrator, with nothing.
async fn cancel(open: OpenLink) -> Response {
    let pairs = [("status", "cancelled".to_owned())];
    back(&open, &pairs).unwrap_or_else(|| open.to(&open.href("")))
}

/// The way back to the integrator; none where there is none, or where it is not allowed any more.
fn back(open: &OpenLink, pairs: &[(&str, String)]) -> Option<Response> {
    let mut url = open.return_url()?.clone();
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Some(open.to(url.as_str()))
}

/// The page of a link that was used for something else. `there_is` says whether what it connected
/// is still there.
pub(super) fn used(open: &OpenLink, there_is: bool) -> Response {
    let texts = open.texts;
    let body = html! {
        p { (texts.with("used.detail", &[("brand", open.brand())])) }
        (embed::closed("used"))
        div.row {
            @if there_is {
                a.button.primary href=(open.href("/connected")) { (texts.get("used.look")) }
            }
            @if open.is_used() && open.return_url().is_some() {
                a.button data-embed-close href=(open.href("/finish")) {
                    (texts.with("connected.go_on", &[("brand", open.brand())]))
                }
            }
        }
    };
    open.page_with(status(StatusCode::CONFLICT), texts.get("used.title"), &body)
}

/// The page where a connector is not there, or not for this link.
pub(super) fn gone(open: &OpenLink) -> Response {
    let texts = open.texts;
    let body = html! {
        p { (texts.with("gone.detail", &[("brand", open.brand())])) }
        p { a.button.primary href=(open.href("")) { (texts.get("list.all")) } }
    };
    open.page_with(
        status(StatusCode::NOT_FOUND),
        texts.get("gone.title"),
        &body,
    )
}

fn account_of(connection: &Connection) -> &str {
    let name = connection.account_name.as_deref();
    name.or(connection.account.as_deref()).unwrap_or_default()
}
