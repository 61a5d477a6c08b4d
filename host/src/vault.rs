//! Credentials: sealed at rest, obtained by login, refreshed by exactly one, handed out only as an
//! [`Authorization`](crate::egress::Authorization) that nobody can print.

mod apps;
mod credentials;
mod grant;
mod key;
mod keys;
mod oauth;
mod pending;
mod provider;
mod refresh;
mod rewrap;
mod seal;
mod secret_settings;
mod token;
mod webhook;

use std::{collections::BTreeMap, fmt, sync::Arc};

use apps::{Login, Wanted};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::{
    egress::Egress,
    model::{
        AuthScheme, Clock, Connection, ConnectionId, Digest, Entropy, Manifest, NewConnection,
        ObjectKind, ProjectId, Scope, Slug, Template, TemplateError,
    },
    store::{self, Store},
};

pub use apps::{
    AppSecret, AppSource, NewProjectApp, OAuthApps, ProjectApp, ServerApp, name as app_variable,
};
pub use credentials::{Credentials, authorization};
pub use key::Key;
pub use keys::{HANDING_ROUND, Keys};
pub use oauth::{BegunOAuth, FinishedOAuth, LoginLink, ReturnedOAuth};
pub use pending::PendingLogin;
pub use provider::{EnvironmentKeys, FileKeys, KeyProvider, Wrapped};
pub use rewrap::{Rewrapped, rewrap};

/// Where credentials are kept and come from. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    egress: Egress,
    keys: Keys,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    oauth_apps: OAuthApps,
    turns: refresh::Turns,
    tasks: TaskTracker,
}

/// Why the vault did not do it. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The encryption key cannot be read.
    #[error("{0}")]
    Key(String),
    /// The database's values are sealed under a key that is not among those given.
    #[error(
        "this database is sealed under the encryption key with the fingerprint {expected}, and {} given: set JACKFIELD_ENCRYPTION_KEY (or encryption_key_file) to the key that the database was made with; several keys may be given, the newest first",
        fingerprints(given)
    )]
    WrongKey {
        /// The fingerprint of the key that is missing.
        expected: String,
        /// The fingerprints of those that are here.
        given: Vec<String>,
    },
    /// A sealed value does not open: why.
    #[error("a sealed value cannot be opened: {0}")]
    Sealed(&'static str),
    /// What was typed into a field of the login form cannot be right.
    #[error("{message}")]
    Field {
        /// The field, variable or setting.
        field: String,
        /// What is wrong, a sentence.
        message: String,
    },
    /// The operator has not registered an OAuth app with the provider.
    #[error(
        "no OAuth app is configured for {connector}: set connectors.{connector}.oauth.client_id and client_secret, or the variables {variable} and its _SECRET, or give the project its own under OAuth apps"
    )]
    NoOAuthApp {
        /// The connector.
        connector: Slug,
        /// The variable that could hold the client's id.
        variable: String,
    },
    /// The connector has no such scheme, or it does not log in this way.
    #[error("{0:?} is no scheme of this connector for this kind of login")]
    Scheme(String),
    /// The address in the manifest makes no URL with these settings.
    #[error("the connector's address {0} is not a usable http or https URL")]
    Address(String),
    /// The host that would get the app's secret is one that the customer types.
    #[error(
        "the token address of {0} is chosen by whoever connects, and the app's secret would go there: set connectors.{0}.oauth.token_url to the server that the app belongs to"
    )]
    OpenTokenAddress(Slug),
    /// The app that the login began with is not set any more, and its code is worth nothing to
    /// another.
    #[error(
        "the OAuth app of {0} was changed during the login, and what the provider gave is for the one before: start the login again"
    )]
    OtherApp(Slug),
    /// The login's state was used before, is too old, was never given out or belongs to another
    /// browser.
    #[error(
        "this login was finished already, is older than ten minutes or was begun in another browser; start it again"
    )]
    UnknownState,
    /// The connector has gone since the login started.
    #[error("the connector {0} is not installed any more")]
    UnknownConnector(Slug),
    /// The provider refused the login: its words.
    #[error("{0}")]
    Refused(String),
    /// The provider did not answer.
    #[error("{0}")]
    Unavailable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn fingerprints(given: &[String]) -> String {
    match given {
        [one] => format!("the one with the fingerprint {one} was"),
        several => format!("those with the fingerprints {} were", several.join(", ")),
    }
}

impl Error {
    fn field(field: &str, message: String) -> Self {
        Self::Field {
            field: field.to_owned(),
            message,
        }
    }
}

impl Vault {
    /// A vault over a store, under a key or several.
    #[must_use]
    pub fn new(
        store: Store,
        egress: Egress,
        keys: impl Into<Keys>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        oauth_apps: OAuthApps,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                egress,
                keys: keys.into(),
                clock,
                entropy,
                oauth_apps,
                turns: refresh::Turns::default(),
                tasks: TaskTracker::new(),
            }),
        }
    }

    /// Waits for refreshes that are under way, so that no rotated token is lost when the process
    /// ends. Takes no longer than a token endpoint may.
    pub async fn close(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Reads the data keys again; whether another one seals now.
    ///
    /// # Errors
    /// The provider or the database fails; the keys stay what they were.
    pub async fn refresh_keys(&self) -> Result<bool, Error> {
        self.inner.keys.refresh(&self.inner.store).await
    }

    /// Seals under the newest key whatever is not; see [`rewrap()`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn rewrap(&self, batch: u32) -> Result<Rewrapped, Error> {
        let Inner {
            store,
            keys,
            entropy,
            ..
        } = &*self.inner;
        rewrap(store, keys, &**entropy, batch, |_| {}).await
    }

    /// Encrypts. The same context has to be given for opening; it is bound to the result.
    #[must_use]
    pub fn seal(&self, context: &[&str], plain: &[u8]) -> Vec<u8> {
        self.inner.keys.seal(&*self.inner.entropy, context, plain)
    }

    /// Decrypts.
    ///
    /// # Errors
    /// [`Error::Sealed`] where key, context or content are not those it was sealed with.
    pub fn open(&self, context: &[&str], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.inner.keys.open_sealed(context, sealed)
    }

    /// A new API key: itself, to be shown once; its hash, to be stored; and what lists show of it
    /// (`jk_…abcd`).
    #[must_use]
    pub fn new_api_key(&self) -> (SecretString, Digest, String) {
        Self::generate_api_key(&*self.inner.entropy)
    }

    /// The same for programs that have no vault: making a key needs no encryption key.
    #[must_use]
    pub fn generate_api_key(entropy: &dyn Entropy) -> (SecretString, Digest, String) {
        token::generate(token::API_KEY, entropy)
    }

    /// The hash to look an API key up by; none where the text cannot be one.
    #[must_use]
    pub fn parse_api_key(text: &str) -> Option<Digest> {
        token::parse(token::API_KEY, text)
    }

    /// The same for an operator's key.
    #[must_use]
    pub fn generate_operator_key(entropy: &dyn Entropy) -> (SecretString, Digest, String) {
        token::generate(token::OPERATOR_KEY, entropy)
    }

    /// The hash to look an operator's key up by; none where the text cannot be one.
    #[must_use]
    pub fn parse_operator_key(text: &str) -> Option<Digest> {
        token::parse(token::OPERATOR_KEY, text)
    }

    /// A new connection token and its hash.
    #[must_use]
    pub fn new_connection_token(&self) -> (SecretString, Digest) {
        let (text, hash, _) = token::generate(token::CONNECTION_TOKEN, &*self.inner.entropy);
        (text, hash)
    }

    /// The hash to look a connection token up by; none where the text cannot be one.
    #[must_use]
    pub fn parse_connection_token(text: &str) -> Option<Digest> {
        token::parse(token::CONNECTION_TOKEN, text)
    }

    /// The token of a new connect link and its hash.
    #[must_use]
    pub fn new_link_token(&self) -> (SecretString, Digest) {
        let (text, hash, _) = token::generate(token::CONNECT_LINK, &*self.inner.entropy);
        (text, hash)
    }

    /// The hash to look a connect link up by; none where the text cannot be its token.
    #[must_use]
    pub fn parse_link_token(text: &str) -> Option<Digest> {
        token::parse(token::CONNECT_LINK, text)
    }

    /// Credentials from what was typed into the login form: the scheme's fields (`apikey` and
    /// `apiKey` mean `api_key`) and settings of type password. Other entries are left alone.
    ///
    /// # Errors
    /// [`Error::Field`] for the first that is missing or cannot be sent.
    #[expect(
        clippy::unused_self,
        reason = "the vault is what makes credentials, whatever it needs for it"
    )]
    pub fn credentials_from_fields(
        &self,
        manifest: &Manifest,
        scheme: &AuthScheme,
        fields: &BTreeMap<String, String>,
    ) -> Result<Credentials, Error> {
        Credentials::from_fields(manifest, scheme, fields)
    }

    /// Stores a connection with its credentials; its first syncs of `objects` are due now. Where
    /// the same account is connected already, that connection gets the new credentials and keeps
    /// its token. Gives the connection's token with it.
    ///
    /// # Errors
    /// The store failed, or the linked user is not the project's.
    pub async fn connect(
        &self,
        project: ProjectId,
        new: NewConnection,
        credentials: &Credentials,
        objects: &[ObjectKind],
    ) -> Result<(Scope, SecretString), Error> {
        if let Some(reconnected) = self.reconnect(project, &new, credentials, objects).await? {
            return Ok(reconnected);
        }
        let (token, hash) = self.new_connection_token();
        let sealed_token = self.seal(
            &[
                "connection_token",
                &project.to_string(),
                &new.id.to_string(),
            ],
            token.expose_secret().as_bytes(),
        );
        let sealed = self.seal_credentials(project, new.id, credentials);
        let created = self.inner.store.create_connection(
            project,
            new.clone(),
            hash,
            sealed_token,
            sealed,
            credentials.expires_at(),
            objects,
        );
        match created.await {
            Ok(scope) => Ok((scope, token)),
            // Somebody connected the same account between our two looks.
            Err(error @ store::Error::Conflict(_)) => {
                let found = self.reconnect(project, &new, credentials, objects).await?;
                found.ok_or(Error::Store(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn reconnect(
        &self,
        project: ProjectId,
        new: &NewConnection,
        credentials: &Credentials,
        objects: &[ObjectKind],
    ) -> Result<Option<(Scope, SecretString)>, Error> {
        let store = &self.inner.store;
        let found = store.find_connection(
            project,
            new.linked_user,
            &new.connector,
            &new.vertical,
            new.account.as_deref(),
        );
        let Some(scope) = found.await? else {
            return Ok(None);
        };
        let id = scope.connection().id;
        let sealed = self.seal_credentials(project, id, credentials);
        let expires_at = credentials.expires_at();
        store
            .replace_credentials(&scope, &new.scheme, &new.settings, sealed, expires_at)
            .await?;
        store.ensure_syncs(&scope, objects).await?;
        // Read again: status, scheme and settings are new.
        let scope = store.scope_by_id(project, id).await?;
        let Some(scope) = scope else {
            return Ok(None);
        };
        let Some(sealed) = store.sealed_token(&scope).await? else {
            return Ok(None);
        };
        let token = self.connection_token(scope.connection(), &sealed)?;
        Ok(Some((scope, token)))
    }

    /// A connection's token, from how it is stored.
    ///
    /// # Errors
    /// [`Error::Sealed`].
    pub fn connection_token(
        &self,
        connection: &Connection,
        sealed: &[u8],
    ) -> Result<SecretString, Error> {
        let project = connection.project.to_string();
        let context = ["connection_token", &project, &connection.id.to_string()];
        let text = self.open(&context, sealed)?;
        match std::str::from_utf8(&text) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(Error::Sealed("its content is not what was put in")),
        }
    }

    fn seal_credentials(
        &self,
        project: ProjectId,
        connection: ConnectionId,
        credentials: &Credentials,
    ) -> Vec<u8> {
        let context = ["credential", &project.to_string(), &connection.to_string()];
        self.seal(&context, &credentials.to_json())
    }

    fn open_credentials(
        &self,
        project: ProjectId,
        connection: ConnectionId,
        sealed: &[u8],
    ) -> Result<Credentials, Error> {
        let context = ["credential", &project.to_string(), &connection.to_string()];
        Credentials::from_json(&self.open(&context, sealed)?)
    }

    /// Who asks a provider for tokens: the app that the login was made with, or the customer's own
    /// client where the credentials hold one.
    async fn client(
        &self,
        login: Login<'_>,
        wanted: Wanted<'_>,
        credentials: Option<&Credentials>,
    ) -> Result<grant::Client, Error> {
        let scheme = login.scheme;
        let app = if scheme.has_own_client() {
            let value = |name| credentials.and_then(|credentials| credentials.get(name));
            let id = value(credentials::CLIENT_ID);
            apps::App {
                client_id: id
                    .ok_or_else(|| Error::Scheme(scheme.name.clone()))?
                    .expose_secret()
                    .to_owned(),
                client_secret: value(credentials::CLIENT_SECRET).cloned(),
                scopes: None,
                source: AppSource::Project,
            }
        } else {
            self.app(login, wanted).await?
        };
        self.asking(login, app)
    }

    /// An app at the token address of a login.
    ///
    /// # Errors
    /// [`Error::OpenTokenAddress`] where the app's secret would go to a host that the customer
    /// chose.
    fn asking(&self, login: Login<'_>, app: apps::App) -> Result<grant::Client, Error> {
        let Login {
            connector,
            scheme,
            settings,
            ..
        } = login;
        let Some(oauth) = scheme.oauth() else {
            return Err(Error::Scheme(scheme.name.clone()));
        };
        let overrides = self.inner.oauth_apps.overrides(connector);
        let overridden = overrides.and_then(|oauth| oauth.token_url.as_ref());
        // The app's secret goes to the token address. Where the customer chooses the host, the
        // operator has to say that it is theirs, or anyone could collect the secret.
        let is_open = overridden.is_none() && oauth.is_open(&oauth.token_url);
        if is_open && !scheme.has_own_client() && app.client_secret.is_some() {
            return Err(Error::OpenTokenAddress(connector.clone()));
        }
        Ok(grant::Client {
            token_url: address(overridden, &oauth.token_url, settings)?,
            id: app.client_id,
            secret: app.client_secret,
            source: app.source,
            authentication: oauth.client_authentication,
            parameters: oauth.token_parameters.clone(),
        })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Vault")
            .field("keys", &self.inner.keys)
            .finish_non_exhaustive()
    }
}

/// The operator's address where there is one, else the manifest's with the settings in it.
fn address(
    overridden: Option<&Url>,
    template: &Template,
    settings: &BTreeMap<String, String>,
) -> Result<Url, Error> {
    if let Some(url) = overridden {
        return Ok(url.clone());
    }
    let text = template.fill(settings).map_err(|error| match error {
        TemplateError::Missing(name) => {
            let message = format!("{name} is missing");
            Error::Field {
                field: name,
                message,
            }
        }
        error @ TemplateError::Brace(_) => Error::Address(error.to_string()),
    })?;
    let url = Url::parse(&text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or(Error::Address(text))
}

#[cfg(test)]
mod tests;
