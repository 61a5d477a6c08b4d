//! Notices of the system that files changed.
//!
//! They are hints: some file systems give none, and a burst becomes one. Who waits for them also
//! looks every now and then.

use std::path::PathBuf;

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::mpsc;

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
    /// Of the entries of these folders.
    #[must_use]
    pub fn in_folders(folders: &[PathBuf]) -> Self {
        Self::new(folders, RecursiveMode::NonRecursive)
    }

    /// Of everything below these folders.
    #[must_use]
    pub fn in_trees(folders: &[PathBuf]) -> Self {
        Self::new(folders, RecursiveMode::Recursive)
    }

    /// Waits for the next change. Changes that came since the last one count once.
    pub async fn next(&mut self) {
        self.events
            .recv()
            .await
            .expect("this end keeps a sender too");
    }

    fn new(folders: &[PathBuf], mode: RecursiveMode) -> Self {
        let (sender, events) = mpsc::channel::<()>(1);
        let notice = sender.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().is_ok_and(only_looked_at) {
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

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

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
}
