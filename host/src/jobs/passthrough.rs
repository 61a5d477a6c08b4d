//! Sends passed-through requests again that a provider had no time for.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    model::Clock,
    store::{ClaimedRetry, Store},
    unify::Unify,
};

/// How often the queue is looked at.
const POLL: Duration = Duration::from_millis(500);
/// Longer than an exchange may take, so that no request is sent by two at once.
const SPARE: Duration = Duration::from_secs(30);
/// Requests at work at the same time.
const AT_ONCE: u32 = 8;
/// How long results are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// What is needed for it.
#[derive(Clone, Debug)]
pub struct RetryWorkers {
    /// The queue.
    pub store: Store,
    /// What sends.
    pub unify: Unify,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long one exchange may take.
    pub exchange_timeout: Duration,
}

impl RetryWorkers {
    /// Works until `stop`. What is at work then is sent again by another when its claim has run
    /// out: a request is sent at least once for each attempt.
    pub async fn run(self, stop: CancellationToken) {
        let mut pruned: Option<tokio::time::Instant> = None;
        // A refresh of the credentials and the second exchange after it are part of an attempt.
        let lease = self.exchange_timeout * 3 + SPARE;
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            if pruned.is_none_or(|time| time.elapsed() >= PRUNE_EVERY) {
                pruned = Some(tokio::time::Instant::now());
                let before = self.clock.now().minus(KEPT);
                if let Err(error) = self.store.prune_retries(before).await {
                    tracing::error!(error = %error, "old results of passthrough cannot be deleted");
                }
            }
            while running.try_join_next().is_some() {}
            let free = AT_ONCE.saturating_sub(u32::try_from(running.len()).unwrap_or(AT_ONCE));
            let claimed = match free {
                0 => Ok(Vec::new()),
                free => self.store.claim_retries(lease, free).await,
            };
            for claim in claimed.unwrap_or_else(|error| {
                tracing::error!(error = %error, "the queue of passthrough cannot be read");
                Vec::new()
            }) {
                let worker = self.clone();
                running.spawn(async move { worker.work_off(&claim).await });
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(POLL) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn work_off(&self, claimed: &ClaimedRetry) {
        let done = match self.unify.send_again(claimed).await {
            Ok(None) => {
                tracing::info!(id = %claimed.id, attempt = claimed.attempt, "a queued request ended");
                return;
            }
            Ok(Some(next_at)) => self.store.postpone_retry(claimed, next_at).await.map(drop),
            Err(error) => {
                tracing::error!(id = %claimed.id, error = %error, "a queued request cannot be sent; it is tried again");
                return;
            }
        };
        if let Err(error) = done {
            tracing::error!(id = %claimed.id, error = %error, "a queued request cannot be put back; it is tried again when its claim has run out");
        }
    }
}
