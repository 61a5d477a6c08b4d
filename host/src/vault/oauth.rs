//! Logging in through a provider's own pages: OAuth 2.0 authorisation code with PKCE.
//!
//! Everything that has to survive the trip waits on the server, sealed, under the hash of a random
//! state that works once and for ten minutes. The browser carries the state; one that came from a
//! connect page also has a secret in a cookie, and no other browser can finish its login.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Credentials, Error, Vault,
    apps::{Login, Wanted},
    credentials::{ACCESS_TOKEN, CLIENT_ID, REFRESH_TOKEN},
    grant::{Failure, Grant, Tokens},
};
use crate::model::{
    AuthKind, AuthScheme, ConnectLinkId, ConnectionId, Digest, Environment, LinkedUserId, Manifest,
    ProjectId, SettingType, Slug,
};

const STATE_LIFE: Duration = Duration::from_secs(600);

/// The connect link that a login belongs to: the browser goes back there, however it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginLink {
    /// Its id.
    pub id: ConnectLinkId,
    /// Its token, for the browser.
    pub token: String,
    /// The connection that has to be the one to log in again.
    pub connection: Option<ConnectionId>,
    /// What the person chose on the page, as its address says it: the language.
    pub query: String,
    /// The hash of what the browser has, in hexadecimal digits. Logins from before there was one
    /// have none.
    #[serde(default)]
    pub browser: Option<String>,
}

impl LoginLink {
    fn is_of(&self, browser: Option<&SecretString>) -> bool {
        let Some(expected) = &self.browser else {
            return true;
        };
        browser.is_some_and(|secret| hash_of(secret) == *expected)
    }
}

fn hash_of(secret: &SecretString) -> String {
    Digest::of(secret.expose_secret()).to_string()
}

/// A login that begins.
#[derive(Clone, Debug)]
pub struct BegunOAuth {
    /// The provider's page.
    pub address: Url,
    /// What it is known by when the browser comes back.
    pub state: SecretString,
}

/// A login whose browser came back. It can be taken once.
pub struct ReturnedOAuth {
    project: ProjectId,
    pending: Pending,
}

impl std::fmt::Debug for ReturnedOAuth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ReturnedOAuth")
            .field("connector", &self.pending.connector)
            .finish_non_exhaustive()
    }
}

impl ReturnedOAuth {
    /// The connector.
    #[must_use]
    pub const fn connector(&self) -> &Slug {
        &self.pending.connector
    }

    /// The scheme that was tried.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.pending.scheme
    }

    /// The connect link that it belongs to.
    #[must_use]
    pub const fn link(&self) -> Option<&LoginLink> {
        self.pending.link.as_ref()
    }
}

/// A login that a provider confirmed; not yet a connection.
#[derive(Clone, Debug)]
pub struct FinishedOAuth {
    /// The project it was started for.
    pub project: ProjectId,
    /// Whose account it is.
    pub linked_user: LinkedUserId,
    /// The connector.
    pub connector: Slug,
    /// The vertical it was started for.
    pub vertical: String,
    /// The name of the scheme in the manifest.
    pub scheme: String,
    /// The provider's environment.
    pub environment: Environment,
    /// Variables and settings, those of type password taken out.
    pub settings: BTreeMap<String, String>,
    /// Where the browser goes next.
    pub return_url: Option<Url>,
    /// The connect link that it belongs to.
    pub link: Option<LoginLink>,
    /// What was obtained.
    pub credentials: Credentials,
}

/// What waits on the server while the browser is away.
#[derive(Serialize, Deserialize)]
struct Pending {
    linked_user: LinkedUserId,
    connector: Slug,
    vertical: String,
    scheme: String,
    environment: Environment,
    settings: BTreeMap<String, String>,
    return_url: Option<Url>,
    #[serde(default)]
    link: Option<LoginLink>,
    verifier: Option<String>,
    /// Whose code comes back, whatever app is set by then.
    #[serde(default)]
    client_id: Option<String>,
}

impl Vault {
    /// Begins a login: the address of the provider's page. `redirect_uri` is where the provider
    /// sends the browser back, and must be the same in [`Self::finish_oauth`]. `settings` hold
    /// canonical values of the manifest's variables, and settings of any type.
    ///
    /// # Errors
    /// [`Error::NoOAuthApp`] where the operator registered none, [`Error::Field`] where a variable
    /// has no value, [`Error::Scheme`] where the scheme is no browser login.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that waits until the browser returns"
    )]
    pub async fn start_oauth(
        &self,
        project: ProjectId,
        linked_user: LinkedUserId,
        manifest: &Manifest,
        scheme: &AuthScheme,
        environment: Environment,
        settings: BTreeMap<String, String>,
        vertical: &str,
        return_url: Option<Url>,
        link: Option<LoginLink>,
        redirect_uri: &Url,
    ) -> Result<BegunOAuth, Error> {
        let AuthKind::OAuth2Code {
            authorize_url,
            pkce,
            authorize_parameters,
            client,
        } = &scheme.kind
        else {
            return Err(Error::Scheme(scheme.name.clone()));
        };
        let login = Login {
            owner: Some((project, environment)),
            connector: &manifest.slug,
            vertical,
            scheme,
            settings: &settings,
        };
        let app = self.app(login, Wanted::New).await?;
        // Nobody is sent away for a code that could not be exchanged.
        self.asking(login, app.clone())?;
        let overrides = self.inner.oauth_apps.overrides(&manifest.slug);
        let overridden = overrides.and_then(|oauth| oauth.authorize_url.as_ref());
        let mut address = super::address(overridden, authorize_url, &settings)?;

        let state = self.random_text();
        let verifier = pkce.then(|| self.random_text());
        {
            let mut query = address.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &app.client_id)
                .append_pair("redirect_uri", redirect_uri.as_str());
            let scopes = app.scopes.as_ref().unwrap_or(&client.scopes);
            if !scopes.is_empty() {
                query.append_pair("scope", &scopes.join(&client.scope_separator));
            }
            query.append_pair("state", state.expose_secret());
            if let Some(verifier) = &verifier {
                let challenge = Digest::of(verifier.expose_secret());
                query
                    .append_pair(
                        "code_challenge",
                        &URL_SAFE_NO_PAD.encode(challenge.as_bytes()),
                    )
                    .append_pair("code_challenge_method", "S256");
            }
            query.extend_pairs(authorize_parameters);
        }

        let pending = Pending {
            linked_user,
            connector: manifest.slug.clone(),
            vertical: vertical.to_owned(),
            scheme: scheme.name.clone(),
            environment,
            settings,
            return_url,
            link,
            verifier: verifier.map(|verifier| verifier.expose_secret().to_owned()),
            client_id: Some(app.client_id),
        };
        let json = Zeroizing::new(serde_json::to_vec(&pending).expect("texts are always JSON"));
        let hash = Digest::of(state.expose_secret());
        let sealed = self.seal(
            &["oauth_state", &project.to_string(), &hash.to_string()],
            &json,
        );
        let expires_at = self.inner.clock.now().plus(STATE_LIFE);
        self.inner
            .store
            .put_oauth_state(hash, project, sealed, expires_at)
            .await?;
        Ok(BegunOAuth { address, state })
    }

    /// A secret for the browser that begins a login, and its hash for [`LoginLink::browser`].
    #[must_use]
    pub fn new_browser_secret(&self) -> (SecretString, String) {
        let secret = self.random_text();
        let hash = hash_of(&secret);
        (secret, hash)
    }

    /// Takes a login whose browser came back with this state, and with this secret where it has
    /// one. It works once, whatever comes of it.
    ///
    /// # Errors
    /// [`Error::UnknownState`].
    pub async fn take_oauth(
        &self,
        state: &str,
        browser: Option<&SecretString>,
    ) -> Result<ReturnedOAuth, Error> {
        let hash = Digest::of(state);
        let found = self.inner.store.take_oauth_state(&hash).await?;
        let (project, sealed) = found.ok_or(Error::UnknownState)?;
        let context = ["oauth_state", &project.to_string(), &hash.to_string()];
        let json = self.open(&context, &sealed)?;
        let pending: Pending = serde_json::from_slice(&json)
            .map_err(|_| Error::Sealed("its content is not what was put in"))?;
        // A login without a link began in an application, which has to know its own browsers.
        if !pending.link.as_ref().is_none_or(|link| link.is_of(browser)) {
            return Err(Error::UnknownState);
        }
        Ok(ReturnedOAuth { project, pending })
    }

    /// Ends a login with the code that the provider's redirect carried. `manifest_of` finds a
    /// connector's manifest.
    ///
    /// # Errors
    /// [`Error::UnknownConnector`], [`Error::OtherApp`], [`Error::Refused`] by the provider,
    /// [`Error::Unavailable`] provider.
    pub async fn finish_oauth(
        &self,
        returned: ReturnedOAuth,
        code: &str,
        manifest_of: impl Fn(&Slug) -> Option<Arc<Manifest>>,
        redirect_uri: &Url,
    ) -> Result<FinishedOAuth, Error> {
        let ReturnedOAuth {
            project,
            mut pending,
        } = returned;
        let manifest = manifest_of(&pending.connector)
            .ok_or_else(|| Error::UnknownConnector(pending.connector.clone()))?;
        let scheme = manifest
            .scheme(&pending.scheme)
            .ok_or_else(|| Error::Scheme(pending.scheme.clone()))?;
        let login = Login {
            owner: Some((project, pending.environment)),
            connector: &manifest.slug,
            vertical: &pending.vertical,
            scheme,
            settings: &pending.settings,
        };
        let wanted = match pending.client_id.as_deref() {
            Some(id) => Wanted::Begun(id),
            None => Wanted::Made(None),
        };
        let client = self.client(login, wanted, None).await?;
        let code = SecretString::from(code);
        let verifier = pending.verifier.take().map(SecretString::from);
        let grant = Grant::Code {
            code: &code,
            redirect_uri,
            verifier: verifier.as_ref(),
        };
        let now = self.inner.clock.now();
        let tokens = client
            .tokens(&self.inner.egress, &grant, now, None)
            .await
            .map_err(|failure| match failure {
                Failure::Rejected(text) | Failure::Client(text) => Error::Refused(text),
                Failure::Unavailable(text) => Error::Unavailable(text),
            })?;

        let mut credentials = Credentials::default();
        credentials.set(CLIENT_ID, client.id.into());
        credentials.set_app_secret(client.secret);
        credentials.renew(tokens);
        credentials.add_password_settings(&manifest, &pending.settings)?;
        let is_password = |id: &str| {
            manifest
                .settings
                .iter()
                .any(|setting| setting.id == id && setting.kind == SettingType::Password)
        };
        pending.settings.retain(|id, _| !is_password(id));
        Ok(FinishedOAuth {
            project,
            linked_user: pending.linked_user,
            connector: pending.connector,
            vertical: pending.vertical,
            scheme: pending.scheme,
            environment: pending.environment,
            settings: pending.settings,
            return_url: pending.return_url,
            link: pending.link,
            credentials,
        })
    }

    /// 256 random bits, base64url: 43 characters, as PKCE asks of a verifier.
    fn random_text(&self) -> SecretString {
        let mut bytes = Zeroizing::new([0; 32]);
        self.inner.entropy.fill(bytes.as_mut_slice());
        URL_SAFE_NO_PAD.encode(bytes.as_slice()).into()
    }
}

impl Credentials {
    /// Takes over new tokens; the old refresh token stays where no new one came.
    pub(super) fn renew(&mut self, tokens: Tokens) {
        self.set(ACCESS_TOKEN, tokens.access_token);
        if let Some(token) = tokens.refresh_token {
            self.set(REFRESH_TOKEN, token);
        }
        self.set_expiry(tokens.expires_at);
    }
}
