//! Readings that a write of ours overtook: a page that was read before the provider took the write,
//! and arrives here after it, is out of date for that record.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    Error, Store,
    dialect::{Sql, Tx, Value, among, values},
};
use crate::model::{ObjectKind, RecordId, Scope, StoredDocument, Timestamp, Upsert};

/// What is stored of a record that was written since the reading began.
struct Settled {
    unified: String,
    remote: String,
    custom: String,
    version: Option<String>,
    modified_at: Option<Timestamp>,
    deleted: bool,
}

impl Store {
    /// The connection's time as a reading begins: of what is written under later times, the
    /// reading may not know. Hosts with different clocks agree about it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn reading(&self, scope: &Scope) -> Result<Timestamp, Error> {
        let sql = "SELECT written_at FROM connection WHERE number = $1";
        let row = self
            .database()
            .read_one(sql, values![scope.connection().number])
            .await?;
        row.ok_or(Error::Missing("connection"))?.time(0)
    }

    /// A page that was read since `as_of`, with the stored record in place of each that is older
    /// than a write of ours, and which these are. Deletions are never out of date: a provider gives
    /// no id twice.
    pub(super) async fn current_of<'page>(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &'page [Upsert],
        as_of: Timestamp,
    ) -> Result<(Cow<'page, [Upsert]>, HashSet<RecordId>), Error> {
        const STORED: Sql = among!(
            "SELECT id, unified, remote, custom, remote_version, remote_modified_at, deleted_at
             FROM record WHERE",
            "id" among "$1",
            "AND settled_at > $2"
        );
        let sql = "SELECT 1 FROM connection WHERE number = $1 AND settled_at > $2";
        let any = tx
            .row(sql, values![scope.connection().number, as_of])
            .await?;
        if any.is_none() {
            return Ok((Cow::Borrowed(upserts), HashSet::new()));
        }
        let ids = self.ids_of(scope, kind, upserts);
        let rows = tx
            .rows(STORED, vec![keys(&ids), Value::from(as_of)])
            .await?;
        let mut settled = HashMap::with_capacity(rows.len());
        for row in &rows {
            let stored = Settled {
                unified: row.text(1)?,
                remote: row.text(2)?,
                custom: row.text(3)?,
                version: row.optional_text(4)?,
                modified_at: row.optional_time(5)?,
                deleted: row.optional_int(6)?.is_some(),
            };
            settled.insert(row.record_id(0)?, stored);
        }
        let mut current = upserts.to_vec();
        let mut outdated = HashSet::new();
        for (id, upsert) in ids.into_iter().zip(&mut current) {
            if let Some(stored) = settled.get(&id)
                && stored.outdates(upsert)
            {
                *upsert = stored.upsert(&upsert.remote_id);
                outdated.insert(id);
            }
        }
        Ok((Cow::Owned(current), outdated))
    }

    /// Notes that a write of ours reached these records: the rows are written already.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &[Upsert],
        now: Timestamp,
    ) -> Result<(), Error> {
        const RECORDS: Sql = among!("UPDATE record SET settled_at = $2 WHERE", "id" among "$1", "");
        let ids = self.ids_of(scope, kind, upserts);
        tx.execute(RECORDS, vec![keys(&ids), Value::from(now)])
            .await?;
        let sql = "UPDATE connection SET settled_at = $2 WHERE number = $1";
        tx.execute(sql, values![scope.connection().number, now])
            .await?;
        Ok(())
    }

    fn ids_of(&self, scope: &Scope, kind: ObjectKind, upserts: &[Upsert]) -> Vec<RecordId> {
        upserts
            .iter()
            .map(|upsert| self.record_id(scope, kind, &upsert.remote_id))
            .collect()
    }
}

impl Settled {
    /// Whether an upsert is of an earlier state than the stored one.
    fn outdates(&self, upsert: &Upsert) -> bool {
        let later = match (upsert.remote_modified_at, self.modified_at) {
            (Some(read), Some(stored)) => read > stored && !self.deleted,
            _ => false,
        };
        !later && !matches!(upsert.document, StoredDocument::Deleted)
    }

    fn upsert(&self, remote_id: &str) -> Upsert {
        let document = if self.deleted {
            StoredDocument::Deleted
        } else {
            StoredDocument::Present {
                unified: self.unified.clone(),
                remote: self.remote.clone(),
                custom: self.custom.clone(),
            }
        };
        Upsert {
            remote_id: remote_id.to_owned(),
            document,
            remote_version: self.version.clone(),
            remote_modified_at: self.modified_at,
        }
    }
}

fn keys(ids: &[RecordId]) -> Value {
    Value::Keys(ids.iter().map(|id| id.as_bytes().to_vec()).collect())
}
