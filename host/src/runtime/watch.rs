//! Notices that files in the folders change: by the system's events, and by looking every now
//! and then, since network mounts lose events.

use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Runtime, registry::Look};

/// Events come in bursts; and a file must look the same twice, this far apart.
const SETTLE: Duration = Duration::from_millis(100);

impl Runtime {
    /// Loads, swaps and retires connectors as files come and go, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let (sender, mut events) = mpsc::channel::<()>(1);
        let watcher = notify::recommended_watcher(move |_| {
            // A full channel means that a look is due already.
            let _queued = sender.try_send(()).is_ok();
        });
        let mut watcher = match watcher {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(error = %error, "no events of the file system; folders are polled");
                None
            }
        };
        if let Some(watcher) = &mut watcher {
            for folder in &self.0.options.folders {
                if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                    tracing::warn!(
                        folder = %folder.display(), error = %error,
                        "no events of this folder; it is polled"
                    );
                }
            }
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = events.recv(), if watcher.is_some() => {}
                () = tokio::time::sleep(self.0.options.poll) => {}
            }
            while self.look(Look::Again).await {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(SETTLE) => {}
                }
            }
        }
    }
}
