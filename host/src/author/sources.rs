//! Notices that the source of a connector changed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::runtime::Changes;

/// Editors write in bursts: sources must look the same twice, this far apart.
const SETTLE: Duration = Duration::from_millis(200);
/// How often sources are looked at, besides the events of the system.
const POLL: Duration = Duration::from_secs(2);
/// Folders that building makes.
const MADE: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// Watches the connector crates in a folder: its sub-folders that have a `connector.toml`.
#[derive(Debug)]
pub struct SourceWatch {
    folder: PathBuf,
    /// The one crate that counts, where not all of the folder do.
    only: Option<PathBuf>,
    /// What all of them are made with: the SDK and the contract of a checkout.
    shared: Vec<PathBuf>,
    shared_known: Sources,
    changes: Changes,
    known: BTreeMap<PathBuf, Sources>,
}

/// Every source file of a crate with its size and time.
type Sources = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl SourceWatch {
    /// Begins to watch. What is there now counts as known.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self::watching(folder, None)
    }

    /// The same for one connector.
    #[must_use]
    pub fn of_one(folder: &Path) -> Self {
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let around = folder.parent().unwrap_or(&folder).to_owned();
        Self::watching(&around, Some(folder))
    }

    fn watching(folder: &Path, only: Option<PathBuf>) -> Self {
        let shared = shared_by(folder);
        let mut trees = vec![only.clone().unwrap_or_else(|| folder.to_owned())];
        trees.extend(shared.iter().cloned());
        let mut watch = Self {
            folder: folder.to_owned(),
            only,
            shared_known: all_of(&shared),
            shared,
            changes: Changes::in_trees(&trees),
            known: BTreeMap::new(),
        };
        watch.known = watch.look();
        watch
    }

    /// The crates that are there now, by path.
    #[must_use]
    pub fn crates(&self) -> Vec<PathBuf> {
        self.known.keys().cloned().collect()
    }

    /// Waits until sources have changed and have stopped changing, and answers the folders of
    /// their crates. A crate that is new counts as changed, one that is gone does not.
    ///
    /// What building makes and hidden files are not looked at. Nothing is lost when the future is dropped.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            tokio::select! {
                () = self.changes.next() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            let mut seen = (self.look(), all_of(&self.shared));
            if seen.0 == self.known && seen.1 == self.shared_known {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLE).await;
                let again = (self.look(), all_of(&self.shared));
                if again == seen {
                    break;
                }
                seen = again;
            }
            let (seen, shared) = seen;
            // What all are made with makes all of them another.
            let all = shared != self.shared_known;
            let changed: Vec<PathBuf> = seen
                .iter()
                .filter(|(path, sources)| all || self.known.get(*path) != Some(sources))
                .map(|(path, _)| path.clone())
                .collect();
            self.known = seen;
            self.shared_known = shared;
            if !changed.is_empty() {
                return changed;
            }
        }
    }
}

impl SourceWatch {
    fn look(&self) -> BTreeMap<PathBuf, Sources> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| self.only.as_ref().is_none_or(|only| only == path))
            .filter(|path| path.join("connector.toml").is_file())
            .map(|path| {
                let mut sources = Sources::new();
                collect(&path, &mut sources);
                (path, sources)
            })
            .collect()
    }
}

/// The SDK and the contract of the checkout around a folder, where there is one.
fn shared_by(folder: &Path) -> Vec<PathBuf> {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let checkout = folder
        .ancestors()
        .find(|around| around.join("sdk-guest/Cargo.toml").is_file());
    checkout.map_or_else(Vec::new, |checkout| {
        ["sdk-guest", "wit"]
            .map(|name| checkout.join(name))
            .to_vec()
    })
}

fn all_of(folders: &[PathBuf]) -> Sources {
    let mut sources = Sources::new();
    for folder in folders {
        collect(folder, &mut sources);
    }
    sources
}

fn collect(folder: &Path, sources: &mut Sources) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Of a link only the link is looked at, so that none can lead in a circle.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if name.starts_with('.') || name.ends_with('~') || MADE.contains(&name.as_ref()) {
            continue;
        }
        if metadata.is_dir() {
            collect(&entry.path(), sources);
        } else {
            sources.insert(entry.path(), (metadata.len(), metadata.modified().ok()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_sources_of_connectors_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("acme/connector.toml", "");
        write("acme/src/lib.rs", "1");
        write("notes/readme.md", "");
        let mut watch = SourceWatch::new(folder.path());
        assert_eq!(watch.crates(), [folder.path().join("acme")]);

        write("acme/target/debug/x", "");
        write("acme/src/.lib.rs.swp", "");
        write("notes/readme.md", "changed");
        assert_eq!(watch.look(), watch.known);

        write("acme/src/lib.rs", "two");
        assert_eq!(watch.changed().await, [folder.path().join("acme")]);
        write("other/connector.toml", "");
        assert_eq!(watch.changed().await, [folder.path().join("other")]);
    }

    #[tokio::test]
    async fn what_all_are_made_with_counts_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sdk-guest/Cargo.toml", "");
        write("wit/types.wit", "");
        write("plugins/acme/connector.toml", "");
        write("plugins/other/connector.toml", "");
        let plugins = root.join("plugins");
        let mut all = SourceWatch::new(&plugins);
        let mut one = SourceWatch::of_one(&plugins.join("acme"));
        write("wit/types.wit", "changed");
        assert_eq!(
            all.changed().await,
            [plugins.join("acme"), plugins.join("other")]
        );
        assert_eq!(one.changed().await, [plugins.join("acme")]);
        write("plugins/other/src/lib.rs", "");
        assert_eq!(all.changed().await, [plugins.join("other")]);
        write("plugins/acme/src/lib.rs", "");
        assert_eq!(one.changed().await, [plugins.join("acme")]);
    }
}
