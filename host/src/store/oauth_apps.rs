//! OAuth apps of projects. Their secrets are sealed before they come here.

use super::{
    Error, Store,
    dialect::{Row, values},
};
use crate::model::{AuditEntry, Environment, OAuthAppKey, ProjectId, Slug, Timestamp};

/// An app as it is stored.
#[derive(Clone)]
pub struct StoredOAuthApp {
    /// What it is for.
    pub key: OAuthAppKey,
    /// What the provider calls it.
    pub client_id: String,
    /// What it proves itself with, sealed; none for a public client.
    pub sealed_secret: Option<Vec<u8>>,
    /// What it asks for in place of the connector's scopes.
    pub scopes: Option<Vec<String>>,
    /// When it was set first.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl std::fmt::Debug for StoredOAuthApp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StoredOAuthApp")
            .field("key", &self.key)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

macro_rules! select_apps {
    ($rest:literal) => {
        concat!(
            "SELECT connector, scheme, environment, client_id, sealed_secret, scopes, created_at,
                    updated_at, project FROM oauth_app ",
            $rest
        )
    };
}

impl Store {
    /// The apps of a project, by connector.
    ///
    /// # Errors
    /// The database failed.
    pub async fn oauth_apps(&self, project: ProjectId) -> Result<Vec<StoredOAuthApp>, Error> {
        const SQL: &str =
            select_apps!("WHERE project = $1 ORDER BY connector, scheme, environment");
        let rows = self.database().read(SQL, values![project]).await?;
        rows.iter().map(app).collect()
    }

    /// One app of a project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn oauth_app(
        &self,
        project: ProjectId,
        key: &OAuthAppKey,
    ) -> Result<Option<StoredOAuthApp>, Error> {
        const SQL: &str = select_apps!(
            "WHERE project = $1 AND connector = $2 AND scheme = $3 AND environment = $4"
        );
        let values = values![
            project,
            &key.connector,
            key.scheme.as_str(),
            key.environment.as_str()
        ];
        let row = self.database().read_one(SQL, values).await?;
        row.as_ref().map(app).transpose()
    }

    /// All projects' apps at a provider, for what reaches the server before it is known for whom;
    /// oldest first, at most `most`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn oauth_apps_of_connector(
        &self,
        connector: &Slug,
        most: u32,
    ) -> Result<Vec<(ProjectId, StoredOAuthApp)>, Error> {
        const SQL: &str = select_apps!(
            "WHERE connector = $1 AND sealed_secret IS NOT NULL ORDER BY number LIMIT $2"
        );
        let rows = self.database().read(SQL, values![connector, most]).await?;
        rows.iter()
            .map(|row| Ok((row.parsed(8)?, app(row)?)))
            .collect()
    }

    /// Sets an app in the place of what was there, with the entry of the audit log. Its times are
    /// the store's.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is no such project.
    pub async fn put_oauth_app(
        &self,
        project: ProjectId,
        app: &StoredOAuthApp,
        entry: &AuditEntry,
    ) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO oauth_app (project, connector, scheme, environment,
                client_id, sealed_secret, scopes, created_at, updated_at)
            SELECT id, $2, $3, $4, $5, $6, $7, $8, $8 FROM project WHERE id = $1
            ON CONFLICT (project, connector, scheme, environment) DO UPDATE
            SET client_id = excluded.client_id, sealed_secret = excluded.sealed_secret,
                scopes = excluded.scopes, updated_at = excluded.updated_at";
        let scopes = app
            .scopes
            .as_ref()
            .map(|scopes| serde_json::json!(scopes).to_string());
        let values = values![
            project,
            &app.key.connector,
            app.key.scheme.as_str(),
            app.key.environment.as_str(),
            app.client_id.as_str(),
            app.sealed_secret.clone(),
            scopes,
            self.now(),
        ];
        let mut tx = self.begin().await?;
        if tx.execute(SQL, values).await? == 0 {
            return Err(Error::Missing("project"));
        }
        self.audit_in(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Removes an app, with the entry of the audit log; false where there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remove_oauth_app(
        &self,
        project: ProjectId,
        key: &OAuthAppKey,
        entry: &AuditEntry,
    ) -> Result<bool, Error> {
        let sql = "DELETE FROM oauth_app
                   WHERE project = $1 AND connector = $2 AND scheme = $3 AND environment = $4";
        let values = values![
            project,
            &key.connector,
            key.scheme.as_str(),
            key.environment.as_str()
        ];
        let mut tx = self.begin().await?;
        let removed = tx.execute(sql, values).await? > 0;
        if removed {
            self.audit_in(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(removed)
    }
}

fn app(row: &Row) -> Result<StoredOAuthApp, Error> {
    let scopes = row.optional_text(5)?;
    let scopes = scopes
        .map(|text| serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string())));
    Ok(StoredOAuthApp {
        key: OAuthAppKey {
            connector: row.parsed(0)?,
            scheme: row.text(1)?,
            environment: row.parsed_by(2, Environment::parse)?,
        },
        client_id: row.text(3)?,
        sealed_secret: row.optional_bytes(4)?,
        scopes: scopes.transpose()?,
        created_at: row.time(6)?,
        updated_at: row.time(7)?,
    })
}
