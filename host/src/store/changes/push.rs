//! Changes on their way: claimed for a while, sent, written down.
//!
//! A claim counts the attempt and holds for its lease; one that is never finished is due again by
//! itself. Its fence keeps whoever was paused past that from writing.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{Open, connection_columns, document, select_changes, side_of};
use crate::{
    model::{
        ChangeId, ChangeState, ObjectKind, Origin, Push, QueuedChange, RunError, RunId, Scope,
        StoredDocument, Timestamp, Trigger, UnifiedBy, Upsert, Usage, ValueSource, Written,
        conflict::Side,
    },
    store::{
        Error, Store,
        dialect::{Sql, Tx, values},
        lease::{self, clocked, clocked_taking},
        pages::advance,
    },
};

/// A change that this process may push until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedChange {
    /// The connection.
    pub scope: Scope,
    /// The change.
    pub change: QueuedChange,
    /// Whether an earlier attempt may have reached the provider.
    pub unsure: bool,
    /// The number of the claim.
    pub fence: i64,
    /// What the calls made for it use.
    pub usage: Usage,
}

/// What is to be sent now.
#[derive(Clone, Debug)]
pub struct PushTask {
    /// What.
    pub push: Push,
    /// The provider's id of the record.
    pub remote_id: String,
    /// The provider's token of what our side goes by.
    pub version: Option<String>,
    /// The same key means the same write.
    pub idempotency_key: String,
}

impl Store {
    /// Claims changes that are due, of valid connections, those in turn, the longest due first.
    /// Those of one object of one connection that are claimed soon after each other are one
    /// outbound run. `owner` is shown to people only; what protects a claim is its fence.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_changes(
        &self,
        owner: &str,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedChange>, Error> {
        // Looks at the state again: another claimer may have been faster.
        const DUE: Sql = clocked_taking!("h":
            [select_changes!(
                "JOIN (SELECT due.id AS change,
                              ROW_NUMBER() OVER (PARTITION BY due.connection
                                                 ORDER BY due.next_at, due.id) AS turn
                       FROM change due
                       WHERE due.state IN ('queued', 'pushing') AND due.next_at <= $1
                         AND (due.lease_until IS NULL OR due.lease_until <= "
            )] now ")) fair ON fair.change = h.id
                 WHERE h.state IN ('queued', 'pushing')
                   AND (h.lease_until IS NULL OR h.lease_until <= " now ")
                   AND c.status = 'valid' AND c.deleted_at IS NULL
                 ORDER BY fair.turn, h.next_at, h.id LIMIT $2"
        );
        const CLAIM: Sql = clocked!(
            "UPDATE change
             SET state = 'pushing', lease_owner = $2, lease_until = " now " + $3,
                 fence = fence + 1, attempt = attempt + 1, run = $4
             WHERE id = $1"
        );
        let now = self.now();
        let mut tx = self.begin().await?;
        let mut runs: HashMap<(u32, ObjectKind, bool), RunId> = HashMap::new();
        let mut claimed = Vec::new();
        for row in tx.rows(DUE, values![now, limit]).await? {
            let Some((scope, mut open)) = self.change_from(&row)? else {
                continue;
            };
            let trigger = match open.change.undo_of {
                Some(_) => Trigger::Undo,
                None if open.change.attempt > 0 => Trigger::Retry,
                None => Trigger::Change,
            };
            let (number, kind) = (scope.connection().number, open.change.kind);
            let key = (number, kind, trigger == Trigger::Undo);
            let run = match runs.get(&key) {
                Some(run) => *run,
                None => {
                    let object = self.object(kind);
                    self.outbound_run(&mut tx, &scope, object, trigger, now)
                        .await?
                }
            };
            runs.insert(key, run);
            let id = open.change.id.to_string();
            let run_text = run.to_string();
            let lease = lease::millis(lease);
            tx.execute(CLAIM, values![id, owner, lease, run_text])
                .await?;
            open.change.state = ChangeState::Pushing;
            open.change.attempt += 1;
            open.change.run = Some(run);
            let pending = &open.change.pending;
            claimed.push(ClaimedChange {
                unsure: !pending.sent.is_empty() || pending.sent_deletion,
                fence: open.fence + 1,
                change: open.change,
                scope,
                usage: Usage::default(),
            });
        }
        self.end_quiet_runs(&mut tx, now).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// What a claimed change is to send now, noted as perhaps sent from here on. None where
    /// nothing is left to send: the claim is given back then.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the change is somebody else's by now.
    pub async fn begin_push(&self, claimed: &ClaimedChange) -> Result<Option<PushTask>, Error> {
        let (mut tx, now, mut open) = self.held(claimed).await?;
        let kind = open.change.kind;
        let push = open.change.pending.to_push();
        if push == Push::Nothing {
            open.change.state = ChangeState::Queued;
            open.step(now);
            self.save(&mut tx, &open, now).await?;
            tx.commit().await?;
            return Ok(None);
        }
        open.change.pending.sending(&push);
        self.save(&mut tx, &open, now).await?;
        let current = self
            .current(&mut tx, &claimed.scope, kind, open.change.record)
            .await?;
        tx.commit().await?;
        let current = current.ok_or_else(|| Error::Corrupt("a change of no record".into()))?;
        let id = open.change.id;
        let idempotency_key = match push {
            Push::Create(_) => format!("{id}-create"),
            _ => format!("{id}-{}", open.change.revision),
        };
        Ok(Some(PushTask {
            push,
            remote_id: current.remote_id,
            version: open.base_version,
            idempotency_key,
        }))
    }

    /// The provider took a push; `answer` is what it has now. The record, what both sides agree
    /// on, events, and how the change stands, all or nothing. `unified_by` made the answer; none
    /// where there is none.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the change is somebody else's by now, or was settled by a sync
    /// that was faster: nothing is written.
    pub async fn finish_push(
        &self,
        claimed: &ClaimedChange,
        push: &Push,
        answer: &Upsert,
        unified_by: Option<&Arc<UnifiedBy>>,
    ) -> Result<ChangeState, Error> {
        let (mut tx, now, mut open) = self.held(claimed).await?;
        let (scope, kind) = (&claimed.scope, open.change.kind);
        let policy = self.sync_config_in(&mut tx, scope, kind).await?.policy();
        let theirs = side_of(answer);
        let before = open.change.pending.clone();
        let newer = answer.remote_modified_at.is_some() && answer.remote_modified_at < open.base_at;
        if newer {
            // A sync has seen the echo already, or what came after it.
            open.change.pending.sent.clear();
            open.change.pending.sent_deletion = false;
        } else {
            let pending = &mut open.change.pending;
            let reconciled = pending.pushed(push, &theirs, answer.remote_modified_at, policy);
            open.account(&before, &reconciled);
            open.base_version.clone_from(&answer.remote_version);
            open.base_at = answer.remote_modified_at.or(open.base_at);
        }
        if matches!(push, Push::Delete) {
            let from = serde_json::Value::Object(before.base.clone());
            let to = serde_json::Value::Null;
            let deleted = crate::model::PushedField { from, to };
            let name = crate::model::conflict::DELETED.to_owned();
            open.change.pushed.insert(name, deleted);
        }
        open.change.revision += 1;
        open.change.attempt = 0;
        open.change.next_at = self.now();
        open.change.error = None;
        open.change.state = ChangeState::Queued;
        open.step(now);
        let record = open.change.pending.record();
        let mut upserts = Vec::new();
        let new_id = self.record_id(scope, kind, &answer.remote_id);
        if new_id != open.change.record {
            // Created anew: the old one is gone, and what is left of the change is the new one's.
            let current = self
                .current(&mut tx, scope, kind, open.change.record)
                .await?;
            upserts.extend(current.map(|current| current.with(kind, &Side::Deleted)));
            open.change.record = new_id;
        }
        upserts.push(if record == theirs {
            answer.clone()
        } else {
            let remote = match &answer.document {
                StoredDocument::Present { remote, .. } | StoredDocument::Outside { remote, .. } => {
                    remote.as_str()
                }
                StoredDocument::Deleted => "{}",
            };
            Upsert {
                document: document(kind, &record, remote),
                ..answer.clone()
            }
        });
        self.save(&mut tx, &open, now).await?;
        self.note_conflict(&mut tx, &open.change, now).await?;
        self.count_push(&mut tx, claimed, push, open.change.state)
            .await?;
        let origin = Origin {
            run: open.change.run,
            change: Some(open.change.id),
            unified_by: unified_by.map(Arc::clone),
            written: (new_id != claimed.change.record).then(|| Written {
                fields: match push {
                    Push::Create(fields) => fields.keys().cloned().collect(),
                    _ => BTreeSet::new(),
                },
                actor: open.change.actor.clone(),
            }),
            ..Origin::of(ValueSource::Answer)
        };
        let written = self
            .write_page(&mut tx, scope, kind, &upserts, &origin, now)
            .await?;
        if let Some(by) = unified_by {
            self.note_mixture(&mut tx, scope, kind, by).await?;
        }
        self.settle(&mut tx, scope, kind, &upserts, now).await?;
        self.write_events(&mut tx, scope, written.events, now)
            .await?;
        tx.rings(&self.inner.changes_due);
        tx.commit().await?;
        Ok(open.change.state)
    }

    /// A push came to nothing for now; it is tried again then. Where it does not count, its claim
    /// was no attempt.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the change is somebody else's by now.
    pub async fn retry_push(
        &self,
        claimed: &ClaimedChange,
        error: &RunError,
        at: Timestamp,
        counts: bool,
    ) -> Result<(), Error> {
        let (mut tx, now, mut open) = self.held(claimed).await?;
        if !counts {
            open.change.attempt = open.change.attempt.saturating_sub(1);
        }
        open.change.error = Some(error.message.clone());
        open.change.state = ChangeState::Queued;
        open.change.next_at = at;
        open.step(now);
        self.save(&mut tx, &open, now).await?;
        self.count_failed_push(&mut tx, claimed, error, false)
            .await?;
        tx.commit().await
    }

    /// The provider does not take a push: what is not pushed is given up, and the record is as
    /// the provider has it.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the change is somebody else's by now.
    pub async fn fail_push(&self, claimed: &ClaimedChange, error: &RunError) -> Result<(), Error> {
        let (mut tx, now, mut open) = self.held(claimed).await?;
        open.change.error = Some(error.message.clone());
        let scope = &claimed.scope;
        let state = ChangeState::Failed;
        let events = self.give_up(&mut tx, scope, &mut open, state, now).await?;
        self.count_failed_push(&mut tx, claimed, error, true)
            .await?;
        self.write_events(&mut tx, scope, events, now).await?;
        tx.commit().await
    }

    /// Holds a claim for `lease` from now; false where it was lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew_push(
        &self,
        claimed: &ClaimedChange,
        lease: Duration,
    ) -> Result<bool, Error> {
        const RENEW: Sql = clocked!(
            "UPDATE change SET lease_until = " now " + $3
             WHERE id = $1 AND fence = $2 AND state = 'pushing'"
        );
        let (id, lease) = (claimed.change.id.to_string(), lease::millis(lease));
        let values = values![id, claimed.fence, lease];
        Ok(self.database().write(RENEW, values).await? > 0)
    }

    /// How a change stands, and whether this claim still holds it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn still_claimed(&self, claimed: &ClaimedChange) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM change WHERE id = $1 AND fence = $2 AND state = 'pushing'";
        let values = values![claimed.change.id.to_string(), claimed.fence];
        Ok(self.database().read_one(sql, values).await?.is_some())
    }

    /// A transaction in which a claim still holds, with the change as it is now.
    async fn held(&self, claimed: &ClaimedChange) -> Result<(Tx, Timestamp, Open), Error> {
        let mut tx = self.begin().await?;
        let now = advance(&mut tx, &claimed.scope, self.now()).await?;
        let now = now.ok_or(Error::LeaseLost)?;
        let id: ChangeId = claimed.change.id;
        let open = self.change_in(&mut tx, &claimed.scope, id).await?;
        let open = open.filter(|open| {
            open.fence == claimed.fence && open.change.state == ChangeState::Pushing
        });
        Ok((tx, now, open.ok_or(Error::LeaseLost)?))
    }
}
