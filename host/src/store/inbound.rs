//! What providers told by webhooks, until it was read: a queue with one place for each record.
//!
//! Two methods find connections without naming a project, for a provider knows of none: by an id
//! of a connection, and by the provider's account. They are for requests whose signature was
//! verified; what is done then is done within the scope of each connection.

use std::time::Duration;

use super::{
    Error, Store,
    connections::{connection_columns, scope_from},
    dialect::{Sql, values},
    lease::{self, clocked},
    without_nulls,
};
use crate::model::{ConnectionId, ObjectKind, Scope, Slug, Timestamp};

/// The longest text of an error that is kept, in characters.
const ERROR_LENGTH: usize = 2000;
/// How many places of the queue one look takes from connections that are gone or given up.
const KEPT_DEAD: Duration = Duration::from_secs(7 * 24 * 3600);

/// A record to be read anew, which this process may do until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedNotice {
    /// The connection.
    pub scope: Scope,
    /// The object.
    pub kind: ObjectKind,
    /// The record; none where the whole object is to be synced.
    pub remote_id: Option<String>,
    /// How often it was tried, this time included.
    pub attempt: u32,
    generation: i64,
    fence: i64,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// The record is as it was at the provider after the notice.
    Done,
    /// To be tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// Why, a sentence.
        error: String,
    },
    /// Given up.
    Dead {
        /// Why, a sentence.
        error: String,
    },
}

impl Store {
    /// The connection of that id, whoever's it is, where that connector serves it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn inbound_connection(
        &self,
        connector: &Slug,
        id: ConnectionId,
    ) -> Result<Option<Scope>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c WHERE c.connector = $1 AND c.id = $2 AND c.deleted_at IS NULL"
        );
        let row = self
            .database()
            .read_one(SQL, values![connector, id])
            .await?;
        row.as_ref().map(scope_from).transpose()
    }

    /// All connections of an account of a provider, whoever's they are.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connections_of_account(
        &self,
        connector: &Slug,
        account: &str,
    ) -> Result<Vec<Scope>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c
              WHERE c.connector = $1 AND c.account = $2 AND c.deleted_at IS NULL ORDER BY c.number"
        );
        let rows = self
            .database()
            .read(SQL, values![connector, account])
            .await?;
        rows.iter().map(scope_from).collect()
    }

    /// Notes that records changed, all or nothing. A record that waits already waits once; one
    /// that is being read is read again afterwards.
    ///
    /// # Errors
    /// The database failed.
    pub async fn queue_notices(
        &self,
        notices: &[(Scope, ObjectKind, Option<String>)],
    ) -> Result<(), Error> {
        const SQL: &str = "INSERT INTO inbound_notice
                (connection, object, remote_id, generation, attempt, fence, due_at, received_at)
            VALUES ($1, $2, $3, 1, 0, 0, $4, $4)
            ON CONFLICT (connection, object, remote_id) DO UPDATE
            SET generation = inbound_notice.generation + 1, attempt = 0, dead_at = NULL,
                due_at = excluded.due_at, received_at = excluded.received_at";
        let mut rows: Vec<(u32, u16, &str)> = notices
            .iter()
            .map(|(scope, kind, remote_id)| {
                let number = scope.connection().number;
                (
                    number,
                    self.object(*kind),
                    remote_id.as_deref().unwrap_or_default(),
                )
            })
            .collect();
        // Always in this order: two that queue the same records cannot wait for each other.
        rows.sort_unstable();
        rows.dedup();
        let now = self.now();
        let mut tx = self.begin().await?;
        for (connection, object, remote_id) in rows {
            tx.execute(SQL, values![connection, object, remote_id, now])
                .await?;
        }
        tx.commit().await
    }

    /// Claims up to `limit` notices that are due, of valid connections and of objects whose sync
    /// is not paused, the oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_notices(
        &self,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedNotice>, Error> {
        const CANDIDATES: Sql = clocked!(
            "SELECT " [connection_columns!()] ", n.object, n.remote_id
             FROM inbound_notice n JOIN connection c ON c.number = n.connection
             WHERE n.due_at <= $1 AND n.dead_at IS NULL
               AND (n.lease_until IS NULL OR n.lease_until <= " now ")
               AND c.status = 'valid' AND c.deleted_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM sync_state s
                               WHERE s.connection = n.connection AND s.object = n.object
                                 AND s.paused)
             ORDER BY n.due_at, n.connection, n.object, n.remote_id LIMIT $2"
        );
        // Looks again: another claimer may have been quicker.
        const CLAIM: Sql = clocked!(
            "UPDATE inbound_notice
             SET lease_until = " now " + $4, fence = fence + 1, attempt = attempt + 1
             WHERE connection = $1 AND object = $2 AND remote_id = $3
               AND due_at <= $5 AND dead_at IS NULL
               AND (lease_until IS NULL OR lease_until <= " now ")
             RETURNING generation, fence, attempt"
        );
        const COLUMNS: usize = super::connections::CONNECTION_COLUMNS;
        let now = self.now();
        let due = self
            .database()
            .read(CANDIDATES, values![now, limit])
            .await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let mut claimed = Vec::with_capacity(due.len());
        for row in due {
            let scope = scope_from(&row)?;
            let object: u16 = row.number(COLUMNS)?;
            let remote_id = row.text(COLUMNS + 1)?;
            // An object that only a newer program knows waits for that program.
            let Some(kind) = self.kind(object) else {
                continue;
            };
            let number = scope.connection().number;
            let values = values![
                number,
                object,
                remote_id.as_str(),
                lease::millis(lease),
                now
            ];
            let Some(row) = tx.row(CLAIM, values).await? else {
                continue;
            };
            claimed.push(ClaimedNotice {
                scope,
                kind,
                remote_id: Some(remote_id).filter(|id| !id.is_empty()),
                generation: row.int(0)?,
                fence: row.int(1)?,
                attempt: row.number(2)?,
            });
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Ends a claim. Where the record changed once more meanwhile, it is due again at once,
    /// whatever the outcome. Nothing is written where the claim was lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish_notice(
        &self,
        claimed: &ClaimedNotice,
        outcome: &NoticeOutcome,
    ) -> Result<(), Error> {
        let connection = claimed.scope.connection().number;
        let object = self.object(claimed.kind);
        let remote_id = claimed.remote_id.as_deref().unwrap_or_default();
        let (fence, generation) = (claimed.fence, claimed.generation);
        let text =
            |error: &str| -> String { without_nulls(error).chars().take(ERROR_LENGTH).collect() };
        let now = self.now();
        let ended = match outcome {
            NoticeOutcome::Done => {
                let sql = "DELETE FROM inbound_notice
                           WHERE connection = $1 AND object = $2 AND remote_id = $3
                             AND fence = $4 AND generation = $5";
                let values = values![connection, object, remote_id, fence, generation];
                self.database().write(sql, values).await?
            }
            NoticeOutcome::Retry { at, error } => {
                let sql = "UPDATE inbound_notice
                           SET due_at = $6, last_error = $7, lease_until = NULL
                           WHERE connection = $1 AND object = $2 AND remote_id = $3
                             AND fence = $4 AND generation = $5";
                let values = values![
                    connection,
                    object,
                    remote_id,
                    fence,
                    generation,
                    *at,
                    text(error)
                ];
                self.database().write(sql, values).await?
            }
            NoticeOutcome::Dead { error } => {
                let sql = "UPDATE inbound_notice
                           SET dead_at = $6, last_error = $7, lease_until = NULL
                           WHERE connection = $1 AND object = $2 AND remote_id = $3
                             AND fence = $4 AND generation = $5";
                let values = values![
                    connection,
                    object,
                    remote_id,
                    fence,
                    generation,
                    now,
                    text(error)
                ];
                self.database().write(sql, values).await?
            }
        };
        if ended == 0 {
            let sql = "UPDATE inbound_notice SET lease_until = NULL, due_at = $5
                       WHERE connection = $1 AND object = $2 AND remote_id = $3 AND fence = $4";
            let values = values![connection, object, remote_id, fence, now];
            self.database().write(sql, values).await?;
        }
        Ok(())
    }

    /// Forgets notices of deleted connections, and those that were given up a week ago.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_notices(&self) -> Result<u64, Error> {
        let sql = "DELETE FROM inbound_notice WHERE dead_at < $1
                   OR connection IN (SELECT number FROM connection WHERE deleted_at IS NOT NULL)";
        let before = self.now().minus(KEPT_DEAD);
        self.database().write(sql, values![before]).await
    }

    /// The sealed secret that the provider signs a connection's webhooks with.
    ///
    /// # Errors
    /// The database failed.
    pub async fn inbound_secret(&self, scope: &Scope) -> Result<Option<Vec<u8>>, Error> {
        let sql = "SELECT sealed FROM inbound_secret WHERE connection = $1";
        let number = scope.connection().number;
        let row = self.database().read_one(sql, values![number]).await?;
        row.map(|row| row.bytes(0)).transpose()
    }

    /// Stores that secret: over the one before, or only where there is none. Answers the one that
    /// is there afterwards.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_inbound_secret(
        &self,
        scope: &Scope,
        sealed: Vec<u8>,
        replace: bool,
    ) -> Result<Vec<u8>, Error> {
        const REPLACE: &str = "INSERT INTO inbound_secret (connection, sealed, created_at)
            VALUES ($1, $2, $3)
            ON CONFLICT (connection) DO UPDATE
            SET sealed = excluded.sealed, created_at = excluded.created_at";
        const KEEP: &str = "INSERT INTO inbound_secret (connection, sealed, created_at)
            VALUES ($1, $2, $3) ON CONFLICT (connection) DO NOTHING";
        let number = scope.connection().number;
        let values = values![number, sealed.clone(), self.now()];
        let sql = if replace { REPLACE } else { KEEP };
        self.database().write(sql, values).await?;
        Ok(self.inbound_secret(scope).await?.unwrap_or(sealed))
    }
}
