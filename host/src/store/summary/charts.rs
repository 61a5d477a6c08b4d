//! What happened over time, added up in steps.

use std::{collections::BTreeMap, time::Duration};

use super::ENDPOINTS;
use crate::{
    model::{DeliveryState, ObjectKind, ProjectId, RunStatus, Slug, Timestamp},
    store::{
        Error, Store,
        dialect::{Sql, Value, values},
    },
};

/// The newest runs that a chart adds up at most.
const RUNS: u32 = 250_000;
/// The newest deliveries of an endpoint that a chart adds up at most.
const DELIVERIES: u32 = 20_000;

/// A time in steps of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where the first step begins.
    pub since: Timestamp,
    /// How long a step is.
    pub step: Duration,
    /// How many steps there are.
    pub steps: u32,
}

impl Span {
    /// Where a step begins.
    #[must_use]
    pub fn start_of(&self, step: u32) -> Timestamp {
        self.since.plus(self.step.saturating_mul(step))
    }

    /// Where the last step ends.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.start_of(self.steps)
    }

    fn millis(&self) -> i64 {
        i64::try_from(self.step.as_millis())
            .unwrap_or(i64::MAX)
            .max(1)
    }
}

/// Which runs a chart is about.
#[derive(Clone, Debug, Default)]
pub struct RunChart {
    /// Of one connector only.
    pub connector: Option<Slug>,
    /// Of the connection with this number only.
    pub connection: Option<u32>,
    /// Of one object only.
    pub kind: Option<ObjectKind>,
}

/// The runs that ended in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunBucket {
    /// How many ended how.
    pub ended: BTreeMap<RunStatus, u64>,
    /// Records created.
    pub created: u64,
    /// Records updated.
    pub updated: u64,
    /// Records deleted.
    pub deleted: u64,
    /// Records that could not be unified.
    pub failed: u64,
    /// Records read.
    pub read: u64,
    /// How long all runs took together, in milliseconds.
    pub total_ms: u64,
    /// How long the longest took, in milliseconds.
    pub longest_ms: u64,
}

impl RunBucket {
    /// How many runs ended.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.ended.values().sum()
    }

    /// How many did what they were to do.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.ended.get(&RunStatus::Completed).copied().unwrap_or(0)
    }

    /// How many failed, or were interrupted in every attempt.
    #[must_use]
    pub fn failed_runs(&self) -> u64 {
        let of = |status| self.ended.get(&status).copied().unwrap_or(0);
        of(RunStatus::Failed) + of(RunStatus::Interrupted)
    }
}

/// The deliveries that were made in one step, by how they stand now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryBucket {
    /// The receiver took them.
    pub delivered: u64,
    /// They wait.
    pub pending: u64,
    /// They were given up, or called off.
    pub dead: u64,
}

/// Deliveries over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryChart {
    /// One for each step.
    pub buckets: Vec<DeliveryBucket>,
    /// There were so many that only the newest are counted.
    pub is_partial: bool,
}

impl Store {
    /// The runs of a project that ended in each step of a time, no more than the newest 250,000.
    ///
    /// # Errors
    /// The database failed.
    pub async fn run_chart(
        &self,
        project: ProjectId,
        chart: &RunChart,
        span: Span,
    ) -> Result<Vec<RunBucket>, Error> {
        let (sql, values) = self.run_chart_statement(project, chart, span);
        let mut buckets = vec![RunBucket::default(); span.steps as usize];
        for row in self.database().read(sql, values).await? {
            let Some(bucket) = buckets.get_mut(row.number::<usize>(0)?) else {
                continue;
            };
            // A status that only a newer version knows is left out.
            if let Some(status) = RunStatus::parse(&row.text(1)?) {
                *bucket.ended.entry(status).or_default() += row.number::<u64>(2)?;
            }
            bucket.created += row.number::<u64>(3)?;
            bucket.updated += row.number::<u64>(4)?;
            bucket.deleted += row.number::<u64>(5)?;
            bucket.failed += row.number::<u64>(6)?;
            bucket.read += row.number::<u64>(7)?;
            bucket.total_ms += row.number::<u64>(8)?;
            bucket.longest_ms = bucket.longest_ms.max(row.number(9)?);
        }
        Ok(buckets)
    }

    pub(super) fn run_chart_statement(
        &self,
        project: ProjectId,
        chart: &RunChart,
        span: Span,
    ) -> (Sql, Vec<Value>) {
        let sql = "SELECT (b.finished_at - $2) / $3, b.status, COUNT(*),
                          CAST(SUM(b.created) AS BIGINT), CAST(SUM(b.updated) AS BIGINT),
                          CAST(SUM(b.deleted) AS BIGINT), CAST(SUM(b.failed) AS BIGINT),
                          CAST(SUM(b.records_read) AS BIGINT),
                          CAST(SUM(CASE WHEN b.finished_at > b.started_at
                                        THEN b.finished_at - b.started_at ELSE 0 END) AS BIGINT),
                          MAX(CASE WHEN b.finished_at > b.started_at
                                   THEN b.finished_at - b.started_at ELSE 0 END)
                   FROM (SELECT r.finished_at, r.status, r.started_at, r.created, r.updated,
                                r.deleted, r.failed, r.records_read
                         FROM sync_run r
                         WHERE r.project = $1 AND r.finished_at >= $2 AND r.finished_at < $4
                           AND ($5 IS NULL OR r.connection = $5)
                           AND ($6 IS NULL OR r.object = $6)
                           AND ($7 IS NULL OR EXISTS (
                               SELECT 1 FROM connection c
                               WHERE c.number = r.connection AND c.connector = $7))
                         ORDER BY r.finished_at DESC LIMIT $8) AS b
                   GROUP BY 1, 2";
        let values = values![
            project,
            span.since,
            span.millis(),
            span.until(),
            chart.connection.map(i64::from),
            chart.kind.map(|kind| i64::from(self.object(kind))),
            chart.connector.as_ref().map(ToString::to_string),
            RUNS,
        ];
        (sql.into(), values)
    }

    /// The deliveries of a project that were made in each step of a time: of each of its first 20
    /// endpoints, no more than the newest 20,000.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delivery_chart(
        &self,
        project: ProjectId,
        span: Span,
    ) -> Result<DeliveryChart, Error> {
        const SQL: &str = "SELECT (b.created_at - $3) / $4, b.state, COUNT(*)
            FROM (SELECT d.created_at, d.state FROM webhook_delivery d
                  WHERE d.endpoint = $1 ORDER BY d.event DESC LIMIT $2) AS b
            WHERE b.created_at >= $3 AND b.created_at < $5
            GROUP BY 1, 2";
        let mut chart = DeliveryChart {
            buckets: vec![DeliveryBucket::default(); span.steps as usize],
            is_partial: false,
        };
        let webhooks = self.webhooks(project).await?;
        chart.is_partial = webhooks.len() > ENDPOINTS;
        for webhook in webhooks.iter().take(ENDPOINTS) {
            let values = values![
                webhook.number,
                DELIVERIES,
                span.since,
                span.millis(),
                span.until()
            ];
            let mut counted = 0;
            for row in self.database().read(SQL, values).await? {
                let count: u64 = row.number(2)?;
                counted += count;
                let Some(bucket) = chart.buckets.get_mut(row.number::<usize>(0)?) else {
                    continue;
                };
                match row.parsed_by(1, DeliveryState::parse)? {
                    DeliveryState::Delivered => bucket.delivered += count,
                    DeliveryState::Pending => bucket.pending += count,
                    DeliveryState::Dead | DeliveryState::Cancelled => bucket.dead += count,
                }
            }
            chart.is_partial |= counted >= DELIVERIES.into();
        }
        Ok(chart)
    }
}
