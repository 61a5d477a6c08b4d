//! Passed-through requests that are sent again later, and what came of them. Requests and results
//! are sealed by the vault.

use std::{fmt, time::Duration};

use super::{
    Error, Store,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::{Sql, values},
    lease::{self, clocked, clocked_taking},
};
use crate::model::{ProjectId, RetryId, Scope, Timestamp};

/// How a request stands that is sent again later.
pub struct RetryRow {
    /// How often it was sent since it was put here.
    pub attempt: u32,
    /// When it is sent next, where it is pending.
    pub next_at: Timestamp,
    /// Its end, sealed.
    pub result: Option<Vec<u8>>,
}

/// A request that this process may send now.
pub struct ClaimedRetry {
    /// Its id.
    pub id: RetryId,
    /// Whose it is.
    pub scope: Scope,
    /// The request, sealed.
    pub request: Vec<u8>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What the claim is proved by.
    fence: i64,
}

impl fmt::Debug for RetryRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RetryRow")
            .field("attempt", &self.attempt)
            .field("next_at", &self.next_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClaimedRetry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClaimedRetry")
            .field("id", &self.id)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps a request to be sent at `next_at`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_retry(
        &self,
        scope: &Scope,
        id: RetryId,
        request: Vec<u8>,
        next_at: Timestamp,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO passthrough_retry
                       (id, project, connection, request, attempt, next_at, fence, created_at)
                   VALUES ($1, $2, $3, $4, 0, $5, 0, $6)";
        let number = scope.connection().number;
        let values = values![id, scope.project(), number, request, next_at, self.now()];
        self.database().write(sql, values).await.map(drop)
    }

    /// How a request of a project stands. None where there is none, or its connection was deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn retry(&self, project: ProjectId, id: RetryId) -> Result<Option<RetryRow>, Error> {
        let sql = "SELECT r.attempt, r.next_at, r.result
                   FROM passthrough_retry r JOIN connection c ON c.number = r.connection
                   WHERE r.id = $1 AND r.project = $2 AND c.deleted_at IS NULL";
        let row = self.database().read_one(sql, values![id, project]).await?;
        row.map(|row| {
            Ok(RetryRow {
                attempt: row.number(0)?,
                next_at: row.time(1)?,
                result: row.optional_bytes(2)?,
            })
        })
        .transpose()
    }

    /// Claims up to `limit` requests that are due. Each is counted as an attempt now, so that one
    /// that kills the process is counted too; a claim whose `lease` ran out is anybody's again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_retries(
        &self,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedRetry>, Error> {
        const DUE: Sql = clocked_taking!("r":
            "SELECT " [connection_columns!()] ", r.id, r.request, r.attempt, r.fence
             FROM passthrough_retry r JOIN connection c ON c.number = r.connection
             WHERE r.finished_at IS NULL AND r.next_at <= $1
               AND (r.lease_until IS NULL OR r.lease_until <= " now ")
               AND c.deleted_at IS NULL
             ORDER BY r.next_at LIMIT $2"
        );
        const CLAIM: Sql = clocked!(
            "UPDATE passthrough_retry
             SET attempt = attempt + 1, fence = fence + 1, lease_until = " now " + $2
             WHERE id = $1"
        );
        let now = self.now();
        let mut tx = self.begin().await?;
        let mut claimed = Vec::new();
        for row in tx.rows(DUE, values![now, limit]).await? {
            let attempt: u32 = row.number(CONNECTION_COLUMNS + 2)?;
            let claim = ClaimedRetry {
                id: row.parsed(CONNECTION_COLUMNS)?,
                scope: scope_from(&row)?,
                request: row.bytes(CONNECTION_COLUMNS + 1)?,
                attempt: attempt.saturating_add(1),
                fence: row.int(CONNECTION_COLUMNS + 3)?.saturating_add(1),
            };
            tx.execute(CLAIM, values![claim.id, lease::millis(lease)])
                .await?;
            claimed.push(claim);
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Gives a claim back, to be sent again at `next_at`. False where it was lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn postpone_retry(
        &self,
        claimed: &ClaimedRetry,
        next_at: Timestamp,
    ) -> Result<bool, Error> {
        let sql = "UPDATE passthrough_retry SET next_at = $3, lease_until = NULL
                   WHERE id = $1 AND fence = $2 AND finished_at IS NULL";
        let values = values![claimed.id, claimed.fence, next_at];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Ends a claim with its result and forgets the request. False where it was lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish_retry(
        &self,
        claimed: &ClaimedRetry,
        result: Vec<u8>,
    ) -> Result<bool, Error> {
        let sql = "UPDATE passthrough_retry
                   SET result = $3, finished_at = $4, lease_until = NULL, request = $5
                   WHERE id = $1 AND fence = $2 AND finished_at IS NULL";
        let forgotten = Vec::<u8>::new();
        let values = values![claimed.id, claimed.fence, result, self.now(), forgotten];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Forgets what ended before `before`, and everything of deleted connections. How many rows.
    ///
    /// # Errors
    /// The database failed.
    pub async fn prune_retries(&self, before: Timestamp) -> Result<u64, Error> {
        let sql = "DELETE FROM passthrough_retry
                   WHERE finished_at < $1
                      OR connection IN (SELECT number FROM connection WHERE deleted_at IS NOT NULL)";
        self.database().write(sql, values![before]).await
    }
}
