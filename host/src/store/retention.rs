//! What is past its keeping time goes, a little at a time.

use std::time::Duration;

use super::{Error, SessionEnd, Store, dialect::values, sign_in_attempts};
use crate::model::Timestamp;

/// Rows that go in one transaction.
const BATCH: u32 = 1000;

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events.
    pub events: u64,
    /// Deliveries with their attempts.
    pub deliveries: u64,
}

impl Store {
    /// Removes deliveries, with their attempts, that were made before a moment, whatever their
    /// state, and all of endpoints that were deleted. It rests between transactions and may be
    /// dropped at any time.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_deliveries(
        &self,
        before: Timestamp,
        rest: Duration,
    ) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        let sql = "SELECT number, deleted_at FROM webhook_endpoint ORDER BY number";
        for row in self.database().read(sql, values![]).await? {
            let (endpoint, deleted) = (row.int(0)?, row.optional_int(1)?.is_some());
            let before = match deleted {
                true => Timestamp::from_millis(i64::MAX),
                false => before,
            };
            while let Some(went) = self.prune_endpoint(endpoint, before).await? {
                pruned.deliveries += went;
                tokio::time::sleep(rest).await;
            }
            if deleted {
                let sql = "DELETE FROM webhook_endpoint WHERE number = $1";
                self.database().write(sql, values![endpoint]).await?;
            }
        }
        Ok(pruned)
    }

    /// The oldest deliveries of an endpoint; none where no more are old enough.
    async fn prune_endpoint(&self, endpoint: i64, before: Timestamp) -> Result<Option<u64>, Error> {
        const OLDEST: &str = "SELECT MAX(event) FROM (
                SELECT event, created_at FROM webhook_delivery
                WHERE endpoint = $1 ORDER BY event LIMIT $2) AS batch
            WHERE created_at < $3";
        let mut tx = self.begin().await?;
        let row = tx.row(OLDEST, values![endpoint, BATCH, before]).await?;
        let Some(last) = row.map_or(Ok(None), |row| row.optional_int(0))? else {
            return Ok(None);
        };
        let sql = "DELETE FROM webhook_attempt WHERE endpoint = $1 AND event <= $2";
        tx.execute(sql, values![endpoint, last]).await?;
        let sql = "DELETE FROM webhook_delivery WHERE endpoint = $1 AND event <= $2";
        let went = tx.execute(sql, values![endpoint, last]).await?;
        tx.commit().await?;
        Ok(Some(went))
    }

    /// Removes events that were written before a moment, but those that have deliveries or may
    /// become some. It rests between transactions and may be dropped at any time.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_events(&self, before: Timestamp, rest: Duration) -> Result<Pruned, Error> {
        const NEXT: &str = "SELECT MAX(seq) FROM (
                SELECT seq, created_at FROM event
                WHERE seq > $1 AND seq <= (SELECT seq FROM webhook_fan_out WHERE number = 1)
                ORDER BY seq LIMIT $2) AS batch
            WHERE created_at < $3";
        const DELETE: &str = "DELETE FROM event
            WHERE seq > $1 AND seq <= $2 AND created_at < $3
              AND NOT EXISTS (SELECT 1 FROM webhook_endpoint w
                              JOIN webhook_delivery d
                                ON d.endpoint = w.number AND d.event = event.seq
                              WHERE w.project = event.project)";
        let (mut after, mut pruned) = (0, Pruned::default());
        loop {
            let mut tx = self.begin().await?;
            let row = tx.row(NEXT, values![after, BATCH, before]).await?;
            let Some(last) = row.map_or(Ok(None), |row| row.optional_int(0))? else {
                return Ok(pruned);
            };
            pruned.events += tx.execute(DELETE, values![after, last, before]).await?;
            tx.commit().await?;
            after = last;
            tokio::time::sleep(rest).await;
        }
    }

    /// Removes changes that were finished before a moment, with the conflicts that they were. It
    /// rests between transactions and may be dropped at any time. How many changes went.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_changes(&self, before: Timestamp, rest: Duration) -> Result<u64, Error> {
        const CONFLICTS: &str = "DELETE FROM conflict WHERE change IN (
                SELECT id FROM change WHERE finished_at < $1 ORDER BY finished_at, id LIMIT $2)";
        const CHANGES: &str = "DELETE FROM change WHERE id IN (
                SELECT id FROM change WHERE finished_at < $1 ORDER BY finished_at, id LIMIT $2)";
        let mut pruned = 0;
        loop {
            let mut tx = self.begin().await?;
            tx.execute(CONFLICTS, values![before, BATCH]).await?;
            let went = tx.execute(CHANGES, values![before, BATCH]).await?;
            tx.commit().await?;
            if went == 0 {
                return Ok(pruned);
            }
            pruned += went;
            tokio::time::sleep(rest).await;
        }
    }

    /// Removes what lets nobody in any more: sessions and links of operators, logins that nobody
    /// finished, attempts to sign in that do not count any more, and connect links that ran out
    /// before a moment. How many rows.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_ended(
        &self,
        sessions: SessionEnd,
        links_before: Timestamp,
        rest: Duration,
    ) -> Result<u64, Error> {
        const LINKS: &str = "DELETE FROM connect_link WHERE id IN (
                SELECT id FROM connect_link WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        let now = self.now();
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM operator_session WHERE used_at <= $1 OR created_at <= $2";
        let ends = values![now.minus(sessions.idle), now.minus(sessions.absolute)];
        let mut pruned = tx.execute(sql, ends).await?;
        for sql in [
            "DELETE FROM operator_link WHERE expires_at <= $1",
            "DELETE FROM oauth_state WHERE expires_at <= $1",
            "DELETE FROM pending_login WHERE expires_at <= $1",
        ] {
            pruned += tx.execute(sql, values![now]).await?;
        }
        pruned += sign_in_attempts::forget_old(&mut tx, now).await?;
        tx.commit().await?;
        loop {
            let values = values![links_before, BATCH];
            match self.database().write(LINKS, values).await? {
                0 => return Ok(pruned),
                more => pruned += more,
            }
            tokio::time::sleep(rest).await;
        }
    }

    /// Cancels what waits for endpoints that this server disabled; how many.
    ///
    /// # Errors
    /// The database failed; what was cancelled before stays so.
    pub async fn cancel_disabled(&self) -> Result<u64, Error> {
        const SQL: &str = "UPDATE webhook_delivery
            SET state = 'cancelled', lease_owner = NULL, lease_until = NULL, fence = fence + 1,
                updated_at = $1
            WHERE (endpoint, event) IN (
                SELECT d.endpoint, d.event
                FROM webhook_endpoint w JOIN webhook_delivery d ON d.endpoint = w.number
                WHERE NOT w.active AND w.disabled_at IS NOT NULL AND w.deleted_at IS NULL
                  AND d.state = 'pending' LIMIT $2)";
        let mut cancelled = 0;
        loop {
            let values = values![self.now(), BATCH];
            match self.database().write(SQL, values).await? {
                0 => return Ok(cancelled),
                more => cancelled += more,
            }
        }
    }

    /// Since when the longest due delivery of an active endpoint is due, where one is waiting.
    ///
    /// # Errors
    /// The database failed.
    pub async fn oldest_pending(&self) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT MIN((SELECT MIN(d.next_at) FROM webhook_delivery d
                               WHERE d.endpoint = w.number AND d.state = 'pending'))
                   FROM webhook_endpoint w WHERE w.active AND w.deleted_at IS NULL";
        let row = self.database().read_one(sql, values![]).await?;
        row.map_or(Ok(None), |row| row.optional_time(0))
    }
}
