//! How a project stands: counted and listed so that it costs the same however much there is.
//!
//! Every statement here walks an index from a place and stops at a number of rows; counts of what
//! may be many go up to [`Counted::MOST`] and then say "more".

mod charts;
mod log;
mod records;

use std::{fmt, time::Duration};

use super::{
    Error, Store,
    connections::{connection_columns, scope_from},
    dialect::{Row, Sql, values},
    runs::select_runs,
};
use crate::model::{
    Connection, ConnectionId, ErrorClass, ObjectKind, ProjectId, Question, Run, RunId, RunStatus,
    Slug, Timestamp, Webhook,
};

pub use charts::{DeliveryBucket, DeliveryChart, RunBucket, RunChart, Span};
pub use log::LogFilter;
pub use records::{ObjectPlace, Presence, RecordEvent, RecordFilter};

/// Endpoints whose deliveries are looked at.
const ENDPOINTS: usize = 20;

/// A number of things, counted no further than [`Self::MOST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many were counted.
    pub number: u64,
    /// Whether there are more.
    pub more: bool,
}

impl Counted {
    /// Where counting ends.
    pub const MOST: u32 = 1000;

    /// Whether there is none.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.number == 0
    }

    fn from(row: Option<Row>) -> Result<Self, Error> {
        let counted: u64 = row.map_or(Ok(0), |row| row.number(0))?;
        let most = u64::from(Self::MOST);
        Ok(Self {
            number: counted.min(most),
            more: counted > most,
        })
    }
}

impl fmt::Display for Counted {
    /// `12`, or `1000+`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plus = if self.more { "+" } else { "" };
        write!(formatter, "{}{plus}", self.number)
    }
}

/// The connections of a project by how they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Those whose credentials were accepted last time.
    pub valid: u64,
    /// Those that somebody has to log in again.
    pub needs_reconnect: u64,
}

/// Syncs that fail now, of one error class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingSyncs {
    /// What kind of thing goes wrong; none where the run is kept no more.
    pub class: Option<ErrorClass>,
    /// How many syncs.
    pub syncs: u64,
    /// How many of them are not tried again before their schedule says so.
    pub given_up: u64,
    /// The last run among them.
    pub run: Option<RunId>,
}

/// A sync that asks whether records are to be deleted.
#[derive(Clone, Debug)]
pub struct AskingSync {
    /// Of which connection.
    pub connection: ConnectionId,
    /// The connection's connector.
    pub connector: Slug,
    /// Of which object.
    pub kind: ObjectKind,
    /// What it asks.
    pub question: Question,
    /// Its last run.
    pub run: Option<RunId>,
}

/// A webhook endpoint that does not get its events.
#[derive(Clone, Debug)]
pub struct TroubledEndpoint {
    /// The endpoint.
    pub webhook: Webhook,
    /// Deliveries that were given up lately.
    pub dead: Counted,
    /// Deliveries that wait.
    pub waiting: Counted,
}

impl Store {
    /// The connections of a project by how they stand.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connection_counts(&self, project: ProjectId) -> Result<ConnectionCounts, Error> {
        let sql = "SELECT status, COUNT(*) FROM connection
                   WHERE project = $1 AND deleted_at IS NULL GROUP BY status";
        let mut counts = ConnectionCounts::default();
        for row in self.database().read(sql, values![project]).await? {
            match row.text(0)?.as_str() {
                "valid" => counts.valid = row.number(1)?,
                _ => counts.needs_reconnect += row.number::<u64>(1)?,
            }
        }
        Ok(counts)
    }

    /// How many connections there are whose credentials were accepted last time, by connector.
    ///
    /// # Errors
    /// The database failed.
    pub async fn valid_connections(&self, project: ProjectId) -> Result<Vec<(Slug, u64)>, Error> {
        let sql = "SELECT connector, COUNT(*) FROM connection
                   WHERE project = $1 AND status = 'valid' AND deleted_at IS NULL
                   GROUP BY connector ORDER BY connector";
        let rows = self.database().read(sql, values![project]).await?;
        rows.iter()
            .map(|row| Ok((row.parsed(0)?, row.number(1)?)))
            .collect()
    }

    /// Connections that somebody has to log in again, at most so many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connections_to_reconnect(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<Connection>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c
              WHERE c.project = $1 AND c.status = 'needs_reconnect' AND c.deleted_at IS NULL
              LIMIT $2"
        );
        let rows = self.database().read(SQL, values![project, limit]).await?;
        let scopes = rows.iter().map(scope_from);
        scopes
            .map(|scope| Ok(scope?.connection().clone()))
            .collect()
    }

    /// Syncs of working connections whose last run failed, by error class, most first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn failing_syncs(&self, project: ProjectId) -> Result<Vec<FailingSyncs>, Error> {
        let sql = "SELECT found.class, COUNT(*), CAST(SUM(found.given_up) AS BIGINT),
                          MAX(found.run)
                   FROM (SELECT r.error_class AS class, s.run AS run,
                                CASE WHEN s.given_up_at IS NULL THEN 0 ELSE 1 END AS given_up
                         FROM sync_state s
                         CROSS JOIN connection c
                         LEFT JOIN sync_run r ON r.id = s.run
                         WHERE s.last_status = 'failed' AND c.number = s.connection
                           AND c.project = $1 AND c.status = 'valid' AND c.deleted_at IS NULL
                         LIMIT $2) AS found
                   GROUP BY found.class ORDER BY 2 DESC";
        let values = values![project, Counted::MOST];
        let rows = self.database().read(sql, values).await?;
        rows.iter()
            .map(|row| {
                let class = row.optional_text(0)?;
                let run = row.optional_text(3)?;
                Ok(FailingSyncs {
                    class: class.as_deref().and_then(ErrorClass::parse),
                    syncs: row.number(1)?,
                    given_up: row.number(2)?,
                    run: run.and_then(|run| run.parse().ok()),
                })
            })
            .collect()
    }

    /// Syncs that ask whether records are to be deleted, at most so many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn asking_syncs(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<AskingSync>, Error> {
        let sql = "SELECT c.id, c.connector, p.object, p.missing, p.stored, p.asked_at, s.run
                   FROM full_pass p
                   CROSS JOIN connection c
                   LEFT JOIN sync_state s
                          ON s.connection = p.connection AND s.object = p.object
                   WHERE p.state = 'stopped' AND p.asked_at IS NOT NULL
                     AND c.number = p.connection AND c.project = $1 AND c.deleted_at IS NULL
                   ORDER BY p.asked_at LIMIT $2";
        let rows = self.database().read(sql, values![project, limit]).await?;
        rows.iter()
            .filter_map(|row| self.asking_from(row).transpose())
            .collect()
    }

    /// None where this version does not know the object.
    fn asking_from(&self, row: &Row) -> Result<Option<AskingSync>, Error> {
        let Some(kind) = self.kind(row.number(2)?) else {
            return Ok(None);
        };
        let run = row.optional_text(6)?;
        Ok(Some(AskingSync {
            connection: row.parsed(0)?,
            connector: row.parsed(1)?,
            kind,
            question: Question {
                missing: row.number(3)?,
                stored: row.number(4)?,
                asked_at: row.time(5)?,
            },
            run: run.and_then(|run| run.parse().ok()),
        }))
    }

    /// Conflicts that wait for somebody, of a connection and an object or of all.
    ///
    /// # Errors
    /// The database failed.
    pub async fn open_conflicts(
        &self,
        project: ProjectId,
        connection: Option<u32>,
        kind: Option<ObjectKind>,
    ) -> Result<Counted, Error> {
        let sql = "SELECT COUNT(*) FROM (
                       SELECT f.id FROM conflict f WHERE f.project = $1 AND f.state = 'open'
                         AND ($2 IS NULL OR f.connection = $2) AND ($3 IS NULL OR f.object = $3)
                       LIMIT $4) AS counted";
        let values = values![
            project,
            connection.map(i64::from),
            kind.map(|kind| i64::from(self.object(kind))),
            Counted::MOST + 1
        ];
        Counted::from(self.database().read_one(sql, values).await?)
    }

    /// Records that cannot be unified.
    ///
    /// # Errors
    /// The database failed.
    pub async fn failing_records(&self, project: ProjectId) -> Result<Counted, Error> {
        let sql = "SELECT COUNT(*) FROM (
                       SELECT id FROM sync_failure WHERE project = $1 LIMIT $2) AS counted";
        let values = values![project, Counted::MOST + 1];
        Counted::from(self.database().read_one(sql, values).await?)
    }

    /// Endpoints that were disabled, from which only failures come, or to which deliveries were
    /// given up since a moment.
    ///
    /// # Errors
    /// The database failed.
    pub async fn troubled_endpoints(
        &self,
        project: ProjectId,
        since: Timestamp,
    ) -> Result<Vec<TroubledEndpoint>, Error> {
        const DEAD: &str = "SELECT COUNT(*) FROM (
            SELECT event FROM webhook_delivery
            WHERE endpoint = $1 AND state = 'dead' AND updated_at >= $2 LIMIT $3) AS counted";
        const WAITING: &str = "SELECT COUNT(*) FROM (
            SELECT event FROM webhook_delivery
            WHERE endpoint = $1 AND state = 'pending' LIMIT $2) AS counted";
        let mut troubled = Vec::new();
        for webhook in self.webhooks(project).await?.into_iter().take(ENDPOINTS) {
            let most = Counted::MOST + 1;
            let values = values![webhook.number, since, most];
            let dead = Counted::from(self.database().read_one(DEAD, values).await?)?;
            let fails = webhook.active && webhook.failing_since.is_some();
            if !fails && webhook.disabled_at.is_none() && dead.is_zero() {
                continue;
            }
            let values = values![webhook.number, most];
            let waiting = Counted::from(self.database().read_one(WAITING, values).await?)?;
            troubled.push(TroubledEndpoint {
                webhook,
                dead,
                waiting,
            });
        }
        Ok(troubled)
    }

    /// Runs that are at work, the last begun first, at most so many; and how many there are.
    ///
    /// # Errors
    /// The database failed.
    pub async fn runs_at_work(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<(Vec<Run>, Counted), Error> {
        const SQL: &str = select_runs!(
            "WHERE r.project = $1 AND r.status = 'running' ORDER BY r.id DESC LIMIT $2"
        );
        let rows = self.database().read(SQL, values![project, limit]).await?;
        let runs = rows
            .iter()
            .filter_map(|row| self.run_from(row).transpose())
            .collect::<Result<_, _>>()?;
        Ok((
            runs,
            self.runs_that_stand(project, RunStatus::Running).await?,
        ))
    }

    /// How many runs of a project stand so.
    ///
    /// # Errors
    /// The database failed.
    pub async fn runs_that_stand(
        &self,
        project: ProjectId,
        status: RunStatus,
    ) -> Result<Counted, Error> {
        let sql = "SELECT COUNT(*) FROM (
                       SELECT id FROM sync_run WHERE project = $1 AND status = $2 LIMIT $3) AS counted";
        let values = values![project, status.as_str(), Counted::MOST + 1];
        Counted::from(self.database().read_one(sql, values).await?)
    }

    /// How the database would go about the statements that the first sight of a project is made
    /// of: the lines of its own explanation, for tests.
    ///
    /// # Errors
    /// The database failed.
    pub async fn explain_summary(&self, project: ProjectId) -> Result<Vec<String>, Error> {
        let mut lines = Vec::new();
        let day = Duration::from_secs(24 * 3600);
        let span = Span {
            since: self.now().minus(day),
            step: day / 24,
            steps: 24,
        };
        let statements: [(Sql, _); 3] = [
            (
                "SELECT status, COUNT(*) FROM connection
                 WHERE project = $1 AND deleted_at IS NULL GROUP BY status"
                    .into(),
                values![project],
            ),
            (
                select_runs!(
                    "WHERE r.project = $1 AND r.status = 'running' ORDER BY r.id DESC LIMIT $2"
                )
                .into(),
                values![project, 10_u32],
            ),
            self.run_chart_statement(project, &RunChart::default(), span),
        ];
        for (sql, values) in statements {
            lines.extend(self.database().explain(sql, values).await?);
        }
        Ok(lines)
    }
}
