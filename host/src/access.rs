//! People who operate this server: how they prove who they are, and what they may do.
//!
//! A browser that is signed in holds 256 random bits in a cookie, of which the database has the
//! hash. The role is read with every request, so that a change of it counts at once.

mod cookie;
mod error;
mod links;
pub mod oidc;
mod password;
mod people;
mod place;
mod secret;
mod sign_in;

use std::{fmt, sync::Arc, time::Duration};

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use self::{oidc::Oidc, password::Passwords, secret::Secret};
use crate::{
    egress::Egress,
    model::{AuditEntry, Clock, Digest, EmailAddress, Entropy, Operator, OperatorSession, Place},
    store::{SessionEnd, Store},
};

pub use cookie::Cookies;
pub use error::Error;
pub use links::{FirstOwner, Link, make_link};
pub use place::Proxies;

/// What the operator of the server decided about signing in.
#[derive(Clone, Debug)]
pub struct Options {
    /// How browsers reach this server.
    pub public_url: Url,
    /// When sessions end by themselves.
    pub session_end: SessionEnd,
    /// Who may tell from where a request really came.
    pub proxies: Proxies,
    /// Signing in with an account elsewhere.
    pub oidc: Option<oidc::Options>,
}

/// Signing in, and what an operator may change about operators. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    options: Options,
    cookies: Cookies,
    passwords: Passwords,
    oidc: Option<Oidc>,
    /// Of the link that signs the developer in; only `jackfield dev` has one.
    development: Option<Digest>,
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Access").finish_non_exhaustive()
    }
}

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who it is.
    pub operator: Operator,
    /// Since when, and from where.
    pub session: OperatorSession,
}

/// A browser that was just signed in.
#[derive(Debug)]
pub struct NewSession {
    /// Who it is.
    pub operator: Operator,
    /// The value of the header `Set-Cookie`.
    pub cookie: SecretString,
}

impl Access {
    /// Over a store. Nothing is asked yet.
    #[must_use]
    pub fn new(
        store: Store,
        egress: Egress,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: Options,
    ) -> Self {
        let cookies = Cookies::for_url(&options.public_url);
        let oidc = options.oidc.clone().map(|oidc| Oidc::new(oidc, egress));
        Self(Arc::new(Inner {
            store,
            clock,
            entropy,
            cookies,
            passwords: Passwords::default(),
            oidc,
            options,
            development: None,
        }))
    }

    /// The names of cookies, and how they are set.
    #[must_use]
    pub fn cookies(&self) -> &Cookies {
        &self.0.cookies
    }

    /// Who may tell from where a request really came.
    #[must_use]
    pub fn proxies(&self) -> &Proxies {
        &self.0.options.proxies
    }

    /// What stands on the button for signing in elsewhere, where that is possible.
    #[must_use]
    pub fn elsewhere(&self) -> Option<&str> {
        let oidc = self.0.options.oidc.as_ref();
        oidc.map(|oidc| oidc.label.as_str())
    }

    /// Who is signed in, by the header `Cookie`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn signed_in(&self, cookies: &str, place: &Place) -> Result<Option<SignedIn>, Error> {
        let value = self.0.cookies.session_in(cookies);
        let Some(hash) = value.and_then(Secret::parse) else {
            return Ok(None);
        };
        let end = self.0.options.session_end;
        let found = self.0.store.use_operator_session(&hash, place, end).await?;
        Ok(found.map(|(session, operator)| SignedIn { operator, session }))
    }

    /// Signs a browser in. It has a new secret, whatever it had before.
    async fn begin_session(
        &self,
        operator: Operator,
        place: &Place,
        way: &str,
    ) -> Result<NewSession, Error> {
        let secret = Secret::generate(&*self.0.entropy);
        let end = self.0.options.session_end;
        let store = &self.0.store;
        store
            .create_operator_session(secret.hash(), operator.id, place, end)
            .await?;
        let details = serde_json::json!({ "with": way, "address": place.address });
        let email = operator.email.as_str();
        self.note(&operator.actor(), "operator.sign_in", email, details)
            .await?;
        let cookie = self.0.cookies.session(&secret, end.absolute);
        Ok(NewSession { operator, cookie })
    }

    /// Writes into the audit log.
    async fn note(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        details: Value,
    ) -> Result<(), Error> {
        let entry = AuditEntry {
            at: self.0.clock.now(),
            project: None,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            details,
        };
        Ok(self.0.store.audit(&entry).await?)
    }
}

/// The hash of a password that may be one, for whoever makes an account beside the server.
///
/// # Errors
/// [`Error::Password`] with the rule that it breaks.
pub async fn hash_password(
    password: &SecretString,
    email: &EmailAddress,
    entropy: &dyn Entropy,
) -> Result<String, Error> {
    Passwords::default().hash(password, email, entropy).await
}

/// How long links work.
const LINK_LIFE: Duration = Duration::from_secs(72 * 3600);
