//! The only way out of the sandbox.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::{
    egress::{
        self, Authorization, AuthorizeError, Exhausted, FIRST_WAIT, HeaderMap, HeaderName,
        HeaderValue, Method, PATIENCE, Priority, Sending, SendingError, Sent, Witness,
    },
    model::{ErrorClass, Meaning},
    runtime::{bindings::http, call::State, charges, limits::MAX_REQUESTS},
    telemetry::METRICS,
};

/// Headers that say what a message is or who it passed through: the host's business.
const REFUSED: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    // Servers that know them take them for the path or the sender, whatever was checked here.
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];
/// Headers that carry credentials: allowed only where a secret is part of them.
const CREDENTIALS: [&str; 2] = ["authorization", "cookie"];

impl http::Host for State {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::HttpError>> {
        self.host_call(request.body.as_ref().map_or(0, Vec::len))?;
        let most = self.shared.options.max_transfer;
        let outside = self.outside("http.send")?;
        if outside.receiving.is_some() {
            return Ok(Err(http::HttpError::Denied(
                "a webhook is read without sending requests; the host reads the record afterwards"
                    .to_owned(),
            )));
        }
        let requests = &mut outside.requests;
        *requests += 1;
        if *requests > MAX_REQUESTS {
            return Ok(Err(http::HttpError::Denied(format!(
                "one call may send {MAX_REQUESTS} requests"
            ))));
        }
        if *outside.transferred.get_mut() >= most {
            return Ok(Err(http::HttpError::Denied(format!(
                "one call may send and receive {most} bytes"
            ))));
        }
        let (answer, wait) = self.exchange(request).await;
        self.outside("http.send")?.wait = wait;
        Ok(answer)
    }
}

type Exchanged = Result<http::Response, http::HttpError>;

impl State {
    /// The answer, and how long the provider or its budget wants to hear nothing more.
    async fn exchange(&self, request: http::Request) -> (Exchanged, Option<Duration>) {
        match self.sent(&request).await {
            Ok(mut sent) => {
                self.mask(&mut sent).await;
                let limited = sent.meaning == Some(Meaning::RateLimited);
                let wait = sent.wait.filter(|_| limited);
                (Ok(shown(&sent)), wait)
            }
            Err(SendingError::Build(error)) => (Err(error), None),
            // What the guest sees where the vault knows already that the credentials are dead is
            // the same as if the provider had said so.
            Err(SendingError::Credentials(AuthorizeError::Dead(_))) => (Ok(unauthorized()), None),
            Err(SendingError::Credentials(AuthorizeError::Unavailable(text))) => {
                (Err(http::HttpError::Unreachable(text)), None)
            }
            Err(SendingError::Exhausted(exhausted)) => {
                let seconds = exhausted.wait.as_millis().div_ceil(1000);
                let told = u32::try_from(seconds).unwrap_or(u32::MAX);
                let error = http::HttpError::RateLimited(Some(told));
                (Err(error), Some(exhausted.wait))
            }
            Err(SendingError::Exchange(error)) => (Err(without_answer(error)), None),
        }
    }

    /// A provider knows the credentials and may say them in any answer, also to a request that was
    /// sent without.
    async fn mask(&self, sent: &mut Sent) {
        let Some(outside) = self
            .outside
            .as_ref()
            .filter(|_| sent.authorization.is_none())
        else {
            return;
        };
        if let Ok(authorization) = outside.context.authorizer.current().await {
            authorization.masks().response(&mut sent.response);
        }
    }

    async fn sent(&self, request: &http::Request) -> Result<Sent, SendingError<http::HttpError>> {
        let refused = |text: String| SendingError::Build(denied(text));
        let outside = self
            .outside
            .as_ref()
            .ok_or_else(|| refused("a pure call has no imports".to_owned()))?;
        let url = outside.routes.resolve(&request.url).map_err(refused)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT && method != Method::TRACE)
            .ok_or_else(|| {
                refused(format!(
                    "{:?} is not a method that can be used",
                    request.method
                ))
            })?;
        let parts = request.headers.iter().flat_map(|header| &header.value);
        let mut needs_secret = false;
        for part in parts {
            let http::Part::Secret(secret) = part else {
                continue;
            };
            needs_secret = true;
            if !self.may_use(secret) {
                outside.context.authorizer.denied(secret).await;
                return Err(refused(format!(
                    "the manifest does not list {secret:?} under [permissions] secrets"
                )));
            }
        }
        let body = request.body.clone().map(Bytes::from);
        let build = |authorization: Option<&Arc<Authorization>>| {
            let mut outgoing = egress::Request {
                method: method.clone(),
                url: url.clone(),
                headers: headers(&request.headers, authorization)?,
                body: body.clone(),
            };
            if let Some(authorization) = authorization.filter(|_| request.authenticated) {
                authorization.apply(&mut outgoing);
            }
            Ok::<_, http::HttpError>(outgoing)
        };
        let context = &outside.context;
        let options = &self.shared.options;
        let charges = charges::of(&self.manifest, &outside.routes, &method, &request.url);
        // What a page has read so far is lost where it stops in the middle: then it rather waits.
        let begun = context.priority == Priority::Background && outside.requests > 1;
        let patience = if begun {
            options.call_timeout
        } else {
            PATIENCE
        };
        let authorized = request.authenticated || needs_secret;
        let sent = body.as_ref().map_or(0, Bytes::len);
        let sending = Sending {
            authorizer: authorized.then_some(&*context.authorizer),
            retry: &self.manifest.retry,
            budget: &*context.budget,
            charges: &charges,
            priority: context.priority,
            patience,
            waits_out_limits: true,
            limits: egress::Limits {
                total: options.exchange_timeout,
                max_request_bytes: options.max_response,
                max_response_bytes: options.max_response,
            },
            deadline: self.deadline,
            first_wait: FIRST_WAIT,
            observe: &|outcome| {
                let slug = self.manifest.slug.as_str();
                note(slug, outcome.as_ref().map(|answer| answer.status));
                let (received, trouble) = match outcome {
                    Ok(answer) => (answer.body.len(), None),
                    Err(error) => (0, trouble(error)),
                };
                let bytes = (sent + received) as u64;
                outside.transferred.fetch_add(bytes, Ordering::Relaxed);
                context.usage.exchanged(bytes, trouble);
                if let Ok(answer) = outcome {
                    context.downstream.note(&answer.headers);
                }
            },
            witness: context.reason.as_ref().map(|reason| Witness {
                reason,
                authorizer: Some(&*context.authorizer),
            }),
            clock: &*self.shared.clock,
        };
        let sent = self
            .shared
            .egress
            .send_until_answered(&sending, build)
            .await;
        if let Err(SendingError::Exhausted(exhausted)) = &sent {
            refused_by_budget(self.manifest.slug.as_str(), exhausted);
        }
        sent
    }
}

/// The headers of a request, with secrets in their places. Which may be there was checked.
fn headers(
    headers: &[http::Header],
    authorization: Option<&Arc<Authorization>>,
) -> Result<HeaderMap, http::HttpError> {
    let mut map = HeaderMap::new();
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| denied(format!("{:?} is not a header's name", header.name)))?;
        let has_secret = header
            .value
            .iter()
            .any(|part| matches!(part, http::Part::Secret(_)));
        if is_refused(&name, has_secret) {
            return Err(denied(format!("the host sets the header {name}")));
        }
        let mut text = String::new();
        for part in &header.value {
            match part {
                http::Part::Text(plain) => text.push_str(plain),
                http::Part::Secret(secret) => {
                    let value = authorization
                        .and_then(|authorization| authorization.secret(secret))
                        .ok_or_else(|| {
                            denied(format!("the connection has no secret {secret:?}"))
                        })?;
                    text.push_str(value.expose_secret());
                }
            }
        }
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| denied(format!("the value of {name} has forbidden characters")))?;
        value.set_sensitive(has_secret);
        map.append(name, value);
    }
    Ok(map)
}

/// Whether only the host may set this header.
pub(in crate::runtime) fn is_refused(name: &HeaderName, has_secret: bool) -> bool {
    REFUSED.contains(&name.as_str())
        || name.as_str().starts_with("x-forwarded-")
        || (CREDENTIALS.contains(&name.as_str()) && !has_secret)
}

fn denied(text: impl Into<String>) -> http::HttpError {
    http::HttpError::Denied(text.into())
}

/// The answer as the guest sees it: with the status that says what it means.
fn shown(sent: &Sent) -> http::Response {
    let status = sent.status();
    let limited = sent.meaning == Some(Meaning::RateLimited);
    let wait = sent.wait.filter(|_| limited);
    let mut headers: Vec<(String, String)> = sent
        .response
        .headers
        .iter()
        .filter(|(name, _)| name.as_str() != "set-cookie")
        .filter(|(name, _)| wait.is_none() || name.as_str() != "retry-after")
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    if let Some(wait) = wait {
        let seconds = wait.as_millis().div_ceil(1000).to_string();
        headers.push(("retry-after".to_owned(), seconds));
    }
    http::Response {
        status,
        headers,
        body: sent.response.body.to_vec(),
    }
}

fn unauthorized() -> http::Response {
    http::Response {
        status: 401,
        headers: Vec::new(),
        body: Vec::new(),
    }
}

fn without_answer(error: egress::Error) -> http::HttpError {
    match error {
        egress::Error::Denied(text) | egress::Error::Invalid(text) => http::HttpError::Denied(text),
        egress::Error::Timeout => http::HttpError::Timeout,
        egress::Error::TooLarge(bytes) | egress::Error::BodyTooLarge(bytes) => {
            http::HttpError::TooLarge(bytes)
        }
        egress::Error::NotConnected(text) | egress::Error::Unreachable(text) => {
            http::HttpError::Unreachable(text)
        }
    }
}

/// Why a request had no answer, where it was on its way.
fn trouble(error: &egress::Error) -> Option<ErrorClass> {
    match error {
        egress::Error::Timeout => Some(ErrorClass::Timeout),
        egress::Error::NotConnected(_) | egress::Error::Unreachable(_) => Some(ErrorClass::Network),
        _ => None,
    }
}

/// Counts a request to a provider.
pub(in crate::runtime) fn note(slug: &str, outcome: Result<u16, &egress::Error>) {
    let status = outcome.map_or_else(
        |error| match error {
            egress::Error::Denied(_) | egress::Error::Invalid(_) => "denied".to_owned(),
            error => error.code().to_owned(),
        },
        |status| status.to_string(),
    );
    METRICS.egress_requests.add([slug, &status], 1);
}

/// Counts a request that the provider's budget did not let through.
pub(in crate::runtime) fn refused_by_budget(slug: &str, exhausted: &Exhausted) {
    METRICS
        .rate_limited
        .add([slug, &exhausted.bucket, "refused"], 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_hops_are_the_hosts_business() {
        let header = |name: &str| HeaderName::from_bytes(name.as_bytes()).unwrap();
        for name in [
            "Host",
            "content-length",
            "Content-Length",
            "TRANSFER-ENCODING",
            "connection",
            "keep-alive",
            "upgrade",
            "te",
            "trailer",
            "expect",
            "proxy-authorization",
            "proxy-connection",
            "forwarded",
            "via",
            "x-forwarded-for",
            "X-Forwarded-Host",
            "x-original-url",
            "x-rewrite-url",
            "x-real-ip",
            "accept-encoding",
        ] {
            assert!(is_refused(&header(name), false), "{name}");
            assert!(is_refused(&header(name), true), "{name}");
        }
        for name in ["authorization", "Cookie"] {
            assert!(is_refused(&header(name), false), "{name}");
            assert!(!is_refused(&header(name), true), "{name}");
        }
        for name in [
            "accept",
            "content-type",
            "x-api-key",
            "if-match",
            "idempotency-key",
        ] {
            assert!(!is_refused(&header(name), false), "{name}");
        }
    }
}
