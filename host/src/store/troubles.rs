//! What goes wrong in a project, for finding out why.

use super::{
    Error, Store,
    dialect::{Row, values},
};
use crate::model::{
    ConnectionId, ConnectionStatus, DeliveryId, DeliveryState, ErrorClass, EventKind, FailureId,
    ObjectKind, ProjectId, RunDirection, RunError, RunId, Slug, Timestamp, Webhook, WebhookId,
};

/// Deliveries among which the last success of an endpoint is looked for.
const NEWEST_DELIVERIES: u32 = 1000;

/// A run that went wrong, as far as it takes to find out why.
#[derive(Clone, Debug)]
pub struct TroubledRun {
    /// Its id.
    pub id: RunId,
    /// Of which connection.
    pub connection: ConnectionId,
    /// Its connector.
    pub connector: Slug,
    /// Of which object.
    pub kind: ObjectKind,
    /// Reading or writing.
    pub direction: RunDirection,
    /// The version of the connector that worked, where one did.
    pub version: Option<String>,
    /// What went wrong last.
    pub error: RunError,
    /// When the run began.
    pub started_at: Timestamp,
    /// When it ended, or as long as it goes on, when it did something last.
    pub at: Timestamp,
    /// Whether no later run of the same sync went well.
    pub is_current: bool,
}

/// Among which runs those that went wrong are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// All of the project.
    All,
    /// Those of syncs that did not come right since.
    Current,
    /// Those of the connection with this number.
    Connection(u32),
}

/// A sync that did all there was to do.
#[derive(Clone, Debug)]
pub struct GoodRun {
    /// When it ended.
    pub at: Timestamp,
    /// The version of the connector that worked.
    pub version: Option<String>,
}

/// A connection whose login is not accepted any more.
#[derive(Clone, Debug)]
pub struct DeadLogin {
    /// Of which connection.
    pub connection: ConnectionId,
    /// Its connector.
    pub connector: Slug,
    /// Why, where it is known.
    pub reason: Option<String>,
    /// When the connection was made.
    pub connected_at: Timestamp,
    /// When the login died; none where the event that told of it is past its keeping time.
    pub died_at: Option<Timestamp>,
}

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

macro_rules! came_right {
    () => {
        "EXISTS (SELECT 1 FROM sync_run later
                 WHERE later.connection = r.connection AND later.object = r.object
                   AND later.direction = r.direction AND later.id > r.id
                   AND later.status = 'completed')"
    };
}

macro_rules! troubled_runs {
    ($which:expr) => {
        concat!(
            "SELECT r.id, c.id, c.connector, r.object, r.direction, r.connector_version,
                r.error_class, r.error, r.started_at, COALESCE(r.finished_at, r.updated_at),
                NOT ",
            came_right!(),
            " FROM sync_run r JOIN connection c ON c.number = r.connection
             WHERE r.project = $1 AND r.error IS NOT NULL AND r.id >= $2
               AND c.deleted_at IS NULL ",
            $which,
            " ORDER BY r.id DESC LIMIT $3"
        )
    };
}

/// Runs of syncs that did not come right since.
const CURRENT_RUNS: &str = troubled_runs!(concat!("AND NOT ", came_right!()));

// Deliveries are chosen before their attempts are looked at: there may be millions of those.
macro_rules! troubled_deliveries {
    ($state:literal, $which:expr) => {
        concat!(
            "SELECT d.endpoint, d.event, d.id, ev.type, d.state, d.attempt, d.created_at, a.at,
                    a.status, a.error
             FROM (SELECT w.id, d.endpoint, d.event, d.state, d.attempt, d.created_at
                   FROM webhook_endpoint w
                   JOIN webhook_delivery d ON d.endpoint = w.number AND d.state = '",
            $state,
            "' ",
            $which,
            " WHERE w.project = $1 AND w.deleted_at IS NULL AND d.created_at >= $2
                     AND d.attempt > 0
                   ORDER BY d.event DESC LIMIT $3) AS d
             JOIN webhook_attempt a ON a.endpoint = d.endpoint AND a.event = d.event
              AND a.number = (SELECT MAX(last.number) FROM webhook_attempt last
                              WHERE last.endpoint = d.endpoint AND last.event = d.event)
             LEFT JOIN event ev ON ev.seq = d.event
             WHERE a.error IS NOT NULL"
        )
    };
}

/// Deliveries that wait after an attempt.
const PENDING: &str = troubled_deliveries!("pending", "");
/// Dead deliveries, of each endpoint the newest. One that was down for days has many.
const DEAD: &str = troubled_deliveries!(
    "dead",
    "AND d.event > COALESCE((SELECT older.event FROM webhook_delivery older
                             WHERE older.endpoint = w.number AND older.state = 'dead'
                             ORDER BY older.event DESC LIMIT 1 OFFSET $3), 0)"
);

impl Store {
    /// Runs of a project that went wrong and were begun at a time or later, the last begun first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn troubled_runs(
        &self,
        project: ProjectId,
        since: Timestamp,
        among: Among,
        limit: u32,
    ) -> Result<Vec<TroubledRun>, Error> {
        let first = RunId::first_at(since).to_string();
        let mut values = values![project, first, limit];
        let sql = match among {
            Among::All => troubled_runs!(""),
            Among::Current => CURRENT_RUNS,
            Among::Connection(number) => {
                values.extend(values![number]);
                troubled_runs!("AND r.connection = $4")
            }
        };
        let mut runs = Vec::new();
        for row in &self.database().read(sql, values).await? {
            let Some(kind) = self.kind(row.number(3)?) else {
                continue;
            };
            runs.push(TroubledRun {
                id: row.parsed(0)?,
                connection: row.parsed(1)?,
                connector: row.parsed(2)?,
                kind,
                direction: row.parsed_by(4, RunDirection::parse)?,
                version: row.optional_text(5)?,
                error: RunError {
                    class: row.parsed_by(6, ErrorClass::parse)?,
                    message: row.text(7)?,
                },
                started_at: row.time(8)?,
                at: row.time(9)?,
                is_current: row.bool(10)?,
            });
        }
        Ok(runs)
    }

    /// The last run of a sync before another one that did all there was to do.
    ///
    /// # Errors
    /// The database failed.
    pub async fn last_good_run(
        &self,
        project: ProjectId,
        connection: ConnectionId,
        kind: ObjectKind,
        direction: RunDirection,
        before: RunId,
    ) -> Result<Option<GoodRun>, Error> {
        let sql = "SELECT COALESCE(r.finished_at, r.updated_at), r.connector_version
             FROM connection c JOIN sync_run r ON r.connection = c.number
             WHERE c.project = $1 AND c.id = $2 AND r.object = $3 AND r.direction = $4
               AND r.id < $5 AND r.status = 'completed'
             ORDER BY r.id DESC LIMIT 1";
        let values = values![
            project,
            connection,
            self.object(kind),
            direction.as_str(),
            before.to_string(),
        ];
        let row = self.database().read_one(sql, values).await?;
        row.map(|row| {
            Ok(GoodRun {
                at: row.time(0)?,
                version: row.optional_text(1)?,
            })
        })
        .transpose()
    }

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
        for sql in [DEAD, PENDING] {
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

    /// Connections of a project whose logins are dead, the last made first: all, at most `limit`,
    /// or the one with this number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn dead_logins(
        &self,
        project: ProjectId,
        connection: Option<u32>,
        limit: u32,
    ) -> Result<Vec<DeadLogin>, Error> {
        let sql = "SELECT c.id, c.connector, c.status_reason, c.created_at,
                (SELECT MAX(e.created_at) FROM event e
                 WHERE e.connection = c.number AND e.type = 'connection.needs_reconnect')
             FROM connection c
             WHERE c.project = $1 AND c.deleted_at IS NULL AND c.status = $2
               AND ($3 IS NULL OR c.number = $3)
             ORDER BY c.created_at DESC, c.number DESC LIMIT $4";
        let status = ConnectionStatus::NeedsReconnect.as_str();
        let values = values![project, status, connection.map(i64::from), limit];
        let rows = self.database().read(sql, values).await?;
        rows.iter()
            .map(|row| {
                let reason = row.text(2)?;
                Ok(DeadLogin {
                    connection: row.parsed(0)?,
                    connector: row.parsed(1)?,
                    reason: Some(reason).filter(|reason| !reason.is_empty()),
                    connected_at: row.time(3)?,
                    died_at: row.optional_time(4)?,
                })
            })
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
        connection: ConnectionId,
    ) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT MAX(s.modified_at) FROM connection c
             JOIN sync_config s ON s.connection = c.number
             WHERE c.project = $1 AND c.id = $2";
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
