//! Requests of applications that go to the provider as they are: by the same rules, and with the
//! same credentials, as those of the connector itself. No guest is called.

use std::sync::Arc;

use super::{
    CallContext, ConnectorVersion, Routes,
    capabilities::http::{is_refused, note, refused_by_budget},
    charges,
};
use crate::egress::{
    self, Authorization, AuthorizeError, Charge, FIRST_WAIT, Flow, HeaderMap, HeaderName,
    HeaderValue, Method, PATIENCE, Sending, SendingError, Sent, StreamLimits, StreamedResponse,
    Witness,
};

/// Where a request is to go.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Beneath an endpoint of the manifest or beneath `base`; or a whole URL.
    pub path: &'a str,
    /// Takes the place of the endpoint.
    pub base: Option<&'a str>,
    /// Added to the query, unescaped.
    pub query: &'a [(String, String)],
}

/// A request on its way through a connector's permissions.
pub struct Passage<'a> {
    version: &'a ConnectorVersion,
    context: &'a CallContext,
    charges: Vec<Charge<'a>>,
    request: egress::Request,
}

/// Why a request does not pass, or has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassageError {
    /// The manifest or the operator's policy forbids it: what, and what is allowed.
    #[error("{0}")]
    Denied(String),
    /// A header that only the host may set, or that is none.
    #[error("{name}: {message}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// It cannot be sent as it is.
    #[error("{0}")]
    Invalid(String),
    /// A person has to log in again: why.
    #[error("{0}")]
    Dead(String),
    /// Not now: why.
    #[error("{0}")]
    Unavailable(String),
    /// The budget for the provider is used up for so long.
    #[error("the budget for this provider is used up for {} s", .0.as_secs())]
    Limited(std::time::Duration),
    /// The answer is larger than this many bytes.
    #[error("the provider's answer has more than {0} bytes")]
    TooLarge(u64),
    /// The request's body is larger than this many bytes.
    #[error("the request's body has more than {0} bytes")]
    BodyTooLarge(u64),
}

impl ConnectorVersion {
    /// Checks where a request is to go and what headers it has.
    ///
    /// # Errors
    /// [`PassageError::Denied`] with what is allowed, or [`PassageError::Header`].
    pub fn passage<'a>(
        &'a self,
        context: &'a CallContext,
        method: Method,
        place: Place<'_>,
        headers: &[(String, String)],
    ) -> Result<Passage<'a>, PassageError> {
        let replacements = self.shared.options.endpoints.get(&self.manifest().slug);
        let routes = Routes::new(
            self.manifest(),
            context.environment,
            &context.settings,
            replacements,
        )
        .map_err(|error| PassageError::Invalid(error.to_string()))?;
        let (mut url, named) = resolve(&routes, place).map_err(|reason| {
            PassageError::Denied(format!(
                "{reason}; the connector {} may reach: {}",
                self.manifest().slug,
                routes.allowed().join(", ")
            ))
        })?;
        if !place.query.is_empty() {
            url.query_pairs_mut().extend_pairs(place.query);
        }
        Ok(Passage {
            version: self,
            context,
            charges: charges::of(self.manifest(), &routes, &method, &named),
            request: egress::Request {
                method,
                url,
                headers: checked(headers)?,
                body: None,
            },
        })
    }
}

/// The address to call, and what a guest would have named.
fn resolve(routes: &Routes, place: Place<'_>) -> Result<(url::Url, String), String> {
    let absolute = |text: &str| {
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        lower.starts_with("http://") || lower.starts_with("https://")
    };
    let named = match place.base {
        Some(base) if !absolute(base) => {
            return Err(format!("{base:?} is no http or https URL"));
        }
        Some(base) => format!(
            "{}/{}",
            base.trim_end_matches('/'),
            place.path.trim_start_matches('/')
        ),
        None if absolute(place.path) => place.path.to_owned(),
        None => routes.beneath(place.path)?,
    };
    routes
        .resolve(&named)
        .map(|url| (url, named))
        // What a manifest would need is for its author; callers are told what is allowed.
        .map_err(|reason| match reason.split_once("; its manifest") {
            Some((reason, _)) => reason.to_owned(),
            None => reason,
        })
}

fn checked(headers: &[(String, String)]) -> Result<HeaderMap, PassageError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let refused = |message: &str| PassageError::Header {
            name: name.clone(),
            message: message.to_owned(),
        };
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refused("is not the name of a header"))?;
        if is_refused(&header, false) || header.as_str() == "x-connection-token" {
            return Err(refused("is set by the server; leave it away"));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| refused("has characters no header can have"))?;
        map.append(header, value);
    }
    Ok(map)
}

impl Passage<'_> {
    /// Sends it and reads the answer; what the provider says about its limits is for the caller to
    /// wait out.
    ///
    /// # Errors
    /// There is none.
    pub async fn send(self, body: Option<bytes::Bytes>) -> Result<Sent, PassageError> {
        let observe = |outcome: &Result<egress::Response, egress::Error>| self.note(outcome);
        let sending = self.sending(&observe);
        let build = |authorization: Option<&Arc<Authorization>>| {
            let mut request = self.request.clone();
            request.body.clone_from(&body);
            if let Some(authorization) = authorization {
                authorization.apply(&mut request);
            }
            Ok::<_, PassageError>(request)
        };
        let egress = &self.version.shared.egress;
        let sent = egress.send_until_answered(&sending, build).await;
        sent.map_err(|error| match error {
            SendingError::Build(error) => error,
            SendingError::Credentials(error) => error.into(),
            SendingError::Exhausted(exhausted) => {
                refused_by_budget(self.version.manifest().slug.as_str(), &exhausted);
                PassageError::Limited(exhausted.wait)
            }
            SendingError::Exchange(error) => error.into(),
        })
    }

    fn sending<'a>(
        &'a self,
        observe: &'a (dyn Fn(&Result<egress::Response, egress::Error>) + Send + Sync),
    ) -> Sending<'a> {
        let shared = &self.version.shared;
        let options = &shared.options;
        Sending {
            authorizer: Some(&*self.context.authorizer),
            retry: &self.version.manifest().retry,
            budget: &*self.context.budget,
            charges: &self.charges,
            priority: self.context.priority,
            patience: PATIENCE,
            waits_out_limits: false,
            limits: egress::Limits {
                total: options.exchange_timeout,
                max_request_bytes: options.max_response,
                max_response_bytes: options.max_response,
            },
            deadline: tokio::time::Instant::now() + options.call_timeout,
            first_wait: FIRST_WAIT,
            observe,
            witness: self.witness(),
            clock: &*shared.clock,
        }
    }

    fn witness(&self) -> Option<Witness<'_>> {
        let reason = self.context.reason.as_ref()?;
        Some(Witness {
            reason,
            authorizer: Some(&*self.context.authorizer),
        })
    }

    /// Sends it with a body that flows, and gives the answer whose body flows too. A body can be
    /// sent only once: where the provider refuses the credentials after it took one, they are
    /// refreshed for the next request and its 401 is the answer.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn stream(
        self,
        mut body: Option<Flow>,
        limits: &StreamLimits,
    ) -> Result<StreamedResponse, PassageError> {
        let mut authorization = self.authorization().await?;
        let mut again = true;
        let sending = self.sending(&|_| {});
        if let Err(exhausted) = sending.admit().await {
            refused_by_budget(self.version.manifest().slug.as_str(), &exhausted);
            return Err(PassageError::Limited(exhausted.wait));
        }
        loop {
            let repeatable = body.is_none();
            let request = self.request.clone();
            let egress = &self.version.shared.egress;
            let answer = egress.send_streaming(
                request,
                &authorization,
                body.take(),
                limits,
                sending.witness.zip(Some(sending.clock.now())),
            );
            let answer = answer.await;
            let slug = self.version.manifest().slug.as_str();
            note(slug, answer.as_ref().map(|answer| answer.status));
            let answer = answer?;
            self.context.downstream.note(&answer.headers);
            // Its body is not looked into: it flows.
            let head = egress::Response {
                status: answer.status,
                headers: answer.headers.clone(),
                body: bytes::Bytes::new(),
            };
            sending.heed(&head).await;
            if answer.status == 401 && std::mem::take(&mut again) {
                let fresh = self.refreshed(&authorization).await?;
                if let Some(fresh) = fresh.filter(|_| repeatable) {
                    authorization = fresh;
                    continue;
                }
            }
            return Ok(answer);
        }
    }

    async fn authorization(&self) -> Result<Arc<Authorization>, PassageError> {
        Ok(self.context.authorizer.current().await?)
    }

    /// Newer credentials; none where there will be none, and then the 401 is the provider's word.
    async fn refreshed(
        &self,
        rejected: &Authorization,
    ) -> Result<Option<Arc<Authorization>>, PassageError> {
        let authorizer = &self.context.authorizer;
        match authorizer.refreshed(rejected.generation()).await {
            Ok(fresh) => Ok(Some(fresh)),
            Err(AuthorizeError::Dead(_)) => Ok(None),
            Err(error @ AuthorizeError::Unavailable(_)) => Err(error.into()),
        }
    }

    fn note(&self, outcome: &Result<egress::Response, egress::Error>) {
        let slug = self.version.manifest().slug.as_str();
        note(slug, outcome.as_ref().map(|answer| answer.status));
        if let Ok(answer) = outcome {
            self.context.downstream.note(&answer.headers);
        }
    }
}

impl std::fmt::Debug for Passage<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Passage").finish_non_exhaustive()
    }
}

impl From<AuthorizeError> for PassageError {
    fn from(error: AuthorizeError) -> Self {
        match error {
            AuthorizeError::Dead(text) => Self::Dead(text),
            AuthorizeError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl From<egress::Error> for PassageError {
    fn from(error: egress::Error) -> Self {
        match error {
            egress::Error::Denied(text) => Self::Denied(text),
            egress::Error::Invalid(text) => Self::Invalid(text),
            egress::Error::Timeout
            | egress::Error::NotConnected(_)
            | egress::Error::Unreachable(_) => Self::Unavailable(error.to_string()),
            egress::Error::TooLarge(bytes) => Self::TooLarge(bytes),
            egress::Error::BodyTooLarge(bytes) => Self::BodyTooLarge(bytes),
        }
    }
}
