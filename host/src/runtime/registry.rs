//! Which file is which connector, and how each stands.

mod catalogue;
mod load;
mod owner;
mod refuse;
mod serve;
mod stamp;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use super::{ConnectorVersion, Runtime, memory, status::Described};
use crate::model::{Digest, Slug, Timestamp};
use stamp::Stamp;

/// How many versions of a connector are remembered.
const REMEMBERED: usize = 5;

/// Everything but the active versions themselves.
#[derive(Default)]
pub(super) struct Registry {
    files: BTreeMap<PathBuf, File>,
    connectors: BTreeMap<Slug, Connector>,
}

/// A file as it was when it was looked at last.
struct File {
    stamp: Stamp,
    /// Whether these bytes were read and judged; before that they wait until they stop changing.
    judged: bool,
    /// The slug that another file has: these bytes get their chance when that file is gone.
    waits_for: Option<Slug>,
    digest: Option<Digest>,
    slug: Option<Slug>,
    error: Option<(String, Timestamp)>,
}

struct Connector {
    file: PathBuf,
    described: Described,
    versions: Vec<Remembered>,
    /// The version that serves where nothing stops the connector.
    loaded: Option<Arc<ConnectorVersion>>,
}

struct Remembered {
    version: String,
    digest: Digest,
    loaded_at: Timestamp,
    swapped_in: Duration,
    calls: u64,
    traps: u64,
    live: Weak<ConnectorVersion>,
}

/// How much a look at the folders trusts what it sees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// At the start: files that lie there are taken as complete.
    First,
    /// Later: a file counts when it looks the same twice.
    Again,
}

impl Runtime {
    /// Loads what lies in the folders. To be called once before serving.
    pub async fn scan(&self) {
        self.heed_books().await;
        while self.pass(Look::First).await {}
        // What waits for consent has brought back the version before it.
        self.heed_books().await;
        while self.pass(Look::First).await {}
        memory::give_back();
    }

    /// Looks at the folders once and loads, swaps or retires what changed. A new or changed file
    /// is only remembered, and loaded when the next look finds it the same. Answers whether
    /// another look is due soon.
    pub async fn look(&self) -> bool {
        self.pass(Look::Again).await
    }

    async fn pass(&self, look: Look) -> bool {
        let found = self.found_files();
        let mut early = match look {
            Look::First => self.load_together(&found).await,
            Look::Again => BTreeMap::new(),
        };
        let mut unsettled = false;
        for (path, stamp) in &found {
            match self.judge_again(path, *stamp, look) {
                Verdict::Known => {}
                Verdict::Unsettled => unsettled = true,
                Verdict::Load => match early.remove(path) {
                    Some(loaded) => self.settle(path, *stamp, loaded, &found).await,
                    None => self.load_file(path, *stamp, &found).await,
                },
            }
        }
        // A file that was renamed is not there any more under its old name, and serves until it
        // is loaded under the new one.
        if !unsettled {
            self.retire_missing(&found);
        }
        self.release_waiting() || unsettled
    }

    fn found_files(&self) -> BTreeMap<PathBuf, Stamp> {
        let mut found = BTreeMap::new();
        for folder in &self.0.options.folders {
            let Ok(entries) = fs::read_dir(folder) else {
                continue;
            };
            for path in entries.flatten().map(|entry| entry.path()) {
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or(".");
                let finished = !name.starts_with('.')
                    && path
                        .extension()
                        .is_some_and(|extension| extension == "wasm");
                if let Some(stamp) = finished.then(|| Stamp::of(&path)).flatten() {
                    found.insert(path, stamp);
                }
            }
        }
        found
    }

    fn judge_again(&self, path: &Path, stamp: Stamp, look: Look) -> Verdict {
        let mut registry = self.registry();
        match registry.files.get(path) {
            Some(file) if file.stamp == stamp && file.judged => Verdict::Known,
            Some(file) if file.stamp == stamp => Verdict::Load,
            _ if look == Look::First => Verdict::Load,
            previous => {
                // What serves goes on serving while its successor is being written.
                let file = File {
                    stamp,
                    judged: false,
                    waits_for: None,
                    digest: previous.and_then(|file| file.digest),
                    slug: previous.and_then(|file| file.slug.clone()),
                    error: previous.and_then(|file| file.error.clone()),
                };
                registry.files.insert(path.to_owned(), file);
                Verdict::Unsettled
            }
        }
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        // A panic elsewhere must not take every connector down: the table is consistent between
        // statements.
        self.0
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

enum Verdict {
    Known,
    Unsettled,
    Load,
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
