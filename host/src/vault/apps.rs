//! OAuth apps: the projects' own, and those that the operator registered with providers.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, Vault};
use crate::{
    config::{Config, OAuth},
    model::{AuditEntry, AuthScheme, Environment, OAuthAppKey, ProjectId, Slug, Timestamp},
    store::StoredOAuthApp,
};

/// The first word of the context that secrets of projects' apps are sealed with.
pub(super) const LABEL: &str = "oauth_app";
/// How many projects' apps at a provider may sign its webhooks.
const MOST_SIGNERS: u32 = 100;
const LONGEST_ID: usize = 500;
const LONGEST_SECRET: usize = 16 * 1024;
const MOST_SCOPES: usize = 200;

/// Client ids and secrets by connector and vertical, and addresses in place of the manifest's.
#[derive(Clone, Debug, Default)]
pub struct OAuthApps {
    connectors: BTreeMap<Slug, OAuth>,
    /// What providers sign webhooks with, where that is the operator's.
    webhook_secrets: BTreeMap<Slug, SecretString>,
    /// `HUBSPOT_CRM_CLOUD_CLIENT_ID` and its like.
    variables: BTreeMap<String, SecretString>,
}

/// A registered app.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) client_id: String,
    /// None for a public client.
    pub(super) client_secret: Option<SecretString>,
    /// What it asks for in place of the manifest's scopes.
    pub(super) scopes: Option<Vec<String>>,
    pub(super) source: AppSource,
}

/// Where an app is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppSource {
    /// In the project.
    Project,
    /// Under `connectors.<slug>.oauth` of the configuration.
    Configuration,
    /// In variables such as `HUBSPOT_CRM_CLOUD_CLIENT_ID`.
    Variables,
}

/// An app that the operator registered, for all projects that have none of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerApp {
    /// What the provider calls it.
    pub client_id: String,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// Where it is set.
    pub source: AppSource,
}

/// A project's own app. Its secret is never shown.
#[derive(Clone, Debug)]
pub struct ProjectApp {
    /// What it is for.
    pub key: OAuthAppKey,
    /// What the provider calls it.
    pub client_id: String,
    /// Whether it has a secret.
    pub has_secret: bool,
    /// What it asks for in place of the connector's scopes.
    pub scopes: Option<Vec<String>>,
    /// When it was set first.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a project's app is to be.
#[derive(Clone, Debug)]
pub struct NewProjectApp {
    /// What the provider calls it.
    pub client_id: String,
    /// What it proves itself with.
    pub secret: AppSecret,
    /// What it asks for in place of the connector's scopes; none for those.
    pub scopes: Option<Vec<String>>,
}

/// What becomes of an app's secret.
#[derive(Clone, Debug)]
pub enum AppSecret {
    /// It stays: for an app with the same client id.
    Keep,
    /// There is none: a public client.
    None,
    /// This is it.
    New(SecretString),
}

/// Which login an app is wanted for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// One that begins.
    New,
    /// One that began with the app of this client id, and with no other.
    Begun(&'a str),
    /// One that was made, with the client id where it is known. Tokens belong to the app that got
    /// them, whatever was configured since.
    Made(Option<&'a str>),
}

/// Where a login belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Login<'a> {
    /// None where nothing is stored yet, and the customer's own client asks.
    pub(super) owner: Option<(ProjectId, Environment)>,
    pub(super) connector: &'a Slug,
    pub(super) vertical: &'a str,
    pub(super) scheme: &'a AuthScheme,
    pub(super) settings: &'a BTreeMap<String, String>,
}

impl Vault {
    /// A project's own apps, by connector.
    ///
    /// # Errors
    /// The database failed.
    pub async fn oauth_apps(&self, project: ProjectId) -> Result<Vec<ProjectApp>, Error> {
        let stored = self.inner.store.oauth_apps(project).await?;
        Ok(stored.into_iter().map(ProjectApp::from).collect())
    }

    /// The operator's app of a connector.
    #[must_use]
    pub fn server_oauth_app(&self, connector: &Slug, vertical: &str) -> Option<ServerApp> {
        let app = self.inner.oauth_apps.app(connector, vertical)?;
        Some(ServerApp {
            client_id: app.client_id,
            has_secret: app.client_secret.is_some(),
            source: app.source,
        })
    }

    /// Sets a project's own app in the place of what was there. `by` is for the audit log.
    ///
    /// # Errors
    /// [`Error::Field`] for the first value that cannot be right; the database failed.
    pub async fn set_oauth_app(
        &self,
        project: ProjectId,
        key: &OAuthAppKey,
        new: NewProjectApp,
        by: &str,
    ) -> Result<ProjectApp, Error> {
        let store = &self.inner.store;
        let before = store.oauth_app(project, key).await?;
        let client_id = checked_id(&new.client_id)?;
        let same = before.as_ref().filter(|app| app.client_id == client_id);
        let sealed_secret = match &new.secret {
            AppSecret::None => None,
            AppSecret::New(secret) => {
                let context = [LABEL, &project.to_string(), &key.to_string()];
                Some(self.seal(&context, checked_secret(secret)?.as_bytes()))
            }
            AppSecret::Keep => match same {
                Some(app) => app.sealed_secret.clone(),
                None => {
                    let message = "another client id needs its client secret".to_owned();
                    return Err(Error::field("client_secret", message));
                }
            },
        };
        let now = self.inner.clock.now();
        let app = StoredOAuthApp {
            key: key.clone(),
            client_id,
            sealed_secret,
            scopes: checked_scopes(new.scopes)?,
            created_at: before.as_ref().map_or(now, |app| app.created_at),
            updated_at: now,
        };
        let details = serde_json::json!({
            "client_id": app.client_id,
            "client_id_before": before.map(|app| app.client_id),
            "secret": match &new.secret {
                AppSecret::Keep => "kept",
                AppSecret::None => "none",
                AppSecret::New(_) => "new",
            },
            "scopes": app.scopes,
        });
        let entry = entry(now, project, by, "oauth_app.set", key, details);
        store.put_oauth_app(project, &app, &entry).await?;
        Ok(app.into())
    }

    /// Removes a project's own app; false where there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remove_oauth_app(
        &self,
        project: ProjectId,
        key: &OAuthAppKey,
        by: &str,
    ) -> Result<bool, Error> {
        let now = self.inner.clock.now();
        let details = serde_json::json!({});
        let entry = entry(now, project, by, "oauth_app.remove", key, details);
        let removed = self.inner.store.remove_oauth_app(project, key, &entry);
        Ok(removed.await?)
    }

    /// The app that a login is made with.
    pub(super) async fn app(&self, login: Login<'_>, wanted: Wanted<'_>) -> Result<App, Error> {
        let own = self.project_app(login).await?;
        let Login {
            connector,
            vertical,
            ..
        } = login;
        let servers = self.inner.oauth_apps.app(connector, vertical);
        let is_it = |app: &App, id: &str| app.client_id == id;
        let app = match wanted {
            Wanted::New => own.or(servers),
            // From before projects could have one.
            Wanted::Made(None) => servers.or(own),
            Wanted::Begun(id) => {
                let mut both = own.into_iter().chain(servers);
                let same = both.find(|app| is_it(app, id));
                return same.ok_or_else(|| Error::OtherApp(connector.clone()));
            }
            Wanted::Made(Some(id)) => match (own, servers) {
                (Some(own), _) if is_it(&own, id) => Some(own),
                (_, Some(servers)) if is_it(&servers, id) => Some(servers),
                (own, servers) => own.or(servers),
            },
        };
        app.ok_or_else(|| Error::NoOAuthApp {
            connector: connector.clone(),
            variable: name(connector, vertical, "CLIENT_ID"),
        })
    }

    /// The project's own app.
    pub(super) async fn project_app(&self, login: Login<'_>) -> Result<Option<App>, Error> {
        let Some((project, environment)) = login.owner else {
            return Ok(None);
        };
        let key = OAuthAppKey {
            connector: login.connector.clone(),
            scheme: login.scheme.name.clone(),
            environment,
        };
        let found = self.inner.store.oauth_app(project, &key).await?;
        found.map(|app| self.opened(project, app)).transpose()
    }

    /// The secrets of projects' apps at a provider: what it may sign webhooks with.
    pub(super) async fn signers(
        &self,
        connector: &Slug,
    ) -> Result<Vec<(ProjectId, SecretString)>, Error> {
        let store = &self.inner.store;
        let found = store.oauth_apps_of_connector(connector, MOST_SIGNERS + 1);
        let mut found = found.await?;
        if found.len() > MOST_SIGNERS as usize {
            found.truncate(MOST_SIGNERS as usize);
            tracing::warn!(%connector, "more than {MOST_SIGNERS} projects have an app here: webhooks of the later ones are not taken, their records are read by syncs only");
        }
        let mut signers = Vec::new();
        for (project, app) in found {
            match self.opened(project, app) {
                Ok(app) => signers.extend(app.client_secret.map(|secret| (project, secret))),
                Err(error) => {
                    tracing::error!(%project, %connector, %error, "cannot open an app's secret");
                }
            }
        }
        Ok(signers)
    }

    fn opened(&self, project: ProjectId, app: StoredOAuthApp) -> Result<App, Error> {
        let context = [LABEL, &project.to_string(), &app.key.to_string()];
        let open = |sealed: &Vec<u8>| {
            let text = self.open(&context, sealed)?;
            let text = std::str::from_utf8(&text);
            text.map(SecretString::from)
                .map_err(|_| Error::Sealed("its content is not what was put in"))
        };
        Ok(App {
            client_id: app.client_id,
            client_secret: app.sealed_secret.as_ref().map(open).transpose()?,
            scopes: app.scopes,
            source: AppSource::Project,
        })
    }
}

impl From<StoredOAuthApp> for ProjectApp {
    fn from(app: StoredOAuthApp) -> Self {
        Self {
            key: app.key,
            client_id: app.client_id,
            has_secret: app.sealed_secret.is_some(),
            scopes: app.scopes,
            created_at: app.created_at,
            updated_at: app.updated_at,
        }
    }
}

fn entry(
    at: Timestamp,
    project: ProjectId,
    by: &str,
    action: &str,
    key: &OAuthAppKey,
    details: serde_json::Value,
) -> AuditEntry {
    AuditEntry {
        at,
        project: Some(project),
        actor: by.to_owned(),
        action: action.to_owned(),
        subject: key.to_string(),
        details,
    }
}

fn checked_id(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let message = if text.is_empty() {
        "is needed"
    } else if text.len() > LONGEST_ID {
        "is too long"
    } else if text
        .chars()
        .any(|one| one.is_control() || one.is_whitespace())
    {
        "has white space inside"
    } else {
        return Ok(text.to_owned());
    };
    Err(Error::field(
        "client_id",
        format!("the client id {message}"),
    ))
}

fn checked_secret(secret: &SecretString) -> Result<&str, Error> {
    let text = secret.expose_secret().trim();
    let message = if text.is_empty() {
        "is needed"
    } else if text.len() > LONGEST_SECRET {
        "is too long"
    } else {
        return Ok(text);
    };
    let message = format!("the client secret {message}");
    Err(Error::field("client_secret", message))
}

fn checked_scopes(scopes: Option<Vec<String>>) -> Result<Option<Vec<String>>, Error> {
    let Some(scopes) = scopes else {
        return Ok(None);
    };
    let odd = |scope: &String| {
        scope.is_empty() || scope.len() > LONGEST_ID || scope.chars().any(char::is_control)
    };
    match scopes.len() > MOST_SCOPES || scopes.iter().any(odd) {
        false => Ok(Some(scopes)),
        true => Err(Error::field(
            "scopes",
            format!("scopes are at most {MOST_SCOPES} words"),
        )),
    }
}

impl OAuthApps {
    /// What the configuration says.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let oauth = config
            .connectors
            .iter()
            .map(|(slug, connector)| (slug.clone(), connector.oauth.clone()));
        Self {
            connectors: oauth.collect(),
            webhook_secrets: config
                .connectors
                .iter()
                .filter_map(|(slug, connector)| {
                    Some((slug.clone(), connector.webhook_secret.clone()?))
                })
                .collect(),
            variables: config.oauth_variables.clone(),
        }
    }

    /// `connectors.<slug>.webhook_secret`.
    pub(super) fn webhook_secret(&self, connector: &Slug) -> Option<&SecretString> {
        self.webhook_secrets.get(connector)
    }

    /// What the operator wrote under `connectors.<slug>.oauth`.
    pub(super) fn overrides(&self, connector: &Slug) -> Option<&OAuth> {
        self.connectors.get(connector)
    }

    /// The app of a connector: what `connectors.<slug>.oauth` says, else the variables. Id and
    /// secret are taken from the same place, for halves of two apps fit no provider.
    pub(super) fn app(&self, connector: &Slug, vertical: &str) -> Option<App> {
        let configured = self.connectors.get(connector).and_then(|oauth| {
            Some(App {
                client_id: oauth.client_id.clone()?,
                client_secret: oauth.client_secret.clone(),
                scopes: None,
                source: AppSource::Configuration,
            })
        });
        configured.or_else(|| {
            let variable = |attribute| self.variables.get(&name(connector, vertical, attribute));
            Some(App {
                client_id: variable("CLIENT_ID")?.expose_secret().to_owned(),
                client_secret: variable("CLIENT_SECRET").cloned(),
                scopes: None,
                source: AppSource::Variables,
            })
        })
    }
}

/// The variable that holds an attribute (`CLIENT_ID`, `CLIENT_SECRET`) of a connector's app.
#[must_use]
pub fn name(connector: &Slug, vertical: &str, attribute: &str) -> String {
    let connector = connector.as_str().replace('-', "_").to_ascii_uppercase();
    let vertical = vertical.to_ascii_uppercase();
    format!("{connector}_{vertical}_CLOUD_{attribute}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps(file: &str, variables: &[(&str, &str)]) -> OAuthApps {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::from_layers(Some(("test.toml", file)), variables).unwrap();
        OAuthApps::from_config(&config)
    }

    #[test]
    fn files_come_before_variables_of_the_older_spelling() {
        let variables = [
            ("DEMO_CRM_CRM_CLOUD_CLIENT_ID", "from-variable"),
            ("DEMO_CRM_CRM_CLOUD_CLIENT_SECRET", "canary"),
        ];
        let slug: Slug = "demo-crm".parse().unwrap();
        let found = apps("", &variables).app(&slug, "crm").unwrap();
        assert_eq!(found.client_id, "from-variable");
        assert_eq!(found.client_secret.unwrap().expose_secret(), "canary");
        assert!(apps("", &variables).app(&slug, "ticketing").is_none());

        let file = "[connectors.demo-crm.oauth]\nclient_id = \"from-file\"\n";
        let found = apps(file, &variables).app(&slug, "crm").unwrap();
        assert_eq!(found.client_id, "from-file");
        assert!(found.client_secret.is_none());
        assert!(!format!("{:?}", apps(file, &variables)).contains("canary"));
    }
}
