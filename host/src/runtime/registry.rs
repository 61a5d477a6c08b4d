//! Which file is which connector, and how each stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, Weak, atomic::Ordering},
    time::{Duration, Instant, SystemTime},
};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    CallError, CompileError, ConnectorState, ConnectorStatus, ConnectorVersion, LoadError, Runtime,
    VersionStatus,
    artifact::MAX_FILE,
    gate::Passed,
    memory,
    status::{ConsentStatus, Described, InboundCounts, VersionState},
};
use crate::{
    model::{Digest, Slug, Timestamp},
    telemetry::METRICS,
};

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

/// What changes when a file does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    /// Which file has the name: tells two files of one size that were put there within one tick of
    /// the file system's clock.
    identity: u64,
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

/// What became of the bytes of a file.
struct Loaded {
    started: Instant,
    digest: Digest,
    version: Result<ConnectorVersion, LoadError>,
    /// What the gate said of the bytes, where there is one, and the bytes where it keeps them.
    permitted: Option<(Passed, Option<Vec<u8>>)>,
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

    /// Loads files that were never looked at, several at a time: a start should not wait for one
    /// after the other. What cannot be read is left for [`Self::load_file`], which says so.
    async fn load_together(&self, found: &BTreeMap<PathBuf, Stamp>) -> BTreeMap<PathBuf, Loaded> {
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

    async fn settle(
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

    async fn load_file(&self, path: &Path, stamp: Stamp, found: &BTreeMap<PathBuf, Stamp>) {
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

    /// Which folder a file lies in: the first one that has a slug keeps it.
    fn rank(&self, path: &Path) -> usize {
        let mut folders = self.0.options.folders.iter();
        let place = folders.position(|folder| path.parent() == Some(folder.as_path()));
        place.unwrap_or(usize::MAX)
    }

    /// Why another file keeps the slug.
    fn better_owner(
        &self,
        path: &Path,
        slug: &Slug,
        found: &BTreeMap<PathBuf, Stamp>,
    ) -> Option<LoadError> {
        let registry = self.registry();
        let connector = registry.connectors.get(slug)?;
        let owner = &connector.file;
        let keeps = owner != path
            && found.contains_key(owner)
            && connector.loaded.is_some()
            && (self.0.gate.get().is_none() || self.rank(owner) <= self.rank(path));
        keeps.then(|| LoadError::Duplicate {
            slug: slug.clone(),
            other: file_name(owner),
        })
    }

    /// Lets the files of connectors be judged again.
    pub(super) fn judge_all_again(&self, slugs: &[Slug]) {
        let mut registry = self.registry();
        for file in registry.files.values_mut() {
            if file.slug.as_ref().is_some_and(|slug| slugs.contains(slug)) {
                file.judged = false;
                file.waits_for = None;
            }
        }
    }

    /// Takes connectors that are stopped out of service, and others in again.
    pub(super) fn stop_and_start(&self) {
        let Some(gate) = self.0.gate.get() else {
            return;
        };
        let registry = self.registry();
        let mut active = (**self.0.active.load()).clone();
        let mut started = false;
        let mut changed = false;
        for (slug, connector) in &registry.connectors {
            let Some(loaded) = &connector.loaded else {
                continue;
            };
            match (
                gate.stopped(slug, loaded.digest()),
                active.contains_key(slug),
            ) {
                (Some(why), true) => {
                    tracing::warn!(connector = ?loaded, why, "connector stopped");
                    active.remove(slug);
                    changed = true;
                }
                (None, false) => {
                    tracing::info!(connector = ?loaded, "connector serves again");
                    active.insert(slug.clone(), Arc::clone(loaded));
                    (started, changed) = (true, true);
                }
                _ => {}
            }
        }
        if changed {
            self.0.active.store(Arc::new(active));
        }
        drop(registry);
        if started {
            self.0.swaps.send_modify(|swaps| *swaps += 1);
        }
    }

    fn swap(
        &self,
        path: &Path,
        stamp: Stamp,
        version: &Arc<ConnectorVersion>,
        started: Instant,
        found: &BTreeMap<PathBuf, Stamp>,
    ) {
        let slug = version.manifest().slug.clone();
        let mut registry = self.registry();
        let owner = registry.connectors.get(&slug);
        let owner = owner.map(|connector| connector.file.clone());
        if let Some(owner) = owner.filter(|owner| owner != path && found.contains_key(owner))
            && let Some(displaced) = registry.files.get_mut(&owner)
        {
            displaced.waits_for = Some(slug.clone());
        }
        // A file that held another connector before: that one is gone.
        let former = registry.files.get(path).and_then(|file| file.slug.clone());
        let mut active = (**self.0.active.load()).clone();
        if let Some(former) = former.filter(|former| *former != slug) {
            active.remove(&former);
            if let Some(connector) = registry.connectors.get_mut(&former) {
                connector.loaded = None;
            }
        }
        let gate = self.0.gate.get();
        match gate.and_then(|gate| gate.stopped(&slug, version.digest())) {
            Some(why) => {
                tracing::warn!(connector = ?version, why, "connector loaded, and stopped");
                active.remove(&slug);
            }
            None => drop(active.insert(slug.clone(), Arc::clone(version))),
        }
        self.0.active.store(Arc::new(active));
        let loaded_at = self.0.clock.now();
        let swapped_in = started.elapsed();
        tracing::info!(
            connector = %slug,
            version = %version.manifest().version,
            digest = version.digest().short(),
            milliseconds = u64::try_from(swapped_in.as_millis()).unwrap_or(u64::MAX),
            "connector active"
        );
        let connector = registry
            .connectors
            .entry(slug.clone())
            .or_insert_with(|| Connector {
                file: path.to_owned(),
                described: Described::new(
                    version.manifest(),
                    version.imports(),
                    version.has_discovery(),
                ),
                versions: Vec::new(),
                loaded: None,
            });
        connector.loaded = Some(Arc::clone(version));
        path.clone_into(&mut connector.file);
        connector.described = Described::new(
            version.manifest(),
            version.imports(),
            version.has_discovery(),
        );
        for remembered in &mut connector.versions {
            remembered.keep_counts();
        }
        connector.versions.insert(
            0,
            Remembered {
                version: version.manifest().version.to_string(),
                digest: version.digest(),
                loaded_at,
                swapped_in,
                calls: 0,
                traps: 0,
                live: Arc::downgrade(version),
            },
        );
        connector.versions.truncate(REMEMBERED);
        let file = File {
            stamp,
            judged: true,
            waits_for: None,
            digest: Some(version.digest()),
            slug: Some(slug),
            error: None,
        };
        registry.files.insert(path.to_owned(), file);
        drop(registry);
        METRICS
            .connector_swaps
            .add([version.manifest().slug.as_str(), "active"], 1);
        self.0.swaps.send_modify(|swaps| *swaps += 1);
        // Serving does not wait for it.
        let (runtime, version) = (self.clone(), Arc::clone(version));
        tokio::spawn(async move { runtime.cover(&version).await });
    }

    /// Finds out what a version maps, and shows it in the catalogue.
    async fn cover(&self, version: &Arc<ConnectorVersion>) {
        let slug = &version.manifest().slug;
        let coverage = match version.coverage().await {
            Ok(coverage) => coverage,
            Err(error) => {
                tracing::warn!(connector = ?version, error = %error, "the coverage cannot be computed");
                return;
            }
        };
        let mut registry = self.registry();
        let serves = self
            .active(slug)
            .is_some_and(|active| active.digest() == version.digest());
        if let Some(connector) = registry.connectors.get_mut(slug).filter(|_| serves) {
            connector.described.cover(&coverage);
        }
        drop(registry);
    }

    fn reject(&self, path: &Path, stamp: Stamp, digest: Option<Digest>, error: &LoadError) {
        self.reject_as(path, stamp, digest, error, None);
    }

    /// The same for a file of which the slug is known.
    fn reject_as(
        &self,
        path: &Path,
        stamp: Stamp,
        digest: Option<Digest>,
        error: &LoadError,
        slug: Option<Slug>,
    ) {
        // Nothing is wrong with the file then: it is tried again with the next look.
        let passing = match error {
            LoadError::Io(_)
            | LoadError::Store(_)
            | LoadError::Cache { .. }
            | LoadError::Compile(CompileError::Io(_)) => true,
            LoadError::Probe(error) => matches!(**error, CallError::Busy(_)),
            _ => false,
        };
        let waits_for = match error {
            LoadError::Duplicate { slug, .. } => Some(slug.clone()),
            _ => None,
        };
        let mut text = error.to_string();
        if let LoadError::Io(source) = error {
            text = format!("{text}: {source}");
        }
        let mut registry = self.registry();
        let former = registry.files.get(path).and_then(|file| file.slug.clone());
        let slug = slug.or(former);
        let serving = slug
            .as_ref()
            .is_some_and(|slug| self.active(slug).is_some());
        tracing::warn!(
            file = file_name(path),
            error = text,
            older_version_serves = serving,
            "connector refused"
        );
        let name = slug.as_ref().map_or("", Slug::as_str);
        METRICS.connector_swaps.add([name, "rejected"], 1);
        let file = File {
            stamp,
            judged: !passing,
            waits_for,
            digest,
            slug,
            error: Some((text, self.0.clock.now())),
        };
        registry.files.insert(path.to_owned(), file);
    }

    fn retire_missing(&self, found: &BTreeMap<PathBuf, Stamp>) {
        let mut registry = self.registry();
        registry.files.retain(|path, _| found.contains_key(path));
        let mut active = (**self.0.active.load()).clone();
        let before = active.len();
        for (slug, connector) in &mut registry.connectors {
            if found.contains_key(&connector.file) {
                continue;
            }
            if let Some(version) = connector.loaded.take() {
                tracing::info!(connector = ?version, "connector retired: its file is gone");
                active.remove(slug);
            }
        }
        if active.len() != before {
            self.0.active.store(Arc::new(active));
        }
        drop(registry);
    }

    /// Files that were refused because another one had their slug are judged again when that one
    /// is gone. Answers whether there are such files.
    fn release_waiting(&self) -> bool {
        let mut registry = self.registry();
        let mut released = false;
        let Registry { files, connectors } = &mut *registry;
        let is_loaded = |slug: &Slug| {
            let connector = connectors.get(slug);
            connector.is_some_and(|connector| connector.loaded.is_some())
        };
        for file in files.values_mut() {
            if file.waits_for.as_ref().is_some_and(|slug| !is_loaded(slug)) {
                file.waits_for = None;
                file.judged = false;
                released = true;
            }
        }
        released
    }

    /// All connectors and refused files, by name.
    #[must_use]
    pub fn catalogue(&self) -> Vec<ConnectorStatus> {
        let mut registry = self.registry();
        let Registry { files, connectors } = &mut *registry;
        let mut all: Vec<ConnectorStatus> = connectors
            .iter_mut()
            .map(|(slug, connector)| {
                let active = self.active(slug);
                // Of the file that serves, or of another one that would like to.
                let of_slug = files
                    .values()
                    .filter(|file| file.slug.as_ref() == Some(slug));
                let error = files
                    .get(&connector.file)
                    .and_then(|file| file.error.clone())
                    .or_else(|| of_slug.filter_map(|file| file.error.clone()).next());
                let stopped = connector.loaded.as_ref().and_then(|version| {
                    let why = self.0.gate.get()?.stopped(slug, version.digest())?;
                    Some((why, self.0.clock.now()))
                });
                let error = stopped.or(error);
                let consent = self.book(slug).as_ref().map(ConsentStatus::of);
                ConnectorStatus {
                    slug: Some(slug.to_string()),
                    inbound: InboundCounts::of(slug.as_str()),
                    file: file_name(&connector.file),
                    state: match (&active, &consent) {
                        (Some(_), _) => ConnectorState::Active,
                        (None, Some(consent)) => {
                            consent.state_at(self.0.clock.now(), ConnectorState::Retired)
                        }
                        (None, None) => ConnectorState::Retired,
                    },
                    consent,
                    last_error_at: error.as_ref().map(|(_, at)| at.to_string()),
                    last_error: error.map(|(text, _)| text),
                    described: Some(connector.described.clone()),
                    versions: connector
                        .versions
                        .iter_mut()
                        .map(|remembered| remembered.status(active.as_ref()))
                        .collect(),
                }
            })
            .collect();
        let is_refused = |file: &File| match &file.slug {
            Some(slug) => !connectors.contains_key(slug),
            None => true,
        };
        let refused = files.iter().filter(|(_, file)| is_refused(file));
        all.extend(refused.filter_map(|(path, file)| {
            let (error, at) = file.error.clone()?;
            let consent = file.slug.as_ref().and_then(|slug| self.book(slug));
            let consent = consent.as_ref().map(ConsentStatus::of);
            let rejected = ConnectorState::Rejected;
            Some(ConnectorStatus {
                slug: file.slug.as_ref().map(ToString::to_string),
                inbound: InboundCounts::default(),
                file: file_name(path),
                state: consent.as_ref().map_or(rejected, |consent| {
                    consent.state_at(self.0.clock.now(), rejected)
                }),
                consent,
                last_error: Some(error),
                last_error_at: Some(at.to_string()),
                described: None,
                versions: Vec::new(),
            })
        }));
        all
    }

    /// One connector.
    #[must_use]
    pub fn status(&self, slug: &Slug) -> Option<ConnectorStatus> {
        self.catalogue()
            .into_iter()
            .find(|status| status.slug.as_deref() == Some(slug.as_str()))
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

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let identity = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let identity = 0;
        metadata.is_file().then(|| Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            identity,
        })
    }
}

impl Remembered {
    fn keep_counts(&mut self) {
        if let Some(version) = self.live.upgrade() {
            self.calls = version.counters.calls.load(Ordering::Relaxed);
            self.traps = version.counters.traps.load(Ordering::Relaxed);
        }
    }

    fn status(&mut self, active: Option<&Arc<ConnectorVersion>>) -> VersionStatus {
        self.keep_counts();
        let running = self.live.upgrade().map_or(0, |version| {
            version.counters.running.load(Ordering::Relaxed)
        });
        // Not by digest: a version may come back after another one.
        let serves = active.is_some_and(|active| self.live.ptr_eq(&Arc::downgrade(active)));
        VersionStatus {
            version: self.version.clone(),
            digest: self.digest.to_string(),
            state: match (serves, running) {
                (true, _) => VersionState::Active,
                (false, 0) => VersionState::Retired,
                (false, _) => VersionState::Draining,
            },
            loaded_at: self.loaded_at.to_string(),
            swapped_in_ms: u64::try_from(self.swapped_in.as_millis()).unwrap_or(u64::MAX),
            calls: self.calls,
            traps: self.traps,
            running,
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
