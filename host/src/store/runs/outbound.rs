//! Outbound runs: the changes of one object of one connection that are pushed one soon after the
//! other.

use std::time::Duration;

use super::Begun;
use crate::{
    model::{
        ChangeState, Push, RunCounts, RunDirection, RunError, RunId, Scope, Timestamp, Trigger,
    },
    store::{
        ClaimedChange, Error, Store,
        dialect::{Tx, values},
    },
};

/// How long after its last push a run still takes in changes that come.
const QUIET: Duration = Duration::from_secs(2);
/// How long a run takes in changes at most, so that it can be looked at, and taken back.
const LONGEST: Duration = Duration::from_secs(10 * 60);

impl Store {
    /// The run for changes of an object of a connection that are claimed now.
    pub(in crate::store) async fn outbound_run(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        object: u16,
        trigger: Trigger,
        now: Timestamp,
    ) -> Result<RunId, Error> {
        let sql = "SELECT id FROM sync_run
                   WHERE connection = $1 AND object = $2 AND direction = 'outbound'
                     AND finished_at IS NULL AND started_at > $3 AND (trigger = 'undo') = $4
                   ORDER BY id DESC LIMIT 1";
        let since = now.minus(LONGEST);
        let number = scope.connection().number;
        let values = values![number, object, since, trigger == Trigger::Undo];
        if let Some(row) = tx.row(sql, values).await? {
            return row.parsed(0);
        }
        let begun = Begun {
            direction: RunDirection::Outbound,
            trigger,
            resumed: false,
        };
        self.insert_run(tx, scope, object, begun, now).await
    }

    /// Ends the outbound runs of which nothing is under way any more.
    pub(in crate::store) async fn end_quiet_runs(
        &self,
        tx: &mut Tx,
        now: Timestamp,
    ) -> Result<(), Error> {
        let sql = "UPDATE sync_run
                   SET status = CASE WHEN error IS NULL THEN 'completed' ELSE 'failed' END,
                       finished_at = $1, updated_at = $1
                   WHERE direction = 'outbound' AND finished_at IS NULL AND updated_at <= $2
                     AND NOT EXISTS (SELECT 1 FROM change
                                     WHERE change.run = sync_run.id
                                       AND change.state = 'pushing')";
        tx.execute(sql, values![now, now.minus(QUIET)])
            .await
            .map(drop)
    }

    /// Counts a push that the provider took, in the transaction that writes it down.
    pub(in crate::store) async fn count_push(
        &self,
        tx: &mut Tx,
        claimed: &ClaimedChange,
        push: &Push,
        state: ChangeState,
    ) -> Result<(), Error> {
        let of = |is: bool| u64::from(is);
        let counts = RunCounts {
            created: of(matches!(push, Push::Create(_))),
            updated: of(matches!(push, Push::Update(_))),
            deleted: of(matches!(push, Push::Delete)),
            pushed: 1,
            conflicts: of(state == ChangeState::Conflict),
            ..RunCounts::default()
        };
        self.count_change(tx, claimed, &counts, None).await
    }

    /// Counts a push that came to nothing; `given_up` where it is not tried again.
    pub(in crate::store) async fn count_failed_push(
        &self,
        tx: &mut Tx,
        claimed: &ClaimedChange,
        error: &RunError,
        given_up: bool,
    ) -> Result<(), Error> {
        let counts = RunCounts {
            failed: u64::from(given_up),
            ..RunCounts::default()
        };
        self.count_change(tx, claimed, &counts, Some(error)).await
    }

    async fn count_change(
        &self,
        tx: &mut Tx,
        claimed: &ClaimedChange,
        counts: &RunCounts,
        error: Option<&RunError>,
    ) -> Result<(), Error> {
        let Some(run) = claimed.change.run else {
            return Ok(());
        };
        self.add_counts(tx, run, counts).await?;
        let (used, by) = (claimed.usage.used(), claimed.usage.made_by());
        self.note_usage(tx, run, used, by).await?;
        match error {
            Some(error) => self.note_error(tx, run, error).await,
            None => Ok(()),
        }
    }
}
