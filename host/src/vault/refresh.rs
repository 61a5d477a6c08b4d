//! Credentials for use, refreshed by exactly one when they run out.
//!
//! Within the process the callers of one connection queue behind a mutex; between processes the
//! store lends a lease. Whoever has both reads the credentials again before asking the provider,
//! for the one before may have refreshed them. New tokens are stored before anyone uses them: a
//! provider that rotates refresh tokens has forgotten the old one by then.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep};

use super::{
    AppSource, Credentials, Error, Vault,
    apps::{App, Login, Wanted},
    credentials::{ACCESS_TOKEN, CLIENT_ID, REFRESH_TOKEN},
    grant::{self, Failure, Grant, Tokens},
};
use crate::{
    egress::{Authorization, AuthorizeError, Authorizer, BoxFuture},
    model::{
        AuditEntry, AuthKind, AuthScheme, ConnectionId, ConnectionStatus, ExchangeCause,
        ExchangeReason, Manifest, Scope, Slug, Timestamp,
    },
    store::RefreshLease,
};

/// A token this close to its end is refreshed before it is used.
const NEAR: Duration = Duration::from_secs(60);
/// How long one refresher keeps others away; longer than the provider may take to answer.
pub(super) const LEASE: Duration = Duration::from_secs(grant::LIMITS.total.as_secs() + 10);
/// How often one looks whether another process is done.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// Denials of one call that are written down.
const MOST_DENIALS: u32 = 10;
/// How often storing rotated tokens is tried before they are lost.
const STORE_ATTEMPTS: u32 = 5;

impl Vault {
    /// Where a connection's credentials come from while it is in use. Make one for each call of a
    /// connector: it remembers what it read.
    #[must_use]
    pub fn authorizer(&self, scope: &Scope, scheme: AuthScheme) -> Arc<dyn Authorizer> {
        Arc::new(Stored {
            subject: Arc::new(Subject {
                vault: self.clone(),
                scope: scope.clone(),
                scheme,
            }),
            remembered: Mutex::default(),
            denied: AtomicU32::new(0),
        })
    }

    /// The same before the connection exists, for finding out whether the credentials work and
    /// whose they are. Nothing is stored.
    #[must_use]
    pub fn provisional_authorizer(
        &self,
        manifest: &Manifest,
        scheme: &AuthScheme,
        vertical: &str,
        settings: &BTreeMap<String, String>,
        credentials: &Credentials,
    ) -> Arc<dyn Authorizer> {
        Arc::new(Provisional {
            vault: self.clone(),
            connector: manifest.slug.clone(),
            vertical: vertical.to_owned(),
            scheme: scheme.clone(),
            settings: settings.clone(),
            held: tokio::sync::Mutex::new(Held {
                credentials: credentials.clone(),
                generation: 0,
            }),
        })
    }
}

/// Credentials and how often they were changed.
#[derive(Clone)]
struct Held {
    credentials: Credentials,
    generation: i64,
}

impl Held {
    /// Whether there is a token that the provider should take for a while.
    fn is_good(&self, scheme: &AuthScheme, rejected: Option<i64>, now: Timestamp) -> bool {
        if rejected.is_some_and(|rejected| self.generation <= rejected) {
            return false;
        }
        scheme.oauth().is_none() || self.lives_at(now.plus(NEAR))
    }

    fn lives_at(&self, time: Timestamp) -> bool {
        self.credentials.get(ACCESS_TOKEN).is_some()
            && self.credentials.expires_at().is_none_or(|end| end > time)
    }

    /// Ready for use. `app` is what asked for the tokens, whose secret must not be seen either.
    fn authorization(
        &self,
        scheme: &AuthScheme,
        app: Option<App>,
    ) -> Result<Arc<Authorization>, AuthorizeError> {
        match self.credentials.authorization(scheme, self.generation) {
            Ok(authorization) => {
                let secret = app.and_then(|app| app.client_secret);
                Ok(Arc::new(match secret {
                    Some(secret) => authorization.with_masked(&secret),
                    None => authorization,
                }))
            }
            Err(error) => Err(AuthorizeError::Dead(format!("{error}; log in again"))),
        }
    }
}

/// The authorizer of a stored connection.
struct Stored {
    subject: Arc<Subject>,
    remembered: Mutex<Option<Held>>,
    /// How often the connector named a secret that it may not use.
    denied: AtomicU32,
}

impl Stored {
    async fn obtain(&self, rejected: Option<i64>) -> Result<Arc<Authorization>, AuthorizeError> {
        let subject = &self.subject;
        let now = subject.vault.inner.clock.now();
        let remembered = self.lock().clone();
        let good = |held: &Held| held.is_good(&subject.scheme, rejected, now);
        let held = match remembered.filter(good) {
            Some(held) => held,
            None => {
                let held = subject.load().await?;
                if good(&held) {
                    held
                } else {
                    let spare = (rejected.is_none() && held.lives_at(now)).then_some(held);
                    subject.refreshed(rejected, spare).await?
                }
            }
        };
        *self.lock() = Some(held.clone());
        let connection = subject.scope.connection();
        let apps = &subject.vault.inner.oauth_apps;
        let app = apps.app(&connection.connector, &connection.vertical);
        held.authorization(&subject.scheme, app)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        // What is kept is whole at any moment, whoever panicked.
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorizer for Stored {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(self.obtain(None))
    }

    fn refreshed(
        &self,
        rejected_generation: i64,
    ) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(self.obtain(Some(rejected_generation)))
    }

    fn denied<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, ()> {
        // The rest of a call's says nothing new and would only fill the log.
        let tells = self.denied.fetch_add(1, Ordering::Relaxed) < MOST_DENIALS;
        Box::pin(async move {
            if tells {
                self.subject.audit_denied(secret).await;
            }
        })
    }
}

/// Whose credentials are refreshed.
struct Subject {
    vault: Vault,
    scope: Scope,
    scheme: AuthScheme,
}

impl Subject {
    fn login(&self) -> Login<'_> {
        let connection = self.scope.connection();
        Login {
            owner: Some((self.scope.project(), connection.environment)),
            connector: &connection.connector,
            vertical: &connection.vertical,
            scheme: &self.scheme,
            settings: &connection.settings,
        }
    }

    async fn audit_denied(&self, secret: &str) {
        let connection = self.scope.connection();
        let secret: String = secret.chars().take(100).collect();
        tracing::warn!(
            connector = %connection.connector,
            connection = %connection.id,
            ?secret,
            "secret denied: the connector's manifest does not name it"
        );
        let entry = AuditEntry {
            at: self.vault.inner.clock.now(),
            project: Some(self.scope.project()),
            actor: format!("connector:{}", connection.connector),
            action: "secret.denied".to_owned(),
            subject: connection.id.to_string(),
            details: serde_json::json!({ "secret": secret }),
        };
        if let Err(error) = self.vault.inner.store.audit(&entry).await {
            tracing::error!(%error, "a denied secret is not in the audit log");
        }
    }

    async fn load(&self) -> Result<Held, AuthorizeError> {
        let inner = &self.vault.inner;
        let stored = inner.store.credentials(&self.scope).await;
        let stored = stored.map_err(|error| unavailable(&error))?;
        let Some(stored) = stored else {
            return Err(AuthorizeError::Dead(
                "the connection was deleted".to_owned(),
            ));
        };
        let connection = self.scope.connection();
        let mut credentials = self
            .vault
            .open_credentials(self.scope.project(), connection.id, &stored.sealed)
            .map_err(|error| {
                tracing::error!(connection = %connection.id, %error, "cannot open credentials");
                unavailable(&error)
            })?;
        if let AuthKind::OAuth2Code { .. } = self.scheme.kind {
            let own = self.vault.project_app(self.login()).await;
            let own = own.map_err(|error| unavailable(&error))?;
            credentials.set_app_secret(own.and_then(|app| app.client_secret));
        }
        Ok(Held {
            credentials,
            generation: stored.generation,
        })
    }

    /// Credentials newer than the rejected ones. `spare` is what can still be used where the
    /// provider does not answer.
    async fn refreshed(
        self: &Arc<Self>,
        rejected: Option<i64>,
        spare: Option<Held>,
    ) -> Result<Held, AuthorizeError> {
        if self.scheme.oauth().is_none() {
            return Err(AuthorizeError::Dead(
                "the provider does not accept the credentials any more; log in again".to_owned(),
            ));
        }
        // In a task of its own: a caller that goes away must not take along a refresh token that
        // the provider has given out but nobody has stored.
        let subject = Arc::clone(self);
        let asked_at = Instant::now();
        let waits = spare.is_none();
        let task = async move { subject.refresh(rejected, asked_at, waits).await };
        let outcome = match self.vault.inner.tasks.spawn(task).await {
            Ok(outcome) => outcome,
            Err(error) => Err(AuthorizeError::Unavailable(format!(
                "the refresh was interrupted: {error}"
            ))),
        };
        match (outcome, spare) {
            (Err(AuthorizeError::Unavailable(_)), Some(spare)) => Ok(spare),
            (outcome, _) => outcome,
        }
    }

    /// `waits`: where another process refreshes, its outcome is waited for.
    async fn refresh(
        &self,
        rejected: Option<i64>,
        asked_at: Instant,
        waits: bool,
    ) -> Result<Held, AuthorizeError> {
        let inner = &self.vault.inner;
        let turn = inner.turns.of(self.scope.connection().id);
        let mut last_failure = turn.lock().await;
        let owner = self.vault.random_name();
        let patience = Instant::now() + LEASE + POLL;
        loop {
            let held = self.load().await?;
            if held.is_good(&self.scheme, rejected, inner.clock.now()) {
                return Ok(held);
            }
            // Those who waited while it failed share the outcome instead of asking once more each.
            if let Some(failure) = &*last_failure
                && failure.generation == held.generation
                && failure.at >= asked_at
            {
                return Err(failure.error.clone());
            }
            self.check_alive().await?;
            let lease = inner
                .store
                .lease_refresh(&self.scope, held.generation, &owner, LEASE);
            match lease.await.map_err(|error| unavailable(&error))? {
                RefreshLease::Acquired => {
                    let outcome = self.exchange(&held, &owner).await;
                    if let Err(error) = &outcome {
                        *last_failure = Some(LastFailure {
                            generation: held.generation,
                            at: Instant::now(),
                            error: error.clone(),
                        });
                    }
                    return outcome;
                }
                RefreshLease::Superseded => {}
                RefreshLease::Busy if waits => sleep(POLL).await,
                RefreshLease::Busy => {
                    return Err(AuthorizeError::Unavailable(
                        "another process is refreshing the credentials".to_owned(),
                    ));
                }
            }
            if Instant::now() > patience {
                return Err(AuthorizeError::Unavailable(
                    "another process has been refreshing the credentials for too long".to_owned(),
                ));
            }
        }
    }

    /// A connection that waits for a person is not refreshed again: the provider said no before.
    async fn check_alive(&self) -> Result<(), AuthorizeError> {
        let store = &self.vault.inner.store;
        let id = self.scope.connection().id;
        let found = store.scope_by_id(self.scope.project(), id).await;
        let status = found
            .map_err(|error| unavailable(&error))?
            .map(|scope| scope.connection().status);
        match status {
            Some(ConnectionStatus::Valid) => Ok(()),
            Some(ConnectionStatus::NeedsReconnect) => Err(AuthorizeError::Dead(
                "the connection's login has ended; log in again".to_owned(),
            )),
            None => Err(AuthorizeError::Dead(
                "the connection was deleted".to_owned(),
            )),
        }
    }

    /// With the lease held: asks the provider and stores what it says.
    async fn exchange(&self, held: &Held, owner: &str) -> Result<Held, AuthorizeError> {
        let connection = self.scope.connection();
        let reason = ExchangeReason {
            connection: connection.number,
            cause: ExchangeCause::Refresh,
            subject: None,
        };
        let asked = ask(&self.vault, self.login(), &held.credentials, Some(&reason));
        let tokens = match asked.await {
            Ok(tokens) => tokens,
            Err(error) => return self.give_up(held, owner, error).await,
        };
        fault_point!("refresh.answered");
        let mut credentials = held.credentials.clone();
        credentials.renew(tokens);
        let expires_at = credentials.expires_at();
        let sealed = self
            .vault
            .seal_credentials(self.scope.project(), connection.id, &credentials);
        let store = &self.vault.inner.store;
        let mut attempt = 1;
        loop {
            let stored = store.store_refreshed(
                &self.scope,
                held.generation,
                owner,
                sealed.clone(),
                expires_at,
            );
            match stored.await {
                Ok(true) => {
                    fault_point!("refresh.stored");
                    tracing::info!(connection = %connection.id, "credentials refreshed");
                    return Ok(Held {
                        credentials,
                        generation: held.generation + 1,
                    });
                }
                // Somebody logged in again meanwhile: theirs are newer.
                Ok(false) => return self.load().await,
                Err(error) if attempt < STORE_ATTEMPTS => {
                    tracing::warn!(connection = %connection.id, %error, attempt, "cannot store refreshed credentials yet");
                    sleep(POLL * 2_u32.pow(attempt)).await;
                    attempt += 1;
                }
                Err(error) => {
                    tracing::error!(connection = %connection.id, %error, "refreshed credentials are lost");
                    return Err(unavailable(&error));
                }
            }
        }
    }

    async fn give_up(
        &self,
        held: &Held,
        owner: &str,
        error: AuthorizeError,
    ) -> Result<Held, AuthorizeError> {
        let connection = self.scope.connection();
        let store = &self.vault.inner.store;
        if let AuthorizeError::Dead(reason) = &error {
            // What the provider refused may have been replaced by a new login meanwhile.
            let newest = self.load().await?;
            if newest.generation != held.generation {
                return Ok(newest);
            }
            let status = ConnectionStatus::NeedsReconnect;
            if let Err(error) = store
                .set_connection_status(&self.scope, status, reason)
                .await
            {
                tracing::warn!(connection = %connection.id, %error, "cannot mark the connection");
            }
        }
        tracing::warn!(connection = %connection.id, %error, "credentials not refreshed");
        // Best effort: a lease that is not given back ends by itself.
        if let Err(error) = store.release_refresh(&self.scope, owner).await {
            tracing::warn!(connection = %connection.id, %error, "cannot give the lease back");
        }
        Err(error)
    }
}

/// Asks the provider for tokens in exchange for what the credentials hold.
async fn ask(
    vault: &Vault,
    login: Login<'_>,
    credentials: &Credentials,
    reason: Option<&ExchangeReason>,
) -> Result<Tokens, AuthorizeError> {
    let Login {
        connector, scheme, ..
    } = login;
    let made_by = credentials.get(CLIENT_ID).map(ExposeSecret::expose_secret);
    let client = vault
        .client(login, Wanted::Made(made_by), Some(credentials))
        .await
        .map_err(|error| unavailable(&error))?;
    let other_app = made_by.is_some_and(|id| id != client.id);
    let scope = scheme
        .oauth()
        .map(|oauth| oauth.scopes.join(&oauth.scope_separator))
        .unwrap_or_default();
    let own_client = scheme.has_own_client();
    let grant = if own_client {
        Grant::ClientCredentials { scope: &scope }
    } else {
        let token = credentials.get(REFRESH_TOKEN).ok_or_else(|| {
            AuthorizeError::Dead(
                "the access token has run out, and the provider gave no refresh token; log in \
                 again"
                    .to_owned(),
            )
        })?;
        Grant::Refresh(token)
    };
    let now = vault.inner.clock.now();
    client
        .tokens(&vault.inner.egress, &grant, now, reason)
        .await
        .map_err(|failure| match failure {
            Failure::Rejected(text) if other_app => AuthorizeError::Dead(format!(
                "{text}; the login was made with another OAuth app than the one that is set now: log in again"
            )),
            Failure::Rejected(text) => AuthorizeError::Dead(format!("{text}; log in again")),
            // The customer typed the client's id and secret: only they can correct it.
            Failure::Client(text) if own_client => {
                AuthorizeError::Dead(format!("{text}; log in again"))
            }
            // It is the app: no connection of it is to blame.
            Failure::Client(text) => AuthorizeError::Unavailable(match client.source {
                AppSource::Project => {
                    format!("{text}; check the project's OAuth app for {connector}")
                }
                AppSource::Configuration | AppSource::Variables => format!(
                    "{text}; check connectors.{connector}.oauth in the server's configuration"
                ),
            }),
            Failure::Unavailable(text) => AuthorizeError::Unavailable(text),
        })
}

fn unavailable(error: &impl std::fmt::Display) -> AuthorizeError {
    AuthorizeError::Unavailable(error.to_string())
}

/// The authorizer of credentials that are being tried.
struct Provisional {
    vault: Vault,
    connector: Slug,
    vertical: String,
    scheme: AuthScheme,
    settings: BTreeMap<String, String>,
    held: tokio::sync::Mutex<Held>,
}

impl Provisional {
    async fn obtain(&self, rejected: Option<i64>) -> Result<Arc<Authorization>, AuthorizeError> {
        let mut held = self.held.lock().await;
        let now = self.vault.inner.clock.now();
        let fetches = self.scheme.has_own_client();
        // What the login has just given is used however soon it ends.
        let is_good = if fetches {
            held.is_good(&self.scheme, rejected, now)
        } else {
            rejected.is_none()
        };
        if !is_good {
            // A first token is fetched; one that was just obtained and is refused stays refused.
            if !fetches || held.generation > 0 {
                return Err(AuthorizeError::Dead(
                    "the provider does not accept these credentials".to_owned(),
                ));
            }
            // The customer's own client asks: no app is looked for.
            let login = Login {
                owner: None,
                connector: &self.connector,
                vertical: &self.vertical,
                scheme: &self.scheme,
                settings: &self.settings,
            };
            let asked = ask(&self.vault, login, &held.credentials, None);
            let tokens = asked.await?;
            held.credentials.renew(tokens);
            held.generation += 1;
        }
        let app = self
            .vault
            .inner
            .oauth_apps
            .app(&self.connector, &self.vertical);
        held.authorization(&self.scheme, app)
    }
}

impl Authorizer for Provisional {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(self.obtain(None))
    }

    fn refreshed(
        &self,
        rejected_generation: i64,
    ) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(self.obtain(Some(rejected_generation)))
    }
}

/// One mutex for each connection that is being refreshed.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<ConnectionId, Weak<Turn>>>);

type Turn = tokio::sync::Mutex<Option<LastFailure>>;

/// How the last one's attempt failed.
struct LastFailure {
    generation: i64,
    at: Instant,
    error: AuthorizeError,
}

impl Turns {
    fn of(&self, connection: ConnectionId) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&connection).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::default());
        turns.insert(connection, Arc::downgrade(&turn));
        turn
    }
}

impl Vault {
    /// A name for one attempt, that no other has.
    pub(super) fn random_name(&self) -> String {
        let mut bytes = [0; 16];
        self.inner.entropy.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Tells the provider that a connection's tokens are not needed any more (RFC 7009), where the
    /// manifest says how. To be called before the connection is deleted; a provider that does not
    /// answer is no reason not to delete it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the provider did not confirm it.
    pub async fn revoke(&self, scope: &Scope, scheme: &AuthScheme) -> Result<(), Error> {
        let connection = scope.connection();
        let Some((oauth, template)) = scheme
            .oauth()
            .and_then(|oauth| Some((oauth, oauth.revoke_url.as_ref()?)))
        else {
            return Ok(());
        };
        let Some(stored) = self.inner.store.credentials(scope).await? else {
            return Ok(());
        };
        let credentials = self.open_credentials(scope.project(), connection.id, &stored.sealed)?;
        let token = [REFRESH_TOKEN, ACCESS_TOKEN]
            .into_iter()
            .find_map(|name| Some((name, credentials.get(name)?)));
        let Some((hint, token)) = token else {
            return Ok(());
        };
        let login = Login {
            owner: Some((scope.project(), connection.environment)),
            connector: &connection.connector,
            vertical: &connection.vertical,
            scheme,
            settings: &connection.settings,
        };
        let made_by = credentials.get(CLIENT_ID).map(ExposeSecret::expose_secret);
        let wanted = Wanted::Made(made_by);
        let mut client = self.client(login, wanted, Some(&credentials)).await?;
        let overrides = self.inner.oauth_apps.overrides(&connection.connector);
        let overridden = overrides.and_then(|oauth| oauth.revoke_url.as_ref());
        let url = super::address(overridden, template, &connection.settings)?;
        // As for the token address; the token is the customer's own.
        let is_open = overridden.is_none() && oauth.is_open(template);
        if is_open && !scheme.has_own_client() {
            client.secret = None;
        }
        client
            .revoke(&self.inner.egress, url, token, hint)
            .await
            .map_err(|failure| match failure {
                Failure::Rejected(text) | Failure::Client(text) | Failure::Unavailable(text) => {
                    Error::Unavailable(text)
                }
            })
    }
}
