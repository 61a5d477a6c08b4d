//! The OAuth apps that the operator registered with providers.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    config::{Config, OAuth},
    model::Slug,
};

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
            })
        });
        configured.or_else(|| {
            let variable = |attribute| self.variables.get(&name(connector, vertical, attribute));
            Some(App {
                client_id: variable("CLIENT_ID")?.expose_secret().to_owned(),
                client_secret: variable("CLIENT_SECRET").cloned(),
            })
        })
    }
}

/// The variable that holds an attribute of a connector's app.
pub(super) fn name(connector: &Slug, vertical: &str, attribute: &str) -> String {
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
