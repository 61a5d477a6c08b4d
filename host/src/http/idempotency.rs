//! `Idempotency-Key`: a request that is sent again is answered again, not done again
//! (draft-ietf-httpapi-idempotency-key-header).

use std::{future::Future, sync::Arc};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use super::{
    Services,
    error::{Code, Error},
};
use crate::{
    model::{Digest, Violation},
    store::{KeyClaim, KeyOwner, KeyState},
    unify::Reached,
};

/// The header of requests.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header of answers that are given again.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The most characters of a key.
pub(super) const LONGEST: usize = 255;

/// The key of a request, if it has one, and what the request is.
#[derive(Clone, Debug)]
pub(super) struct IdempotencyKey {
    key: Option<String>,
    method: String,
    path: String,
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let key = match parts.headers.get(IDEMPOTENCY_KEY) {
            None => None,
            Some(value) => Some(parse(value).ok_or_else(|| {
                let detail = format!(
                    "The header `Idempotency-Key` must be a text of 1 to {LONGEST} visible ASCII characters."
                );
                Error::new(Code::InvalidParameter, detail)
            })?),
        };
        Ok(Self {
            key,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
        })
    }
}

/// With the quotation marks of the draft, or without.
fn parse(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?.trim();
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let key = inner.unwrap_or(text);
    let good = |byte: u8| byte.is_ascii_graphic();
    let sane = (1..=LONGEST).contains(&key.len()) && key.bytes().all(good);
    sane.then(|| key.to_owned())
}

impl IdempotencyKey {
    /// Does the work once for this key: `work` gets what to tell a provider, where there is a key.
    ///
    /// The work goes on when the caller goes away, so that the answer is there when he comes back.
    /// `body` is the request's body in a form that is the same whenever it means the same.
    /// `reached` says whether the work got as far as somewhere where it may have had effects.
    ///
    /// # Errors
    /// The key was used for another request, or for one that still runs; or the database fails.
    pub(super) async fn once<Work, Run>(
        self,
        services: &Arc<Services>,
        owner: KeyOwner,
        body: &str,
        reached: Reached,
        work: Work,
    ) -> Result<Response, Error>
    where
        Work: FnOnce(Option<String>) -> Run + Send,
        Run: Future<Output = Response> + Send + 'static,
    {
        let Some(key) = self.key else {
            return Ok(work(None).await);
        };
        let pieces = [
            self.method.as_bytes(),
            self.path.as_bytes(),
            body.as_bytes(),
        ];
        let fingerprint = Digest::of_all(&pieces);
        // A request is over after its time limit.
        let lease = services.request_timeout;
        let state = services.store.claim_key(owner, &key, &fingerprint, lease);
        match state.await? {
            KeyState::Claimed(claim) => {
                let run = work(Some(claim.provider_key.clone()));
                let services = Arc::clone(services);
                let task = async move { settle(&services, &claim, &reached, run.await).await };
                let answer = tokio::spawn(task.in_current_span()).await;
                answer.map_err(|error| Error::internal(&error))
            }
            KeyState::Answered(kept) => replay(&kept),
            KeyState::Busy => {
                let detail = "The first request with this `Idempotency-Key` is still at work.";
                Err(Error::new(Code::IdempotencyKeyBusy, detail).with_retry_after(1))
            }
            KeyState::Other => {
                let detail = "This `Idempotency-Key` was used for another request: another method, path or body.";
                Err(Error::new(Code::IdempotencyKeyReused, detail))
            }
        }
    }
}

/// What is kept of an answer.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Answer {
        status: u16,
        location: Option<String>,
        body: String,
    },
    Error {
        code: String,
        detail: String,
        violations: Vec<(String, String)>,
    },
}

/// Keeps the answer, or gives the key back: where nothing happened, as if it had never been used;
/// where nobody knows what happened, for an attempt that tells the provider the same key.
async fn settle(
    services: &Services,
    claim: &KeyClaim,
    reached: &Reached,
    response: Response,
) -> Response {
    let (kept, response) = keep(reached.is_marked(), response).await;
    let done = match kept {
        Some(kept) => services.store.keep_answer(claim, &kept).await,
        None => {
            let forget = !reached.is_marked();
            services.store.release_key(claim, forget).await
        }
    };
    if let Err(error) = done {
        tracing::error!(error = %error, "what became of an Idempotency-Key cannot be written");
    }
    response
}

async fn keep(reached: bool, response: Response) -> (Option<String>, Response) {
    if let Some(error) = response.extensions().get::<Error>() {
        let final_word = matches!(
            error.code().status(),
            StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY
        );
        let kept = (reached && final_word).then(|| Kept::Error {
            code: error.code().name().to_owned(),
            detail: error.to_string(),
            violations: error
                .violations()
                .iter()
                .map(|violation| (violation.path.clone(), violation.message.clone()))
                .collect(),
        });
        return (
            kept.and_then(|kept| serde_json::to_string(&kept).ok()),
            response,
        );
    }
    if !response.status().is_success() {
        return (None, response);
    }
    let (parts, body) = response.into_parts();
    // Our own answers lie in memory already.
    let bytes = to_bytes(body, usize::MAX)
        .await
        .unwrap_or_else(|_| Bytes::new());
    let location = parts.headers.get(header::LOCATION);
    let kept = Kept::Answer {
        status: parts.status.as_u16(),
        location: location.and_then(|value| Some(value.to_str().ok()?.to_owned())),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    let response = Response::from_parts(parts, Body::from(bytes));
    (serde_json::to_string(&kept).ok(), response)
}

fn replay(kept: &str) -> Result<Response, Error> {
    let kept = serde_json::from_str(kept).map_err(|error| Error::internal(&error))?;
    let mut response = match kept {
        Kept::Answer {
            status,
            location,
            body,
        } => {
            let is_empty = body.is_empty();
            let mut response = body.into_response();
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let headers = response.headers_mut();
            headers.remove(header::CONTENT_TYPE);
            if !is_empty {
                let json = HeaderValue::from_static("application/json");
                headers.insert(header::CONTENT_TYPE, json);
            }
            if let Some(Ok(location)) = location.as_deref().map(HeaderValue::from_str) {
                headers.insert(header::LOCATION, location);
            }
            response
        }
        Kept::Error {
            code,
            detail,
            violations,
        } => {
            let violations = violations
                .into_iter()
                .map(|(path, message)| Violation { path, message })
                .collect();
            // A code that this version does not know any more still was a conflict.
            let code = Code::parse(&code).unwrap_or(Code::Conflict);
            let error = Error::new(code, detail).with_violations(violations);
            error.into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_with_quotation_marks_or_without() {
        let key = |text: &str| parse(&HeaderValue::from_str(text).unwrap());
        assert_eq!(key("abc").as_deref(), Some("abc"));
        assert_eq!(key("\"abc\"").as_deref(), Some("abc"));
        for bad in ["", "\"\"", "a\tb", &"a".repeat(256)] {
            assert_eq!(key(bad), None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn what_may_be_tried_again_is_not_kept() {
        let error = |code| Error::new(code, "No.").into_response();
        for (code, reached, kept) in [
            (Code::ProviderRefused, true, true),
            (Code::ProviderConflict, true, true),
            (Code::ProviderRefused, false, false),
            (Code::ValidationFailed, false, false),
            (Code::RateLimited, true, false),
            (Code::NeedsReconnect, true, false),
            (Code::ProviderUnavailable, true, false),
            (Code::Internal, true, false),
        ] {
            let (text, _) = keep(reached, error(code)).await;
            assert_eq!(text.is_some(), kept, "{code:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_comes_back_as_it_was() {
        let first = (
            StatusCode::CREATED,
            [(header::LOCATION, "/crm/contacts/1")],
            r#"{"id":"1"}"#,
        );
        let (kept, _) = keep(true, first.into_response()).await;
        let again = replay(&kept.unwrap()).unwrap();
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.headers()[header::LOCATION], "/crm/contacts/1");
        assert_eq!(again.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(again.headers()[REPLAYED], "true");
        let body = to_bytes(again.into_body(), 100).await.unwrap();
        assert_eq!(&body[..], br#"{"id":"1"}"#);
    }
}
