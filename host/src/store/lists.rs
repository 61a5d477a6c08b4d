//! Pages of records in the order of their changes.
//!
//! Every statement here walks the index `record_by_change` from a place until the page is full, so
//! a page costs the same wherever it lies. One statement answers all: the rows and whether there is
//! anything on the other side of the place.

use super::{
    Error, Store,
    dialect::{Sql, Value, values},
    records::{RECORD_COLUMNS, record_columns, record_from},
};
use crate::model::{Cursor, ObjectKind, Page, PageRequest, Record, RecordId, Scope, Timestamp};

/// What is the same for every row of a list: `$2`, `$3`, `$8` and `$10`.
macro_rules! visible {
    () => {
        "connection = $2 AND object = $3 AND ($8 OR deleted_at IS NULL) AND created_at > $10"
    };
}

/// The unified object for PostgreSQL, which refuses to look into JSON with this character.
macro_rules! document {
    () => {
        "replace(unified, '\\u0000', '\\u0020')::json"
    };
}

/// The conditions on fields, where there are any: `$13`, a JSON object of scalars.
///
/// Texts and booleans are compared as they are spelled, for both sides were written by the same
/// serialiser, and PostgreSQL cannot take every text out of JSON.
macro_rules! matching {
    (all sqlite) => {
        ""
    };
    (all postgres) => {
        ""
    };
    (some sqlite) => {
        " AND NOT EXISTS (SELECT 1 FROM json_each($13) AS wanted
            WHERE unified ->> wanted.key IS NOT wanted.value)"
    };
    (some postgres) => {
        concat!(
            " AND NOT EXISTS (SELECT 1 FROM json_each($13::json) AS wanted
            WHERE CASE WHEN json_typeof(wanted.value) = 'number' AND json_typeof(",
            document!(),
            " -> wanted.key) = 'number' THEN (",
            document!(),
            " ->> wanted.key)::numeric <> wanted.value::text::numeric ELSE (",
            document!(),
            " -> wanted.key)::text IS DISTINCT FROM wanted.value::text END)"
        )
    };
}

/// A page behind `$4`, `$5` up to `$6`, `$7`, and whether there is a row behind `$11`, `$12` up to
/// where the page starts.
macro_rules! forward {
    ($filter:tt $database:tt) => {
        concat!(
            "SELECT ",
            record_columns!(),
            ", (SELECT 1 FROM record WHERE ",
            visible!(),
            " AND (modified_at, id) > ($11, $12) AND (modified_at, id) <= ($4, $5)",
            matching!($filter $database),
            " ORDER BY modified_at DESC, id DESC LIMIT 1) FROM record WHERE ",
            visible!(),
            " AND (modified_at, id) > ($4, $5) AND (modified_at, id) <= ($6, $7)",
            matching!($filter $database),
            " ORDER BY modified_at, id LIMIT $9"
        )
    };
}

/// The page, last row first, that ends before `$6`, `$7` and begins behind `$4`, `$5`, and whether
/// there is a row from where it ends up to `$11`, `$12`.
macro_rules! backward {
    ($filter:tt $database:tt) => {
        concat!(
            "SELECT ",
            record_columns!(),
            ", (SELECT 1 FROM record WHERE ",
            visible!(),
            " AND (modified_at, id) >= ($6, $7) AND (modified_at, id) <= ($11, $12)",
            matching!($filter $database),
            " ORDER BY modified_at, id LIMIT 1) FROM record WHERE ",
            visible!(),
            " AND (modified_at, id) > ($4, $5) AND (modified_at, id) < ($6, $7)",
            matching!($filter $database),
            " ORDER BY modified_at DESC, id DESC LIMIT $9"
        )
    };
}

/// At most one row, by its id `$12` and the provider's `$11`, with the same conditions.
macro_rules! single {
    ($database:tt) => {
        concat!(
            "SELECT ",
            record_columns!(),
            " FROM record WHERE id = $12 AND remote_id = $11 AND ",
            visible!(),
            " AND (modified_at, id) > ($4, $5) AND (modified_at, id) <= ($6, $7)",
            matching!(some $database),
            " LIMIT $9"
        )
    };
}

const ALL_AFTER: Sql = Sql {
    sqlite: forward!(all sqlite),
    postgres: forward!(all postgres),
};
const SOME_AFTER: Sql = Sql {
    sqlite: forward!(some sqlite),
    postgres: forward!(some postgres),
};
const ALL_BEFORE: Sql = Sql {
    sqlite: backward!(all sqlite),
    postgres: backward!(all postgres),
};
const SOME_BEFORE: Sql = Sql {
    sqlite: backward!(some sqlite),
    postgres: backward!(some postgres),
};
const SINGLE: Sql = Sql {
    sqlite: single!(sqlite),
    postgres: single!(postgres),
};

impl Store {
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
        if let Some(remote_id) = &request.filters.remote_id {
            return list.single(remote_id).await;
        }
        match request.cursor {
            Some(cursor) if cursor.backward => list.before(cursor.into()).await,
            Some(cursor) => list.after(cursor.into()).await,
            None => list.after(list.start()).await,
        }
    }

    /// How the database would go about a page: the lines of its own explanation.
    ///
    /// # Errors
    /// The database failed.
    pub async fn explain_list(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        request: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        let list = List {
            store: self,
            scope,
            kind,
            request,
        };
        let (sql, values) = match request.cursor {
            Some(cursor) if cursor.backward => list.statement_before(cursor.into()),
            Some(cursor) => list.statement_after(cursor.into()),
            None => list.statement_after(list.start()),
        };
        self.database().explain(sql, values).await
    }
}

/// A place in the order of a list: between the record named and the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// The rows of a page, and what the statement says besides them.
struct Rows {
    data: Vec<Record>,
    /// There are more rows in the direction of reading.
    more: bool,
    /// There are rows on the other side of the place; false where there is no row to say it.
    behind: bool,
}

impl List<'_> {
    /// Where the list starts: behind everything modified up to `modified_after`. What was made
    /// after a moment was modified after it, so the index helps with `created_after` too.
    fn start(&self) -> Place {
        let after = self.request.modified_after.max(self.request.created_after);
        after.map_or(Place::START, |after| Place {
            modified_at: after.as_millis(),
            id: Place::END.id,
        })
    }

    /// The page behind `place`.
    async fn after(&self, place: Place) -> Result<Page<Record>, Error> {
        let start = self.start();
        let (sql, values) = self.statement_after(place);
        let Rows { data, more, behind } = self.rows(sql, values).await?;
        let next = data
            .last()
            .filter(|_| more)
            .map(|last| Place::of(last).cursor(false));
        let previous = match data.first().map(Place::of) {
            Some(first) => behind.then(|| first.cursor(true)),
            // Rare: the records behind the place are gone, so no row says what is before it.
            None if place > start => self.last_before_end().await?,
            None => None,
        };
        Ok(Page {
            data,
            previous,
            next,
        })
    }

    fn statement_after(&self, place: Place) -> (Sql, Vec<Value>) {
        let start = self.start();
        let sql = match self.request.filters.is_empty() {
            true => ALL_AFTER,
            false => SOME_AFTER,
        };
        (sql, self.values(place.max(start), Place::END, start))
    }

    /// The page that ends before `place`.
    async fn before(&self, place: Place) -> Result<Page<Record>, Error> {
        let (sql, values) = self.statement_before(place);
        let Rows {
            mut data,
            more,
            mut behind,
        } = self.rows(sql, values).await?;
        data.reverse();
        let previous = data
            .first()
            .filter(|_| more)
            .map(|first| Place::of(first).cursor(true));
        let last = data.last().map_or_else(|| self.start(), Place::of);
        if data.is_empty() {
            behind = self.any().await?;
        }
        Ok(Page {
            data,
            previous,
            next: behind.then(|| last.cursor(false)),
        })
    }

    fn statement_before(&self, place: Place) -> (Sql, Vec<Value>) {
        let sql = match self.request.filters.is_empty() {
            true => ALL_BEFORE,
            false => SOME_BEFORE,
        };
        (sql, self.values(self.start(), place, Place::END))
    }

    /// The one record that the provider calls `remote_id`: its id is known without looking.
    async fn single(&self, remote_id: &str) -> Result<Page<Record>, Error> {
        let mut values = self.values(self.start(), Place::END, Place::END);
        let id = self.store.record_id(self.scope, self.kind, remote_id);
        for (place, value) in [(10, Value::from(remote_id)), (11, Value::from(id))] {
            if let Some(slot) = values.get_mut(place) {
                *slot = value;
            }
        }
        let rows = self.store.database().read(SINGLE, values).await?;
        Ok(Page {
            data: rows.iter().map(record_from).collect::<Result<_, _>>()?,
            previous: None,
            next: None,
        })
    }

    /// What is bound: see the macros above.
    fn values(&self, from: Place, to: Place, other_side: Place) -> Vec<Value> {
        let created_after = self.request.created_after;
        let mut values = values![
            self.request.remote_data,
            self.scope.connection().number,
            self.store.object(self.kind),
            from.modified_at,
            from.id.to_vec(),
            to.modified_at,
            to.id.to_vec(),
            self.request.include_deleted,
            i64::from(self.request.limit) + 1,
            created_after.map_or(i64::MIN, Timestamp::as_millis),
            other_side.modified_at,
            other_side.id.to_vec(),
        ];
        let filters = &self.request.filters;
        if !filters.is_empty() {
            let fields = serde_json::Value::Object(filters.fields.clone());
            values.push(Value::from(fields.to_string()));
        }
        values
    }

    /// At most a page of records, and what else the statement says.
    async fn rows(&self, sql: Sql, values: Vec<Value>) -> Result<Rows, Error> {
        let rows = self.store.database().read(sql, values).await?;
        let limit = usize::try_from(self.request.limit).unwrap_or(usize::MAX);
        let behind = match rows.first() {
            Some(row) => row.optional_int(RECORD_COLUMNS)?.is_some(),
            None => false,
        };
        Ok(Rows {
            more: rows.len() > limit,
            behind,
            data: rows
                .iter()
                .take(limit)
                .map(record_from)
                .collect::<Result<_, _>>()?,
        })
    }

    async fn last_before_end(&self) -> Result<Option<Cursor>, Error> {
        Ok(self.any().await?.then(|| Place::END.cursor(true)))
    }

    /// Whether the list has any record.
    async fn any(&self) -> Result<bool, Error> {
        let sql = match self.request.filters.is_empty() {
            true => ALL_AFTER,
            false => SOME_AFTER,
        };
        let start = self.start();
        let mut values = self.values(start, Place::END, start);
        if let Some(limit) = values.get_mut(8) {
            *limit = Value::from(1_i64);
        }
        Ok(!self.store.database().read(sql, values).await?.is_empty())
    }
}
