//! What goes wrong in a project, for finding out why.

use super::{
    Error, Store,
    connections::{connection_columns, scope_from},
    dialect::{Row, values},
};
use crate::model::{
    Connection, ConnectionId, ConnectionStatus, DeliveryId, DeliveryState, EventKind, FailureId,
    ObjectKind, ProjectId, RunId, Slug, Timestamp, Webhook, WebhookId,
};

/// Events among which the beginning of a dead login is looked for.
const NEWEST_EVENTS: u32 = 5000;
/// Deliveries among which the last success of an endpoint is looked for.
const NEWEST_DELIVERIES: u32 = 1000;

/// A delivery whose last attempt failed.
#[derive(Clone, Debug)]
pub struct TroubledDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The endpoint that it goes to.
    pub webhook: WebhookId,
    /// The event's type; none where the event is past its keeping time.
    pub event: Option<EventKind>,
    /// Pending or dead.
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When it became a delivery.
    pub created_at: Timestamp,
    /// When the last attempt was made.
    pub at: Timestamp,
    /// What the receiver answered, where it did.
    pub status: Option<u16>,
    /// Why it counts as a failure.
    pub error: String,
}

/// Why a record cannot be unified, without the record.
#[derive(Clone, Debug)]
pub struct FailureReason {
    /// The failing record's id.
    pub id: FailureId,
    /// Of which connection.
    pub connection: ConnectionId,
    /// Its connector.
    pub connector: Slug,
    /// Of which object.
    pub kind: ObjectKind,
    /// The run that read it last; none where it was read alone.
    pub run: Option<RunId>,
    /// Why, in a sentence. It may repeat what is in the record.
    pub reason: String,
    /// When it failed first.
    pub first_seen_at: Timestamp,
    /// When it failed last.
    pub last_seen_at: Timestamp,
}

macro_rules! troubled {
    ($state:literal) => {
        concat!(
            "SELECT d.endpoint, d.event, w.id, ev.type, d.state, d.attempt, d.created_at, a.at,
                    a.status, a.error
             FROM webhook_endpoint w
             JOIN webhook_delivery d ON d.endpoint = w.number AND d.state = '",
            $state,
            "'
             JOIN webhook_attempt a ON a.endpoint = d.endpoint AND a.event = d.event
              AND a.number = (SELECT MAX(last.number) FROM webhook_attempt last
                              WHERE last.endpoint = d.endpoint AND last.event = d.event)
             LEFT JOIN event ev ON ev.seq = d.event
             WHERE w.project = $1 AND w.deleted_at IS NULL AND d.created_at >= $2
               AND d.attempt > 0 AND a.error IS NOT NULL
             ORDER BY d.event DESC LIMIT $3"
        )
    };
}

impl Store {
    /// Deliveries of a project that are dead, or wait after an attempt that failed, and were made
    /// since a moment; of each kind at most `limit`, the newest of both first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn troubled_deliveries(
        &self,
        project: ProjectId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<TroubledDelivery>, Error> {
        let mut found = Vec::new();
        for sql in [troubled!("dead"), troubled!("pending")] {
            let rows = self.database().read(sql, values![project, since, limit]);
            for row in &rows.await? {
                found.push(troubled_from(row)?);
            }
        }
        found.sort_by_key(|delivery: &TroubledDelivery| std::cmp::Reverse(delivery.at));
        Ok(found)
    }

    /// When an endpoint took something last, as far as its newest deliveries tell.
    ///
    /// # Errors
    /// The database failed.
    pub async fn last_delivered(&self, webhook: &Webhook) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT MAX(updated_at) FROM (
                SELECT state, updated_at FROM webhook_delivery WHERE endpoint = $1
                ORDER BY event DESC LIMIT $2) AS newest
            WHERE state = 'delivered'";
        let values = values![webhook.number, NEWEST_DELIVERIES];
        let row = self.database().read_one(sql, values).await?;
        row.map_or(Ok(None), |row| row.optional_time(0))
    }

    /// Connections of a project whose logins are dead, at most `limit`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn dead_connections(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<Connection>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c
              WHERE c.project = $1 AND c.deleted_at IS NULL AND c.status = $2
              ORDER BY c.created_at DESC, c.number DESC LIMIT $3"
        );
        let status = ConnectionStatus::NeedsReconnect.as_str();
        let rows = self.database().read(SQL, values![project, status, limit]);
        let rows = rows.await?;
        let connections = rows
            .iter()
            .map(|row| Ok(scope_from(row)?.connection().clone()));
        connections.collect()
    }

    /// When logins of connections died, the last first, as far as the newest events of the project
    /// tell.
    ///
    /// # Errors
    /// The database failed.
    pub async fn logins_died(
        &self,
        project: ProjectId,
    ) -> Result<Vec<(ConnectionId, Timestamp)>, Error> {
        let sql = "SELECT c.id, newest.created_at FROM (
                SELECT seq, connection, type, created_at FROM event
                WHERE project = $1 ORDER BY seq DESC LIMIT $2) AS newest
            JOIN connection c ON c.number = newest.connection
            WHERE newest.type = 'connection.needs_reconnect' ORDER BY newest.seq DESC";
        let rows = self.database().read(sql, values![project, NEWEST_EVENTS]);
        let rows = rows.await?;
        rows.iter()
            .map(|row| Ok((row.parsed(0)?, row.time(1)?)))
            .collect()
    }

    /// Why records of a project cannot be unified, the last that failed first: all, those of one
    /// connection, or those that one run read.
    ///
    /// # Errors
    /// The database failed.
    pub async fn failure_reasons(
        &self,
        project: ProjectId,
        connection: Option<u32>,
        run: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<FailureReason>, Error> {
        const SQL: &str = "SELECT f.id, c.id, c.connector, f.object, f.run, f.reason,
                f.first_seen_at, f.last_seen_at
             FROM sync_failure f JOIN connection c ON c.number = f.connection
             WHERE f.project = $1 AND ($2 IS NULL OR f.connection = $2)
               AND ($3 IS NULL OR f.run = $3)
             ORDER BY f.id DESC LIMIT $4";
        let values = values![
            project,
            connection.map(i64::from),
            run.map(|run| run.to_string()),
            limit
        ];
        let mut reasons = Vec::new();
        for row in &self.database().read(SQL, values).await? {
            let Some(kind) = self.kind(row.number(3)?) else {
                continue;
            };
            let run = row.optional_text(4)?;
            reasons.push(FailureReason {
                id: row.parsed(0)?,
                connection: row.parsed(1)?,
                connector: row.parsed(2)?,
                kind,
                run: run.and_then(|run| run.parse().ok()),
                reason: row.text(5)?,
                first_seen_at: row.time(6)?,
                last_seen_at: row.time(7)?,
            });
        }
        Ok(reasons)
    }

    /// When somebody last said how a connection's objects are to be synced.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sync_config_changed(
        &self,
        project: ProjectId,
        connection: u32,
    ) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT MAX(s.modified_at) FROM sync_config s
             JOIN connection c ON c.number = s.connection
             WHERE c.project = $1 AND s.connection = $2";
        let row = self.database().read_one(sql, values![project, connection]);
        row.await?.map_or(Ok(None), |row| row.optional_time(0))
    }

    /// When a mapping of a custom field was last changed for a connector in a project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mapping_changed(
        &self,
        project: ProjectId,
        connector: &Slug,
    ) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT MAX(m.modified_at) FROM custom_field_mapping m
             JOIN custom_field f ON f.id = m.field
             WHERE f.project = $1 AND m.connector = $2";
        let row = self.database().read_one(sql, values![project, connector]);
        row.await?.map_or(Ok(None), |row| row.optional_time(0))
    }
}

fn troubled_from(row: &Row) -> Result<TroubledDelivery, Error> {
    let status = row.optional_int(8)?;
    Ok(TroubledDelivery {
        id: DeliveryId {
            endpoint: row.number(0)?,
            event: row.int(1)?,
        },
        webhook: row.parsed(2)?,
        event: row.optional_text(3)?.map(EventKind),
        state: row.parsed_by(4, DeliveryState::parse)?,
        attempts: row.number(5)?,
        created_at: row.time(6)?,
        at: row.time(7)?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        error: row.text(9)?,
    })
}
