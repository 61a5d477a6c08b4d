//! One connection: how it stands, what to do, and all that can be done with it.

use axum::{extract::Path, response::Response};
use maud::{Markup, html};

use super::{connector, found, state};
use crate::{
    dashboard::{ProjectDesk, Section, board, diagnosis},
    http,
    model::{
        Connection, ConnectionStatus, ExchangeCause, ExchangeRow, Role, Schedule, Scope,
        SettingType, Timestamp,
    },
    store::{ExchangeFilter, SyncState},
    web::{
        self,
        parts::{self, Tone},
    },
};

/// What an action has to say beside the page.
pub(super) struct Notice {
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) body: Markup,
}

pub(super) async fn show(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, web::Error> {
    let scope = found(&desk, &id).await?;
    page(&desk, &scope, None).await
}

/// The page, and what an action says.
pub(super) async fn page(
    desk: &ProjectDesk,
    scope: &Scope,
    notice: Option<Notice>,
) -> Result<Response, web::Error> {
    let connection = scope.connection();
    let here = desk.href(&format!("/connections/{}", connection.id));
    let recent = ExchangeFilter {
        limit: 5,
        ..ExchangeFilter::default()
    };
    let exchanges = desk.services.store.exchanges(scope, &recent).await?;
    let title = connection
        .account_name
        .as_deref()
        .or(connection.account.as_deref())
        .unwrap_or("Connection")
        .to_owned();
    let may = desk.is(Role::Developer);
    let facts = facts(desk, scope).await?;
    let syncs = syncs(desk, scope, &here, may).await?;
    let diagnosis = desk.services.diagnoses.connection(scope).await;
    let diagnosis = diagnosis.map_err(http::Error::from)?;
    let body = html! {
        @if let Some(notice) = &notice { (parts::alert(notice.tone, &notice.title, &notice.body)) }
        @if connection.status == ConnectionStatus::NeedsReconnect { (needs_reconnect(desk, connection)) }
        (diagnosis::panel(desk, &diagnosis))
        section.card {
            h2 { "Account" }
            (facts)
            @if may {
                div.row {
                    (parts::post_button(&format!("{here}/test"), "Test", Tone::Info, None))
                    (parts::post_button(&format!("{here}/reconnect-link"), "Make a reconnect link", Tone::Neutral, None))
                    (parts::post_button(&format!("{here}/token"), "Show the connection token", Tone::Neutral, None))
                    (parts::post_button(&format!("{here}/disconnect"), "Disconnect", Tone::Bad, Some("Disconnect this account? Its credentials are wiped, its token stops working and its syncs end. Records stay. This cannot be undone.")))
                }
            }
        }
        section.card {
            h2 { "Syncs" }
            (syncs)
            p { a href=(desk.href(&format!("/runs?connection={}", connection.id))) { "Sync log of this connection" } }
        }
        section.card {
            h2 { "Settings" }
            (settings(desk, connection))
            @if may && has_settings(desk, connection) { p { a.button href={ (here) "/settings" } { "Change settings" } } }
        }
        section.card {
            h2 { "Requests to the provider" }
            @if exchanges.is_empty() {
                p.muted { "Nothing was sent lately. Requests are kept for as long as the server's configuration says (" code { "retention.exchanges_days" } ")." }
            } @else {
                (super::exchanges::table(&here, &exchanges))
                p { a href={ (here) "/exchanges" } { "All requests" } }
            }
        }
    };
    Ok(desk.page(Section::Connections, &title, body))
}

fn needs_reconnect(desk: &ProjectDesk, connection: &Connection) -> Markup {
    let reason = connection.status_reason.as_deref();
    let user = desk.href(&format!("/linked-users/{}", connection.linked_user));
    parts::alert(
        Tone::Bad,
        "The customer has to log in again",
        &html! {
            @if let Some(reason) = reason { p { (reason) } }
            p {
                "Nothing is read or written until then; records stay. Make a reconnect link below and send it to "
                a href=(user) { "the linked user" }
                ". The connection token stays the same."
            }
        },
    )
}

async fn facts(desk: &ProjectDesk, scope: &Scope) -> Result<Markup, web::Error> {
    let store = &desk.services.store;
    let connection = scope.connection();
    let user = store.linked_user(desk.project.id, connection.linked_user);
    let user = user.await?;
    let credentials = store.credentials(scope).await?;
    let refreshes = ExchangeFilter {
        cause: Some(ExchangeCause::Refresh),
        limit: 1,
        ..ExchangeFilter::default()
    };
    let refresh = store.exchanges(scope, &refreshes).await?;
    let version = desk.services.runtime.active(&connection.connector);
    let now = desk.services.clock.now();
    let account = connection
        .account
        .as_deref()
        .unwrap_or("not told by the provider");
    let facts = [
        ("State", state(connection.status)),
        (
            "Connector",
            html! {
                (connector(&desk.services, &connection.connector)) " "
                @match &version {
                    Some(version) => span.muted { "version " (version.manifest().version) },
                    None => (parts::badge(Tone::Bad, "does not serve now")),
                }
            },
        ),
        ("Account at the provider", html! { span.mono { (account) } }),
        (
            "Linked user",
            html! {
                @match &user {
                    Some(user) => a href=(desk.href(&format!("/linked-users/{}", user.id))) { (user.alias) },
                    None => (connection.linked_user),
                }
            },
        ),
        ("Environment", html! { (connection.environment.as_str()) }),
        ("Login", html! { (connection.scheme) }),
        (
            "Access token",
            token(credentials.as_ref().and_then(|held| held.expires_at), now),
        ),
        ("Last refresh", last_refresh(refresh.first())),
        ("Connected", parts::time(connection.created_at)),
        ("Id", parts::copyable(&connection.id.to_string())),
    ];
    Ok(parts::definition(&facts))
}

fn token(expires_at: Option<Timestamp>, now: Timestamp) -> Markup {
    html! {
        @match expires_at {
            Some(at) if at <= now => { "ended " (parts::time(at)) "; it is renewed before the next request" },
            Some(at) => { "good until " (parts::time(at)) },
            None => "does not end by itself",
        }
    }
}

fn last_refresh(refresh: Option<&ExchangeRow>) -> Markup {
    let Some(row) = refresh else {
        return html! { span.muted { "none in the log" } };
    };
    html! {
        (parts::time(row.exchange.at)) " "
        @if row.exchange.is_good() { (parts::badge(Tone::Good, "renewed")) }
        @else { (parts::badge(Tone::Bad, "failed")) }
    }
}

async fn syncs(
    desk: &ProjectDesk,
    scope: &Scope,
    here: &str,
    may: bool,
) -> Result<Markup, web::Error> {
    let store = &desk.services.store;
    let states = store.sync_states(scope).await?;
    if states.is_empty() {
        let text = "The connector reads no object by itself. Records come with live requests.";
        return Ok(html! { p.muted { (text) } });
    }
    let mut rows = Vec::with_capacity(states.len());
    for state in states {
        let interval = desk.services.sync_interval;
        let schedule = store.schedule_of(scope, &state.config, interval).await?;
        let next = board::next_run(&state, scope.connection(), desk.services.clock.now());
        let runs = desk.href("/runs");
        rows.push(sync_row(&state, &schedule, &next, here, &runs, may));
    }
    let mut columns = vec!["Object", "State", "Schedule", "Last", "Next"];
    if may {
        columns.push("Actions");
    }
    let rows = html! { @for row in &rows { (row) } };
    Ok(parts::table("Syncs", &columns, &rows))
}

fn sync_row(
    state: &SyncState,
    schedule: &Schedule,
    next: &Markup,
    here: &str,
    runs: &str,
    may: bool,
) -> Markup {
    let (status, object) = (state.status(), state.kind.name());
    let act = |action: &str| format!("{here}/syncs/{object}/{action}");
    html! {
        tr {
            th scope="row" { (object) }
            td {
                (parts::badge(tone(status), &status.replace('_', " ")))
                @if let Some(error) = &state.last_error { div.muted.long { (error) } }
                @if let Some(question) = &state.question {
                    p { "The provider no longer shows " (question.missing) " of " (question.stored) " records. Nothing was deleted." }
                    @if let Some(run) = state.run { p { a href={ (runs) "/" (run) "/missing" } { "See which records" } } }
                }
            }
            td.nowrap { (when(schedule)) }
            td { @match state.last_finished_at { Some(at) => (parts::time(at)), None => span.muted { "never" } } }
            td { (next) }
            @if may {
                td {
                    div.row.wrap {
                        @if state.question.is_some() {
                            (parts::post_button(&act("delete-missing"), "Delete them", Tone::Bad, Some("Delete the records that the provider no longer shows?")))
                            (parts::post_button(&act("keep-missing"), "Keep them", Tone::Neutral, None))
                        }
                        (parts::post_button(&act("run"), "Sync now", Tone::Neutral, None))
                        (parts::post_button(&act("full"), "Read everything", Tone::Neutral, Some("Read all records of this object again? That can take long and uses the provider's limits.")))
                        @if state.paused { (parts::post_button(&act("resume"), "Resume", Tone::Neutral, None)) }
                        @else { (parts::post_button(&act("pause"), "Pause", Tone::Neutral, None)) }
                    }
                }
            }
        }
    }
}

fn tone(status: &str) -> Tone {
    match status {
        "completed" => Tone::Good,
        "failed" | "given_up" => Tone::Bad,
        "stopped" | "rate_limited" | "paused" => Tone::Warn,
        "running" => Tone::Info,
        _ => Tone::Neutral,
    }
}

fn when(schedule: &Schedule) -> Markup {
    let length = |seconds: u64| parts::duration(std::time::Duration::from_secs(seconds));
    html! {
        @match schedule {
            Schedule::Interval { seconds } => { "every " (length(*seconds)) },
            Schedule::Cron { expression, time_zone } => { code { (expression) } " " (time_zone) },
            Schedule::Manual {} => "when asked",
            Schedule::Webhook { at_least_every_seconds } => { "when told, at least every " (length(*at_least_every_seconds)) },
        }
    }
}

fn has_settings(desk: &ProjectDesk, connection: &Connection) -> bool {
    let version = desk.services.runtime.active(&connection.connector);
    version.is_some_and(|version| {
        let mut settings = version.manifest().settings.iter();
        settings.any(|one| one.kind != SettingType::FieldMapping)
    })
}

/// What was chosen, under the manifest's titles.
fn settings(desk: &ProjectDesk, connection: &Connection) -> Markup {
    if connection.settings.is_empty() {
        return html! { p.muted { "Nothing was chosen when this account was connected." } };
    }
    let version = desk.services.runtime.active(&connection.connector);
    let title = |id: &str| {
        let manifest = version.as_ref().map(|version| version.manifest());
        let setting = manifest.and_then(|one| one.settings.iter().find(|one| one.id == id));
        setting.map_or_else(|| id.to_owned(), |setting| setting.title.clone())
    };
    html! {
        dl.facts {
            @for (id, value) in &connection.settings {
                div { dt { (title(id)) } dd { (value) } }
            }
        }
    }
}
