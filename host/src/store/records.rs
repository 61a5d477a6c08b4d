//! Reading records.

use std::collections::HashMap;

use super::{
    Error, Store,
    dialect::{Row, Sql, Value, among, values},
};
use crate::model::{Cursor, ObjectKind, Page, PageRequest, Record, RecordId, Scope, Timestamp};

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

    /// One page of records, oldest change first.
    ///
    /// A reader who follows `next` to its end and later goes on from the last cursor he was given
    /// (or with `modified_after` the last `modified_at` he saw) misses no change: the times that
    /// pages of one connection are written with only go forward, in the order of their commits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list_records(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        request: &PageRequest,
    ) -> Result<Page<Record>, Error> {
        let list = List {
            store: self,
            scope,
            kind,
            request,
        };
        match request.cursor {
            Some(cursor) if cursor.backward => list.before(cursor.into()).await,
            Some(cursor) => list.after(cursor.into(), true).await,
            None => list.after(list.start(), false).await,
        }
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

/// Reads [`record_columns`].
fn record_from(row: &Row) -> Result<Record, Error> {
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

/// A place in the order of a list: between the record named and the next.
#[derive(Clone, Copy)]
struct Place {
    modified_at: i64,
    id: [u8; 16],
}

impl Place {
    const START: Self = Self {
        modified_at: i64::MIN,
        id: [0; 16],
    };
    const END: Self = Self {
        modified_at: i64::MAX,
        id: [0xff; 16],
    };

    fn of(record: &Record) -> Self {
        Self {
            modified_at: record.modified_at.as_millis(),
            id: *record.id.as_bytes(),
        }
    }

    fn cursor(self, backward: bool) -> Cursor {
        Cursor {
            backward,
            modified_at: Timestamp::from_millis(self.modified_at),
            id: RecordId::from_bytes(&self.id).expect("16 bytes are an id"),
        }
    }
}

impl From<Cursor> for Place {
    fn from(cursor: Cursor) -> Self {
        Self {
            modified_at: cursor.modified_at.as_millis(),
            id: *cursor.id.as_bytes(),
        }
    }
}

/// One list being read.
struct List<'call> {
    store: &'call Store,
    scope: &'call Scope,
    kind: ObjectKind,
    request: &'call PageRequest,
}

impl List<'_> {
    /// Where the list starts: behind everything modified up to `modified_after`.
    fn start(&self) -> Place {
        self.request
            .modified_after
            .map_or(Place::START, |after| Place {
                modified_at: after.as_millis(),
                id: Place::END.id,
            })
    }

    /// The page behind `place`. `resumed` is false on the first page, which has none before it.
    async fn after(&self, place: Place, resumed: bool) -> Result<Page<Record>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            record_columns!(),
            " FROM record
              WHERE connection = $2 AND object = $3 AND (modified_at, id) > ($4, $5)
                AND (modified_at, id) <= ($6, $7) AND ($8 OR deleted_at IS NULL)
              ORDER BY modified_at, id LIMIT $9"
        );
        let start = self.start();
        let from = if (place.modified_at, place.id) < (start.modified_at, start.id) {
            start
        } else {
            place
        };
        let (data, more) = self.read(SQL, from, Place::END).await?;
        let next = data
            .last()
            .filter(|_| more)
            .map(|last| Place::of(last).cursor(false));
        let previous = match data.first().map(Place::of) {
            _ if !resumed => None,
            Some(first) => self.any(start, first).await?.then(|| first.cursor(true)),
            None => self
                .any(start, Place::END)
                .await?
                .then(|| Place::END.cursor(true)),
        };
        Ok(Page {
            data,
            previous,
            next,
        })
    }

    /// The page that ends before `place`.
    async fn before(&self, place: Place) -> Result<Page<Record>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            record_columns!(),
            " FROM record
              WHERE connection = $2 AND object = $3 AND (modified_at, id) > ($4, $5)
                AND (modified_at, id) < ($6, $7) AND ($8 OR deleted_at IS NULL)
              ORDER BY modified_at DESC, id DESC LIMIT $9"
        );
        let start = self.start();
        let (mut data, more) = self.read(SQL, start, place).await?;
        data.reverse();
        let previous = data
            .first()
            .filter(|_| more)
            .map(|first| Place::of(first).cursor(true));
        let last = data.last().map_or(start, Place::of);
        let next = self
            .any(last, Place::END)
            .await?
            .then(|| last.cursor(false));
        Ok(Page {
            data,
            previous,
            next,
        })
    }

    /// At most a page of records between two places, and whether there are more.
    async fn read(
        &self,
        sql: &'static str,
        from: Place,
        to: Place,
    ) -> Result<(Vec<Record>, bool), Error> {
        let limit = usize::try_from(self.request.limit).unwrap_or(usize::MAX);
        let values = values![
            self.request.remote_data,
            self.scope.connection().number,
            self.store.object(self.kind),
            from.modified_at,
            from.id.to_vec(),
            to.modified_at,
            to.id.to_vec(),
            self.request.include_deleted,
            i64::from(self.request.limit) + 1,
        ];
        let rows = self.store.database().read(sql, values).await?;
        let more = rows.len() > limit;
        let records = rows
            .iter()
            .take(limit)
            .map(record_from)
            .collect::<Result<_, _>>()?;
        Ok((records, more))
    }

    /// Whether there is any record behind `from` and before `to`.
    async fn any(&self, from: Place, to: Place) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM record
                   WHERE connection = $1 AND object = $2 AND (modified_at, id) > ($3, $4)
                     AND (modified_at, id) < ($5, $6) AND ($7 OR deleted_at IS NULL)
                   LIMIT 1";
        let values = values![
            self.scope.connection().number,
            self.store.object(self.kind),
            from.modified_at,
            from.id.to_vec(),
            to.modified_at,
            to.id.to_vec(),
            self.request.include_deleted,
        ];
        Ok(self.store.database().read_one(sql, values).await?.is_some())
    }
}
