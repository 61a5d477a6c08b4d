//! When a connector or the mapping of a custom field changes, what is stored is unified again,
//! without asking the provider.

use serde_json::value::RawValue;

use super::{Error, Unify, custom};
use crate::{
    model::{EffectiveMappings, ObjectKind, RecordId, Scope},
    runtime::ConnectorVersion,
    store::Remap,
};

/// Documents per transaction.
const BATCH: u32 = 500;

/// What became of a pass over stored documents.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remapped {
    /// Documents looked at.
    pub records: u64,
    /// Records whose unified object is another now.
    pub changed: u64,
    /// Documents that the new version cannot unify; they keep what they had.
    pub failed: u64,
}

impl Unify {
    /// Unifies again what another version of a connector unified, or other custom fields: all
    /// objects of all connections that have not been gone over as they would be now. Begun again
    /// after a crash, it goes on with the objects that are left.
    ///
    /// # Errors
    /// The connector or the database fails.
    pub async fn remap(&self, version: &ConnectorVersion) -> Result<Remapped, Error> {
        let mut total = Remapped::default();
        let slug = &version.manifest().slug;
        let digest = version.digest().to_string();
        for (scope, kind, unified_by) in self.0.store.unified_by_others(slug, &digest).await? {
            let mappings = self.0.store.effective_mappings(&scope, kind).await?;
            let mark = custom::mark(version, &mappings);
            if mark == unified_by {
                continue;
            }
            if version.manifest().object(kind).is_some() {
                self.remap_object(&scope, version, kind, &mappings, &mut total)
                    .await?;
            }
            self.0
                .store
                .mark_unified(&scope, kind, &mark, false)
                .await?;
        }
        Ok(total)
    }

    async fn remap_object(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        mappings: &EffectiveMappings,
        total: &mut Remapped,
    ) -> Result<(), Error> {
        let mut after: Option<RecordId> = None;
        loop {
            let stored = self
                .0
                .store
                .remote_documents(scope, kind, after, BATCH)
                .await?;
            let Some((last, _)) = stored.last() else {
                return Ok(());
            };
            after = Some(*last);
            let documents: Vec<&RawValue> = stored
                .iter()
                .filter_map(|(_, remote)| serde_json::from_str(remote).ok())
                .collect();
            if documents.len() != stored.len() {
                return Err(Error::Contract(format!("a stored {kind} is no JSON")));
            }
            let unified = self
                .unify_documents(scope, version, kind, mappings, &documents)
                .await?;
            let mut remaps = Vec::with_capacity(stored.len());
            for ((id, remote), unified) in stored.iter().zip(unified) {
                total.records += 1;
                match unified {
                    Ok(unified) => remaps.push(Remap {
                        id: *id,
                        remote: remote.clone(),
                        unified: unified.unified,
                        custom: unified.custom,
                    }),
                    Err(_) => total.failed += 1,
                }
            }
            total.changed += self.0.store.apply_remaps(scope, kind, &remaps).await?;
        }
    }
}
