//! Events: written with what they tell of, read newest first.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::{
    Error, Store,
    dialect::{Bulk, Tx, bulk, values},
};
use crate::model::{Event, EventId, EventKind, LinkedUserId, ProjectId, Scope, Slug, Timestamp};

/// An event, and whose connection it is about.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// The event.
    pub event: Event,
    /// The connector of its connection, where there is one.
    pub connector: Option<Slug>,
    /// The linked user of its connection, where there is one.
    pub linked_user: Option<LinkedUserId>,
}

/// An event about a connection that is about to be written.
pub(super) struct NewEvent {
    /// Its type.
    pub(super) kind: String,
    /// JSON text.
    pub(super) data: String,
}

impl NewEvent {
    pub(super) fn new(kind: String, data: Map<String, Value>) -> Self {
        Self {
            kind,
            data: Value::Object(data).to_string(),
        }
    }
}

/// What every event about a connection says of it.
pub(super) fn about(scope: &Scope) -> Map<String, Value> {
    let connection = scope.connection();
    [
        ("connector", json!(connection.connector)),
        ("vertical", json!(connection.vertical)),
        ("linked_user_id", json!(connection.linked_user)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

impl Store {
    /// Events of a project, newest first. `page` counts from 1 (0 is the first too).
    ///
    /// # Errors
    /// The database failed.
    pub async fn events(
        &self,
        project: ProjectId,
        page: u32,
        limit: u32,
    ) -> Result<Vec<EventRow>, Error> {
        let skipped = i64::from(page.saturating_sub(1)) * i64::from(limit);
        let sql = "SELECT e.id, c.id, e.type, e.data, e.created_at, c.connector, c.linked_user
                   FROM event e LEFT JOIN connection c ON c.number = e.connection
                   WHERE e.project = $1
                   ORDER BY e.seq DESC LIMIT $2 OFFSET $3";
        let rows = self
            .database()
            .read(sql, values![project, limit, skipped])
            .await?;
        rows.iter()
            .map(|row| {
                let about_connection = row.optional_text(1)?.is_some();
                let connection = about_connection.then(|| row.parsed(1)).transpose()?;
                Ok(EventRow {
                    event: Event {
                        id: row.parsed(0)?,
                        project,
                        connection,
                        kind: EventKind(row.text(2)?),
                        data: row.text(3)?,
                        created_at: row.time(4)?,
                    },
                    connector: about_connection.then(|| row.parsed(5)).transpose()?,
                    linked_user: about_connection.then(|| row.parsed(6)).transpose()?,
                })
            })
            .collect()
    }

    /// Rings when events were written: a hint for whoever delivers them, who looks by himself too.
    #[must_use]
    pub fn events_written(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.events_written)
    }

    /// Writes events about one connection in the transaction of what they tell of.
    pub(super) async fn write_events(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        events: Vec<NewEvent>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let connection = Some(scope.connection().number);
        self.write_project_events(tx, scope.project(), connection, events, now)
            .await
            .map(drop)
    }

    /// The same for a project, where there may be no connection; the ids of the events.
    ///
    /// Whatever else the transaction writes has to come before: [`super::fan_out`] relies on it.
    pub(super) async fn write_project_events(
        &self,
        tx: &mut Tx,
        project: ProjectId,
        connection: Option<u32>,
        events: Vec<NewEvent>,
        now: Timestamp,
    ) -> Result<Vec<EventId>, Error> {
        const SQL: Bulk = bulk!(
            "INSERT INTO event (id, project, connection, type, data, created_at)",
            ["$1" "text", "$2" "text", "$3" "bigint", "$4" "text", "$5" "text", "$6" "bigint"],
            ""
        );
        let mut ids = Vec::with_capacity(events.len());
        let rows = events.into_iter().map(|event| {
            let id = EventId::generate(self.entropy());
            ids.push(id);
            values![
                id,
                project,
                connection.map(i64::from),
                event.kind,
                event.data,
                now,
            ]
        });
        let rows: Vec<_> = rows.collect();
        tx.bulk(SQL, rows).await?;
        tx.rings(&self.inner.events_written);
        Ok(ids)
    }
}
