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
    changes: Changes,
    known: BTreeMap<PathBuf, Sources>,
}

/// Every source file of a crate with its size and time.
type Sources = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl SourceWatch {
    /// Begins to watch. What is there now counts as known.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let changes = Changes::in_trees(&[folder.to_owned()]);
        Self {
            folder: folder.to_owned(),
            changes,
            known: look(folder),
        }
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
            let mut seen = look(&self.folder);
            if seen == self.known {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLE).await;
                let again = look(&self.folder);
                if again == seen {
                    break;
                }
                seen = again;
            }
            let changed: Vec<PathBuf> = seen
                .iter()
                .filter(|(path, sources)| self.known.get(*path) != Some(sources))
                .map(|(path, _)| path.clone())
                .collect();
            self.known = seen;
            if !changed.is_empty() {
                return changed;
            }
        }
    }
}

fn look(folder: &Path) -> BTreeMap<PathBuf, Sources> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.join("connector.toml").is_file())
        .map(|path| {
            let mut sources = Sources::new();
            collect(&path, &mut sources);
            (path, sources)
        })
        .collect()
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
        assert_eq!(look(folder.path()), watch.known);

        write("acme/src/lib.rs", "two");
        assert_eq!(watch.changed().await, [folder.path().join("acme")]);
        write("other/connector.toml", "");
        assert_eq!(watch.changed().await, [folder.path().join("other")]);
    }
}
