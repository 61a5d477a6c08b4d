//! The sync workers: claim what is due, read page after page, write down how it ended.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{Clock, Timestamp},
    runtime::Failure,
    store::{ClaimedSync, NEVER, Store, SyncOutcome},
    telemetry::METRICS,
    unify::{Error, Unify},
};

/// Time between two looks for due work where nothing rings.
const POLL: Duration = Duration::from_secs(1);
/// Pages after which a run is taken for endless.
const MAX_PAGES: u64 = 100_000;
/// The first wait after a failed run; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(10);

/// How to sync.
#[derive(Clone, Debug)]
pub struct Options {
    /// This process's name among those of the same database.
    pub owner: String,
    /// Runs at the same time.
    pub workers: u32,
    /// Time from the end of a run to the next, where the project chose none.
    pub interval: Duration,
    /// How long a claim holds without a sign of life.
    pub lease: Duration,
}

/// The workers of this process.
#[derive(Clone)]
pub struct SyncWorkers {
    store: Store,
    unify: Unify,
    clock: Arc<dyn Clock>,
    options: Options,
}

impl std::fmt::Debug for SyncWorkers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SyncWorkers")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl SyncWorkers {
    /// None runs yet: see [`Self::run`].
    #[must_use]
    pub fn new(store: Store, unify: Unify, clock: Arc<dyn Clock>, options: Options) -> Self {
        Self {
            store,
            unify,
            clock,
            options,
        }
    }

    /// Works until `stop`, then lets running pages end; a run that is cut short goes on from its
    /// last page when its claim has run out.
    pub async fn run(self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.options.workers as usize));
        let work = self.unify.work();
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
                let (worker, stop) = (self.clone(), stop.clone());
                running.spawn(async move {
                    worker.work_off(claim, &stop).await;
                    drop(permit);
                });
            }
            while running.try_join_next().is_some() {}
            if found {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = work.notified() => {}
                _ = running.join_next(), if !running.is_empty() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn claim(&self, most: u32) -> Vec<ClaimedSync> {
        let claimed = self
            .store
            .claim_syncs(&self.options.owner, self.options.lease, most)
            .await;
        claimed.unwrap_or_else(|error| {
            tracing::error!(error = %error, "due syncs cannot be read");
            Vec::new()
        })
    }

    async fn work_off(&self, mut claimed: ClaimedSync, stop: &CancellationToken) {
        let mut records = 0;
        for _ in 0..MAX_PAGES {
            match self.unify.sync_page(&mut claimed).await {
                Ok(progress) => {
                    records += progress.records;
                    if progress.done {
                        tracing::info!(
                            connection = %claimed.scope.connection().id,
                            object = %claimed.kind,
                            records,
                            "sync completed"
                        );
                        let since = Some(progress.run_started_at);
                        let next = match self.interval(&claimed).await {
                            Some(interval) => self.clock.now().plus(interval),
                            None => NEVER,
                        };
                        return self
                            .finish(&claimed, SyncOutcome::Completed { since }, next)
                            .await;
                    }
                }
                Err(Error::Store(crate::store::Error::LeaseLost)) => {
                    tracing::warn!(object = %claimed.kind, "another process went on with this sync");
                    return;
                }
                Err(error) => return self.give_up(&claimed, &error).await,
            }
            if stop.is_cancelled() {
                return;
            }
            match self.store.renew_sync(&claimed, self.options.lease).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.give_up(&claimed, &Error::Store(error)).await,
            }
        }
        let endless = Error::Contract(format!("{MAX_PAGES} pages and no end"));
        self.give_up(&claimed, &endless).await;
    }

    async fn give_up(&self, claimed: &ClaimedSync, error: &Error) {
        // What was asked for is tried again even where nothing runs by itself.
        let interval = self.interval(claimed).await;
        let interval = interval.unwrap_or(self.options.interval);
        let next = self.next_try(claimed, error, interval);
        tracing::warn!(
            connection = %claimed.scope.connection().id,
            object = %claimed.kind,
            attempt = claimed.state.attempt,
            next_run_at = %next,
            error = %error,
            "sync failed"
        );
        let outcome = SyncOutcome::Failed {
            error: error.to_string(),
        };
        self.finish(claimed, outcome, next).await;
    }

    /// From the end of a run to the next; none where the project wants no run by itself.
    async fn interval(&self, claimed: &ClaimedSync) -> Option<Duration> {
        match self.store.pull_frequency(&claimed.scope).await {
            Ok(Some(0)) => None,
            Ok(Some(seconds)) => Some(Duration::from_secs(seconds.into())),
            Ok(None) => Some(self.options.interval),
            Err(error) => {
                tracing::error!(error = %error, "the project's choice cannot be read");
                Some(self.options.interval)
            }
        }
    }

    async fn finish(&self, claimed: &ClaimedSync, outcome: SyncOutcome, next: Timestamp) {
        let word = match &outcome {
            SyncOutcome::Completed { .. } => "completed",
            SyncOutcome::Failed { .. } => "failed",
        };
        let connector = claimed.scope.connection().connector.as_str();
        METRICS.sync_runs.add([connector, word], 1);
        if let Err(error) = self.store.finish_sync(claimed, outcome, next).await {
            tracing::error!(error = %error, "the end of a sync cannot be written; it will be run again");
        }
    }

    /// What the provider asks for wins; otherwise 10 s, doubled with each attempt up to the
    /// interval. What a retry cannot help waits for the schedule.
    fn next_try(&self, claimed: &ClaimedSync, error: &Error, interval: Duration) -> Timestamp {
        let doubled = FIRST_RETRY
            .saturating_mul(2_u32.saturating_pow(claimed.state.attempt.saturating_sub(1).min(12)));
        let wait = match error {
            Error::Provider(Failure::RateLimited(Some(wait))) => {
                (*wait).max(Duration::from_secs(1))
            }
            Error::Provider(Failure::Unsupported(_) | Failure::Forbidden(_))
            | Error::ObjectUnsupported { .. }
            | Error::NeedsReconnect(_) => interval,
            _ => doubled.min(interval),
        };
        self.clock.now().plus(wait)
    }
}
