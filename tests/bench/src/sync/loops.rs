//! Native loops: what a program does that serves one provider only, and knows it.

use std::time::Instant;

use jackfield::{
    demo,
    model::{Record, StoredDocument, Timestamp, Upsert, splice},
    store::{Backend, Source},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::{
    Connection as _, PgConnection, Postgres, QueryBuilder, Sqlite, SqliteConnection, sqlite,
};

use crate::{
    Result,
    database::{Database, kind, map},
};

/// Rows in one statement, on SQLite: each statement goes to another thread and back.
const AT_ONCE: usize = 50;

/// What is written.
#[derive(Clone, Copy)]
pub(super) enum Loop {
    /// The rows of the records alone.
    Records,
    /// And the row of an event for each, as the server writes it.
    RecordsAndEvents,
    /// Through the server's own store, which also compares with what is there.
    Store,
}

#[derive(Deserialize)]
struct Page<'body> {
    #[serde(borrow)]
    items: &'body RawValue,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    id: u64,
    version: u64,
    updated_on: String,
}

/// A row of each table.
struct Row {
    id: Vec<u8>,
    remote_id: String,
    unified: String,
    remote: String,
    version: String,
    remote_modified_at: Option<i64>,
    event: Option<String>,
}

enum Writer {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Loop {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::RecordsAndEvents => "records and events",
            Self::Store => "by the store",
        }
    }

    /// Reads and writes everything: seconds.
    pub(super) async fn run(self, database: &Database, url: &str, size: usize) -> Result<f64> {
        let client = client()?;
        let mut writer = Writer::open(database).await?;
        let started = Instant::now();
        let (mut token, mut records) = (None, 0);
        loop {
            let body = fetch(&client, url, token.as_deref()).await?;
            let page: Page<'_> = serde_json::from_slice(&body)?;
            records += match self {
                Self::Store => by_store(database, page.items).await?,
                Self::Records => {
                    writer
                        .write(&rows(database, page.items, false)?, database)
                        .await?
                }
                Self::RecordsAndEvents => {
                    writer
                        .write(&rows(database, page.items, true)?, database)
                        .await?
                }
            };
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        writer.close().await?;
        if records != size {
            return Err(format!("{records} of {size} records were written").into());
        }
        Ok(seconds)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the limit is what a program without a guarded way out does"
)]
fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().tls_certs_only([]).build()?)
}

async fn fetch(client: &reqwest::Client, url: &str, token: Option<&str>) -> Result<bytes::Bytes> {
    let url = match token {
        None => format!("{url}?page_size=100"),
        Some(token) => format!("{url}?page_size=100&page_token={token}"),
    };
    let request = client.get(url).header("x-demo-key", demo::API_KEY);
    Ok(request.send().await?.error_for_status()?.bytes().await?)
}

/// Each document with what has to be known of it, and the unified object.
fn mapped(items: &RawValue) -> Result<Vec<(&RawValue, Key, String)>> {
    let documents: Vec<&RawValue> = serde_json::from_str(items.get())?;
    let unified = map(items.get())?;
    let pairs = documents.into_iter().zip(unified);
    pairs
        .map(|(document, unified)| Ok((document, serde_json::from_str(document.get())?, unified)))
        .collect()
}

async fn by_store(database: &Database, items: &RawValue) -> Result<usize> {
    let upserts: Vec<Upsert> = mapped(items)?
        .into_iter()
        .map(|(document, key, unified)| Upsert {
            remote_id: key.id.to_string(),
            document: StoredDocument::Present {
                unified,
                remote: document.get().to_owned(),
                custom: "{}".to_owned(),
            },
            remote_version: Some(key.version.to_string()),
            remote_modified_at: Timestamp::parse(&key.updated_on),
        })
        .collect();
    let read = Source::Read(database.store.reading(&database.scope).await?);
    let outcome = database
        .store
        .apply_page(&database.scope, kind()?, &upserts, read)
        .await?;
    Ok(outcome.changes.len())
}

fn rows(database: &Database, items: &RawValue, events: bool) -> Result<Vec<Row>> {
    let object = kind()?;
    let row = |(document, key, unified): (&RawValue, Key, String)| {
        let remote_id = key.id.to_string();
        let id = database
            .store
            .record_id(&database.scope, object, &remote_id);
        let remote_modified_at = Timestamp::parse(&key.updated_on).map(Timestamp::as_millis);
        let record = Record {
            id,
            remote_id,
            unified,
            remote: None,
            custom: "{}".to_owned(),
            remote_version: None,
            created_at: Timestamp::from_millis(0),
            modified_at: Timestamp::from_millis(0),
            deleted_at: None,
        };
        Row {
            id: id.as_bytes().to_vec(),
            event: events.then(|| splice(&record, true)),
            remote_id: record.remote_id,
            unified: record.unified,
            remote: document.get().to_owned(),
            version: key.version.to_string(),
            remote_modified_at,
        }
    };
    Ok(mapped(items)?.into_iter().map(row).collect())
}

impl Writer {
    /// Settings as the store has them.
    async fn open(database: &Database) -> Result<Self> {
        Ok(match database.store.backend() {
            Backend::Sqlite => {
                let options: sqlite::SqliteConnectOptions = database.url.parse()?;
                let options = options
                    .journal_mode(sqlite::SqliteJournalMode::Wal)
                    .synchronous(sqlite::SqliteSynchronous::Full);
                Self::Sqlite(SqliteConnection::connect_with(&options).await?)
            }
            Backend::Postgres => Self::Postgres(PgConnection::connect(&database.url).await?),
        })
    }

    async fn close(self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => connection.close().await?,
            Self::Postgres(connection) => connection.close().await?,
        }
        Ok(())
    }

    /// A page in one transaction.
    async fn write(&mut self, rows: &[Row], database: &Database) -> Result<usize> {
        let project = database.scope.project().to_string();
        match self {
            Self::Sqlite(connection) => {
                let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
                for rows in rows.chunks(AT_ONCE) {
                    let mut records = sqlite_records(rows);
                    records.build().execute(&mut *transaction).await?;
                    if rows.iter().any(|row| row.event.is_some()) {
                        let mut events = sqlite_events(&project, rows);
                        events.build().execute(&mut *transaction).await?;
                    }
                }
                transaction.commit().await?;
            }
            Self::Postgres(connection) => {
                let mut transaction = connection.begin().await?;
                postgres_records(rows).execute(&mut *transaction).await?;
                if rows.iter().any(|row| row.event.is_some()) {
                    postgres_events(&project, rows)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
            }
        }
        Ok(rows.len())
    }
}

type PostgresQuery<'row> = sqlx::query::Query<'row, Postgres, sqlx::postgres::PgArguments>;

fn sqlite_records(rows: &[Row]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "INSERT INTO record (id, connection, object, remote_id, unified, remote, custom, hash,
             remote_version, remote_modified_at, created_at, modified_at) ",
    );
    query.push_values(rows, |mut values, row| {
        values.push_bind(row.id.clone()).push("1, 1");
        values.push_bind(row.remote_id.clone());
        values.push_bind(row.unified.clone());
        values.push_bind(row.remote.clone()).push("'{}', x'00'");
        values.push_bind(row.version.clone());
        values.push_bind(row.remote_modified_at).push("0, 0");
    });
    query.push(
        " ON CONFLICT (id) DO UPDATE SET unified = excluded.unified, remote = excluded.remote,
             remote_version = excluded.remote_version, modified_at = excluded.modified_at",
    );
    query
}

fn sqlite_events(project: &str, rows: &[Row]) -> QueryBuilder<Sqlite> {
    let mut query =
        QueryBuilder::new("INSERT INTO event (id, project, connection, type, data, created_at) ");
    let events = rows.iter().filter_map(|row| row.event.clone());
    query.push_values(events, |mut values, event| {
        values.push("''").push_bind(project.to_owned());
        values
            .push("1, 'crm.contact.created'")
            .push_bind(event)
            .push("0");
    });
    query
}

fn postgres_records(rows: &[Row]) -> PostgresQuery<'_> {
    let sql = "INSERT INTO record (id, connection, object, remote_id, unified, remote, custom, hash,
             remote_version, remote_modified_at, created_at, modified_at)
         SELECT id, 1, 1, remote_id, unified, remote, '{}', '\\x00', version, remote_modified_at, 0, 0
         FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
             AS page (id, remote_id, unified, remote, version, remote_modified_at)
         ON CONFLICT (id) DO UPDATE SET unified = excluded.unified, remote = excluded.remote,
             remote_version = excluded.remote_version, modified_at = excluded.modified_at";
    let texts = |field: fn(&Row) -> &str| rows.iter().map(field).collect::<Vec<&str>>();
    sqlx::query(sql)
        .bind(rows.iter().map(|row| row.id.as_slice()).collect::<Vec<_>>())
        .bind(texts(|row| &row.remote_id))
        .bind(texts(|row| &row.unified))
        .bind(texts(|row| &row.remote))
        .bind(texts(|row| &row.version))
        .bind(
            rows.iter()
                .map(|row| row.remote_modified_at)
                .collect::<Vec<_>>(),
        )
}

fn postgres_events<'row>(project: &'row str, rows: &'row [Row]) -> PostgresQuery<'row> {
    let sql = "INSERT INTO event (id, project, connection, type, data, created_at)
         SELECT '', $1, 1, 'crm.contact.created', data, 0 FROM unnest($2::text[]) AS page (data)";
    let events: Vec<&str> = rows.iter().filter_map(|row| row.event.as_deref()).collect();
    sqlx::query(sql).bind(project).bind(events)
}
