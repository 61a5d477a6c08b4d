//! A store on a database of its own for each test, and short names for making things in it.
#![expect(
    clippy::disallowed_methods,
    reason = "the address of the test server is an environment variable"
)]

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jackfield::{
    model::{
        Clock as _, ConnectionId, Digest, Environment, LinkedUser, ManualClock, NewConnection,
        ObjectKind, Project, ProjectId, Record, Scope, StoredDocument, SystemEntropy, Timestamp,
        Upsert,
    },
    store::{Backend, PageOutcome, Source, Store},
};
use sqlx::{AssertSqlSafe, Connection as _};

/// After all that a test writes.
pub(crate) const LATER: Timestamp = Timestamp::from_millis(START.as_millis() + 1_000_000_000);
/// A page that nothing has overtaken.
pub(crate) const READ: Source<'static> = Source::Read(LATER);

/// 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A store, the clock it goes by and the address of its database.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
    pub(crate) url: String,
    serial: Arc<AtomicU32>,
}

/// Runs a test on a new SQLite file.
pub(crate) async fn on_sqlite<Test, Run>(test: Test)
where
    Test: FnOnce(World) -> Run,
    Run: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("jackfield.db").display());
    test(World::open(url).await).await;
}

/// Runs a test in a new schema of the PostgreSQL server, which is dropped afterwards.
pub(crate) async fn on_postgres<Test, Run>(test: Test)
where
    Test: FnOnce(World) -> Run,
    Run: Future<Output = ()> + Send + 'static,
{
    let server = std::env::var("JACKFIELD_TEST_POSTGRES_URL").expect(
        "JACKFIELD_TEST_POSTGRES_URL is not set: run the tests with tests/run, or set it to what \
         `tests/postgres start` prints",
    );
    let schema = format!("test_{}", ProjectId::generate(&SystemEntropy)).replace('-', "");
    run(&server, format!("CREATE SCHEMA {schema}")).await;
    let separator = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{separator}options=-c%20search_path%3D{schema}");
    let world = World::open(url).await;
    let store = world.store.clone();
    let ended = tokio::spawn(test(world)).await;
    store.close().await;
    run(&server, format!("DROP SCHEMA {schema} CASCADE")).await;
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn run(url: &str, sql: String) {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

impl World {
    async fn open(url: String) -> Self {
        let clock = ManualClock::new(START);
        let store = Store::open(&url, Arc::new(clock.clone()), Arc::new(SystemEntropy))
            .await
            .unwrap();
        Self {
            store,
            clock,
            url,
            serial: Arc::default(),
        }
    }

    /// Another instance on the same database, as another process would have.
    pub(crate) async fn another(&self) -> Store {
        Store::open(
            &self.url,
            Arc::new(self.clock.clone()),
            Arc::new(SystemEntropy),
        )
        .await
        .unwrap()
    }

    /// Changes the database behind the store's back.
    pub(crate) async fn tamper(&self, sql: &str) {
        match self.store.backend() {
            Backend::Postgres => run(&self.url, sql.to_owned()).await,
            Backend::Sqlite => {
                let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    fn next(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) async fn project(&self) -> Project {
        self.store
            .create_project("Acme", Environment::Production)
            .await
            .unwrap()
    }

    pub(crate) async fn linked_user(&self, project: ProjectId) -> LinkedUser {
        let origin = format!("customer-{}", self.next());
        self.store
            .create_linked_user(project, &origin, "Customer")
            .await
            .unwrap()
    }

    /// A connection of a new linked user in a new project.
    pub(crate) async fn connection(&self, objects: &[ObjectKind]) -> Scope {
        let project = self.project().await;
        self.connection_in(project.id, objects).await
    }

    pub(crate) async fn connection_in(&self, project: ProjectId, objects: &[ObjectKind]) -> Scope {
        let user = self.linked_user(project).await;
        let token = Digest::of(format!("token {}", self.next()));
        self.store
            .create_connection(
                project,
                new_connection(&user),
                token,
                b"sealed token".to_vec(),
                b"sealed".to_vec(),
                None,
                objects,
            )
            .await
            .unwrap()
    }

    /// Writes a page of contacts without a sync.
    pub(crate) async fn write(&self, scope: &Scope, upserts: &[Upsert]) -> PageOutcome {
        self.store
            .apply_page(scope, contact(), upserts, READ)
            .await
            .unwrap()
    }

    /// The types of a project's events, oldest first.
    pub(crate) async fn event_types(&self, project: ProjectId) -> Vec<String> {
        let mut rows = self.store.events(project, 1, 1000).await.unwrap();
        rows.reverse();
        rows.into_iter().map(|row| row.event.kind.0).collect()
    }
}

pub(crate) fn kind(name: &str) -> ObjectKind {
    ObjectKind::parse(name).unwrap()
}

pub(crate) fn contact() -> ObjectKind {
    kind("crm.contact")
}

pub(crate) fn company() -> ObjectKind {
    kind("crm.company")
}

pub(crate) fn new_connection(user: &LinkedUser) -> NewConnection {
    NewConnection {
        id: ConnectionId::generate(&SystemEntropy),
        linked_user: user.id,
        connector: "demo-crm".parse().unwrap(),
        vertical: "crm".into(),
        scheme: "oauth".into(),
        environment: Environment::Sandbox,
        account: Some("account-1".into()),
        account_name: Some("Acme Incorporated".into()),
        settings: BTreeMap::from([("locale".to_owned(), "en".to_owned())]),
    }
}

pub(crate) fn present(remote_id: &str, name: &str) -> Upsert {
    Upsert {
        remote_id: remote_id.into(),
        document: StoredDocument::Present {
            unified: format!(r#"{{"first_name":"{name}"}}"#),
            remote: format!(r#"{{"id":"{remote_id}","n":"{name}"}}"#),
            custom: "{}".into(),
        },
        remote_version: None,
        remote_modified_at: None,
    }
}

pub(crate) fn deleted(remote_id: &str) -> Upsert {
    Upsert {
        remote_id: remote_id.into(),
        document: StoredDocument::Deleted,
        remote_version: None,
        remote_modified_at: None,
    }
}

pub(crate) fn remote_ids(records: &[Record]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record.remote_id.as_str())
        .collect()
}
