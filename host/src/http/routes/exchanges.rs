//! What was said to providers: the log of exchanges of a connection.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    connections::scope,
    json,
    lists::{limit, parsed, short, wrong},
};
use crate::{
    http::{
        Services,
        caller::Caller,
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{DEFAULT_LIMIT, ExchangeCause, ExchangeId, ExchangeRow, MAX_LIMIT},
    store::ExchangeFilter,
};

pub(super) fn operations() -> Vec<Operation> {
    let causes: Vec<&'static str> = ExchangeCause::ALL.iter().map(|one| one.as_str()).collect();
    vec![
        Operation::get("/connections/{id}/exchanges", list)
            .id("listExchanges")
            .tag("Connections")
            .summary("Requests that were sent to the provider for a connection, newest first.")
            .describe("One entry for each attempt, secrets masked. They are written a moment after they happened, and kept as long as the operator configured: `retention.exchanges_days` and `exchange_log`.")
            .path::<Uuid>("id", "The `id_connection`.")
            .query::<bool>("failed", "Only those without an answer, or with a status from 400.")
            .parameter(
                Parameter::query::<String>("cause", "Only those that were sent for this.")
                    .rule("enum", causes),
            )
            .query::<String>("subject", "Only those for this execution of a sync, or this request.")
            .query::<Uuid>("cursor", "From where: `next_cursor` of another page.")
            .parameter(limit())
            .gives::<PageBody>(200, "A page.")
            .fails(&[Code::ConnectionNotFound]),
        Operation::get("/connections/{id}/exchanges/{exchange_id}", get)
            .id("retrieveExchange")
            .tag("Connections")
            .summary("One request that was sent to the provider, with its headers.")
            .path::<Uuid>("id", "The `id_connection`.")
            .path::<Uuid>("exchange_id", "The exchange's id.")
            .gives::<ExchangeBody>(200, "The request and its answer.")
            .fails(&[Code::ConnectionNotFound, Code::ExchangeNotFound]),
    ]
}

/// A page of the log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExchangePage")]
struct PageBody {
    #[schemars(with = "Option<Uuid>")]
    next_cursor: Option<String>,
    data: Vec<ExchangeBody>,
}

/// One attempt of a request to a provider.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Exchange")]
struct ExchangeBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// What it was sent for.
    cause: ExchangeCause,
    /// The execution of a sync (`GET /sync-runs/{id}`), or the `x-request-id` of a request.
    subject: Option<String>,
    #[schemars(example = &"GET")]
    method: String,
    #[schemars(example = &"https://api.example.com/contacts?limit=100")]
    url: String,
    /// The provider's answer; null where there was none.
    status: Option<u16>,
    /// Why there was none.
    #[schemars(extend("enum" = ["denied", "timeout", "too_large", "unreachable", "invalid", null]))]
    error: Option<String>,
    /// The same as a sentence.
    message: Option<String>,
    duration_ms: u64,
    /// Bytes of the request's body.
    bytes_out: u64,
    /// Bytes of the answer's body; null where it was streamed through.
    bytes_in: Option<u64>,
    /// Counts from 1: what fails for now is sent again.
    attempt: u32,
    /// Headers that say something about the exchange, a line each; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_headers: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_headers: Option<String>,
    /// The first 4 KiB, where the operator keeps bodies; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_body: Option<String>,
}

async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Error> {
    let scope = scope(&services, caller.project.id, &id).await?;
    let cause = query.get("cause").map(|word| {
        ExchangeCause::parse(word)
            .ok_or_else(|| wrong("cause", &format!("there is no cause {:?}", short(word))))
    });
    let filter = ExchangeFilter {
        failed: query.flag("failed")?,
        cause: cause.transpose()?,
        subject: query.get("subject").map(str::to_owned),
        before: parsed::<ExchangeId>(&query, "cursor", "a `next_cursor` of this list")?,
        limit: query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT),
    };
    if filter
        .subject
        .as_ref()
        .is_some_and(|text| text.contains('\0'))
    {
        return Err(wrong("subject", "it holds U+0000"));
    }
    let rows = services.store.exchanges(&scope, &filter).await?;
    let last = rows.last().map(|row| row.id.to_string());
    json(&PageBody {
        next_cursor: last.filter(|_| rows.len() == filter.limit as usize),
        data: rows.into_iter().map(|row| body(row, false)).collect(),
    })
}

async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path((id, exchange)): Path<(String, String)>,
) -> Result<Response, Error> {
    let scope = scope(&services, caller.project.id, &id).await?;
    let found = match exchange.parse() {
        Ok(id) => services.store.exchange(&scope, id).await?,
        Err(_) => None,
    };
    let row = found.ok_or_else(|| {
        let detail = format!("This connection has no exchange {:?}.", short(&exchange));
        Error::new(Code::ExchangeNotFound, detail)
    })?;
    json(&body(row, true))
}

fn body(row: ExchangeRow, whole: bool) -> ExchangeBody {
    let exchange = row.exchange;
    ExchangeBody {
        id: row.id.to_string(),
        at: exchange.at.to_string(),
        cause: exchange.reason.cause,
        subject: exchange.reason.subject,
        method: exchange.method,
        url: exchange.url,
        status: exchange.status,
        error: exchange.error,
        message: exchange.message,
        duration_ms: exchange.duration_ms,
        bytes_out: exchange.bytes_out,
        bytes_in: exchange.bytes_in,
        attempt: exchange.attempt,
        request_headers: whole.then_some(exchange.request_headers),
        response_headers: whole.then_some(exchange.response_headers),
        request_body: exchange.request_body.filter(|_| whole),
        response_body: exchange.response_body.filter(|_| whole),
    }
}
