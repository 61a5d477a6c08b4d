//! Sends passed-through requests again that a provider had no time for.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::queue::{self, Queue};
use crate::{
    store::{self, ClaimedRetry, Store},
    unify::Unify,
};

/// Longer than an exchange may take, so that no request is sent by two at once.
const SPARE: Duration = Duration::from_secs(30);
/// Requests at work at the same time.
const AT_ONCE: u32 = 8;

/// What is needed for it.
#[derive(Clone, Debug)]
pub struct RetryWorkers {
    /// The queue.
    pub store: Store,
    /// What sends.
    pub unify: Unify,
    /// How long one exchange may take.
    pub exchange_timeout: Duration,
}

impl RetryWorkers {
    /// Works until `stop`. What is at work then is sent again by another when its claim has run
    /// out: a request is sent at least once for each attempt.
    pub async fn run(self, stop: CancellationToken) {
        // Nobody rings: a request waits for its provider, and that is known beforehand.
        queue::work(self, AT_ONCE, Arc::default(), stop).await;
    }
}

impl Queue for RetryWorkers {
    type Claim = ClaimedRetry;

    const NAME: &'static str = "passthrough";

    async fn claim(&self, most: u32) -> Result<Vec<ClaimedRetry>, store::Error> {
        // A refresh of the credentials and the second exchange after it are part of an attempt.
        let lease = self.exchange_timeout * 3 + SPARE;
        self.store.claim_retries(lease, most).await
    }

    async fn work_off(self, claimed: ClaimedRetry, _: CancellationToken) {
        let claimed = &claimed;
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
