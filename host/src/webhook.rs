//! Events on their way out: endpoints with their secrets, signed requests, what follows from the
//! answers.
//!
//! An event is written in the transaction of what it tells of, becomes a delivery for each endpoint
//! that wants it, and is tried until the receiver takes it or the schedule ends. Every attempt has
//! the same `webhook-id`: receivers get an event at least once, and can tell when it is twice.

mod deliver;
mod plan;
mod sign;

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::{
    egress::{self, Egress},
    model::{
        Attempt, Clock, DeliveryId, Entropy, EventPattern, NewWebhook, ProjectId, SealedSecret,
        Timestamp, Webhook, WebhookChange, WebhookId,
    },
    store::{self, Disabled, FinishedDelivery, Store},
    vault::{self, Vault},
};

pub use plan::Schedule;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of an endpoint cannot be used: why.
    #[error("the URL cannot be delivered to: {0}")]
    Url(String),
    /// The project has no such endpoint.
    #[error("there is no such webhook endpoint")]
    Missing,
    /// A secret does not open.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// How to deliver.
#[derive(Clone, Debug)]
pub struct Options {
    /// This process's name among those of the same database.
    pub owner: String,
    /// Waits before the attempts.
    pub schedule: Schedule,
    /// How long one attempt may take, the reading of the answer included.
    pub deadline: Duration,
    /// How long a claim holds; longer than the deadline.
    pub lease: Duration,
    /// After how long of nothing but failures an endpoint is disabled.
    pub disable_after: Duration,
}

/// Endpoints, and deliveries to them. Clones share everything.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    store: Store,
    egress: Egress,
    vault: Vault,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    options: Options,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Webhooks")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Webhooks {
    /// Nothing is delivered by itself: `jobs` does that.
    #[must_use]
    pub fn new(
        store: Store,
        egress: Egress,
        vault: Vault,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: Options,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            egress,
            vault,
            clock,
            entropy,
            options,
        }))
    }

    /// How deliveries are made.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Makes an endpoint; itself, and its secret, which is told this once.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Store`].
    pub async fn create(
        &self,
        project: ProjectId,
        url: &str,
        description: String,
        scopes: Vec<EventPattern>,
    ) -> Result<(Webhook, SecretString), Error> {
        let id = WebhookId::generate(&*self.0.entropy);
        let secret = sign::new_secret(&*self.0.entropy);
        let new = NewWebhook {
            id,
            url: self.checked(url)?,
            description,
            scopes,
            sealed_secret: self.seal(project, id, &secret),
        };
        Ok((self.0.store.create_webhook(project, new).await?, secret))
    }

    /// Changes an endpoint; how it is then.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Missing`], [`Error::Store`].
    pub async fn change(
        &self,
        project: ProjectId,
        id: WebhookId,
        mut change: WebhookChange,
    ) -> Result<Webhook, Error> {
        if let Some(url) = &mut change.url {
            *url = self.checked(url)?;
        }
        let changed = self.0.store.change_webhook(project, id, change).await?;
        let webhook = changed.ok_or(Error::Missing)?;
        if webhook.active {
            self.0.store.deliveries_due().notify_one();
        }
        Ok(webhook)
    }

    /// Gives an endpoint a new secret, which is told this once. The one before signs too for
    /// `overlap`.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Store`].
    pub async fn rotate(
        &self,
        project: ProjectId,
        id: WebhookId,
        overlap: Duration,
    ) -> Result<(Webhook, SecretString), Error> {
        let secret = sign::new_secret(&*self.0.entropy);
        let sealed = self.seal(project, id, &secret);
        let until = self.0.clock.now().plus(overlap);
        let rotated = self.0.store.rotate_webhook(project, id, sealed, until);
        Ok((rotated.await?.ok_or(Error::Missing)?, secret))
    }

    /// Sends an event of the type `webhook.test` now, whatever the endpoint wants and whether it
    /// is active or not; the delivery, and what came of it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn test(&self, webhook: Webhook) -> Result<(DeliveryId, Attempt), Error> {
        let options = &self.0.options;
        let webhook = Arc::new(webhook);
        let claimed = self
            .0
            .store
            .claim_test(&webhook, &options.owner, options.lease)
            .await?;
        let finished = self.deliver(claimed).await;
        self.finish(std::slice::from_ref(&finished)).await?;
        Ok((finished.id, finished.attempt))
    }

    /// Writes down what came of attempts; endpoints that are disabled for it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish(
        &self,
        finished: &[FinishedDelivery],
    ) -> Result<Vec<Disabled>, store::Error> {
        let patience = self.0.options.disable_after;
        self.0.store.finish_deliveries(finished, patience).await
    }

    /// Whether `signature` is the contract's signature of `data` under `secret`, however its keys
    /// are ordered.
    #[must_use]
    pub fn verify(data: &Value, signature: &str, secret: &SecretString) -> bool {
        sign::is_contract(secret, data, signature)
    }

    fn checked(&self, text: &str) -> Result<String, Error> {
        let url =
            Url::parse(text).map_err(|_| Error::Url(format!("{:?} is no URL", shortened(text))))?;
        self.0.egress.permits(&url).map_err(|error| match error {
            egress::Error::Denied(text) | egress::Error::Invalid(text) => Error::Url(text),
            other => Error::Url(other.to_string()),
        })?;
        Ok(url.to_string())
    }

    fn seal(&self, project: ProjectId, id: WebhookId, secret: &SecretString) -> Vec<u8> {
        let (project, id) = (project.to_string(), id.to_string());
        let plain = secret.expose_secret().as_bytes();
        self.0.vault.seal(&["webhook_secret", &project, &id], plain)
    }

    /// The secrets that sign at a moment, the current one first.
    fn secrets(&self, webhook: &Webhook, at: Timestamp) -> Result<Vec<SecretString>, Error> {
        let SealedSecret {
            current,
            previous,
            previous_until,
        } = &webhook.secret;
        let (project, id) = (webhook.project.to_string(), webhook.id.to_string());
        let context = ["webhook_secret", project.as_str(), id.as_str()];
        let overlaps = previous_until.is_some_and(|until| at < until);
        let previous = previous.iter().filter(|_| overlaps);
        std::iter::once(current)
            .chain(previous)
            .map(|sealed| {
                let plain = self.0.vault.open(&context, sealed)?;
                let text = std::str::from_utf8(&plain)
                    .map_err(|_| vault::Error::Sealed("it is damaged, or belongs elsewhere"))?;
                Ok(text.into())
            })
            .collect()
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
