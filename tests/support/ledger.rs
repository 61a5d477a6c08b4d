//! What is in a server's database, read past the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;
use sqlx::{Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use crate::{Server, api::text};

/// What a database holds, at one moment at which no server writes.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Records by connection, object and remote id, and how often each is there.
    pub records: BTreeMap<(String, String, String), Vec<Stored>>,
    /// Events, in their order.
    pub events: Vec<Event>,
    /// Deliveries: id of the event, and how it stands.
    pub deliveries: Vec<(String, String)>,
    /// Events that are still to be planned for endpoints, or to be delivered.
    pub under_way: BTreeSet<String>,
    /// Syncs by connection and object.
    pub syncs: BTreeMap<(String, String), Sync>,
    /// Changes by their state.
    pub changes: Vec<String>,
}

/// A record.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The provider's document.
    pub remote: Value,
    /// The unified object.
    pub unified: Value,
    /// The provider's version.
    pub version: String,
    /// Whether it is deleted.
    pub deleted: bool,
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// What it tells.
    pub data: Value,
}

/// How a sync stands.
#[derive(Clone, Debug)]
pub struct Sync {
    /// Where the run at work goes on.
    pub cursor: Option<String>,
    /// From when the next run needs changes.
    pub since: Option<i64>,
    /// When the run at work began.
    pub run_started_at: Option<i64>,
    /// The end of the claim.
    pub lease_until: Option<i64>,
    /// How often it was claimed.
    pub fence: i64,
    /// Whether everything was read once.
    pub full_done: bool,
}

/// An open database.
pub enum Reader {
    /// A copy of an SQLite file, so that the server itself has to recover the original.
    Sqlite(SqliteConnection, TempDir),
    /// The server's PostgreSQL.
    Postgres(PgConnection),
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens the database of a server that does not run. Waits until what the killed process
    /// asked PostgreSQL to do has ended.
    ///
    /// # Panics
    /// The database cannot be read.
    pub async fn of(server: &Server) -> Self {
        let url = server.database_url();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let folder = tempfile::tempdir().expect("a folder can be made");
            for suffix in ["", "-wal"] {
                let from = format!("{path}{suffix}");
                if Path::new(&from).exists() {
                    let to = folder.path().join(format!("copy.db{suffix}"));
                    fs::copy(from, to).expect("the database can be copied");
                }
            }
            let options = SqliteConnectOptions::new().filename(folder.path().join("copy.db"));
            let connection = SqliteConnection::connect_with(&options).await;
            return Self::Sqlite(connection.expect("SQLite opens"), folder);
        }
        let mut reader = Self::of_others(server).await;
        let mut others = 1;
        while others > 0 {
            let sql = "SELECT count(*)::text FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            others = reader.texts(sql).await[0].parse().expect("a count");
        }
        reader
    }

    /// Opens a PostgreSQL that other servers use meanwhile.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn of_others(server: &Server) -> Self {
        let connection = PgConnection::connect(server.database_url()).await;
        Self::Postgres(connection.expect("PostgreSQL answers"))
    }

    /// Every row of a statement that answers one text.
    ///
    /// # Panics
    /// It fails.
    pub async fn texts(&mut self, sql: &str) -> Vec<String> {
        let safe = sqlx::AssertSqlSafe(sql.to_owned());
        let texts = match self {
            Self::Sqlite(connection, _) => sqlx::query_scalar(safe).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(safe).fetch_all(connection).await,
        };
        texts.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Every row of `SELECT columns rest`, as an array.
    async fn rows(&mut self, columns: &str, rest: &str) -> Vec<Vec<Value>> {
        let sql = match self {
            Self::Sqlite(..) => format!("SELECT json_array({columns}) {rest}"),
            Self::Postgres(_) => format!("SELECT json_build_array({columns})::text {rest}"),
        };
        let rows = self.texts(&sql).await;
        let parse = |row: String| serde_json::from_str(&row).expect("the database makes JSON");
        rows.into_iter().map(parse).collect()
    }

    /// What SQLite says of its file; nothing is wrong with PostgreSQL that it would tell us.
    pub async fn integrity(&mut self) -> String {
        match self {
            Self::Sqlite(..) => self.texts("PRAGMA integrity_check").await.join("; "),
            Self::Postgres(_) => "ok".to_owned(),
        }
    }

    /// Everything that is compared.
    pub async fn ledger(&mut self) -> Ledger {
        let mut ledger = Ledger::default();
        let columns = "c.id, k.name, r.remote_id, r.remote, r.unified, r.remote_version, \
                       CASE WHEN r.deleted_at IS NULL THEN 0 ELSE 1 END";
        let rest = "FROM record r JOIN connection c ON c.number = r.connection \
                    JOIN object_kind k ON k.number = r.object";
        for row in self.rows(columns, rest).await {
            let key = (text(&row[0]), text(&row[1]), text(&row[2]));
            ledger.records.entry(key).or_default().push(Stored {
                remote: inner(&row[3]),
                unified: inner(&row[4]),
                version: text(&row[5]),
                deleted: row[6] == 1,
            });
        }
        let rest = "FROM event ORDER BY seq";
        for row in self.rows("id, type, data", rest).await {
            ledger.events.push(Event {
                id: text(&row[0]),
                kind: text(&row[1]),
                data: inner(&row[2]),
            });
        }
        let rest = "FROM webhook_delivery d JOIN event ev ON ev.seq = d.event";
        for row in self.rows("ev.id, d.state", rest).await {
            ledger.deliveries.push((text(&row[0]), text(&row[1])));
        }
        let rest = "FROM event WHERE seq > (SELECT seq FROM webhook_fan_out WHERE number = 1)";
        for row in self.rows("id", rest).await {
            ledger.under_way.insert(text(&row[0]));
        }
        let waiting = ledger.deliveries.iter();
        let waiting = waiting.filter(|(_, state)| state == "pending");
        ledger.under_way.extend(waiting.map(|(id, _)| id.clone()));
        let columns = "c.id, k.name, s.cursor, s.since, s.run_started_at, s.lease_until, s.fence, \
                       CASE WHEN s.full_done THEN 1 ELSE 0 END";
        let rest = "FROM sync_state s JOIN connection c ON c.number = s.connection \
                    JOIN object_kind k ON k.number = s.object";
        for row in self.rows(columns, rest).await {
            let sync = Sync {
                cursor: row[2].as_str().map(str::to_owned),
                since: row[3].as_i64(),
                run_started_at: row[4].as_i64(),
                lease_until: row[5].as_i64(),
                fence: row[6].as_i64().expect("a fence is a number"),
                full_done: row[7] == 1,
            };
            ledger.syncs.insert((text(&row[0]), text(&row[1])), sync);
        }
        let rows = self.rows("state", "FROM change").await;
        ledger.changes = rows.iter().map(|row| text(&row[0])).collect();
        ledger
    }

    /// Every row of every table as text, for finding what must not be there.
    pub async fn dump(&mut self) -> String {
        let Self::Postgres(_) = self else {
            // The file itself is searched.
            return String::new();
        };
        let tables = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'";
        let mut dump = String::new();
        for table in self.texts(tables).await {
            let rows = self.texts(&format!("SELECT t::text FROM {table} t")).await;
            dump.extend(rows);
        }
        dump
    }
}

/// A document that is stored as text, or, where the database knows JSON, as itself.
fn inner(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or_default(),
        None => value.clone(),
    }
}

/// Places where one of some texts is: files of the server's folder, and the database.
///
/// # Panics
/// A file cannot be read.
pub async fn places_of(canaries: &[String], server: &Server, reader: &mut Reader) -> Vec<String> {
    let hexadecimal: Vec<String> = canaries
        .iter()
        .map(|canary| canary.bytes().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    let mut places = Vec::new();
    let dump = reader.dump().await;
    for (canary, hexadecimal) in canaries.iter().zip(&hexadecimal) {
        if dump.contains(canary.as_str()) || dump.contains(hexadecimal.as_str()) {
            places.push(format!("{canary} in the database"));
        }
    }
    let mut folders = vec![server.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap_or_default();
            for canary in canaries {
                if memchr::memmem::find(&bytes, canary.as_bytes()).is_some() {
                    places.push(format!("{canary} in {}", path.display()));
                }
            }
        }
    }
    places
}
