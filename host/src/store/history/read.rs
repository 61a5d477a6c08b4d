//! Reading what became of a record, and where its values came from.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::DAY;
use crate::{
    model::{
        ChangeId, ObjectKind, ProjectId, RecordId, RunId, Scope, Timestamp, ValueSource,
        conflict::fields_of,
    },
    store::{
        Error, Store,
        connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
        dialect::{Row, values},
    },
};

/// A record, as far as its past needs it.
#[derive(Clone, Debug)]
pub struct RecordPlace {
    /// Its connection.
    pub scope: Scope,
    /// Its object.
    pub kind: ObjectKind,
    /// Its id.
    pub id: RecordId,
    /// The provider's id.
    pub remote_id: String,
    /// When the provider changed it, as it says.
    pub remote_modified_at: Option<Timestamp>,
    /// When we saw it first.
    pub created_at: Timestamp,
    /// When we saw it change.
    pub modified_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Where the values came from that it was created with; none where it was created before that
    /// was written down.
    pub created_by: Option<OriginRow>,
    /// The names of its fields; custom ones as `field_mappings.<slug>`.
    pub fields: Vec<String>,
    fields_from: BTreeMap<String, (i64, i64)>,
}

/// Where values came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginRow {
    /// What it was.
    pub source: ValueSource,
    /// Who did it: the id of an API key, or none.
    pub actor: Option<String>,
    /// The version of the connector that unified the document, and the digest of its file; none
    /// where no connector did.
    pub version: Option<(String, String)>,
    /// The rules of the custom fields' mappings at that time, by slug.
    pub mappings: Map<String, Json>,
}

/// Something that happened to a record.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// `updated`, `deleted` or `restored`.
    pub action: String,
    /// From where it came.
    pub origin: OriginRow,
    /// The fields that changed, with what they were before and after.
    pub fields: BTreeMap<String, (Json, Json)>,
    /// The run that did it.
    pub run: Option<RunId>,
    /// The change of ours that did it.
    pub change: Option<ChangeId>,
    /// When the provider had changed the record, as it says.
    pub remote_modified_at: Option<Timestamp>,
    /// Its place in the list.
    pub place: HistoryPlace,
}

/// A place in the history of a record: older entries follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPlace {
    /// When the entry was written, in milliseconds.
    pub at: i64,
    /// The number of its origin.
    pub origin: i64,
}

/// Where one field's value came from.
#[derive(Clone, Debug)]
pub struct FieldOrigin {
    /// The field.
    pub field: String,
    /// Since when it has this value.
    pub at: Timestamp,
    /// From where; none where that was before it was written down.
    pub origin: Option<OriginRow>,
    /// The run that brought it, while the history knows.
    pub run: Option<RunId>,
    /// The change of ours that brought it, while the history knows.
    pub change: Option<ChangeId>,
    /// When the provider had changed the record, while the history knows.
    pub remote_modified_at: Option<Timestamp>,
}

macro_rules! origin_columns {
    () => {
        "o.source, o.actor, o.version, o.digest, o.mappings"
    };
}

impl Store {
    /// A record of a project by its id alone, deleted or not; none where its connection was
    /// deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_place(
        &self,
        project: ProjectId,
        id: RecordId,
    ) -> Result<Option<RecordPlace>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            ", r.object, r.remote_id, r.remote_modified_at, r.created_at, r.modified_at,
               r.deleted_at, r.unified, r.custom, r.fields_from, ",
            origin_columns!(),
            " FROM record r JOIN connection c ON c.number = r.connection
                   LEFT JOIN record_origin o ON o.number = r.origin
              WHERE r.id = $1 AND c.project = $2 AND c.deleted_at IS NULL"
        );
        const FIRST: usize = CONNECTION_COLUMNS;
        let row = self.database().read_one(SQL, values![id, project]).await?;
        let Some(row) = row else { return Ok(None) };
        let Some(kind) = self.kind(row.number(FIRST)?) else {
            return Ok(None);
        };
        let fields = fields_of(&row.text(FIRST + 6)?, &row.text(FIRST + 7)?);
        let fields_from = row.optional_text(FIRST + 8)?;
        Ok(Some(RecordPlace {
            scope: scope_from(&row)?,
            kind,
            id,
            remote_id: row.text(FIRST + 1)?,
            remote_modified_at: row.optional_time(FIRST + 2)?,
            created_at: row.time(FIRST + 3)?,
            modified_at: row.time(FIRST + 4)?,
            deleted_at: row.optional_time(FIRST + 5)?,
            fields: fields.into_iter().map(|(name, _)| name).collect(),
            fields_from: fields_from
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
            created_by: origin_from(&row, FIRST + 9)?,
        }))
    }

    /// What happened to a record, newest first, as long as its sync keeps it. How it was created
    /// is not among it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn history(
        &self,
        place: &RecordPlace,
        before: Option<HistoryPlace>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, Error> {
        const SQL: &str = concat!(
            "SELECT h.at, h.origin, h.action, h.fields, h.run, h.change, h.remote_modified_at, ",
            origin_columns!(),
            " FROM record_history h JOIN record_origin o ON o.number = h.origin
              WHERE h.record = $1 AND h.expires_at > $2 AND h.at > $3
                AND (h.at < $4 OR (h.at = $4 AND h.origin < $5))
              ORDER BY h.at DESC, h.origin DESC LIMIT $6"
        );
        let config = self.sync_config(&place.scope, place.kind).await?;
        let now = self.now();
        let since = now.minus(DAY * config.history_days);
        let before = before.unwrap_or(HistoryPlace {
            at: i64::MAX,
            origin: i64::MAX,
        });
        let values = values![place.id, now, since, before.at, before.origin, limit];
        let rows = self.database().read(SQL, values).await?;
        rows.iter().map(entry_from).collect()
    }

    /// Where the value of each field of a record came from, by field.
    ///
    /// # Errors
    /// The database failed.
    pub async fn provenance(&self, place: &RecordPlace) -> Result<Vec<FieldOrigin>, Error> {
        const ORIGIN: &str = concat!(
            "SELECT ",
            origin_columns!(),
            " FROM record_origin o WHERE o.number = $1 AND o.connection = $2"
        );
        const ENTRY: &str = "SELECT run, change, remote_modified_at FROM record_history
            WHERE record = $1 AND at = $2 AND origin = $3";
        let connection = place.scope.connection().number;
        let mut known: BTreeMap<(i64, i64), FieldOrigin> = BTreeMap::new();
        let mut origins = Vec::with_capacity(place.fields.len());
        for field in &place.fields {
            let Some(&(at, number)) = place.fields_from.get(field) else {
                origins.push(FieldOrigin {
                    field: field.clone(),
                    at: place.created_at,
                    origin: place.created_by.clone(),
                    run: None,
                    change: None,
                    remote_modified_at: None,
                });
                continue;
            };
            if let std::collections::btree_map::Entry::Vacant(entry) = known.entry((at, number)) {
                let values = values![number, connection];
                let origin = self.database().read_one(ORIGIN, values).await?;
                let values = values![place.id, at, number];
                let noted = self.database().read_one(ENTRY, values).await?;
                let noted = noted.as_ref();
                entry.insert(FieldOrigin {
                    field: String::new(),
                    at: Timestamp::from_millis(at),
                    origin: origin.map_or(Ok(None), |row| origin_from(&row, 0))?,
                    run: noted.map_or(Ok(None), |row| id_from(row, 0))?,
                    change: noted.map_or(Ok(None), |row| id_from(row, 1))?,
                    remote_modified_at: noted.map_or(Ok(None), |row| row.optional_time(2))?,
                });
            }
            if let Some(origin) = known.get(&(at, number)) {
                origins.push(FieldOrigin {
                    field: field.clone(),
                    ..origin.clone()
                });
            }
        }
        Ok(origins)
    }
}

fn entry_from(row: &Row) -> Result<HistoryEntry, Error> {
    let place = HistoryPlace {
        at: row.int(0)?,
        origin: row.int(1)?,
    };
    let origin = origin_from(row, 7)?;
    Ok(HistoryEntry {
        at: Timestamp::from_millis(place.at),
        place,
        action: row.text(2)?,
        fields: row.parsed_by(3, |text| serde_json::from_str(text).ok())?,
        run: id_from(row, 4)?,
        change: id_from(row, 5)?,
        remote_modified_at: row.optional_time(6)?,
        origin: origin.ok_or_else(|| Error::Corrupt("history without an origin".into()))?,
    })
}

/// Reads [`origin_columns`]; none where there is no such row.
fn origin_from(row: &Row, first: usize) -> Result<Option<OriginRow>, Error> {
    let Some(source) = row.optional_text(first)? else {
        return Ok(None);
    };
    let source = ValueSource::parse(&source)
        .ok_or_else(|| Error::Corrupt(format!("{source:?} is no source of values")))?;
    let (version, digest) = (row.optional_text(first + 2)?, row.optional_text(first + 3)?);
    let mappings = row.optional_text(first + 4)?;
    Ok(Some(OriginRow {
        source,
        actor: row.optional_text(first + 1)?,
        version: version.zip(digest),
        mappings: mappings
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default(),
    }))
}

fn id_from<T: std::str::FromStr>(row: &Row, column: usize) -> Result<Option<T>, Error> {
    let text = row.optional_text(column)?;
    Ok(text.and_then(|text| text.parse().ok()))
}
