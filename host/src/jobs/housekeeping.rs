//! Removes what is past its keeping time, a little at a time.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    model::Clock,
    store::{Error, SessionEnd, Store},
};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(600);
/// Rest between two transactions of a removal.
const REST: Duration = Duration::from_millis(50);
/// How long results of queued passthrough requests are kept.
const KEEP_RETRIES: Duration = Duration::from_secs(24 * 3600);

/// How long connect links are kept after they ran out: their page can say what became of them.
const KEEP_LINKS: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Events.
    pub events: Duration,
    /// Deliveries with their attempts.
    pub deliveries: Duration,
    /// Runs of syncs, failing records, and changes that were finished.
    pub runs: Duration,
    /// The audit log.
    pub audit: Duration,
    /// Numbers of requests.
    pub requests: Duration,
    /// Requests to providers.
    pub exchanges: Duration,
    /// How many requests of one connection to its provider, whatever their age.
    pub exchanges_each: u32,
    /// Sessions of operators.
    pub sessions: SessionEnd,
}

/// Removes what is old until `stop`; after an error it goes on with the next round.
pub async fn keep_house(
    store: Store,
    clock: Arc<dyn Clock>,
    retention: Retention,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            kept = round(&store, &*clock, retention) => if let Err(error) = kept {
                tracing::warn!(error = %error, "what is past its keeping time stays for now");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(ROUND) => {}
        }
    }
}

async fn round(store: &Store, clock: &dyn Clock, retention: Retention) -> Result<(), Error> {
    let now = clock.now();
    let before = now.minus(retention.deliveries);
    let deliveries = store.prune_deliveries(before, REST).await?.deliveries;
    let before = now.minus(retention.events);
    let events = store.prune_events(before, REST).await?.events;
    let notices = store.forget_notices().await?;
    let retries = store.prune_retries(now.minus(KEEP_RETRIES)).await?;
    let runs = store.prune_runs(now.minus(retention.runs), REST).await?;
    let changes = store.prune_changes(now.minus(retention.runs), REST).await?;
    let history = store.prune_history(REST).await?;
    let audit = store
        .prune_audit_log(now.minus(retention.audit), REST)
        .await?;
    let requests = store
        .prune_request_counts(now.minus(retention.requests), REST)
        .await?;
    let before = now.minus(retention.exchanges);
    let most = retention.exchanges_each;
    let exchanges = store.prune_exchanges(before, most, REST).await?;
    let links = now.minus(KEEP_LINKS);
    let ended = store.prune_ended(retention.sessions, links, REST).await?;
    let counts = [
        deliveries, events, notices, retries, runs, changes, history, audit, requests, exchanges,
        ended,
    ];
    if counts.iter().any(|count| *count > 0) {
        tracing::info!(
            deliveries,
            events,
            notices,
            retries,
            runs,
            changes,
            history,
            audit,
            requests,
            exchanges,
            ended,
            "removed what is past its keeping time"
        );
    }
    Ok(())
}
