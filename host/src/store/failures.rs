//! Records that a connector cannot unify: kept with what the provider gave until it can.

use std::collections::BTreeMap;

use super::{
    Error, Store,
    dialect::{Bulk, Row, Sql, Tx, bulk, listed, values},
    syncs::shortened,
};
use crate::model::{
    FailedRecord, FailureId, ObjectKind, ProjectId, RunId, Scope, SyncFailure, Timestamp, Upsert,
};

/// Which failing records of a project.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailureFilter {
    /// Of the connection with this number only.
    pub connection: Option<u32>,
    /// Of one object only.
    pub kind: Option<ObjectKind>,
    /// Only those that this run read last.
    pub run: Option<RunId>,
    /// Only those that were noted before this one.
    pub before: Option<FailureId>,
    /// How many at most.
    pub limit: u32,
}

macro_rules! select_failures {
    ($rest:expr) => {
        concat!(
            "SELECT f.id, c.id, c.connector, f.object, f.remote_id, f.reason, f.remote,
                f.remote_version, f.remote_modified_at, f.run, f.count, f.first_seen_at,
                f.last_seen_at
             FROM sync_failure f JOIN connection c ON c.number = f.connection ",
            $rest
        )
    };
}

impl Store {
    /// Failing records of a project, the last that began to fail first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn failures(
        &self,
        project: ProjectId,
        filter: &FailureFilter,
    ) -> Result<Vec<SyncFailure>, Error> {
        const SQL: &str = select_failures!(
            "WHERE f.project = $1 AND ($2 IS NULL OR f.connection = $2)
               AND ($3 IS NULL OR f.object = $3) AND ($4 IS NULL OR f.run = $4)
               AND ($5 IS NULL OR f.id < $5)
             ORDER BY f.id DESC LIMIT $6"
        );
        let values = values![
            project,
            filter.connection.map(i64::from),
            filter.kind.map(|kind| i64::from(self.object(kind))),
            filter.run.map(|run| run.to_string()),
            filter.before.map(|failure| failure.to_string()),
            filter.limit,
        ];
        let rows = self.database().read(SQL, values).await?;
        rows.iter()
            .filter_map(|row| self.failure_from(row).transpose())
            .collect()
    }

    /// One failing record of a project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn failure(
        &self,
        project: ProjectId,
        id: FailureId,
    ) -> Result<Option<SyncFailure>, Error> {
        const SQL: &str = select_failures!("WHERE f.project = $1 AND f.id = $2");
        let values = values![project, id.to_string()];
        let row = self.database().read_one(SQL, values).await?;
        row.map_or(Ok(None), |row| self.failure_from(&row))
    }

    /// Keeps records that were read and could not be unified, in a transaction of its own.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keep_failures(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        failures: &[FailedRecord],
    ) -> Result<(), Error> {
        if failures.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        self.note_failures(&mut tx, scope, kind, None, failures)
            .await?;
        tx.commit().await
    }

    /// The same in the transaction of the page that they were on.
    pub(super) async fn note_failures(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        run: Option<RunId>,
        failures: &[FailedRecord],
    ) -> Result<(), Error> {
        const SQL: Bulk = bulk!(
            "INSERT INTO sync_failure (id, project, connection, object, remote_id, reason, remote,
                 remote_version, remote_modified_at, run, count, first_seen_at, last_seen_at)",
            ["$1" "text", "$2" "text", "$3" "bigint", "$4" "bigint", "$5" "text", "$6" "text",
             "$7" "text", "$8" "text", "$9" "bigint", "$10" "text", "$11" "bigint",
             "$12" "bigint", "$13" "bigint"],
            "ON CONFLICT (connection, object, remote_id) DO UPDATE
             SET reason = excluded.reason, remote = excluded.remote,
                 remote_version = excluded.remote_version,
                 remote_modified_at = excluded.remote_modified_at, run = excluded.run,
                 count = sync_failure.count + 1, last_seen_at = excluded.last_seen_at"
        );
        let now = self.now();
        // Of two of one id the last counts.
        let latest: BTreeMap<&str, &FailedRecord> = failures
            .iter()
            .map(|failure| (failure.remote_id.as_str(), failure))
            .collect();
        let rows = latest.into_values().map(|failure| {
            values![
                FailureId::generate(now, self.entropy()).to_string(),
                scope.project(),
                scope.connection().number,
                self.object(kind),
                failure.remote_id.as_str(),
                shortened(&failure.reason),
                super::without_nulls(&failure.remote),
                failure.remote_version.as_deref(),
                failure.remote_modified_at,
                run.map(|run| run.to_string()),
                1_i64,
                now,
                now,
            ]
        });
        tx.bulk(SQL, rows.collect()).await
    }

    /// Forgets that records failed, in the transaction that writes them.
    pub(super) async fn clear_failures(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &[Upsert],
    ) -> Result<(), Error> {
        const SQL: Sql = listed!(
            "DELETE FROM sync_failure WHERE connection = $1 AND object = $2 AND",
            "remote_id" listed "$3",
            ""
        );
        let (number, object) = (scope.connection().number, self.object(kind));
        let any = "SELECT 1 FROM sync_failure WHERE connection = $1 AND object = $2 LIMIT 1";
        // Mostly nothing fails, and this is asked for every page.
        if upserts.is_empty() || tx.row(any, values![number, object]).await?.is_none() {
            return Ok(());
        }
        let ids = upserts.iter().map(|upsert| upsert.remote_id.as_str());
        let list = serde_json::Value::from_iter(ids).to_string();
        tx.execute(SQL, values![number, object, list])
            .await
            .map(drop)
    }

    /// The failing records of a connection that is deleted are nobody's any more.
    pub(super) async fn forget_failures(&self, tx: &mut Tx, connection: u32) -> Result<(), Error> {
        let sql = "DELETE FROM sync_failure WHERE connection = $1";
        tx.execute(sql, values![connection]).await.map(drop)
    }

    /// None where this version does not know the object.
    fn failure_from(&self, row: &Row) -> Result<Option<SyncFailure>, Error> {
        let Some(kind) = self.kind(row.number(3)?) else {
            return Ok(None);
        };
        let run = row.optional_text(9)?.is_some();
        let seen: [Timestamp; 2] = [row.time(11)?, row.time(12)?];
        Ok(Some(SyncFailure {
            id: row.parsed(0)?,
            connection: row.parsed(1)?,
            connector: row.parsed(2)?,
            kind,
            record: FailedRecord {
                remote_id: row.text(4)?,
                reason: row.text(5)?,
                remote: row.text(6)?,
                remote_version: row.optional_text(7)?,
                remote_modified_at: row.optional_time(8)?,
            },
            run: run.then(|| row.parsed(9)).transpose()?,
            count: row.number(10)?,
            first_seen_at: seen[0],
            last_seen_at: seen[1],
        }))
    }
}
