//! What the server says of itself, to anybody.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::json;
use crate::{
    http::{
        Services,
        error::{Code, Error},
    },
    telemetry::METRICS,
};

pub(super) async fn greeting() -> &'static str {
    concat!(
        "Jackfield ",
        env!("CARGO_PKG_VERSION"),
        ": one API for many systems. Ask with an API key: GET /connectors, GET /connections.\n"
    )
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
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], METRICS.render()).into_response()
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

#[derive(Serialize)]
struct Row {
    code: &'static str,
    status: u16,
    title: &'static str,
    help: &'static str,
}

fn row(code: Code) -> Row {
    Row {
        code: code.name(),
        status: code.status().as_u16(),
        title: code.title(),
        help: code.help(),
    }
}
