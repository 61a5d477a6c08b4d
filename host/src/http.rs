//! The HTTP API: routes, extractors, answers and errors. No rule of the domain is here: a
//! handler takes its arguments apart, makes one call, and shapes the answer.

mod body;
mod caller;
mod error;
mod idempotency;
mod inside;
mod layers;
mod limits;
mod login_cookie;
mod openapi;
mod operation;
mod query;
mod rate_limit;
mod routes;
mod server;

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, request::Parts},
    response::Response,
};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    diagnosis::{Assistant, Diagnoses},
    egress::StreamLimits,
    market::{Market, Outlets},
    model::{Clock, Entropy},
    runtime::Runtime,
    store::{RequestTally, Store},
    unify::Unify,
    vault::Vault,
    webhook::Webhooks,
};

pub use error::{Code, Error, capitalised};
pub use inside::{Api, ApiAnswer, ApiCaller, ApiRequest};
pub use openapi::text as openapi_text;
pub use rate_limit::{QuestionRate, RateLimit};
pub use routes::{InboundRate, Watches};
pub use server::{Limits, Peer, serve};

/// What the handlers use.
#[derive(Clone)]
pub struct Services {
    /// What is stored.
    pub store: Store,
    /// The use cases.
    pub unify: Unify,
    /// Keys and tokens.
    pub vault: Vault,
    /// Deliveries of events.
    pub webhooks: Webhooks,
    /// The connectors.
    pub runtime: Runtime,
    /// What installs them, and keeps what was granted to them.
    pub market: Market,
    /// Where they come from.
    pub outlets: Outlets,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For the ids of requests.
    pub entropy: Arc<dyn Entropy>,
    /// How browsers and providers reach this server.
    pub public_url: Url,
    /// How many streams of runs each project has open.
    pub watches: Watches,
    /// How fast providers may send webhooks.
    pub inbound: Arc<InboundRate>,
    /// How often connect pages may ask a provider.
    pub questions: Arc<QuestionRate>,
    /// The longest that a request may take, its body included.
    pub request_timeout: Duration,
    /// From the end of a background read to the next, where a project chose nothing.
    pub sync_interval: Duration,
    /// Why things fail.
    pub diagnoses: Diagnoses,
    /// Who answers questions about that, where the operator configured somebody.
    pub assistant: Option<Assistant>,
    /// How many requests were answered since that was last written down.
    pub requests: Arc<RequestTally>,
    /// How many requests a project may make.
    pub rate_limit: RateLimit,
    /// What a request that is streamed through may cost; [`Self::request_timeout`] does not hold
    /// for it.
    pub stream_limits: StreamLimits,
    /// When this server stops, streams that would go on end.
    pub stopping: CancellationToken,
}

impl fmt::Debug for Services {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Services").finish_non_exhaustive()
    }
}

impl Services {
    /// Where providers send browsers back to; what operators register in their OAuth apps.
    #[must_use]
    pub fn oauth_redirect_uri(&self) -> Url {
        let mut uri = self.public_url.clone();
        if let Ok(mut path) = uri.path_segments_mut() {
            path.pop_if_empty()
                .extend(["connections", "oauth", "callback"]);
        }
        uri
    }

    /// The value of the header `Set-Cookie` that binds a login with this state to a browser.
    #[must_use]
    pub fn login_cookie(&self, state: &str, secret: &SecretString) -> Option<HeaderValue> {
        login_cookie::set(&self.public_url, state, secret)
    }

    /// The one that takes it away.
    fn no_login_cookie(&self, state: &str) -> Option<HeaderValue> {
        login_cookie::clear(&self.public_url, state)
    }

    /// What the browser has of a login with this state.
    fn login_secret(&self, headers: &HeaderMap, state: &str) -> Option<SecretString> {
        login_cookie::find(&self.public_url, headers, state)
    }

    /// Where an end customer connects, given the token of a connect link.
    #[must_use]
    pub fn connect_url(&self, token: &str) -> Url {
        let mut url = self.public_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["connect", token]);
        }
        url
    }
}

/// What is answered at a path that leads nowhere, where pages are around it; none for the API's.
pub type LostPage = fn(&Parts) -> Option<Response>;

/// The whole API, and beside it `pages` for people.
pub fn router(
    services: Arc<Services>,
    pages: Router<Arc<Services>>,
    lost_page: LostPage,
) -> Router {
    layers::around(routes::all(lost_page), &services)
        .merge(layers::around_pages(pages, &services))
        .with_state(services)
}
