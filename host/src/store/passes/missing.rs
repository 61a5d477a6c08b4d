//! What a pass did not see: finding it, and deleting it.

use std::collections::HashSet;

use super::{KEPT, Pass, hold};
use crate::{
    model::{ObjectKind, Origin, RecordId, Scope, StoredDocument, Timestamp, Upsert, ValueSource},
    store::{
        ClaimedSync, Error, PageOutcome, Store,
        dialect::{Sql, Value, among, values},
        pages::advance,
    },
};

/// Ids of stored records that are compared at once: what bounds the memory, 17 bytes each.
const WINDOW: usize = 500_000;
/// Ids that are read at once.
const IDS: u32 = 10_000;
/// Rows of seen ids that are read at once.
const ROWS: u32 = 200;
/// Records that are looked at, or deleted, at once.
const BATCH: usize = 500;

/// An id as bytes; they sort as the database sorts them.
type Key = [u8; 16];

/// What a pass did not see.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    /// What is to be deleted, in the order of the ids.
    pub ids: Vec<RecordId>,
    /// What is missing too, but somebody said that it stays.
    pub kept: Vec<RecordId>,
    /// How many records are stored, those among them.
    pub stored: u64,
    /// How far the notes were read.
    read_to: i64,
}

impl Store {
    /// Compares what is stored with what a pass saw. Records that are here since `before` or later
    /// are not missing: the provider may not have shown them yet. The memory it takes does not
    /// grow with the number of records, only with that of missing ones.
    ///
    /// # Errors
    /// The database failed.
    pub async fn missing(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        pass: &Pass,
        before: Timestamp,
    ) -> Result<Missing, Error> {
        let (connection, object) = self.place(scope, kind);
        let mut kept = HashSet::new();
        self.each_seen(scope, kind, KEPT, |key| {
            kept.insert(*key);
        })
        .await?;
        let mut found = Missing::default();
        // Ids of one object of one connection follow each other.
        let mut after = lowest(connection, object).saturating_sub(1).to_be_bytes();
        let end = lowest(connection, object.saturating_add(1)).to_be_bytes();
        loop {
            let stored = self.window(after, end).await?;
            let Some(last) = stored.last() else {
                return Ok(found);
            };
            after = *last;
            let mut seen = vec![false; stored.len()];
            found.read_to = self
                .each_seen(scope, kind, pass.number, |key| {
                    let place = stored.binary_search(key).ok();
                    if let Some(seen) = place.and_then(|place| seen.get_mut(place)) {
                        *seen = true;
                    }
                })
                .await?;
            let unseen: Vec<Key> = stored
                .iter()
                .zip(&seen)
                .filter(|(_, seen)| !**seen)
                .map(|(key, _)| *key)
                .collect();
            found.stored += (stored.len() - unseen.len()) as u64;
            for batch in unseen.chunks(BATCH) {
                for id in self.standing(batch, before).await? {
                    found.stored += 1;
                    if kept.contains(id.as_bytes()) {
                        found.kept.push(id);
                    } else {
                        found.ids.push(id);
                    }
                }
            }
        }
    }

    /// Deletes records that a pass missed, at most [`Missing::batches`] gives at once, as if the
    /// provider had told of each: with their events, and with a word for changes that are under
    /// way. What was written since the comparison stays.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the claim was lost.
    pub async fn delete_missing(
        &self,
        claimed: &ClaimedSync,
        pass: &Pass,
        found: &Missing,
        batch: &[RecordId],
    ) -> Result<PageOutcome, Error> {
        const SINCE: &str = "SELECT ids FROM pass_seen
            WHERE connection = $1 AND object = $2 AND pass = $3 AND number > $4";
        const NAMES: Sql = among!(
            "SELECT id, remote_id FROM record WHERE", "id" among "$1", "AND deleted_at IS NULL"
        );
        let (scope, kind) = (&claimed.scope, claimed.kind);
        let (connection, object) = self.place(scope, kind);
        let mut tx = self.begin().await?;
        let now = advance(&mut tx, scope, self.now()).await?;
        let now = now.ok_or(Error::LeaseLost)?;
        if let Err(error) = hold(&mut tx, claimed, object).await {
            tx.rollback().await?;
            return Err(error);
        }
        let mut gone: HashSet<Key> = batch.iter().map(|id| *id.as_bytes()).collect();
        let values = values![connection, object, pass.number, found.read_to];
        for row in tx.rows(SINCE, values).await? {
            for key in keys(&row.bytes(0)?)? {
                gone.remove(&key);
            }
        }
        let ids = gone.into_iter().map(Vec::from).collect();
        let rows = tx.rows(NAMES, vec![Value::Keys(ids)]).await?;
        let gone = rows.iter().map(|row| {
            Ok(Upsert {
                remote_id: row.text(1)?,
                document: StoredDocument::Deleted,
                remote_version: None,
                remote_modified_at: None,
            })
        });
        let gone: Vec<Upsert> = gone.collect::<Result<_, Error>>()?;
        let (upserts, conflicts) = self
            .reconcile_page(&mut tx, scope, kind, &gone, &HashSet::new(), now)
            .await?;
        let origin = Origin {
            run: Some(claimed.run),
            ..Origin::of(ValueSource::Sync)
        };
        let written = self
            .write_page(&mut tx, scope, kind, &upserts, &origin, now)
            .await?;
        let outcome = PageOutcome::of(written.changes, conflicts);
        self.count_missing(&mut tx, claimed, &outcome).await?;
        self.write_events(&mut tx, scope, written.events, now)
            .await?;
        tx.commit().await?;
        Ok(outcome)
    }

    /// Ids of stored records, deleted ones too, after one and before another.
    async fn window(&self, after: Key, end: Key) -> Result<Vec<Key>, Error> {
        // From the index alone.
        let sql = "SELECT id FROM record WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3";
        let (mut stored, mut after) = (Vec::new(), after);
        while stored.len() < WINDOW {
            let values = values![after.to_vec(), end.to_vec(), IDS];
            let rows = self.database().read(sql, values).await?;
            for row in &rows {
                after = *row.record_id(0)?.as_bytes();
                stored.push(after);
            }
            if rows.len() < IDS as usize {
                break;
            }
        }
        Ok(stored)
    }

    /// Those of some records that are not deleted, and were here before.
    async fn standing(&self, ids: &[Key], before: Timestamp) -> Result<Vec<RecordId>, Error> {
        const SQL: Sql = among!(
            "SELECT id FROM record WHERE", "id" among "$1",
            "AND deleted_at IS NULL AND created_at < $2 ORDER BY id"
        );
        let keys = Value::Keys(ids.iter().map(|key| key.to_vec()).collect());
        let rows = self.database().read(SQL, vec![keys, before.into()]).await?;
        rows.iter().map(|row| row.record_id(0)).collect()
    }

    /// Calls for every id that a pass saw; how far the notes go.
    async fn each_seen(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        pass: i64,
        mut call: impl FnMut(&Key),
    ) -> Result<i64, Error> {
        let sql = "SELECT number, ids FROM pass_seen
                   WHERE connection = $1 AND object = $2 AND pass = $3 AND number > $4
                   ORDER BY number LIMIT $5";
        let (connection, object) = self.place(scope, kind);
        let mut after = 0;
        loop {
            let values = values![connection, object, pass, after, ROWS];
            let rows = self.database().read(sql, values).await?;
            for row in &rows {
                after = row.int(0)?;
                keys(&row.bytes(1)?)?.iter().for_each(&mut call);
            }
            if rows.len() < ROWS as usize {
                return Ok(after);
            }
        }
    }
}

impl Missing {
    /// What is to be deleted, in parts that make good transactions.
    pub fn batches(&self) -> impl Iterator<Item = &[RecordId]> {
        self.ids.chunks(BATCH)
    }
}

/// The lowest id that a record of an object of a connection can have.
fn lowest(connection: u32, object: u16) -> u128 {
    u128::from_be_bytes(*RecordId::derive(connection, object, "0").as_bytes())
}

fn keys(bytes: &[u8]) -> Result<Vec<Key>, Error> {
    let (keys, rest) = bytes.as_chunks();
    if rest.is_empty() {
        Ok(keys.to_vec())
    } else {
        Err(Error::Corrupt("ids that a pass saw".to_owned()))
    }
}
