//! Passes over everything of an object: what they saw, and what they ask.
//!
//! While a pass is at work or asks, every write of a record of its object notes the record as seen
//! in the same transaction: pages of the pass, of other runs, notices and writes of our own. So
//! what is left unseen is exactly what nobody heard of since the pass began. A page is one row,
//! whatever its size.

mod missing;

use super::{
    Checkpoint, ClaimedSync, Error, Store,
    dialect::{Row, Tx, values},
};
use crate::model::{
    ObjectKind, PassState, Query, Question, RecordId, Scope, StoredDocument, Timestamp, Upsert,
};

pub use missing::Missing;

/// A pass over everything of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Which of the sync's.
    pub number: i64,
    /// When the run began that it belongs to.
    pub run_started_at: Timestamp,
    /// How it stands.
    pub state: PassState,
    /// What it asks, where it does.
    pub question: Option<Question>,
}

/// What a page tells of the way through the provider's pages, beside the cursor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way<'a> {
    /// Whether the page's cursor is kept, so that it is known when it comes again.
    pub keep_cursor: bool,
    /// How far the question for what changed has come.
    pub query: Option<&'a Query>,
}

/// Ids that no pass takes for missing: somebody said so.
const KEPT: i64 = 0;

impl Store {
    /// A run begins, before its first request. What earlier runs left unfinished is forgotten; with
    /// `finds_missing`, from now on it is noted which records are seen.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the claim was lost.
    pub async fn begin_pass(
        &self,
        claimed: &ClaimedSync,
        run_started_at: Timestamp,
        finds_missing: bool,
    ) -> Result<(), Error> {
        let (connection, object) = self.place(&claimed.scope, claimed.kind);
        let mut tx = self.begin().await?;
        hold(&mut tx, claimed, object).await?;
        let sql = "UPDATE sync_state SET lap = NULL, query = NULL
                   WHERE connection = $1 AND object = $2";
        tx.execute(sql, values![connection, object]).await?;
        forget(
            &mut tx,
            (connection, object),
            [PassState::Reading, PassState::Read],
        )
        .await?;
        if finds_missing {
            let sql = "INSERT INTO full_pass (connection, object, number, run_started_at, state)
                       VALUES ($1, $2, $3, $4, 'reading')";
            let values = values![connection, object, claimed.fence, run_started_at];
            tx.execute(sql, values).await?;
        }
        tx.commit().await
    }

    /// The passes of a claimed sync, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn passes(&self, claimed: &ClaimedSync) -> Result<Vec<Pass>, Error> {
        let sql = "SELECT number, run_started_at, state, missing, stored, asked_at FROM full_pass
                   WHERE connection = $1 AND object = $2 ORDER BY number";
        let (connection, object) = self.place(&claimed.scope, claimed.kind);
        let rows = self
            .database()
            .read(sql, values![connection, object])
            .await?;
        rows.iter().map(pass_from).collect()
    }

    /// The pass of a sync that asks whether what it missed is to be deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn asking_pass(
        &self,
        scope: &Scope,
        kind: ObjectKind,
    ) -> Result<Option<Pass>, Error> {
        let sql = "SELECT number, run_started_at, state, missing, stored, asked_at FROM full_pass
                   WHERE connection = $1 AND object = $2 AND state = 'stopped'";
        let (connection, object) = self.place(scope, kind);
        let row = self.database().read_one(sql, values![connection, object]);
        row.await?.map(|row| pass_from(&row)).transpose()
    }

    /// A pass was read to its end and compared: what it missed is deleted from now on, or, with
    /// `asks`, waits for somebody. What an older pass asked is answered by this one.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the claim was lost.
    pub async fn settle_pass(
        &self,
        claimed: &ClaimedSync,
        pass: &Pass,
        found: &Missing,
        asks: bool,
    ) -> Result<Question, Error> {
        let (connection, object) = self.place(&claimed.scope, claimed.kind);
        let question = Question {
            missing: found.ids.len() as u64,
            stored: found.stored,
            asked_at: self.now(),
        };
        let mut tx = self.begin().await?;
        hold(&mut tx, claimed, object).await?;
        forget(&mut tx, (connection, object), [PassState::Stopped; 2]).await?;
        let sql = "UPDATE full_pass SET state = $4, missing = $5, stored = $6, asked_at = $7
                   WHERE connection = $1 AND object = $2 AND number = $3";
        let state = if asks {
            PassState::Stopped
        } else {
            PassState::Deleting
        };
        let values = values![
            connection,
            object,
            pass.number,
            state.as_str(),
            i64::try_from(question.missing).unwrap_or(i64::MAX),
            i64::try_from(question.stored).unwrap_or(i64::MAX),
            question.asked_at,
        ];
        tx.execute(sql, values).await?;
        tx.commit().await?;
        Ok(question)
    }

    /// Answers what a sync asks: with `delete`, its next run deletes what the pass missed;
    /// otherwise that stays, and passes take it for missing no more until the provider shows it
    /// again. False where it asks nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn answer_question(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        delete: bool,
    ) -> Result<bool, Error> {
        let sql = "UPDATE full_pass SET state = $3
                   WHERE connection = $1 AND object = $2 AND state = 'stopped'";
        let state = if delete {
            PassState::Deleting
        } else {
            PassState::Keeping
        };
        let (connection, object) = self.place(scope, kind);
        let values = values![connection, object, state.as_str()];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Ends a pass. `kept` are the records that it missed and that stay nevertheless.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the claim was lost.
    pub async fn end_pass(
        &self,
        claimed: &ClaimedSync,
        pass: &Pass,
        kept: &[RecordId],
    ) -> Result<(), Error> {
        let (connection, object) = self.place(&claimed.scope, claimed.kind);
        let mut tx = self.begin().await?;
        hold(&mut tx, claimed, object).await?;
        let seen = "DELETE FROM pass_seen
                    WHERE connection = $1 AND object = $2 AND pass IN ($3, $4)";
        let values = values![connection, object, pass.number, KEPT];
        tx.execute(seen, values).await?;
        let sql = "DELETE FROM full_pass WHERE connection = $1 AND object = $2 AND number = $3";
        tx.execute(sql, values![connection, object, pass.number])
            .await?;
        if !kept.is_empty() {
            let sql = "INSERT INTO pass_seen (connection, object, pass, ids)
                       VALUES ($1, $2, $3, $4)";
            let values = values![connection, object, KEPT, together(kept)];
            tx.execute(sql, values).await?;
        }
        tx.commit().await
    }

    /// The run at work could not be told of everything: the next one reads all, at once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn require_full(&self, claimed: &ClaimedSync) -> Result<(), Error> {
        let sql = "UPDATE sync_state SET full_next = TRUE, again = TRUE
                   WHERE connection = $1 AND object = $2 AND fence = $3
                     AND lease_owner IS NOT NULL";
        let (connection, object) = self.place(&claimed.scope, claimed.kind);
        let values = values![connection, object, claimed.fence];
        self.database().write(sql, values).await.map(drop)
    }

    /// Notes what a page tells beside its records.
    pub(super) async fn note_way(
        &self,
        tx: &mut Tx,
        checkpoint: &Checkpoint<'_>,
    ) -> Result<(), Error> {
        let ClaimedSync { scope, kind, .. } = checkpoint.claimed;
        let (connection, object) = self.place(scope, *kind);
        let way = &checkpoint.way;
        if way.keep_cursor || way.query.is_some() {
            let sql = "UPDATE sync_state
                       SET lap = CASE WHEN $3 THEN $4 ELSE lap END, query = $5
                       WHERE connection = $1 AND object = $2";
            let query = way.query.map(serde_json::to_string).transpose();
            let query = query.map_err(|error| {
                Error::Corrupt(format!("a question cannot be written: {error}"))
            })?;
            let values = values![
                connection,
                object,
                way.keep_cursor,
                checkpoint.cursor,
                query
            ];
            tx.execute(sql, values).await?;
        }
        if checkpoint.full && !checkpoint.failures.is_empty() {
            // What cannot be read is there.
            let failures = checkpoint.failures.iter();
            let ids: Vec<RecordId> = failures
                .map(|failure| self.record_id(scope, *kind, &failure.remote_id))
                .collect();
            note(tx, (connection, object), &ids).await?;
        }
        if checkpoint.full && checkpoint.cursor.is_none() {
            let sql = "UPDATE full_pass SET state = 'read'
                       WHERE connection = $1 AND object = $2 AND state = 'reading'";
            tx.execute(sql, values![connection, object]).await?;
        }
        Ok(())
    }

    /// Notes which records were seen: those that are written, with their ids.
    pub(super) async fn note_seen(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &[Upsert],
        ids: &[RecordId],
    ) -> Result<(), Error> {
        let seen: Vec<RecordId> = upserts
            .iter()
            .zip(ids)
            .filter(|(upsert, _)| !matches!(upsert.document, StoredDocument::Deleted))
            .map(|(_, id)| *id)
            .collect();
        if seen.is_empty() {
            return Ok(());
        }
        note(tx, self.place(scope, kind), &seen).await
    }

    fn place(&self, scope: &Scope, kind: ObjectKind) -> (u32, u16) {
        (scope.connection().number, self.object(kind))
    }
}

/// Makes sure that the claim holds, until the transaction ends.
async fn hold(tx: &mut Tx, claimed: &ClaimedSync, object: u16) -> Result<(), Error> {
    let sql = "UPDATE sync_state SET fence = fence
               WHERE connection = $1 AND object = $2 AND fence = $3 AND lease_owner IS NOT NULL";
    let values = values![claimed.scope.connection().number, object, claimed.fence];
    match tx.execute(sql, values).await? {
        0 => Err(Error::LeaseLost),
        _ => Ok(()),
    }
}

/// Forgets passes of a sync that stand in one of two ways, and what they saw.
async fn forget(
    tx: &mut Tx,
    (connection, object): (u32, u16),
    states: [PassState; 2],
) -> Result<(), Error> {
    let seen = "DELETE FROM pass_seen WHERE connection = $1 AND object = $2 AND pass IN (
                    SELECT number FROM full_pass
                    WHERE connection = $1 AND object = $2 AND state IN ($3, $4))";
    let passes = "DELETE FROM full_pass
                  WHERE connection = $1 AND object = $2 AND state IN ($3, $4)";
    for sql in [seen, passes] {
        let [one, other] = states.map(PassState::as_str);
        tx.execute(sql, values![connection, object, one, other])
            .await?;
    }
    Ok(())
}

/// Notes ids for every pass of a sync that there is.
async fn note(
    tx: &mut Tx,
    (connection, object): (u32, u16),
    ids: &[RecordId],
) -> Result<(), Error> {
    let sql = "INSERT INTO pass_seen (connection, object, pass, ids)
               SELECT connection, object, number, $3 FROM full_pass
               WHERE connection = $1 AND object = $2";
    tx.execute(sql, values![connection, object, together(ids)])
        .await?;
    Ok(())
}

fn together(ids: &[RecordId]) -> Vec<u8> {
    ids.iter().flat_map(|id| *id.as_bytes()).collect()
}

fn pass_from(row: &Row) -> Result<Pass, Error> {
    let question = match row.optional_time(5)? {
        Some(asked_at) => Some(Question {
            missing: row.number(3)?,
            stored: row.number(4)?,
            asked_at,
        }),
        None => None,
    };
    Ok(Pass {
        number: row.int(0)?,
        run_started_at: row.time(1)?,
        state: row.parsed_by(2, PassState::parse)?,
        question,
    })
}
