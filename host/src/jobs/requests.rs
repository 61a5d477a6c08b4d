//! Requests over time, written down once a minute.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::{RequestTally, Store};

const ROUND: Duration = Duration::from_secs(60);

/// Writes down what was counted, every minute until `stop`. What is counted later, while running
/// requests end, is for [`Store::add_request_counts`] to write at the very end.
pub async fn keep_request_counts(store: Store, tally: Arc<RequestTally>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(ROUND) => {}
        }
        if let Err(error) = store.add_request_counts(&tally).await {
            tracing::warn!(error = %error, "numbers of requests are written with the next round");
        }
    }
}
