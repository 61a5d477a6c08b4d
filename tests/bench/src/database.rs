//! A database of its own for each round, with one connection in it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use jackfield::{
    demo,
    model::{
        Clock, ConnectionId, Entropy, Environment, Manifest, NewConnection, ObjectKind, Scope,
        StoredDocument, SystemClock, SystemEntropy, Timestamp, Upsert,
    },
    store::{Source, Store},
    vault::{Key, OAuthApps, Vault},
};
use jackfield_sdk::bindings::exports::jackfield::connector::connector::Guest;
use secrecy::SecretString;
use serde_json::{Value, value::RawValue};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::{Result, plugins};

/// The object that all benchmarks are about.
pub(crate) const OBJECT: &str = "crm.contact";

/// An open database with a connection to the demo provider.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) scope: Scope,
    pub(crate) api_key: SecretString,
    pub(crate) token: SecretString,
    home: Home,
}

enum Home {
    Sqlite(TempDir),
    Postgres { server: String, name: String },
}

pub(crate) fn kind() -> Result<ObjectKind> {
    ObjectKind::parse(OBJECT).ok_or_else(|| "no such object".into())
}

impl Database {
    pub(crate) async fn sqlite(manifest: &Manifest) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:{}", folder.path().join("jackfield.db").display());
        Self::open(url, Home::Sqlite(folder), manifest).await
    }

    /// A new database on the server.
    pub(crate) async fn postgres(server: &str, manifest: &Manifest) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("jackfield_bench_{}_{number}", std::process::id());
        let mut connection = PgConnection::connect(server).await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        let settings: PgConnectOptions = server.parse()?;
        let mut url = settings.database(&name);
        // The store adds its own.
        url = url.application_name("jackfield-bench");
        let url = sqlx::ConnectOptions::to_url_lossy(&url).to_string();
        let home = Home::Postgres {
            server: server.to_owned(),
            name,
        };
        Self::open(url, home, manifest).await
    }

    async fn open(url: String, home: Home, manifest: &Manifest) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = Store::open(&url, Arc::clone(&clock), Arc::clone(&entropy)).await?;
        let key = Key::generate(&SystemEntropy);
        let egress = plugins::egress()?;
        let apps = OAuthApps::default();
        let vault = Vault::new(store.clone(), egress, key, clock, entropy, apps);
        let project = store
            .create_project("bench", Environment::Production)
            .await?;
        let (api_key, hash, hint) = vault.new_api_key();
        store
            .create_api_key(project.id, "bench", hash, &hint)
            .await?;
        let user = store
            .create_linked_user(project.id, "customer", "Customer")
            .await?;
        let scheme = manifest
            .scheme("key")
            .ok_or("the demo connector has no scheme key")?;
        let fields = BTreeMap::from([("api_key".to_owned(), demo::API_KEY.to_owned())]);
        let credentials = vault.credentials_from_fields(manifest, scheme, &fields)?;
        let new = NewConnection {
            id: ConnectionId::generate(&SystemEntropy),
            linked_user: user.id,
            connector: manifest.slug.clone(),
            vertical: "crm".to_owned(),
            scheme: scheme.name.clone(),
            environment: Environment::Production,
            account: Some(demo::ACCOUNT.to_owned()),
            account_name: None,
            settings: BTreeMap::new(),
        };
        let (scope, token) = vault
            .connect(project.id, new, &credentials, &[kind()?])
            .await?;
        Ok(Self {
            url,
            store,
            vault,
            scope,
            api_key,
            token,
            home,
        })
    }

    /// Puts people into it, as a sync would have.
    pub(crate) async fn fill(&self, people: &[Value]) -> Result<()> {
        let kind = kind()?;
        for page in people.chunks(1000) {
            let upserts: Vec<Upsert> = page
                .iter()
                .zip(map(&serde_json::to_string(page)?)?)
                .map(|(person, unified)| upsert(person, unified))
                .collect();
            let read = Source::Read(self.store.reading(&self.scope).await?);
            self.store
                .apply_page(&self.scope, kind, &upserts, read)
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn remove(self) -> Result<()> {
        self.vault.close().await;
        self.store.close().await;
        if let Home::Sqlite(folder) = self.home {
            return Ok(folder.close()?);
        }
        if let Home::Postgres { server, name } = &self.home {
            let mut connection = PgConnection::connect(server).await?;
            sqlx::query(sqlx::AssertSqlSafe(format!("DROP DATABASE {name}")))
                .execute(&mut connection)
                .await?;
            connection.close().await?;
        }
        Ok(())
    }
}

fn upsert(person: &Value, unified: String) -> Upsert {
    let modified_at = person["updated_on"].as_str().and_then(Timestamp::parse);
    Upsert {
        remote_id: person["id"].to_string(),
        document: StoredDocument::Present {
            unified,
            remote: person.to_string(),
            custom: "{}".to_owned(),
        },
        remote_version: Some(person["version"].to_string()),
        remote_modified_at: modified_at,
    }
}

/// The connector's code, native: an array of documents to unified objects.
pub(crate) fn map(documents: &str) -> Result<Vec<String>> {
    let unify = <demo_crm::DemoCrm as Guest>::unify;
    let answer = unify(OBJECT.to_owned(), documents.to_owned(), Vec::new());
    let answer = answer.map_err(|failure| format!("{failure:?}"))?;
    let objects: Vec<&RawValue> = serde_json::from_str(&answer)?;
    Ok(objects
        .into_iter()
        .map(|object| object.get().to_owned())
        .collect())
}
