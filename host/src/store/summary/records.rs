//! Looking through records: the newest change first, over one connection or a few.

use crate::{
    model::{
        DeliveryId, DeliveryState, EventKind, ObjectKind, ProjectId, Record, RecordId, Scope,
        Timestamp,
    },
    store::{
        Error, RecordPlace, Store,
        connections::{connection_columns, scope_from},
        dialect::{Sql, Value, among, values},
        records::{record_columns, record_from},
    },
};

use super::Counted;

/// Connections whose records are shown together.
const TOGETHER: u32 = 30;
/// Events among which those of a record are looked for.
const EVENTS: u32 = 5000;

/// Which records, by whether they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// Those that are there.
    #[default]
    Present,
    /// Those that were deleted.
    Deleted,
    /// Both.
    Any,
}

/// Which records of an object.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordFilter {
    /// There or deleted.
    pub presence: Presence,
    /// Only those that we saw change then or later.
    pub since: Option<Timestamp>,
    /// Only those that we saw change before.
    pub until: Option<Timestamp>,
    /// Only those after this one in the list.
    pub before: Option<(Timestamp, RecordId)>,
    /// How many at most.
    pub limit: u32,
}

/// An object of which a project has records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectPlace {
    /// The object.
    pub kind: ObjectKind,
    /// How many connections sync it.
    pub connections: u64,
    /// How many records there are, where one connection was asked for.
    pub records: Option<Counted>,
}

/// An event about a record, and what became of it at each endpoint.
#[derive(Clone, Debug)]
pub struct RecordEvent {
    /// Its type.
    pub kind: EventKind,
    /// When it was written.
    pub at: Timestamp,
    /// Its deliveries.
    pub deliveries: Vec<(DeliveryId, DeliveryState)>,
}

impl Store {
    /// The objects of which a project, or one connection, has records.
    ///
    /// # Errors
    /// The database failed.
    pub async fn objects_with_records(
        &self,
        project: ProjectId,
        connection: Option<&Scope>,
    ) -> Result<Vec<ObjectPlace>, Error> {
        const SYNCED: &str = "SELECT s.object, COUNT(*)
            FROM connection c CROSS JOIN sync_state s
            WHERE c.project = $1 AND c.deleted_at IS NULL AND s.connection = c.number
              AND ($2 IS NULL OR c.number = $2)
            GROUP BY s.object";
        const ANY: &str = "SELECT 1 FROM connection c CROSS JOIN record r
            WHERE c.project = $1 AND c.deleted_at IS NULL
              AND r.connection = c.number AND r.object = $2 LIMIT 1";
        const COUNT: &str = "SELECT COUNT(*) FROM (
            SELECT id FROM record WHERE connection = $1 AND object = $2 LIMIT $3) AS counted";
        let number = connection.map(|scope| scope.connection().number);
        let values = values![project, number.map(i64::from)];
        let mut places = Vec::new();
        for row in self.database().read(SYNCED, values).await? {
            let object: u16 = row.number(0)?;
            let Some(kind) = self.kind(object) else {
                continue;
            };
            let records = match number {
                Some(number) => {
                    let values = values![number, object, Counted::MOST + 1];
                    let counted = self.database().read_one(COUNT, values).await?;
                    Some(Counted::from(counted)?)
                }
                None => None,
            };
            let has_any = match records {
                Some(records) => !records.is_zero(),
                None => {
                    let any = self.database().read_one(ANY, values![project, object]);
                    any.await?.is_some()
                }
            };
            if has_any {
                places.push(ObjectPlace {
                    kind,
                    connections: row.number(1)?,
                    records,
                });
            }
        }
        places.sort_by_key(|place| place.kind);
        Ok(places)
    }

    /// Records of one connection, the last that changed first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn newest_records(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        filter: &RecordFilter,
    ) -> Result<Vec<Record>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            record_columns!(),
            " FROM record WHERE connection = $2 AND object = $3
              AND (modified_at, id) < ($4, $5) AND modified_at >= $6
              AND (($7 AND deleted_at IS NULL) OR ($8 AND deleted_at IS NOT NULL))
              ORDER BY modified_at DESC, id DESC LIMIT $9"
        );
        let (at, id) = match (filter.before, filter.until) {
            (Some((at, id)), _) => (at.as_millis(), id.as_bytes().to_vec()),
            (None, Some(until)) => (until.as_millis(), vec![0; 16]),
            (None, None) => (i64::MAX, vec![0xff; 16]),
        };
        let values = values![
            false,
            scope.connection().number,
            self.object(kind),
            at,
            id,
            filter.since.map_or(i64::MIN, Timestamp::as_millis),
            filter.presence != Presence::Deleted,
            filter.presence != Presence::Present,
            filter.limit,
        ];
        let rows = self.database().read(SQL, values).await?;
        rows.iter().map(record_from).collect()
    }

    /// Records of those 30 connections of a project that were written last, the last that changed
    /// first; and whether there are more connections.
    ///
    /// # Errors
    /// The database failed.
    pub async fn newest_records_of_project(
        &self,
        project: ProjectId,
        kind: ObjectKind,
        filter: &RecordFilter,
    ) -> Result<(Vec<(Scope, Record)>, bool), Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connection c
              WHERE c.project = $1 AND c.deleted_at IS NULL
                AND EXISTS (SELECT 1 FROM sync_state s
                            WHERE s.connection = c.number AND s.object = $2)
              ORDER BY c.written_at DESC, c.number LIMIT $3"
        );
        let values = values![project, self.object(kind), TOGETHER + 1];
        let rows = self.database().read(SQL, values).await?;
        let is_more = rows.len() > TOGETHER as usize;
        let mut found = Vec::new();
        for row in rows.iter().take(TOGETHER as usize) {
            let scope = scope_from(row)?;
            let records = self.newest_records(&scope, kind, filter).await?;
            found.extend(records.into_iter().map(|record| (scope.clone(), record)));
        }
        found.sort_by_key(|(_, record)| std::cmp::Reverse((record.modified_at, record.id)));
        found.truncate(filter.limit as usize);
        Ok((found, is_more))
    }

    /// The records that a provider calls so, at any connection of a project, deleted or not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn records_by_remote_id(
        &self,
        project: ProjectId,
        kind: ObjectKind,
        remote_id: &str,
    ) -> Result<Vec<(Scope, Record)>, Error> {
        const NUMBERS: &str = "SELECT c.number FROM connection c
            WHERE c.project = $1 AND c.deleted_at IS NULL";
        const RECORDS: Sql = among!(
            concat!("SELECT ", record_columns!(), " FROM record WHERE"),
            "id" among "$2",
            "AND remote_id = $3 ORDER BY modified_at DESC LIMIT 50"
        );
        let object = self.object(kind);
        let numbers = self.database().read(NUMBERS, values![project]).await?;
        let keys = numbers.iter().map(|row| {
            let id = RecordId::derive(row.number(0)?, object, remote_id);
            Ok(id.as_bytes().to_vec())
        });
        let keys: Vec<Vec<u8>> = keys.collect::<Result<_, Error>>()?;
        let values = vec![
            Value::from(false),
            Value::Keys(keys),
            Value::from(remote_id),
        ];
        let mut found = Vec::new();
        for row in self.database().read(RECORDS, values).await? {
            let record = record_from(&row)?;
            if let Some(place) = self.record_place(project, record.id).await? {
                found.push((place.scope, record));
            }
        }
        Ok(found)
    }

    /// A record with the provider's document, deleted or not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn documents(&self, place: &RecordPlace) -> Result<Option<Record>, Error> {
        const SQL: &str = concat!("SELECT ", record_columns!(), " FROM record WHERE id = $2");
        let row = self
            .database()
            .read_one(SQL, values![true, place.id])
            .await?;
        row.as_ref().map(record_from).transpose()
    }

    /// Events about a record among the newest 5,000 of its project, the newest first, at most 20.
    ///
    /// # Errors
    /// The database failed.
    pub async fn events_of_record(
        &self,
        project: ProjectId,
        id: RecordId,
    ) -> Result<Vec<RecordEvent>, Error> {
        const FOUND: &str = "SELECT e.seq, e.type, e.created_at
            FROM (SELECT seq, type, data, created_at FROM event
                  WHERE project = $1 ORDER BY seq DESC LIMIT $2) AS e
            WHERE e.data LIKE $3 ORDER BY e.seq DESC LIMIT 20";
        const DELIVERIES: &str = "SELECT d.endpoint, d.state
            FROM webhook_endpoint w CROSS JOIN webhook_delivery d
            WHERE w.project = $1 AND d.endpoint = w.number AND d.event = $2
            ORDER BY d.endpoint";
        // Events about records begin with the record's id.
        let pattern = format!("{{\"id\":\"{id}\"%");
        let rows = self
            .database()
            .read(FOUND, values![project, EVENTS, pattern])
            .await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let seq = row.int(0)?;
            let deliveries = self
                .database()
                .read(DELIVERIES, values![project, seq])
                .await?;
            let deliveries = deliveries.iter().map(|row| {
                let id = DeliveryId {
                    endpoint: row.number(0)?,
                    event: seq,
                };
                Ok((id, row.parsed_by(1, DeliveryState::parse)?))
            });
            events.push(RecordEvent {
                kind: EventKind(row.text(1)?),
                at: row.time(2)?,
                deliveries: deliveries.collect::<Result<_, Error>>()?,
            });
        }
        Ok(events)
    }
}
