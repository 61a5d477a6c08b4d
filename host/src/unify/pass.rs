//! What follows the last page of a run: records that the provider no longer has are deleted, or
//! somebody is asked.

use std::time::Duration;

use super::{Error, Unify, sync::count};
use crate::{
    model::{
        FullPass, NextQuery, ObjectKind, ObjectSupport, PassState, Question, RecordId, Scope,
        Timestamp,
    },
    store::{ClaimedSync, Missing, Pass},
};

/// Batches of deletions until the claim is looked at again.
const BATCHES: usize = 20;

/// What became of the passes of a sync.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swept {
    /// Whether there is more to be deleted.
    pub(super) more: bool,
    /// What the run's own pass asks.
    pub(super) question: Option<Question>,
}

impl Unify {
    /// All pages of a run are read and written. Looks what its pass missed; deletes that, a part at
    /// a time, or asks where it is too much. Then what somebody answered to an earlier pass is
    /// done. Repeated after a crash, it goes on where it was.
    pub(super) async fn sweep(
        &self,
        claimed: &ClaimedSync,
        support: &ObjectSupport,
        run_started_at: Timestamp,
    ) -> Result<Swept, Error> {
        let store = &self.0.store;
        if let (Some(cap), Some(query)) = (support.result_cap, &claimed.state.query)
            && query.next(cap, support.since_granularity) == NextQuery::Everything
        {
            tracing::warn!(
                connection = %claimed.scope.connection().id, object = %claimed.kind, cap,
                "the provider did not tell of all that changed; everything is read again"
            );
            store.require_full(claimed).await?;
        }
        let mut swept = Swept::default();
        for pass in store.passes(claimed).await? {
            match pass.state {
                PassState::Reading => {}
                PassState::Stopped if pass.run_started_at == run_started_at => {
                    swept.question = pass.question;
                }
                PassState::Stopped => {}
                PassState::Keeping => {
                    let found = self.missed(&claimed.scope, support, &pass).await?;
                    let kept = [found.kept, found.ids].concat();
                    store.end_pass(claimed, &pass, &kept).await?;
                }
                PassState::Read => {
                    let found = self.missed(&claimed.scope, support, &pass).await?;
                    let percent = claimed.state.config.delete_guard_percent;
                    let asks = Question::is_due(found.ids.len() as u64, found.stored, percent);
                    let question = store.settle_pass(claimed, &pass, &found, asks).await?;
                    if asks {
                        swept.question = Some(question);
                    } else {
                        swept.more |= self.delete_part(claimed, &pass, &found).await?;
                    }
                }
                PassState::Deleting => {
                    let found = self.missed(&claimed.scope, support, &pass).await?;
                    swept.more |= self.delete_part(claimed, &pass, &found).await?;
                }
            }
        }
        Ok(swept)
    }

    /// The records that a sync asks about: what an answer would delete now. Without a question,
    /// none. It takes a look at every id that is stored.
    ///
    /// # Errors
    /// The connector does not serve, reads the object no more, or the database fails.
    pub async fn asked_about(
        &self,
        scope: &Scope,
        kind: ObjectKind,
    ) -> Result<Vec<RecordId>, Error> {
        let Some(pass) = self.0.store.asking_pass(scope, kind).await? else {
            return Ok(Vec::new());
        };
        let version = self.version(&scope.connection().connector)?;
        let support = version.manifest().object(kind);
        let support = support.ok_or_else(|| Error::ObjectUnsupported {
            connector: scope.connection().connector.clone(),
            kind,
        })?;
        Ok(self.missed(scope, support, &pass).await?.ids)
    }

    async fn missed(
        &self,
        scope: &Scope,
        support: &ObjectSupport,
        pass: &Pass,
    ) -> Result<Missing, Error> {
        let late = Duration::from_secs(u64::from(support.look_back));
        let before = pass.run_started_at.minus(late);
        let store = &self.0.store;
        Ok(store.missing(scope, support.kind, pass, before).await?)
    }

    /// Deletes a part; whether there is more.
    async fn delete_part(
        &self,
        claimed: &ClaimedSync,
        pass: &Pass,
        found: &Missing,
    ) -> Result<bool, Error> {
        let store = &self.0.store;
        let mut batches = found.batches();
        for batch in batches.by_ref().take(BATCHES) {
            let outcome = store.delete_missing(claimed, pass, found, batch).await?;
            count(&claimed.scope, claimed.kind, &outcome);
        }
        if batches.next().is_some() {
            return Ok(true);
        }
        store.end_pass(claimed, pass, &found.kept).await?;
        Ok(false)
    }
}

/// Whether a run finds out what is gone: it reads everything, that is everything that there is, and
/// it is not the first to do so.
pub(super) fn finds_missing(claimed: &ClaimedSync, support: &ObjectSupport, full: bool) -> bool {
    full && claimed.state.full_done && support.full_pass == FullPass::Complete
}
