//! Writing a page of records: rows, events and the sync's cursor in one transaction.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    Checkpoint, Error, Store,
    dialect::{Bulk, Row, Sql, Tx, Value, among, bulk, count, values},
    events::NewEvent,
    history::{Changed, Touched},
};
use crate::model::{
    Change, Digest, ObjectKind, Origin, Record, RecordId, Scope, StoredDocument, Timestamp, Upsert,
    Used, ValueSource, splice,
};

/// What writing a page did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOutcome {
    /// One for each upsert, in their order.
    pub changes: Vec<Change>,
    /// How many were created.
    pub created: u32,
    /// How many were updated.
    pub updated: u32,
    /// How many were deleted.
    pub deleted: u32,
    /// How many were as they were.
    pub unchanged: u32,
    /// How many began to wait for a person to decide a conflict.
    pub conflicts: u32,
    /// Whether the object's documents are unified in several ways by now: they are to be unified
    /// again.
    pub mixed: bool,
}

/// Where a page of records comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A claimed sync read it.
    Sync(&'a Checkpoint<'a>),
    /// It was read out of turn; reading began when [`Store::reading`] gave this time.
    Read(Timestamp),
    /// The provider answered it to a write of ours.
    Write,
}

/// Rows that were written, and what is to be announced of them.
pub(super) struct WrittenPage {
    /// One for each upsert, in their order.
    pub(super) changes: Vec<Change>,
    pub(super) events: Vec<NewEvent>,
}

/// What is stored of a record that an upsert is about.
struct Stored {
    hash: Vec<u8>,
    created_at: Timestamp,
    modified_at: Timestamp,
    deleted: bool,
}

impl Store {
    /// [`Self::apply_page_from`] a sync, or else from a read.
    ///
    /// # Errors
    /// As there.
    pub async fn apply_page(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &[Upsert],
        source: Source<'_>,
    ) -> Result<PageOutcome, Error> {
        let origin = Origin::of(match source {
            Source::Sync(_) => ValueSource::Sync,
            Source::Read(_) => ValueSource::Read,
            Source::Write => ValueSource::Answer,
        });
        self.apply_page_from(scope, kind, upserts, source, &origin)
            .await
    }

    /// Writes a page of records of one object: the rows, an event for each change
    /// (`<vertical>.<object>.created`, `.updated` or `.deleted`, its data the record in wire form)
    /// and how far the sync has come that read it. All or nothing. A record that a write of ours
    /// reached after the reading began is left alone: the next run reads it again.
    ///
    /// All changes of a page carry the same modification time: now, or a millisecond after the
    /// page before where the clock has not moved on. A change of the provider's document alone is
    /// stored but announces nothing and leaves the time as it is. Of two upserts of one remote id
    /// the last wins; the earlier one counts as unchanged.
    ///
    /// `origin` is written beside what it explains. Where documents were unified by something else
    /// than the others of the object, that is noted too: they are to be unified again.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the sync was claimed by somebody else, has ended, or its
    /// connection was deleted; [`Error::Missing`] where no sync read it and the connection was
    /// deleted.
    pub async fn apply_page_from(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &[Upsert],
        source: Source<'_>,
        origin: &Origin,
    ) -> Result<PageOutcome, Error> {
        let mut tx = self.begin().await?;
        let now = advance(&mut tx, scope, self.now())
            .await?
            .ok_or(match source {
                Source::Sync(_) => Error::LeaseLost,
                Source::Read(_) | Source::Write => Error::Missing("connection"),
            })?;
        let (read, mut used) = (upserts.len(), Used::default());
        let as_of = match source {
            Source::Sync(checkpoint) => {
                let object = self.object(checkpoint.claimed.kind);
                if let Err(error) = checkpoint.save(&mut tx, object, upserts.len()).await {
                    // At once: the connection's row is free for whoever holds the claim now.
                    tx.rollback().await?;
                    return Err(error);
                }
                self.note_way(&mut tx, checkpoint).await?;
                Some(checkpoint.as_of)
            }
            Source::Read(as_of) => Some(as_of),
            Source::Write => None,
        };
        let (upserts, outdated) = match as_of {
            Some(as_of) => {
                self.current_of(&mut tx, scope, kind, upserts, as_of)
                    .await?
            }
            None => (Cow::Borrowed(upserts), HashSet::new()),
        };
        let (upserts, conflicts) = self
            .reconcile_page(&mut tx, scope, kind, &upserts, &outdated, now)
            .await?;
        let written = self
            .write_page(&mut tx, scope, kind, &upserts, origin, now)
            .await?;
        let mixed = match &origin.unified_by {
            Some(by) => self.note_mixture(&mut tx, scope, kind, by).await?,
            None => false,
        };
        if matches!(source, Source::Write) {
            self.settle(&mut tx, scope, kind, &upserts, now).await?;
        }
        let outcome = PageOutcome::of(written.changes, conflicts);
        self.clear_failures(&mut tx, scope, kind, &upserts).await?;
        if let Source::Sync(checkpoint) = source {
            let (run, failures) = (Some(checkpoint.claimed.run), checkpoint.failures);
            self.note_failures(&mut tx, scope, kind, run, failures)
                .await?;
            used = checkpoint.claimed.usage.used();
            self.count_page(&mut tx, checkpoint, read, &outcome, used)
                .await?;
        }
        self.write_events(&mut tx, scope, written.events, now)
            .await?;
        fault_point!("page.written");
        tx.commit().await?;
        if let Source::Sync(checkpoint) = source {
            checkpoint.claimed.usage.settle(used);
        }
        Ok(PageOutcome { mixed, ..outcome })
    }

    /// Writes rows of one object as they are given. Its events are to be written last of all that
    /// the transaction writes.
    pub(super) async fn write_page(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &[Upsert],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<WrittenPage, Error> {
        let ids: Vec<RecordId> = upserts
            .iter()
            .map(|upsert| self.record_id(scope, kind, &upsert.remote_id))
            .collect();
        let latest: HashMap<RecordId, usize> = ids
            .iter()
            .enumerate()
            .map(|(index, id)| (*id, index))
            .collect();
        self.note_seen(tx, scope, kind, upserts, &ids).await?;
        let stored = read_stored(tx, &ids).await?;

        let mut page = Draft {
            kind,
            now,
            rows: Vec::new(),
            events: Vec::new(),
            created: Vec::new(),
            changed: Vec::new(),
            gone: Vec::new(),
        };
        let mut changes = Vec::with_capacity(upserts.len());
        for (index, (upsert, id)) in upserts.iter().zip(&ids).enumerate() {
            changes.push(if latest.get(id) == Some(&index) {
                page.add(scope, self.object(kind), *id, upsert, stored.get(id))
            } else {
                Change::Unchanged
            });
        }
        let Draft {
            mut rows,
            mut events,
            created,
            changed,
            gone,
            ..
        } = page;
        let touched = Touched {
            created: &created,
            changed: &changed,
            gone: &gone,
        };
        let mut trace = self.trace(tx, scope, kind, origin, touched, now).await?;
        for (id, row) in &mut rows {
            row.push(trace.origin.into());
            row.push(trace.fields_from.remove(id).into());
        }
        let rows = rows.into_iter().map(|(_, row)| row);
        tx.bulk(UPSERT, rows.collect()).await?;
        events.extend(delete(tx, kind, gone, now).await?);
        Ok(WrittenPage { changes, events })
    }
}

impl PageOutcome {
    pub(super) fn of(changes: Vec<Change>, conflicts: u32) -> Self {
        let mut outcome = Self {
            conflicts,
            ..Self::default()
        };
        for change in &changes {
            *match change {
                Change::Created => &mut outcome.created,
                Change::Updated => &mut outcome.updated,
                Change::Deleted => &mut outcome.deleted,
                Change::Unchanged => &mut outcome.unchanged,
            } += 1;
        }
        outcome.changes = changes;
        outcome
    }
}

/// The modification time of the page that is being written; none where the connection is gone.
///
/// Every writer of a connection updates this row first and keeps it until commit, so they take
/// turns and the times go forward in the order of the commits.
pub(super) async fn advance(
    tx: &mut Tx,
    scope: &Scope,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let sql = "UPDATE connection
               SET written_at = CASE WHEN written_at >= $3 THEN written_at + 1 ELSE $3 END
               WHERE number = $1 AND project = $2 AND deleted_at IS NULL
               RETURNING written_at";
    let values = values![scope.connection().number, scope.project(), now];
    tx.row(sql, values)
        .await?
        .map(|row| row.time(0))
        .transpose()
}

async fn read_stored(tx: &mut Tx, ids: &[RecordId]) -> Result<HashMap<RecordId, Stored>, Error> {
    const SQL: Sql = among!(
        "SELECT id, hash, created_at, modified_at, deleted_at FROM record WHERE",
        "id" among "$1",
        ""
    );
    let rows = tx.rows(SQL, vec![keys(ids)]).await?;
    rows.iter()
        .map(|row| {
            let stored = Stored {
                hash: row.bytes(1)?,
                created_at: row.time(2)?,
                modified_at: row.time(3)?,
                deleted: row.optional_int(4)?.is_some(),
            };
            Ok((row.record_id(0)?, stored))
        })
        .collect()
}

fn keys(ids: &[RecordId]) -> Value {
    Value::Keys(ids.iter().map(|id| id.as_bytes().to_vec()).collect())
}

/// Writes only rows that differ. What an application can see is compared by hash.
const UPSERT: Bulk = bulk!(
    "INSERT INTO record (id, connection, object, remote_id, unified, remote, custom, hash,
         remote_version, remote_modified_at, created_at, modified_at, origin, fields_from)",
    ["$1" "bytea", "$2" "bigint", "$3" "bigint", "$4" "text", "$5" "text", "$6" "text",
     "$7" "text", "$8" "bytea", "$9" "text", "$10" "bigint", "$11" "bigint", "$12" "bigint",
     "$13" "bigint", "$14" "text"],
    "ON CONFLICT (id) DO UPDATE
     SET unified = excluded.unified, remote = excluded.remote, custom = excluded.custom,
         hash = excluded.hash, remote_version = excluded.remote_version,
         remote_modified_at = excluded.remote_modified_at, modified_at = excluded.modified_at,
         deleted_at = NULL, fields_from = COALESCE(excluded.fields_from, record.fields_from)
     WHERE record.modified_at <> excluded.modified_at OR record.remote <> excluded.remote
        OR record.remote_version IS DISTINCT FROM excluded.remote_version
        OR record.remote_modified_at IS DISTINCT FROM excluded.remote_modified_at"
);

/// What is to be written.
struct Draft<'page> {
    kind: ObjectKind,
    now: Timestamp,
    rows: Vec<(RecordId, Vec<Value>)>,
    events: Vec<NewEvent>,
    created: Vec<RecordId>,
    changed: Vec<Changed<'page>>,
    gone: Vec<RecordId>,
}

impl<'page> Draft<'page> {
    fn add(
        &mut self,
        scope: &Scope,
        object: u16,
        id: RecordId,
        upsert: &'page Upsert,
        stored: Option<&Stored>,
    ) -> Change {
        let StoredDocument::Present {
            unified,
            remote,
            custom,
        } = &upsert.document
        else {
            if stored.is_none_or(|stored| stored.deleted) {
                return Change::Unchanged;
            }
            self.gone.push(id);
            return Change::Deleted;
        };
        let hash = Digest::of_all(&[unified.as_bytes(), custom.as_bytes()]);
        let (change, created_at, modified_at) = match stored {
            None => (Change::Created, self.now, self.now),
            Some(stored) if stored.deleted => (Change::Created, stored.created_at, self.now),
            Some(stored) if stored.hash == hash.as_bytes() => {
                (Change::Unchanged, stored.created_at, stored.modified_at)
            }
            Some(stored) => (Change::Updated, stored.created_at, self.now),
        };
        match (change, stored) {
            (Change::Unchanged, _) => {}
            (_, None) => self.created.push(id),
            (_, Some(stored)) => self.changed.push(Changed {
                id,
                unified,
                custom,
                remote_modified_at: upsert.remote_modified_at,
                restored: stored.deleted,
            }),
        }
        if let Some(suffix) = change.event_suffix() {
            let record = Record {
                id,
                remote_id: upsert.remote_id.clone(),
                unified: unified.clone(),
                remote: None,
                custom: custom.clone(),
                remote_version: None,
                created_at,
                modified_at,
                deleted_at: None,
            };
            self.events.push(event(self.kind, suffix, &record));
        }
        let row = values![
            id,
            scope.connection().number,
            object,
            upsert.remote_id.as_str(),
            unified.as_str(),
            remote.as_str(),
            custom.as_str(),
            &hash,
            upsert.remote_version.as_deref(),
            upsert.remote_modified_at,
            created_at,
            modified_at,
        ];
        self.rows.push((id, row));
        change
    }
}

/// Marks records as deleted. The database knows their last documents; their events come back.
async fn delete(
    tx: &mut Tx,
    kind: ObjectKind,
    gone: Vec<RecordId>,
    now: Timestamp,
) -> Result<Vec<NewEvent>, Error> {
    // The keys come first in this statement: `$1`.
    const SQL: Sql = among!(
        "UPDATE record SET deleted_at = $2, modified_at = $2 WHERE",
        "id" among "$1",
        "RETURNING id, remote_id, unified, custom, created_at"
    );
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.rows(SQL, vec![keys(&gone), Value::from(now)]).await?;
    let mut deleted: HashMap<RecordId, NewEvent> = rows
        .iter()
        .map(|row| {
            let record = deleted_record(row, now)?;
            Ok((record.id, event(kind, "deleted", &record)))
        })
        .collect::<Result<_, Error>>()?;
    Ok(gone.iter().filter_map(|id| deleted.remove(id)).collect())
}

fn deleted_record(row: &Row, now: Timestamp) -> Result<Record, Error> {
    Ok(Record {
        id: row.record_id(0)?,
        remote_id: row.text(1)?,
        unified: row.text(2)?,
        remote: None,
        custom: row.text(3)?,
        remote_version: None,
        created_at: row.time(4)?,
        modified_at: now,
        deleted_at: Some(now),
    })
}

pub(super) fn event(kind: ObjectKind, suffix: &str, record: &Record) -> NewEvent {
    NewEvent {
        kind: format!("{kind}.{suffix}"),
        data: splice(record, true),
    }
}

impl Checkpoint<'_> {
    /// Says how far the run has come.
    async fn save(&self, tx: &mut Tx, object: u16, records: usize) -> Result<(), Error> {
        let sql = "UPDATE sync_state
                   SET cursor = $4, run_started_at = $5, records_read = records_read + $6,
                       pages = pages + 1, run_full = $7,
                       full_next = (full_next AND run_started_at IS NOT NULL),
                       attempt = CASE WHEN attempt > 1 THEN 1 ELSE attempt END
                   WHERE connection = $1 AND object = $2 AND fence = $3
                     AND lease_owner IS NOT NULL";
        let values = values![
            self.claimed.scope.connection().number,
            object,
            self.claimed.fence,
            self.cursor,
            self.run_started_at,
            count(records),
            self.full,
        ];
        if tx.execute(sql, values).await? == 0 {
            return Err(Error::LeaseLost);
        }
        Ok(())
    }
}
