//! When a connector or the mapping of a custom field changes, what is stored is unified again,
//! without asking the provider.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::{Error, Unify, custom};
use crate::{
    model::{EffectiveMappings, ObjectKind, Origin, RecordId, Scope, UnifiedBy, ValueSource},
    runtime::ConnectorVersion,
    store::{self, Remap, RemapPass},
};

/// Documents per transaction.
const BATCH: u32 = 500;
/// How long a pass over an object belongs to this process without a sign of life.
const LEASE: Duration = Duration::from_secs(60);

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

/// What is being done to the documents of an object.
struct Work<'a> {
    scope: &'a Scope,
    version: &'a ConnectorVersion,
    kind: ObjectKind,
    mappings: &'a EffectiveMappings,
    by: Arc<UnifiedBy>,
}

/// Stored documents with their records.
type Stored = Vec<(RecordId, String)>;

impl Unify {
    /// Unifies again what another version of a connector unified, or other custom fields: all
    /// objects of all connections that have not been gone over as they would be now, but those
    /// that another process is at. It ends with the batch at work where `stop` says so; begun
    /// again after that, or after a crash, it goes on after the last batch that was written.
    ///
    /// # Errors
    /// The connector or the database fails.
    pub async fn remap(
        &self,
        version: &ConnectorVersion,
        stop: &CancellationToken,
    ) -> Result<Remapped, Error> {
        let mut total = Remapped::default();
        let store = &self.0.store;
        let slug = &version.manifest().slug;
        let digest = version.digest().to_string();
        for (scope, kind, unified_by) in store.unified_by_others(slug, &digest).await? {
            let mappings = store.effective_mappings(&scope, kind).await?;
            let by = custom::unified_by(version, &mappings);
            if by.mark == unified_by {
                continue;
            }
            let pass = store.begin_remap(&scope, kind, &by.mark, LEASE).await?;
            let Some(mut pass) = pass else { continue };
            let work = Work {
                scope: &scope,
                version,
                kind,
                mappings: &mappings,
                by,
            };
            let ended = if version.manifest().object(kind).is_some() {
                self.remap_object(&work, &mut pass, stop, &mut total).await
            } else {
                Ok(())
            };
            match ended {
                Ok(()) if stop.is_cancelled() => {
                    store.release_remap(&pass).await?;
                    return Ok(total);
                }
                Ok(()) => {
                    if !store.finish_remap(&pass).await? {
                        self.0.remaps.notify_one();
                    }
                }
                // Something else was written meanwhile: it begins again.
                Err(Error::Store(store::Error::LeaseLost)) => self.0.remaps.notify_one(),
                Err(error) => {
                    store.release_remap(&pass).await?;
                    return Err(error);
                }
            }
        }
        Ok(total)
    }

    /// Batch after batch: while one is written, the next is read and unified.
    async fn remap_object(
        &self,
        work: &Work<'_>,
        pass: &mut RemapPass,
        stop: &CancellationToken,
        total: &mut Remapped,
    ) -> Result<(), Error> {
        let origin = Origin::unified(ValueSource::Reunify, &work.by);
        let mut made = self.next_batch(work, pass.after, total).await?;
        while let Some((last, seen, remaps)) = made {
            if stop.is_cancelled() {
                return Ok(());
            }
            let store = &self.0.store;
            let (changed, next) = tokio::join!(
                store.apply_remaps(pass, &remaps, (last, seen), &origin),
                self.next_batch(work, Some(last), total),
            );
            let changed = changed?;
            total.changed += changed;
            made = next?;
        }
        Ok(())
    }

    /// Reads the documents after a record and unifies them: the last record, how many documents
    /// there were, and what they became. None where there are no more.
    async fn next_batch(
        &self,
        work: &Work<'_>,
        after: Option<RecordId>,
        total: &mut Remapped,
    ) -> Result<Option<(RecordId, u64, Vec<Remap>)>, Error> {
        let (scope, kind) = (work.scope, work.kind);
        let store = &self.0.store;
        let stored: Stored = store.remote_documents(scope, kind, after, BATCH).await?;
        let Some((last, _)) = stored.last() else {
            return Ok(None);
        };
        let last = *last;
        let documents: Vec<&RawValue> = stored
            .iter()
            .filter_map(|(_, remote)| serde_json::from_str(remote).ok())
            .collect();
        if documents.len() != stored.len() {
            return Err(Error::Contract(format!("a stored {kind} is no JSON")));
        }
        let unified = self
            .unify_documents(scope, work.version, kind, work.mappings, &documents)
            .await?;
        let seen = stored.len() as u64;
        let mut remaps = Vec::with_capacity(stored.len());
        for ((id, remote), unified) in stored.into_iter().zip(unified) {
            match unified {
                Ok(unified) => remaps.push(Remap {
                    id,
                    remote,
                    unified: unified.unified,
                    custom: unified.custom,
                }),
                Err(_) => total.failed += 1,
            }
        }
        total.records += seen;
        Ok(Some((last, seen, remaps)))
    }
}
