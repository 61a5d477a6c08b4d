//! How often a project wants the connections of a vertical to be read.

use std::collections::BTreeMap;

use super::{Error, Store, dialect::values};
use crate::model::{ProjectId, Scope, Timestamp};

/// 9999-12-31T23:59:59.999Z: when a sync is due that only runs when it is asked for.
pub const NEVER: Timestamp = Timestamp::from_millis(253_402_300_799_999);

impl Store {
    /// What the project chose: seconds between the end of a run and the next, by vertical; 0
    /// where nothing is read in the background.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pull_frequencies(
        &self,
        project: ProjectId,
    ) -> Result<BTreeMap<String, u32>, Error> {
        let sql = "SELECT vertical, seconds FROM pull_frequency WHERE project = $1";
        let rows = self.database().read(sql, values![project]).await?;
        rows.iter()
            .map(|row| Ok((row.text(0)?, row.number(1)?)))
            .collect()
    }

    /// What the project of a connection chose for the connection's vertical, if it did.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pull_frequency(&self, scope: &Scope) -> Result<Option<u32>, Error> {
        let sql = "SELECT seconds FROM pull_frequency WHERE project = $1 AND vertical = $2";
        let vertical = scope.connection().vertical.as_str();
        let values = values![scope.project(), vertical];
        let row = self.database().read_one(sql, values).await?;
        row.map(|row| row.number(0)).transpose()
    }

    /// Chooses for the verticals that are named, and plans anew what waits for its next run.
    /// What never ran, runs now or failed keeps its time; it follows the choice afterwards.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_pull_frequencies(
        &self,
        project: ProjectId,
        frequencies: &BTreeMap<String, u32>,
    ) -> Result<(), Error> {
        const CHOOSE: &str = "INSERT INTO pull_frequency (project, vertical, seconds)
            VALUES ($1, $2, $3)
            ON CONFLICT (project, vertical) DO UPDATE SET seconds = excluded.seconds";
        const PLAN: &str = "UPDATE sync_state
            SET next_run_at = CASE WHEN $3 = 0 THEN $4 ELSE last_finished_at + $3 * 1000 END
            WHERE connection IN (SELECT number FROM connection
                                 WHERE project = $1 AND vertical = $2 AND deleted_at IS NULL)
              AND lease_owner IS NULL AND last_status = 'completed' AND next_run_at > $5
              AND NOT EXISTS (SELECT 1 FROM sync_config own
                              WHERE own.connection = sync_state.connection
                                AND own.object = sync_state.object
                                AND own.config NOT LIKE '%\"schedule\":null%')";
        let now = self.now();
        let mut tx = self.begin().await?;
        for (vertical, seconds) in frequencies {
            let vertical = vertical.as_str();
            tx.execute(CHOOSE, values![project, vertical, *seconds])
                .await?;
            let seconds = i64::from(*seconds);
            tx.execute(PLAN, values![project, vertical, seconds, NEVER, now])
                .await?;
        }
        tx.commit().await
    }
}
