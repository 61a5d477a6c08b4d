//! Credentials on their way out.

use std::{collections::BTreeMap, fmt, sync::Arc};

use reqwest::header::{COOKIE, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{BoxFuture, Error, Masks, Request};

/// Where credentials go in a request, and which of them can be used by name.
///
/// Built by the vault, applied here: what lies between holds it without being able to print it.
pub struct Authorization {
    generation: i64,
    headers: Vec<(HeaderName, HeaderValue)>,
    query: Vec<(String, SecretString)>,
    cookies: Vec<(String, SecretString)>,
    named: BTreeMap<String, SecretString>,
    /// Every text that must not be seen.
    masks: Masks,
}

impl Authorization {
    /// With nothing in it yet. `generation` counts the refreshes of the credentials.
    #[must_use]
    pub fn new(generation: i64) -> Self {
        Self {
            generation,
            headers: Vec::new(),
            query: Vec::new(),
            cookies: Vec::new(),
            named: BTreeMap::new(),
            masks: Masks::default(),
        }
    }

    /// Sets a header.
    ///
    /// # Errors
    /// [`Error::Invalid`] when name or value cannot stand in a header.
    pub fn with_header(mut self, name: &str, value: &SecretString) -> Result<Self, Error> {
        let invalid = |_| Error::Invalid(format!("{name:?} is no name of a header"));
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(invalid)?;
        let mut content = HeaderValue::from_str(value.expose_secret()).map_err(|_| {
            Error::Invalid(format!(
                "the value for the header {header} has characters that a header cannot carry"
            ))
        })?;
        content.set_sensitive(true);
        self.headers.push((header, content));
        self.masks.add(value.expose_secret());
        // `Bearer abc` or `Basic abc`: what follows the scheme is the secret.
        if let Some((_, credential)) = value.expose_secret().split_once(' ') {
            self.masks.add(credential);
        }
        Ok(self)
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: SecretString) -> Self {
        self.masks.add(value.expose_secret());
        self.query.push((name.to_owned(), value));
        self
    }

    /// Adds a cookie.
    ///
    /// # Errors
    /// [`Error::Invalid`] when name or value cannot stand in a cookie.
    pub fn with_cookie(mut self, name: &str, value: SecretString) -> Result<Self, Error> {
        let plain = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\'))
        };
        if name.is_empty() || name.contains('=') || !plain(name) || !plain(value.expose_secret()) {
            return Err(Error::Invalid(format!(
                "the value for the cookie {name:?} has characters that a cookie cannot carry"
            )));
        }
        self.masks.add(value.expose_secret());
        self.cookies.push((name.to_owned(), value));
        Ok(self)
    }

    /// A secret that can be used by name.
    #[must_use]
    pub fn with_secret(mut self, name: &str, value: SecretString) -> Self {
        self.masks.add(value.expose_secret());
        self.named.insert(name.to_owned(), value);
        self
    }

    /// A field that can be used by name but is not secret, a user name for example: it is not
    /// masked, for it occurs in ordinary records.
    #[must_use]
    pub fn with_identifier(mut self, name: &str, value: SecretString) -> Self {
        self.named.insert(name.to_owned(), value);
        self
    }

    /// A secret that nobody may use, but that must not be seen either.
    #[must_use]
    pub fn with_masked(mut self, value: &SecretString) -> Self {
        self.masks.add(value.expose_secret());
        self
    }

    /// The names of the parameters that [`Self::apply`] adds to the query.
    #[must_use]
    pub fn query_names(&self) -> Vec<&str> {
        self.query.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The names that [`Self::secret`] knows, sorted.
    #[must_use]
    pub fn secret_names(&self) -> Vec<&str> {
        self.named.keys().map(String::as_str).collect()
    }

    /// A value by name.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        self.named.get(name)
    }

    /// How many times the credentials had been refreshed when this was made.
    #[must_use]
    pub const fn generation(&self) -> i64 {
        self.generation
    }

    /// Puts the credentials in their places. A header of the same name is replaced.
    pub fn apply(&self, request: &mut Request) {
        for (name, value) in &self.headers {
            request.headers.insert(name.clone(), value.clone());
        }
        if !self.query.is_empty() {
            let mut pairs = request.url.query_pairs_mut();
            for (name, value) in &self.query {
                pairs.append_pair(name, value.expose_secret());
            }
        }
        if self.cookies.is_empty() {
            return;
        }
        let given = request.headers.get(COOKIE);
        let cookies = given
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
            .into_iter()
            .chain(
                self.cookies
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.expose_secret())),
            )
            .collect::<Vec<_>>()
            .join("; ");
        let mut value =
            HeaderValue::from_str(&cookies).expect("both halves were checked to be header text");
        value.set_sensitive(true);
        request.headers.insert(COOKIE, value);
    }

    /// What must not be seen of an answer to a request that it was applied to.
    #[must_use]
    pub const fn masks(&self) -> &Masks {
        &self.masks
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authorization")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Where a connection's credentials come from. The vault implements it; the runtime asks before
/// each authenticated request, and again when the provider answered 401.
pub trait Authorizer: Send + Sync {
    /// Credentials that should work, refreshed first if they are about to expire.
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>>;

    /// Credentials newer than those that the provider refused.
    fn refreshed(
        &self,
        rejected_generation: i64,
    ) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>>;

    /// Told that a connector named a secret which it may not use.
    fn denied<'a>(&'a self, _secret: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// Why there are no credentials. The texts hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    /// A person has to log in again: why.
    #[error("{0}")]
    Dead(String),
    /// Not now; later they may work again: why.
    #[error("{0}")]
    Unavailable(String),
}

#[cfg(test)]
mod tests {
    use reqwest::{Method, header::HeaderMap};
    use url::Url;

    use super::*;

    fn request(url: &str) -> Request {
        Request {
            method: Method::GET,
            url: Url::parse(url).unwrap(),
            headers: HeaderMap::new(),
            body: None,
        }
    }

    #[test]
    fn puts_credentials_in_their_places() {
        let mut request = request("https://example.com/a?page=2");
        request
            .headers
            .insert("authorization", HeaderValue::from_static("guest"));
        request
            .headers
            .insert("cookie", HeaderValue::from_static("theme=dark"));
        Authorization::new(3)
            .with_header("Authorization", &"Bearer token-1".into())
            .unwrap()
            .with_query("key", "a b&c".into())
            .with_cookie("session", "s3cr3t".into())
            .unwrap()
            .apply(&mut request);
        assert_eq!(
            request.url.as_str(),
            "https://example.com/a?page=2&key=a+b%26c"
        );
        assert_eq!(request.headers["authorization"], "Bearer token-1");
        assert!(request.headers["authorization"].is_sensitive());
        assert_eq!(request.headers["cookie"], "theme=dark; session=s3cr3t");
    }

    #[test]
    fn refuses_values_that_would_break_out_of_their_place() {
        let empty = || Authorization::new(0);
        assert!(
            empty()
                .with_header("X-Key", &"a\r\nHost: b".into())
                .is_err()
        );
        assert!(empty().with_header("X Key", &"a".into()).is_err());
        assert!(empty().with_cookie("session", "a; admin=1".into()).is_err());
        assert!(empty().with_cookie("session", "ü".into()).is_err());
    }

    #[test]
    fn masks_secrets_and_prints_none() {
        let authorization = Authorization::new(1)
            .with_header("Authorization", &"Bearer canary-token".into())
            .unwrap()
            .with_secret("api_key", "canary key/1".into())
            .with_secret("long", "canary key/1 and more".into())
            .with_secret("pin", "1234567".into())
            .with_identifier("username", "alice".into());
        assert_eq!(
            authorization.masks().text(
                "alice sent canary-token, canary key/1 and more, canary+key%2F1, 1234567 and canary key/1"
            ),
            "alice sent [redacted], [redacted], [redacted], 1234567 and [redacted]"
        );
        assert_eq!(
            authorization.secret_names(),
            ["api_key", "long", "pin", "username"]
        );
        let printed = format!("{authorization:?}");
        assert!(!printed.contains("canary") && !printed.contains("alice"));
    }
}
