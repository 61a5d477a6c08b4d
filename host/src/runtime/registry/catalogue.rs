//! How connectors and files stand, for those who ask.

use std::sync::{Arc, atomic::Ordering};

use super::{File, Registry, Remembered, file_name};
use crate::{
    model::Slug,
    runtime::{
        ConnectorState, ConnectorStatus, ConnectorVersion, Runtime, VersionStatus,
        status::{ConsentStatus, InboundCounts, VersionState},
    },
};

impl Runtime {
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
}

impl Remembered {
    pub(super) fn keep_counts(&mut self) {
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
