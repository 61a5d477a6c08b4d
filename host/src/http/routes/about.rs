//! What the server says of itself, to anybody.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::json;
use crate::{
    http::{
        Services,
        error::{Code, Error},
        operation::Operation,
    },
    telemetry::METRICS,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/", greeting)
            .id("hello")
            .tag("About")
            .summary("A greeting.")
            .open()
            .gives_other(200, "text/plain; charset=utf-8", "Name and version."),
        Operation::get("/health", health)
            .id("health")
            .tag("About")
            .summary("Whether the server runs, in the published contract's form.")
            .open()
            .gives::<u16>(200, "The number 200."),
        Operation::get("/healthz", alive)
            .id("isAlive")
            .tag("About")
            .summary("Whether the process lives; nothing else is asked.")
            .open()
            .gives_other(200, "text/plain; charset=utf-8", "It does."),
        Operation::get("/readyz", ready)
            .id("isReady")
            .tag("About")
            .summary("Whether requests can be served: the database takes a write.")
            .open()
            .gives_other(200, "text/plain; charset=utf-8", "They can.")
            .fails(&[Code::StoreUnavailable]),
        Operation::get("/metrics", metrics)
            .id("metrics")
            .tag("About")
            .summary("Numbers for Prometheus. None names a project or a caller.")
            .open()
            .gives_other(200, METRICS_TYPE, "The text format of Prometheus."),
        Operation::get("/errors", errors)
            .id("listErrors")
            .tag("About")
            .summary("Every error code with its status and what to do.")
            .open()
            .gives::<Vec<ErrorRow>>(200, "The table."),
        Operation::get("/errors/{code}", error)
            .id("retrieveError")
            .tag("About")
            .summary("One error code: where the `type` of a problem leads.")
            .open()
            .path::<String>("code", "The `code` of a problem.")
            .gives::<ErrorRow>(200, "Its row of the table.")
            .fails(&[Code::RouteNotFound]),
    ]
}

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Who comes with a browser wants the pages.
pub(super) async fn greeting(headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT);
    if accepted.is_some_and(|accepted| accepted.as_bytes().starts_with(b"text/html")) {
        return Redirect::to("/dashboard").into_response();
    }
    concat!(
        "Jackfield ",
        env!("CARGO_PKG_VERSION"),
        ": one API for many systems. Ask with an API key: GET /connectors, GET /connections. ",
        "The API is described at /docs; pages for people are at /dashboard.\n"
    )
    .into_response()
}

/// The wire contract's health: the number 200.
pub(super) async fn health() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], "200").into_response()
}

/// The process lives; nothing else is asked.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Requests can be served: the database takes a write.
pub(super) async fn ready(State(services): State<Arc<Services>>) -> Result<&'static str, Error> {
    services.store.ping().await?;
    Ok("ready\n")
}

/// Without a key, as Prometheus expects it; no number names a project or a caller.
pub(super) async fn metrics() -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], METRICS.render()).into_response()
}

/// The table of error codes.
pub(super) async fn errors() -> Result<Response, Error> {
    json(&Code::ALL.iter().map(|code| row(*code)).collect::<Vec<_>>())
}

/// One error code: where the `type` of a problem leads.
pub(super) async fn error(Path(code): Path<String>) -> Result<Response, Error> {
    let code = Code::parse(&code).ok_or_else(|| {
        let detail = "There is no such error code; `GET /errors` lists them.";
        Error::new(Code::RouteNotFound, detail)
    })?;
    json(&row(code))
}

/// A kind of error.
#[derive(Serialize, JsonSchema)]
struct ErrorRow {
    /// Stable: clients match on it.
    #[schemars(example = &"record_not_found")]
    code: &'static str,
    /// The status of the answer.
    #[schemars(range(min = 400, max = 599), example = 404)]
    status: u16,
    /// What it means.
    title: &'static str,
    /// What to do about it.
    help: &'static str,
}

fn row(code: Code) -> ErrorRow {
    ErrorRow {
        code: code.name(),
        status: code.status().as_u16(),
        title: code.title(),
        help: code.help(),
    }
}
