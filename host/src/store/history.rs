//! Where the values of records came from, and what they were before.
//!
//! Both are written in the transaction of the record, by [`Store::trace`]. A record that is created
//! costs one number; one that changes, a row with the values before and after, and a list in the
//! record of which field came when and from where. That list stays as long as the record; the
//! values before go after as many days as the sync says.

mod read;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use serde_json::{Map, Value as Json, json};

use super::{
    Error, Store,
    dialect::{Bulk, Sql, Tx, Value, among, bulk, values},
};
use crate::model::{
    Digest, ObjectKind, Origin, RecordId, Scope, Timestamp, ValueSource, conflict::fields_of,
};

pub use read::{FieldOrigin, HistoryEntry, HistoryPlace, OriginRow, RecordPlace};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Rows that go in one transaction.
const BATCH: u32 = 1000;
/// Transactions for the history of a connection while somebody waits for its deletion.
const AT_ONCE: u32 = 10;

/// A record that is there and gets other values.
pub(super) struct Changed<'page> {
    pub(super) id: RecordId,
    pub(super) unified: &'page str,
    pub(super) custom: &'page str,
    pub(super) remote_modified_at: Option<Timestamp>,
    /// Whether it was deleted and is there again.
    pub(super) restored: bool,
}

/// What is to be written into the records themselves.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// The origin of what is created.
    pub(super) origin: Option<i64>,
    /// What is known of fields from now on: of changed records, and of created ones only where
    /// their fields have several origins.
    pub(super) fields_from: HashMap<RecordId, String>,
}

/// What is stored of a record before it is changed.
struct Before {
    unified: String,
    custom: String,
    fields_from: Option<String>,
}

impl Store {
    /// Notes what a transaction is about to do to records of one object, before it does.
    pub(super) async fn trace(
        &self,
        tx: &mut Tx,
        scope: &Scope,
        kind: ObjectKind,
        origin: &Origin,
        touched: Touched<'_>,
        now: Timestamp,
    ) -> Result<Trace, Error> {
        const HISTORY: Bulk = bulk!(
            "INSERT INTO record_history (record, at, origin, action, fields, run, change,
                 remote_modified_at, expires_at)",
            ["$1" "bytea", "$2" "bigint", "$3" "bigint", "$4" "text", "$5" "text", "$6" "text",
             "$7" "text", "$8" "bigint", "$9" "bigint"],
            ""
        );
        let mut trace = Trace::default();
        let Touched {
            created,
            changed,
            gone,
        } = touched;
        if created.is_empty() && changed.is_empty() && gone.is_empty() {
            return Ok(trace);
        }
        let main = origin_number(tx, scope, origin).await?;
        trace.origin = Some(main);
        let written = match &origin.written {
            Some(written) => {
                let by = Origin {
                    actor: written.actor.clone(),
                    ..Origin::of(ValueSource::Write)
                };
                Some((&written.fields, origin_number(tx, scope, &by).await?))
            }
            None => None,
        };
        if let Some((fields, number)) = written {
            let fields = fields
                .iter()
                .map(|field| (field.clone(), number_at(now, number)));
            let known = Json::Object(fields.collect()).to_string();
            let created = created.iter().map(|id| (*id, known.clone()));
            trace.fields_from.extend(created);
        }
        if changed.is_empty() && gone.is_empty() {
            return Ok(trace);
        }
        let days = self.sync_config_in(tx, scope, kind).await?.history_days;
        let expires_at = now.plus(DAY * days);
        let mut rows = Vec::new();
        let mut row = |id: RecordId, origin_number: i64, action: &str, fields: String, at| {
            rows.push(values![
                id,
                now,
                origin_number,
                action,
                fields,
                origin.run.map(|run| run.to_string()),
                origin.change.map(|change| change.to_string()),
                at,
                expires_at,
            ]);
        };
        let mut before = before(tx, changed).await?;
        for record in changed {
            let Some(before) = before.remove(&record.id) else {
                continue;
            };
            let old = fields_of(&before.unified, &before.custom);
            let new = fields_of(record.unified, record.custom);
            let (mut ours, mut theirs) = (Map::new(), Map::new());
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let mut from: Map<String, Json> = before
                .fields_from
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default();
            for name in names {
                let was = old.get(name).unwrap_or(&Json::Null);
                let is = new.get(name).unwrap_or(&Json::Null);
                if was == is {
                    continue;
                }
                let (number, fields) = match written {
                    Some((sent, number)) if sent.contains(name) => (number, &mut ours),
                    _ => (main, &mut theirs),
                };
                fields.insert(name.clone(), json!([was, is]));
                from.insert(name.clone(), number_at(now, number));
            }
            let action = if record.restored {
                "restored"
            } else {
                "updated"
            };
            let at = record.remote_modified_at;
            if let (false, Some((_, number))) = (ours.is_empty(), written) {
                row(
                    record.id,
                    number,
                    action,
                    Json::Object(ours).to_string(),
                    at,
                );
            }
            if !theirs.is_empty() || record.restored {
                row(
                    record.id,
                    main,
                    action,
                    Json::Object(theirs).to_string(),
                    at,
                );
            }
            trace
                .fields_from
                .insert(record.id, Json::Object(from).to_string());
        }
        for id in gone {
            row(*id, main, "deleted", "{}".to_owned(), None);
        }
        if days > 0 {
            tx.bulk(HISTORY, rows).await?;
        }
        Ok(trace)
    }

    /// Removes what was before for longer than its sync says, and everything of connections that
    /// were deleted; how many rows. It rests between transactions and may be dropped at any time.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_history(&self, rest: Duration) -> Result<u64, Error> {
        const EXPIRED: &str = "DELETE FROM record_history WHERE (record, at, origin) IN
            (SELECT record, at, origin FROM record_history WHERE expires_at <= $1
             ORDER BY expires_at LIMIT $2)";
        const DELETED: &str = "SELECT c.number FROM connection c WHERE c.deleted_at IS NOT NULL
            AND EXISTS (SELECT 1 FROM record_origin o WHERE o.connection = c.number)";
        let mut pruned = 0;
        loop {
            let values = values![self.now(), BATCH];
            match self.database().write(EXPIRED, values).await? {
                0 => break,
                more => pruned += more,
            }
            tokio::time::sleep(rest).await;
        }
        for row in self.database().read(DELETED, values![]).await? {
            pruned += self.forget_history(row.number(0)?, u32::MAX, rest).await?;
        }
        Ok(pruned)
    }

    /// Begins to remove the history of a connection that was deleted: all that goes at once.
    pub(super) async fn begin_to_forget(&self, connection: u32) -> Result<(), Error> {
        let rest = Duration::ZERO;
        self.forget_history(connection, AT_ONCE, rest)
            .await
            .map(drop)
    }

    async fn forget_history(
        &self,
        connection: u32,
        batches: u32,
        rest: Duration,
    ) -> Result<u64, Error> {
        const SQL: &str = "DELETE FROM record_history WHERE (record, at, origin) IN
            (SELECT record, at, origin FROM record_history WHERE record > $1 AND record < $2
             ORDER BY record LIMIT $3)";
        // Ids of records begin with the number of their connection.
        let from = connection.to_be_bytes().to_vec();
        let mut to = from.clone();
        to.resize(17, 0xff);
        let mut gone = 0;
        for _ in 0..batches {
            let values = values![from.clone(), to.clone(), BATCH];
            match self.database().write(SQL, values).await? {
                0 => {
                    let sql = "DELETE FROM record_origin WHERE connection = $1";
                    self.database().write(sql, values![connection]).await?;
                    break;
                }
                more => gone += more,
            }
            tokio::time::sleep(rest).await;
        }
        Ok(gone)
    }
}

/// Which records a transaction is about to touch.
#[derive(Clone, Copy)]
pub(super) struct Touched<'page> {
    pub(super) created: &'page [RecordId],
    pub(super) changed: &'page [Changed<'page>],
    pub(super) gone: &'page [RecordId],
}

fn number_at(now: Timestamp, number: i64) -> Json {
    json!([now.as_millis(), number])
}

/// The number of an origin. Whoever asks has taken the row of the connection, so nobody gives it
/// another one meanwhile.
async fn origin_number(tx: &mut Tx, scope: &Scope, origin: &Origin) -> Result<i64, Error> {
    let by = origin.unified_by.as_deref();
    let version = by.map(|by| by.version.as_str());
    let digest = by.map(|by| by.digest.as_str());
    let mappings = by.and_then(|by| by.mappings.as_deref());
    let actor = origin.actor.as_deref();
    let identity = json!([origin.source.as_str(), actor, version, digest, mappings]);
    let hash = Digest::of(identity.to_string());
    let connection = scope.connection().number;
    let sql = "SELECT number FROM record_origin WHERE connection = $1 AND hash = $2";
    if let Some(row) = tx.row(sql, values![connection, &hash]).await? {
        return row.int(0);
    }
    let sql = "INSERT INTO record_origin
                   (connection, hash, source, actor, version, digest, mappings)
               VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING number";
    let values = values![
        connection,
        &hash,
        origin.source.as_str(),
        actor,
        version,
        digest,
        mappings.map(super::without_nulls),
    ];
    let row = tx.row(sql, values).await?;
    row.ok_or_else(|| Error::Corrupt("a new origin has no number".into()))?
        .int(0)
}

async fn before(tx: &mut Tx, changed: &[Changed<'_>]) -> Result<HashMap<RecordId, Before>, Error> {
    const SQL: Sql = among!(
        "SELECT id, unified, custom, fields_from FROM record WHERE", "id" among "$1", ""
    );
    if changed.is_empty() {
        return Ok(HashMap::new());
    }
    let keys = changed.iter().map(|one| one.id.as_bytes().to_vec());
    let rows = tx.rows(SQL, vec![Value::Keys(keys.collect())]).await?;
    rows.iter()
        .map(|row| {
            let before = Before {
                unified: row.text(1)?,
                custom: row.text(2)?,
                fields_from: row.optional_text(3)?,
            };
            Ok((row.record_id(0)?, before))
        })
        .collect()
}
