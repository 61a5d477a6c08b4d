//! Requests to a provider in its own form.

mod body;
mod stream;

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use self::body::Body;
use super::json;
use crate::{
    egress::Downstream,
    http::{
        Services,
        body::Json,
        caller::{Caller, Scoped},
        error::{Code, Error},
        limits::with_downstream,
        operation::{Answer, Operation},
    },
    telemetry::METRICS,
    unify::{Error as UnifyError, Passed, PassthroughResponse, Retried, RetryEnd},
};

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::post("/passthrough", pass)
            .id("request")
            .tag("Passthrough")
            .summary("Send a request to the provider, with the connection's credentials.")
            .describe("Any method, and `data` as JSON, a form, a form with files or bytes; see `request_format`. The request may go only where the connector itself may, and its credentials are added by the server. Redirects are not followed.\n\nWhere the provider answers 429, the request is kept and sent again; the answer then has a `retryId`, and `GET /passthrough/{retryId}` has the result. Bodies larger than 2 MiB go to `/passthrough/raw/{path}`.")
            .connection()
            .takes::<Body>()
            .answer(
                Answer::json::<Answered>(200, "What the provider answered, whatever its status; or that the request is sent again later.")
                    .header("Retry-After", "Seconds until a request that is kept is sent again.")
                    .header("x-downstream-ratelimit-remaining", "What the provider says is left; `-limit` and `-reset` too."),
            )
            .fails(FAILURES),
        Operation::get("/passthrough/{retryId}", retried)
            .id("getRetriedRequestResponse")
            .tag("Passthrough")
            .summary("What became of a request that the provider's 429 put off.")
            .describe("Results are kept for 24 hours.")
            .path::<Uuid>("retryId", "The `retryId` that `POST /passthrough` answered.")
            .gives::<RetryBody>(200, "How it stands, and the provider's answer once there is one.")
            .fails(&[Code::RetryNotFound]),
    ];
    operations.extend(stream::operations());
    operations
}

/// What a request that is passed on can end in, besides the provider's answer.
const FAILURES: &[Code] = &[
    Code::PassthroughDenied,
    Code::ValidationFailed,
    Code::NeedsReconnect,
    Code::ConnectorUnavailable,
    Code::ProviderFailed,
    Code::ProviderUnavailable,
];

/// What became of a request.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "PassthroughResult")]
enum Answered {
    Provider(ProviderAnswer),
    Queued(Queued),
}

/// What the provider answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PassthroughResponse")]
struct ProviderAnswer {
    /// The provider's status.
    #[schemars(range(min = 100, max = 999))]
    status: u16,
    /// The usual words for it.
    #[serde(rename = "statusText")]
    status_text: String,
    /// Headers by name, in lower case. Cookies and what concerns only the connection to the
    /// provider are left out.
    headers: Map<String, Value>,
    /// JSON as such; another text as a text; other bytes as `{"base64": "…"}`; null for nothing.
    data: Value,
}

/// The provider asks to wait: the request is kept and sent again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PassthroughQueued")]
struct Queued {
    /// Always 200.
    #[serde(rename = "statusCode")]
    status_code: u16,
    /// By which the result can be asked.
    #[serde(rename = "retryId")]
    retry_id: String,
    /// Where the result will be.
    status_url: String,
}

/// How a request stands that is sent again.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
#[schemars(rename = "PassthroughRetry")]
enum RetryBody {
    /// It waits to be sent again.
    Pending {
        /// How often it was sent since it waits.
        attempt: u32,
        /// When it is sent next.
        #[schemars(extend("format" = "date-time"))]
        next_attempt_at: String,
    },
    /// The provider answered.
    Done(ProviderAnswer),
    /// There is no answer and will be none.
    Failed {
        /// Why.
        error: String,
    },
}

impl From<PassthroughResponse> for ProviderAnswer {
    fn from(response: PassthroughResponse) -> Self {
        Self {
            status: response.status,
            status_text: response.status_text,
            headers: response.headers,
            data: response.data,
        }
    }
}

async fn pass(
    State(services): State<Arc<Services>>,
    Scoped(scope): Scoped,
    Json(body): Json<Body>,
) -> Result<Response, Error> {
    let request = body.encode(&*services.entropy)?;
    let downstream = Downstream::default();
    let passed = services
        .unify
        .pass_through(&scope, &request, &downstream)
        .await;
    count(
        scope.connection().connector.as_str(),
        match &passed {
            Ok(Passed::Answered(_)) => "answered",
            Ok(Passed::Queued { .. }) => "queued",
            Err(_) => "refused",
        },
    );
    let response = match passed? {
        Passed::Answered(answer) => json(&Answered::Provider((*answer).into()))?,
        Passed::Queued { id, next_at } => {
            let now = services.clock.now();
            let wait = next_at.as_millis().saturating_sub(now.as_millis()).max(0);
            let seconds = u64::try_from(wait).unwrap_or(0).div_ceil(1000).max(1);
            let queued = Answered::Queued(Queued {
                status_code: 200,
                retry_id: id.to_string(),
                status_url: format!("/passthrough/{id}"),
            });
            ([(header::RETRY_AFTER, seconds.to_string())], json(&queued)?).into_response()
        }
    };
    Ok(with_downstream(response, &downstream))
}

async fn retried(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let id = id.parse().map_err(|_| UnifyError::RetryNotFound)?;
    json(
        &match services.unify.retried(caller.project.id, id).await? {
            Retried::Pending { attempt, next_at } => RetryBody::Pending {
                attempt,
                next_attempt_at: next_at.to_string(),
            },
            Retried::Ended(RetryEnd::Done(response)) => RetryBody::Done(response.into()),
            Retried::Ended(RetryEnd::Failed(error)) => RetryBody::Failed { error },
        },
    )
}

fn count(connector: &str, outcome: &str) {
    METRICS.passthrough_requests.add([connector, outcome], 1);
}
