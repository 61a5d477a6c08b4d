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
        19,
        "data_keys",
        include_str!("../../../migrations/sqlite/0019_data_keys.sql"),
        include_str!("../../../migrations/postgres/0019_data_keys.sql"),
