//! What is needed to unify stored documents again: whose they are, the documents, and the results.

use std::{collections::HashMap, time::Duration};

use super::{
    Error, Store,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::{Bulk, Sql, Tx, Value, among, bulk, values},
    history::{Changed, Touched},
    lease::{self, clocked},
    pages::{advance, event},
};
use crate::model::{
    Digest, ObjectKind, Origin, ProjectId, Record, RecordId, Scope, Slug, Timestamp, UnifiedBy,
};

/// What another version of a connector made of a stored document.
#[derive(Clone, Debug)]
pub struct Remap {
    /// The record.
    pub id: RecordId,
    /// The provider's document that was unified: where another one is stored by now, a sync was
    /// faster and nothing is written.
    pub remote: String,
    /// The unified object.
    pub unified: String,
    /// Values of custom fields.
    pub custom: String,
}

/// A pass over the stored documents of an object, which this process holds until its lease ends.
#[derive(Clone, Debug)]
pub struct RemapPass {
    scope: Scope,
    kind: ObjectKind,
    mark: String,
    lease: Duration,
    fence: i64,
    /// The last record that is done.
    pub after: Option<RecordId>,
    /// How many are done.
    pub done: u64,
}

/// A record that is to get what it was unified to.
struct Found {
    remote: String,
    remote_id: String,
    created_at: Timestamp,
    remote_modified_at: Option<Timestamp>,
}

impl Store {
    /// Writes down what unifies an object of a connection, where nothing is known of it: a connector
    /// version, and a revision of the mappings of custom fields.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mark_unified(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        mark: &str,
    ) -> Result<(), Error> {
        let sql = "UPDATE sync_state SET unified_by = $3
                   WHERE connection = $1 AND object = $2 AND unified_by IS NULL";
        let number = scope.connection().number;
        let values = values![number, self.object(kind), mark];
        self.database().write(sql, values).await.map(drop)
    }

    /// After documents were written that `by` unified: where the others are not, or are about to
    /// be unified by something else, nobody may say of the object any more that it is all of one
    /// kind, and a pass over it has to begin again. Whether that is so.
    pub(super) async fn note_mixture(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        by: &UnifiedBy,
    ) -> Result<bool, Error> {
        let sql = "UPDATE sync_state
                   SET unified_by = CASE WHEN unified_by = $3 THEN unified_by ELSE '' END,
                       remap_to = CASE WHEN remap_to = $3 THEN remap_to END
                   WHERE connection = $1 AND object = $2 AND unified_by IS NOT NULL
                     AND (unified_by NOT IN ($3, '') OR remap_to <> $3)";
        let number = scope.connection().number;
        let values = values![number, self.object(kind), by.mark.as_str()];
        Ok(tx.execute(sql, values).await? > 0)
    }

    /// The objects of all connections of a connector that are perhaps to be unified again, each
    /// with the mark that it has, whatever the project: this is the server's own work. Those are
    /// all whose mark is not `digest`, and all that custom fields are mapped for, whose mark says
    /// more than the version.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unified_by_others(
        &self,
        connector: &Slug,
        digest: &str,
    ) -> Result<Vec<(Scope, ObjectKind, String)>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            ", s.object, s.unified_by FROM connection c JOIN sync_state s ON s.connection = c.number
             WHERE c.connector = $1 AND c.deleted_at IS NULL AND s.unified_by IS NOT NULL
               AND (s.unified_by <> $2 OR EXISTS
                   (SELECT 1 FROM custom_field f JOIN custom_field_mapping m ON m.field = f.id
                    WHERE f.project = c.project AND f.object = s.object AND m.connector = $1
                      AND (m.linked_user IS NULL OR m.linked_user = c.linked_user)))
             ORDER BY c.number, s.position"
        );
        let rows = self
            .database()
            .read(SQL, values![connector.as_str(), digest])
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(kind) = self.kind(row.number(CONNECTION_COLUMNS)?) {
                found.push((scope_from(row)?, kind, row.text(CONNECTION_COLUMNS + 1)?));
            }
        }
        Ok(found)
    }

    /// Takes an object's stored documents to be unified towards `mark`, from where the last pass
    /// towards it came to. None where another process is at them, or they are there already.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin_remap(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        mark: &str,
        lease: Duration,
    ) -> Result<Option<RemapPass>, Error> {
        const CLAIM: Sql = clocked!(
            "UPDATE sync_state
             SET remap_after = CASE WHEN remap_to = $3 THEN remap_after END,
                 remap_done = CASE WHEN remap_to = $3 THEN remap_done ELSE 0 END,
                 remap_to = $3, remap_until = " now " + $4, remap_fence = remap_fence + 1
             WHERE connection = $1 AND object = $2 AND unified_by <> $3
               AND (remap_until IS NULL OR remap_until <= " now ")
             RETURNING remap_after, remap_done, remap_fence"
        );
        const TOTAL: &str = "UPDATE sync_state
            SET remap_total = remap_done + (SELECT COUNT(*) FROM record
                WHERE id > $3 AND id < $4 AND connection = $1 AND object = $2
                  AND deleted_at IS NULL)
            WHERE connection = $1 AND object = $2
            RETURNING remap_total";
        let (number, object) = (scope.connection().number, self.object(kind));
        let mut tx = self.begin().await?;
        let values = values![number, object, mark, lease::millis(lease)];
        let Some(row) = tx.row(CLAIM, values).await? else {
            return Ok(None);
        };
        let after = row.optional_bytes(0)?;
        let pass = RemapPass {
            scope: scope.clone(),
            kind,
            mark: mark.to_owned(),
            lease,
            after: after.as_deref().and_then(RecordId::from_bytes),
            done: row.number(1)?,
            fence: row.int(2)?,
        };
        let (from, to) = self.ids_after(scope, kind, pass.after);
        tx.row(TOTAL, values![number, object, from, to]).await?;
        tx.commit().await?;
        Ok(Some(pass))
    }

    /// Everything is unified as the pass was to; false where it was void, for something else was
    /// written meanwhile, or another process took it over.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish_remap(&self, pass: &RemapPass) -> Result<bool, Error> {
        let sql = "UPDATE sync_state
                   SET unified_by = $3, remap_to = NULL, remap_after = NULL, remap_until = NULL
                   WHERE connection = $1 AND object = $2 AND remap_to = $3 AND remap_fence = $4";
        Ok(self.database().write(sql, self.pass_values(pass)).await? > 0)
    }

    /// Gives a pass back where it is; whoever takes it goes on there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn release_remap(&self, pass: &RemapPass) -> Result<(), Error> {
        let sql = "UPDATE sync_state SET remap_until = NULL
                   WHERE connection = $1 AND object = $2 AND remap_to = $3 AND remap_fence = $4";
        self.database()
            .write(sql, self.pass_values(pass))
            .await
            .map(drop)
    }

    /// How far stored documents of a project have been unified again, where that is under way: by
    /// connection and object, how many of how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remaps_under_way(
        &self,
        project: ProjectId,
    ) -> Result<HashMap<(u32, ObjectKind), (u64, u64)>, Error> {
        let sql = "SELECT s.connection, s.object, s.remap_done, s.remap_total
                   FROM connection c JOIN sync_state s ON s.connection = c.number
                   WHERE c.project = $1 AND c.deleted_at IS NULL AND s.remap_to IS NOT NULL";
        let mut under_way = HashMap::new();
        for row in self.database().read(sql, values![project]).await? {
            if let Some(kind) = self.kind(row.number(1)?) {
                under_way.insert((row.number(0)?, kind), (row.number(2)?, row.number(3)?));
            }
        }
        Ok(under_way)
    }

    /// The columns by which a pass is known.
    fn pass_values(&self, pass: &RemapPass) -> Vec<Value> {
        values![
            pass.scope.connection().number,
            self.object(pass.kind),
            pass.mark.as_str(),
            pass.fence,
        ]
    }

    /// Bounds of the ids of an object's records at one connection, from the one after `after`.
    fn ids_after(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        after: Option<RecordId>,
    ) -> (Vec<u8>, Vec<u8>) {
        // The ids of an object begin with its two numbers.
        let number = scope.connection().number;
        let mut to = [
            number.to_be_bytes().as_slice(),
            &self.object(kind).to_be_bytes(),
        ]
        .concat();
        let from = after.map_or_else(|| to.clone(), |id| id.as_bytes().to_vec());
        to.resize(17, 0xff);
        (from, to)
    }

    /// Stored documents of a provider, by the id of their record, from the one after `after`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remote_documents(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<(RecordId, String)>, Error> {
        // Ids of one object at one connection lie side by side: the primary key is the index, and
        // the upper bound keeps the last page from reading on into what others have.
        let sql = "SELECT id, remote FROM record
                   WHERE id > $1 AND id < $5 AND connection = $2 AND object = $3
                     AND deleted_at IS NULL
                   ORDER BY id LIMIT $4";
        let number = scope.connection().number;
        let object = self.object(kind);
        let (from, to) = self.ids_after(scope, kind, after);
        let values = values![from, number, object, limit, to];
        let rows = self.database().read(sql, values).await?;
        rows.iter()
            .map(|row| Ok((row.record_id(0)?, row.text(1)?)))
            .collect()
    }

    /// Writes what a pass made of stored documents, with an event for each record that an
    /// application sees differently now, and that the pass has come to `last`, `seen` documents
    /// further. All or nothing. Answers how many records changed.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection was deleted; [`Error::LeaseLost`] where the pass is
    /// void, for something else was written meanwhile, or another process took it over.
    pub async fn apply_remaps(
        &self,
        pass: &mut RemapPass,
        remaps: &[Remap],
        (last, seen): (RecordId, u64),
        origin: &Origin,
    ) -> Result<u64, Error> {
        const STEP: Sql = clocked!(
            "UPDATE sync_state
             SET remap_after = $5, remap_done = remap_done + $6, remap_until = " now " + $7
             WHERE connection = $1 AND object = $2 AND remap_to = $3 AND remap_fence = $4"
        );
        const WRITE: Bulk = bulk!(
            "WITH made (id, unified, custom, hash, modified_at, fields_from) AS (",
            ["$1" "bytea", "$2" "text", "$3" "text", "$4" "bytea", "$5" "bigint", "$6" "text"],
            ") UPDATE record
               SET unified = made.unified, custom = made.custom, hash = made.hash,
                   modified_at = made.modified_at,
                   fields_from = COALESCE(made.fields_from, record.fields_from)
               FROM made WHERE record.id = made.id"
        );
        let (scope, kind) = (pass.scope.clone(), pass.kind);
        let mut tx = self.begin().await?;
        let now = advance(&mut tx, &scope, self.now())
            .await?
            .ok_or(Error::Missing("connection"))?;
        let mut values = self.pass_values(pass);
        let seen_now = i64::try_from(seen).unwrap_or(i64::MAX);
        values.extend(values![last, seen_now, lease::millis(pass.lease)]);
        if tx.execute(STEP, values).await? == 0 {
            return Err(Error::LeaseLost);
        }
        let replaced = self.reconcile_remaps(&mut tx, &scope, kind, remaps).await?;
        let mut made: Vec<Made<'_>> = remaps
            .iter()
            .map(|remap| {
                let known = (remap.unified.as_str(), remap.custom.as_str());
                let (unified, custom) = replaced
                    .get(&remap.id)
                    .map_or(known, |(unified, custom)| (unified, custom));
                let hash = Digest::of_all(&[unified.as_bytes(), custom.as_bytes()]);
                (remap.id, remap.remote.as_str(), unified, custom, hash)
            })
            .collect();
        let place = (scope.connection().number, self.object(kind));
        let hashes = read_hashes(&mut tx, place, &made).await?;
        let differs = |id: &RecordId, hash: &Digest| {
            let stored = hashes.get(id);
            stored.is_some_and(|stored| stored != hash.as_bytes())
        };
        made.retain(|(id, .., hash)| differs(id, hash));
        let found = read_found(&mut tx, &made).await?;
        made.retain(|(id, remote, ..)| found.get(id).is_some_and(|one| one.remote == *remote));
        let changed: Vec<Changed<'_>> = made
            .iter()
            .map(|(id, _, unified, custom, _)| Changed {
                id: *id,
                unified,
                custom,
                remote_modified_at: found.get(id).and_then(|one| one.remote_modified_at),
                restored: false,
            })
            .collect();
        let touched = Touched {
            created: &[],
            changed: &changed,
            gone: &[],
        };
        let mut trace = self
            .trace(&mut tx, &scope, kind, origin, touched, now)
            .await?;
        let mut rows = Vec::with_capacity(made.len());
        let mut events = Vec::with_capacity(made.len());
        for (id, _, unified, custom, hash) in &made {
            let from = trace.fields_from.remove(id);
            rows.push(values![*id, *unified, *custom, hash, now, from]);
            let Some(found) = found.get(id) else { continue };
            let record = Record {
                id: *id,
                remote_id: found.remote_id.clone(),
                unified: (*unified).to_owned(),
                remote: None,
                custom: (*custom).to_owned(),
                remote_version: None,
                created_at: found.created_at,
                modified_at: now,
                deleted_at: None,
            };
            events.push(event(kind, "updated", &record));
        }
        tx.bulk(WRITE, rows).await?;
        let changed = events.len() as u64;
        self.write_events(&mut tx, &scope, events, now).await?;
        tx.commit().await?;
        pass.after = Some(last);
        pass.done += seen;
        Ok(changed)
    }
}

type Made<'a> = (RecordId, &'a str, &'a str, &'a str, Digest);

fn keys(made: &[Made<'_>]) -> Value {
    Value::Keys(made.iter().map(|(id, ..)| id.as_bytes().to_vec()).collect())
}

/// What applications see of records, as sums; of those that are there.
async fn read_hashes(
    tx: &mut Tx,
    (connection, object): (u32, u16),
    made: &[Made<'_>],
) -> Result<HashMap<RecordId, Vec<u8>>, Error> {
    const SQL: Sql = among!(
        "SELECT id, hash FROM record WHERE", "id" among "$1",
        "AND connection = $2 AND object = $3 AND deleted_at IS NULL"
    );
    let values = vec![keys(made), connection.into(), object.into()];
    let rows = tx.rows(SQL, values).await?;
    rows.iter()
        .map(|row| Ok((row.record_id(0)?, row.bytes(1)?)))
        .collect()
}

async fn read_found(tx: &mut Tx, made: &[Made<'_>]) -> Result<HashMap<RecordId, Found>, Error> {
    const SQL: Sql = among!(
        "SELECT id, remote, remote_id, created_at, remote_modified_at FROM record WHERE",
        "id" among "$1",
        ""
    );
    if made.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tx.rows(SQL, vec![keys(made)]).await?;
    rows.iter()
        .map(|row| {
            let found = Found {
                remote: row.text(1)?,
                remote_id: row.text(2)?,
                created_at: row.time(3)?,
                remote_modified_at: row.optional_time(4)?,
            };
            Ok((row.record_id(0)?, found))
        })
        .collect()
}
