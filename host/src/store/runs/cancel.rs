//! A run that somebody ends.

use std::time::Duration;

use crate::{
    model::{Run, RunEnd, RunStatus, Scope},
    store::{Error, Store, dialect::values, planned},
};

impl Store {
    /// Ends a run that reads from the provider: at work, waiting for a worker, or for its next
    /// attempt. What it has written stays, and its place among the provider's pages too: the next
    /// run goes on there, when it is due by the schedule or was asked for. Whoever works on it has
    /// lost its claim, and can write nothing more. `interval` holds where the project chose no time
    /// between runs. False where the run is over.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cancel_run(
        &self,
        scope: &Scope,
        run: &Run,
        interval: Duration,
    ) -> Result<bool, Error> {
        const CANCEL: &str = "UPDATE sync_state
            SET fence = fence + 1, lease_owner = NULL, lease_until = NULL, attempt = 0,
                last_status = 'cancelled', last_error = NULL, last_finished_at = $4,
                given_up_at = NULL, trigger = CASE WHEN again THEN trigger ELSE 'schedule' END,
                next_run_at = CASE WHEN again THEN $4 ELSE $5 END, again = FALSE
            WHERE connection = $1 AND object = $2 AND run = $3
              AND EXISTS (SELECT 1 FROM sync_run WHERE id = $3 AND finished_at IS NULL)";
        let config = self.sync_config(scope, run.kind).await?;
        let schedule = self.schedule_of(scope, &config, interval).await?;
        let now = self.now();
        let values = values![
            scope.connection().number,
            self.object(run.kind),
            run.id.to_string(),
            now,
            planned(&schedule, now),
        ];
        let mut tx = self.begin().await?;
        if tx.execute(CANCEL, values).await? == 0 {
            return Ok(false);
        }
        let end = RunEnd {
            status: RunStatus::Cancelled,
            error: None,
        };
        self.end_run(&mut tx, run.id, &end, None).await?;
        tx.commit().await?;
        Ok(true)
    }
}
