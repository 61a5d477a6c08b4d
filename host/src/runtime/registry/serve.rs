//! Versions begin to serve, stop and go.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{Connector, File, REMEMBERED, Remembered, Stamp};
use crate::{
    runtime::{ConnectorVersion, Runtime, status::Described},
    telemetry::METRICS,
};

impl Runtime {
    pub(super) fn swap(
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

    /// Takes connectors that are stopped out of service, and others in again.
    pub(in crate::runtime) fn stop_and_start(&self) {
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

    pub(super) fn retire_missing(&self, found: &BTreeMap<PathBuf, Stamp>) {
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
}
