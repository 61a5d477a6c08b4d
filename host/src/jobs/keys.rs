//! Keeps a server's data keys up to date, and everything sealed under the newest.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::vault::Vault;

/// How often it is looked whether there is a new data key; far less than one waits before it seals.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two passes over all sealed values, while a pass still finds something to do.
const PASS: Duration = Duration::from_secs(60);
/// Values in one transaction.
const BATCH: u32 = 100;

/// Reads new data keys as they appear and seals again what is not under the newest, until `stop`.
pub async fn keep_keys(vault: Vault, stop: CancellationToken) {
    let mut next = Some(Instant::now());
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = look(&vault, &mut next) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// `next` is when a pass is due, where one is.
async fn look(vault: &Vault, next: &mut Option<Instant>) {
    match vault.refresh_keys().await {
        Ok(true) => *next = Some(Instant::now()),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "the data keys cannot be read; those at hand stay"),
    }
    if next.is_none_or(|next| next > Instant::now()) {
        return;
    }
    *next = Some(Instant::now() + PASS);
    match vault.rewrap(BATCH).await {
        // Another server may have sealed something under an older key a moment ago; a minute
        // later none does.
        Ok(done) if done.resealed + done.changed > 0 => {
            tracing::info!(
                resealed = done.resealed,
                failed = done.failed,
                "values were sealed again under the newest data key"
            );
        }
        Ok(_) => *next = None,
        Err(error) => tracing::warn!(%error, "values stay under older keys for now"),
    }
}
