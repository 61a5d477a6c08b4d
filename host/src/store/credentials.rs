//! Sealed credentials, the lease that makes one refresher out of many, and OAuth states.
//!
//! Nothing here can be read without the vault's key.

use std::{fmt, time::Duration};

use super::{
    Error, Store,
    dialect::{Sql, values},
    lease::{self, clocked},
};
use crate::model::{Digest, ProjectId, Scope, Timestamp};

/// The credentials of a connection as the vault sealed them.
pub struct SealedCredentials {
    /// Ciphertext.
    pub sealed: Vec<u8>,
    /// Counts the changes, from 1.
    pub generation: i64,
    /// When the provider stops taking the access token, where it said so.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for SealedCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SealedCredentials")
            .field("generation", &self.generation)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The answer to who may refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshLease {
    /// The caller may, and nobody else until its time is over.
    Acquired,
    /// Somebody else does.
    Busy,
    /// It was done already (or the connection is gone): read the credentials again.
    Superseded,
}

impl Store {
    /// The credentials of a connection; none once it is deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn credentials(&self, scope: &Scope) -> Result<Option<SealedCredentials>, Error> {
        let sql = "SELECT r.sealed, r.generation, r.expires_at
                   FROM credential r JOIN connection c ON c.number = r.connection
                   WHERE c.number = $1 AND c.project = $2";
        let values = values![scope.connection().number, scope.project()];
        let Some(row) = self.database().read_one(sql, values).await? else {
            return Ok(None);
        };
        Ok(Some(SealedCredentials {
            sealed: row.bytes(0)?,
            generation: row.int(1)?,
            expires_at: row.optional_time(2)?,
        }))
    }

    /// Asks to be the one who refreshes credentials of this `generation`, for the time of `lease`
    /// by the database's clock. Holds across processes. `owner` names this attempt and is its
    /// fence: who lost the lease finds another name there and can store nothing, so no two may use
    /// the same.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lease_refresh(
        &self,
        scope: &Scope,
        generation: i64,
        owner: &str,
        lease: Duration,
    ) -> Result<RefreshLease, Error> {
        const TAKE: Sql = clocked!(
            "UPDATE credential SET refresh_owner = $3, refresh_until = " now " + $4
             WHERE connection = $1 AND generation = $2
               AND (refresh_owner IS NULL OR refresh_until <= " now ")"
        );
        let number = scope.connection().number;
        let values = values![number, generation, owner, lease::millis(lease)];
        if self.database().write(TAKE, values).await? > 0 {
            return Ok(RefreshLease::Acquired);
        }
        let sql = "SELECT generation FROM credential WHERE connection = $1";
        match self.database().read_one(sql, values![number]).await? {
            // Perhaps given back since we asked: then it is free at the next look.
            Some(row) if row.int(0)? == generation => Ok(RefreshLease::Busy),
            _ => Ok(RefreshLease::Superseded),
        }
    }

    /// Stores what a refresh brought and gives the lease back; false where the lease was lost,
    /// and then nothing is stored.
    ///
    /// # Errors
    /// The database failed.
    pub async fn store_refreshed(
        &self,
        scope: &Scope,
        generation: i64,
        owner: &str,
        sealed: Vec<u8>,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let sql = "UPDATE credential
                   SET sealed = $4, expires_at = $5, generation = generation + 1,
                       refresh_owner = NULL, refresh_until = NULL
                   WHERE connection = $1 AND generation = $2 AND refresh_owner = $3";
        let number = scope.connection().number;
        let values = values![number, generation, owner, sealed, expires_at];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Gives the lease back without a result, so that the next one may try at once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn release_refresh(&self, scope: &Scope, owner: &str) -> Result<(), Error> {
        let sql = "UPDATE credential SET refresh_owner = NULL, refresh_until = NULL
                   WHERE connection = $1 AND refresh_owner = $2";
        let values = values![scope.connection().number, owner];
        self.database().write(sql, values).await.map(drop)
    }

    /// Keeps what has to be known when an OAuth provider sends a person back. States that ran out
    /// are cleared away on the occasion.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the state exists.
    pub async fn put_oauth_state(
        &self,
        hash: Digest,
        project: ProjectId,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM oauth_state WHERE expires_at <= $1";
        tx.execute(sql, values![self.now()]).await?;
        let sql = "INSERT INTO oauth_state (hash, project, sealed, expires_at)
                   VALUES ($1, $2, $3, $4)";
        tx.execute(sql, values![&hash, project, sealed, expires_at])
            .await
            .map_err(|error| error.or_conflict("state"))?;
        tx.commit().await
    }

    /// Takes a state, which then is gone: of two who ask, one gets it. None where there is none
    /// or it ran out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_oauth_state(
        &self,
        hash: &Digest,
    ) -> Result<Option<(ProjectId, Vec<u8>)>, Error> {
        let sql = "DELETE FROM oauth_state WHERE hash = $1 RETURNING project, sealed, expires_at";
        let mut tx = self.begin().await?;
        let row = tx.row(sql, values![hash]).await?;
        tx.commit().await?;
        match row {
            Some(row) if row.time(2)? > self.now() => Ok(Some((row.parsed(0)?, row.bytes(1)?))),
            _ => Ok(None),
        }
    }
}
