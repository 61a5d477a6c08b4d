//! The workers that push what our applications changed: claim, write, note what came of it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::{
    model::Clock,
    runtime::Failure,
    store::{self, ClaimedChange, Store},
    telemetry::chain,
    unify::{Error, Unify},
};

/// Time between two looks for due work where nothing rings.
const POLL: Duration = Duration::from_secs(1);
/// The first wait after a failed push; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after a failed push.
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);

/// The workers of this process.
#[derive(Clone)]
pub struct PushWorkers {
    store: Store,
    unify: Unify,
    clock: Arc<dyn Clock>,
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
    pub fn new(store: Store, unify: Unify, clock: Arc<dyn Clock>, options: &Options) -> Self {
        Self {
            store,
            unify,
            clock,
            owner: options.owner.clone(),
            workers: options.workers,
            lease: options.lease,
        }
    }

    /// Works until `stop`, then lets running pushes end.
    pub async fn run(self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.workers as usize));
        let due = self.store.changes_due();
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            let free = u32::try_from(permits.available_permits()).unwrap_or(u32::MAX);
            let claimed = if free == 0 {
                Vec::new()
            } else {
                self.claim(free).await
            };
            let found = !claimed.is_empty();
            for claim in claimed {
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return;
                };
                let worker = self.clone();
                running.spawn(async move {
                    worker.push(claim).await;
                    drop(permit);
                });
            }
            while running.try_join_next().is_some() {}
            if found {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = due.notified() => {}
                _ = running.join_next(), if !running.is_empty() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn claim(&self, most: u32) -> Vec<ClaimedChange> {
        let claimed = self
            .store
            .claim_changes(&self.owner, self.lease, most)
            .await;
        claimed.unwrap_or_else(|error| {
            tracing::error!(error = %error, "due changes cannot be read");
            Vec::new()
        })
    }

    async fn push(&self, claimed: ClaimedChange) {
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
        let text = chain(&error);
        let config = self
            .store
            .sync_config(&claimed.scope, claimed.change.kind)
            .await;
        let tries = config.map_or(5, |config| config.max_retries);
        let wait = wait(&error, claimed.change.attempt, tries);
        tracing::warn!(
            change = %id, object = %claimed.change.kind, attempt = claimed.change.attempt,
            error = text, again = wait.is_some(), "a change was not pushed"
        );
        let written = match wait {
            Some(wait) => {
                let at = self.clock.now().plus(wait);
                self.store.retry_push(&claimed, &text, at).await
            }
            None => self.store.fail_push(&claimed, &text).await,
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
}

/// How long to wait before the next try; none where another one would end alike.
fn wait(error: &Error, attempt: u32, most: u32) -> Option<Duration> {
    match error {
        // Claims are of connections that work: it waits for the login.
        Error::NeedsReconnect(_) => return Some(FIRST_RETRY),
        Error::Provider(Failure::RateLimited(wait)) => {
            return Some(wait.unwrap_or(FIRST_RETRY * 5).max(FIRST_RETRY));
        }
        Error::Provider(
            Failure::Invalid { .. } | Failure::Forbidden(_) | Failure::Unsupported(_),
        )
        | Error::Invalid(_)
        | Error::UnknownReference { .. }
        | Error::ObjectUnsupported { .. }
        | Error::OperationUnsupported { .. } => return None,
        _ => {}
    }
    let doubled =
        FIRST_RETRY.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(12)));
    (attempt <= most).then(|| doubled.min(LONGEST_RETRY))
}
