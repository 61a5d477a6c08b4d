//! Notices that files in the folders change: by the system's events, and by looking every now
//! and then, since network mounts lose events.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Changes, Runtime};

/// Events come in bursts; and a file must look the same twice, this far apart.
const SETTLE: Duration = Duration::from_millis(100);

impl Runtime {
    /// Loads, swaps and retires connectors as files come and go, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let mut changes = Changes::in_folders(&self.0.options.folders);
        loop {
            // First of all: files may have changed between the scan and the first notice.
            self.heed_books().await;
            while self.look().await {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(SETTLE) => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = changes.next() => {}
                () = self.bell() => {}
                () = tokio::time::sleep(self.0.options.poll) => {}
            }
        }
    }

    /// Rings when somebody decided something of a connector.
    async fn bell(&self) {
        match self.0.gate.get() {
            Some(gate) => gate.bell.notified().await,
            None => std::future::pending().await,
        }
    }
}
