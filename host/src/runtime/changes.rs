//! Notices of the system that files changed.
//!
//! They are hints: some file systems give none, and a burst becomes one. Who waits for them also
//! looks every now and then.

use std::{path::PathBuf, time::Duration};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::mpsc;

/// From one change to the next at least: a file that grows all the time is not looked at all the
/// time.
const BREATH: Duration = Duration::from_millis(50);

/// Tells that something changed in some folders, for as long as it lives.
#[derive(Debug)]
pub struct Changes {
    /// None where the system gives no notices at all.
    _watcher: Option<RecommendedWatcher>,
    events: mpsc::Receiver<()>,
    /// Keeps the channel open where there is no watcher.
    _sender: mpsc::Sender<()>,
}

impl Changes {
    /// Of the connectors among the entries of these folders. What is written into another file
    /// does not count, such as a log that stands beside them; that one comes or goes does.
    #[must_use]
    pub fn in_folders(folders: &[PathBuf]) -> Self {
        Self::new(folders, RecursiveMode::NonRecursive, |event| {
            only_looked_at(event) || only_written_elsewhere(event)
        })
    }

    /// Of everything below these folders.
    #[must_use]
    pub fn in_trees(folders: &[PathBuf]) -> Self {
        Self::new(folders, RecursiveMode::Recursive, only_looked_at)
    }

    /// Waits for the next change. Changes that came since the last one count once.
    pub async fn next(&mut self) {
        self.events
            .recv()
            .await
            .expect("this end keeps a sender too");
        tokio::time::sleep(BREATH).await;
        // Who was told looks now, at what changed in between too.
        while self.events.try_recv().is_ok() {}
    }

    fn new(folders: &[PathBuf], mode: RecursiveMode, passes: fn(&Event) -> bool) -> Self {
        let (sender, events) = mpsc::channel::<()>(1);
        let notice = sender.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().is_ok_and(passes) {
                return;
            }
            // A full channel means that a look is due already.
            let _queued = notice.try_send(()).is_ok();
        });
        let mut watcher = match watcher {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(error = %error, "no events of the file system; folders are polled");
                None
            }
        };
        if let Some(watcher) = &mut watcher {
            for folder in folders {
                if let Err(error) = watcher.watch(folder, mode) {
                    tracing::warn!(
                        folder = %folder.display(), error = %error,
                        "no events of this folder; it is polled"
                    );
                }
            }
        }
        Self {
            _watcher: watcher,
            events,
            _sender: sender,
        }
    }
}

/// Reading a folder is an event too. Answering it with another look would never end.
fn only_looked_at(event: &Event) -> bool {
    matches!(event.kind, EventKind::Access(kind)
        if kind != AccessKind::Close(AccessMode::Write))
}

/// A server that logs into the folder that it watches would answer each line with another.
fn only_written_elsewhere(event: &Event) -> bool {
    let written = matches!(
        event.kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any)
    );
    let is_connector = |path: &PathBuf| path.extension().is_some_and(|end| end == "wasm");
    written && !event.paths.iter().any(is_connector)
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, RenameMode};

    use super::*;

    #[test]
    fn only_what_changes_something_counts() {
        let looked_at = |kind| only_looked_at(&Event::new(kind));
        assert!(looked_at(EventKind::Access(AccessKind::Open(
            AccessMode::Any
        ))));
        assert!(looked_at(EventKind::Access(AccessKind::Close(
            AccessMode::Read
        ))));
        assert!(!looked_at(EventKind::Access(AccessKind::Close(
            AccessMode::Write
        ))));
        assert!(!looked_at(EventKind::Create(CreateKind::File)));
        assert!(!looked_at(EventKind::Modify(ModifyKind::Any)));
    }

    #[test]
    fn a_log_beside_connectors_is_no_connector() {
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Any));
        let passes = |kind, path: &str| {
            only_written_elsewhere(&Event::new(kind).add_path(PathBuf::from(path)))
        };
        assert!(passes(written, "/plugins/output.txt"));
        assert!(!passes(written, "/plugins/acme.wasm"));
        // Mounts of Kubernetes change all their files by replacing one link.
        assert!(!passes(renamed, "/plugins/..data"));
        assert!(!only_written_elsewhere(&Event::new(EventKind::Any)));
    }
}
