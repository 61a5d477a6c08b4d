//! What became of deliveries, for people; and trying them again.

use super::{
    Error, Store,
    dialect::{Row, Sql, values},
    lease::clocked,
};
use crate::model::{
    Attempt, Cause, Delivery, DeliveryCursor, DeliveryId, DeliveryPage, DeliveryState, EventKind,
    Timestamp, Webhook,
};

/// Deliveries that are made due in one transaction.
const BATCH: u32 = 5000;

/// Which deliveries of an endpoint.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// From where; the newest where there is none.
    pub cursor: Option<DeliveryCursor>,
    /// At most this many.
    pub limit: u32,
    /// Only those that stand so.
    pub state: Option<DeliveryState>,
    /// Only events of this type.
    pub kind: Option<String>,
}

/// The columns that [`delivery_from`] reads.
macro_rules! delivery {
    () => {
        "SELECT d.endpoint, d.event, ev.id, ev.type, d.state, d.attempt, d.next_at, d.created_at,
                d.updated_at
         FROM webhook_delivery d LEFT JOIN event ev ON ev.seq = d.event "
    };
}

impl Store {
    /// A page of the deliveries of an endpoint, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn deliveries(
        &self,
        webhook: &Webhook,
        filter: &DeliveryFilter,
    ) -> Result<DeliveryPage, Error> {
        const OLDER: &str = concat!(
            delivery!(),
            "WHERE d.endpoint = $1 AND d.event < $2
               AND (CAST($3 AS TEXT) IS NULL OR d.state = $3)
               AND (CAST($4 AS TEXT) IS NULL OR ev.type = $4)
             ORDER BY d.event DESC LIMIT $5"
        );
        const NEWER: &str = concat!(
            delivery!(),
            "WHERE d.endpoint = $1 AND d.event > $2
               AND (CAST($3 AS TEXT) IS NULL OR d.state = $3)
               AND (CAST($4 AS TEXT) IS NULL OR ev.type = $4)
             ORDER BY d.event LIMIT $5"
        );
        let (backward, from) = match filter.cursor {
            Some(cursor) => (cursor.backward, cursor.event),
            None => (false, i64::MAX),
        };
        let sql = if backward { NEWER } else { OLDER };
        let values = values![
            webhook.number,
            from,
            filter.state.map(DeliveryState::as_str),
            filter.kind.as_deref(),
            filter.limit.saturating_add(1),
        ];
        let rows = self.database().read(sql, values).await?;
        let mut data: Vec<Delivery> = rows.iter().map(delivery_from).collect::<Result<_, _>>()?;
        let further = data.len() > filter.limit as usize;
        data.truncate(filter.limit as usize);
        if backward {
            data.reverse();
        }
        let place = |delivery: Option<&Delivery>, backward| {
            delivery.map(|delivery| DeliveryCursor {
                backward,
                event: delivery.id.event,
            })
        };
        let (has_previous, has_next) = if backward {
            (further, true)
        } else {
            (filter.cursor.is_some(), further)
        };
        Ok(DeliveryPage {
            previous: place(data.first(), true).filter(|_| has_previous),
            next: place(data.last(), false).filter(|_| has_next),
            data,
        })
    }

    /// One delivery of an endpoint with its attempts, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delivery(
        &self,
        webhook: &Webhook,
        id: DeliveryId,
    ) -> Result<Option<(Delivery, Vec<Attempt>)>, Error> {
        const SQL: &str = concat!(delivery!(), "WHERE d.endpoint = $1 AND d.event = $2");
        if id.endpoint != webhook.number {
            return Ok(None);
        }
        let key = || values![id.endpoint, id.event];
        let Some(row) = self.database().read_one(SQL, key()).await? else {
            return Ok(None);
        };
        let sql = "SELECT number, cause, at, status, error, duration_ms, response
                   FROM webhook_attempt WHERE endpoint = $1 AND event = $2 ORDER BY number";
        let attempts = self.database().read(sql, key()).await?;
        let attempts = attempts
            .iter()
            .map(attempt_from)
            .collect::<Result<_, _>>()?;
        Ok(Some((delivery_from(&row)?, attempts)))
    }

    /// Makes a delivery due now, with the whole schedule before it. One that is being tried at
    /// this moment stays as it is. False where there is no such delivery.
    ///
    /// # Errors
    /// The database failed.
    pub async fn redeliver(&self, webhook: &Webhook, id: DeliveryId) -> Result<bool, Error> {
        const SQL: Sql = clocked!(
            "UPDATE webhook_delivery
             SET state = 'pending', cause = 'manual', tries = 0, next_at = $3,
                 lease_owner = NULL, lease_until = NULL, updated_at = $3
             WHERE endpoint = $1 AND event = $2
               AND NOT (state = 'pending' AND lease_until IS NOT NULL AND lease_until > " now ")"
        );
        if self.delivery(webhook, id).await?.is_none() {
            return Ok(false);
        }
        let mut tx = self.begin().await?;
        tx.execute(SQL, values![id.endpoint, id.event, self.now()])
            .await?;
        tx.rings(&self.inner.deliveries_due);
        tx.commit().await?;
        Ok(true)
    }

    /// Makes all deliveries due now that stand as one of `states` and were made between two
    /// moments, both included; how many. Pending ones are due anyway and never among them.
    ///
    /// # Errors
    /// The database failed; what was made due before stays so.
    pub async fn redeliver_range(
        &self,
        webhook: &Webhook,
        since: Timestamp,
        until: Timestamp,
        states: &[DeliveryState],
    ) -> Result<u64, Error> {
        const NEXT: &str = "SELECT MAX(event), COUNT(*) FROM (
                SELECT event FROM webhook_delivery
                WHERE endpoint = $1 AND event > $2 ORDER BY event LIMIT $3) AS batch";
        const SQL: &str = "UPDATE webhook_delivery
            SET state = 'pending', cause = 'manual', tries = 0, next_at = $4, lease_owner = NULL,
                lease_until = NULL, updated_at = $4
            WHERE endpoint = $1 AND event > $2 AND event <= $3
              AND created_at >= $5 AND created_at <= $6
              AND ((state = 'delivered' AND $7) OR (state = 'dead' AND $8)
                   OR (state = 'cancelled' AND $9))";
        let wants = |state| states.contains(&state);
        let now = self.now();
        let (mut after, mut changed) = (0, 0);
        loop {
            let mut tx = self.begin().await?;
            let row = tx.row(NEXT, values![webhook.number, after, BATCH]).await?;
            let Some(last) = row.map_or(Ok(None), |row| row.optional_int(0))? else {
                return Ok(changed);
            };
            let values = values![
                webhook.number,
                after,
                last,
                now,
                since,
                until,
                wants(DeliveryState::Delivered),
                wants(DeliveryState::Dead),
                wants(DeliveryState::Cancelled),
            ];
            changed += tx.execute(SQL, values).await?;
            tx.rings(&self.inner.deliveries_due);
            tx.commit().await?;
            after = last;
        }
    }
}

fn delivery_from(row: &Row) -> Result<Delivery, Error> {
    let known = row.optional_text(2)?.is_some();
    let state = row.parsed_by(4, DeliveryState::parse)?;
    Ok(Delivery {
        id: DeliveryId {
            endpoint: row.number(0)?,
            event: row.int(1)?,
        },
        event: match known {
            true => Some((row.parsed(2)?, EventKind(row.text(3)?))),
            false => None,
        },
        state,
        attempts: row.number(5)?,
        next_at: match state {
            DeliveryState::Pending => Some(row.time(6)?),
            _ => None,
        },
        created_at: row.time(7)?,
        updated_at: row.time(8)?,
    })
}

fn attempt_from(row: &Row) -> Result<Attempt, Error> {
    let status = row.optional_int(3)?;
    Ok(Attempt {
        number: row.number(0)?,
        cause: row.parsed_by(1, Cause::parse)?,
        at: row.time(2)?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        error: row.optional_text(4)?,
        duration_ms: row.number(5)?,
        response: row.text(6)?,
    })
}
