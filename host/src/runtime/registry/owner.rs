//! Of several files that are one connector, which one has it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Stamp, file_name};
use crate::{
    model::Slug,
    runtime::{LoadError, Runtime},
};

impl Runtime {
    /// Which folder a file lies in: the first one that has a slug keeps it.
    pub(super) fn rank(&self, path: &Path) -> usize {
        let mut folders = self.0.options.folders.iter();
        let place = folders.position(|folder| path.parent() == Some(folder.as_path()));
        place.unwrap_or(usize::MAX)
    }

    /// Why another file keeps the slug.
    pub(super) fn better_owner(
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
}
