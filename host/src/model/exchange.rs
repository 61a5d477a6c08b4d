//! Requests to providers, as they are written down for people who look for what went wrong.

use super::{ConnectionId, ExchangeId, Timestamp, sync::words};

words! {
    /// What a request was sent for.
    ExchangeCause {
        /// An execution of a sync; the subject is its id.
        Sync = "sync",
        /// A request to this server; the subject is its id.
        Request = "request",
        /// Getting a new access token.
        Refresh = "refresh",
        /// Work that nobody waits for: after a provider's webhook, or a queued request.
        Background = "background",
    }
}

/// On whose behalf and for what a request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeReason {
    /// The connection's number in this database.
    pub connection: u32,
    /// For what.
    pub cause: ExchangeCause,
    /// The id of that: of a sync's execution, or of a request to this server.
    pub subject: Option<String>,
}

/// One attempt of a request, and what came of it. No text in it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// On whose behalf and for what it was sent.
    pub reason: ExchangeReason,
    /// When it was sent.
    pub at: Timestamp,
    /// The method.
    pub method: String,
    /// The address, secrets masked, without a fragment; at most 2 KiB.
    pub url: String,
    /// The answer's status, where there was an answer.
    pub status: Option<u16>,
    /// Why there was none: `denied`, `timeout`, `too_large`, `unreachable` or `invalid`.
    pub error: Option<String>,
    /// The same as a sentence.
    pub message: Option<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Bytes of the request's body.
    pub bytes_out: u64,
    /// Bytes of the answer's body, decompressed; none where it flowed through uncounted.
    pub bytes_in: Option<u64>,
    /// Counts from 1: a request is sent again after failures that may pass.
    pub attempt: u32,
    /// The request's headers that are worth looking at, a line each.
    pub request_headers: String,
    /// The same of the answer.
    pub response_headers: String,
    /// The beginning of the request's body, where bodies are kept.
    pub request_body: Option<String>,
    /// The same of the answer.
    pub response_body: Option<String>,
}

impl Exchange {
    /// Whether an answer came, and it was no error.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.status.is_some_and(|status| status < 400)
    }
}

/// An exchange that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeRow {
    /// Its id; ids sort by time.
    pub id: ExchangeId,
    /// The connection.
    pub connection: ConnectionId,
    /// Itself.
    pub exchange: Exchange,
}
