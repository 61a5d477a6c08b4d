//! Files that are refused, and when they get another chance.

use std::path::Path;

use super::{File, Registry, Stamp, file_name};
use crate::{
    model::{Digest, Slug},
    runtime::{CallError, CompileError, LoadError, Runtime},
    telemetry::METRICS,
};

impl Runtime {
    pub(super) fn reject(
        &self,
        path: &Path,
        stamp: Stamp,
        digest: Option<Digest>,
        error: &LoadError,
    ) {
        self.reject_as(path, stamp, digest, error, None);
    }

    /// The same for a file of which the slug is known.
    pub(super) fn reject_as(
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

    /// Files that were refused because another one had their slug are judged again when that one
    /// is gone. Answers whether there are such files.
    pub(super) fn release_waiting(&self) -> bool {
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

    /// Lets the files of connectors be judged again.
    pub(in crate::runtime) fn judge_all_again(&self, slugs: &[Slug]) {
        let mut registry = self.registry();
        for file in registry.files.values_mut() {
            if file.slug.as_ref().is_some_and(|slug| slugs.contains(slug)) {
                file.judged = false;
                file.waits_for = None;
            }
        }
    }
}
