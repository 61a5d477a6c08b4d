//! Events and what became of them, as people look through them.

use super::{
    Error, EventRow, Store,
    dialect::{Row, values},
    directory::escaped,
};
use crate::model::{
    ConnectionId, DeliveryId, DeliveryState, Event, EventKind, ProjectId, Timestamp, Webhook,
};

/// Events that are looked through for one page of those of some type.
const WINDOW: i64 = 20_000;
/// Deliveries that an endpoint's rate of success is made of.
const COUNTED: u32 = 1000;

/// Which events of a project.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only those whose type begins so, or is it.
    pub kind: Option<String>,
    /// Only those of this connection.
    pub connection: Option<ConnectionId>,
    /// Only those before the one of this number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Events of a project.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// The events with their numbers, newest first.
    pub data: Vec<(i64, EventRow)>,
    /// Where to go on, where there may be more: looking for rare ones ends after a while.
    pub next: Option<i64>,
}

/// How the last deliveries of an endpoint stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Taken by the receiver.
    pub delivered: u64,
    /// Waiting.
    pub pending: u64,
    /// Given up.
    pub dead: u64,
    /// Never sent.
    pub cancelled: u64,
}

macro_rules! select_events {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT e.seq, e.id, c.id, e.type, e.data, e.created_at, c.connector, c.linked_user
             FROM ",
            $from,
            " e LEFT JOIN connection c ON c.number = e.connection ",
            $rest
        )
    };
}

impl Store {
    /// A page of the events of a project, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn event_page(
        &self,
        project: ProjectId,
        filter: &EventFilter,
    ) -> Result<EventPage, Error> {
        const SQL: &str = select_events!(
            "(SELECT * FROM event WHERE project = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3)",
            "WHERE (CAST($4 AS TEXT) IS NULL OR e.type = $4 OR e.type LIKE $6 ESCAPE '\\')
               AND (CAST($5 AS TEXT) IS NULL OR c.id = $5)
             ORDER BY e.seq DESC LIMIT $7"
        );
        const LAST: &str = "SELECT MIN(seq), COUNT(*) FROM (
                SELECT seq FROM event WHERE project = $1 AND seq < $2
                ORDER BY seq DESC LIMIT $3) AS looked";
        let before = filter.before.unwrap_or(i64::MAX);
        let kind = filter.kind.as_deref().map(super::without_nulls);
        let beginning = kind.as_ref().map(|kind| format!("{}.%", escaped(kind)));
        let values = values![
            project,
            before,
            WINDOW,
            kind,
            filter.connection.map(|id| id.to_string()),
            beginning,
            filter.limit.saturating_add(1),
        ];
        let rows = self.database().read(SQL, values).await?;
        let read = |row: &Row| Ok((row.int(0)?, listed(project, row)?));
        let mut data: Vec<(i64, EventRow)> = rows.iter().map(read).collect::<Result<_, Error>>()?;
        let mut next = None;
        if data.len() > filter.limit as usize {
            data.truncate(filter.limit as usize);
            next = data.last().map(|(seq, _)| *seq);
        } else if filter.kind.is_some() || filter.connection.is_some() {
            let row = self
                .database()
                .read_one(LAST, values![project, before, WINDOW])
                .await?;
            if let Some(row) = row.filter(|row| row.int(1).is_ok_and(|count| count == WINDOW)) {
                next = row.optional_int(0)?;
            }
        }
        Ok(EventPage { data, next })
    }

    /// The event of that number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn event_at(
        &self,
        project: ProjectId,
        number: i64,
    ) -> Result<Option<EventRow>, Error> {
        const SQL: &str = select_events!("event", "WHERE e.project = $1 AND e.seq = $2");
        let values = values![project, number];
        let row = self.database().read_one(SQL, values).await?;
        row.map(|row| listed(project, &row)).transpose()
    }

    /// How an event stands with each endpoint that was to get it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn deliveries_of(
        &self,
        project: ProjectId,
        event: i64,
    ) -> Result<Vec<(DeliveryId, DeliveryState, String, Timestamp)>, Error> {
        let sql = "SELECT w.number, d.state, w.url, d.updated_at
                   FROM webhook_endpoint w
                   JOIN webhook_delivery d ON d.endpoint = w.number AND d.event = $2
                   WHERE w.project = $1 AND w.deleted_at IS NULL ORDER BY w.number";
        let rows = self.database().read(sql, values![project, event]).await?;
        let read = |row: &Row| {
            let endpoint = row.number(0)?;
            let state = row.parsed_by(1, DeliveryState::parse)?;
            let id = DeliveryId { endpoint, event };
            Ok((id, state, row.text(2)?, row.time(3)?))
        };
        rows.iter().map(read).collect()
    }

    /// How the last deliveries of an endpoint stand, at most 1000.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delivery_counts(&self, webhook: &Webhook) -> Result<DeliveryCounts, Error> {
        let sql = "SELECT state, COUNT(*) FROM (
                       SELECT state FROM webhook_delivery WHERE endpoint = $1
                       ORDER BY event DESC LIMIT $2) AS last
                   GROUP BY state";
        let rows = self
            .database()
            .read(sql, values![webhook.number, COUNTED])
            .await?;
        let mut counts = DeliveryCounts::default();
        for row in rows {
            let slot = match row.parsed_by(0, DeliveryState::parse)? {
                DeliveryState::Delivered => &mut counts.delivered,
                DeliveryState::Pending => &mut counts.pending,
                DeliveryState::Dead => &mut counts.dead,
                DeliveryState::Cancelled => &mut counts.cancelled,
            };
            *slot = row.number(1)?;
        }
        Ok(counts)
    }
}

fn listed(project: ProjectId, row: &Row) -> Result<EventRow, Error> {
    let about_connection = row.optional_text(2)?.is_some();
    Ok(EventRow {
        event: Event {
            id: row.parsed(1)?,
            project,
            connection: about_connection.then(|| row.parsed(2)).transpose()?,
            kind: EventKind(row.text(3)?),
            data: row.text(4)?,
            created_at: row.time(5)?,
        },
        connector: about_connection.then(|| row.parsed(6)).transpose()?,
        linked_user: about_connection.then(|| row.parsed(7)).transpose()?,
    })
}
