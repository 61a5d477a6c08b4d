//! A database for each server.

use std::{path::Path, thread};

use sqlx::{Connection as _, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::variable;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file in the server's folder.
    Sqlite,
    /// A database of its own at `JACKFIELD_TEST_POSTGRES_URL`.
    Postgres,
}

/// An empty database; a PostgreSQL one is dropped with this.
#[derive(Debug)]
pub struct Database {
    url: String,
    created: Option<Created>,
}

#[derive(Debug)]
struct Created {
    administrator: String,
    name: String,
}

impl Database {
    /// A new one.
    ///
    /// # Panics
    /// PostgreSQL is asked for and not there.
    pub async fn create(backend: Backend, folder: &Path) -> Self {
        if backend == Backend::Sqlite {
            let url = format!("sqlite:{}", folder.join("jackfield.db").display());
            return Self { url, created: None };
        }
        let administrator = variable("JACKFIELD_TEST_POSTGRES_URL")
            .expect("JACKFIELD_TEST_POSTGRES_URL is set; tests/run does it");
        Self::create_at(administrator).await
    }

    /// A new one at a PostgreSQL whose user may create databases.
    ///
    /// # Panics
    /// It is not there.
    pub async fn create_at(administrator: String) -> Self {
        let name = format!("jackfield_e2e_{}", Uuid::new_v4().simple());
        execute(&administrator, format!("CREATE DATABASE {name}")).await;
        let mut url = Url::parse(&administrator).expect("JACKFIELD_TEST_POSTGRES_URL is a URL");
        url.set_path(&name);
        Self {
            url: url.into(),
            created: Some(Created {
                administrator,
                name,
            }),
        }
    }

    /// For the server's configuration.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(Created {
            administrator,
            name,
        }) = self.created.take()
        else {
            return;
        };
        // A test's runtime cannot be waited for here, so a thread with its own does it.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            runtime
                .expect("a runtime can be made")
                .block_on(execute(&administrator, statement));
        });
        drop(dropping.join());
    }
}

async fn execute(url: &str, statement: String) {
    let mut connection = PgConnection::connect(url)
        .await
        .expect("PostgreSQL answers");
    // The only variable part is a name that this file made.
    let statement = sqlx::AssertSqlSafe(statement);
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .expect("the database can be made or dropped");
    connection.close().await.expect("the connection closes");
}
