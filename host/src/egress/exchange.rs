//! What is written down of a request.

use std::time::Duration;

use super::{Error, Request};

/// A redacted record of one exchange: enough to see what went wrong and how long it took. Never
/// the query, a header or a body, for those hold credentials and personal data.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// Host and port.
    pub host: String,
    /// The path, cut at 256 characters.
    pub path: String,
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// Bytes of the answer's body, decompressed.
    pub bytes: usize,
    /// How long it took.
    pub duration: Duration,
    /// Why there was no answer: `denied`, `timeout`, `too_large`, `unreachable` or `invalid`.
    pub error: Option<&'static str>,
}

impl Exchange {
    pub(super) fn begin(request: &Request) -> Self {
        let host = request.url.host_str().unwrap_or_default();
        Self {
            method: request.method.to_string(),
            host: match request.url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
            path: request.url.path().chars().take(256).collect(),
            status: None,
            bytes: 0,
            duration: Duration::ZERO,
            error: None,
        }
    }

    pub(super) const fn end(
        mut self,
        duration: Duration,
        status: Option<u16>,
        bytes: usize,
        error: Option<&Error>,
    ) -> Self {
        self.duration = duration;
        self.status = status;
        self.bytes = bytes;
        if let Some(error) = error {
            self.error = Some(error.code());
        }
        self
    }

    /// One line at target `jackfield::egress`.
    pub(super) fn log(&self) {
        tracing::debug!(
            target: "jackfield::egress",
            method = %self.method,
            host = %self.host,
            path = %self.path,
            status = self.status,
            bytes = self.bytes,
            milliseconds = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            error = self.error,
            "exchange"
        );
    }
}
