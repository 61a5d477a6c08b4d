//! What the workers of a process have in common: claim what is due, work on several at a time,
//! look again.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::store::Error;

/// Time between two looks for due work where nothing rings.
const POLL: Duration = Duration::from_secs(1);

/// Work that waits in the database.
pub(super) trait Queue: Clone + Send + Sync + 'static {
    /// Something that is due, and this process's alone for the time of its lease.
    type Claim: Send + 'static;

    /// What the queue is called where its database fails.
    const NAME: &'static str;

    /// Claims at most so many.
    fn claim(&self, most: u32) -> impl Future<Output = Result<Vec<Self::Claim>, Error>> + Send;

    /// Ends one, or gives it back where it is long and the process stops.
    fn work_off(
        self,
        claim: Self::Claim,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send;
}

/// Works on at most `at_once` until `stop`, then lets what is at work end. `bell` tells of work that
/// became due here; the look at every second is what counts.
pub(super) async fn work(
    queue: impl Queue,
    at_once: u32,
    bell: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        while running.try_join_next().is_some() {}
        let free = at_once.saturating_sub(u32::try_from(running.len()).unwrap_or(at_once));
        let claimed = match free {
            0 => Ok(Vec::new()),
            free => queue.claim(free).await,
        };
        let claimed = claimed.unwrap_or_else(|error| {
            tracing::error!(queue = name_of(&queue), error = %error, "due work cannot be read");
            Vec::new()
        });
        let found = !claimed.is_empty();
        for claim in claimed {
            running.spawn(queue.clone().work_off(claim, stop.clone()));
        }
        // Whoever found something looks again at once: there may be more.
        if found {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = bell.notified() => {}
            _ = running.join_next(), if !running.is_empty() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

fn name_of<Q: Queue>(_: &Q) -> &'static str {
    Q::NAME
}
