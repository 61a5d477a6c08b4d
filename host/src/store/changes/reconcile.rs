//! What a page that was read at the provider means for records that have changes under way.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{Open, connection_columns, document, select_changes, side_of};
use crate::{
    model::{
        ChangeState, ObjectKind, RecordId, Scope, StoredDocument, Timestamp, Upsert,
        conflict::{Fields, fields_of},
    },
    store::{
        Error, Store,
        dialect::{Sql, Tx, Value, among},
    },
};

impl Store {
    /// Compares a page with the changes that are under way: where there is one, the row that is
    /// to be written is what both sides make together, and the change and its conflict are
    /// written. `outdated` are those whose upsert is what is stored. Also answers how many records
    /// began to be in conflict.
    pub(in crate::store) async fn reconcile_page<'page>(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &'page [Upsert],
        outdated: &HashSet<RecordId>,
        now: Timestamp,
    ) -> Result<(Cow<'page, [Upsert]>, u32), Error> {
        let ids: Vec<RecordId> = upserts
            .iter()
            .map(|upsert| self.record_id(scope, kind, &upsert.remote_id))
            .collect();
        let mut open = self.open_changes(tx, scope, &ids).await?;
        if open.is_empty() {
            return Ok((Cow::Borrowed(upserts), 0));
        }
        let policy = self.sync_config_in(tx, scope, kind).await?.policy();
        let mut merged = upserts.to_vec();
        let mut conflicts = 0;
        // Of two upserts of one remote id the last wins.
        for upsert in merged.iter_mut().rev() {
            let id = self.record_id(scope, kind, &upsert.remote_id);
            let Some(mut open) = open.remove(&id).filter(|_| !outdated.contains(&id)) else {
                continue;
            };
            if upsert.remote_modified_at < open.base_at && upsert.remote_modified_at.is_some() {
                // The page was read before what is known by now.
                if let Some(current) = self.current(tx, scope, kind, id).await? {
                    *upsert = current.with(kind, &open.change.pending.record());
                }
                continue;
            }
            let theirs = side_of(upsert);
            let before = open.change.pending.clone();
            let pending = &mut open.change.pending;
            let reconciled = pending.reconcile(&theirs, upsert.remote_modified_at, policy);
            if pending.conflicts.len() > before.conflicts.len() && before.conflicts.is_empty() {
                conflicts += 1;
            }
            let changed = *pending != before;
            open.base_version.clone_from(&upsert.remote_version);
            open.base_at = upsert.remote_modified_at.or(open.base_at);
            open.account(&before, &reconciled);
            if changed && open.change.state != ChangeState::Pushing {
                open.change.next_at = self.now();
            }
            open.step(now);
            self.save(tx, &open, now).await?;
            self.note_conflict(tx, &open.change, now).await?;
            let record = open.change.pending.record();
            // What is the provider's alone keeps its own text.
            if record == theirs {
                continue;
            }
            upsert.document = match &upsert.document {
                StoredDocument::Present { remote, .. } | StoredDocument::Outside { remote, .. } => {
                    document(kind, &record, remote)
                }
                StoredDocument::Deleted => match self.current(tx, scope, kind, id).await? {
                    Some(current) => document(kind, &record, &current.remote),
                    None => StoredDocument::Deleted,
                },
            };
        }
        Ok((Cow::Owned(merged), conflicts))
    }

    /// What stored documents were unified to anew, with what our applications have set since, for
    /// records that have a change under way.
    pub(in crate::store) async fn reconcile_remaps(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        remaps: &[crate::store::Remap],
    ) -> Result<HashMap<RecordId, (String, String)>, Error> {
        let ids: Vec<RecordId> = remaps.iter().map(|remap| remap.id).collect();
        let mut open = self.open_changes(tx, scope, &ids).await?;
        let mut replaced = HashMap::new();
        for remap in remaps {
            let Some(mut open) = open.remove(&remap.id) else {
                continue;
            };
            let pending = &mut open.change.pending;
            let mut base: Fields = fields_of(&remap.unified, &remap.custom);
            for name in pending.conflicts.keys() {
                if let Some(value) = pending.base.get(name) {
                    base.insert(name.clone(), value.clone());
                }
            }
            pending.base = base;
            let record = pending.record();
            self.save(tx, &open, self.now()).await?;
            if let StoredDocument::Present {
                unified, custom, ..
            } = document(kind, &record, "")
            {
                replaced.insert(remap.id, (unified, custom));
            }
        }
        Ok(replaced)
    }

    /// The changes under way of some records.
    async fn open_changes(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        ids: &[RecordId],
    ) -> Result<HashMap<RecordId, Open>, Error> {
        const SQL: Sql = among!(
            select_changes!("WHERE"), "h.record" among "$1",
            "AND h.connection = $2 AND h.state IN ('queued', 'pushing', 'conflict')"
        );
        let keys = Value::Keys(ids.iter().map(|id| id.as_bytes().to_vec()).collect());
        let values = vec![keys, Value::from(scope.connection().number)];
        let rows = tx.rows(SQL, values).await?;
        let mut open = HashMap::with_capacity(rows.len());
        for row in &rows {
            if let Some((_, one)) = self.change_from(row)? {
                open.insert(one.change.record, one);
            }
        }
        Ok(open)
    }
}
