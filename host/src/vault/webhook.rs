//! The secrets that providers sign webhooks with.

use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, Vault, token};
use crate::model::{Manifest, ProjectId, Scope, WebhookSecret};

const PREFIX: &str = "whin_";

impl Vault {
    /// The secrets that webhooks of a connector may be signed with: those of its OAuth apps, or the
    /// operator's. With a project comes what concerns that project's connections only. Empty where
    /// nothing is configured, or each connection has its own.
    ///
    /// # Errors
    /// The database fails.
    pub async fn shared_webhook_secrets(
        &self,
        manifest: &Manifest,
    ) -> Result<Vec<(Option<ProjectId>, SecretString)>, Error> {
        let apps = &self.inner.oauth_apps;
        let slug = &manifest.slug;
        match manifest.webhooks.map(|webhooks| webhooks.secret) {
            Some(WebhookSecret::Client) => {
                let mut verticals = manifest.verticals().into_iter();
                let servers =
                    verticals.find_map(|vertical| apps.app(slug, vertical)?.client_secret);
                let own = self.signers(slug).await?.into_iter();
                let own = own.map(|(project, secret)| (Some(project), secret));
                Ok(servers
                    .map(|secret| (None, secret))
                    .into_iter()
                    .chain(own)
                    .collect())
            }
            Some(WebhookSecret::Operator) => {
                let secret = apps.webhook_secret(slug).cloned();
                Ok(secret.map(|secret| (None, secret)).into_iter().collect())
            }
            Some(WebhookSecret::Connection) | None => Ok(Vec::new()),
        }
    }

    /// The secret of one connection; made where there is none yet.
    ///
    /// # Errors
    /// The database fails, or what it has does not open.
    pub async fn connection_webhook_secret(&self, scope: &Scope) -> Result<SecretString, Error> {
        let sealed = match self.inner.store.inbound_secret(scope).await? {
            Some(sealed) => sealed,
            None => {
                let made = self.seal_webhook_secret(scope);
                self.inner
                    .store
                    .put_inbound_secret(scope, made, false)
                    .await?
            }
        };
        self.open_webhook_secret(scope, &sealed)
    }

    /// Another secret in place of the one before, which is good no more.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rotate_webhook_secret(&self, scope: &Scope) -> Result<SecretString, Error> {
        let made = self.seal_webhook_secret(scope);
        let sealed = self
            .inner
            .store
            .put_inbound_secret(scope, made, true)
            .await?;
        self.open_webhook_secret(scope, &sealed)
    }

    fn seal_webhook_secret(&self, scope: &Scope) -> Vec<u8> {
        let (secret, _, _) = token::generate(PREFIX, &*self.inner.entropy);
        let [project, connection] = names(scope);
        let context = ["inbound_secret", &project, &connection];
        self.seal(&context, secret.expose_secret().as_bytes())
    }

    fn open_webhook_secret(&self, scope: &Scope, sealed: &[u8]) -> Result<SecretString, Error> {
        let [project, connection] = names(scope);
        let text = self.open(&["inbound_secret", &project, &connection], sealed)?;
        match std::str::from_utf8(&text) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(Error::Sealed("its content is not what was put in")),
        }
    }
}

fn names(scope: &Scope) -> [String; 2] {
    [
        scope.project().to_string(),
        scope.connection().id.to_string(),
    ]
}
