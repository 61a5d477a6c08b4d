//! Reading the sync log.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::{
        ErrorClass, Estimate, EstimateSource, ObjectKind, ProjectId, Run, RunBy, RunCounts,
        RunDirection, RunError, RunId, RunStatus, Timestamp, Trigger,
    },
    store::{
        Error, Store,
        dialect::{Row, listed, values},
    },
};

/// Rows that go in one transaction.
const BATCH: u32 = 1000;

/// Which runs of a project.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunFilter {
    /// Of the connection with this number only.
    pub connection: Option<u32>,
    /// Of one object only.
    pub kind: Option<ObjectKind>,
    /// Only those that stand so.
    pub status: Option<RunStatus>,
    /// Only those of this direction.
    pub direction: Option<RunDirection>,
    /// Only those that were begun for this reason.
    pub trigger: Option<Trigger>,
    /// Only those that began at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that were begun before this one.
    pub before: Option<RunId>,
    /// How many at most.
    pub limit: u32,
}

macro_rules! select_runs {
    ($rest:expr) => {
        concat!(
            "SELECT r.id, c.id, c.connector, r.object, r.direction, r.trigger, r.status,
                r.is_full, r.resumed, r.connector_version, r.digest, r.attempts, r.pages,
                r.records_read, r.created, r.updated, r.unchanged, r.deleted, r.failed,
                r.conflicts, r.pushed, r.requests, r.bytes, r.estimate, r.estimate_source,
                r.error_class, r.error, r.errors, r.next_attempt_at, r.started_at, r.updated_at,
                r.finished_at
             FROM sync_run r JOIN connection c ON c.number = r.connection ",
            $rest
        )
    };
}
pub(in crate::store) use select_runs;

impl Store {
    /// Runs of a project, the last begun first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn runs(&self, project: ProjectId, filter: &RunFilter) -> Result<Vec<Run>, Error> {
        const SQL: &str = select_runs!(
            "WHERE r.project = $1 AND ($2 IS NULL OR r.connection = $2)
               AND ($3 IS NULL OR r.object = $3) AND ($4 IS NULL OR r.status = $4)
               AND ($5 IS NULL OR r.direction = $5) AND ($6 IS NULL OR r.trigger = $6)
               AND ($7 IS NULL OR r.started_at >= $7) AND ($8 IS NULL OR r.id < $8)
             ORDER BY r.id DESC LIMIT $9"
        );
        let values = values![
            project,
            filter.connection.map(i64::from),
            filter.kind.map(|kind| i64::from(self.object(kind))),
            filter.status.map(RunStatus::as_str),
            filter.direction.map(RunDirection::as_str),
            filter.trigger.map(Trigger::as_str),
            filter.since,
            filter.before.map(|run| run.to_string()),
            filter.limit,
        ];
        let rows = self.database().read(SQL, values).await?;
        rows.iter()
            .filter_map(|row| self.run_from(row).transpose())
            .collect()
    }

    /// One run of a project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn run(&self, project: ProjectId, run: RunId) -> Result<Option<Run>, Error> {
        const SQL: &str = select_runs!("WHERE r.project = $1 AND r.id = $2");
        let values = values![project, run.to_string()];
        let row = self.database().read_one(SQL, values).await?;
        row.map_or(Ok(None), |row| self.run_from(&row))
    }

    /// Those of some runs that a project has.
    ///
    /// # Errors
    /// The database failed.
    pub async fn runs_by_id(
        &self,
        project: ProjectId,
        runs: &[RunId],
    ) -> Result<BTreeMap<RunId, Run>, Error> {
        let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
        let list = serde_json::Value::from(runs).to_string();
        let sql = listed!(select_runs!("WHERE r.project = $1 AND"), "r.id" listed "$2", "");
        let rows = self.database().read(sql, values![project, list]).await?;
        rows.iter()
            .filter_map(|row| self.run_from(row).transpose())
            .map(|run| run.map(|run| (run.id, run)))
            .collect()
    }

    /// Removes runs that ended before a moment, and failing records that were not seen since. It
    /// rests between transactions and may be dropped at any time. How many rows went.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_runs(&self, before: Timestamp, rest: Duration) -> Result<u64, Error> {
        const RUNS: &str = "DELETE FROM sync_run
            WHERE id IN (SELECT id FROM sync_run WHERE finished_at < $1 LIMIT $2)";
        const FAILURES: &str = "DELETE FROM sync_failure
            WHERE id IN (SELECT id FROM sync_failure WHERE last_seen_at < $1 LIMIT $2)";
        let mut pruned = 0;
        for sql in [RUNS, FAILURES] {
            loop {
                let went = self.database().write(sql, values![before, BATCH]).await?;
                if went == 0 {
                    break;
                }
                pruned += went;
                tokio::time::sleep(rest).await;
            }
        }
        Ok(pruned)
    }

    /// None where this version does not know the object.
    pub(in crate::store) fn run_from(&self, row: &Row) -> Result<Option<Run>, Error> {
        let Some(kind) = self.kind(row.number(3)?) else {
            return Ok(None);
        };
        let by = row.optional_text(9)?.zip(row.optional_text(10)?);
        let estimate = match row.optional_int(23)? {
            None => None,
            Some(_) => Some(Estimate {
                records: row.number(23)?,
                source: row.parsed_by(24, EstimateSource::parse)?,
            }),
        };
        let error = match row.optional_text(26)? {
            None => None,
            Some(message) => Some(RunError {
                class: row.parsed_by(25, ErrorClass::parse)?,
                message,
            }),
        };
        Ok(Some(Run {
            id: row.parsed(0)?,
            connection: row.parsed(1)?,
            connector: row.parsed(2)?,
            kind,
            direction: row.parsed_by(4, RunDirection::parse)?,
            trigger: row.parsed_by(5, Trigger::parse)?,
            status: row.parsed_by(6, RunStatus::parse)?,
            full: row.optional_bool(7)?,
            resumed: row.bool(8)?,
            by: by.map(|(version, digest)| RunBy { version, digest }),
            attempts: row.number(11)?,
            pages: row.number(12)?,
            counts: RunCounts {
                read: row.number(13)?,
                created: row.number(14)?,
                updated: row.number(15)?,
                unchanged: row.number(16)?,
                deleted: row.number(17)?,
                failed: row.number(18)?,
                conflicts: row.number(19)?,
                pushed: row.number(20)?,
                requests: row.number(21)?,
                bytes: row.number(22)?,
            },
            estimate,
            error,
            errors: errors(&row.text(27)?),
            next_attempt_at: row.optional_time(28)?,
            started_at: row.time(29)?,
            updated_at: row.time(30)?,
            finished_at: row.optional_time(31)?,
        }))
    }
}

/// How often what went wrong. Classes that only a newer version knows are left out.
pub(super) fn errors(text: &str) -> BTreeMap<ErrorClass, u32> {
    let named: BTreeMap<String, u32> = serde_json::from_str(text).unwrap_or_default();
    named
        .into_iter()
        .filter_map(|(name, count)| Some((ErrorClass::parse(&name)?, count)))
        .collect()
}
