//! Changes of our applications that wait to be pushed to providers: one row for each record that
//! differs from its provider's.
//!
//! Whoever writes one has taken the row of its connection first ([`super::pages::advance`]), so
//! edits, pages of syncs and the ends of pushes take turns.

mod push;
mod reconcile;

use std::collections::BTreeMap;

use super::{
    Error, Store,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::{Row, Tx, Value, values},
    events::NewEvent,
    pages::advance,
};
use crate::model::{
    ChangeId, ChangeState, Conflict, Decision, Edit, ObjectKind, Origin, Pending, ProjectId, Push,
    PushOperation, PushedField, QueuedChange, Reconciled, RecordId, RunId, Scope, StoredDocument,
    SyncConfig, Timestamp, Upsert, ValueSource,
    conflict::{DELETED, Fields, Side, fields_of, split},
};

pub use push::{ClaimedChange, PushTask};

/// What an application does to a record.
#[derive(Clone, Debug, PartialEq)]
pub enum LocalWrite {
    /// Sets fields.
    Set(Fields),
    /// Deletes it.
    Delete,
    /// Brings a deleted one back with these fields: the provider makes a new one of it.
    Restore(Fields),
}

/// Who writes, and why.
#[derive(Clone, Copy, Debug, Default)]
pub struct WrittenBy<'a> {
    /// The id of an API key, `undo` or `conflict`.
    pub actor: Option<&'a str>,
    /// The change that is taken back.
    pub undo_of: Option<ChangeId>,
}

impl WrittenBy<'_> {
    fn origin(self) -> Origin {
        match self.undo_of {
            Some(_) => Origin::of(ValueSource::Undo),
            None => Origin {
                actor: self.actor.map(str::to_owned),
                ..Origin::of(ValueSource::Write)
            },
        }
    }
}

/// Which changes are listed.
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    /// Only those of this connection.
    pub connection: Option<u32>,
    /// Only those of this object.
    pub kind: Option<ObjectKind>,
    /// Only those that stand so.
    pub state: Option<ChangeState>,
    /// Only those that this run pushed.
    pub run: Option<RunId>,
    /// Only those made before this one.
    pub before: Option<ChangeId>,
    /// At most so many.
    pub limit: u32,
}

/// The columns that `change_from` reads, after those of the connection.
macro_rules! change_columns {
    () => {
        "h.id, h.object, h.record, h.action, h.pending, h.base_version, h.base_at, h.pushed, \
         h.lost, h.state, h.revision, h.attempt, h.next_at, h.actor, h.run, h.undo_of, h.error, \
         h.created_at, h.updated_at, h.finished_at, h.fence"
    };
}
use change_columns;

macro_rules! select_changes {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            connection_columns!(),
            ", ",
            $crate::store::changes::change_columns!(),
            " FROM change h JOIN connection c ON c.number = h.connection ",
            $rest
        )
    };
}
use select_changes;

/// A change with what only the store needs.
#[derive(Clone, Debug)]
struct Open {
    change: QueuedChange,
    base_version: Option<String>,
    base_at: Option<Timestamp>,
    fence: i64,
}

/// A record as it is stored.
struct Current {
    remote_id: String,
    unified: String,
    remote: String,
    custom: String,
    version: Option<String>,
    modified_at: Option<Timestamp>,
    deleted: bool,
}

/// What became of a write that is to be queued.
#[derive(Clone, Debug)]
pub enum Queued {
    /// There is no such record.
    NoRecord,
    /// The record is so already, and no change of it is under way.
    Nothing,
    /// It is part of this change.
    Change(Box<QueuedChange>),
}

impl Store {
    /// Changes a record here at once, with its event, and queues what the provider is to be told.
    /// An edit of a record that has a change under way becomes part of it. A field that is set to
    /// what our side shows already is no edit.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection was deleted.
    pub async fn queue_change(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        write: &LocalWrite,
        by: WrittenBy<'_>,
    ) -> Result<Queued, Error> {
        let mut tx = self.begin().await?;
        let at = self.now();
        let now = advance(&mut tx, scope, at).await?;
        let now = now.ok_or(Error::Missing("connection"))?;
        let Some(current) = self.current(&mut tx, scope, kind, id).await? else {
            return Ok(Queued::NoRecord);
        };
        if current.deleted != matches!(write, LocalWrite::Restore(_)) {
            return Ok(Queued::NoRecord);
        }
        let open = self.open_change(&mut tx, scope, id).await?;
        let known = open.is_some();
        let mut open = match open {
            Some(open) => open,
            None => self.new_change(scope, kind, id, &current, by, now),
        };
        let pending = &mut open.change.pending;
        match write {
            LocalWrite::Set(fields) => {
                let news = pending.news(fields);
                if news.is_empty() {
                    return Ok(match known {
                        true => Queued::Change(Box::new(open.change)),
                        false => Queued::Nothing,
                    });
                }
                pending.edit(&news, at, by.actor);
            }
            LocalWrite::Delete => pending.delete(at, by.actor),
            LocalWrite::Restore(fields) => {
                *pending = Pending::over(fields.clone());
                pending.anew = true;
            }
        }
        open.change.revision += 1;
        open.change.error = None;
        if open.change.state != ChangeState::Pushing {
            open.change.next_at = self.now();
            open.change.attempt = 0;
        }
        open.step(now);
        let upsert = current.with(kind, &open.change.pending.record());
        let events = self
            .write_open(
                &mut tx,
                scope,
                kind,
                &open,
                known,
                &[upsert],
                &by.origin(),
                now,
            )
            .await?;
        self.write_events(&mut tx, scope, events, now).await?;
        tx.rings(&self.inner.changes_due);
        fault_point!("change.queuing");
        tx.commit().await?;
        fault_point!("change.queued");
        Ok(Queued::Change(Box::new(open.change)))
    }

    /// Rings when changes became due: a hint for workers, who look by themselves too.
    #[must_use]
    pub fn changes_due(&self) -> std::sync::Arc<tokio::sync::Notify> {
        std::sync::Arc::clone(&self.inner.changes_due)
    }

    /// A change of a project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change(
        &self,
        project: ProjectId,
        id: ChangeId,
    ) -> Result<Option<(Scope, QueuedChange)>, Error> {
        const SQL: &str = select_changes!("WHERE h.project = $1 AND h.id = $2");
        let values = values![project, id.to_string()];
        let row = self.database().read_one(SQL, values).await?;
        let Some(row) = row else { return Ok(None) };
        let open = self.change_from(&row)?;
        Ok(open.map(|(scope, open)| (scope, open.change)))
    }

    /// Changes of a project, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn changes(
        &self,
        project: ProjectId,
        filter: &ChangeFilter,
    ) -> Result<Vec<(Scope, QueuedChange)>, Error> {
        const SQL: &str = select_changes!(
            "WHERE h.project = $1 AND ($2 IS NULL OR h.connection = $2)
               AND ($3 IS NULL OR h.object = $3) AND ($4 IS NULL OR h.state = $4)
               AND ($5 IS NULL OR h.run = $5) AND ($6 IS NULL OR h.id < $6)
             ORDER BY h.id DESC LIMIT $7"
        );
        let values = values![
            project,
            filter.connection.map(i64::from),
            filter.kind.map(|kind| i64::from(self.object(kind))),
            filter.state.map(ChangeState::as_str),
            filter.run.map(|run| run.to_string()),
            filter.before.map(|id| id.to_string()),
            filter.limit,
        ];
        let rows = self.database().read(SQL, values).await?;
        let found = rows
            .iter()
            .filter_map(|row| self.change_from(row).transpose());
        found
            .map(|found| found.map(|(scope, open)| (scope, open.change)))
            .collect()
    }

    /// Calls a change off that no worker is at: the record is as the provider has it again. False
    /// where it is under way or ended; nothing happens then.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cancel_change(&self, scope: &Scope, id: ChangeId) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let now = advance(&mut tx, scope, self.now()).await?;
        let now = now.ok_or(Error::Missing("connection"))?;
        let Some(mut open) = self.change_in(&mut tx, scope, id).await? else {
            return Ok(false);
        };
        let waits = matches!(
            open.change.state,
            ChangeState::Queued | ChangeState::Conflict
        );
        let pending = &open.change.pending;
        if !waits || !pending.sent.is_empty() || pending.sent_deletion {
            return Ok(false);
        }
        let events = self
            .give_up(&mut tx, scope, &mut open, ChangeState::Cancelled, now)
            .await?;
        self.write_events(&mut tx, scope, events, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Applies what a person decided of a conflict; false where it is not open any more.
    pub(super) async fn resolve_change(
        &self,
        scope: &Scope,
        conflict: &Conflict,
        decisions: &BTreeMap<String, Decision>,
        by: &str,
    ) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let at = self.now();
        let now = advance(&mut tx, scope, at).await?;
        let now = now.ok_or(Error::Missing("connection"))?;
        if !self
            .note_decisions(&mut tx, conflict.id, decisions, by, now)
            .await?
        {
            return Ok(false);
        }
        let Some(mut open) = self.change_in(&mut tx, scope, conflict.change).await? else {
            return Ok(false);
        };
        let kind = open.change.kind;
        open.change.pending.resolve(decisions, at, Some(by));
        open.change.revision += 1;
        if open.change.state != ChangeState::Pushing {
            open.change.next_at = self.now();
            open.change.attempt = 0;
        }
        open.step(now);
        let current = self
            .current(&mut tx, scope, kind, open.change.record)
            .await?;
        let side = match open.change.pending.is_settled() {
            true => open.change.pending.theirs(),
            false => open.change.pending.record(),
        };
        let upserts: Vec<Upsert> = current
            .iter()
            .map(|current| current.with(kind, &side))
            .collect();
        let decided = Origin {
            actor: Some(by.to_owned()),
            ..Origin::of(ValueSource::Conflict)
        };
        let events = self
            .write_open(&mut tx, scope, kind, &open, true, &upserts, &decided, now)
            .await?;
        self.write_events(&mut tx, scope, events, now).await?;
        tx.rings(&self.inner.changes_due);
        tx.commit().await?;
        Ok(true)
    }

    /// Marks a change as taken back.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mark_undone(&self, project: ProjectId, id: ChangeId) -> Result<(), Error> {
        let sql = "UPDATE change SET state = 'undone', updated_at = $3
                   WHERE project = $1 AND id = $2 AND state = 'done'";
        let values = values![project, id.to_string(), self.now()];
        self.database().write(sql, values).await.map(drop)
    }

    fn new_change(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        record: RecordId,
        current: &Current,
        by: WrittenBy<'_>,
        now: Timestamp,
    ) -> Open {
        let change = QueuedChange {
            id: ChangeId::generate(now, self.entropy()),
            project: scope.project(),
            connection: scope.connection().clone(),
            kind,
            record,
            action: PushOperation::Update,
            pending: Pending::over(fields_of(&current.unified, &current.custom)),
            pushed: BTreeMap::new(),
            lost: BTreeMap::new(),
            state: ChangeState::Queued,
            revision: 0,
            attempt: 0,
            next_at: self.now(),
            actor: by.actor.map(str::to_owned),
            run: None,
            undo_of: by.undo_of,
            error: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
        };
        Open {
            change,
            base_version: current.version.clone(),
            base_at: current.modified_at,
            fence: 0,
        }
    }

    /// Gives up what a change has not pushed: the record is as the provider has it again. The
    /// events that follow.
    async fn give_up(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        open: &mut Open,
        state: ChangeState,
        now: Timestamp,
    ) -> Result<Vec<NewEvent>, Error> {
        let change = &mut open.change;
        let kind = change.kind;
        let side = change.pending.theirs();
        change.lost.append(&mut change.pending.edits);
        if let Some(deletion) = change.pending.deletion.take() {
            change.lost.insert(DELETED.to_owned(), deletion);
        }
        change.pending.conflicts.clear();
        change.state = state;
        change.finished_at = Some(now);
        let current = self.current(tx, scope, kind, change.record).await?;
        let upserts: Vec<Upsert> = current
            .iter()
            .map(|current| current.with(kind, &side))
            .collect();
        let given_up = Origin::of(ValueSource::GivenUp);
        self.write_open(tx, scope, kind, open, true, &upserts, &given_up, now)
            .await
    }

    /// Writes a change, its conflict and what the record is by it; the events that follow.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that is written at once"
    )]
    async fn write_open(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        open: &Open,
        known: bool,
        upserts: &[Upsert],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<NewEvent>, Error> {
        if known {
            self.save(tx, open, now).await?;
        } else {
            self.insert(tx, scope, open, now).await?;
        }
        self.note_conflict(tx, &open.change, now).await?;
        let origin = Origin {
            change: Some(open.change.id),
            ..origin.clone()
        };
        let written = self
            .write_page(tx, scope, kind, upserts, &origin, now)
            .await?;
        Ok(written.events)
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        open: &Open,
        now: Timestamp,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO change (id, project, connection, object, record, action, pending,
                       base_version, base_at, pushed, lost, state, revision, attempt, next_at,
                       fence, actor, run, undo_of, error, created_at, updated_at, finished_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0,
                       $16, $17, $18, $19, $20, $20, $21)";
        let change = &open.change;
        let mut values = values![
            change.id.to_string(),
            change.project,
            scope.connection().number,
            self.object(change.kind),
        ];
        values.extend(open.state()?);
        values.extend(values![
            change.actor.as_deref(),
            change.run.map(|run| run.to_string()),
            change.undo_of.map(|id| id.to_string()),
            change.error.as_deref().map(super::without_nulls),
            now,
            change.finished_at,
        ]);
        tx.execute(sql, values).await.map(drop)
    }

    async fn save(&self, tx: &mut Tx, open: &Open, now: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE change
                   SET record = $2, action = $3, pending = $4, base_version = $5, base_at = $6,
                       pushed = $7, lost = $8, state = $9, revision = $10, attempt = $11,
                       next_at = $12, error = $13, updated_at = $14, finished_at = $15,
                       lease_owner = CASE WHEN $9 = 'pushing' THEN lease_owner END,
                       lease_until = CASE WHEN $9 = 'pushing' THEN lease_until END
                   WHERE id = $1";
        let change = &open.change;
        let mut values = values![change.id.to_string()];
        values.extend(open.state()?);
        values.extend(values![
            change.error.as_deref().map(super::without_nulls),
            now,
            change.finished_at,
        ]);
        tx.execute(sql, values).await.map(drop)
    }

    /// The change of a record that is under way.
    async fn open_change(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        record: RecordId,
    ) -> Result<Option<Open>, Error> {
        const SQL: &str = select_changes!(
            "WHERE h.record = $1 AND h.connection = $2
               AND h.state IN ('queued', 'pushing', 'conflict')"
        );
        let row = tx
            .row(SQL, values![record, scope.connection().number])
            .await?;
        self.open_from(row.as_ref())
    }

    /// A change of a connection.
    async fn change_in(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        id: ChangeId,
    ) -> Result<Option<Open>, Error> {
        const SQL: &str = select_changes!("WHERE h.id = $1 AND h.connection = $2");
        let values = values![id.to_string(), scope.connection().number];
        let row = tx.row(SQL, values).await?;
        self.open_from(row.as_ref())
    }

    fn open_from(&self, row: Option<&Row>) -> Result<Option<Open>, Error> {
        let Some(row) = row else { return Ok(None) };
        Ok(self.change_from(row)?.map(|(_, open)| open))
    }

    async fn current(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
    ) -> Result<Option<Current>, Error> {
        let sql = "SELECT remote_id, unified, remote, custom, remote_version, remote_modified_at,
                          deleted_at
                   FROM record WHERE id = $1 AND connection = $2 AND object = $3";
        let values = values![id, scope.connection().number, self.object(kind)];
        let Some(row) = tx.row(sql, values).await? else {
            return Ok(None);
        };
        Ok(Some(Current {
            remote_id: row.text(0)?,
            unified: row.text(1)?,
            remote: row.text(2)?,
            custom: row.text(3)?,
            version: row.optional_text(4)?,
            modified_at: row.optional_time(5)?,
            deleted: row.optional_int(6)?.is_some(),
        }))
    }

    /// Reads [`change_columns`]; none where this version does not know the object.
    fn change_from(&self, row: &Row) -> Result<Option<(Scope, Open)>, Error> {
        const FIRST: usize = CONNECTION_COLUMNS;
        let Some(kind) = self.kind(row.number(FIRST + 1)?) else {
            return Ok(None);
        };
        let scope = scope_from(row)?;
        let change = QueuedChange {
            id: row.parsed(FIRST)?,
            project: scope.project(),
            connection: scope.connection().clone(),
            kind,
            record: row.record_id(FIRST + 2)?,
            action: row.parsed_by(FIRST + 3, PushOperation::parse)?,
            pending: row.parsed_by(FIRST + 4, json)?,
            pushed: row.parsed_by(FIRST + 7, json)?,
            lost: row.parsed_by(FIRST + 8, json)?,
            state: row.parsed_by(FIRST + 9, ChangeState::parse)?,
            revision: row.int(FIRST + 10)?,
            attempt: row.number(FIRST + 11)?,
            next_at: row.time(FIRST + 12)?,
            actor: row.optional_text(FIRST + 13)?,
            run: row
                .optional_text(FIRST + 14)?
                .and_then(|text| text.parse().ok()),
            undo_of: row
                .optional_text(FIRST + 15)?
                .and_then(|text| text.parse().ok()),
            error: row.optional_text(FIRST + 16)?,
            created_at: row.time(FIRST + 17)?,
            updated_at: row.time(FIRST + 18)?,
            finished_at: row.optional_time(FIRST + 19)?,
        };
        let open = Open {
            change,
            base_version: row.optional_text(FIRST + 5)?,
            base_at: row.optional_time(FIRST + 6)?,
            fence: row.int(FIRST + 20)?,
        };
        Ok(Some((scope, open)))
    }
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

impl Open {
    /// The columns from `record` to `next_at`, in the order of the table.
    fn state(&self) -> Result<Vec<Value>, Error> {
        let change = &self.change;
        Ok(values![
            change.record,
            change.action.as_str(),
            text(&change.pending)?,
            self.base_version.as_deref(),
            self.base_at,
            text(&change.pushed)?,
            text(&change.lost)?,
            change.state.as_str(),
            change.revision,
            change.attempt,
            change.next_at,
        ])
    }

    /// After something happened to the difference: how the change stands now.
    fn step(&mut self, now: Timestamp) {
        let change = &mut self.change;
        let push = change.pending.to_push();
        change.action = push.action().unwrap_or(change.action);
        change.state = if change.pending.is_settled() {
            change.finished_at = Some(now);
            if change.pushed.is_empty() {
                ChangeState::Cancelled
            } else {
                ChangeState::Done
            }
        } else if push == Push::Nothing {
            ChangeState::Conflict
        } else if change.state == ChangeState::Pushing {
            ChangeState::Pushing
        } else {
            ChangeState::Queued
        };
    }

    /// Keeps account of what reading the provider did; `before` is the difference before it.
    fn account(&mut self, before: &Pending, reconciled: &Reconciled) {
        let change = &mut self.change;
        for name in &reconciled.lost {
            let edit: Option<&Edit> = before.edits.get(name).or(before.deletion.as_ref());
            if let Some(edit) = edit {
                change.lost.insert(name.clone(), edit.clone());
            }
        }
        for name in &reconciled.arrived {
            let value = |fields: &Fields| fields.get(name).cloned().unwrap_or_default();
            let to = value(&change.pending.base);
            let pushed = change
                .pushed
                .entry(name.clone())
                .or_insert_with(|| PushedField {
                    from: value(&before.base),
                    to: to.clone(),
                });
            pushed.to = to;
        }
    }
}

impl Current {
    /// The same row with what our side shows.
    fn with(&self, kind: ObjectKind, side: &Side) -> Upsert {
        Upsert {
            remote_id: self.remote_id.clone(),
            document: document(kind, side, &self.remote),
            remote_version: self.version.clone(),
            remote_modified_at: self.modified_at,
        }
    }
}

/// What is stored of a side, beside the provider's own document.
fn document(kind: ObjectKind, side: &Side, remote: &str) -> StoredDocument {
    match side {
        Side::Deleted => StoredDocument::Deleted,
        Side::Present(fields) => {
            let (unified, custom) = split(fields);
            StoredDocument::Present {
                unified: serde_json::Value::Object(kind.complete(unified)).to_string(),
                remote: remote.to_owned(),
                custom: serde_json::Value::Object(custom).to_string(),
            }
        }
    }
}

/// The provider's side as a page has it.
fn side_of(upsert: &Upsert) -> Side {
    match &upsert.document {
        StoredDocument::Deleted => Side::Deleted,
        StoredDocument::Present {
            unified, custom, ..
        }
        | StoredDocument::Outside {
            unified, custom, ..
        } => Side::Present(fields_of(unified, custom)),
    }
}

fn text<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Corrupt(error.to_string()))
}

impl Store {
    /// What the sync of an object is told to do, as this transaction sees it.
    pub(super) async fn sync_config_in(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
    ) -> Result<SyncConfig, Error> {
        let sql = "SELECT config FROM sync_config WHERE connection = $1 AND object = $2";
        let values = values![scope.connection().number, self.object(kind)];
        match tx.row(sql, values).await? {
            Some(row) => row.parsed_by(0, json),
            None => Ok(SyncConfig::default()),
        }
    }
}
