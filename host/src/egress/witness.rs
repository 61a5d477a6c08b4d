//! What is written down of requests to providers, for people who look for what went wrong.
//!
//! Secrets are masked here, before anything leaves this module: what a sink is given can be shown.

use std::{borrow::Cow, time::Duration};

use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{
    Authorization, Authorizer, Egress, Error, HeaderMap, Limits, MASK, Masks, Request, Response,
};
use crate::model::{Exchange, ExchangeReason, Timestamp};

/// Characters of an address that are kept.
const MAX_URL: usize = 2048;
/// Characters of a header that are kept.
const MAX_HEADER: usize = 256;
/// Bytes of a body that are kept.
const MAX_BODY: usize = 4096;

/// Headers that say something about an exchange and hold neither credentials nor people's data.
const SHOWN: [&str; 27] = [
    "accept",
    "age",
    "api-version",
    "cache-control",
    "cf-ray",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "deprecation",
    "etag",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "last-modified",
    "prefer",
    "request-id",
    "retry-after",
    "server",
    "sunset",
    "traceparent",
    "warning",
    "www-authenticate",
    "x-api-version",
    "x-request-id",
];
/// The same for whole families.
const SHOWN_PREFIXES: [&str; 5] = [
    "ratelimit",
    "x-ratelimit-",
    "x-rate-limit-",
    "x-hubspot-ratelimit-",
    "x-correlation-",
];
/// Parameters that hold credentials by their name, whatever the vault knows.
const SECRET_PARAMETERS: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "api_key",
    "apikey",
    "signature",
    "code",
    "session",
];

/// Takes what is written down. It must not wait: whoever sends requests calls it.
pub trait ExchangeSink: Send + Sync {
    /// Whether the beginnings of bodies are wanted.
    fn wants_bodies(&self) -> bool;

    /// Takes one exchange, or lets it go where there is no room.
    fn take(&self, exchange: Exchange);
}

/// On whose behalf requests are written down.
#[derive(Clone, Copy)]
pub struct Witness<'a> {
    /// On whose behalf, and for what.
    pub reason: &'a ExchangeReason,
    /// Knows the secrets that an answer may repeat, also to a request that had none.
    pub authorizer: Option<&'a dyn Authorizer>,
}

impl std::fmt::Debug for Witness<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Witness")
            .field("reason", self.reason)
            .finish_non_exhaustive()
    }
}

/// An exchange that has begun.
pub(super) struct Begun<'a> {
    witness: Witness<'a>,
    at: Timestamp,
    started: Instant,
    attempt: u32,
    method: String,
    url: Url,
    headers: String,
    bytes: u64,
    body: Option<bytes::Bytes>,
}

impl Egress {
    /// Has exchanges written down from now on; whoever comes first stays.
    pub fn written_down_by(&self, sink: std::sync::Arc<dyn ExchangeSink>) {
        drop(self.0.sink.set(sink));
    }

    /// [`Self::send`] with an entry in the log of exchanges that has neither headers nor bodies:
    /// for requests that are made of secrets.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn send_discreetly(
        &self,
        request: Request,
        limits: &Limits,
        reason: Option<&ExchangeReason>,
        at: Timestamp,
    ) -> Result<Response, Error> {
        let witness = reason.map(|reason| Witness {
            reason,
            authorizer: None,
        });
        let begun = witness.and_then(|witness| self.begin(witness, &request, at, 1));
        let outcome = self.send(request, limits).await;
        if let Some(begun) = begun {
            self.end(begun, outcome.as_ref(), None).await;
        }
        outcome
    }

    /// Notes a request that is about to be sent; none where nobody writes it down.
    pub(super) fn begin<'a>(
        &self,
        witness: Witness<'a>,
        request: &Request,
        at: Timestamp,
        attempt: u32,
    ) -> Option<Begun<'a>> {
        let sink = self.0.sink.get()?;
        let kept = request.body.clone();
        Some(Begun {
            witness,
            at,
            started: Instant::now(),
            attempt,
            method: request.method.to_string(),
            url: request.url.clone(),
            headers: excerpt(&request.headers),
            bytes: kept.as_ref().map_or(0, |body| body.len() as u64),
            body: kept.filter(|_| sink.wants_bodies()),
        })
    }

    /// Writes down what came of it. `authorization` is what it was sent with; where there is none,
    /// the witness says what must not be seen, and where that cannot be known, nothing is kept but
    /// the path.
    pub(super) async fn end(
        &self,
        begun: Begun<'_>,
        outcome: Result<&Response, &Error>,
        authorization: Option<&Authorization>,
    ) {
        let took = begun.started.elapsed();
        let held;
        let known = match (authorization, begun.witness.authorizer) {
            (Some(authorization), _) => Some(authorization),
            (None, Some(authorizer)) => {
                held = authorizer.current().await.ok();
                held.as_deref()
            }
            (None, None) => None,
        };
        let answered = outcome.ok();
        let exchange = begun.exchange(
            known,
            answered.map(|response| (response.status, &response.headers)),
            outcome.err(),
            took,
        );
        let Some(sink) = self.0.sink.get() else {
            return;
        };
        sink.take(Exchange {
            bytes_in: Some(answered.map_or(0, |response| response.body.len() as u64)),
            request_body: (begun.body.as_ref()).and_then(|body| beginning(known, body)),
            response_body: answered
                .filter(|_| sink.wants_bodies())
                .and_then(|response| beginning(known, &response.body)),
            ..exchange
        });
    }

    /// The same for an answer whose body flows: it is not looked into.
    pub(super) fn end_flowing(
        &self,
        begun: &Begun<'_>,
        outcome: Result<(u16, &HeaderMap), &Error>,
        authorization: &Authorization,
    ) {
        let took = begun.started.elapsed();
        let exchange = begun.exchange(Some(authorization), outcome.ok(), outcome.err(), took);
        if let Some(sink) = self.0.sink.get() {
            sink.take(exchange);
        }
    }
}

impl Begun<'_> {
    fn exchange(
        &self,
        known: Option<&Authorization>,
        answer: Option<(u16, &HeaderMap)>,
        error: Option<&Error>,
        took: Duration,
    ) -> Exchange {
        // Cut after masking: half a secret would not be found.
        let shown = |headers: &str| {
            let masked = known.map_or_else(String::new, |known| known.masks().text(headers));
            let lines = masked
                .lines()
                .map(|line| format!("{}\n", cut(line, MAX_HEADER)));
            lines.collect::<String>()
        };
        Exchange {
            reason: self.witness.reason.clone(),
            at: self.at,
            method: self.method.clone(),
            url: address(&self.url, known),
            status: answer.map(|(status, _)| status),
            error: error.map(|error| error.code().to_owned()),
            message: error.map(|error| {
                let text = error.to_string();
                known.map_or_else(|| text.clone(), |known| known.masks().text(&text))
            }),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            bytes_out: self.bytes,
            bytes_in: None,
            attempt: self.attempt,
            request_headers: shown(&self.headers),
            response_headers: shown(
                &answer
                    .map(|(_, headers)| excerpt(headers))
                    .unwrap_or_default(),
            ),
            request_body: None,
            response_body: None,
        }
    }
}

/// The address without user, fragment and secrets; without a query where nobody knows the secrets.
fn address(url: &Url, known: Option<&Authorization>) -> String {
    let mut text = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        text.push(':');
        text.push_str(&port.to_string());
    }
    text.push_str(url.path());
    if let Some(query) = url.query().filter(|_| known.is_some()) {
        let placed = known.map(Authorization::query_names).unwrap_or_default();
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value))
                if !value.is_empty()
                    && (is_secret(name, &placed)
                        || known.is_some_and(|known| holds_secret(pair, known))) =>
            {
                Cow::Owned(format!("{name}={MASK}"))
            }
            _ => Cow::Borrowed(pair),
        });
        text.push('?');
        text.push_str(&pairs.collect::<Vec<_>>().join("&"));
    }
    let text = known.map_or_else(|| text.clone(), |known| known.masks().text(&text));
    cut(&text, MAX_URL).to_owned()
}

/// Whether the value of a `name=value` is a secret, in whatever spelling: a query has several for
/// most characters.
fn holds_secret(pair: &str, known: &Authorization) -> bool {
    form_urlencoded::parse(pair.as_bytes()).any(|(_, value)| known.masks().text(&value) != value)
}

fn is_secret(name: &str, placed: &[&str]) -> bool {
    let decoded = form_urlencoded::parse(name.as_bytes()).next();
    let name = decoded.map(|(name, _)| name.to_ascii_lowercase());
    let name = name.unwrap_or_default();
    placed
        .iter()
        .any(|placed| placed.eq_ignore_ascii_case(&name))
        || SECRET_PARAMETERS.iter().any(|word| {
            name == *word
                || name.ends_with(&format!("_{word}"))
                || name.ends_with(&format!("-{word}"))
        })
}

/// The headers that are shown, a line each.
fn excerpt(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        let shown = SHOWN.contains(&name.as_str())
            || SHOWN_PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix));
        let Ok(value) = value.to_str() else { continue };
        if shown {
            for piece in [name.as_str(), ": ", value, "\n"] {
                text.push_str(piece);
            }
        }
    }
    text
}

/// The beginning of a body, masked as a whole first. What is no text is not kept.
fn beginning(known: Option<&Authorization>, body: &[u8]) -> Option<String> {
    let masks: &Masks = known?.masks();
    if body.is_empty() {
        return None;
    }
    let masked = masks.body(body);
    let whole = std::str::from_utf8(&masked).ok()?;
    // Databases do not take it, and it says nothing.
    Some(cut(whole, MAX_BODY).replace('\0', ""))
}

/// At most so many bytes, and no half character.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}
