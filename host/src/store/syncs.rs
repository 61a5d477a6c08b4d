//! When each object of each connection is read next, by whom, and how far it has come.
//!
//! A claim is a lease with a fence: a number that grows with every claim. Whoever was paused past
//! the end of his lease finds another number there and can write nothing. A lease that ran out
//! while nobody wanted it is still good.

use std::time::Duration;

use serde_json::json;

use super::{
    Error, Store,
    connections::{connection_columns, scope_from},
    dialect::{Row, Sql, Tx, count, taking, values},
    events::{NewEvent, about},
};
use crate::model::{ObjectKind, Scope, Timestamp};

/// How the sync of one object of one connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The object.
    pub kind: ObjectKind,
    /// The connector's cursor to the next page of an unfinished run.
    pub cursor: Option<String>,
    /// From when the next run needs changes; none where it has to read everything.
    pub since: Option<Timestamp>,
    /// Whether everything was read at least once.
    pub full_done: bool,
    /// When the unfinished run began.
    pub run_started_at: Option<Timestamp>,
    /// When it is due.
    pub next_run_at: Timestamp,
    /// Claims since the last run that was completed.
    pub attempt: u32,
    /// Records read in this run, or in the last one.
    pub records_read: u64,
    /// Pages read in this run, or in the last one.
    pub pages: u64,
    /// `running`, `completed` or `failed`; none before the first run.
    pub last_status: Option<String>,
    /// Why the last run failed, where it did.
    pub last_error: Option<String>,
    /// When a run ended last.
    pub last_finished_at: Option<Timestamp>,
}

/// A sync that this process may run until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedSync {
    /// The connection.
    pub scope: Scope,
    /// The object.
    pub kind: ObjectKind,
    /// How it stands.
    pub state: SyncState,
    /// The number of the claim.
    pub fence: i64,
}

/// How far a run has come, saved with a page.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'a> {
    /// The claim that the page was read under.
    pub claimed: &'a ClaimedSync,
    /// The connector's cursor to the next page.
    pub cursor: Option<&'a str>,
    /// When the run began.
    pub run_started_at: Timestamp,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Everything there was has been read.
    Completed {
        /// From when the next run needs changes; none where it has to read everything.
        since: Option<Timestamp>,
    },
    /// It stopped. The next run goes on from the saved cursor.
    Failed {
        /// A sentence for people.
        error: String,
    },
}

/// The longest text of an error that is kept, in characters.
const ERROR_LENGTH: usize = 2000;

/// The columns that `state_from` reads.
macro_rules! state_columns {
    () => {
        "object, cursor, since, full_done, run_started_at, next_run_at, attempt, records_read, \
         pages, last_status, last_error, last_finished_at, fence"
    };
}

impl Store {
    /// How all syncs of a connection stand, in the manifest's order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sync_states(&self, scope: &Scope) -> Result<Vec<SyncState>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            state_columns!(),
            " FROM sync_state WHERE connection = $1 ORDER BY position, object"
        );
        let rows = self
            .database()
            .read(SQL, values![scope.connection().number])
            .await?;
        rows.iter()
            .filter_map(|row| self.state_from(row).transpose())
            .map(|state| state.map(|(state, _)| state))
            .collect()
    }

    /// Claims up to `limit` syncs that are due: of valid connections, at most one of each
    /// connection at a time, the longest due first. Each is counted as an attempt now, so that
    /// one that kills the process is counted too. `owner` is shown to people only; what protects
    /// a claim is its fence.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_syncs(
        &self,
        owner: &str,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedSync>, Error> {
        // Taking the connection's row keeps other claimers off all of its syncs.
        const CANDIDATES: Sql = taking!(
            concat!(
                "SELECT ",
                connection_columns!(),
                " FROM sync_state s JOIN connection c ON c.number = s.connection
                  WHERE s.next_run_at <= $1 AND c.status = 'valid' AND c.deleted_at IS NULL
                    AND NOT EXISTS (SELECT 1 FROM sync_state busy
                                    WHERE busy.connection = s.connection AND busy.lease_until > $1)
                    AND NOT EXISTS (SELECT 1 FROM sync_state earlier
                                    WHERE earlier.connection = s.connection
                                      AND (earlier.next_run_at, earlier.position, earlier.object)
                                          < (s.next_run_at, s.position, s.object))
                  ORDER BY s.next_run_at, s.connection LIMIT $2"
            ),
            "c"
        );
        // Looks again: another claimer may have finished between our reading and our taking.
        const CLAIM: &str = concat!(
            "UPDATE sync_state
             SET lease_owner = $2, lease_until = $3, fence = fence + 1, attempt = attempt + 1,
                 again = FALSE, last_status = 'running',
                 records_read = CASE WHEN run_started_at IS NULL THEN 0 ELSE records_read END,
                 pages = CASE WHEN run_started_at IS NULL THEN 0 ELSE pages END
             WHERE connection = $1
               AND object = (SELECT due.object FROM sync_state due
                             WHERE due.connection = $1 AND due.next_run_at <= $4
                             ORDER BY due.next_run_at, due.position, due.object LIMIT 1)
               AND NOT EXISTS (SELECT 1 FROM sync_state busy
                               WHERE busy.connection = $1 AND busy.lease_until > $4)
             RETURNING ",
            state_columns!()
        );
        let now = self.now();
        let until = now.plus(lease);
        let mut tx = self.begin().await?;
        let mut claimed = Vec::new();
        for row in tx.rows(CANDIDATES, values![now, limit]).await? {
            let scope = scope_from(&row)?;
            let values = values![scope.connection().number, owner, until, now];
            let Some(row) = tx.row(CLAIM, values).await? else {
                continue;
            };
            // An object that only a newer version knows stays claimed until the lease ends.
            let Some((state, fence)) = self.state_from(&row)? else {
                continue;
            };
            claimed.push(ClaimedSync {
                scope,
                kind: state.kind,
                state,
                fence,
            });
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Holds a claim for `lease` from now; false where it was lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew_sync(&self, claimed: &ClaimedSync, lease: Duration) -> Result<bool, Error> {
        let sql = "UPDATE sync_state SET lease_until = $4
                   WHERE connection = $1 AND object = $2 AND fence = $3
                     AND lease_owner IS NOT NULL";
        let number = claimed.scope.connection().number;
        let until = self.now().plus(lease);
        let values = values![number, self.object(claimed.kind), claimed.fence, until];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Ends a claimed run and makes the sync due again at `next_run_at`, or at once where a run
    /// was asked for meanwhile. Announces `sync.completed` or `sync.failed`. False where the
    /// claim was lost, and then nothing is written.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish_sync(
        &self,
        claimed: &ClaimedSync,
        outcome: SyncOutcome,
        next_run_at: Timestamp,
    ) -> Result<bool, Error> {
        const COMPLETED: &str = "UPDATE sync_state
            SET cursor = NULL, run_started_at = NULL, since = $6, full_done = TRUE, attempt = 0,
                last_status = 'completed', last_error = NULL, last_finished_at = $5,
                next_run_at = CASE WHEN again THEN $5 ELSE $4 END, again = FALSE,
                lease_owner = NULL, lease_until = NULL
            WHERE connection = $1 AND object = $2 AND fence = $3 AND lease_owner IS NOT NULL
            RETURNING records_read, pages";
        const FAILED: &str = "UPDATE sync_state
            SET last_status = 'failed', last_error = $6, last_finished_at = $5,
                next_run_at = CASE WHEN again THEN $5 ELSE $4 END, again = FALSE,
                lease_owner = NULL, lease_until = NULL
            WHERE connection = $1 AND object = $2 AND fence = $3 AND lease_owner IS NOT NULL
            RETURNING records_read, pages";
        let now = self.now();
        let connection = claimed.scope.connection();
        let mut data = about(&claimed.scope);
        data.insert("connection_id".into(), json!(connection.id));
        data.insert("object".into(), json!(claimed.kind.name()));
        let mut values = values![
            connection.number,
            self.object(claimed.kind),
            claimed.fence,
            next_run_at,
            now,
        ];
        let (sql, kind) = match outcome {
            SyncOutcome::Completed { since } => {
                values.push(since.into());
                (COMPLETED, "sync.completed")
            }
            SyncOutcome::Failed { error } => {
                let error: String = super::without_nulls(&error)
                    .chars()
                    .take(ERROR_LENGTH)
                    .collect();
                data.insert("error".into(), json!(error));
                values.push(error.into());
                (FAILED, "sync.failed")
            }
        };
        let mut tx = self.begin().await?;
        let Some(row) = tx.row(sql, values).await? else {
            return Ok(false);
        };
        data.insert("records_read".into(), json!(row.int(0)?));
        data.insert("pages".into(), json!(row.int(1)?));
        let event = NewEvent::new(kind.to_owned(), data);
        self.write_events(&mut tx, &claimed.scope, vec![event], now)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Makes syncs of a connection due now: those of `kinds`, or all. One that is running runs
    /// once more afterwards. How many there are.
    ///
    /// # Errors
    /// The database failed.
    pub async fn request_sync(
        &self,
        scope: &Scope,
        kinds: Option<&[ObjectKind]>,
    ) -> Result<u32, Error> {
        let number = scope.connection().number;
        let now = self.now();
        let mut tx = self.begin().await?;
        let mut requested = 0;
        match kinds {
            None => requested = make_due(&mut tx, number, now).await?,
            Some(kinds) => {
                for kind in kinds {
                    let sql = "UPDATE sync_state
                               SET again = (lease_owner IS NOT NULL),
                                   next_run_at = CASE WHEN next_run_at > $3 THEN $3
                                                      ELSE next_run_at END
                               WHERE connection = $1 AND object = $2";
                    requested += tx
                        .execute(sql, values![number, self.object(*kind), now])
                        .await?;
                }
            }
        }
        tx.commit().await?;
        Ok(u32::try_from(requested).unwrap_or(u32::MAX))
    }

    /// Adds syncs, due now, for those of `objects` that the connection does not have yet: a new
    /// version of its connector reads more.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection was deleted.
    pub async fn ensure_syncs(&self, scope: &Scope, objects: &[ObjectKind]) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        self.add_syncs(&mut tx, scope, objects, self.now()).await?;
        tx.commit().await
    }

    pub(super) async fn add_syncs(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        objects: &[ObjectKind],
        now: Timestamp,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO sync_state (connection, object, position, full_done, next_run_at,
                       again, attempt, fence, records_read, pages)
                   SELECT number, $3, $4, FALSE, $5, FALSE, 0, 0, 0, 0 FROM connection
                   WHERE number = $1 AND project = $2 AND deleted_at IS NULL
                   ON CONFLICT (connection, object) DO UPDATE SET position = excluded.position";
        for (position, kind) in objects.iter().enumerate() {
            let number = scope.connection().number;
            let values = values![
                number,
                scope.project(),
                self.object(*kind),
                count(position),
                now
            ];
            if tx.execute(sql, values).await? == 0 {
                return Err(Error::Missing("connection"));
            }
        }
        Ok(())
    }

    /// Reads [`state_columns`]; none where this version does not know the object.
    fn state_from(&self, row: &Row) -> Result<Option<(SyncState, i64)>, Error> {
        let Some(kind) = self.kind(row.number(0)?) else {
            return Ok(None);
        };
        let state = SyncState {
            kind,
            cursor: row.optional_text(1)?,
            since: row.optional_time(2)?,
            full_done: row.bool(3)?,
            run_started_at: row.optional_time(4)?,
            next_run_at: row.time(5)?,
            attempt: row.number(6)?,
            records_read: row.number(7)?,
            pages: row.number(8)?,
            last_status: row.optional_text(9)?,
            last_error: row.optional_text(10)?,
            last_finished_at: row.optional_time(11)?,
        };
        Ok(Some((state, row.int(12)?)))
    }
}

/// Makes all syncs of a connection due; how many there are.
pub(super) async fn make_due(tx: &mut Tx, connection: u32, now: Timestamp) -> Result<u64, Error> {
    let sql = "UPDATE sync_state
               SET again = (lease_owner IS NOT NULL),
                   next_run_at = CASE WHEN next_run_at > $2 THEN $2 ELSE next_run_at END
               WHERE connection = $1";
    tx.execute(sql, values![connection, now]).await
}
