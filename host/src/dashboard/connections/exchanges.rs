//! What was sent to the provider of a connection, and what came back.

use axum::{extract::Path, response::Response};
use maud::{Markup, html};
use serde::Deserialize;
use std::time::Duration;

use super::found;
use crate::{
    dashboard::{
        ProjectDesk, Section,
        address::{address, chosen},
        board,
    },
    model::{Exchange, ExchangeCause, ExchangeRow},
    store::ExchangeFilter,
    web::{
        self, Query,
        parts::{self, Choice, Tone},
    },
};

const ROWS: u32 = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    result: String,
    cause: String,
    subject: String,
    after: String,
}

pub(super) async fn list(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, web::Error> {
    let scope = found(&desk, &id).await?;
    let filter = ExchangeFilter {
        failed: asked.result == "failed",
        cause: board::word(&asked.cause, "cause", ExchangeCause::parse)?,
        subject: chosen(&asked.subject).map(str::to_owned),
        before: board::place(&asked.after)?,
        limit: ROWS + 1,
    };
    let mut rows = desk.services.store.exchanges(&scope, &filter).await?;
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let connection = desk.href(&format!("/connections/{}", scope.connection().id));
    let here = format!("{connection}/exchanges");
    let page = |after: &str| {
        let pairs = [
            ("result", asked.result.as_str()),
            ("cause", &asked.cause),
            ("subject", &asked.subject),
            ("after", after),
        ];
        address(&here, &pairs)
    };
    let last = rows.last().filter(|_| more);
    let next = last.map(|row| page(&row.id.to_string()));
    let first = (!asked.after.is_empty()).then(|| page(""));
    let body = html! {
        p { a href=(connection) { "Back to the connection" } }
        (filter_form(&asked, &here))
        @if rows.is_empty() {
            (parts::empty("No requests", "Nothing that fits was sent to the provider lately. Entries appear a moment after a request, and go after some days.", Some(("Show all", &here))))
        } @else {
            (table(&connection, &rows))
        }
        (parts::pager(next.as_deref(), first.as_deref()))
    };
    Ok(desk.page(Section::Connections, "Requests to the provider", body))
}

fn filter_form(asked: &Asked, here: &str) -> Markup {
    let results = [Choice::new("", "all"), Choice::new("failed", "failed")];
    let mut causes = vec![Choice::new("", "all")];
    let known = ExchangeCause::ALL.iter();
    causes.extend(known.map(|cause| Choice::new(cause.as_str(), words(*cause))));
    let result = parts::select("result", &results, &asked.result, false);
    let cause = parts::select("cause", &causes, &asked.cause, false);
    let subject = parts::input("subject", "search", &asked.subject, false, false);
    html! {
        form.form.filter method="get" action=(here) {
            (parts::field("result", "Result", "", None, &result))
            (parts::field("cause", "Sent for", "", None, &cause))
            (parts::field("subject", "Run or request", "The id of a sync run, or an x-request-id", None, &subject))
            button.button type="submit" { "Filter" }
        }
    }
}

const fn words(cause: ExchangeCause) -> &'static str {
    match cause {
        ExchangeCause::Sync => "a sync",
        ExchangeCause::Request => "a request",
        ExchangeCause::Refresh => "a new token",
        ExchangeCause::Background => "background work",
    }
}

/// A list of requests. `connection` is the address of the connection's page.
pub(super) fn table(connection: &str, rows: &[ExchangeRow]) -> Markup {
    let columns = ["When", "Request", "Result", "Took", "Received", "Sent for"];
    let rows = html! {
        @for row in rows {
            @let exchange = &row.exchange;
            tr {
                td { (parts::time(exchange.at)) }
                th scope="row" {
                    a.mono href={ (connection) "/exchanges/" (row.id) } {
                        (exchange.method) " " (short(&exchange.url))
                    }
                }
                td {
                    (result(exchange))
                    @if exchange.attempt > 1 { " " span.muted { "attempt " (exchange.attempt) } }
                }
                td { (parts::duration(Duration::from_millis(exchange.duration_ms))) }
                td { @match exchange.bytes_in { Some(bytes) => (parts::bytes(bytes)), None => "streamed" } }
                td { (words(exchange.reason.cause)) }
            }
        }
    };
    parts::table("Requests to the provider", &columns, &rows)
}

/// The path and what follows, cut.
fn short(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(rest);
    match path.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", path.get(..end).unwrap_or_default()),
        None => path.to_owned(),
    }
}

fn result(exchange: &Exchange) -> Markup {
    let tone = match exchange.status {
        Some(200..400) => Tone::Good,
        Some(429) => Tone::Warn,
        _ => Tone::Bad,
    };
    let text = match (exchange.status, &exchange.error) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => error.replace('_', " "),
        (None, None) => "no answer".to_owned(),
    };
    parts::badge(tone, &text)
}

pub(super) async fn show(
    desk: ProjectDesk,
    Path((_, id, exchange)): Path<(String, String, String)>,
) -> Result<Response, web::Error> {
    let scope = found(&desk, &id).await?;
    let row = match exchange.parse() {
        Ok(id) => desk.services.store.exchange(&scope, id).await?,
        Err(_) => None,
    };
    let row = row.ok_or_else(|| {
        web::Error::not_found(
            "This request is not in the log (any more): entries go after some days.",
        )
    })?;
    let exchange = &row.exchange;
    let connection = desk.href(&format!("/connections/{}", scope.connection().id));
    let subject = match (exchange.reason.cause, &exchange.reason.subject) {
        (ExchangeCause::Sync, Some(run)) => html! {
            a href=(desk.href(&format!("/runs/{run}"))) { "a sync run" }
        },
        (ExchangeCause::Request, Some(request)) => html! {
            "a request, x-request-id " span.mono { (request) }
        },
        (cause, _) => html! { (words(cause)) },
    };
    let facts = [
        ("Address", html! { span.mono { (exchange.url) } }),
        (
            "Result",
            html! {
                (result(exchange))
                @if let Some(message) = &exchange.message { " " (message) }
            },
        ),
        ("When", parts::time(exchange.at)),
        (
            "Took",
            html! { (parts::duration(Duration::from_millis(exchange.duration_ms))) },
        ),
        ("Attempt", html! { (exchange.attempt) }),
        ("Sent", html! { (parts::bytes(exchange.bytes_out)) }),
        (
            "Received",
            html! {
                @match exchange.bytes_in { Some(bytes) => (parts::bytes(bytes)), None => "streamed" }
            },
        ),
        ("Sent for", subject),
    ];
    let body = html! {
        p { a href={ (connection) "/exchanges" } { "All requests of this connection" } }
        section.card { h2 { "What happened" } (parts::definition(&facts)) }
        section.card {
            h2 { "Request" }
            (said(&exchange.request_headers, exchange.request_body.as_deref()))
        }
        section.card {
            h2 { "Answer" }
            (said(&exchange.response_headers, exchange.response_body.as_deref()))
        }
        p.muted {
            "Secrets are masked, and only headers that hold none are kept. Bodies are kept where "
            code { "exchange_log.bodies" } " is on."
        }
    };
    let title = format!("{} request", exchange.method);
    Ok(desk.page(Section::Connections, &title, body))
}

fn said(headers: &str, body: Option<&str>) -> Markup {
    html! {
        @if headers.is_empty() && body.is_none() { p.muted { "Nothing of it is kept." } }
        @if !headers.is_empty() { pre.code tabindex="0" { code { (headers) } } }
        @if let Some(body) = body { pre.code tabindex="0" { code { (body) } } }
    }
}
