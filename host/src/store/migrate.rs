//! Opening a database and bringing its schema up to date.

use std::{borrow::Cow, path::Path, time::Duration};

use sqlx::{
    Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Backend, Error, Options, dialect::Database};

/// Older libraries may, rarely, corrupt a file that several connections write to in WAL mode.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];
/// Longer than any transaction of ours should take.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was good this long ago is taken to be good.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// Every migration: number, name, text for SQLite, text for PostgreSQL. Applied ones never change.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "init",
        include_str!("../../../migrations/sqlite/0001_init.sql"),
        include_str!("../../../migrations/postgres/0001_init.sql"),
    ),
    (
        2,
        "webhooks",
        include_str!("../../../migrations/sqlite/0002_webhooks.sql"),
        include_str!("../../../migrations/postgres/0002_webhooks.sql"),
    ),
    (
        3,
        "custom_fields",
        include_str!("../../../migrations/sqlite/0003_custom_fields.sql"),
        include_str!("../../../migrations/postgres/0003_custom_fields.sql"),
    ),
    (
        4,
        "passthrough",
        include_str!("../../../migrations/sqlite/0004_passthrough.sql"),
        include_str!("../../../migrations/postgres/0004_passthrough.sql"),
    ),
    (
        5,
        "idempotency",
        include_str!("../../../migrations/sqlite/0005_idempotency.sql"),
        include_str!("../../../migrations/postgres/0005_idempotency.sql"),
    ),
    (
        6,
        "inbound",
        include_str!("../../../migrations/sqlite/0006_inbound.sql"),
        include_str!("../../../migrations/postgres/0006_inbound.sql"),
    ),
    (
        7,
        "pull_frequencies",
        include_str!("../../../migrations/sqlite/0007_pull_frequencies.sql"),
        include_str!("../../../migrations/postgres/0007_pull_frequencies.sql"),
    ),
    (
        10,
        "syncs",
        include_str!("../../../migrations/sqlite/0010_syncs.sql"),
        include_str!("../../../migrations/postgres/0010_syncs.sql"),
    ),
    (
        11,
        "runs",
        include_str!("../../../migrations/sqlite/0011_runs.sql"),
        include_str!("../../../migrations/postgres/0011_runs.sql"),
    ),
    (
        12,
        "changes",
        include_str!("../../../migrations/sqlite/0012_changes.sql"),
        include_str!("../../../migrations/postgres/0012_changes.sql"),
    ),
    (
        13,
        "history",
        include_str!("../../../migrations/sqlite/0013_history.sql"),
        include_str!("../../../migrations/postgres/0013_history.sql"),
    ),
    (
        14,
        "budget",
        include_str!("../../../migrations/sqlite/0014_budget.sql"),
        include_str!("../../../migrations/postgres/0014_budget.sql"),
    ),
    (
        15,
        "passes",
        include_str!("../../../migrations/sqlite/0015_passes.sql"),
        include_str!("../../../migrations/postgres/0015_passes.sql"),
    ),
    (
        16,
        "audit",
        include_str!("../../../migrations/sqlite/0016_audit.sql"),
        include_str!("../../../migrations/postgres/0016_audit.sql"),
    ),
    (
        17,
        "connectors",
        include_str!("../../../migrations/sqlite/0017_connectors.sql"),
        include_str!("../../../migrations/postgres/0017_connectors.sql"),
    ),
    (
        19,
        "data_keys",
        include_str!("../../../migrations/sqlite/0019_data_keys.sql"),
        include_str!("../../../migrations/postgres/0019_data_keys.sql"),
    ),
    (
        20,
        "operators",
        include_str!("../../../migrations/sqlite/0020_operators.sql"),
        include_str!("../../../migrations/postgres/0020_operators.sql"),
    ),
    (
        21,
        "connect_links",
        include_str!("../../../migrations/sqlite/0021_connect_links.sql"),
        include_str!("../../../migrations/postgres/0021_connect_links.sql"),
    ),
    (
        22,
        "exchanges",
        include_str!("../../../migrations/sqlite/0022_exchanges.sql"),
        include_str!("../../../migrations/postgres/0022_exchanges.sql"),
    ),
    (
        23,
        "oauth_apps",
        include_str!("../../../migrations/sqlite/0023_oauth_apps.sql"),
        include_str!("../../../migrations/postgres/0023_oauth_apps.sql"),
    ),
    (
        24,
        "request_counts",
        include_str!("../../../migrations/sqlite/0024_request_counts.sql"),
        include_str!("../../../migrations/postgres/0024_request_counts.sql"),
    ),
    (
        25,
        "summary",
        include_str!("../../../migrations/sqlite/0025_summary.sql"),
        include_str!("../../../migrations/postgres/0025_summary.sql"),
    ),
    (
        26,
        "linked_users_map",
        include_str!("../../../migrations/sqlite/0026_linked_users_map.sql"),
        include_str!("../../../migrations/postgres/0026_linked_users_map.sql"),
    ),
    (
        27,
        "troubles",
        include_str!("../../../migrations/sqlite/0027_troubles.sql"),
        include_str!("../../../migrations/postgres/0027_troubles.sql"),
    ),
    (
        28,
        "keeping",
        include_str!("../../../migrations/sqlite/0028_keeping.sql"),
        include_str!("../../../migrations/postgres/0028_keeping.sql"),
    ),
    (
        29,
        "removed_operators",
        include_str!("../../../migrations/sqlite/0029_removed_operators.sql"),
        include_str!("../../../migrations/postgres/0029_removed_operators.sql"),
    ),
];

/// Connects. The schema has to be up to date already.
pub(super) async fn connect(options: &Options) -> Result<Database, Error> {
    let connections = options.max_connections.max(1);
    match address(&options.url)? {
        Address::Sqlite(path) => {
            // A file does not go away while it is open: nothing to test before use.
            let pool = || {
                SqlitePoolOptions::new()
                    .acquire_timeout(BUSY_TIMEOUT)
                    .test_before_acquire(false)
            };
            let settings = sqlite_options(path);
            Ok(Database::Sqlite {
                writer: pool()
                    .max_connections(1)
                    .before_acquire(|connection, _| {
                        // SQLite itself takes a transaction back where the disk is full, and sqlx
                        // does not notice: what it thinks is under way is never ended.
                        let is_good = !connection.is_in_transaction();
                        Box::pin(async move { Ok(is_good) })
                    })
                    .connect_with(settings.clone())
                    .await?,
                readers: pool()
                    .max_connections(connections)
                    .connect_with(settings.pragma("query_only", "on"))
                    .await?,
            })
        }
        Address::Postgres(settings) => Ok(Database::Postgres(
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(BUSY_TIMEOUT)
                // A question to the server before each statement would double what reading costs.
                .test_before_acquire(false)
                .before_acquire(|connection, use_of_it| {
                    Box::pin(async move {
                        if use_of_it.idle_for > TRUSTED_FOR {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .connect_with(*settings)
                .await?,
        )),
    }
}

/// Applies what is missing; the names of what was applied. Safe when several processes start at
/// once: the first does it, the others wait and find it done.
pub(super) async fn migrate(url: &str) -> Result<Vec<String>, Error> {
    match address(url)? {
        Address::Sqlite(path) => migrate_sqlite(path).await,
        Address::Postgres(settings) => {
            let mut connection = PgConnection::connect_with(&settings).await?;
            // Session locks nest: the migrator takes and gives back the same one within.
            connection.lock().await.map_err(explain)?;
            let names = run(&migrator(Backend::Postgres), &mut connection).await;
            connection.close().await?;
            names
        }
    }
}

pub(super) fn backend(url: &str) -> Result<Backend, Error> {
    Ok(match address(url)? {
        Address::Sqlite(_) => Backend::Sqlite,
        Address::Postgres(_) => Backend::Postgres,
    })
}

enum Address<'url> {
    Sqlite(&'url Path),
    Postgres(Box<PgConnectOptions>),
}

/// Never quotes the address in an error: it may hold a password.
fn address(url: &str) -> Result<Address<'_>, Error> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err(Error::Unsuitable(
                "the database address names no file; write sqlite:PATH".into(),
            ));
        }
        return Ok(Address::Sqlite(Path::new(path)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let settings: PgConnectOptions = url.parse().map_err(|_| {
            Error::Unsuitable(
                "the database address is not one that PostgreSQL knows; write \
                 postgres://USER:PASSWORD@HOST:PORT/DATABASE"
                    .into(),
            )
        })?;
        return Ok(Address::Postgres(Box::new(
            settings.application_name("jackfield").options([
                ("statement_timeout", "30s"),
                // Nothing is waited for within a transaction but the database. A process that is
                // stopped in one keeps its rows from all others no longer than this.
                ("idle_in_transaction_session_timeout", "10s"),
            ]),
        )));
    }
    Err(Error::Unsuitable(
        "the database address starts with neither sqlite: nor postgres://".into(),
    ))
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
}

async fn migrate_sqlite(path: &Path) -> Result<Vec<String>, Error> {
    create_sqlite(path).await?;
    let mut connection = SqliteConnection::connect_with(&sqlite_options(path)).await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(&mut connection)
        .await?;
    refuse_old_sqlite(&version)?;
    // The driver's migrator takes no lock on SQLite, so it runs inside a transaction that has
    // the write lock from its start.
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let names = run(&migrator(Backend::Sqlite), &mut *tx).await?;
    tx.commit().await?;
    connection.close().await?;
    Ok(names)
}

/// Makes the database file, if it is missing, readable for its owner only and in WAL mode. SQLite
/// gives its side files the same rights.
///
/// It is made under another name and moved into place whole: switching a file that others open
/// at the same moment to WAL can fail, and closing a file that SQLite has open elsewhere in this
/// process would take away its locks.
async fn create_sqlite(path: &Path) -> Result<(), Error> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let refuse = |error: std::io::Error| {
        Error::Unsuitable(format!(
            "the database file {} cannot be made: {error}",
            path.display()
        ))
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let new = tempfile::Builder::new()
        .prefix(".jackfield-new-")
        .tempfile_in(folder)
        .map_err(refuse)?
        .into_temp_path();
    SqliteConnection::connect_with(&sqlite_options(&new))
        .await?
        .close()
        .await?;
    match new.persist_noclobber(path) {
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refuse(error.error)),
        Ok(()) => std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(refuse),
    }
}

fn refuse_old_sqlite(version: &str) -> Result<(), Error> {
    let numbers: Vec<u32> = version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    if numbers.as_slice() >= OLDEST_SQLITE.as_slice() {
        return Ok(());
    }
    Err(Error::Unsuitable(format!(
        "SQLite {version} is linked, which has a bug that can corrupt the database; build with the \
         bundled library, 3.51.3 or newer"
    )))
}

fn migrator(backend: Backend) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(number, name, sqlite, postgres)| {
        let text = match backend {
            Backend::Sqlite => sqlite,
            Backend::Postgres => postgres,
        };
        Migration::new(
            number,
            Cow::Borrowed(name),
            MigrationType::Simple,
            text.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

async fn run<C: Migrate>(migrator: &Migrator, connection: &mut C) -> Result<Vec<String>, Error> {
    connection
        .ensure_migrations_table(MIGRATIONS_TABLE)
        .await
        .map_err(explain)?;
    let before = connection
        .list_applied_migrations(MIGRATIONS_TABLE)
        .await
        .map_err(explain)?;
    fault_point!("migration.begun");
    // `run` is the documented way, but its future is not `Send`; this is what it calls.
    migrator
        .run_direct(None, connection, false)
        .await
        .map_err(explain)?;
    fault_point!("migration.ran");
    Ok(migrator
        .iter()
        .filter(|migration| {
            before
                .iter()
                .all(|applied| applied.version != migration.version)
        })
        .map(|migration| format!("{:04}_{}", migration.version, migration.description))
        .collect())
}

/// A sentence for the operator.
fn explain(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::ExecuteMigration(error, number) => Error::Migration(format!(
            "migration {number} failed and was undone; the database is as it was before: {error}"
        )),
        MigrateError::VersionMissing(number) => Error::Migration(format!(
            "the database has migration {number}, which this version does not know: it was used \
             by a newer version. Start that version, or restore a backup from before it"
        )),
        MigrateError::VersionMismatch(number) => Error::Migration(format!(
            "migration {number} was applied with another text than this version has: the database \
             was made by a changed build. Start that build, or restore a backup"
        )),
        other => Error::Migration(format!(
            "the schema could not be brought up to date: {other}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_folders_hold_the_files_that_are_embedded() {
        let embedded: Vec<String> = MIGRATIONS
            .iter()
            .map(|(number, name, ..)| format!("{number:04}_{name}.sql"))
            .collect();
        for folder in ["sqlite", "postgres"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../migrations")
                .join(folder);
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            assert_eq!(files, embedded);
        }
    }

    #[test]
    fn old_libraries_are_refused() {
        for good in ["3.51.3", "3.52.0", "4.0.0", "3.51.10"] {
            assert!(refuse_old_sqlite(good).is_ok(), "{good}");
        }
        for bad in ["3.40.1", "3.51.2", "3.51", ""] {
            assert!(refuse_old_sqlite(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_address_is_refused_without_quoting_it() {
        for bad in [
            "",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h:port/d",
            "sqlite:",
            "sqlite::memory:",
        ] {
            let error = address(bad).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
