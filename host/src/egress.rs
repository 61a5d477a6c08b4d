//! The only way out.
//!
//! One client for the whole program: connectors, token endpoints and webhooks all go through it.
//! It asks no proxy, follows no redirect, judges every address before it connects to it, and
//! gives no answer more time or memory than its limit.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place that makes a client"
)]

mod address;
mod authorization;
mod brief;
mod budget;
mod downstream;
mod exchange;
mod flow;
mod mask;
mod meaning;
mod resolver;
mod sending;
pub mod signing;
mod streaming;
mod witness;

use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use crate::model::{Entropy, SystemEntropy};
use resolver::{GuardedResolver, Lookup, Refused};

pub use address::verdict;
pub use authorization::{Authorization, AuthorizeError, Authorizer};
pub use budget::{Budget, Charge, Exhausted, Priority, Unlimited};
pub use downstream::{Downstream, DownstreamLimits, retry_after};
pub use exchange::Exchange;
pub use flow::{Flow, FlowError, StreamLimits, StreamedResponse};
pub use mask::{MASK, Masks, SHORTEST_MASKED};
pub use reqwest::{
    Method,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
pub use sending::{FIRST_WAIT, PATIENCE, Sending, SendingError, Sent};
pub use witness::{ExchangeSink, Witness};

/// A future that can be kept in a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the operator decided.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Addresses that may be reached though they are private or special, and without encryption.
    pub allow_private: Vec<IpNet>,
}

/// What one exchange may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte sent to the last byte read. Connecting (5 s) and waiting for the
    /// answer's headers (15 s) have their own limits within it.
    pub total: Duration,
    /// Bytes of the request's body.
    pub max_request_bytes: usize,
    /// Bytes of the answer's body, after decompression.
    pub max_response_bytes: usize,
}

/// A request, complete but for what the protocol itself adds.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to: `https`, or `http` to an address that the operator allows.
    pub url: Url,
    /// Headers, at most 100 and 32 KiB together.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
}

/// An answer, whatever its status.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers, as they came; `content-encoding` and `content-length` are gone where the body
    /// was decompressed.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

/// Why there is no answer. The texts hold no query, header or body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The policy forbids it: what, and what would allow it.
    #[error("{0}")]
    Denied(String),
    /// No complete answer in time.
    #[error("the answer took too long")]
    Timeout,
    /// The answer's body is larger than this many bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// The request's body, which flowed, went over this many bytes.
    #[error("the request's body has more than {0} bytes")]
    BodyTooLarge(u64),
    /// No connection: nothing was sent.
    #[error("{0}")]
    NotConnected(String),
    /// The connection broke, or what came was no answer.
    #[error("{0}")]
    Unreachable(String),
    /// The request cannot be sent as it is.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// One word for logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Timeout => "timeout",
            Self::TooLarge(_) | Self::BodyTooLarge(_) => "too_large",
            Self::NotConnected(_) | Self::Unreachable(_) => "unreachable",
            Self::Invalid(_) => "invalid",
        }
    }

    /// Whether the request may have reached the other side.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        match self {
            Self::Denied(_) | Self::NotConnected(_) | Self::Invalid(_) => false,
            Self::Timeout | Self::TooLarge(_) | Self::BodyTooLarge(_) | Self::Unreachable(_) => {
                true
            }
        }
    }
}

/// The guarded client. Cloning it is cheap; clones share connections.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    guard: Arc<Guard>,
    /// Spreads what is sent again.
    entropy: Box<dyn Entropy>,
    /// Where exchanges with providers are written down.
    sink: OnceLock<Arc<dyn ExchangeSink>>,
    lookup: Lookup,
    plain: reqwest::Client,
    /// Made at the first `https` request: a machine without trusted certificates can still work
    /// with plain servers, and says what is missing when it matters.
    secure: OnceLock<reqwest::Client>,
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const HEADERS_LIMIT: Duration = Duration::from_secs(15);
const MAX_HEADERS: usize = 100;
const MAX_REQUEST_HEADER_BYTES: usize = 32 * 1024;
const MAX_RESPONSE_HEADER_BYTES: u32 = 64 * 1024;
const MAX_URL_BYTES: usize = 16 * 1024;
const USER_AGENT: &str = concat!("jackfield/", env!("CARGO_PKG_VERSION"));

/// Headers that frame a message or speak to the next hop. Two opinions about them are how
/// requests are smuggled, so only the client itself has one.
const OWN_HEADERS: [HeaderName; 10] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
];

impl Egress {
    /// A client under this policy. Opens nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the client cannot be made.
    pub fn new(policy: Policy) -> Result<Self, Error> {
        Self::with_lookup(policy, resolver::system())
    }

    fn with_lookup(policy: Policy, lookup: Lookup) -> Result<Self, Error> {
        // An `Err` holds the provider that another part of the process installed before: ours too.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let guard = Arc::new(Guard(policy));
        let resolver = GuardedResolver {
            guard: Arc::clone(&guard),
            encrypted: false,
            lookup: Arc::clone(&lookup),
        };
        let plain = client(resolver)
            // It never speaks TLS, and must not fail for want of certificates.
            .tls_certs_only([])
            .build()
            .map_err(|error| Error::Invalid(root_cause(&error)))?;
        Ok(Self(Arc::new(Inner {
            guard,
            entropy: Box::new(SystemEntropy),
            sink: OnceLock::new(),
            lookup,
            plain,
            secure: OnceLock::new(),
        })))
    }

    /// Sends a request and reads the whole answer. A redirect, a 429 and a 500 are answers too.
    ///
    /// # Errors
    /// Each variant of [`Error`].
    pub async fn send(&self, request: Request, limits: &Limits) -> Result<Response, Error> {
        let exchange = Exchange::begin(&request);
        let start = Instant::now();
        let outcome = match timeout_at(start + limits.total, self.exchange(request, limits)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Timeout),
        };
        let (status, bytes) = match &outcome {
            Ok(response) => (Some(response.status), response.body.len()),
            Err(_) => (None, 0),
        };
        let error = outcome.as_ref().err();
        exchange.end(start.elapsed(), status, bytes, error).log();
        outcome
    }

    async fn exchange(&self, request: Request, limits: &Limits) -> Result<Response, Error> {
        let (host, outgoing) = self.outgoing(request, limits.max_request_bytes)?;
        let failed = |error: reqwest::Error| failure(&host, &error);
        let answer = timeout_at(Instant::now() + HEADERS_LIMIT, outgoing.send());
        let mut answer = answer.await.map_err(|_| Error::Timeout)?.map_err(failed)?;
        check_answer_headers(&host, answer.headers())?;

        let too_large = || Error::TooLarge(limits.max_response_bytes as u64);
        let announced = answer.content_length().unwrap_or(0);
        if announced > limits.max_response_bytes as u64 {
            return Err(too_large());
        }
        let status = answer.status().as_u16();
        let headers = std::mem::take(answer.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limits.max_response_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status,
            headers,
            body: body.freeze(),
        })
    }

    /// The request, checked and addressed, and the name of its host.
    fn outgoing(
        &self,
        request: Request,
        max_bytes: usize,
    ) -> Result<(String, reqwest::RequestBuilder), Error> {
        let request = checked(request, max_bytes)?;
        let encrypted = request.url.scheme() == "https";
        // A literal address never reaches the resolver.
        let literal = match request.url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(Error::Invalid("the URL has no host".to_owned())),
        };
        if let Some(address) = literal {
            self.0
                .guard
                .check(None, address, encrypted)
                .map_err(Error::Denied)?;
        }
        let client = if encrypted {
            self.secure()?
        } else {
            &self.0.plain
        };
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let mut outgoing = client
            .request(request.method, request.url)
            .headers(request.headers);
        if let Some(body) = request.body {
            outgoing = outgoing.body(body);
        }
        Ok((host, outgoing))
    }

    fn secure(&self) -> Result<&reqwest::Client, Error> {
        if let Some(client) = self.0.secure.get() {
            return Ok(client);
        }
        let resolver = GuardedResolver {
            guard: Arc::clone(&self.0.guard),
            encrypted: true,
            lookup: Arc::clone(&self.0.lookup),
        };
        // A failure is not kept: once certificates are installed, the next request works.
        let client = client(resolver).https_only(true).build().map_err(|error| {
            Error::Unreachable(format!(
                "no trusted certificates for https were found on this machine ({}); install its \
                 ca-certificates package or set SSL_CERT_FILE",
                root_cause(&error)
            ))
        })?;
        Ok(self.0.secure.get_or_init(|| client))
    }
}

/// The usual words for a status; none for one that has none.
#[must_use]
pub fn status_text(status: u16) -> &'static str {
    let status = reqwest::StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}

/// The policy, asked about one address at a time.
struct Guard(Policy);

impl Guard {
    /// Whether `address`, which `host` resolved to or which stood in the URL, may be reached.
    fn check(&self, host: Option<&str>, address: IpAddr, encrypted: bool) -> Result<(), String> {
        verdict(address, &self.0.allow_private)
            .map_err(|kind| address::refusal(host, address, kind))?;
        // Credentials do not cross the open internet in clear.
        if !encrypted && !address::is_allowed(address, &self.0.allow_private) {
            let name = host.map_or_else(|| address.to_string(), str::to_owned);
            return Err(format!(
                "http:// to {name} is not encrypted; use https://, or an operator can allow it \
                 with {}",
                address::allowing(address)
            ));
        }
        Ok(())
    }
}

fn client(resolver: GuardedResolver) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_LIMIT)
        .pool_idle_timeout(Duration::from_secs(60))
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(MAX_RESPONSE_HEADER_BYTES)
        .dns_resolver(Arc::new(resolver))
}

/// The request with nothing in it that could be read in two ways.
fn checked(mut request: Request, max_bytes: usize) -> Result<Request, Error> {
    let invalid = |message: String| Err(Error::Invalid(message));
    let url = &request.url;
    if !matches!(url.scheme(), "http" | "https") {
        return invalid(format!("{}: is no scheme to send with", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("the URL has a user name or password in it".to_owned());
    }
    if url.as_str().len() > MAX_URL_BYTES {
        return invalid(format!("the URL is longer than {MAX_URL_BYTES} bytes"));
    }
    request.url.set_fragment(None);
    if let Some(name) = OWN_HEADERS
        .iter()
        .find(|name| request.headers.contains_key(*name))
    {
        return invalid(format!("the header {name} is set by the client itself"));
    }
    // Only what the client can decompress may be asked for.
    request.headers.remove(header::ACCEPT_ENCODING);
    if request.headers.len() > MAX_HEADERS
        || header_bytes(&request.headers) > MAX_REQUEST_HEADER_BYTES
    {
        return invalid(format!(
            "the request has more than {MAX_HEADERS} headers or {MAX_REQUEST_HEADER_BYTES} bytes \
             of them"
        ));
    }
    let length = request.body.as_ref().map_or(0, Bytes::len);
    if length > max_bytes {
        return invalid(format!(
            "the request's body has {length} bytes; at most {max_bytes} are sent"
        ));
    }
    Ok(request)
}

fn check_answer_headers(host: &str, headers: &HeaderMap) -> Result<(), Error> {
    if headers.len() > MAX_HEADERS || header_bytes(headers) > MAX_RESPONSE_HEADER_BYTES as usize {
        return Err(Error::Unreachable(format!(
            "{host} sent more than {MAX_HEADERS} headers or {MAX_RESPONSE_HEADER_BYTES} bytes of \
             them"
        )));
    }
    Ok(())
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

fn failure(host: &str, error: &reqwest::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(Refused(message)) = current.downcast_ref() {
            return Error::Denied(message.clone());
        }
        if let Some(flow::OverCap(most)) = current.downcast_ref() {
            return Error::BodyTooLarge(*most);
        }
        source = current.source();
    }
    // The error's own text holds the URL and so the query; its cause does not.
    let cause = root_cause(error);
    if error.is_connect() {
        Error::NotConnected(format!("no connection to {host}: {cause}"))
    } else if error.is_timeout() {
        Error::Timeout
    } else if error.is_builder() {
        Error::Invalid(cause)
    } else {
        Error::Unreachable(format!("the exchange with {host} broke off: {cause}"))
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.is::<reqwest::Error>() {
        return "the request failed".to_owned();
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
