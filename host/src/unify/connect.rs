//! New connections: check what was typed, try the credentials, store, and start the first sync.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::SecretString;
use url::Url;

use super::{Error, Unify, sync::readable};
use crate::{
    egress::{Downstream, Priority, Unlimited},
    model::{
        Account, AuthScheme, ConnectLink, Connection, ConnectionId, Environment, LinkedUserId,
        Manifest, NewConnection, ObjectKind, ProjectId, Scope, SettingType, Slug, Usage,
    },
    runtime::{CallContext, CallError, ConnectorVersion, Failure},
    vault::{BegunOAuth, Credentials, LoginLink, PendingLogin},
};

/// A login by form: everything that the end customer typed.
#[derive(Debug)]
pub struct ConnectRequest {
    /// The project.
    pub project: ProjectId,
    /// Whose account it is.
    pub linked_user: LinkedUserId,
    /// Which connector.
    pub connector: Slug,
    /// Which scheme of its manifest; the first that fits the fields where none is named.
    pub scheme: Option<String>,
    /// For which vertical; the connector's first where none is named.
    pub vertical: Option<String>,
    /// The provider's environment.
    pub environment: Environment,
    /// Fields of the login, variables and settings, by key.
    pub fields: BTreeMap<String, String>,
    /// Which account, by the provider's id, where the login reaches several; the first where none
    /// is named.
    pub account: Option<String>,
}

/// A login in the browser, to be started.
#[derive(Debug)]
pub struct OAuthRequest {
    /// As for a form, with variables and settings only.
    pub connect: ConnectRequest,
    /// Where the browser goes in the end.
    pub return_url: Option<Url>,
    /// The connect link that the browser comes from and goes back to.
    pub link: Option<LoginLink>,
    /// Where the provider sends the browser back to.
    pub redirect_uri: Url,
}

/// A connection that was made.
pub struct Connected {
    /// The connection.
    pub scope: Scope,
    /// What applications name it by.
    pub token: SecretString,
    /// Where the browser goes now.
    pub return_url: Option<Url>,
    /// All accounts that the login reaches.
    pub accounts: Vec<Account>,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connected")
            .field("connection", &self.scope.connection().id)
            .finish_non_exhaustive()
    }
}

/// What came of a login on the connect page.
#[derive(Debug)]
pub enum LoggedIn {
    /// A connection.
    Connected(Box<Connected>),
    /// Several accounts: the login waits under this name until somebody chooses one.
    Choose(SecretString),
}

/// What came of a login whose browser came back.
#[derive(Debug)]
pub struct OAuthEnd {
    /// The connector.
    pub connector: Slug,
    /// The scheme that was tried.
    pub scheme: String,
    /// The connect link that it belongs to.
    pub link: Option<LoginLink>,
    /// The rest.
    pub outcome: Result<LoggedIn, Error>,
}

/// A login that the provider took, before anything of it is stored.
struct Login {
    project: ProjectId,
    linked_user: LinkedUserId,
    vertical: String,
    scheme: String,
    environment: Environment,
    settings: BTreeMap<String, String>,
    credentials: Credentials,
    accounts: Vec<Account>,
}

impl Unify {
    /// Makes a connection of what was typed. The credentials are tried before they are stored.
    ///
    /// # Errors
    /// Something is missing or wrong, or the provider refuses it.
    pub async fn connect(&self, request: ConnectRequest) -> Result<Connected, Error> {
        let version = self.version(&request.connector)?;
        let account = request.account.clone();
        let login = self.try_form(&version, request, None).await?;
        self.store_login(&version, login, account.as_deref(), None)
            .await
    }

    /// The same on the connect page: of several accounts somebody chooses, and the link is used up.
    /// A link with a connection logs that one in again, and no other account.
    ///
    /// # Errors
    /// As for [`Self::connect`]; the link does not serve any more, or is for another account.
    pub async fn connect_by_link(
        &self,
        link: &ConnectLink,
        request: ConnectRequest,
    ) -> Result<LoggedIn, Error> {
        let version = self.version(&request.connector)?;
        let again = self.connection_of(link, &request.connector).await?;
        let login = self.try_form(&version, request, again.as_ref()).await?;
        self.settle(&version, link, login, again.as_ref()).await
    }

    /// The accounts of a login that waits for a choice, and its connector.
    ///
    /// # Errors
    /// Its time is over, or it was finished.
    pub async fn choice(
        &self,
        link: &ConnectLink,
        choice: &str,
    ) -> Result<(Slug, Vec<Account>), Error> {
        let kept = self.0.vault.kept_login(link, choice).await?;
        let kept = kept.ok_or(crate::vault::Error::UnknownState)?;
        Ok((kept.connector, kept.accounts))
    }

    /// Makes a connection of the account that was chosen.
    ///
    /// # Errors
    /// The choice's time is over, there is no such account, or the link does not serve any more.
    pub async fn choose(
        &self,
        link: &ConnectLink,
        choice: &str,
        account: &str,
    ) -> Result<Connected, Error> {
        let kept = self.0.vault.kept_login(link, choice).await?;
        let kept = kept.ok_or(crate::vault::Error::UnknownState)?;
        let version = self.version(&kept.connector)?;
        let again = self.connection_of(link, &kept.connector).await?;
        let login = Login {
            project: link.project,
            linked_user: link.what.linked_user,
            vertical: kept.vertical,
            scheme: kept.scheme,
            environment: kept.environment,
            settings: kept.settings,
            credentials: kept.credentials,
            accounts: kept.accounts,
        };
        self.keep_by_link(&version, link, login, account, again.as_ref())
            .await
    }

    /// The address to send the end customer's browser to.
    ///
    /// # Errors
    /// The connector has no such login, a setting is wrong, or the operator has not configured an
    /// OAuth app for it.
    pub async fn start_oauth(&self, request: OAuthRequest) -> Result<BegunOAuth, Error> {
        let version = self.version(&request.connect.connector)?;
        let manifest = version.manifest();
        let named = request.connect.scheme.as_deref();
        let scheme = manifest
            .auth
            .iter()
            .filter(|scheme| scheme.type_name() == "oauth2_code")
            .find(|scheme| named.is_none_or(|named| named == scheme.name))
            .ok_or_else(|| Error::InvalidSetting {
                field: "scheme".to_owned(),
                message: format!("{} has no such login in the browser", manifest.slug),
            })?;
        let again = match request.link.as_ref().and_then(|link| link.connection) {
            Some(id) => {
                self.0
                    .store
                    .scope_by_id(request.connect.project, id)
                    .await?
            }
            None => None,
        };
        let again = again.as_ref().map(Scope::connection);
        let settings = check_settings(manifest, &request.connect.fields, again)?;
        let vertical = choose_vertical(manifest, request.connect.vertical.as_deref())?;
        Ok(self
            .0
            .vault
            .start_oauth(
                request.connect.project,
                request.connect.linked_user,
                manifest,
                scheme,
                environment(request.connect.environment, again),
                settings,
                &vertical,
                request.return_url,
                request.link,
                &request.redirect_uri,
            )
            .await?)
    }

    /// Makes a connection of the code that the provider sent the browser back with, or ends the
    /// login where it sent none: then `code` is why. `browser` is the secret that it was sent away
    /// with.
    ///
    /// # Errors
    /// The state is unknown, used, too old or another browser's. What else can fail is in [`OAuthEnd::outcome`].
    pub async fn finish_oauth(
        &self,
        state: &str,
        browser: Option<&SecretString>,
        code: Result<&str, String>,
        redirect_uri: &Url,
    ) -> Result<OAuthEnd, Error> {
        let returned = self.0.vault.take_oauth(state, browser).await?;
        let (connector, link) = (returned.connector().clone(), returned.link().cloned());
        let scheme = returned.scheme().to_owned();
        let outcome = match code {
            Ok(code) => {
                let finished = self.0.vault.finish_oauth(
                    returned,
                    code,
                    |slug| Some(Arc::clone(self.0.runtime.active(slug)?.manifest())),
                    redirect_uri,
                );
                match finished.await {
                    Ok(finished) => self.finished(finished).await,
                    Err(error) => Err(error.into()),
                }
            }
            Err(said) => Err(Error::LoginDenied(said)),
        };
        Ok(OAuthEnd {
            connector,
            scheme,
            link,
            outcome,
        })
    }

    async fn finished(&self, finished: crate::vault::FinishedOAuth) -> Result<LoggedIn, Error> {
        let version = self.version(&finished.connector)?;
        let scheme = version.manifest().scheme(&finished.scheme);
        let scheme = scheme.ok_or_else(|| Error::InvalidSetting {
            field: "scheme".to_owned(),
            message: "the connector changed during the login; start again".to_owned(),
        })?;
        let login = Login {
            project: finished.project,
            linked_user: finished.linked_user,
            vertical: finished.vertical,
            scheme: finished.scheme,
            environment: finished.environment,
            settings: finished.settings,
            credentials: finished.credentials,
            accounts: Vec::new(),
        };
        let login = self.authenticate(&version, scheme, login).await?;
        let Some(place) = finished.link else {
            let mut connected = self.store_login(&version, login, None, None).await?;
            connected.return_url = finished.return_url;
            return Ok(LoggedIn::Connected(Box::new(connected)));
        };
        let link = self.0.store.connect_link(login.project, place.id).await?;
        let link = link.ok_or(Error::LinkClosed)?;
        let again = self.connection_of(&link, &finished.connector).await?;
        self.settle(&version, &link, login, again.as_ref()).await
    }

    /// Ends a connection: its tokens are revoked at the provider where the manifest says how, and
    /// its credentials wiped here. A provider that does not answer changes nothing.
    ///
    /// # Errors
    /// The database fails.
    pub async fn disconnect(&self, scope: &Scope) -> Result<(), Error> {
        let connection = scope.connection();
        let version = self.0.runtime.active(&connection.connector);
        let scheme = version
            .as_ref()
            .and_then(|version| version.manifest().scheme(&connection.scheme));
        if let Some(scheme) = scheme
            && let Err(error) = self.0.vault.revoke(scope, scheme).await
        {
            tracing::warn!(
                connection = %connection.id, error = %error,
                "the provider did not confirm that the tokens are revoked"
            );
        }
        Ok(self.0.store.delete_connection(scope).await?)
    }

    /// What was typed, checked and tried at the provider.
    async fn try_form(
        &self,
        version: &Arc<ConnectorVersion>,
        request: ConnectRequest,
        again: Option<&Scope>,
    ) -> Result<Login, Error> {
        let manifest = version.manifest();
        let scheme = choose_scheme(manifest, &request)?;
        let vertical = match again {
            Some(again) => again.connection().vertical.clone(),
            None => choose_vertical(manifest, request.vertical.as_deref())?,
        };
        let settings = check_settings(manifest, &request.fields, again.map(Scope::connection))?;
        let vault = &self.0.vault;
        let credentials = vault.credentials_from_fields(manifest, scheme, &request.fields)?;
        let login = Login {
            project: request.project,
            linked_user: request.linked_user,
            vertical,
            scheme: scheme.name.clone(),
            environment: environment(request.environment, again.map(Scope::connection)),
            settings,
            credentials,
            accounts: Vec::new(),
        };
        self.authenticate(version, scheme, login).await
    }

    /// Asks the provider for the accounts that the login reaches: at least one.
    async fn authenticate(
        &self,
        version: &Arc<ConnectorVersion>,
        scheme: &AuthScheme,
        mut login: Login,
    ) -> Result<Login, Error> {
        let manifest = version.manifest();
        let authorizer = self.0.vault.provisional_authorizer(
            manifest,
            scheme,
            &login.vertical,
            &login.settings,
            &login.credentials,
        );
        let context = CallContext {
            id: ConnectionId::generate(&*self.0.entropy).to_string(),
            environment: login.environment,
            account: None,
            settings: login.settings.clone(),
            authorizer,
            downstream: Downstream::default(),
            budget: Arc::new(Unlimited),
            priority: Priority::Interactive,
            usage: Usage::default(),
            // There is no connection yet that it could be written down under.
            reason: None,
        };
        let accounts = version
            .authenticate(context)
            .await
            .map_err(|error| match error {
                CallError::Failure(Failure::Unauthorized(text)) => Error::CredentialsRefused(text),
                CallError::Failure(failure) => Error::Provider(failure),
                stopped => Error::Connector(stopped),
            })?;
        if accounts.is_empty() {
            let broken = "authenticate answered neither an account nor a failure";
            return Err(Error::Contract(broken.to_owned()));
        }
        let accounts = accounts.into_iter().map(|account| Account {
            id: account.remote_id,
            name: account.display_name,
            settings: account
                .settings
                .into_iter()
                .map(|setting| (setting.key, setting.value))
                .collect(),
        });
        login.accounts = accounts.collect();
        Ok(login)
    }

    /// The connection that a link is for, where it is for one already.
    async fn connection_of(
        &self,
        link: &ConnectLink,
        connector: &Slug,
    ) -> Result<Option<Scope>, Error> {
        let Some(id) = link.what.connection else {
            return Ok(None);
        };
        let scope = self.0.store.scope_by_id(link.project, id).await?;
        let scope = scope.filter(|scope| {
            let connection = scope.connection();
            connection.linked_user == link.what.linked_user && connection.connector == *connector
        });
        scope.map(Some).ok_or(Error::LinkClosed)
    }

    /// Stores a login of a link, or lets somebody choose the account.
    async fn settle(
        &self,
        version: &Arc<ConnectorVersion>,
        link: &ConnectLink,
        login: Login,
        again: Option<&Scope>,
    ) -> Result<LoggedIn, Error> {
        let account = match (again.map(Scope::connection), login.accounts.as_slice()) {
            (Some(connection), accounts) => the_same(connection, accounts)?.id.clone(),
            (None, [only]) => only.id.clone(),
            (None, _) => {
                let kept = PendingLogin {
                    connector: version.manifest().slug.clone(),
                    vertical: login.vertical,
                    scheme: login.scheme,
                    environment: login.environment,
                    settings: login.settings,
                    accounts: login.accounts,
                    credentials: login.credentials,
                };
                let choice = self.0.vault.keep_login(link, &kept).await?;
                return Ok(LoggedIn::Choose(choice));
            }
        };
        let connected = self.keep_by_link(version, link, login, &account, again);
        Ok(LoggedIn::Connected(Box::new(connected.await?)))
    }

    /// Stores a login, and uses the link up: of two who log in with it at once, one does.
    async fn keep_by_link(
        &self,
        version: &Arc<ConnectorVersion>,
        link: &ConnectLink,
        login: Login,
        account: &str,
        again: Option<&Scope>,
    ) -> Result<Connected, Error> {
        let store = &self.0.store;
        let again_id = again.map(|scope| scope.connection().id);
        let taken = store.take_connect_link(link.project, link.id, again_id);
        let taken = taken.await?.ok_or(Error::LinkClosed)?;
        let kept = self.store_login(version, login, Some(account), again).await;
        let made = kept.as_ref().ok();
        let made = made.map(|connected| connected.scope.connection().id);
        store.settle_connect_link(taken, made).await?;
        if made.is_some() {
            store.forget_pending_logins(link.project, link.id).await?;
        }
        kept
    }

    /// Stores a login with one of its accounts, the first where none is named.
    async fn store_login(
        &self,
        version: &Arc<ConnectorVersion>,
        login: Login,
        account: Option<&str>,
        again: Option<&Scope>,
    ) -> Result<Connected, Error> {
        let account = match (again.map(Scope::connection), account) {
            (Some(connection), _) => Some(the_same(connection, &login.accounts)?),
            (None, Some(id)) => login.accounts.iter().find(|account| account.id == id),
            (None, None) => login.accounts.first(),
        };
        let account = account.ok_or_else(|| Error::InvalidSetting {
            field: "account".to_owned(),
            message: format!("the login reaches {}", named(&login.accounts)),
        })?;
        let mut settings = login.settings;
        settings.extend(account.settings.clone());
        let new = NewConnection {
            id: ConnectionId::generate(&*self.0.entropy),
            linked_user: login.linked_user,
            connector: version.manifest().slug.clone(),
            vertical: again.map_or(login.vertical, |scope| scope.connection().vertical.clone()),
            scheme: login.scheme,
            environment: login.environment,
            account: Some(account.id.clone()),
            account_name: account.name.clone(),
            settings,
        };
        let objects: Vec<ObjectKind> = readable(version).collect();
        let (scope, token) = self
            .0
            .vault
            .connect(login.project, new, &login.credentials, &objects)
            .await?;
        self.0.work.notify_one();
        Ok(Connected {
            scope,
            token,
            return_url: None,
            accounts: login.accounts,
        })
    }
}

/// Where a login goes: that of a connection to where the connection is, whatever the project's
/// environment is by now.
fn environment(asked: Environment, again: Option<&Connection>) -> Environment {
    again.map_or(asked, |connection| connection.environment)
}

/// The account of a connection among those that a login reaches.
fn the_same<'accounts>(
    connection: &Connection,
    accounts: &'accounts [Account],
) -> Result<&'accounts Account, Error> {
    let same = accounts.iter().find(|account| {
        connection
            .account
            .as_deref()
            .is_none_or(|id| id == account.id)
    });
    same.ok_or_else(|| Error::OtherAccount {
        expected: connection
            .account_name
            .clone()
            .or_else(|| connection.account.clone())
            .unwrap_or_default(),
        reached: named(accounts),
    })
}

/// Accounts for a sentence.
fn named(accounts: &[Account]) -> String {
    let names = accounts
        .iter()
        .map(|account| account.name.as_deref().unwrap_or(&account.id));
    names.collect::<Vec<_>>().join(", ")
}

fn choose_scheme<'manifest>(
    manifest: &'manifest Manifest,
    request: &ConnectRequest,
) -> Result<&'manifest AuthScheme, Error> {
    if let Some(name) = &request.scheme {
        return manifest.scheme(name).ok_or_else(|| {
            let known: Vec<&str> = manifest.auth.iter().map(|one| one.name.as_str()).collect();
            Error::InvalidSetting {
                field: "scheme".to_owned(),
                message: format!("{name:?} is not one of {}", known.join(", ")),
            }
        });
    }
    let typed = |id: &str| {
        let aliases: &[&str] = if id == "api_key" {
            &["api_key", "apikey", "apiKey"]
        } else {
            &[]
        };
        request.fields.contains_key(id)
            || aliases
                .iter()
                .any(|alias| request.fields.contains_key(*alias))
    };
    let by_form = || {
        manifest
            .auth
            .iter()
            .filter(|scheme| !scheme.fields().is_empty())
    };
    // The published contract has no word for the scheme: what was typed tells it. A key is a key,
    // whichever name its form has.
    by_form()
        .find(|scheme| scheme.fields().iter().all(|field| typed(field.id)))
        .or_else(|| by_form().find(|scheme| scheme.fields().len() == 1 && typed("api_key")))
        .or_else(|| by_form().next())
        .ok_or_else(|| Error::InvalidSetting {
            field: "scheme".to_owned(),
            message: format!(
                "{} logs in through the browser only: start with POST /connections/oauth/start",
                manifest.slug
            ),
        })
}

fn choose_vertical(manifest: &Manifest, named: Option<&str>) -> Result<String, Error> {
    let verticals = manifest.verticals();
    let chosen = match named {
        Some(named) => verticals.iter().find(|vertical| **vertical == named),
        None => verticals.first(),
    };
    chosen
        .map(|vertical| (*vertical).to_owned())
        .ok_or_else(|| Error::InvalidSetting {
            field: "vertical".to_owned(),
            message: format!("{} serves {}", manifest.slug, verticals.join(", ")),
        })
}

/// Variables in their canonical spelling and settings with their defaults; no passwords, which
/// are credentials. What a connection has stays where nothing else was typed.
fn check_settings(
    manifest: &Manifest,
    fields: &BTreeMap<String, String>,
    again: Option<&Connection>,
) -> Result<BTreeMap<String, String>, Error> {
    let wrong = |field: &str, message: String| Error::InvalidSetting {
        field: field.to_owned(),
        message,
    };
    let mut settings = again.map_or_else(BTreeMap::new, |connection| connection.settings.clone());
    for (id, variable) in &manifest.variables {
        let value = fields
            .get(id)
            .filter(|value| !value.trim().is_empty())
            .or_else(|| again?.settings.get(id))
            .ok_or_else(|| wrong(id, format!("{} is needed", variable.title)))?;
        let value = variable
            .canonical(value)
            .map_err(|message| wrong(id, message))?;
        settings.insert(id.clone(), value);
    }
    for setting in &manifest.settings {
        let typed = fields.get(&setting.id).filter(|value| !value.is_empty());
        let kept = || again?.settings.get(&setting.id);
        let Some(value) = typed.or_else(kept).or(setting.default.as_ref()) else {
            if setting.required && !setting.is_after_login() {
                return Err(wrong(&setting.id, format!("{} is needed", setting.title)));
            }
            continue;
        };
        setting
            .check(value)
            .map_err(|message| wrong(&setting.id, message))?;
        if setting.kind != SettingType::Password {
            settings.insert(setting.id.clone(), value.clone());
        }
    }
    Ok(settings)
}
