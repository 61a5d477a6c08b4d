//! Errors of the API: one table of codes, one shape of body.

mod code;
mod translate;

use std::fmt;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    model::{Timestamp, Violation},
    telemetry::chain,
};

pub use code::Code;
pub use translate::capitalised;

/// An answer that is an error.
///
/// It becomes a response without a body that carries the error; the outermost layer writes the
/// body, since only it knows the request's id and path.
#[derive(Clone, Debug)]
pub struct Error {
    code: Code,
    detail: String,
    violations: Vec<Violation>,
    retry_after: Option<u64>,
    allow: Option<String>,
    /// For the log only.
    cause: Option<String>,
}

impl Error {
    /// With a sentence for the caller: what happened and why.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            violations: Vec::new(),
            retry_after: None,
            allow: None,
            cause: None,
        }
    }

    /// Something of ours broke. The chain of `cause` goes to the log, not to the caller.
    #[must_use]
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        let detail = "Something in this server failed; the request's id finds it in the log.";
        Self::new(Code::Internal, detail).caused_by(cause)
    }

    /// Adds what is wrong with the input, with the paths.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.violations = violations;
        self
    }

    /// Adds when it makes sense to try again, in seconds.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds the methods that are possible, with commas between them.
    #[must_use]
    pub fn with_allow(mut self, methods: String) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Adds what only the log should say.
    #[must_use]
    pub fn caused_by(mut self, cause: &dyn std::error::Error) -> Self {
        self.cause = Some(chain(cause));
        self
    }

    /// Adds a text that only the log should say.
    #[must_use]
    pub fn caused_by_text(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Its row in the table.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What happened, for the caller.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What is wrong with the input, with the paths.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What happened, for the log: the code, the sentence and the cause.
    pub(super) fn for_log(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{} {cause}", self.detail),
            None => self.detail.clone(),
        }
    }

    /// The whole answer: `application/problem+json` (RFC 9457) with the four keys that the wire
    /// contract has in every error.
    pub(super) fn render(&self, path: &str, request_id: &str, now: Timestamp) -> Response {
        let status = self.code.status();
        let body = self.body(path, request_id, now).to_string();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"jackfield\""),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(Ok(methods)) = self.allow.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::ALLOW, methods);
        }
        response
    }
}

impl Error {
    /// The body of the answer.
    pub(super) fn body(&self, path: &str, request_id: &str, now: Timestamp) -> Value {
        let status = self.code.status().as_u16();
        let body = Body {
            r#type: format!("/errors/{}", self.code.name()),
            title: self.code.title(),
            status,
            detail: &self.detail,
            code: self.code.name(),
            help: self.code.help(),
            request_id,
            violations: self.violations.iter().map(Into::into).collect(),
            status_code: status,
            timestamp: now.to_string(),
            path,
            message: &self.detail,
        };
        serde_json::to_value(body).unwrap_or_default()
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    help: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<BodyViolation<'a>>,
    #[serde(rename = "statusCode")]
    status_code: u16,
    timestamp: String,
    path: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct BodyViolation<'a> {
    path: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Violation> for BodyViolation<'a> {
    fn from(violation: &'a Violation) -> Self {
        Self {
            path: &violation.path,
            message: &violation.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_body_has_the_keys_of_the_standard_and_of_the_contract() {
        let error = Error::new(Code::ValidationFailed, "It is wrong.")
            .with_violations(vec![Violation {
                path: "/a".into(),
                message: "is no string".into(),
            }])
            .with_retry_after(3);
        let response = error.render("/crm/contacts", "r1", Timestamp::from_millis(0));
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["retry-after"], "3");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["code"], "validation_failed");
        assert_eq!(body["statusCode"], body["status"]);
        assert_eq!(body["message"], body["detail"]);
        assert_eq!(body["path"], "/crm/contacts");
        assert_eq!(body["timestamp"], "1970-01-01T00:00:00.000Z");
        assert_eq!(body["request_id"], "r1");
        assert_eq!(body["violations"][0]["path"], "/a");
    }

    #[test]
    fn causes_stay_in_the_log() {
        let error = Error::internal(&std::io::Error::other("disk on fire"));
        assert!(error.for_log().contains("disk on fire"));
        assert!(!error.to_string().contains("disk on fire"));
    }
}
