//! The sync workers: claim what is due, read page after page, write down how it ended.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{Clock, Entropy, Schedule, SyncConfig, Timestamp},
    runtime::{CallError, Failure},
    store::{ClaimedSync, Renewal, Store, SyncOutcome, planned},
    telemetry::METRICS,
    unify::{Error, SyncProgress, Unify},
};

/// Time between two looks for due work where nothing rings.
const POLL: Duration = Duration::from_secs(1);
/// Pages after which a run is taken for endless.
const MAX_PAGES: u64 = 100_000;
/// Pages after which a run goes to the end of the queue, so that a long one keeps no worker from
/// other projects.
const PAGES_IN_TURN: u64 = 50;
/// The longest wait after a first failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_secs(10);
/// The longest of these waits.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

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
    entropy: Arc<dyn Entropy>,
    options: Options,
}

/// How a turn of a claim ended.
enum Turn {
    /// The run did, one way or the other, and that is written down.
    Over,
    /// The claim was lost, and nothing is to be written.
    Lost,
    /// The run is to go on later, from the last page.
    Unfinished,
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
    pub fn new(
        store: Store,
        unify: Unify,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: Options,
    ) -> Self {
        Self {
            store,
            unify,
            clock,
            entropy,
            options,
        }
    }

    /// Works until `stop`, then lets running pages end and gives the claims back: another host
    /// goes on at once. Whoever does not wait for that calls [`Store::release_syncs_of`].
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

    async fn work_off(&self, claimed: ClaimedSync, stop: &CancellationToken) {
        let mut claimed = claimed;
        if let Turn::Unfinished = self.turn(&mut claimed, stop).await
            && let Err(error) = self.store.release_sync(&claimed).await
        {
            tracing::warn!(error = %error, "a sync cannot be given back; its lease will run out");
        }
    }

    /// Reads pages until the run, the turn or the claim ends, or somebody pauses the sync.
    async fn turn(&self, claimed: &mut ClaimedSync, stop: &CancellationToken) -> Turn {
        let config = &claimed.state.config;
        // Each claim counts, so a run that kills its process again and again ends here.
        if claimed.state.attempt > config.max_retries.saturating_add(1) {
            let outcome = SyncOutcome::GivenUp {
                error: "every attempt ended without a word: the process was stopped or killed in the middle of a page".to_owned(),
                restart: true,
            };
            return self.finish(claimed, outcome, None).await;
        }
        for _ in 0..PAGES_IN_TURN {
            let progress = match self.page(claimed).await {
                None => return Turn::Lost,
                Some(Ok(progress)) => progress,
                Some(Err(Error::Store(crate::store::Error::LeaseLost))) => {
                    tracing::warn!(object = %claimed.kind, "another process went on with this sync");
                    return Turn::Lost;
                }
                Some(Err(error)) => return self.fail(claimed, &error).await,
            };
            claimed.state.pages += 1;
            claimed.state.records_read += progress.records as u64;
            if progress.done {
                tracing::info!(
                    connection = %claimed.scope.connection().id,
                    object = %claimed.kind,
                    records = claimed.state.records_read,
                    "sync completed"
                );
                let since = Some(progress.run_started_at);
                return self
                    .finish(claimed, SyncOutcome::Completed { since }, None)
                    .await;
            }
            if claimed.state.pages >= MAX_PAGES {
                let endless = Error::Contract(format!("{MAX_PAGES} pages and no end"));
                return self.fail(claimed, &endless).await;
            }
            if stop.is_cancelled() {
                return Turn::Unfinished;
            }
            match self.store.renew_sync(claimed, self.options.lease).await {
                Ok(Renewal::Held) => {}
                Ok(Renewal::Paused) => return Turn::Unfinished,
                Ok(Renewal::Lost) => return Turn::Lost,
                Err(error) => return self.fail(claimed, &Error::Store(error)).await,
            }
        }
        Turn::Unfinished
    }

    /// One page, while the claim is held however long that takes; none where it was lost.
    async fn page(&self, claimed: &mut ClaimedSync) -> Option<Result<SyncProgress, Error>> {
        let held = claimed.clone();
        let page = self.unify.sync_page(claimed);
        tokio::pin!(page);
        loop {
            tokio::select! {
                result = &mut page => return Some(result),
                () = tokio::time::sleep(self.options.lease / 3) => {
                    match self.store.renew_sync(&held, self.options.lease).await {
                        Ok(Renewal::Held | Renewal::Paused) => {}
                        Ok(Renewal::Lost) => return None,
                        // The page's own write will tell whether the claim holds.
                        Err(error) => tracing::warn!(error = %error, "a lease cannot be renewed"),
                    }
                }
            }
        }
    }

    async fn fail(&self, claimed: &ClaimedSync, error: &Error) -> Turn {
        let (attempt, most) = (claimed.state.attempt, claimed.state.config.max_retries);
        let retry = is_worth_a_retry(error) && attempt <= most;
        let text = error.to_string();
        let (outcome, next) = if retry {
            let next = self.clock.now().plus(self.wait(attempt, error));
            (SyncOutcome::Failed { error: text }, Some(next))
        } else {
            // The saved cursor is good where the provider was only away.
            let restart = !is_passing(error);
            let outcome = SyncOutcome::GivenUp {
                error: text,
                restart,
            };
            (outcome, None)
        };
        tracing::warn!(
            connection = %claimed.scope.connection().id,
            object = %claimed.kind,
            attempt,
            given_up = !retry,
            error = %error,
            "sync failed"
        );
        self.finish(claimed, outcome, next).await
    }

    /// Writes down how a run ended. Without `next` the schedule says when the next one is due.
    async fn finish(
        &self,
        claimed: &ClaimedSync,
        outcome: SyncOutcome,
        next: Option<Timestamp>,
    ) -> Turn {
        let word = match &outcome {
            SyncOutcome::Completed { .. } => "completed",
            SyncOutcome::Failed { .. } => "failed",
            SyncOutcome::GivenUp { .. } => "given_up",
        };
        let connector = claimed.scope.connection().connector.as_str();
        METRICS.sync_runs.add([connector, word], 1);
        let next = match next {
            Some(next) => next,
            None => self.planned(claimed).await,
        };
        if let Err(error) = self.store.finish_sync(claimed, outcome, next).await {
            tracing::error!(error = %error, "the end of a sync cannot be written; it will be run again");
        }
        Turn::Over
    }

    /// The schedule's next time: for cron the slot after the one at work and after now, else
    /// counted from now. The configuration may have changed since the claim.
    async fn planned(&self, claimed: &ClaimedSync) -> Timestamp {
        let now = self.clock.now();
        let schedule = async {
            let config: SyncConfig = self.store.sync_config(&claimed.scope, claimed.kind).await?;
            let interval = self.options.interval;
            self.store
                .schedule_of(&claimed.scope, &config, interval)
                .await
        };
        match schedule.await {
            Ok(schedule @ Schedule::Cron { .. }) => {
                planned(&schedule, now.max(claimed.state.next_run_at))
            }
            Ok(schedule) => planned(&schedule, now),
            Err(error) => {
                tracing::error!(error = %error, "the schedule of a sync cannot be read");
                now.plus(self.options.interval)
            }
        }
    }

    /// Never earlier than the provider asks for; otherwise any time up to 10 s, doubled with each
    /// attempt up to an hour, so that many that failed together do not come back together.
    fn wait(&self, attempt: u32, error: &Error) -> Duration {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        let share = |most: Duration| {
            let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
            Duration::from_millis(u64::from_be_bytes(bytes) % millis)
        };
        if let Error::Provider(Failure::RateLimited(Some(wait)))
        | Error::Connector(CallError::Failure(Failure::RateLimited(Some(wait)))) = error
        {
            let wait = (*wait).max(Duration::from_secs(1));
            return wait.saturating_add(share(wait / 10));
        }
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(12));
        share(FIRST_RETRY.saturating_mul(doubled).min(LONGEST_RETRY)) + Duration::from_millis(100)
    }
}

/// Whether the next attempt may do better without anybody doing anything.
fn is_worth_a_retry(error: &Error) -> bool {
    !matches!(
        error,
        Error::Provider(Failure::Unsupported(_) | Failure::Forbidden(_))
            | Error::ObjectUnsupported { .. }
            | Error::NeedsReconnect(_)
    )
}

/// Whether it is not about what was asked for: asked again later, the same may well work.
fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Provider(Failure::RateLimited(_) | Failure::Unavailable(_) | Failure::Forbidden(_))
            | Error::NeedsReconnect(_)
            | Error::ConnectorUnavailable { .. }
            | Error::Store(_)
    )
}
