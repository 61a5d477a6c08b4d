//! Connections: made, found within a project, marked, deleted.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Error, Store,
    dialect::{Row, Tx, values},
    events::{NewEvent, about},
    syncs,
};
use crate::model::{
    AuditEntry, Connection, ConnectionId, ConnectionStatus, Digest, Environment, LinkedUserId,
    NewConnection, ObjectKind, ProjectId, Scope, Slug, Timestamp,
};

/// The columns of a connection, named `c`, that [`connection_from`] reads.
macro_rules! connection_columns {
    () => {
        "c.id, c.number, c.project, c.linked_user, c.connector, c.vertical, c.scheme, \
         c.environment, c.status, c.account, c.account_name, c.settings, c.created_at, \
         c.status_reason"
    };
}
pub(super) use connection_columns;

/// How many columns those are.
pub(super) const CONNECTION_COLUMNS: usize = 14;

impl Store {
    /// Stores a connection with its token (hashed for finding it, sealed for showing it) and its
    /// credentials, makes a first sync of `objects` due now, in this order, and announces
    /// `connection.created`; all or nothing.
    ///
    /// # Errors
    /// [`Error::Missing`] where the project has no such linked user; [`Error::Conflict`] where
    /// this account is connected already.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that is stored at once"
    )]
    pub async fn create_connection(
        &self,
        project: ProjectId,
        new: NewConnection,
        token_hash: Digest,
        sealed_token: Vec<u8>,
        sealed_credentials: Vec<u8>,
        token_expires_at: Option<Timestamp>,
        objects: &[ObjectKind],
    ) -> Result<Scope, Error> {
        let now = self.now();
        let account = new.account.as_deref().map(super::without_nulls);
        let account_name = new.account_name.as_deref().map(super::without_nulls);
        let mut tx = self.begin().await?;
        let sql = "INSERT INTO connection (id, project, linked_user, connector, vertical, scheme,
                       environment, account, account_name, settings, token_hash, sealed_token,
                       status, status_reason, written_at, created_at)
                   SELECT $1, project, id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '', 0, $14
                   FROM linked_user WHERE project = $2 AND id = $3
                   RETURNING number";
        let row = tx
            .row(
                sql,
                values![
                    new.id,
                    project,
                    new.linked_user,
                    &new.connector,
                    new.vertical.as_str(),
                    new.scheme.as_str(),
                    new.environment.as_str(),
                    account.as_deref(),
                    account_name.as_deref(),
                    settings_text(&new.settings),
                    &token_hash,
                    sealed_token,
                    ConnectionStatus::Valid.as_str(),
                    now,
                ],
            )
            .await
            .map_err(|error| error.or_conflict("account"))?
            .ok_or(Error::Missing("linked user"))?;
        let scope = Scope::proven(Connection {
            id: new.id,
            number: row.number(0)?,
            project,
            linked_user: new.linked_user,
            connector: new.connector,
            vertical: new.vertical,
            scheme: new.scheme,
            environment: new.environment,
            status: ConnectionStatus::Valid,
            account,
            account_name,
            settings: new.settings,
            created_at: now,
            status_reason: None,
        });
        let sql = "INSERT INTO credential (connection, sealed, generation, expires_at)
                   VALUES ($1, $2, 1, $3)";
        let number = scope.connection().number;
        tx.execute(sql, values![number, sealed_credentials, token_expires_at])
            .await?;
        self.add_syncs(&mut tx, &scope, objects, now).await?;
        self.announce(&mut tx, &scope, "connection.created", None, now)
            .await?;
        self.audit_connection(&mut tx, &scope, "connection.create", now)
            .await?;
        tx.commit().await?;
        Ok(scope)
    }

    /// The connection whose token has this hash.
    ///
    /// # Errors
    /// The database failed.
    pub async fn scope_by_token(
        &self,
        project: ProjectId,
        token_hash: &Digest,
    ) -> Result<Option<Scope>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c
              WHERE c.project = $1 AND c.token_hash = $2 AND c.deleted_at IS NULL"
        );
        let row = self
            .database()
            .read_one(SQL, values![project, token_hash])
            .await?;
        row.as_ref().map(scope_from).transpose()
    }

    /// The connection whose token has this hash, for a caller whose API key has that one: both
    /// look-ups of a request at once. None where either is not good, whichever it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn scope_by_key_and_token(
        &self,
        key_hash: &Digest,
        token_hash: &Digest,
    ) -> Result<Option<Scope>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c JOIN api_key k ON k.project = c.project
              WHERE k.hash = $1 AND k.revoked_at IS NULL
                AND c.token_hash = $2 AND c.deleted_at IS NULL"
        );
        let row = self
            .database()
            .read_one(SQL, values![key_hash, token_hash])
            .await?;
        row.as_ref().map(scope_from).transpose()
    }

    /// The connection of that id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn scope_by_id(
        &self,
        project: ProjectId,
        id: ConnectionId,
    ) -> Result<Option<Scope>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c WHERE c.project = $1 AND c.id = $2 AND c.deleted_at IS NULL"
        );
        let row = self.database().read_one(SQL, values![project, id]).await?;
        row.as_ref().map(scope_from).transpose()
    }

    /// All connections of a project that are not deleted, oldest first, each with its sealed
    /// token.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connections(
        &self,
        project: ProjectId,
    ) -> Result<Vec<(Connection, Vec<u8>)>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            ", c.sealed_token FROM connection c WHERE c.project = $1 AND c.deleted_at IS NULL
             ORDER BY c.created_at, c.number"
        );
        let rows = self.database().read(SQL, values![project]).await?;
        rows.iter()
            .map(|row| Ok((connection_from(row)?, row.bytes(CONNECTION_COLUMNS)?)))
            .collect()
    }

    /// Those of them that are a linked user's.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sealed_connections_of(
        &self,
        project: ProjectId,
        linked_user: LinkedUserId,
    ) -> Result<Vec<(Connection, Vec<u8>)>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            ", c.sealed_token FROM connection c
             WHERE c.project = $1 AND c.linked_user = $2 AND c.deleted_at IS NULL
             ORDER BY c.created_at, c.number"
        );
        let values = values![project, linked_user];
        let rows = self.database().read(SQL, values).await?;
        rows.iter()
            .map(|row| Ok((connection_from(row)?, row.bytes(CONNECTION_COLUMNS)?)))
            .collect()
    }

    /// The connections of a linked user that are not deleted, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connections_of(
        &self,
        project: ProjectId,
        linked_user: LinkedUserId,
    ) -> Result<Vec<Scope>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c
              WHERE c.project = $1 AND c.linked_user = $2 AND c.deleted_at IS NULL
              ORDER BY c.created_at, c.number"
        );
        let rows = self
            .database()
            .read(SQL, values![project, linked_user])
            .await?;
        rows.iter().map(scope_from).collect()
    }

    /// The connection of the same account, for a login that repeats an earlier one. `account` is
    /// the provider's id of it; none equals only none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_connection(
        &self,
        project: ProjectId,
        linked_user: LinkedUserId,
        connector: &Slug,
        vertical: &str,
        account: Option<&str>,
    ) -> Result<Option<Scope>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c
              WHERE c.project = $1 AND c.linked_user = $2 AND c.connector = $3 AND c.vertical = $4
                AND COALESCE(c.account, '') = COALESCE($5, '') AND c.deleted_at IS NULL"
        );
        let account = account.map(super::without_nulls);
        let values = values![project, linked_user, connector, vertical, account];
        let row = self.database().read_one(SQL, values).await?;
        row.as_ref().map(scope_from).transpose()
    }

    /// New credentials for a connection, after a person logged in again: it is valid, a refresh
    /// that is under way is void, and its syncs are due now.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection was deleted meanwhile.
    pub async fn replace_credentials(
        &self,
        scope: &Scope,
        scheme: &str,
        settings: &BTreeMap<String, String>,
        sealed: Vec<u8>,
        expires_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let number = scope.connection().number;
        let mut tx = self.begin().await?;
        let sql = "UPDATE connection
                   SET scheme = $3, settings = $4, status = $5, status_reason = ''
                   WHERE number = $1 AND project = $2 AND deleted_at IS NULL";
        let status = ConnectionStatus::Valid.as_str();
        let values = values![
            number,
            scope.project(),
            scheme,
            settings_text(settings),
            status
        ];
        if tx.execute(sql, values).await? == 0 {
            return Err(Error::Missing("connection"));
        }
        let sql = "UPDATE credential
                   SET sealed = $2, expires_at = $3, generation = generation + 1,
                       refresh_owner = NULL, refresh_until = NULL
                   WHERE connection = $1";
        tx.execute(sql, values![number, sealed, expires_at]).await?;
        let now = self.now();
        syncs::make_due(&mut tx, number, now).await?;
        self.audit_connection(&mut tx, scope, "credential.replace", now)
            .await?;
        tx.commit().await
    }

    /// Replaces the settings, where they are still those of `scope`; false where somebody changed
    /// them, or the connection is gone. `audit` says who changed what.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_settings(
        &self,
        scope: &Scope,
        settings: &BTreeMap<String, String>,
        audit: &AuditEntry,
    ) -> Result<bool, Error> {
        let sql = "UPDATE connection SET settings = $4
                   WHERE number = $1 AND project = $2 AND settings = $3 AND deleted_at IS NULL";
        let values = values![
            scope.connection().number,
            scope.project(),
            settings_text(&scope.connection().settings),
            settings_text(settings),
        ];
        let mut tx = self.begin().await?;
        if tx.execute(sql, values).await? == 0 {
            return Ok(false);
        }
        self.audit_in(&mut tx, audit).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notes what the end customer did: whoever logs in, on a page or through the integrator.
    async fn audit_connection(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        action: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let connection = scope.connection();
        let entry = AuditEntry {
            at: now,
            project: Some(connection.project),
            actor: format!("linked_user:{}", connection.linked_user),
            action: action.to_owned(),
            subject: connection.id.to_string(),
            details: json!({ "connector": connection.connector, "scheme": connection.scheme }),
        };
        self.audit_in(tx, &entry).await
    }

    /// Says whether the connection works, and why not; false where nothing is new. Becoming
    /// [`ConnectionStatus::NeedsReconnect`] announces `connection.needs_reconnect`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_connection_status(
        &self,
        scope: &Scope,
        status: ConnectionStatus,
        reason: &str,
    ) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let sql = "UPDATE connection SET status = $3, status_reason = $4
                   WHERE number = $1 AND project = $2 AND deleted_at IS NULL AND status <> $3";
        let reason = super::without_nulls(reason);
        let number = scope.connection().number;
        let values = values![number, scope.project(), status.as_str(), reason.as_str()];
        if tx.execute(sql, values).await? == 0 {
            return Ok(false);
        }
        if status == ConnectionStatus::NeedsReconnect {
            let now = self.now();
            let kind = "connection.needs_reconnect";
            self.announce(&mut tx, scope, kind, Some(&reason), now)
                .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Deletes a connection: nothing finds it any more, its credentials, its token and its syncs
    /// are gone, and `connection.deleted` is announced. Its records stay, but not what they were
    /// before. Deleting it twice does nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete_connection(&self, scope: &Scope) -> Result<(), Error> {
        let number = scope.connection().number;
        let now = self.now();
        let mut tx = self.begin().await?;
        // The token's hash stays: nobody looks for a deleted connection's, and PostgreSQL locks a
        // row whose unique column changes against the foreign keys of others. A sync at work,
        // which holds what is deleted next, would wait for this row while this waits for it.
        let sql = "UPDATE connection SET deleted_at = $3, sealed_token = $4
                   WHERE number = $1 AND project = $2 AND deleted_at IS NULL";
        let nothing: Vec<u8> = Vec::new();
        if tx
            .execute(sql, values![number, scope.project(), now, nothing])
            .await?
            == 0
        {
            return Ok(());
        }
        tx.execute(
            "DELETE FROM credential WHERE connection = $1",
            values![number],
        )
        .await?;
        for sql in [
            "DELETE FROM sync_state WHERE connection = $1",
            "DELETE FROM full_pass WHERE connection = $1",
            "DELETE FROM pass_seen WHERE connection = $1",
            "DELETE FROM exchange WHERE connection = $1",
        ] {
            tx.execute(sql, values![number]).await?;
        }
        self.cancel_runs(&mut tx, number).await?;
        self.forget_failures(&mut tx, number).await?;
        self.announce(&mut tx, scope, "connection.deleted", None, now)
            .await?;
        tx.commit().await?;
        self.begin_to_forget(number).await
    }

    /// An event about the connection itself.
    async fn announce(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let connection = scope.connection();
        let mut data = about(scope);
        data.insert("id".into(), json!(connection.id));
        if let Some(reason) = reason {
            data.insert("reason".into(), json!(reason));
            data.insert("customer_message".into(), json!(connection.login_is_dead()));
        }
        let event = NewEvent::new(kind.to_owned(), data);
        self.write_events(tx, scope, vec![event], now).await
    }
}

/// Reads [`connection_columns`] from the start of a row.
fn connection_from(row: &Row) -> Result<Connection, Error> {
    Ok(Connection {
        id: row.parsed(0)?,
        number: row.number(1)?,
        project: row.parsed(2)?,
        linked_user: row.parsed(3)?,
        connector: row.parsed(4)?,
        vertical: row.text(5)?,
        scheme: row.text(6)?,
        environment: row.parsed_by(7, Environment::parse)?,
        status: row.parsed_by(8, ConnectionStatus::parse)?,
        account: row.optional_text(9)?,
        account_name: row.optional_text(10)?,
        settings: row.parsed_by(11, |text| serde_json::from_str(text).ok())?,
        created_at: row.time(12)?,
        status_reason: row.optional_text(13)?.filter(|reason| !reason.is_empty()),
    })
}

/// The scope of a row that was found within its project.
pub(super) fn scope_from(row: &Row) -> Result<Scope, Error> {
    connection_from(row).map(Scope::proven)
}

fn settings_text(settings: &BTreeMap<String, String>) -> String {
    serde_json::to_string(settings).expect("a map of texts is always valid JSON")
}
