//! The use cases: connect, list, get, create, update, delete, and one page of a sync.
//!
//! HTTP handlers and jobs call these and know nothing of connectors. Everything is written once
//! for all objects: what differs from object to object is data.

mod budget;
mod connect;
mod connect_links;
mod content;
mod custom;
mod decide;
mod error;
mod expand;
mod failing;
mod fields;
mod inbound;
mod interactive;
mod live;
mod map;
mod outbound;
mod pass;
mod passthrough;
mod preview;
mod probe;
mod problem;
mod push;
mod rate_limits;
mod read;
mod reference;
mod refresh;
mod remap;
mod settings;
mod sync;
mod undo;
mod write;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::{
    egress::{Downstream, Priority},
    model::{
        Clock, Connection, ConnectionStatus, Entropy, ExchangeCause, ExchangeReason, ObjectKind,
        ObjectSupport, RunBy, RunId, Scope, Slug, Usage,
    },
    runtime::{CallContext, CallError, ConnectorVersion, Failure, Runtime},
    store::Store,
    telemetry,
    vault::Vault,
};

pub use connect::{ConnectRequest, Connected, LoggedIn, OAuthEnd, OAuthRequest};
pub use connect_links::LinkDraft;
pub use content::{Content, Format};
pub use decide::Decided;
pub use error::Error;
pub use expand::expandable;
pub use failing::FailureRetry;
pub use fields::{FieldChange, FieldDraft, MappingChange, MappingDraft};
pub use inbound::{Received, Refused};
pub use interactive::{Interactive, Noted, Reached};
pub use live::LivePage;
pub use outbound::{Preview, PreviewedField};
pub use passthrough::{
    MAX_ATTEMPTS, Passed, PassthroughRequest, PassthroughResponse, Retried, RetryEnd,
    StreamRequest, is_private,
};
pub use preview::{Previewed, RemoteFields};
pub use problem::LoginProblem;
pub use rate_limits::{BucketState, RateLimitState};
pub use remap::Remapped;
pub use settings::{SettingsChange, missing_settings};
pub use sync::SyncProgress;
pub use undo::Undone;

/// Everything that use cases need. Clones share it.
#[derive(Clone)]
pub struct Unify(Arc<Inner>);

struct Inner {
    store: Store,
    vault: Vault,
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    page_size: u32,
    stocks: budget::Stocks,
    work: Arc<Notify>,
    notices: Arc<Notify>,
    remaps: Arc<Notify>,
}

impl std::fmt::Debug for Unify {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Unify").finish_non_exhaustive()
    }
}

impl Unify {
    /// `page_size` is what a sync asks a connector for.
    #[must_use]
    pub fn new(
        store: Store,
        vault: Vault,
        runtime: Runtime,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        page_size: u32,
    ) -> Self {
        let stocks = budget::Stocks::new(store.clone());
        Self(Arc::new(Inner {
            stocks,
            store,
            vault,
            runtime,
            clock,
            entropy,
            page_size,
            work: Arc::new(Notify::new()),
            notices: Arc::new(Notify::new()),
            remaps: Arc::new(Notify::new()),
        }))
    }

    /// Rings when a sync became due: a hint for workers, which look by themselves too.
    #[must_use]
    pub fn work(&self) -> Arc<Notify> {
        Arc::clone(&self.0.work)
    }

    /// Rings when stored records are to be unified again because custom fields were changed.
    #[must_use]
    pub fn remaps(&self) -> Arc<Notify> {
        Arc::clone(&self.0.remaps)
    }

    /// Rings when a provider told of a change.
    #[must_use]
    pub fn notices(&self) -> Arc<Notify> {
        Arc::clone(&self.0.notices)
    }

    fn version(&self, slug: &Slug) -> Result<Arc<ConnectorVersion>, Error> {
        self.0
            .runtime
            .active(slug)
            .ok_or_else(|| match self.0.runtime.status(slug) {
                Some(status) => Error::ConnectorUnavailable {
                    connector: slug.clone(),
                    reason: status
                        .last_error
                        .unwrap_or_else(|| "its file is no longer in the folder".to_owned()),
                },
                None => Error::UnknownConnector(slug.clone()),
            })
    }

    /// The version that serves a connection, and what it does with an object.
    fn supported(version: &ConnectorVersion, kind: ObjectKind) -> Result<&ObjectSupport, Error> {
        version
            .manifest()
            .object(kind)
            .ok_or_else(|| Error::ObjectUnsupported {
                connector: version.manifest().slug.clone(),
                kind,
            })
    }

    fn context(&self, scope: &Scope, version: &ConnectorVersion) -> Result<CallContext, Error> {
        let connection: &Connection = scope.connection();
        let scheme = version
            .manifest()
            .scheme(&connection.scheme)
            .ok_or_else(|| {
                Error::NeedsReconnect(format!(
                    "the connector no longer has the login {:?}; connect again with another",
                    connection.scheme
                ))
            })?;
        Ok(CallContext {
            id: connection.id.to_string(),
            environment: connection.environment,
            account: connection.account.clone(),
            settings: connection.settings.clone(),
            authorizer: self.0.vault.authorizer(scope, scheme.clone()),
            downstream: Downstream::default(),
            budget: self.0.stocks.of(scope),
            priority: Priority::Background,
            usage: Usage::default(),
            reason: Some(reason_of(connection)),
        })
    }

    /// The same for an execution of a sync, which counts what its calls use.
    fn context_of(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        usage: &Usage,
        run: Option<RunId>,
    ) -> Result<CallContext, Error> {
        usage.by(RunBy {
            version: version.manifest().version.to_string(),
            digest: version.digest().to_string(),
        });
        Ok(CallContext {
            usage: usage.clone(),
            reason: Some(ExchangeReason {
                connection: scope.connection().number,
                cause: ExchangeCause::Sync,
                subject: run.map(|run| run.to_string()),
            }),
            ..self.context(scope, version)?
        })
    }

    /// The same for somebody who waits and wants to know of the provider's limits.
    fn context_for(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        how: &Interactive,
    ) -> Result<CallContext, Error> {
        Ok(CallContext {
            downstream: how.downstream.clone(),
            priority: Priority::Interactive,
            ..self.context(scope, version)?
        })
    }

    /// What a failed call means for the connection: dead credentials are written down.
    async fn failed(&self, scope: &Scope, error: CallError) -> Error {
        match error {
            CallError::Failure(Failure::Unauthorized(text)) => {
                let reason = format!("the provider refuses the credentials: {text}");
                let status = ConnectionStatus::NeedsReconnect;
                let written = self
                    .0
                    .store
                    .set_connection_status(scope, status, &reason)
                    .await;
                match written {
                    Ok(_) => Error::NeedsReconnect(reason),
                    Err(error) => Error::Store(error),
                }
            }
            CallError::Failure(failure) => Error::Provider(failure),
            stopped => Error::Connector(stopped),
        }
    }
}

/// What requests are written down under that are not an execution of a sync.
fn reason_of(connection: &Connection) -> ExchangeReason {
    let request = telemetry::request_id();
    ExchangeReason {
        connection: connection.number,
        cause: match request {
            Some(_) => ExchangeCause::Request,
            None => ExchangeCause::Background,
        },
        subject: request,
    }
}
