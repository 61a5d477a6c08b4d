//! New connections: check what was typed, try the credentials, store, and start the first sync.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::SecretString;
use url::Url;

use super::{Error, Unify, sync::readable};
use crate::{
    egress::{Downstream, Priority, Unlimited},
    model::{
        AuthScheme, ConnectionId, Environment, LinkedUserId, Manifest, NewConnection, ObjectKind,
        ProjectId, Scope, SettingType, Slug, Usage,
    },
    runtime::{CallContext, CallError, ConnectorVersion, Failure},
    vault::Credentials,
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
}

/// A login in the browser, to be started.
#[derive(Debug)]
pub struct OAuthRequest {
    /// As for a form, with variables and settings only.
    pub connect: ConnectRequest,
    /// Where the browser goes in the end.
    pub return_url: Option<Url>,
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
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connected")
            .field("connection", &self.scope.connection().id)
            .finish_non_exhaustive()
    }
}

impl Unify {
    /// Makes a connection of what was typed. The credentials are tried before they are stored.
    ///
    /// # Errors
    /// Something is missing or wrong, or the provider refuses it.
    pub async fn connect(&self, request: ConnectRequest) -> Result<Connected, Error> {
        let version = self.version(&request.connector)?;
        let manifest = version.manifest();
        let scheme = choose_scheme(manifest, &request)?;
        let settings = check_settings(manifest, &request.fields)?;
        let credentials =
            self.0
                .vault
                .credentials_from_fields(manifest, scheme, &request.fields)?;
        self.finish(&version, scheme, request, settings, credentials, None)
            .await
    }

    /// The address to send the end customer's browser to.
    ///
    /// # Errors
    /// The connector has no such login, a setting is wrong, or the operator has not configured an
    /// OAuth app for it.
    pub async fn start_oauth(&self, request: OAuthRequest) -> Result<Url, Error> {
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
        let settings = check_settings(manifest, &request.connect.fields)?;
        let vertical = choose_vertical(manifest, request.connect.vertical.as_deref())?;
        Ok(self
            .0
            .vault
            .start_oauth(
                request.connect.project,
                request.connect.linked_user,
                manifest,
                scheme,
                request.connect.environment,
                settings,
                &vertical,
                request.return_url,
                &request.redirect_uri,
            )
            .await?)
    }

    /// Makes a connection of the code that the provider sent the browser back with.
    ///
    /// # Errors
    /// The state is unknown, used or too old, or the provider refuses the code.
    pub async fn finish_oauth(
        &self,
        state: &str,
        code: &str,
        redirect_uri: &Url,
    ) -> Result<Connected, Error> {
        let finished = self
            .0
            .vault
            .finish_oauth(
                state,
                code,
                |slug| Some(Arc::clone(self.0.runtime.active(slug)?.manifest())),
                redirect_uri,
            )
            .await?;
        let version = self.version(&finished.connector)?;
        let scheme =
            version
                .manifest()
                .scheme(&finished.scheme)
                .ok_or_else(|| Error::InvalidSetting {
                    field: "scheme".to_owned(),
                    message: "the connector changed during the login; start again".to_owned(),
                })?;
        let request = ConnectRequest {
            project: finished.project,
            linked_user: finished.linked_user,
            connector: finished.connector,
            scheme: Some(finished.scheme),
            vertical: Some(finished.vertical),
            environment: finished.environment,
            fields: BTreeMap::new(),
        };
        self.finish(
            &version,
            scheme,
            request,
            finished.settings,
            finished.credentials,
            finished.return_url,
        )
        .await
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

    async fn finish(
        &self,
        version: &Arc<ConnectorVersion>,
        scheme: &AuthScheme,
        request: ConnectRequest,
        mut settings: BTreeMap<String, String>,
        credentials: Credentials,
        return_url: Option<Url>,
    ) -> Result<Connected, Error> {
        let manifest = version.manifest();
        let vertical = choose_vertical(manifest, request.vertical.as_deref())?;
        let id = ConnectionId::generate(&*self.0.entropy);
        let authorizer = self.0.vault.provisional_authorizer(
            manifest,
            scheme,
            &vertical,
            &settings,
            &credentials,
        );
        let context = CallContext {
            id: id.to_string(),
            environment: request.environment,
            account: None,
            settings: settings.clone(),
            authorizer,
            downstream: Downstream::default(),
            budget: Arc::new(Unlimited),
            priority: Priority::Interactive,
            usage: Usage::default(),
        };
        let accounts = version
            .authenticate(context)
            .await
            .map_err(|error| match error {
                CallError::Failure(Failure::Unauthorized(text)) => Error::CredentialsRefused(text),
                CallError::Failure(failure) => Error::Provider(failure),
                stopped => Error::Connector(stopped),
            })?;
        // A login that reaches several accounts connects the first; choosing is the connect
        // page's business.
        let account = accounts.into_iter().next().ok_or_else(|| {
            Error::Contract("authenticate answered neither an account nor a failure".to_owned())
        })?;
        for setting in account.settings {
            settings.insert(setting.key, setting.value);
        }
        let new = NewConnection {
            id,
            linked_user: request.linked_user,
            connector: request.connector,
            vertical,
            scheme: scheme.name.clone(),
            environment: request.environment,
            account: Some(account.remote_id),
            account_name: account.display_name,
            settings,
        };
        let objects: Vec<ObjectKind> = readable(version).collect();
        let (scope, token) = self
            .0
            .vault
            .connect(request.project, new, &credentials, &objects)
            .await?;
        self.0.work.notify_one();
        Ok(Connected {
            scope,
            token,
            return_url,
        })
    }
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
/// are credentials.
fn check_settings(
    manifest: &Manifest,
    fields: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    let wrong = |field: &str, message: String| Error::InvalidSetting {
        field: field.to_owned(),
        message,
    };
    let mut settings = BTreeMap::new();
    for (id, variable) in &manifest.variables {
        let value = fields
            .get(id)
            .filter(|value| !value.trim().is_empty())
            .ok_or_else(|| wrong(id, format!("{} is needed", variable.title)))?;
        let value = variable
            .canonical(value)
            .map_err(|message| wrong(id, message))?;
        settings.insert(id.clone(), value);
    }
    for setting in &manifest.settings {
        let typed = fields.get(&setting.id).filter(|value| !value.is_empty());
        let Some(value) = typed.or(setting.default.as_ref()) else {
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
