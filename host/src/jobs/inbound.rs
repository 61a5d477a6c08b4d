//! The workers that read anew what providers told of by webhooks.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    queue::{self, Queue},
    sync::Options,
};
use crate::{
    model::{Clock, Entropy},
    store::{self, ClaimedNotice, NoticeOutcome, Store},
    telemetry::METRICS,
    unify::{Error, Unify},
};

/// Tries until a notice is given up; the next sync reads the record then.
const MOST_ATTEMPTS: u32 = 10;
/// Waits after failed tries.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(10),
    longest: Duration::from_secs(15 * 60),
};

/// The workers of this process.
#[derive(Clone)]
pub struct InboundWorkers {
    store: Store,
    unify: Unify,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    workers: u32,
    lease: Duration,
}

impl std::fmt::Debug for InboundWorkers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("InboundWorkers")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl InboundWorkers {
    /// None runs yet: see [`Self::run`]. As many as sync, with the same lease.
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
            workers: options.workers,
            lease: options.lease,
        }
    }

    /// Works until `stop`, then lets running reads end.
    pub async fn run(self, stop: CancellationToken) {
        let (at_once, bell) = (self.workers, self.unify.notices());
        queue::work(self, at_once, bell, stop).await;
    }

    fn after(&self, notice: &ClaimedNotice, error: &Error) -> NoticeOutcome {
        let text = error.to_string();
        // Connections that need a new login are not claimed: the notice waits for it, as it does
        // for a provider that says when.
        let endless = matches!(error, Error::NeedsReconnect(_)) || error.wait().is_some();
        if notice.attempt >= MOST_ATTEMPTS && !endless {
            return NoticeOutcome::Dead { error: text };
        }
        let wait = BACKOFF.wait(notice.attempt, error, &*self.entropy);
        NoticeOutcome::Retry {
            at: self.clock.now().plus(wait),
            error: text,
        }
    }
}

impl Queue for InboundWorkers {
    type Claim = ClaimedNotice;

    const NAME: &'static str = "inbound webhooks";

    async fn claim(&self, most: u32) -> Result<Vec<ClaimedNotice>, store::Error> {
        self.store.claim_notices(self.lease, most).await
    }

    async fn work_off(self, notice: ClaimedNotice, _: CancellationToken) {
        let connector = notice.scope.connection().connector.as_str();
        let outcome = match self.unify.take_notice(&notice).await {
            Ok(()) => NoticeOutcome::Done,
            Err(error) => self.after(&notice, &error),
        };
        let name = match &outcome {
            NoticeOutcome::Done => "read",
            NoticeOutcome::Retry { .. } => "retried",
            NoticeOutcome::Dead { .. } => "dead",
        };
        METRICS.inbound.add([connector, name], 1);
        if let NoticeOutcome::Retry { error, .. } | NoticeOutcome::Dead { error } = &outcome {
            tracing::warn!(
                connection = %notice.scope.connection().id, object = %notice.kind,
                attempt = notice.attempt, outcome = name, error,
                "a record that a webhook told of cannot be read"
            );
        }
        if let Err(error) = self.store.finish_notice(&notice, &outcome).await {
            tracing::error!(error = %error, "a notice cannot be ended; its lease will run out");
        }
    }
}
