//! When each object of each connection is read next, by whom, and how far it has come.
//!
//! A claim is a lease with a fence, as [`super::lease`] tells.

use std::time::Duration;

use serde_json::json;

use super::{
    Error, Store,
    connections::{connection_columns, scope_from},
    dialect::{Row, Sql, Tx, count, values},
    events::{NewEvent, about},
    lease::{self, clocked, clocked_taking},
    passes::Way,
    sync_config,
};
use crate::model::{
    ErrorClass, FailedRecord, ObjectKind, Query, Question, RunEnd, RunError, RunId, RunStatus,
    Schedule, Scope, SyncConfig, Timestamp, Trigger, Usage,
};

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
    /// Claims since the last page that was written, or the last run that was completed.
    pub attempt: u32,
    /// Records read in this run, or in the last one.
    pub records_read: u64,
    /// Pages read in this run, or in the last one.
    pub pages: u64,
    /// `running`, `rate_limited`, `completed` or `failed`; none before the first run.
    pub last_status: Option<String>,
    /// Why the last run failed, where it did.
    pub last_error: Option<String>,
    /// When a run ended last.
    pub last_finished_at: Option<Timestamp>,
    /// Whether nobody claims it until it is resumed.
    pub paused: bool,
    /// Whether the run at work reads everything; known from its first page on.
    pub run_full: bool,
    /// Whether the next run that begins reads everything.
    pub full_next: bool,
    /// Runs that were completed since the last one that read everything.
    pub runs_since_full: u32,
    /// Why the next run is made, or the one at work was.
    pub trigger: Trigger,
    /// Since when a run that failed too often waits for the schedule.
    pub given_up_at: Option<Timestamp>,
    /// A cursor of the run at work that must not come again.
    pub lap: Option<String>,
    /// How far the run's question for what changed has come, where the provider answers only so
    /// much.
    pub query: Option<Query>,
    /// What it asks: whether the records that a pass missed are to be deleted.
    pub question: Option<Question>,
    /// What it is told to do.
    pub config: SyncConfig,
    /// The last run that was begun.
    pub run: Option<RunId>,
}

impl SyncState {
    /// The words of [`Self::status`].
    pub const STATUSES: [&str; 9] = [
        "waiting",
        "running",
        "rate_limited",
        "completed",
        "cancelled",
        "failed",
        "given_up",
        "stopped",
        "paused",
    ];

    /// How it stands, in a word: `waiting` before the first run, `rate_limited` where the provider
    /// lets it go on at `next_run_at`, `failed` where it is tried again soon, `given_up` where it
    /// waits for the schedule or for somebody to ask, `cancelled` where somebody ended its run,
    /// `stopped` where it asks whether records are to be deleted.
    #[must_use]
    pub fn status(&self) -> &'static str {
        let last = self.last_status.as_deref();
        if self.paused {
            "paused"
        } else if self.question.is_some() {
            "stopped"
        } else if last == Some("failed") && self.given_up_at.is_some() {
            "given_up"
        } else {
            let known = Self::STATUSES.into_iter();
            known
                .rev()
                .find(|word| last == Some(*word))
                .unwrap_or("waiting")
        }
    }
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
    /// The run that it is about.
    pub run: RunId,
    /// What the calls made for it use.
    pub usage: Usage,
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
    /// Whether it reads everything.
    pub full: bool,
    /// The way that it took.
    pub way: Way<'a>,
    /// What [`Store::reading`] gave when the page's reading began.
    pub as_of: Timestamp,
    /// Records of the page that could not be unified.
    pub failures: &'a [FailedRecord],
    /// How many records the run is going to read, where the provider says so.
    pub total: Option<u64>,
}

/// What became of a claim that was to be held longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It holds.
    Held,
    /// It holds, but the sync was paused: its holder finishes the page and releases it.
    Paused,
    /// Somebody else has it.
    Lost,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Everything there was has been read.
    Completed {
        /// From when the next run needs changes; none where it has to read everything.
        since: Option<Timestamp>,
    },
    /// Everything was read, and somebody is asked whether what the provider no longer has is to be
    /// deleted.
    Stopped {
        /// From when the next run needs changes.
        since: Option<Timestamp>,
        /// What is asked.
        question: Question,
    },
    /// It stopped. The next run goes on from the saved cursor.
    Failed {
        /// Why.
        error: RunError,
    },
    /// It failed too often, or for good: it waits for the schedule's next time.
    GivenUp {
        /// Why.
        error: RunError,
        /// Whether the next run begins at the first page, for going on from the saved cursor
        /// would fail again.
        restart: bool,
    },
    /// Its process was stopped in the middle of every attempt: as where it failed too often, and
    /// the next run begins at the first page.
    Interrupted {
        /// Why.
        error: RunError,
    },
}

/// The longest text of an error that is kept, in characters.
const ERROR_LENGTH: usize = 2000;

/// The columns that `state_from` reads.
macro_rules! state_columns {
    () => {
        "object, cursor, since, full_done, run_started_at, next_run_at, attempt, records_read, \
         pages, last_status, last_error, last_finished_at, fence, paused, run_full, \
         full_next, runs_since_full, trigger, given_up_at, lap, query, \
         (SELECT asked.missing FROM full_pass asked WHERE asked.connection = sync_state.connection \
          AND asked.object = sync_state.object AND asked.state = 'stopped'), \
         (SELECT asked.stored FROM full_pass asked WHERE asked.connection = sync_state.connection \
          AND asked.object = sync_state.object AND asked.state = 'stopped'), \
         (SELECT asked.asked_at FROM full_pass asked WHERE asked.connection = sync_state.connection \
          AND asked.object = sync_state.object AND asked.state = 'stopped'), \
         (SELECT told.config FROM sync_config told
          WHERE told.connection = sync_state.connection AND told.object = sync_state.object), \
         sync_state.run"
    };
}
pub(super) use state_columns;

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
            .filter_map(|row| self.state_from(row, 0).transpose())
            .map(|state| state.map(|(state, _)| state))
            .collect()
    }

    /// Claims up to `limit` syncs that are due: of valid connections, none that is paused, at most
    /// one of each connection at a time. Projects take turns: the one with the fewest runs at work
    /// first, whatever others have waiting. Within a project what was asked for by hand goes first,
    /// then the longest due. Each is counted as an attempt now, so that one that kills the process
    /// is counted too. `owner` is shown to people only; what protects a claim is its fence.
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
        const CANDIDATES: Sql = clocked_taking!("c":
            "WITH running AS (
                 SELECT owner.project AS project, COUNT(*) AS runs
                 FROM sync_state held JOIN connection owner ON owner.number = held.connection
                 WHERE held.lease_owner IS NOT NULL AND held.lease_until > " now "
                 GROUP BY owner.project),
             due AS (
                 SELECT s.connection, own.project, s.next_run_at,
                        CASE WHEN s.trigger = 'manual' THEN 0 ELSE 1 END AS rank,
                        ROW_NUMBER() OVER (
                            PARTITION BY s.connection
                            ORDER BY CASE WHEN s.trigger = 'manual' THEN 0 ELSE 1 END,
                                     s.next_run_at, s.position, s.object) AS turn
                 FROM sync_state s JOIN connection own ON own.number = s.connection
                 WHERE s.next_run_at <= $1 AND NOT s.paused
                   AND own.status = 'valid' AND own.deleted_at IS NULL
                   AND NOT EXISTS (SELECT 1 FROM sync_state busy
                                   WHERE busy.connection = s.connection
                                     AND busy.lease_until > " now ")),
             fair AS (
                 SELECT due.connection, due.rank, due.next_run_at,
                        COALESCE(running.runs, 0) + ROW_NUMBER() OVER (
                            PARTITION BY due.project
                            ORDER BY due.rank, due.next_run_at, due.connection) AS share
                 FROM due LEFT JOIN running ON running.project = due.project
                 WHERE due.turn = 1)
             SELECT " [connection_columns!()] "
             FROM fair JOIN connection c ON c.number = fair.connection
             ORDER BY fair.share, fair.rank, fair.next_run_at, c.number LIMIT $2"
        );
        // Looks again: another claimer may have finished between our reading and our taking.
        const CLAIM: Sql = clocked!(
            "UPDATE sync_state
             SET lease_owner = $2, lease_until = " now " + $3, fence = fence + 1,
                 attempt = attempt + 1, again = FALSE, last_status = 'running',
                 records_read = CASE WHEN run_started_at IS NULL THEN 0 ELSE records_read END,
                 pages = CASE WHEN run_started_at IS NULL THEN 0 ELSE pages END
             WHERE connection = $1
               AND object = (SELECT due.object FROM sync_state due
                             WHERE due.connection = $1 AND due.next_run_at <= $4
                               AND NOT due.paused
                             ORDER BY CASE WHEN due.trigger = 'manual' THEN 0 ELSE 1 END,
                                      due.next_run_at, due.position, due.object LIMIT 1)
               AND NOT EXISTS (SELECT 1 FROM sync_state busy
                               WHERE busy.connection = $1 AND busy.lease_until > " now ")
             RETURNING " [state_columns!()]
        );
        let now = self.now();
        let mut tx = self.begin().await?;
        let mut claimed = Vec::new();
        for row in tx.rows(CANDIDATES, values![now, limit]).await? {
            let scope = scope_from(&row)?;
            let number = scope.connection().number;
            let values = values![number, owner, lease::millis(lease), now];
            let Some(row) = tx.row(CLAIM, values).await? else {
                continue;
            };
            // An object that only a newer version knows stays claimed until the lease ends.
            let Some((state, fence)) = self.state_from(&row, 0)? else {
                continue;
            };
            let mut claim = ClaimedSync {
                scope,
                kind: state.kind,
                run: RunId::generate(now, self.entropy()),
                usage: Usage::default(),
                state,
                fence,
            };
            if self.may_begin(&mut tx, &claim, now).await? {
                claim.run = self.begin_run(&mut tx, &claim, now).await?;
                claimed.push(claim);
            }
        }
        if claimed.is_empty() {
            tx.commit().await?;
            return Ok(claimed);
        }
        fault_point!("sync.claiming");
        tx.commit().await?;
        fault_point!("sync.claimed");
        Ok(claimed)
    }

    /// Takes the slot of a run that its cron schedule begins. Where another host had it before,
    /// the claim is undone and the sync waits for the next slot.
    async fn may_begin(
        &self,
        tx: &mut Tx,
        claim: &ClaimedSync,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let state = &claim.state;
        let begins = state.trigger == Trigger::Schedule
            && state.attempt == 1
            && state.run_started_at.is_none();
        let Some(schedule @ Schedule::Cron { .. }) = &state.config.schedule else {
            return Ok(true);
        };
        if !begins {
            return Ok(true);
        }
        let (number, object) = (claim.scope.connection().number, self.object(claim.kind));
        let slot = state.next_run_at;
        if self.take_slot(tx, number, object, slot).await? {
            return Ok(true);
        }
        let sql = "UPDATE sync_state
                   SET next_run_at = $3, attempt = 0, lease_owner = NULL, lease_until = NULL,
                       last_status = CASE WHEN last_finished_at IS NULL THEN NULL
                                          WHEN last_error IS NULL THEN 'completed'
                                          ELSE 'failed' END
                   WHERE connection = $1 AND object = $2";
        let next = sync_config::planned(schedule, now.max(slot));
        tx.execute(sql, values![number, object, next]).await?;
        Ok(false)
    }

    /// Holds a claim for `lease` from now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew_sync(
        &self,
        claimed: &ClaimedSync,
        lease: Duration,
    ) -> Result<Renewal, Error> {
        const SQL: Sql = clocked!(
            "UPDATE sync_state SET lease_until = " now " + $4
             WHERE connection = $1 AND object = $2 AND fence = $3 AND lease_owner IS NOT NULL
             RETURNING paused"
        );
        let number = claimed.scope.connection().number;
        let lease = lease::millis(lease);
        let values = values![number, self.object(claimed.kind), claimed.fence, lease];
        let mut tx = self.begin().await?;
        let row = tx.row(SQL, values).await?;
        tx.commit().await?;
        Ok(match row.map(|row| row.bool(0)).transpose()? {
            Some(false) => Renewal::Held,
            Some(true) => Renewal::Paused,
            None => Renewal::Lost,
        })
    }

    /// Gives a claim back in the middle of its run: at once somebody else, or whoever gives it
    /// back, can go on after the last page that was written. It goes to the end of the queue. The
    /// claim counts as no attempt, unless it wrote no page of a new run. Nothing is written where
    /// the claim was lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn release_sync(&self, claimed: &ClaimedSync) -> Result<(), Error> {
        let sql = "UPDATE sync_state
                   SET lease_owner = NULL, lease_until = NULL, next_run_at = $4,
                       attempt = CASE WHEN run_started_at IS NULL THEN attempt
                                      ELSE attempt - 1 END
                   WHERE connection = $1 AND object = $2 AND fence = $3
                     AND lease_owner IS NOT NULL";
        let number = claimed.scope.connection().number;
        let object = self.object(claimed.kind);
        let values = values![number, object, claimed.fence, self.now()];
        self.database().write(sql, values).await?;
        Ok(())
    }

    /// Gives back all that `owner` has claimed, which ends and writes nothing more: a write of its
    /// that is on the way comes too late. How many there were.
    ///
    /// # Errors
    /// The database failed.
    pub async fn release_syncs_of(&self, owner: &str) -> Result<u64, Error> {
        let sql = "UPDATE sync_state
                   SET lease_owner = NULL, lease_until = NULL, fence = fence + 1, next_run_at = $2
                   WHERE lease_owner = $1";
        self.database().write(sql, values![owner, self.now()]).await
    }

    /// Ends a claimed run and makes the sync due again at `next_run_at`, or at once where a run
    /// was asked for meanwhile. Announces `sync.completed`, `sync.stopped` or `sync.failed`, and
    /// writes the end into the sync log. False where the claim was lost, and then nothing is
    /// written.
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
                runs_since_full = CASE WHEN run_full THEN 0 ELSE runs_since_full + 1 END,
                run_full = FALSE, given_up_at = NULL,
                trigger = CASE WHEN again THEN trigger ELSE 'schedule' END,
                last_status = 'completed', last_error = NULL, last_finished_at = $5,
                next_run_at = CASE WHEN again THEN $5 ELSE $4 END, again = FALSE,
                lease_owner = NULL, lease_until = NULL
            WHERE connection = $1 AND object = $2 AND fence = $3 AND lease_owner IS NOT NULL
            RETURNING records_read, pages";
        const FAILED: &str = "UPDATE sync_state
            SET last_status = 'failed', last_error = $6, last_finished_at = $5,
                trigger = CASE WHEN again THEN trigger ELSE 'retry' END,
                next_run_at = CASE WHEN again THEN $5 ELSE $4 END, again = FALSE,
                lease_owner = NULL, lease_until = NULL
            WHERE connection = $1 AND object = $2 AND fence = $3 AND lease_owner IS NOT NULL
            RETURNING records_read, pages, paused";
        const GIVEN_UP: &str = "UPDATE sync_state
            SET last_status = 'failed', last_error = $6, last_finished_at = $5, given_up_at = $5,
                attempt = 0, full_next = (full_next OR (run_full AND $7)),
                run_full = (run_full AND NOT $7),
                cursor = CASE WHEN $7 THEN NULL ELSE cursor END,
                run_started_at = CASE WHEN $7 THEN NULL ELSE run_started_at END,
                trigger = CASE WHEN again THEN trigger ELSE 'schedule' END,
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
        data.insert("run_id".into(), json!(claimed.run));
        let mut stopped = None;
        let (status, error, restart) = match outcome {
            SyncOutcome::Completed { since } => {
                values.push(since.into());
                (RunStatus::Completed, None, None)
            }
            SyncOutcome::Stopped { since, question } => {
                let sentence = question.sentence();
                data.insert("missing".into(), json!(question.missing));
                data.insert("stored".into(), json!(question.stored));
                data.insert("message".into(), json!(sentence));
                values.push(since.into());
                stopped = Some(RunError::new(ErrorClass::Guard, sentence));
                (RunStatus::Stopped, None, None)
            }
            SyncOutcome::Failed { error } => (RunStatus::Retrying, Some(error), None),
            SyncOutcome::GivenUp { error, restart } => {
                (RunStatus::Failed, Some(error), Some(restart))
            }
            SyncOutcome::Interrupted { error } => (RunStatus::Interrupted, Some(error), Some(true)),
        };
        if let Some(error) = &error {
            let message = shortened(&error.message);
            data.insert("error".into(), json!(message));
            data.insert("error_class".into(), json!(error.class));
            values.push(message.into());
        }
        if let Some(restart) = restart {
            data.insert("given_up".into(), json!(true));
            let sentence = connection.sync_given_up(claimed.kind);
            data.insert("customer_message".into(), json!(sentence));
            values.push(restart.into());
        }
        let (sql, kind) = match (status, restart) {
            (RunStatus::Completed, _) => (COMPLETED, "sync.completed"),
            (RunStatus::Stopped, _) => (COMPLETED, "sync.stopped"),
            (_, None) => (FAILED, "sync.failed"),
            (_, Some(_)) => (GIVEN_UP, "sync.failed"),
        };
        let retry_at = (status == RunStatus::Retrying).then_some(next_run_at);
        let mut tx = self.begin().await?;
        let Some(row) = tx.row(sql, values).await? else {
            return Ok(false);
        };
        data.insert("records_read".into(), json!(row.int(0)?));
        data.insert("pages".into(), json!(row.int(1)?));
        self.count_rest(&mut tx, claimed).await?;
        let error = error.or(stopped);
        // Nobody tries again what was paused meanwhile.
        let paused = status == RunStatus::Retrying && row.bool(2)?;
        let (status, retry_at) = match paused {
            true => (RunStatus::Cancelled, None),
            false => (status, retry_at),
        };
        let end = RunEnd { status, error };
        self.end_run(&mut tx, claimed.run, &end, retry_at).await?;
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
                               SET again = (lease_owner IS NOT NULL), trigger = 'manual',
                                   given_up_at = NULL,
                                   attempt = CASE WHEN lease_owner IS NULL THEN 0
                                                  ELSE attempt END,
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
                       again, attempt, fence, records_read, pages, trigger)
                   SELECT number, $3, $4, FALSE, $5, FALSE, 0, 0, 0, 0, 'initial' FROM connection
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

    /// Reads [`state_columns`] from column `first` on, with the fence; none where this version
    /// does not know the object.
    pub(super) fn state_from(
        &self,
        row: &Row,
        first: usize,
    ) -> Result<Option<(SyncState, i64)>, Error> {
        let Some(kind) = self.kind(row.number(first)?) else {
            return Ok(None);
        };
        let state = SyncState {
            kind,
            cursor: row.optional_text(first + 1)?,
            since: row.optional_time(first + 2)?,
            full_done: row.bool(first + 3)?,
            run_started_at: row.optional_time(first + 4)?,
            next_run_at: row.time(first + 5)?,
            attempt: row.number(first + 6)?,
            records_read: row.number(first + 7)?,
            pages: row.number(first + 8)?,
            last_status: row.optional_text(first + 9)?,
            last_error: row.optional_text(first + 10)?,
            last_finished_at: row.optional_time(first + 11)?,
            paused: row.bool(first + 13)?,
            run_full: row.bool(first + 14)?,
            full_next: row.bool(first + 15)?,
            runs_since_full: row.number(first + 16)?,
            trigger: row.parsed_by(first + 17, Trigger::parse)?,
            given_up_at: row.optional_time(first + 18)?,
            lap: row.optional_text(first + 19)?,
            query: query_from(row.optional_text(first + 20)?)?,
            question: match row.optional_time(first + 23)? {
                Some(asked_at) => Some(Question {
                    missing: row.number(first + 21)?,
                    stored: row.number(first + 22)?,
                    asked_at,
                }),
                None => None,
            },
            config: sync_config::parse(row.optional_text(first + 24)?)?,
            run: row
                .optional_text(first + 25)?
                .and_then(|text| text.parse().ok()),
        };
        Ok(Some((state, row.int(first + 12)?)))
    }
}

fn query_from(text: Option<String>) -> Result<Option<Query>, Error> {
    let query = text.map(|text| serde_json::from_str(&text));
    query
        .transpose()
        .map_err(|error| Error::Corrupt(format!("the question of a run: {error}")))
}

/// A sentence as it is kept.
pub(super) fn shortened(error: &str) -> String {
    super::without_nulls(error)
        .chars()
        .take(ERROR_LENGTH)
        .collect()
}

/// Makes all syncs of a connection due; how many there are.
pub(super) async fn make_due(tx: &mut Tx, connection: u32, now: Timestamp) -> Result<u64, Error> {
    let sql = "UPDATE sync_state
               SET again = (lease_owner IS NOT NULL), trigger = 'manual', given_up_at = NULL,
                   attempt = CASE WHEN lease_owner IS NULL THEN 0 ELSE attempt END,
                   next_run_at = CASE WHEN next_run_at > $2 THEN $2 ELSE next_run_at END
               WHERE connection = $1";
    tx.execute(sql, values![connection, now]).await
}
