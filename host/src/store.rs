//! Everything that lasts: SQLite or PostgreSQL behind one set of methods.
//!
//! Each file below holds one aggregate. A method about one connection takes its [`Scope`](crate::model::Scope), which
//! only this module can make and only by finding the connection within a project; all others take
//! the project's id. Whatever belongs together is written in one transaction, events included.

mod api_keys;
mod audit;
mod changes;
mod conflicts;
mod connect_links;
mod connections;
mod connectors;
mod credentials;
mod custom_fields;
mod data_keys;
mod deliveries;
mod delivery_log;
mod dialect;
mod directory;
mod error;
mod event_list;
mod events;
mod exchanges;
mod failures;
mod fan_out;
mod history;
mod idempotency;
mod inbound;
mod lease;
mod lists;
mod migrate;
mod oauth_apps;
mod operator_accounts;
mod operator_links;
mod operator_sessions;
mod operators;
mod pages;
mod passes;
mod passthrough;
mod projects;
mod pull_frequencies;
mod rate_budget;
mod records;
mod remaps;
mod request_counts;
mod retention;
mod runs;
mod settled;
mod sign_in_attempts;
mod summary;
mod sync_config;
mod syncs;
mod troubles;
mod webhooks;

use std::{collections::HashMap, fmt, sync::Arc};

use tokio::sync::Notify;

use self::dialect::{Database, Tx, values};
use crate::model::{Clock, Entropy, ObjectKind, Timestamp};

pub use self::{
    api_keys::ApiKeyRow,
    audit::AuditFilter,
    changes::{ChangeFilter, ClaimedChange, LocalWrite, PushTask, Queued, WrittenBy},
    conflicts::ConflictFilter,
    connect_links::TakenLink,
    connectors::Books,
    credentials::{RefreshLease, SealedCredentials},
    custom_fields::{CustomValues, NewCustomField},
    data_keys::{SealedKind, SealedPlace, SealedValue, WrappedKey},
    deliveries::{ClaimedDelivery, Disabled, FinishedDelivery, Verdict},
    delivery_log::DeliveryFilter,
    directory::{ConnectionFilter, ConnectionRow, LinkedUserRow},
    error::{Cause, Error},
    event_list::{DeliveryCounts, EventFilter, EventPage},
    events::EventRow,
    exchanges::ExchangeFilter,
    failures::FailureFilter,
    fan_out::FannedOut,
    history::{FieldOrigin, HistoryEntry, HistoryPlace, OriginRow, RecordPlace},
    idempotency::{KeyClaim, KeyOwner, KeyState, REMEMBERED},
    inbound::{ClaimedNotice, NoticeOutcome},
    oauth_apps::StoredOAuthApp,
    operator_accounts::{Amended, NewOperator, OperatorRow},
    operator_links::{LinkPurpose, OperatorLink},
    operator_sessions::SessionEnd,
    pages::{PageOutcome, Source},
    passes::{Missing, Pass, Way},
    passthrough::{ClaimedRetry, RetryRow},
    pull_frequencies::NEVER,
    rate_budget::{BudgetKey, Leased},
    remaps::{Remap, RemapPass},
    request_counts::{Outcome, RequestBucket, RequestTally},
    retention::Pruned,
    runs::RunFilter,
    sign_in_attempts::{Attempt, AttemptRule, AttemptSubject},
    summary::{
        AskingSync, ConnectionCounts, Counted, DeliveryBucket, DeliveryChart, FailingSyncs,
        LogFilter, ObjectPlace, Presence, RecordEvent, RecordFilter, RunBucket, RunChart, Span,
        TroubledEndpoint,
    },
    sync_config::{SyncFilter, planned},
    syncs::{Checkpoint, ClaimedSync, Renewal, SyncOutcome, SyncState},
    troubles::{Among, DeadLogin, FailureReason, GoodRun, TroubledDelivery, TroubledRun},
};

/// The database, open. Cheap to clone; clones share its connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    database: Database,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    objects: Objects,
    events_written: Arc<Notify>,
    deliveries_due: Arc<Notify>,
    changes_due: Arc<Notify>,
    key_uses: api_keys::Uses,
}

/// Which database it is. For showing to people: nothing may depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file beside the server.
    Sqlite,
    /// A server of its own.
    Postgres,
}

/// How to open a database.
#[derive(Clone)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub url: String,
    /// The most connections at once (SQLite: for reading; one more writes). At least 1.
    pub max_connections: u32,
}

impl fmt::Debug for Options {
    /// Without the address, which may hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Store")
            .field("backend", &self.inner.backend)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `url` with at most 16 connections, makes it if it is an SQLite file
    /// that is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// It cannot be reached, is not suitable, or its schema is newer than this program.
    pub async fn open(
        url: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        let options = Options {
            url: url.to_owned(),
            max_connections: 16,
        };
        Self::open_with(&options, clock, entropy).await
    }

    /// [`Self::open`] with everything said.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn open_with(
        options: &Options,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        let backend = migrate::backend(&options.url)?;
        migrate::migrate(&options.url).await?;
        let database = migrate::connect(options).await?;
        let objects = Objects::number(&database).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                database,
                clock,
                entropy,
                objects,
                events_written: Arc::default(),
                deliveries_due: Arc::default(),
                changes_due: Arc::default(),
                key_uses: api_keys::Uses::default(),
            }),
        })
    }

    /// Brings the schema at `url` up to date. The names of the migrations that were applied, like
    /// `0001_init`; none when there was nothing to do.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn migrate(url: &str) -> Result<Vec<String>, Error> {
        migrate::backend(url)?;
        migrate::migrate(url).await
    }

    /// Writes one row, to see that writing works.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), Error> {
        let sql = "INSERT INTO health (number, checked_at) VALUES (1, $1)
                   ON CONFLICT (number) DO UPDATE SET checked_at = excluded.checked_at";
        self.database()
            .write(sql, values![self.now()])
            .await
            .map(drop)
    }

    /// Which database it is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// Lets go of the database once running statements have ended. Every later call fails.
    pub async fn close(&self) {
        self.database().close().await;
    }

    fn database(&self) -> &Database {
        &self.inner.database
    }

    async fn begin(&self) -> Result<Tx, Error> {
        self.database().begin().await
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy.as_ref()
    }

    /// The number of an object in this database.
    fn object(&self, kind: ObjectKind) -> u16 {
        self.inner.objects.number_of(kind)
    }

    /// The reverse; none where this program does not know the object (any more).
    fn kind(&self, object: u16) -> Option<ObjectKind> {
        self.inner.objects.kinds.get(&object).copied()
    }
}

/// Object kinds by their numbers in this database and back.
struct Objects {
    numbers: HashMap<ObjectKind, u16>,
    kinds: HashMap<u16, ObjectKind>,
}

impl Objects {
    /// Reads the numbers and gives new ones to kinds that have none.
    async fn number(database: &Database) -> Result<Self, Error> {
        let mut known = Self::parse(
            &database
                .read("SELECT number, name FROM object_kind", values![])
                .await?,
        )?;
        if ObjectKind::all().all(|kind| known.numbers.contains_key(&kind)) {
            return Ok(known);
        }
        let mut tx = database.begin().await?;
        tx.lock_object_kinds().await?;
        for kind in ObjectKind::all() {
            let sql = "INSERT INTO object_kind (number, name)
                       SELECT COALESCE(MAX(number), 0) + 1, $1 FROM object_kind WHERE TRUE
                       ON CONFLICT (name) DO NOTHING";
            tx.execute(sql, values![kind.name()]).await?;
        }
        known = Self::parse(
            &tx.rows("SELECT number, name FROM object_kind", values![])
                .await?,
        )?;
        tx.commit().await?;
        Ok(known)
    }

    fn parse(rows: &[dialect::Row]) -> Result<Self, Error> {
        let mut objects = Self {
            numbers: HashMap::new(),
            kinds: HashMap::new(),
        };
        for row in rows {
            let number = row.number(0)?;
            if let Some(kind) = ObjectKind::parse(&row.text(1)?) {
                objects.numbers.insert(kind, number);
                objects.kinds.insert(number, kind);
            }
        }
        Ok(objects)
    }

    fn number_of(&self, kind: ObjectKind) -> u16 {
        *self
            .numbers
            .get(&kind)
            .expect("every kind was given a number when the database was opened")
    }
}

/// A sentence for people, without the character that databases refuse.
fn without_nulls(text: &str) -> String {
    text.replace('\0', "")
}
