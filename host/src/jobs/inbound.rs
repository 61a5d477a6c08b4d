//! The workers that read anew what providers told of by webhooks.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::sync::Options;
use crate::{
    model::Clock,
    runtime::{CallError, Failure},
    store::{ClaimedNotice, NoticeOutcome, Store},
    telemetry::METRICS,
    unify::{Error, Unify},
};

/// Time between two looks for due work where nothing rings.
const POLL: Duration = Duration::from_secs(1);
/// Looks after which what is over is forgotten.
const LOOKS: u32 = 3600;
/// Tries until a notice is given up; the next sync reads the record then.
const MOST_ATTEMPTS: u32 = 10;
/// The first wait after a failed try; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest wait.
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);

/// The workers of this process.
#[derive(Clone)]
pub struct InboundWorkers {
    store: Store,
    unify: Unify,
    clock: Arc<dyn Clock>,
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
    pub fn new(store: Store, unify: Unify, clock: Arc<dyn Clock>, options: &Options) -> Self {
        Self {
            store,
            unify,
            clock,
            workers: options.workers,
            lease: options.lease,
        }
    }

    /// Works until `stop`, then lets running reads end.
    pub async fn run(self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.workers as usize));
        let rung = self.unify.notices();
        let mut running = JoinSet::new();
        let mut looks = 0_u32;
        while !stop.is_cancelled() {
            if looks.is_multiple_of(LOOKS)
                && let Err(error) = self.store.forget_notices().await
            {
                tracing::warn!(error = %error, "old notices cannot be deleted");
            }
            looks = looks.wrapping_add(1);
            let free = u32::try_from(permits.available_permits()).unwrap_or(u32::MAX);
            let claimed = if free == 0 {
                Vec::new()
            } else {
                self.claim(free).await
            };
            let found = !claimed.is_empty();
            for notice in claimed {
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return;
                };
                let worker = self.clone();
                running.spawn(async move {
                    worker.work_off(notice).await;
                    drop(permit);
                });
            }
            while running.try_join_next().is_some() {}
            if found {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = rung.notified() => {}
                _ = running.join_next(), if !running.is_empty() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn claim(&self, most: u32) -> Vec<ClaimedNotice> {
        let claimed = self.store.claim_notices(self.lease, most).await;
        claimed.unwrap_or_else(|error| {
            tracing::error!(error = %error, "due notices cannot be read");
            Vec::new()
        })
    }

    async fn work_off(&self, notice: ClaimedNotice) {
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

    fn after(&self, notice: &ClaimedNotice, error: &Error) -> NoticeOutcome {
        let text = error.to_string();
        // Connections that need a new login are not claimed: the notice waits for it.
        let endless = matches!(error, Error::NeedsReconnect(_));
        if notice.attempt >= MOST_ATTEMPTS && !endless {
            return NoticeOutcome::Dead { error: text };
        }
        let wait = match error {
            Error::Provider(Failure::RateLimited(Some(wait)))
            | Error::Connector(CallError::Failure(Failure::RateLimited(Some(wait)))) => *wait,
            _ => {
                let doubled = 1_u32 << notice.attempt.saturating_sub(1).min(10);
                FIRST_RETRY.saturating_mul(doubled)
            }
        };
        NoticeOutcome::Retry {
            at: self.clock.now().plus(wait.min(LONGEST_RETRY)),
            error: text,
        }
    }
}
