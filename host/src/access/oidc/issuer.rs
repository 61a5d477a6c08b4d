//! The server elsewhere: where its endpoints are, and what it gives for a code.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use super::{
    super::Error,
    Options,
    claims::{Claims, Expected},
};
use crate::{
    egress::{Egress, HeaderMap, HeaderValue, Limits, Method, Request, Response, header},
    model::Timestamp,
};

const LIMITS: Limits = Limits {
    total: Duration::from_secs(15),
    max_request_bytes: 64 * 1024,
    max_response_bytes: 512 * 1024,
};

#[derive(Clone)]
pub(super) struct Issuer {
    url: Url,
    client_id: String,
    client_secret: SecretString,
    role_claim: Option<String>,
    egress: Egress,
    /// Whoever has the lock asks; the others wait for the answer.
    described: Arc<Mutex<Described>>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Issuer");
        shown
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

/// How long its description is good, since anybody can begin a login.
const DESCRIPTION_LIFE: Duration = Duration::from_secs(300);
/// How long it is left alone after it did not give one.
const REST: Duration = Duration::from_secs(10);

/// The description as it came last, or why it did not, and until when that is good.
type Described = Option<(Timestamp, Result<Endpoints, String>)>;

/// Where things are there.
#[derive(Clone)]
pub(super) struct Endpoints {
    /// Its name of itself, to the letter.
    issuer: String,
    pub(super) authorization: Url,
    token: Url,
    userinfo: Option<Url>,
    /// Whether it takes the secret in a header.
    basic: bool,
}

/// What is given for claims.
pub(super) struct Exchange<'a> {
    pub(super) code: &'a str,
    pub(super) verifier: &'a str,
    pub(super) nonce: &'a str,
    pub(super) redirect_uri: &'a Url,
    /// Who sent the browser back, where it says so.
    pub(super) said_issuer: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// `/.well-known/openid-configuration`.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    #[serde(default)]
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

impl Issuer {
    pub(super) fn new(options: &Options, egress: Egress) -> Self {
        Self {
            url: options.issuer.clone(),
            client_id: options.client_id.clone(),
            client_secret: options.client_secret.clone(),
            role_claim: options.role_claim.clone(),
            egress,
            described: Arc::default(),
        }
    }

    /// Its endpoints, as it described them some minutes ago at most.
    pub(super) async fn discover(&self, now: Timestamp) -> Result<Endpoints, Error> {
        let mut described = self.described.lock().await;
        if let Some((until, known)) = &*described
            && *until > now
        {
            return known.clone().map_err(Error::Elsewhere);
        }
        let asked = self.describe().await;
        *described = match &asked {
            Ok(endpoints) => Some((now.plus(DESCRIPTION_LIFE), Ok(endpoints.clone()))),
            Err(Error::Elsewhere(text)) => Some((now.plus(REST), Err(text.clone()))),
            Err(_) => None,
        };
        asked
    }

    async fn describe(&self) -> Result<Endpoints, Error> {
        let base = self.url.as_str().trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let url = Url::parse(&url).map_err(|_| self.odd("its address is none"))?;
        let answer = self.send(Method::GET, url, HeaderMap::new(), None).await?;
        let document: Document = self.json(&answer, "its description")?;
        // Else one server could speak for another (OpenID Connect Discovery 4.3).
        if document.issuer.trim_end_matches('/') != base {
            return Err(self.odd("it calls itself otherwise than the configuration does"));
        }
        // The token comes unsigned as far as we look: see `Claims::read`.
        if self.url.scheme() == "https" && document.token_endpoint.scheme() != "https" {
            return Err(self.odd("its token endpoint is not encrypted"));
        }
        let methods = document.token_endpoint_auth_methods_supported;
        Ok(Endpoints {
            issuer: document.issuer,
            authorization: document.authorization_endpoint,
            token: document.token_endpoint,
            userinfo: document.userinfo_endpoint,
            basic: methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic")),
        })
    }

    /// Who signed in there.
    pub(super) async fn claims(&self, exchange: &Exchange<'_>) -> Result<Claims, Error> {
        let endpoints = self.discover(exchange.now).await?;
        if exchange
            .said_issuer
            .is_some_and(|said| said != endpoints.issuer)
        {
            return Err(self.odd("another server sent the browser back"));
        }
        let mut answer = self.tokens(&endpoints, exchange, endpoints.basic).await?;
        if answer.status == 401 && endpoints.basic {
            // A client can be registered for the other way only; which, the description does not say.
            answer = self.tokens(&endpoints, exchange, false).await?;
        }
        let tokens: Tokens = self.json(&answer, "what it gave for the code")?;
        let expected = Expected {
            issuer: &endpoints.issuer,
            client_id: &self.client_id,
            nonce: exchange.nonce,
            now: exchange.now,
        };
        let read = Claims::read(&tokens.id_token, &expected);
        let mut claims = read.map_err(|why| self.odd(why))?;
        let role = self.role_claim.as_deref();
        let complete = claims.has("email") && role.is_none_or(|claim| claims.has(claim));
        if let (false, Some(url), Some(token)) = (complete, endpoints.userinfo, tokens.access_token)
        {
            let mut headers = HeaderMap::new();
            let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
            let bearer = bearer.map_err(|_| self.odd("its access token is none"))?;
            headers.insert(header::AUTHORIZATION, bearer);
            let answer = self.send(Method::GET, url, headers, None).await?;
            let more: Map<String, Value> = self.json(&answer, "what it says of you")?;
            claims.add(more).map_err(|why| self.odd(why))?;
        }
        Ok(claims)
    }

    async fn tokens(
        &self,
        endpoints: &Endpoints,
        exchange: &Exchange<'_>,
        basic: bool,
    ) -> Result<Response, Error> {
        let secret = self.client_secret.expose_secret();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", exchange.code),
            ("redirect_uri", exchange.redirect_uri.as_str()),
            ("code_verifier", exchange.verifier),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        if basic {
            // Both are encoded first (RFC 6749 2.3.1).
            let encoded = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret));
            let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
            let mut value = value.map_err(|_| self.odd("the client's secret cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        } else {
            form.push(("client_id", &self.client_id));
            form.push(("client_secret", secret));
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let url = endpoints.token.clone();
        self.send(Method::POST, url, headers, Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Option<String>,
    ) -> Result<Response, Error> {
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let request = Request {
            method,
            url,
            headers,
            body: body.map(Into::into),
        };
        let answer = self.egress.send(request, &LIMITS).await;
        answer.map_err(|error| {
            tracing::warn!(error = %error, "the sign-in server cannot be asked");
            Error::Elsewhere(
                "the sign-in server cannot be reached; the log of this server says why".to_owned(),
            )
        })
    }

    fn json<T: for<'de> Deserialize<'de>>(
        &self,
        answer: &Response,
        what: &str,
    ) -> Result<T, Error> {
        if answer.status != 200 {
            let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
            let error = body.as_ref().and_then(|body| body["error"].as_str());
            let error = word(error.unwrap_or("no reason"));
            return Err(self.odd(&format!(
                "it answered {} ({error}) instead of {what}",
                answer.status
            )));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| self.odd(&format!("{what} cannot be read")))
    }

    /// What the person cannot mend; the operator reads more in the log.
    fn odd(&self, why: &str) -> Error {
        tracing::warn!(issuer = %self.url, why, "nobody can sign in elsewhere");
        Error::Elsewhere(format!("signing in elsewhere failed: {why}"))
    }
}

/// What may be shown of a code that somebody sent.
pub(super) fn word(text: &str) -> String {
    let good = |character: &char| character.is_ascii_alphanumeric() || " _-.".contains(*character);
    text.chars().filter(good).take(100).collect()
}
