//! From a file to a version that may serve.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{File, Stamp};
use crate::{
    model::{Digest, Slug},
    runtime::{ConnectorVersion, LoadError, Runtime, artifact::MAX_FILE, gate::Passed},
};

/// What became of the bytes of a file.
pub(super) struct Loaded {
    started: Instant,
    digest: Digest,
    version: Result<ConnectorVersion, LoadError>,
    /// What the gate said of the bytes, where there is one, and the bytes where it keeps them.
    permitted: Option<(Passed, Option<Vec<u8>>)>,
}

impl Runtime {
    /// Loads files that were never looked at, several at a time: a start should not wait for one
    /// after the other. What cannot be read is left for [`Self::load_file`], which says so.
    pub(super) async fn load_together(
        &self,
        found: &BTreeMap<PathBuf, Stamp>,
    ) -> BTreeMap<PathBuf, Loaded> {
        let known: BTreeSet<PathBuf> = self.registry().files.keys().cloned().collect();
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let permits = Arc::new(Semaphore::new(at_once));
        let mut loading = JoinSet::new();
        for (path, stamp) in found {
            if known.contains(path) || stamp.bytes > MAX_FILE {
                continue;
            }
            let (runtime, permits) = (self.clone(), Arc::clone(&permits));
            let (path, stamp) = (path.clone(), *stamp);
            loading.spawn(async move {
                let _permit = permits.acquire_owned().await.ok()?;
                let started = Instant::now();
                let bytes = tokio::fs::read(&path).await.ok()?;
                if Stamp::of(&path) != Some(stamp) {
                    return None;
                }
                let digest = Digest::of(&bytes);
                let permitted = match runtime.0.gate.get() {
                    Some(gate) => {
                        let passed = gate.peek(&path, &bytes)?;
                        let kept = passed.to_keep(&bytes);
                        Some((passed, kept))
                    }
                    None => None,
                };
                let version = ConnectorVersion::load(&runtime.0, bytes).await;
                Some((
                    path,
                    Loaded {
                        started,
                        digest,
                        version,
                        permitted,
                    },
                ))
            });
        }
        let loaded = loading.join_all().await;
        loaded.into_iter().flatten().collect()
    }

    pub(super) async fn load_file(
        &self,
        path: &Path,
        stamp: Stamp,
        found: &BTreeMap<PathBuf, Stamp>,
    ) {
        let started = Instant::now();
        if stamp.bytes > MAX_FILE {
            // Not read: it may be larger than memory.
            let error = LoadError::TooLarge(stamp.bytes, MAX_FILE);
            return self.reject(path, stamp, None, &error);
        }
        let bytes = match tokio::fs::read(path).await {
            Ok(bytes) => bytes,
            Err(error) => return self.reject(path, stamp, None, &LoadError::Io(error)),
        };
        if Stamp::of(path) != Some(stamp) {
            return; // It changed while it was read: the next look sees the new stamp.
        }
        let digest = Digest::of(&bytes);
        let passed = match self.0.gate.get() {
            Some(gate) => match gate.judge(path, &bytes, |slug| self.loaded(slug)).await {
                Ok(passed) => Some((gate, passed)),
                Err((slug, error)) => {
                    return self.reject_as(path, stamp, Some(digest), &error, slug);
                }
            },
            None => None,
        };
        let slug = passed.as_ref().map(|(_, passed)| passed.slug().clone());
        if self.serves_already(path, stamp, digest, slug, found) {
            return;
        }
        let permitted = passed.map(|(_, passed)| {
            let kept = passed.to_keep(&bytes);
            (passed, kept)
        });
        let version = ConnectorVersion::load(&self.0, bytes).await;
        let loaded = Loaded {
            started,
            digest,
            version,
            permitted,
        };
        self.settle(path, stamp, loaded, found).await;
    }

    pub(super) async fn settle(
        &self,
        path: &Path,
        stamp: Stamp,
        loaded: Loaded,
        found: &BTreeMap<PathBuf, Stamp>,
    ) {
        let version = match loaded.version {
            Ok(version) => Arc::new(version),
            Err(error) => return self.reject(path, stamp, Some(loaded.digest), &error),
        };
        let slug = &version.manifest().slug;
        if let Some(owner) = self.better_owner(path, slug, found) {
            return self.reject(path, stamp, Some(loaded.digest), &owner);
        }
        if let Some(gate) = self.0.gate.get()
            && let Some((passed, bytes)) = &loaded.permitted
            && let Err(error) = gate.admit(passed, &version, bytes.as_deref()).await
        {
            let slug = Some(slug.clone());
            return self.reject_as(path, stamp, Some(loaded.digest), &error, slug);
        }
        self.swap(path, stamp, &version, loaded.started, found);
    }

    /// Whether these bytes serve already; this file has them then, if it goes before the other.
    fn serves_already(
        &self,
        path: &Path,
        stamp: Stamp,
        digest: Digest,
        slug: Option<Slug>,
        found: &BTreeMap<PathBuf, Stamp>,
    ) -> bool {
        let mut registry = self.registry();
        let known = registry.files.get(path).and_then(|file| file.slug.clone());
        let Some(slug) = slug.or(known) else {
            return false;
        };
        let Some(connector) = registry.connectors.get_mut(&slug) else {
            return false;
        };
        let same = |version: &Arc<ConnectorVersion>| version.digest() == digest;
        if !connector.loaded.as_ref().is_some_and(same) {
            return false;
        }
        let owner_is_there = found.contains_key(&connector.file);
        let is_twin = connector.file != path && self.rank(path) == self.rank(&connector.file);
        if owner_is_there && is_twin {
            // To be refused with a sentence: two files of one folder are somebody's mistake.
            return false;
        }
        if !owner_is_there || self.rank(path) < self.rank(&connector.file) {
            path.clone_into(&mut connector.file);
        }
        let waits_for = (connector.file != path).then(|| slug.clone());
        let file = File {
            stamp,
            judged: true,
            waits_for,
            digest: Some(digest),
            slug: Some(slug),
            error: None,
        };
        registry.files.insert(path.to_owned(), file);
        true
    }

    /// The version of a connector that is loaded, whether it serves or is stopped.
    fn loaded(&self, slug: &Slug) -> Option<Digest> {
        let registry = self.registry();
        let loaded = registry.connectors.get(slug)?.loaded.as_ref();
        loaded.map(|version| version.digest())
    }
}
