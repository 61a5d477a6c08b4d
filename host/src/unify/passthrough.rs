//! Passthrough: requests of applications that go to the provider as they are, with the
//! connection's credentials, only where the connector itself may go.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Error, Unify};
use crate::{
    egress::{
        Downstream, Flow, Method, Priority, Response, Sent, StreamLimits, StreamedResponse, header,
        status_text,
    },
    model::{Meaning, RetryId, Scope, Timestamp, Violation},
    runtime::{CallContext, ConnectorVersion, Failure, PassageError, Place},
    store::ClaimedRetry,
    telemetry::METRICS,
    vault,
};

/// How often a request is sent again before the provider's 429 is its result.
pub const MAX_ATTEMPTS: u32 = 10;
/// The longest wait that a provider can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// A request to pass through, its body encoded.
#[derive(Clone, Serialize, Deserialize)]
pub struct PassthroughRequest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `HEAD` or `OPTIONS`.
    pub method: String,
    /// Beneath the connector's endpoint, or beneath `base_url`.
    pub path: String,
    /// Takes the place of the endpoint.
    pub base_url: Option<String>,
    /// Added to the query, unescaped.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "in_base64")]
    pub body: Option<Bytes>,
}

/// What the provider answered, as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PassthroughResponse {
    /// The status.
    pub status: u16,
    /// Its usual words.
    pub status_text: String,
    /// Headers by name; several of one name are joined with commas.
    pub headers: Map<String, Value>,
    /// JSON as such; else text; else `{"base64": "…"}`.
    pub data: Value,
}

/// What became of a request.
#[derive(Debug)]
pub enum Passed {
    /// The provider answered.
    Answered(Box<PassthroughResponse>),
    /// The provider asks to wait: the request is sent again at that time.
    Queued {
        /// What its result can be asked by.
        id: RetryId,
        /// When it is sent again.
        next_at: Timestamp,
    },
}

/// How a queued request stands.
#[derive(Debug)]
pub enum Retried {
    /// It waits.
    Pending {
        /// How often it was sent since it waits.
        attempt: u32,
        /// When it is sent next.
        next_at: Timestamp,
    },
    /// It ended.
    Ended(RetryEnd),
}

/// The end of a queued request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryEnd {
    /// The provider's answer.
    Done(PassthroughResponse),
    /// There is no answer and will be none: why.
    Failed(String),
}

/// What is to be streamed, but for its body.
#[derive(Clone, Debug)]
pub struct StreamRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
}

impl Unify {
    /// Sends a request through. A 429 puts it into the queue.
    ///
    /// # Errors
    /// It may not be sent, there is no answer, or the database fails.
    pub async fn pass_through(
        &self,
        scope: &Scope,
        request: &PassthroughRequest,
        downstream: &Downstream,
    ) -> Result<Passed, Error> {
        let sent = self.exchange(scope, request, downstream, Priority::Interactive);
        let next_at = match sent.await {
            Ok(sent) if sent.meaning == Some(Meaning::RateLimited) => self.again_at(sent.wait, 1),
            Ok(sent) => return Ok(Passed::Answered(Box::new(shown(&sent)))),
            Err(Error::Provider(Failure::RateLimited(wait))) => self.again_at(wait, 1),
            Err(error) => return Err(error),
        };
        let id = RetryId::generate(&*self.0.entropy);
        let plain = serde_json::to_vec(request).unwrap_or_default();
        let sealed = self.seal("request", scope, id, &plain);
        self.0.store.put_retry(scope, id, sealed, next_at).await?;
        METRICS
            .passthrough_retries
            .add([scope.connection().connector.as_str(), "queued"], 1);
        Ok(Passed::Queued { id, next_at })
    }

    /// Sends a request whose body flows through, and gives an answer whose body does.
    ///
    /// # Errors
    /// It may not be sent, or there is no answer.
    pub async fn stream_through(
        &self,
        scope: &Scope,
        request: StreamRequest,
        body: Option<Flow>,
        limits: &StreamLimits,
        downstream: &Downstream,
    ) -> Result<StreamedResponse, Error> {
        let (version, call) = self.passing(scope, downstream, Priority::Interactive)?;
        let place = Place {
            path: &request.path,
            base: None,
            query: &[],
        };
        let passage = version.passage(&call, request.method, place, &request.headers);
        let sent = passage.map_err(refused)?.stream(body, limits).await;
        sent.map_err(refused)
    }

    /// How a queued request of the scope's project stands.
    ///
    /// # Errors
    /// [`Error::RetryNotFound`], or the database fails.
    pub async fn retried(
        &self,
        project: crate::model::ProjectId,
        id: RetryId,
    ) -> Result<Retried, Error> {
        let row = self.0.store.retry(project, id).await?;
        let row = row.ok_or(Error::RetryNotFound)?;
        let Some(sealed) = row.result else {
            return Ok(Retried::Pending {
                attempt: row.attempt,
                next_at: row.next_at,
            });
        };
        let (project, id) = (project.to_string(), id.to_string());
        let plain = self
            .0
            .vault
            .open(&["passthrough result", &project, &id], &sealed)?;
        let end = serde_json::from_slice(&plain)
            .map_err(|_| vault::Error::Sealed("its content is not what was put in"))?;
        Ok(Retried::Ended(end))
    }

    /// Sends a claimed request again. None when it has to wait once more, and until when.
    ///
    /// # Errors
    /// The database fails; the claim runs out then and somebody tries again.
    pub async fn send_again(&self, claimed: &ClaimedRetry) -> Result<Option<Timestamp>, Error> {
        let scope = &claimed.scope;
        let (project, id) = (scope.project().to_string(), claimed.id.to_string());
        let context = ["passthrough request", &project, &id];
        let plain = self.0.vault.open(&context, &claimed.request)?;
        let request: PassthroughRequest = serde_json::from_slice(&plain)
            .map_err(|_| vault::Error::Sealed("its content is not what was put in"))?;
        let last = claimed.attempt >= MAX_ATTEMPTS;
        let downstream = Downstream::default();
        let sent = self.exchange(scope, &request, &downstream, Priority::Background);
        let end = match sent.await {
            Ok(sent) if sent.meaning == Some(Meaning::RateLimited) && !last => {
                return Ok(Some(self.again_at(sent.wait, claimed.attempt + 1)));
            }
            Ok(sent) => RetryEnd::Done(shown(&sent)),
            Err(Error::Provider(Failure::RateLimited(wait))) if !last => {
                return Ok(Some(self.again_at(wait, claimed.attempt + 1)));
            }
            Err(Error::Provider(Failure::Unavailable(_)) | Error::ConnectorUnavailable { .. })
                if !last =>
            {
                return Ok(Some(self.again_at(None, claimed.attempt + 1)));
            }
            Err(error @ (Error::Store(_) | Error::Vault(_))) => return Err(error),
            Err(error) => RetryEnd::Failed(error.to_string()),
        };
        let outcome = match &end {
            RetryEnd::Done(_) => "done",
            RetryEnd::Failed(_) => "failed",
        };
        let plain = serde_json::to_vec(&end).unwrap_or_default();
        let sealed = self.seal("result", scope, claimed.id, &plain);
        self.0.store.finish_retry(claimed, sealed).await?;
        METRICS
            .passthrough_retries
            .add([scope.connection().connector.as_str(), outcome], 1);
        Ok(None)
    }

    fn seal(&self, part: &str, scope: &Scope, id: RetryId, plain: &[u8]) -> Vec<u8> {
        let part = format!("passthrough {part}");
        let context = [&*part, &scope.project().to_string(), &id.to_string()];
        self.0.vault.seal(&context, plain)
    }

    async fn exchange(
        &self,
        scope: &Scope,
        request: &PassthroughRequest,
        downstream: &Downstream,
        priority: Priority,
    ) -> Result<Sent, Error> {
        let (version, call) = self.passing(scope, downstream, priority)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| invalid("/method", "is no method"))?;
        let place = Place {
            path: &request.path,
            base: request.base_url.as_deref(),
            query: &request.query,
        };
        let passage = version.passage(&call, method, place, &request.headers);
        let sent = passage.map_err(refused)?.send(request.body.clone()).await;
        sent.map_err(refused)
    }

    fn passing(
        &self,
        scope: &Scope,
        downstream: &Downstream,
        priority: Priority,
    ) -> Result<(std::sync::Arc<ConnectorVersion>, CallContext), Error> {
        let version = self.version(&scope.connection().connector)?;
        let mut call = self.context(scope, &version)?;
        call.downstream = downstream.clone();
        call.priority = priority;
        Ok((version, call))
    }

    /// What the provider asks for wins; otherwise up to 1 s, doubled with each attempt to 60 s at
    /// most, any moment within it being as likely as another.
    fn again_at(&self, asked: Option<Duration>, attempt: u32) -> Timestamp {
        let wait = asked.map_or_else(
            || {
                let ceiling = Duration::from_secs(1)
                    .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(12)))
                    .min(LONGEST_BACKOFF);
                let mut bytes = [0; 4];
                self.0.entropy.fill(&mut bytes);
                ceiling.mul_f64(f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX))
            },
            |asked| asked.min(LONGEST_WAIT),
        );
        self.0.clock.now().plus(wait)
    }
}

/// The answer as the API shows it: without what only concerns the connection to the provider.
/// Egress has masked the connection's secrets in it, should the provider repeat them.
fn shown(sent: &Sent) -> PassthroughResponse {
    let response = &sent.response;
    let mut headers = Map::new();
    for (name, value) in &response.headers {
        if is_private(name) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        match headers.get_mut(name.as_str()) {
            Some(Value::String(values)) => {
                values.push_str(", ");
                values.push_str(&value);
            }
            _ => {
                headers.insert(name.to_string(), Value::String(value.into_owned()));
            }
        }
    }
    PassthroughResponse {
        status: response.status,
        status_text: status_text(response.status).to_owned(),
        headers,
        data: data(response),
    }
}

fn data(response: &Response) -> Value {
    if response.body.is_empty() {
        return Value::Null;
    }
    let content_type = response.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let is_json = content_type.is_none_or(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json")
    });
    if is_json && let Ok(value) = serde_json::from_slice(&response.body) {
        return value;
    }
    match std::str::from_utf8(&response.body) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => serde_json::json!({ "base64": STANDARD.encode(&response.body) }),
    }
}

/// Headers of an answer that are between provider and server, or would set something at the
/// application's client in the provider's name.
#[must_use]
pub fn is_private(name: &header::HeaderName) -> bool {
    matches!(
        name.as_str(),
        "set-cookie"
            | "set-cookie2"
            | "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "alt-svc"
            | "strict-transport-security"
    )
}

fn invalid(path: &str, message: &str) -> Error {
    Error::Invalid(vec![Violation {
        path: path.to_owned(),
        message: message.to_owned(),
    }])
}

fn refused(error: PassageError) -> Error {
    match error {
        PassageError::Denied(text) => Error::NotPermitted(text),
        PassageError::Header { name, message } => {
            let name = name.replace('~', "~0").replace('/', "~1");
            invalid(&format!("/headers/{name}"), &message)
        }
        PassageError::Invalid(text) => invalid("", &text),
        PassageError::Dead(text) => Error::NeedsReconnect(text),
        PassageError::Unavailable(text) => Error::Provider(Failure::Unavailable(text)),
        PassageError::Limited(wait) => Error::Provider(Failure::RateLimited(Some(wait))),
        PassageError::TooLarge(bytes) => Error::Provider(Failure::Unexpected(format!(
            "the provider's answer has more than {bytes} bytes; stream it with GET /passthrough/raw/{{path}}, or let the operator raise egress.max_response_mib or passthrough.max_stream_mib"
        ))),
        PassageError::BodyTooLarge(bytes) => Error::BodyTooLarge(bytes),
    }
}

mod in_base64 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use bytes::Bytes;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "what serde calls it with")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Bytes>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        text.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Bytes>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let bytes = text.map(|text| STANDARD.decode(text).map(Bytes::from));
        bytes.transpose().map_err(D::Error::custom)
    }
}
