//! The sync workers: claim what is due, read page after page, write down how it ended.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    queue::{self, Queue},
};
use crate::{
    model::{Clock, Entropy, ErrorClass, RunError, Schedule, SyncConfig, Timestamp},
    runtime::Failure,
    store::{self, ClaimedSync, Renewal, Store, SyncOutcome, planned},
    telemetry::METRICS,
    unify::{Error, SyncProgress, Unify},
};

/// Pages after which a run goes to the end of the queue, so that a long one keeps no worker from
/// other projects.
const PAGES_IN_TURN: u64 = 50;
/// Waits after failed attempts.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(10),
    longest: Duration::from_secs(3600),
};

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
    /// Pages after which a run is taken for endless.
    pub max_pages: u64,
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
        let (at_once, bell) = (self.options.workers, self.unify.work());
        queue::work(self, at_once, bell, stop).await;
    }
}

impl Queue for SyncWorkers {
    type Claim = ClaimedSync;

    const NAME: &'static str = "syncs";

    async fn claim(&self, most: u32) -> Result<Vec<ClaimedSync>, store::Error> {
        let (owner, lease) = (&self.options.owner, self.options.lease);
        self.store.claim_syncs(owner, lease, most).await
    }

    async fn work_off(self, claimed: ClaimedSync, stop: CancellationToken) {
        let mut claimed = claimed;
        if let Turn::Unfinished = self.turn(&mut claimed, &stop).await
            && let Err(error) = self.store.release_sync(&claimed).await
        {
            tracing::warn!(error = %error, "a sync cannot be given back; its lease will run out");
        }
    }
}

impl SyncWorkers {
    /// Reads pages until the run, the turn or the claim ends, or somebody pauses the sync.
    async fn turn(&self, claimed: &mut ClaimedSync, stop: &CancellationToken) -> Turn {
        let config = &claimed.state.config;
        // Each claim counts, so a run that kills its process again and again ends here.
        if claimed.state.attempt > config.max_retries.saturating_add(1) {
            let text = "every attempt ended without a word: the process was stopped or killed in the middle of a page";
            let error = RunError::new(ErrorClass::Other, text);
            let outcome = SyncOutcome::Interrupted { error };
            return self.finish(claimed, outcome, None).await;
        }
        for _ in 0..PAGES_IN_TURN {
            let progress = match self.page(claimed).await {
                None | Some(Err(Error::Store(store::Error::LeaseLost))) => return lost(claimed),
                Some(Ok(progress)) => progress,
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
                let outcome = match progress.question {
                    None => SyncOutcome::Completed { since },
                    Some(question) => SyncOutcome::Stopped { since, question },
                };
                return self.finish(claimed, outcome, None).await;
            }
            let most = self.options.max_pages;
            if claimed.state.pages >= most {
                let endless = Error::Contract(format!(
                    "{most} pages and no end: where the provider has that many records, set sync.max_pages"
                ));
                // There would be one more page each time.
                return self.end(claimed, &endless, false).await;
            }
            if stop.is_cancelled() {
                return Turn::Unfinished;
            }
            match self.store.renew_sync(claimed, self.options.lease).await {
                Ok(Renewal::Held) => {}
                Ok(Renewal::Paused) => return Turn::Unfinished,
                Ok(Renewal::Lost) => return lost(claimed),
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

    /// The provider wants to be left alone for a time that is known: nothing has failed.
    async fn postpone(&self, claimed: &ClaimedSync, error: &Error) -> Turn {
        let wait = BACKOFF.wait(1, error, &*self.entropy);
        let until = self.clock.now().plus(wait);
        let connector = claimed.scope.connection().connector.as_str();
        METRICS.sync_runs.add([connector, "rate_limited"], 1);
        tracing::info!(
            connection = %claimed.scope.connection().id, object = %claimed.kind, until = %until,
            "sync waits for the provider's limit"
        );
        let text = format!("{error}; it goes on by itself then");
        if let Err(error) = self.store.postpone_sync(claimed, until, &text).await {
            tracing::error!(error = %error, "that a sync waits cannot be written; its lease will run out");
        }
        Turn::Over
    }

    async fn fail(&self, claimed: &ClaimedSync, error: &Error) -> Turn {
        if error.wait().is_some() {
            return self.postpone(claimed, error).await;
        }
        let (attempt, most) = (claimed.state.attempt, claimed.state.config.max_retries);
        self.end(claimed, error, is_worth_a_retry(error) && attempt <= most)
            .await
    }

    /// Ends a run that failed, to be tried again or given up.
    async fn end(&self, claimed: &ClaimedSync, error: &Error, retry: bool) -> Turn {
        let attempt = claimed.state.attempt;
        let failure = error.for_log(&claimed.usage);
        let (outcome, next) = if retry {
            let next = self
                .clock
                .now()
                .plus(BACKOFF.wait(attempt, error, &*self.entropy));
            (SyncOutcome::Failed { error: failure }, Some(next))
        } else {
            // The saved cursor is good where the provider was only away.
            let restart = !is_passing(error);
            let outcome = SyncOutcome::GivenUp {
                error: failure,
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
            SyncOutcome::Stopped { .. } => "stopped",
            SyncOutcome::Failed { .. } => "failed",
            SyncOutcome::GivenUp { .. } | SyncOutcome::Interrupted { .. } => "given_up",
        };
        let connector = claimed.scope.connection().connector.as_str();
        METRICS.sync_runs.add([connector, word], 1);
        let next = match next {
            Some(next) => next,
            None => self.planned(claimed).await,
        };
        match self.store.finish_sync(claimed, outcome, next).await {
            Ok(true) => {}
            Ok(false) => return lost(claimed),
            Err(error) => {
                tracing::error!(error = %error, "the end of a sync cannot be written; it will be run again");
            }
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

fn lost(claimed: &ClaimedSync) -> Turn {
    tracing::warn!(object = %claimed.kind, "the claim of a sync is lost: another process went on with it, or its run was cancelled");
    Turn::Lost
}
