//! After a swap, what is stored is unified again by the new version; after a change of custom
//! fields, by the mappings that hold now.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{runtime::Runtime, unify::Unify};

/// How long to wait before looking again: what failed is tried again, and what another server
/// that shares the database changed is found.
const LOOK: Duration = Duration::from_secs(30);

/// Unifies again what other versions or other mappings unified, until `stop`.
///
/// That is done at the start (the end of the process may have cut it short, and it goes on there),
/// after every swap and after every change of custom fields.
pub async fn keep_remapped(runtime: Runtime, unify: Unify, stop: CancellationToken) {
    let mut swaps = runtime.swaps();
    let fields = unify.remaps();
    loop {
        swaps.mark_unchanged();
        for version in runtime.all_active() {
            match unify.remap(&version, &stop).await {
                Ok(remapped) if remapped.records > 0 => tracing::info!(
                    connector = ?version,
                    records = remapped.records,
                    changed = remapped.changed,
                    failed = remapped.failed,
                    "stored records unified again"
                ),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(connector = ?version, error = %error, "stored records keep their old form for now");
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = swaps.changed() => if changed.is_err() { return },
            () = fields.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
