//! Events become deliveries: one row for each endpoint that wants the event.
//!
//! Nothing of this is in the transaction that writes events, so nobody waits for endpoints that
//! may be many. A single row says how far the events were handed out, and moves in the transaction
//! that writes the deliveries.
//!
//! Events take their numbers when they are written, and become visible when their transaction
//! ends, which is another order. So the position never moves past a number that may still appear:
//! first the newest number is read and noted together with the noting transaction's own turn.
//! Whoever took a number up to there had written something before, so it has a smaller turn; once
//! no transaction with a smaller turn is at work, all those numbers are visible or never will be.

use std::time::Duration;

use super::{
    Error, Store,
    dialect::{Bulk, NEWEST_EVENT, SET_TARGET, TAKE_FAN_OUT, Tx, bulk, values},
    webhooks::scopes_from,
};
use crate::model::EventPattern;

/// Events that are looked at in one transaction.
const WINDOW: i64 = 2000;

/// The type of the event that tries an endpoint: for that endpoint only.
pub(super) const TEST_EVENT: &str = "webhook.test";

/// What became of a look for new events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FannedOut {
    /// Deliveries that were made.
    pub deliveries: u64,
    /// There are more events: look again at once.
    pub more: bool,
    /// There may be events of a transaction that has not ended: look again soon.
    pub waiting: bool,
}

struct Listener {
    number: u32,
    project: String,
    scopes: Vec<EventPattern>,
    after: i64,
}

impl Store {
    /// Makes deliveries, due after `first_wait`, of events that were written since the last time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn fan_out(&self, first_wait: Duration) -> Result<FannedOut, Error> {
        let done = self.hand_out(first_wait).await?;
        if done.more || done.waiting || !self.set_target().await? {
            return Ok(done);
        }
        self.hand_out(first_wait).await
    }

    /// Notes up to where events may be handed out; false where there are no newer ones.
    async fn set_target(&self) -> Result<bool, Error> {
        let newest = self.database().read_one(NEWEST_EVENT, values![]).await?;
        let newest = newest.map_or(Ok(0), |row| row.int(0))?;
        // Begun after the number was read: its turn is larger than that of whoever took a number.
        let mut tx = self.begin().await?;
        let set = tx.row(SET_TARGET, values![newest]).await?.is_some();
        tx.commit().await?;
        Ok(set)
    }

    async fn hand_out(&self, first_wait: Duration) -> Result<FannedOut, Error> {
        let position = "SELECT seq, target FROM webhook_fan_out WHERE number = 1";
        let row = self.database().read_one(position, values![]).await?;
        let row = row.ok_or_else(missing)?;
        if row.int(0)? >= row.int(1)? {
            return Ok(FannedOut::default());
        }
        let mut tx = self.begin().await?;
        let row = tx.row(TAKE_FAN_OUT, values![]).await?.ok_or_else(missing)?;
        let (from, target, settled) = (row.int(0)?, row.int(1)?, row.bool(2)?);
        if !settled {
            return Ok(FannedOut {
                waiting: true,
                ..FannedOut::default()
            });
        }
        let listeners = listeners(&mut tx).await?;
        let to = match listeners.as_slice() {
            [] => target,
            _ => target.min(from + WINDOW),
        };
        let deliveries = match listeners.as_slice() {
            [] => 0,
            _ => {
                self.deliver(&mut tx, &listeners, from, to, first_wait)
                    .await?
            }
        };
        let sql = "UPDATE webhook_fan_out SET seq = $1 WHERE number = 1";
        tx.execute(sql, values![to]).await?;
        if deliveries > 0 {
            tx.rings(&self.inner.deliveries_due);
            fault_point!("delivery.planning");
        }
        tx.commit().await?;
        Ok(FannedOut {
            deliveries,
            more: to < target,
            waiting: false,
        })
    }

    async fn deliver(
        &self,
        tx: &mut Tx,
        listeners: &[Listener],
        from: i64,
        to: i64,
        first_wait: Duration,
    ) -> Result<u64, Error> {
        const EVENTS: &str = "SELECT seq, project, type FROM event
            WHERE seq > $1 AND seq <= $2 AND type <> $3
              AND project IN (SELECT project FROM webhook_endpoint
                              WHERE active AND deleted_at IS NULL)
            ORDER BY seq";
        const INSERT: Bulk = bulk!(
            "INSERT INTO webhook_delivery (endpoint, event, next_at, created_at, updated_at)",
            ["$1" "bigint", "$2" "bigint", "$3" "bigint", "$4" "bigint", "$5" "bigint"],
            "ON CONFLICT (endpoint, event) DO NOTHING"
        );
        let now = self.now();
        let due = now.plus(first_wait);
        let mut rows = Vec::new();
        for event in tx.rows(EVENTS, values![from, to, TEST_EVENT]).await? {
            let (seq, project, kind) = (event.int(0)?, event.text(1)?, event.text(2)?);
            for listener in listeners {
                let wanted = listener.project == project
                    && seq > listener.after
                    && listener.scopes.iter().any(|scope| scope.matches(&kind));
                if wanted {
                    rows.push(values![listener.number, seq, due, now, now]);
                }
            }
        }
        let deliveries = rows.len() as u64;
        tx.bulk(INSERT, rows).await?;
        Ok(deliveries)
    }
}

async fn listeners(tx: &mut Tx) -> Result<Vec<Listener>, Error> {
    let sql = "SELECT number, project, scopes, after_seq FROM webhook_endpoint
               WHERE active AND deleted_at IS NULL";
    let rows = tx.rows(sql, values![]).await?;
    rows.iter()
        .map(|row| {
            Ok(Listener {
                number: row.number(0)?,
                project: row.text(1)?,
                scopes: scopes_from(&row.text(2)?),
                after: row.int(3)?,
            })
        })
        .collect()
}

fn missing() -> Error {
    Error::Corrupt("the row of webhook_fan_out is gone".into())
}
