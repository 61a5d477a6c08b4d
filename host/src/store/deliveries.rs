//! Deliveries at work: claimed for a while, tried, written down.
//!
//! A claim counts the attempt, so that one that kills the process is counted too. It is a lease
//! with a fence, as [`super::lease`] tells: one that is never finished is due again by itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde_json::json;

use super::{
    Error, EventRow, Store,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::{Bulk, Pairs, Row, Sql, Tx, bulk, values},
    events::NewEvent,
    fan_out::TEST_EVENT,
    lease::{self, clocked},
    webhooks::{webhook_columns, webhook_from},
};
use crate::model::{
    Attempt, Cause, Connection, DeliveryId, DeliveryState, Event, EventId, EventKind, Timestamp,
    Webhook,
};

/// A delivery that this process may try until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// Where to.
    pub webhook: Arc<Webhook>,
    /// What.
    pub event: EventRow,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Which attempt this is since the schedule began, from 1.
    pub tries: u32,
    /// Why it is made.
    pub cause: Cause,
    /// The number of the claim.
    pub fence: i64,
}

/// An attempt that ended.
#[derive(Clone, Debug)]
pub struct FinishedDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The number of the claim.
    pub fence: i64,
    /// What came of it.
    pub attempt: Attempt,
    /// What follows from it.
    pub verdict: Verdict,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver took it.
    Delivered,
    /// It is tried again then.
    Retry(Timestamp),
    /// It is not tried again.
    Dead,
    /// The receiver wants nothing any more: the endpoint is disabled.
    Gone,
}

/// An endpoint that was disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// Its address.
    pub url: String,
    /// Why.
    pub reason: String,
}

/// The columns that `claimed_from` reads.
macro_rules! claimed {
    () => {
        "SELECT d.event, d.attempt, d.tries, d.cause, d.fence,
                ev.id, ev.type, ev.data, ev.created_at, c.id, c.connector, c.linked_user,
                d.endpoint "
    };
}

/// What else a claim shows of a delivery `d`.
macro_rules! about {
    () => {
        " JOIN event ev ON ev.seq = d.event LEFT JOIN connection c ON c.number = ev.connection "
    };
}

impl Store {
    /// Rings when deliveries became due: a hint for workers, who look by themselves too.
    #[must_use]
    pub fn deliveries_due(&self) -> Arc<tokio::sync::Notify> {
        Arc::clone(&self.inner.deliveries_due)
    }

    /// Active endpoints for which something is due.
    ///
    /// # Errors
    /// The database failed.
    pub async fn due_webhooks(&self) -> Result<Vec<Webhook>, Error> {
        const SQL: Sql = clocked!(
            "SELECT " [webhook_columns!()]
            " FROM webhook_endpoint w
              WHERE w.active AND w.deleted_at IS NULL
                AND EXISTS (SELECT 1 FROM webhook_delivery d
                            WHERE d.endpoint = w.number AND d.state = 'pending'
                              AND d.next_at <= $1
                              AND (d.lease_until IS NULL OR d.lease_until <= " now "))
              ORDER BY w.number"
        );
        let rows = self.database().read(SQL, values![self.now()]).await?;
        rows.iter().map(webhook_from).collect()
    }

    /// Claims due deliveries, the longest due first: of each endpoint at most as many as are said.
    /// `owner` is shown to people only; what protects a claim is its fence.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_deliveries(
        &self,
        owner: &str,
        lease: Duration,
        wanted: &[(Arc<Webhook>, u32)],
    ) -> Result<Vec<ClaimedDelivery>, Error> {
        const DUE: Pairs = Pairs {
            sqlite: clocked!(
                [claimed!()] "FROM webhook_delivery d" [about!()]
                "WHERE d.endpoint = $2 AND d.state = 'pending' AND d.next_at <= $1
                   AND (d.lease_until IS NULL OR d.lease_until <= " now ")
                 ORDER BY d.next_at LIMIT $3"
            )
            .sqlite,
            postgres: clocked!(
                [claimed!()]
                "FROM jsonb_to_recordset($1::jsonb) AS wanted (key integer, most bigint)
                 CROSS JOIN LATERAL (
                     SELECT * FROM webhook_delivery
                     WHERE endpoint = wanted.key AND state = 'pending' AND next_at <= $2
                       AND (lease_until IS NULL OR lease_until <= " now ")
                     ORDER BY next_at LIMIT wanted.most
                     FOR NO KEY UPDATE SKIP LOCKED) AS d" [about!()]
            )
            .postgres,
        };
        const CLAIM: Bulk = bulk!(
            "WITH taken (endpoint, event, owner, until) AS (",
            ["$1" "bigint", "$2" "bigint", "$3" "text", "$4" "bigint"],
            ") UPDATE webhook_delivery
               SET attempt = attempt + 1, tries = tries + 1, fence = fence + 1,
                   lease_owner = taken.owner, lease_until = taken.until
               FROM taken
               WHERE webhook_delivery.endpoint = taken.endpoint
                 AND webhook_delivery.event = taken.event"
        );
        const UNTIL: Sql = clocked!("SELECT " now " + $1");
        let now = self.now();
        let keys: Vec<(u32, u32)> = wanted
            .iter()
            .map(|(webhook, most)| (webhook.number, *most))
            .collect();
        let webhooks: HashMap<u32, &Arc<Webhook>> = wanted
            .iter()
            .map(|(webhook, _)| (webhook.number, webhook))
            .collect();
        let mut tx = self.begin().await?;
        let mut claimed = Vec::new();
        for row in tx.pairs(DUE, &keys, || values![now]).await? {
            if let Some(webhook) = webhooks.get(&row.number(12)?) {
                claimed.push(claimed_from(&row, webhook)?);
            }
        }
        if claimed.is_empty() {
            return Ok(claimed);
        }
        let until = tx.row(UNTIL, values![lease::millis(lease)]).await?;
        let until = until.map_or(Ok(0), |row| row.int(0))?;
        let rows = claimed
            .iter()
            .map(|delivery| values![delivery.id.endpoint, delivery.id.event, owner, until]);
        tx.bulk(CLAIM, rows.collect()).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// The connection that an event is about, deleted or not, and its token, sealed; nothing is in
    /// that once the connection is deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connection_of_event(
        &self,
        event: &Event,
    ) -> Result<Option<(Connection, Vec<u8>)>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            ", c.sealed_token FROM connection c WHERE c.project = $1 AND c.id = $2"
        );
        let Some(id) = event.connection else {
            return Ok(None);
        };
        let row = self
            .database()
            .read_one(SQL, values![event.project, id])
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let connection = scope_from(&row)?.connection().clone();
        Ok(Some((connection, row.bytes(CONNECTION_COLUMNS)?)))
    }

    /// Writes an event that only tries one endpoint, and claims its delivery.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_test(
        &self,
        webhook: &Arc<Webhook>,
        owner: &str,
        lease: Duration,
    ) -> Result<ClaimedDelivery, Error> {
        const EVENT: &str = "INSERT INTO event (id, project, type, data, created_at)
            VALUES ($1, $2, $3, $4, $5) RETURNING seq";
        const DELIVERY: Sql = clocked!(
            "INSERT INTO webhook_delivery (endpoint, event, cause, attempt, tries, fence, next_at,
                 lease_owner, lease_until, created_at, updated_at)
             VALUES ($1, $2, 'test', 1, 1, 1, $3, $4, " now " + $5, $3, $3)"
        );
        let now = self.now();
        let event = Event {
            id: EventId::generate(self.entropy()),
            project: webhook.project,
            connection: None,
            kind: EventKind(TEST_EVENT.to_owned()),
            data: json!({ "id_webhook_endpoint": webhook.id, "message": "It works." }).to_string(),
            created_at: now,
        };
        let mut tx = self.begin().await?;
        let values = values![
            event.id,
            event.project,
            TEST_EVENT,
            event.data.as_str(),
            now
        ];
        let row = tx.row(EVENT, values).await?;
        let seq = row.map_or(Ok(0), |row| row.int(0))?;
        let values = values![webhook.number, seq, now, owner, lease::millis(lease)];
        tx.execute(DELIVERY, values).await?;
        tx.commit().await?;
        Ok(ClaimedDelivery {
            id: DeliveryId {
                endpoint: webhook.number,
                event: seq,
            },
            webhook: Arc::clone(webhook),
            event: EventRow {
                event,
                connector: None,
                linked_user: None,
            },
            attempt: 1,
            tries: 1,
            cause: Cause::Test,
            fence: 1,
        })
    }

    /// Writes down attempts that ended, all or none; those whose claim was lost change nothing but
    /// the log. An endpoint that is gone, or from which nothing but failures came for `patience`,
    /// is disabled and announced; answers those.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish_deliveries(
        &self,
        finished: &[FinishedDelivery],
        patience: Duration,
    ) -> Result<Vec<Disabled>, Error> {
        const ATTEMPTS: Bulk = bulk!(
            "INSERT INTO webhook_attempt (endpoint, event, number, cause, at, status, error,
                duration_ms, response)",
            ["$1" "bigint", "$2" "bigint", "$3" "bigint", "$4" "text", "$5" "bigint",
             "$6" "bigint", "$7" "text", "$8" "bigint", "$9" "text"],
            "ON CONFLICT (endpoint, event, number) DO NOTHING"
        );
        const DELIVERIES: Bulk = bulk!(
            "WITH done (endpoint, event, fence, state, next_at, at) AS (",
            ["$1" "bigint", "$2" "bigint", "$3" "bigint", "$4" "text", "$5" "bigint",
             "$6" "bigint"],
            ") UPDATE webhook_delivery
               SET state = done.state, next_at = COALESCE(done.next_at, webhook_delivery.next_at),
                   cause = 'schedule', lease_owner = NULL, lease_until = NULL,
                   updated_at = done.at
               FROM done
               WHERE webhook_delivery.endpoint = done.endpoint
                 AND webhook_delivery.event = done.event
                 AND webhook_delivery.fence = done.fence
                 AND webhook_delivery.state = 'pending'"
        );
        let now = self.now();
        let attempts = finished.iter().map(|one| {
            let attempt = &one.attempt;
            values![
                one.id.endpoint,
                one.id.event,
                attempt.number,
                attempt.cause.as_str(),
                attempt.at,
                attempt.status.map(i64::from),
                attempt.error.as_deref().map(super::without_nulls),
                i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX),
                super::without_nulls(&attempt.response),
            ]
        });
        let deliveries = finished.iter().map(|one| {
            let (state, next) = match one.verdict {
                Verdict::Delivered => (DeliveryState::Delivered, None),
                Verdict::Retry(at) => (DeliveryState::Pending, Some(at)),
                Verdict::Dead | Verdict::Gone => (DeliveryState::Dead, None),
            };
            let DeliveryId { endpoint, event } = one.id;
            values![endpoint, event, one.fence, state.as_str(), next, now]
        });
        let mut tx = self.begin().await?;
        tx.bulk(ATTEMPTS, attempts.collect()).await?;
        tx.bulk(DELIVERIES, deliveries.collect()).await?;
        let mut disabled = Vec::new();
        for (endpoint, health) in judged(finished) {
            let judgement = self.judge(&mut tx, endpoint, health, patience, now).await?;
            disabled.extend(judgement);
        }
        tx.commit().await?;
        Ok(disabled)
    }

    async fn judge(
        &self,
        tx: &mut Tx,
        endpoint: u32,
        health: Health,
        patience: Duration,
        now: Timestamp,
    ) -> Result<Option<Disabled>, Error> {
        const WELL: &str = "UPDATE webhook_endpoint SET failing_since = NULL
            WHERE number = $1 AND failing_since IS NOT NULL";
        const ILL: &str = "UPDATE webhook_endpoint SET failing_since = $2
            WHERE number = $1 AND failing_since IS NULL";
        const DISABLE: &str = "UPDATE webhook_endpoint
            SET active = FALSE, disabled_reason = $2, disabled_at = $3, updated_at = $3
            WHERE number = $1 AND active AND deleted_at IS NULL
              AND (failing_since <= $4 OR $5)
            RETURNING id, project, url";
        let gone = match health {
            Health::Well => {
                tx.execute(WELL, values![endpoint]).await?;
                return Ok(None);
            }
            Health::Ill => false,
            Health::Gone => true,
        };
        tx.execute(ILL, values![endpoint, now]).await?;
        let reason = if gone {
            "the receiver answered 410 Gone".to_owned()
        } else {
            let days = patience.as_secs() / 86_400;
            format!("nothing but failures came back for {days} days")
        };
        let values = values![endpoint, reason.as_str(), now, now.minus(patience), gone];
        let Some(row) = tx.row(DISABLE, values).await? else {
            return Ok(None);
        };
        let url = row.text(2)?;
        let data = json!({
            "id_webhook_endpoint": row.text(0)?, "url": url, "reason": reason,
        });
        let kind = "webhook_endpoint.disabled".to_owned();
        let event = NewEvent {
            kind,
            data: data.to_string(),
        };
        self.write_project_events(tx, row.parsed(1)?, None, vec![event], now)
            .await?;
        Ok(Some(Disabled { url, reason }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Ill,
    Well,
    Gone,
}

/// What attempts say of their endpoints, in one order for everybody, so that no two transactions
/// wait for each other. A failed try of a person says nothing.
fn judged(finished: &[FinishedDelivery]) -> BTreeMap<u32, Health> {
    let mut health = BTreeMap::new();
    for one in finished {
        let says = match (one.verdict, one.attempt.cause) {
            (Verdict::Gone, _) => Health::Gone,
            (Verdict::Delivered, _) => Health::Well,
            (Verdict::Retry(_) | Verdict::Dead, Cause::Test) => continue,
            (Verdict::Retry(_) | Verdict::Dead, _) => Health::Ill,
        };
        let known = health.entry(one.id.endpoint).or_insert(says);
        *known = says.max(*known);
    }
    health
}

/// Reads [`claimed`] and counts the claim that follows.
fn claimed_from(row: &Row, webhook: &Arc<Webhook>) -> Result<ClaimedDelivery, Error> {
    let about_connection = row.optional_text(9)?.is_some();
    Ok(ClaimedDelivery {
        id: DeliveryId {
            endpoint: webhook.number,
            event: row.int(0)?,
        },
        webhook: Arc::clone(webhook),
        attempt: row.number::<u32>(1)?.saturating_add(1),
        tries: row.number::<u32>(2)?.saturating_add(1),
        cause: row.parsed_by(3, Cause::parse)?,
        fence: row.int(4)? + 1,
        event: EventRow {
            event: Event {
                id: row.parsed(5)?,
                project: webhook.project,
                connection: about_connection.then(|| row.parsed(9)).transpose()?,
                kind: EventKind(row.text(6)?),
                data: row.text(7)?,
                created_at: row.time(8)?,
            },
            connector: about_connection.then(|| row.parsed(10)).transpose()?,
            linked_user: about_connection.then(|| row.parsed(11)).transpose()?,
        },
    })
}
