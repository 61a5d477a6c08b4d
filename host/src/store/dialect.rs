//! The two databases behind one set of verbs. Everything that must differ between them is here or
//! in [`super::migrate`]; the other files never name one.

use std::{str::FromStr, sync::Arc};

use sqlx::{
    AssertSqlSafe, Decode, PgPool, Postgres, Sqlite, SqlitePool, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use tokio::sync::Notify;

use super::Error;
use crate::model::{
    ApiKeyId, ConnectLinkId, ConnectionId, CustomFieldId, Digest, EventId, LinkedUserId, MappingId,
    OperatorId, ProjectId, RecordId, RetryId, SessionId, Slug, Timestamp, WebhookId,
};

/// One statement: a single constant text where possible, else one for each database.
#[derive(Clone, Copy)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self {
            sqlite: both,
            postgres: both,
        }
    }
}

/// A statement that is run for many rows.
#[derive(Clone, Copy)]
pub(super) struct Bulk {
    pub(super) head: &'static str,
    pub(super) width: usize,
    pub(super) tail: &'static str,
    pub(super) postgres: &'static str,
}

/// A statement that is run for many rows: its head, the types of its columns, its tail.
///
/// PostgreSQL is fastest with one array per column, SQLite with prepared statements of
/// [`SQLITE_ROWS`] rows.
macro_rules! bulk {
    ($head:literal, [$first:literal $first_type:literal $(, $place:literal $type:literal)*], $tail:literal) => {
        $crate::store::dialect::Bulk {
            head: $head,
            width: [$first, $($place),*].len(),
            tail: $tail,
            postgres: concat!(
                $head, " SELECT * FROM unnest(", $first, "::", $first_type, "[]",
                $(", ", $place, "::", $type, "[]",)* ") ", $tail
            ),
        }
    };
}
pub(super) use bulk;

/// How many rows SQLite gets at once. A statement costs two hand-overs between threads, whatever
/// it does.
const SQLITE_ROWS: usize = 32;

/// A statement with a test whether a column is among the values of one [`Value::Keys`].
macro_rules! among {
    ($head:expr, $column:literal among $place:literal, $tail:literal) => {
        $crate::store::dialect::Sql {
            sqlite: concat!(
                $head,
                " ",
                $column,
                " IN (SELECT unhex(value) FROM json_each(",
                $place,
                ")) ",
                $tail
            ),
            postgres: concat!($head, " ", $column, " = ANY(", $place, "::bytea[]) ", $tail),
        }
    };
}
pub(super) use among;

/// A statement with a test whether a text is in a list that one value has as a JSON array.
macro_rules! listed {
    ($head:expr, $column:literal listed $place:literal, $tail:literal) => {
        $crate::store::dialect::Sql {
            sqlite: concat!(
                $head,
                " ",
                $column,
                " IN (SELECT value FROM json_each(",
                $place,
                ")) ",
                $tail
            ),
            postgres: concat!(
                $head,
                " ",
                $column,
                " IN (SELECT jsonb_array_elements_text(",
                $place,
                "::jsonb)) ",
                $tail
            ),
        }
    };
}
pub(super) use listed;

/// A statement about pairs of numbers: PostgreSQL does all at once, given a JSON array of
/// `{"key", "most"}` as `$1`; SQLite, to which a statement costs next to nothing, one after another,
/// given the two numbers as the last placeholders.
#[derive(Clone, Copy)]
pub(super) struct Pairs {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// The number of the newest event that anybody began to write; those of others may be missing yet.
pub(super) const NEWEST_EVENT: Sql = Sql {
    sqlite: "SELECT COALESCE(MAX(seq), 0) FROM event",
    postgres: "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END
               FROM event_seq_seq",
};

/// Sets where events may be handed out up to ($1), and the turn of the transaction that says so:
/// a number that grows with every transaction that writes. SQLite's writers take turns anyway.
pub(super) const SET_TARGET: Sql = Sql {
    sqlite: "UPDATE webhook_fan_out SET target = $1, target_turn = 0
             WHERE seq >= target AND target < $1 RETURNING target",
    postgres: "UPDATE webhook_fan_out
               SET target = $1, target_turn = pg_current_xact_id()::text::bigint
               WHERE seq >= target AND target < $1 RETURNING target",
};

/// How far events were handed out, how far they may be, and whether every transaction from before
/// the target was set has ended. Takes the row.
pub(super) const TAKE_FAN_OUT: Sql = Sql {
    sqlite: "SELECT seq, target, TRUE FROM webhook_fan_out WHERE number = 1",
    postgres: "SELECT seq, target,
                      pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= target_turn
               FROM webhook_fan_out WHERE number = 1 FOR UPDATE",
};

/// Something to bind to a placeholder.
#[derive(Debug)]
pub(super) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Bool(Option<bool>),
    /// Many keys for [`among`].
    Keys(Vec<Vec<u8>>),
}

/// Values to bind, in the order of their placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::dialect::Value::from($value)),*] };
}
pub(super) use values;

macro_rules! into_value {
    ($($type:ty => |$value:ident| $made:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self { $made }
        }
    )*};
}

into_value! {
    bool => |value| Self::Bool(Some(value));
    Option<bool> => |value| Self::Bool(value);
    i64 => |value| Self::Int(Some(value));
    Option<i64> => |value| Self::Int(value);
    u32 => |value| Self::Int(Some(value.into()));
    u16 => |value| Self::Int(Some(value.into()));
    Timestamp => |value| Self::Int(Some(value.as_millis()));
    Option<Timestamp> => |value| Self::Int(value.map(Timestamp::as_millis));
    &str => |value| Self::Text(Some(value.to_owned()));
    String => |value| Self::Text(Some(value));
    Option<&str> => |value| Self::Text(value.map(str::to_owned));
    Option<String> => |value| Self::Text(value);
    &Slug => |value| Self::Text(Some(value.to_string()));
    ProjectId => |value| Self::Text(Some(value.to_string()));
    ApiKeyId => |value| Self::Text(Some(value.to_string()));
    LinkedUserId => |value| Self::Text(Some(value.to_string()));
    ConnectionId => |value| Self::Text(Some(value.to_string()));
    ConnectLinkId => |value| Self::Text(Some(value.to_string()));
    EventId => |value| Self::Text(Some(value.to_string()));
    CustomFieldId => |value| Self::Text(Some(value.to_string()));
    MappingId => |value| Self::Text(Some(value.to_string()));
    Option<LinkedUserId> => |value| Self::Text(value.map(|id| id.to_string()));
    WebhookId => |value| Self::Text(Some(value.to_string()));
    RetryId => |value| Self::Text(Some(value.to_string()));
    OperatorId => |value| Self::Text(Some(value.to_string()));
    Option<OperatorId> => |value| Self::Text(value.map(|id| id.to_string()));
    SessionId => |value| Self::Text(Some(value.to_string()));
    RecordId => |value| Self::Bytes(Some(value.as_bytes().to_vec()));
    &Digest => |value| Self::Bytes(Some(value.as_bytes().to_vec()));
    Vec<u8> => |value| Self::Bytes(Some(value));
    Option<Vec<u8>> => |value| Self::Bytes(value);
}

/// A count as databases keep it. More than `i64::MAX` of anything does not happen.
pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An open database.
#[derive(Debug)]
pub(super) enum Database {
    /// One connection writes, several read.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

impl Database {
    /// A transaction that may write. On SQLite it waits for its turn here, never at commit.
    pub(super) async fn begin(&self) -> Result<Tx, Error> {
        let inner = match self {
            Self::Sqlite { writer, .. } => {
                Inner::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Postgres(pool) => Inner::Postgres(pool.begin().await?),
        };
        Ok(Tx { inner, bell: None })
    }

    /// Reads rows.
    pub(super) async fn read(
        &self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        match self {
            Self::Sqlite { readers, .. } => {
                sqlite_rows(sqlite_query(sql, values)?.fetch_all(readers).await)
            }
            Self::Postgres(pool) => {
                postgres_rows(postgres_query(sql, values)?.fetch_all(pool).await)
            }
        }
    }

    /// How a statement that reads would be run, in the database's own words.
    pub(super) async fn explain(&self, sql: Sql, values: Vec<Value>) -> Result<Vec<String>, Error> {
        match self {
            Self::Sqlite { readers, .. } => {
                let sql: Arc<str> = format!("EXPLAIN QUERY PLAN {}", sql.sqlite).into();
                let query = sqlite_bind(sqlx::query(AssertSqlSafe(sql)), values)?;
                let rows = sqlite_rows(query.fetch_all(readers).await)?;
                rows.iter().map(|row| row.text(3)).collect()
            }
            Self::Postgres(pool) => {
                let sql: Arc<str> = format!("EXPLAIN {}", sql.postgres).into();
                let query = postgres_bind(sqlx::query(AssertSqlSafe(sql)), values)?;
                let rows = postgres_rows(query.fetch_all(pool).await)?;
                rows.iter().map(|row| row.text(0)).collect()
            }
        }
    }

    /// Reads at most one row.
    pub(super) async fn read_one(
        &self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.read(sql, values).await?.into_iter().next())
    }

    /// Runs one statement as its own transaction; the number of rows it changed.
    pub(super) async fn write(
        &self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<u64, Error> {
        let sql = sql.into();
        match self {
            Self::Sqlite { writer, .. } => Ok(sqlite_query(sql, values)?
                .execute(writer)
                .await?
                .rows_affected()),
            Self::Postgres(pool) => Ok(postgres_query(sql, values)?
                .execute(pool)
                .await?
                .rows_affected()),
        }
    }

    /// Lets go of every connection.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction. Dropped without [`Tx::commit`], it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Tx {
    inner: Inner,
    bell: Option<Arc<Notify>>,
}

#[derive(Debug)]
enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Runs a statement; the number of rows it changed.
    pub(super) async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<u64, Error> {
        let sql = sql.into();
        match &mut self.inner {
            Inner::Sqlite(tx) => Ok(sqlite_query(sql, values)?
                .execute(&mut **tx)
                .await?
                .rows_affected()),
            Inner::Postgres(tx) => Ok(postgres_query(sql, values)?
                .execute(&mut **tx)
                .await?
                .rows_affected()),
        }
    }

    /// Runs a statement that answers with rows.
    pub(super) async fn rows(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        match &mut self.inner {
            Inner::Sqlite(tx) => sqlite_rows(sqlite_query(sql, values)?.fetch_all(&mut **tx).await),
            Inner::Postgres(tx) => {
                postgres_rows(postgres_query(sql, values)?.fetch_all(&mut **tx).await)
            }
        }
    }

    /// Runs a statement about pairs of numbers. `values` gives what is bound beside them: `$1` and
    /// on for SQLite, `$2` and on for PostgreSQL.
    pub(super) async fn pairs(
        &mut self,
        pairs: Pairs,
        keys: &[(u32, u32)],
        values: impl Fn() -> Vec<Value>,
    ) -> Result<Vec<Row>, Error> {
        if let Inner::Postgres(_) = &self.inner {
            let keys = keys
                .iter()
                .map(|(key, most)| format!(r#"{{"key":{key},"most":{most}}}"#));
            let keys = format!("[{}]", keys.collect::<Vec<_>>().join(","));
            let mut all = vec![Value::from(keys)];
            all.extend(values());
            return self.rows(pairs.postgres, all).await;
        }
        let mut rows = Vec::new();
        for (key, most) in keys {
            let mut all = values();
            all.extend(values![*key, *most]);
            rows.extend(self.rows(pairs.sqlite, all).await?);
        }
        Ok(rows)
    }

    /// Runs a statement that answers with at most one row. It runs to its end: a statement that
    /// writes must not be left half-way.
    pub(super) async fn row(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Runs a statement made by [`bulk`] for all `rows`. Every row has the same kinds of values.
    pub(super) async fn bulk(&mut self, bulk: Bulk, rows: Vec<Vec<Value>>) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        match &mut self.inner {
            Inner::Sqlite(tx) => {
                let (many, one) = (bulk.sqlite(SQLITE_ROWS), bulk.sqlite(1));
                let mut rows = rows.into_iter();
                while rows.len() > 0 {
                    let (sql, height) = match rows.len() {
                        SQLITE_ROWS.. => (&many, SQLITE_ROWS),
                        _ => (&one, 1),
                    };
                    let query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
                    let values = rows.by_ref().take(height).flatten();
                    sqlite_bind(query, values)?.execute(&mut **tx).await?;
                }
            }
            Inner::Postgres(tx) => {
                let mut query = sqlx::query(bulk.postgres);
                for column in columns(rows)? {
                    query = match column {
                        Column::Ints(values) => query.bind(values),
                        Column::Texts(values) => query.bind(values),
                        Column::Bytes(values) => query.bind(values),
                        Column::Bools(values) => query.bind(values),
                    };
                }
                query.execute(&mut **tx).await?;
            }
        }
        Ok(())
    }

    /// Makes others who ask for the same wait until this transaction ends. SQLite's writers wait
    /// for each other anyway.
    pub(super) async fn lock_object_kinds(&mut self) -> Result<(), Error> {
        if let Inner::Postgres(tx) = &mut self.inner {
            sqlx::query("LOCK TABLE object_kind IN SHARE ROW EXCLUSIVE MODE")
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    /// Rings once it is committed.
    pub(super) fn rings(&mut self, bell: &Arc<Notify>) {
        self.bell = Some(Arc::clone(bell));
    }

    /// Leaves nothing behind, and frees its rows before it returns: dropped, it frees them when
    /// its connection is next looked at.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        match self.inner {
            Inner::Sqlite(tx) => tx.rollback().await?,
            Inner::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// Makes it all last.
    pub(super) async fn commit(self) -> Result<(), Error> {
        fault_point!("commit.before");
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await?,
            Inner::Postgres(tx) => tx.commit().await?,
        }
        fault_point!("commit.after");
        if let Some(bell) = self.bell {
            bell.notify_one();
        }
        Ok(())
    }
}

/// One row of an answer. Columns go by number, from 0.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Unchecked, for the databases name their types differently; a value that does not fit is
    /// an error all the same.
    fn get<T>(&self, column: usize) -> Result<T, Error>
    where
        T: for<'row> Decode<'row, Sqlite> + for<'row> Decode<'row, Postgres>,
    {
        use sqlx::Row as _;
        Ok(match self {
            Self::Sqlite(row) => row.try_get_unchecked(column)?,
            Self::Postgres(row) => row.try_get_unchecked(column)?,
        })
    }

    pub(super) fn int(&self, column: usize) -> Result<i64, Error> {
        self.get(column)
    }

    pub(super) fn optional_int(&self, column: usize) -> Result<Option<i64>, Error> {
        self.get(column)
    }

    /// An integer that has to fit a smaller or unsigned type.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Error> {
        let number = self.int(column)?;
        T::try_from(number)
            .map_err(|_| Error::Corrupt(format!("the number {number} in column {column}")))
    }

    pub(super) fn text(&self, column: usize) -> Result<String, Error> {
        self.get(column)
    }

    pub(super) fn optional_text(&self, column: usize) -> Result<Option<String>, Error> {
        self.get(column)
    }

    pub(super) fn optional_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, Error> {
        self.get(column)
    }

    pub(super) fn bytes(&self, column: usize) -> Result<Vec<u8>, Error> {
        self.get(column)
    }

    pub(super) fn bool(&self, column: usize) -> Result<bool, Error> {
        self.get(column)
    }

    pub(super) fn optional_bool(&self, column: usize) -> Result<Option<bool>, Error> {
        self.get(column)
    }

    pub(super) fn time(&self, column: usize) -> Result<Timestamp, Error> {
        self.int(column).map(Timestamp::from_millis)
    }

    pub(super) fn optional_time(&self, column: usize) -> Result<Option<Timestamp>, Error> {
        Ok(self.optional_int(column)?.map(Timestamp::from_millis))
    }

    pub(super) fn record_id(&self, column: usize) -> Result<RecordId, Error> {
        RecordId::from_bytes(&self.bytes(column)?)
            .ok_or_else(|| Error::Corrupt("a record's id is not 16 bytes long".into()))
    }

    /// A text that one of our types is parsed from.
    pub(super) fn parsed<T: FromStr>(&self, column: usize) -> Result<T, Error> {
        self.parsed_by(column, |text| text.parse().ok())
    }

    /// A text that `parse` understands.
    pub(super) fn parsed_by<T>(
        &self,
        column: usize,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| Error::Corrupt(format!("{text:?} in column {column}")))
    }
}

fn sqlite_rows(rows: Result<Vec<SqliteRow>, sqlx::Error>) -> Result<Vec<Row>, Error> {
    Ok(rows?.into_iter().map(Row::Sqlite).collect())
}

fn postgres_rows(rows: Result<Vec<PgRow>, sqlx::Error>) -> Result<Vec<Row>, Error> {
    Ok(rows?.into_iter().map(Row::Postgres).collect())
}

impl Bulk {
    /// Constant texts and placeholders, nothing else.
    fn sqlite(self, height: usize) -> Arc<str> {
        let row = format!("({})", vec!["?"; self.width].join(", "));
        format!(
            "{} VALUES {} {}",
            self.head,
            vec![row; height].join(", "),
            self.tail
        )
        .into()
    }
}

fn sqlite_query(
    sql: Sql,
    values: Vec<Value>,
) -> Result<Query<'static, Sqlite, SqliteArguments>, Error> {
    sqlite_bind(sqlx::query(sql.sqlite), values)
}

fn sqlite_bind(
    mut query: Query<'static, Sqlite, SqliteArguments>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Query<'static, Sqlite, SqliteArguments>, Error> {
    for value in values {
        query = match checked(value)? {
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
            Value::Bool(value) => query.bind(value),
            Value::Keys(keys) => query.bind(hexadecimal_array(&keys)),
        };
    }
    Ok(query)
}

fn postgres_query(
    sql: Sql,
    values: Vec<Value>,
) -> Result<Query<'static, Postgres, PgArguments>, Error> {
    postgres_bind(sqlx::query(sql.postgres), values)
}

fn postgres_bind(
    mut query: Query<'static, Postgres, PgArguments>,
    values: Vec<Value>,
) -> Result<Query<'static, Postgres, PgArguments>, Error> {
    for value in values {
        query = match checked(value)? {
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
            Value::Bool(value) => query.bind(value),
            Value::Keys(keys) => query.bind(keys),
        };
    }
    Ok(query)
}

/// PostgreSQL refuses U+0000 and SQLite's own functions stop at it: we refuse it for both.
fn checked(value: Value) -> Result<Value, Error> {
    match &value {
        Value::Text(Some(text)) if text.as_bytes().contains(&0) => Err(Error::NullCharacter),
        _ => Ok(value),
    }
}

/// `["00ff","…"]`, for `json_each`.
fn hexadecimal_array(keys: &[Vec<u8>]) -> String {
    let mut text =
        String::with_capacity(2 + keys.iter().map(|key| 2 * key.len() + 3).sum::<usize>());
    text.push('[');
    for (index, key) in keys.iter().enumerate() {
        text.push_str(if index == 0 { "\"" } else { ",\"" });
        for byte in key {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
            }
        }
        text.push('"');
    }
    text.push(']');
    text
}

enum Column {
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Bools(Vec<Option<bool>>),
}

/// Rows turned into columns.
fn columns(rows: Vec<Vec<Value>>) -> Result<Vec<Column>, Error> {
    let height = rows.len();
    let mut columns: Vec<Column> = Vec::new();
    for row in rows {
        for (index, value) in row.into_iter().enumerate() {
            if index == columns.len() {
                columns.push(match value {
                    Value::Int(_) => Column::Ints(Vec::with_capacity(height)),
                    Value::Text(_) => Column::Texts(Vec::with_capacity(height)),
                    Value::Bytes(_) | Value::Keys(_) => Column::Bytes(Vec::with_capacity(height)),
                    Value::Bool(_) => Column::Bools(Vec::with_capacity(height)),
                });
            }
            match (columns.get_mut(index), checked(value)?) {
                (Some(Column::Ints(values)), Value::Int(value)) => values.push(value),
                (Some(Column::Texts(values)), Value::Text(value)) => values.push(value),
                (Some(Column::Bytes(values)), Value::Bytes(value)) => values.push(value),
                (Some(Column::Bools(values)), Value::Bool(value)) => values.push(value),
                _ => {
                    return Err(Error::Corrupt(
                        "rows of one statement differ in kind".into(),
                    ));
                }
            }
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bulk_statement_has_a_form_for_each_database() {
        let sql =
            bulk!("INSERT INTO t (a, b)", ["$1" "bigint", "$2" "text"], "ON CONFLICT DO NOTHING");
        assert_eq!(
            &*sql.sqlite(2),
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            sql.postgres,
            "INSERT INTO t (a, b) SELECT * FROM unnest($1::bigint[], $2::text[]) ON CONFLICT DO NOTHING"
        );
    }

    #[test]
    fn keys_become_an_array_of_hexadecimal_texts() {
        assert_eq!(hexadecimal_array(&[]), "[]");
        assert_eq!(
            hexadecimal_array(&[vec![0, 255], vec![16]]),
            r#"["00ff","10"]"#
        );
    }
}
