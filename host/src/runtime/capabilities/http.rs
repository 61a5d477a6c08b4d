//! The only way out of the sandbox.

use std::sync::Arc;

use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::{
    egress::{self, Authorization, AuthorizeError, HeaderMap, HeaderName, HeaderValue, Method},
    runtime::{bindings::http, call::State, limits::MAX_REQUESTS},
    telemetry::METRICS,
};

/// Headers that say what a message is or who it passed through: the host's business.
const REFUSED: [&str; 15] = [
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
];
/// Headers that carry credentials: allowed only where a secret is part of them.
const CREDENTIALS: [&str; 2] = ["authorization", "cookie"];

impl http::Host for State {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::HttpError>> {
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
        Ok(self.exchange(request).await)
    }
}

impl State {
    async fn exchange(&self, request: http::Request) -> Result<http::Response, http::HttpError> {
        let outside = self
            .outside
            .as_ref()
            .ok_or_else(|| denied("a pure call has no imports"))?;
        let url = outside.routes.resolve(&request.url).map_err(denied)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT && method != Method::TRACE)
            .ok_or_else(|| {
                denied(format!(
                    "{:?} is not a method that can be used",
                    request.method
                ))
            })?;
        let needs_secret = request.headers.iter().any(|header| {
            header
                .value
                .iter()
                .any(|part| matches!(part, http::Part::Secret(_)))
        });
        let mut authorization = None;
        if request.authenticated || needs_secret {
            match outside.context.authorizer.current().await {
                Ok(current) => authorization = Some(current),
                Err(AuthorizeError::Dead(_)) => return Ok(unauthorized()),
                Err(AuthorizeError::Unavailable(text)) => {
                    return Err(http::HttpError::Unreachable(text));
                }
            }
        }
        let body = request.body.map(Bytes::from);
        let build = |authorization: Option<&Arc<Authorization>>| {
            let mut outgoing = egress::Request {
                method: method.clone(),
                url: url.clone(),
                headers: self.headers(&request.headers, authorization)?,
                body: body.clone(),
            };
            if let Some(authorization) = authorization.filter(|_| request.authenticated) {
                authorization.apply(&mut outgoing);
            }
            Ok::<_, http::HttpError>(outgoing)
        };
        let first = self.send_once(build(authorization.as_ref())?).await?;
        let Some(rejected) = authorization.filter(|_| first.status == 401) else {
            return Ok(first);
        };
        // Once: a second 401 is the provider's last word.
        match outside
            .context
            .authorizer
            .refreshed(rejected.generation())
            .await
        {
            Ok(fresh) => self.send_once(build(Some(&fresh))?).await,
            Err(AuthorizeError::Dead(_)) => Ok(first),
            Err(AuthorizeError::Unavailable(text)) => Err(http::HttpError::Unreachable(text)),
        }
    }

    async fn send_once(&self, request: egress::Request) -> Result<http::Response, http::HttpError> {
        let options = &self.shared.options;
        let limits = egress::Limits {
            total: options.exchange_timeout,
            max_request_bytes: options.max_response,
            max_response_bytes: options.max_response,
        };
        let answer = self.shared.egress.send(request, &limits).await;
        let slug = self.manifest.slug.as_str();
        let status = answer.as_ref().map_or_else(
            |error| outcome(error).to_owned(),
            |response| response.status.to_string(),
        );
        METRICS.egress_requests.add([slug, &status], 1);
        let response = answer.map_err(|error| match error {
            egress::Error::Denied(text) | egress::Error::Invalid(text) => {
                http::HttpError::Denied(text)
            }
            egress::Error::Timeout => http::HttpError::Timeout,
            egress::Error::TooLarge(bytes) | egress::Error::BodyTooLarge(bytes) => {
                http::HttpError::TooLarge(bytes)
            }
            egress::Error::Unreachable(text) => http::HttpError::Unreachable(text),
        })?;
        if let Some(outside) = &self.outside {
            outside.context.downstream.note(&response.headers);
        }
        let headers = response
            .headers
            .iter()
            .filter(|(name, _)| name.as_str() != "set-cookie")
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        Ok(http::Response {
            status: response.status,
            headers,
            body: response.body.to_vec(),
        })
    }

    fn headers(
        &self,
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
                    http::Part::Secret(secret) if self.may_use(secret) => {
                        let value = authorization
                            .and_then(|authorization| authorization.secret(secret))
                            .ok_or_else(|| {
                                denied(format!("the connection has no secret {secret:?}"))
                            })?;
                        text.push_str(value.expose_secret());
                    }
                    http::Part::Secret(secret) => {
                        return Err(denied(format!(
                            "the manifest does not list {secret:?} under [permissions] secrets"
                        )));
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

/// What the guest sees where the vault already knows that the credentials are dead: the same as
/// if the provider had said so.
fn unauthorized() -> http::Response {
    http::Response {
        status: 401,
        headers: Vec::new(),
        body: Vec::new(),
    }
}

pub(in crate::runtime) const fn outcome(error: &egress::Error) -> &'static str {
    match error {
        egress::Error::Denied(_) | egress::Error::Invalid(_) => "denied",
        egress::Error::Timeout => "timeout",
        egress::Error::TooLarge(_) | egress::Error::BodyTooLarge(_) => "too_large",
        egress::Error::Unreachable(_) => "unreachable",
    }
}
