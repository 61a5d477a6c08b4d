//! The workers that push what our applications changed: claim, write, note what came of it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Options,
    backoff::Backoff,
    queue::{self, Queue},
};
use crate::{
    model::{Clock, Entropy},
    runtime::Failure,
    store::{self, ClaimedChange, Store},
    unify::{Error, Unify},
};

/// Waits after failed pushes.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(2),
    longest: Duration::from_secs(15 * 60),
};

/// The workers of this process.
#[derive(Clone)]
pub struct PushWorkers {
    store: Store,
    unify: Unify,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    owner: String,
    workers: u32,
    lease: Duration,
}

impl std::fmt::Debug for PushWorkers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PushWorkers")
            .finish_non_exhaustive()
    }
}

impl PushWorkers {
    /// None runs yet: see [`Self::run`].
    #[must_use]
    pub fn new(
        store: Store,
        unify: Unify,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: &Options,
    ) -> Self {
        Self {
            store,
            unify,
            clock,
            entropy,
            owner: options.owner.clone(),
            workers: options.workers,
            lease: options.lease,
        }
    }

    /// Works until `stop`, then lets running pushes end.
    pub async fn run(self, stop: CancellationToken) {
        let (at_once, bell) = (self.workers, self.store.changes_due());
        queue::work(self, at_once, bell, stop).await;
    }
}

impl Queue for PushWorkers {
    type Claim = ClaimedChange;

    const NAME: &'static str = "changes";

    async fn claim(&self, most: u32) -> Result<Vec<ClaimedChange>, store::Error> {
        self.store
            .claim_changes(&self.owner, self.lease, most)
            .await
    }

    async fn work_off(self, claimed: ClaimedChange, _: CancellationToken) {
        let id = claimed.change.id;
        let pushed = tokio::select! {
            pushed = self.unify.push_change(&claimed) => pushed,
            never = self.hold(&claimed) => match never {},
        };
        let error = match pushed {
            Ok(Some(state)) => {
                return tracing::info!(change = %id, state = state.as_str(), "change pushed");
            }
            Ok(None) => return,
            Err(Error::Store(store::Error::LeaseLost)) => {
                return tracing::warn!(change = %id, "another process went on with this change");
            }
            Err(error) => error,
        };
        let failure = error.for_log(&claimed.usage);
        let config = self
            .store
            .sync_config(&claimed.scope, claimed.change.kind)
            .await;
        let tries = config.map_or(5, |config| config.max_retries);
        let wait = self.wait(&error, claimed.change.attempt, tries);
        tracing::warn!(
            change = %id, object = %claimed.change.kind, attempt = claimed.change.attempt,
            error = failure.message, again = wait.is_some(), "a change was not pushed"
        );
        let written = match wait {
            Some(wait) => {
                let at = self.clock.now().plus(wait);
                // A provider that says when is no failure of the change.
                let counts = error.wait().is_none();
                self.store.retry_push(&claimed, &failure, at, counts).await
            }
            None => self.store.fail_push(&claimed, &failure).await,
        };
        if let Err(error) = written {
            tracing::error!(error = %error, "the end of a push cannot be written; it will be tried again");
        }
    }
}

impl PushWorkers {
    /// Holds a claim while its push runs, for as long as it is there to be held.
    async fn hold(&self, claimed: &ClaimedChange) -> Infallible {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            match self.store.renew_push(claimed, self.lease).await {
                Ok(true) => {}
                // What was settled meanwhile ends by itself.
                Ok(false) => return std::future::pending().await,
                Err(error) => {
                    tracing::warn!(error = %error, "a claim of a change cannot be renewed now");
                }
            }
        }
    }

    /// How long to wait before the next try; none where another one would end alike.
    fn wait(&self, error: &Error, attempt: u32, most: u32) -> Option<Duration> {
        match error {
            Error::Provider(
                Failure::Invalid { .. } | Failure::Forbidden(_) | Failure::Unsupported(_),
            )
            | Error::Invalid(_)
            | Error::UnknownReference { .. }
            | Error::ObjectUnsupported { .. }
            | Error::OperationUnsupported { .. } => return None,
            // Claims are of connections that work: it waits for the login, or as the provider asks.
            Error::NeedsReconnect(_) | Error::Provider(Failure::RateLimited(_)) => {}
            _ if attempt > most => return None,
            _ => {}
        }
        Some(BACKOFF.wait(attempt, error, &*self.entropy))
    }
}
