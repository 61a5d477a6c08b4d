//! What syncs are told to do, pausing them, and the times of their schedules.

use std::time::Duration;

use super::{
    Error, NEVER, Store, SyncState,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::{Tx, values},
    syncs::state_columns,
};
use crate::model::{
    Connection, ConnectionId, ObjectKind, ProjectId, Schedule, Scope, SyncConfig, Timestamp,
    Trigger,
};

/// How long slots that were taken are kept: longer than clocks disagree.
const SLOTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which syncs of a project.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyncFilter {
    /// Of one connection only.
    pub connection: Option<ConnectionId>,
    /// Of one object only.
    pub object: Option<ObjectKind>,
    /// Those only that stand so, as [`SyncState::status`] says.
    pub status: Option<&'static str>,
    /// From the one after these numbers of a connection and of an object.
    pub after: (u32, u16),
}

impl Store {
    /// What the sync of an object does; the default where nothing was said.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sync_config(&self, scope: &Scope, kind: ObjectKind) -> Result<SyncConfig, Error> {
        let sql = "SELECT config FROM sync_config WHERE connection = $1 AND object = $2";
        let values = values![scope.connection().number, self.object(kind)];
        let row = self.database().read_one(sql, values).await?;
        parse(row.map(|row| row.text(0)).transpose()?)
    }

    /// Says what the sync of an object does from now on. Where it waits for its schedule, it
    /// waits until `next_run_at` instead; what runs, failed or was asked for goes on as it is and
    /// follows the new schedule afterwards.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection has no such sync.
    pub async fn set_sync_config(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        config: &SyncConfig,
        next_run_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        const SAVE: &str = "INSERT INTO sync_config (connection, object, config, modified_at)
            SELECT connection, object, $3, $4 FROM sync_state
            WHERE connection = $1 AND object = $2
            ON CONFLICT (connection, object)
            DO UPDATE SET config = excluded.config, modified_at = excluded.modified_at";
        const PLAN: &str = "UPDATE sync_state SET next_run_at = $3
            WHERE connection = $1 AND object = $2 AND trigger = 'schedule'
              AND lease_owner IS NULL AND run_started_at IS NULL";
        let text = serde_json::to_string(config).map_err(|error| {
            Error::Corrupt(format!("a configuration cannot be written: {error}"))
        })?;
        let (number, object) = (scope.connection().number, self.object(kind));
        let mut tx = self.begin().await?;
        let saved = tx
            .execute(SAVE, values![number, object, text, self.now()])
            .await?;
        if saved == 0 {
            return Err(Error::Missing("sync"));
        }
        if let Some(next) = next_run_at {
            tx.execute(PLAN, values![number, object, next]).await?;
        }
        tx.commit().await
    }

    /// When a sync runs by itself: as it is configured, else as the project chose for its
    /// vertical, else every `interval`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn schedule_of(
        &self,
        scope: &Scope,
        config: &SyncConfig,
        interval: Duration,
    ) -> Result<Schedule, Error> {
        if let Some(schedule) = &config.schedule {
            return Ok(schedule.clone());
        }
        Ok(match self.pull_frequency(scope).await? {
            Some(0) => Schedule::Manual {},
            Some(seconds) => Schedule::Interval {
                seconds: seconds.into(),
            },
            None => Schedule::Interval {
                seconds: interval.as_secs(),
            },
        })
    }

    /// Pauses a sync: the page at work is finished, and nobody claims it until it is resumed. The
    /// run that it is in the middle of is over; what is left of it is another run's.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection has no such sync.
    pub async fn pause_sync(&self, scope: &Scope, kind: ObjectKind) -> Result<(), Error> {
        let sql = "UPDATE sync_state SET paused = TRUE WHERE connection = $1 AND object = $2";
        let (number, object) = (scope.connection().number, self.object(kind));
        let mut tx = self.begin().await?;
        found(tx.execute(sql, values![number, object]).await?)?;
        let sql = "UPDATE sync_run
                   SET status = 'cancelled', next_attempt_at = NULL, finished_at = $3,
                       updated_at = $3
                   WHERE id = (SELECT run FROM sync_state WHERE connection = $1 AND object = $2)
                     AND finished_at IS NULL";
        tx.execute(sql, values![number, object, self.now()]).await?;
        tx.commit().await
    }

    /// Lets a paused sync go on: in the middle of its run where it was, at once, or when it is
    /// due.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection has no such sync.
    pub async fn resume_sync(&self, scope: &Scope, kind: ObjectKind) -> Result<(), Error> {
        let sql = "UPDATE sync_state
                   SET paused = FALSE,
                       next_run_at = CASE WHEN run_started_at IS NOT NULL AND next_run_at > $3
                                          THEN $3 ELSE next_run_at END
                   WHERE connection = $1 AND object = $2";
        let (number, object) = (scope.connection().number, self.object(kind));
        let now = self.now();
        let mut tx = self.begin().await?;
        // Whoever reads its last page has not seen the pause: the run was never over.
        let at_work = "UPDATE sync_run
                       SET status = 'running', finished_at = NULL, updated_at = $3
                       WHERE status = 'cancelled'
                         AND id = (SELECT run FROM sync_state
                                   WHERE connection = $1 AND object = $2 AND paused
                                     AND lease_owner IS NOT NULL)";
        tx.execute(at_work, values![number, object, now]).await?;
        found(tx.execute(sql, values![number, object, now]).await?)?;
        tx.commit().await
    }

    /// Makes one sync due now, because of `trigger`; where `full`, its next run reads everything.
    /// One that is at work runs once more afterwards. It is tried again even where it was given
    /// up.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection has no such sync.
    pub async fn request_run(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        trigger: Trigger,
        full: bool,
    ) -> Result<(), Error> {
        let sql = "UPDATE sync_state
                   SET again = (lease_owner IS NOT NULL), trigger = $4, given_up_at = NULL,
                       attempt = CASE WHEN lease_owner IS NULL THEN 0 ELSE attempt END,
                       full_next = (full_next OR $5),
                       next_run_at = CASE WHEN next_run_at > $3 THEN $3 ELSE next_run_at END
                   WHERE connection = $1 AND object = $2";
        let number = scope.connection().number;
        let trigger = trigger.as_str();
        let values = values![number, self.object(kind), self.now(), trigger, full];
        found(self.database().write(sql, values).await?)
    }

    /// Syncs of a project with their connections, in the order of connections, and the place
    /// after the last of them, where there are more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn syncs(
        &self,
        project: ProjectId,
        filter: SyncFilter,
        limit: u32,
    ) -> Result<(Vec<(Connection, SyncState)>, Option<(u32, u16)>), Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            ", ",
            state_columns!(),
            " FROM sync_state JOIN connection c ON c.number = sync_state.connection
              WHERE c.project = $1 AND c.deleted_at IS NULL
                AND (sync_state.connection, sync_state.object) > ($2, $3)
                AND ($4 = '' OR c.id = $4) AND ($5 = 0 OR sync_state.object = $5)
                AND ($7 = '' OR $7 = CASE
                     WHEN paused THEN 'paused'
                     WHEN EXISTS (SELECT 1 FROM full_pass asked
                                  WHERE asked.connection = sync_state.connection
                                    AND asked.object = sync_state.object
                                    AND asked.state = 'stopped') THEN 'stopped'
                     WHEN last_status = 'failed' AND given_up_at IS NOT NULL THEN 'given_up'
                     ELSE COALESCE(last_status, 'waiting') END)
              ORDER BY sync_state.connection, sync_state.object LIMIT $6"
        );
        let id = filter.connection.map(|id| id.to_string());
        let object = filter.object.map_or(0, |kind| self.object(kind));
        let (connection, after) = filter.after;
        let values = values![
            project,
            connection,
            after,
            id.unwrap_or_default(),
            object,
            limit.saturating_add(1),
            filter.status.unwrap_or_default(),
        ];
        let rows = self.database().read(SQL, values).await?;
        let (mut syncs, mut last) = (Vec::new(), filter.after);
        for row in rows.iter().take(limit as usize) {
            let connection = scope_from(row)?.connection().clone();
            last = (connection.number, row.number(CONNECTION_COLUMNS)?);
            // An object that only a newer version knows is that version's matter.
            if let Some((state, _)) = self.state_from(row, CONNECTION_COLUMNS)? {
                syncs.push((connection, state));
            }
        }
        Ok((syncs, (rows.len() > limit as usize).then_some(last)))
    }

    /// Takes a time of a cron schedule; false where somebody had it before.
    pub(super) async fn take_slot(
        &self,
        tx: &mut Tx,
        connection: u32,
        object: u16,
        slot: Timestamp,
    ) -> Result<bool, Error> {
        let sql = "DELETE FROM sync_slot WHERE connection = $1 AND object = $2 AND slot_at < $3";
        let before = slot.minus(SLOTS_KEPT);
        tx.execute(sql, values![connection, object, before]).await?;
        let sql = "INSERT INTO sync_slot (connection, object, slot_at) VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING";
        Ok(tx.execute(sql, values![connection, object, slot]).await? > 0)
    }
}

/// A stored configuration; the default where there is none.
pub(super) fn parse(text: Option<String>) -> Result<SyncConfig, Error> {
    let Some(text) = text else {
        return Ok(SyncConfig::default());
    };
    serde_json::from_str(&text)
        .map_err(|error| Error::Corrupt(format!("the configuration of a sync: {error}")))
}

/// When a schedule has its next run, after a run or a slot that was at `after`.
#[must_use]
pub fn planned(schedule: &Schedule, after: Timestamp) -> Timestamp {
    schedule.next(after).unwrap_or(NEVER)
}

fn found(changed: u64) -> Result<(), Error> {
    match changed {
        0 => Err(Error::Missing("sync")),
        _ => Ok(()),
    }
}
