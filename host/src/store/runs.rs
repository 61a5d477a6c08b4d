//! The sync log: one row for each execution of a sync, counted in the transactions of what it
//! does.

mod cancel;
mod log;
mod outbound;

use super::{
    Checkpoint, ClaimedSync, Error, PageOutcome, Store,
    dialect::{Tx, Value, values},
    syncs::shortened,
};
use crate::model::{
    ErrorClass, EstimateSource, RunBy, RunCounts, RunDirection, RunEnd, RunError, RunId, RunStatus,
    Scope, Timestamp, Trigger, Used,
};

pub use log::RunFilter;
pub(super) use log::select_runs;

impl Store {
    /// Ends a run in a transaction of its own, or changes how one ended: a run that stopped until
    /// a person decided becomes one that completed. False where there is no such run.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish_run(&self, run: RunId, end: &RunEnd) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let found = self.end_run(&mut tx, run, end, None).await?;
        tx.commit().await?;
        Ok(found)
    }

    /// The run of a claim: the one that did not end yet, or else a new one. In the transaction of
    /// the claim.
    pub(super) async fn begin_run(
        &self,
        tx: &mut Tx,
        claim: &ClaimedSync,
        now: Timestamp,
    ) -> Result<RunId, Error> {
        let state = &claim.state;
        let sql = "UPDATE sync_run
                   SET status = 'running', next_attempt_at = NULL, updated_at = $2,
                       attempts = attempts + CASE WHEN $3 OR status = 'retrying'
                                                  THEN 1 ELSE 0 END
                   WHERE id = $1 AND finished_at IS NULL";
        if let Some(run) = state.run {
            // After an orderly turn the claim is the first attempt again.
            let again = state.attempt > 1;
            let values = values![run.to_string(), now, again];
            if tx.execute(sql, values).await? > 0 {
                return Ok(run);
            }
        }
        let resumed = state.run_started_at.is_some();
        let begun = Begun {
            direction: RunDirection::Inbound,
            trigger: state.trigger,
            resumed,
        };
        let object = self.object(claim.kind);
        let run = self
            .insert_run(tx, &claim.scope, object, begun, now)
            .await?;
        let sql = "UPDATE sync_state SET run = $3 WHERE connection = $1 AND object = $2";
        let number = claim.scope.connection().number;
        tx.execute(sql, values![number, object, run.to_string()])
            .await?;
        Ok(run)
    }

    async fn insert_run(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        object: u16,
        begun: Begun,
        now: Timestamp,
    ) -> Result<RunId, Error> {
        let sql = "INSERT INTO sync_run (id, project, connection, object, direction, trigger,
                       status, resumed, attempts, pages, records_read, created, updated,
                       unchanged, deleted, failed, conflicts, pushed, requests, bytes, errors,
                       started_at, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $6, 'running', $7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                       0, 0, '{}', $8, $8)";
        let run = RunId::generate(now, self.entropy());
        let values = values![
            run.to_string(),
            scope.project(),
            scope.connection().number,
            object,
            begun.direction.as_str(),
            begun.trigger.as_str(),
            begun.resumed,
            now,
        ];
        tx.execute(sql, values).await?;
        Ok(run)
    }

    /// Counts a page in the transaction that writes it. The page's failures are part of
    /// [`Checkpoint`].
    pub(super) async fn count_page(
        &self,
        tx: &mut Tx,
        checkpoint: &Checkpoint<'_>,
        upserts: usize,
        outcome: &PageOutcome,
        used: Used,
    ) -> Result<(), Error> {
        let claimed = checkpoint.claimed;
        let failed = checkpoint.failures.len() as u64;
        let counts = RunCounts {
            read: upserts as u64 + failed,
            created: outcome.created.into(),
            updated: outcome.updated.into(),
            unchanged: outcome.unchanged.into(),
            deleted: outcome.deleted.into(),
            failed,
            conflicts: outcome.conflicts.into(),
            pushed: 0,
            requests: used.requests,
            bytes: used.bytes,
        };
        self.add_counts(tx, claimed.run, &counts).await?;
        let sql = "UPDATE sync_run
                   SET pages = pages + 1, is_full = $2,
                       connector_version = COALESCE($3, connector_version),
                       digest = COALESCE($4, digest)
                   WHERE id = $1";
        let (version, digest) = parts(claimed.usage.made_by());
        let run = claimed.run.to_string();
        tx.execute(sql, values![run.as_str(), checkpoint.full, version, digest])
            .await?;
        match checkpoint.total {
            Some(total) => {
                let sql = "UPDATE sync_run SET estimate = $2, estimate_source = $3 WHERE id = $1";
                let source = EstimateSource::Provider.as_str();
                tx.execute(sql, values![run, int(total), source]).await?;
            }
            None if claimed.state.pages == 0 && checkpoint.full => {
                self.estimate(tx, claimed).await?;
            }
            None => {}
        }
        Ok(())
    }

    /// Counts records that a run found missing, in the transaction that deletes them.
    pub(super) async fn count_missing(
        &self,
        tx: &mut Tx,
        claimed: &ClaimedSync,
        outcome: &PageOutcome,
    ) -> Result<(), Error> {
        let counts = RunCounts {
            deleted: outcome.deleted.into(),
            conflicts: outcome.conflicts.into(),
            ..RunCounts::default()
        };
        self.add_counts(tx, claimed.run, &counts).await
    }

    /// Takes what the last run that read everything read for what this one is going to.
    async fn estimate(&self, tx: &mut Tx, claimed: &ClaimedSync) -> Result<(), Error> {
        let sql = "UPDATE sync_run
                   SET estimate_source = $4, estimate =
                       (SELECT before.records_read FROM sync_run before
                        WHERE before.connection = $2 AND before.object = $3
                          AND before.status = 'completed' AND before.is_full
                          AND NOT before.resumed AND before.direction = 'inbound'
                        ORDER BY before.id DESC LIMIT 1)
                   WHERE id = $1 AND estimate IS NULL AND NOT resumed";
        let values = values![
            claimed.run.to_string(),
            claimed.scope.connection().number,
            self.object(claimed.kind),
            EstimateSource::LastFullRun.as_str(),
        ];
        tx.execute(sql, values).await.map(drop)
    }

    /// Adds to what a run did, in the transaction that does it.
    pub(super) async fn add_counts(
        &self,
        tx: &mut Tx,
        run: RunId,
        counts: &RunCounts,
    ) -> Result<(), Error> {
        let sql = "UPDATE sync_run
                   SET records_read = records_read + $2, created = created + $3,
                       updated = updated + $4, unchanged = unchanged + $5,
                       deleted = deleted + $6, failed = failed + $7, conflicts = conflicts + $8,
                       pushed = pushed + $9, requests = requests + $10, bytes = bytes + $11,
                       updated_at = $12
                   WHERE id = $1";
        let values = values![
            run.to_string(),
            int(counts.read),
            int(counts.created),
            int(counts.updated),
            int(counts.unchanged),
            int(counts.deleted),
            int(counts.failed),
            int(counts.conflicts),
            int(counts.pushed),
            int(counts.requests),
            int(counts.bytes),
            self.now(),
        ];
        tx.execute(sql, values).await.map(drop)
    }

    /// Ends a run in the transaction of what ends it; with `retry_at` it is only interrupted until
    /// then. False where there is no such run.
    pub(super) async fn end_run(
        &self,
        tx: &mut Tx,
        run: RunId,
        end: &RunEnd,
        retry_at: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let sql = "UPDATE sync_run
                   SET status = $2, next_attempt_at = $3, finished_at = $4, updated_at = $5,
                       error_class = CASE WHEN $2 = 'completed' THEN NULL ELSE error_class END,
                       error = CASE WHEN $2 = 'completed' THEN NULL ELSE error END
                   WHERE id = $1";
        let now = self.now();
        let finished = match end.status {
            RunStatus::Running | RunStatus::Retrying => None,
            _ => Some(now),
        };
        let status = end.status.as_str();
        let values = values![run.to_string(), status, retry_at, finished, now];
        let found = tx.execute(sql, values).await? > 0;
        if let Some(error) = &end.error {
            self.note_error(tx, run, error).await?;
        }
        Ok(found)
    }

    /// Writes down what went wrong in a run.
    pub(super) async fn note_error(
        &self,
        tx: &mut Tx,
        run: RunId,
        error: &RunError,
    ) -> Result<(), Error> {
        let id = run.to_string();
        let sql = "SELECT errors FROM sync_run WHERE id = $1";
        let Some(row) = tx.row(sql, values![id.as_str()]).await? else {
            return Ok(());
        };
        let mut errors = log::errors(&row.text(0)?);
        *errors.entry(error.class).or_default() += 1;
        let named: std::collections::BTreeMap<&str, u32> = errors
            .iter()
            .map(|(class, count)| (class.as_str(), *count))
            .collect();
        let errors = serde_json::to_string(&named)
            .map_err(|error| Error::Corrupt(format!("counts of errors: {error}")))?;
        let sql = "UPDATE sync_run SET errors = $2, error_class = $3, error = $4 WHERE id = $1";
        let class: ErrorClass = error.class;
        let message = shortened(&error.message);
        tx.execute(sql, values![id, errors, class.as_str(), message])
            .await
            .map(drop)
    }

    /// What the calls of a claim used besides its pages.
    pub(super) async fn count_rest(&self, tx: &mut Tx, claimed: &ClaimedSync) -> Result<(), Error> {
        let (used, by) = (claimed.usage.used(), claimed.usage.made_by());
        self.note_usage(tx, claimed.run, used, by).await
    }

    async fn note_usage(
        &self,
        tx: &mut Tx,
        run: RunId,
        used: Used,
        by: Option<RunBy>,
    ) -> Result<(), Error> {
        let sql = "UPDATE sync_run
                   SET requests = requests + $2, bytes = bytes + $3,
                       connector_version = COALESCE($4, connector_version),
                       digest = COALESCE($5, digest)
                   WHERE id = $1";
        let (version, digest) = parts(by);
        let values = values![
            run.to_string(),
            int(used.requests),
            int(used.bytes),
            version,
            digest
        ];
        tx.execute(sql, values).await.map(drop)
    }

    /// The runs of a connection that is deleted are over.
    pub(super) async fn cancel_runs(&self, tx: &mut Tx, connection: u32) -> Result<(), Error> {
        let sql = "UPDATE sync_run
                   SET status = 'cancelled', next_attempt_at = NULL, finished_at = $2,
                       updated_at = $2
                   WHERE connection = $1 AND finished_at IS NULL";
        tx.execute(sql, values![connection, self.now()])
            .await
            .map(drop)
    }
}

/// What is known of a run that begins.
struct Begun {
    direction: RunDirection,
    trigger: Trigger,
    resumed: bool,
}

fn parts(by: Option<RunBy>) -> (Option<String>, Option<String>) {
    by.map(|by| (by.version, by.digest)).unzip()
}

/// A count as databases keep it.
fn int(count: u64) -> Value {
    Value::from(i64::try_from(count).unwrap_or(i64::MAX))
}
