//! What providers send by themselves: verified and noted at once, read anew afterwards.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, Unify};
use crate::{
    model::{
        ConnectionId, Manifest, ObjectKind, ProjectId, Scope, Slug, Trigger, ValueSource,
        WebhookRoute, WebhookSecret,
    },
    runtime::{Failure, Incoming, Notice, Rejection, Reply},
    store::ClaimedNotice,
    telemetry::METRICS,
};

/// What a genuine request led to.
#[derive(Clone, Debug)]
pub struct Received {
    /// What the provider wants to be answered.
    pub answer: Option<Reply>,
    /// How many records are to be read anew.
    pub noted: usize,
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The connector reads no webhooks.
    NoWebhooks,
    /// The path names no connection, and the connector needs one there.
    NoConnection,
    /// The operator has not configured the secret: which key to set.
    NoSecret(String),
    /// Too many secrets were tried for requests like this one.
    TooMany,
    /// The connector refused it.
    Rejected(Rejection),
}

impl Unify {
    /// Verifies a provider's request in the sandbox and queues what it tells. When this answers,
    /// the notices are committed. `takes_more` is asked before a call in the sandbox beyond the
    /// first: each app that may have signed costs one.
    ///
    /// # Errors
    /// The connector does not serve or fails, or the database fails.
    pub async fn receive(
        &self,
        connector: &Slug,
        request: Incoming,
        takes_more: impl Fn() -> bool + Send,
    ) -> Result<Result<Received, Refused>, Error> {
        let version = self.version(connector)?;
        let manifest = version.manifest();
        let Some(webhooks) = manifest.webhooks else {
            return Ok(Err(Refused::NoWebhooks));
        };
        let named = match webhooks.route {
            WebhookRoute::Account => None,
            WebhookRoute::Connection => match self.named(connector, &request.path).await? {
                Some(scope) => Some(scope),
                None => {
                    count(connector, "unrouted");
                    return Ok(Err(Refused::NoConnection));
                }
            },
        };
        let secrets = self.webhook_secrets(manifest, named.as_ref()).await?;
        let mut signers = signers(secrets).into_iter();
        let Some(Signer { mut of, secret }) = signers.next() else {
            return Ok(Err(Refused::NoSecret(missing(manifest))));
        };
        let mut received = version.receive(request.clone(), secret).await;
        // One app after the other: which of them signed is only seen by trying.
        for signer in signers {
            if !matches!(received, Ok(Err(Rejection::Forged(_)))) {
                break;
            }
            if !takes_more() {
                count(connector, "throttled");
                return Ok(Err(Refused::TooMany));
            }
            of = signer.of;
            received = version.receive(request.clone(), signer.secret).await;
        }
        let receipt = match received {
            Ok(Ok(receipt)) => receipt,
            Ok(Err(rejection)) => {
                let (outcome, reason) = match &rejection {
                    Rejection::Forged(text) => ("forged", text),
                    Rejection::Malformed(text) => ("malformed", text),
                    Rejection::Unsupported(text) => ("unsupported", text),
                };
                count(connector, outcome);
                tracing::warn!(connector = %connector, outcome, reason, "a webhook was refused");
                return Ok(Err(Refused::Rejected(rejection)));
            }
            Err(error) => return Err(Error::Connector(error)),
        };
        let notices = self
            .routed(manifest, named.as_ref(), of.as_deref(), receipt.notices)
            .await?;
        if !notices.is_empty() {
            self.0.store.queue_notices(&notices).await?;
            self.0.notices.notify_one();
        }
        count(connector, "accepted");
        Ok(Ok(Received {
            answer: receipt.answer,
            noted: notices.len(),
        }))
    }

    /// The connection in the path.
    async fn named(&self, connector: &Slug, path: &str) -> Result<Option<Scope>, Error> {
        let first = path.split('/').next().unwrap_or_default();
        let Ok(id) = first.parse::<ConnectionId>() else {
            return Ok(None);
        };
        Ok(self.0.store.inbound_connection(connector, id).await?)
    }

    /// The secrets that a request may be signed with, each with the project that it speaks for;
    /// empty where the operator has to set one.
    async fn webhook_secrets(
        &self,
        manifest: &Manifest,
        named: Option<&Scope>,
    ) -> Result<Vec<(Option<ProjectId>, SecretString)>, Error> {
        let own = manifest
            .webhooks
            .is_some_and(|webhooks| webhooks.secret == WebhookSecret::Connection);
        match named.filter(|_| own) {
            Some(scope) => {
                let secret = self.0.vault.connection_webhook_secret(scope).await?;
                Ok(vec![(None, secret)])
            }
            None => {
                let mut secrets = self.0.vault.shared_webhook_secrets(manifest).await?;
                secrets.retain(|(project, _)| {
                    named
                        .zip(*project)
                        .is_none_or(|(scope, project)| scope.project() == project)
                });
                Ok(secrets)
            }
        }
    }

    /// Each notice for each connection that it concerns. With projects' own apps only those
    /// projects' connections are spoken of.
    async fn routed(
        &self,
        manifest: &Manifest,
        named: Option<&Scope>,
        of: Option<&[ProjectId]>,
        notices: Vec<Notice>,
    ) -> Result<Vec<(Scope, ObjectKind, Option<String>)>, Error> {
        let connector = &manifest.slug;
        let mut accounts: BTreeMap<String, Vec<Scope>> = BTreeMap::new();
        let mut routed = Vec::new();
        for notice in notices {
            let kind = ObjectKind::parse(&notice.object);
            let Some(kind) = kind.filter(|kind| manifest.object(*kind).is_some()) else {
                tracing::warn!(connector = %connector, object = notice.object, "a webhook speaks of an object that the manifest lacks");
                continue;
            };
            let scopes = match (named, &notice.account) {
                (Some(scope), _) => vec![scope.clone()],
                (None, None) => Vec::new(),
                (None, Some(account)) => match accounts.get(account) {
                    Some(scopes) => scopes.clone(),
                    None => {
                        let store = &self.0.store;
                        let mut scopes = store.connections_of_account(connector, account).await?;
                        scopes.retain(|scope| of.is_none_or(|of| of.contains(&scope.project())));
                        accounts.insert(account.clone(), scopes.clone());
                        scopes
                    }
                },
            };
            if scopes.is_empty() {
                count(connector, "unrouted");
            }
            let each = scopes.into_iter();
            routed.extend(each.map(|scope| (scope, kind, notice.remote_id.clone())));
        }
        Ok(routed)
    }

    /// Reads the record of a notice anew and stores it, with its event, as a sync does. A record
    /// that the provider no longer has is deleted here too.
    ///
    /// # Errors
    /// The provider, the connector or the database fails; the notice is to be tried again.
    pub async fn take_notice(&self, claimed: &ClaimedNotice) -> Result<(), Error> {
        let (scope, kind) = (&claimed.scope, claimed.kind);
        let Some(remote_id) = &claimed.remote_id else {
            return self.sync_object(scope, kind).await;
        };
        let version = self.version(&scope.connection().connector)?;
        Self::supported(&version, kind)?;
        let context = self.context(scope, &version)?;
        match self
            .refresh(
                scope,
                &version,
                kind,
                remote_id,
                ValueSource::Webhook,
                context,
            )
            .await
        {
            Ok(_) => Ok(()),
            // One that reads whole objects only.
            Err(Error::Provider(Failure::Unsupported(_))) => self.sync_object(scope, kind).await,
            Err(error) => Err(error),
        }
    }

    async fn sync_object(&self, scope: &Scope, kind: ObjectKind) -> Result<(), Error> {
        self.0.store.ensure_syncs(scope, &[kind]).await?;
        let store = &self.0.store;
        store
            .request_run(scope, kind, Trigger::Webhook, false)
            .await?;
        self.0.work.notify_one();
        Ok(())
    }
}

/// A secret that requests are signed with, and the projects that it speaks for; none where it is the
/// server's, which speaks for all.
struct Signer {
    of: Option<Vec<ProjectId>>,
    secret: SecretString,
}

/// Each secret once: projects may have the same app.
fn signers(secrets: Vec<(Option<ProjectId>, SecretString)>) -> Vec<Signer> {
    let mut signers: Vec<Signer> = Vec::new();
    for (project, secret) in secrets {
        let same = |known: &&mut Signer| known.secret.expose_secret() == secret.expose_secret();
        match signers.iter_mut().find(same) {
            Some(known) => {
                let of = known.of.take().zip(project);
                known.of = of.map(|(mut of, project)| {
                    of.push(project);
                    of
                });
            }
            None => {
                let of = project.map(|project| vec![project]);
                signers.push(Signer { of, secret });
            }
        }
    }
    signers
}

fn count(connector: &Slug, outcome: &str) {
    METRICS.inbound.add([connector.as_str(), outcome], 1);
}

fn missing(manifest: &Manifest) -> String {
    let slug = &manifest.slug;
    match manifest.webhooks.map(|webhooks| webhooks.secret) {
        Some(WebhookSecret::Client) => format!("connectors.{slug}.oauth.client_secret"),
        _ => format!("connectors.{slug}.webhook_secret"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(number: u32) -> ProjectId {
        let text = format!("00000000-0000-4000-8000-{number:012}");
        text.parse().expect("it is an id")
    }

    #[test]
    fn projects_with_the_same_app_are_told_together() {
        let [one, two] = [1, 2].map(project);
        let secrets = [
            (Some(one), "a"),
            (Some(two), "a"),
            (None, "b"),
            (Some(one), "b"),
        ];
        let secrets = secrets.map(|(project, secret)| (project, SecretString::from(secret)));
        let signers = signers(secrets.into());
        let of: Vec<_> = signers.iter().map(|signer| signer.of.clone()).collect();
        assert_eq!(of, [Some(vec![one, two]), None]);
    }
}
