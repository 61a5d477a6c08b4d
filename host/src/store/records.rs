//! Reading records by their ids.

use std::collections::HashMap;

use super::{
    Error, Store,
    dialect::{Row, Sql, Value, among, values},
};
use crate::model::{ObjectKind, Record, RecordId, Scope};

/// The columns that [`record_from`] reads; the provider's document only where `$1` is true.
macro_rules! record_columns {
    () => {
        "id, remote_id, unified, CASE WHEN $1 THEN remote END, custom, remote_version, \
         created_at, modified_at, deleted_at"
    };
}

impl Store {
    /// The id that the record `remote_id` has or will have.
    #[must_use]
    pub fn record_id(&self, scope: &Scope, kind: ObjectKind, remote_id: &str) -> RecordId {
        RecordId::derive(scope.connection().number, self.object(kind), remote_id)
    }

    /// The record of that id; none where it is deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        remote_data: bool,
    ) -> Result<Option<Record>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            record_columns!(),
            " FROM record
              WHERE id = $2 AND connection = $3 AND object = $4 AND deleted_at IS NULL"
        );
        let values = values![
            remote_data,
            id,
            scope.connection().number,
            self.object(kind)
        ];
        let row = self.database().read_one(SQL, values).await?;
        row.as_ref().map(record_from).transpose()
    }

    /// Several records by their ids. Ids that are not there, belong to others or are deleted are
    /// left out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn records(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        ids: &[RecordId],
        remote_data: bool,
    ) -> Result<HashMap<RecordId, Record>, Error> {
        const SQL: Sql = among!(
            concat!("SELECT ", record_columns!(), " FROM record WHERE"),
            "id" among "$2",
            "AND connection = $3 AND object = $4 AND deleted_at IS NULL"
        );
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = Value::Keys(ids.iter().map(|id| id.as_bytes().to_vec()).collect());
        let values = vec![
            Value::from(remote_data),
            keys,
            Value::from(scope.connection().number),
            Value::from(self.object(kind)),
        ];
        let rows = self.database().read(SQL, values).await?;
        rows.iter()
            .map(|row| record_from(row).map(|record| (record.id, record)))
            .collect()
    }

    /// The provider's id of a record, even of a deleted one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remote_id(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
    ) -> Result<Option<String>, Error> {
        let sql = "SELECT remote_id FROM record WHERE id = $1 AND connection = $2 AND object = $3";
        let values = values![id, scope.connection().number, self.object(kind)];
        let row = self.database().read_one(sql, values).await?;
        row.map(|row| row.text(0)).transpose()
    }

    /// The provider's ids of records. Ids that are not there, belong to others or are deleted are
    /// left out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remote_ids(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        ids: &[RecordId],
    ) -> Result<HashMap<RecordId, String>, Error> {
        const SQL: Sql = among!(
            "SELECT id, remote_id FROM record WHERE", "id" among "$1",
            "AND connection = $2 AND object = $3 AND deleted_at IS NULL"
        );
        let keys = Value::Keys(ids.iter().map(|id| id.as_bytes().to_vec()).collect());
        let values = vec![
            keys,
            Value::from(scope.connection().number),
            Value::from(self.object(kind)),
        ];
        let rows = self.database().read(SQL, values).await?;
        rows.iter()
            .map(|row| Ok((row.record_id(0)?, row.text(1)?)))
            .collect()
    }
}

pub(super) use record_columns;

/// How many columns [`record_columns`] has.
pub(super) const RECORD_COLUMNS: usize = 9;

/// Reads [`record_columns`].
pub(super) fn record_from(row: &Row) -> Result<Record, Error> {
    Ok(Record {
        id: row.record_id(0)?,
        remote_id: row.text(1)?,
        unified: row.text(2)?,
        remote: row.optional_text(3)?,
        custom: row.text(4)?,
        remote_version: row.optional_text(5)?,
        created_at: row.time(6)?,
        modified_at: row.time(7)?,
        deleted_at: row.optional_time(8)?,
    })
}
