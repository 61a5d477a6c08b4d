//! Referenced records in the place of their ids: one level deep, one query for each object that is
//! referred to, whatever the number of records.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Error, Unify};
use crate::model::{ObjectKind, Property, Record, RecordId, Scope, splice};

/// The fields of a record that hold ids of others.
#[must_use]
pub fn expandable(kind: ObjectKind) -> Vec<&'static Property> {
    let fields = kind.spec().properties.iter();
    fields
        .filter(|property| property.reference.is_some() && !property.write_only)
        .collect()
}

impl Unify {
    /// Puts the referenced records of the same connection, in their wire form, in the place of the
    /// ids in `fields`. An id whose record is not stored, or deleted, stays an id.
    ///
    /// # Errors
    /// The database fails, or holds a document that is no JSON object.
    pub async fn expand(
        &self,
        scope: &Scope,
        records: &mut [Record],
        fields: &[&Property],
    ) -> Result<(), Error> {
        if fields.is_empty() {
            return Ok(());
        }
        let parsed: Vec<Document<'_>> = records
            .iter()
            .map(|record| {
                serde_json::from_str(&record.unified)
                    .map_err(|error| Error::Contract(format!("{} is stored as {error}", record.id)))
            })
            .collect::<Result<_, _>>()?;
        let mut wanted: BTreeMap<ObjectKind, HashSet<RecordId>> = BTreeMap::new();
        for (field, target) in references(fields) {
            for value in parsed.iter().filter_map(|document| document.get(field)) {
                wanted.entry(target).or_default().extend(ids(value));
            }
        }
        let mut found: HashMap<RecordId, Box<RawValue>> = HashMap::new();
        for (target, ids) in wanted {
            let ids: Vec<RecordId> = ids.into_iter().collect();
            let records = self.0.store.records(scope, target, &ids, false).await?;
            for (id, record) in records {
                let text = RawValue::from_string(splice(&record, true))
                    .map_err(|error| Error::Contract(format!("{id} is stored as {error}")))?;
                found.insert(id, text);
            }
        }
        let unified: Vec<String> = parsed
            .iter()
            .map(|document| replace(document, fields, &found))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Contract(error.to_string()))?;
        for (record, unified) in records.iter_mut().zip(unified) {
            record.unified = unified;
        }
        Ok(())
    }
}

/// A stored object: only what is replaced is parsed.
type Document<'text> = BTreeMap<&'text str, &'text RawValue>;

fn references<'fields>(
    fields: &'fields [&'fields Property],
) -> impl Iterator<Item = (&'fields str, ObjectKind)> {
    fields.iter().filter_map(|field| {
        let reference = field.reference?;
        Some((field.name.as_str(), reference.target))
    })
}

/// The ids in a field: one, a list of them, or none.
fn ids(value: &RawValue) -> Vec<RecordId> {
    match read(value) {
        Some(OneOrMany::One(id)) => id.parse().into_iter().collect(),
        Some(OneOrMany::Many(ids)) => ids.iter().filter_map(|id| id.parse().ok()).collect(),
        None => Vec::new(),
    }
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn read(value: &RawValue) -> Option<OneOrMany> {
    serde_json::from_str(value.get()).ok()
}

/// What stands in the place of an id.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'page> {
    Record(&'page RawValue),
    Id(String),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Field<'page> {
    Kept(&'page RawValue),
    One(Shown<'page>),
    Many(Vec<Shown<'page>>),
}

fn replace(
    document: &Document<'_>,
    fields: &[&Property],
    found: &HashMap<RecordId, Box<RawValue>>,
) -> Result<String, serde_json::Error> {
    let show = |id: String| {
        let record = id.parse().ok().and_then(|id: RecordId| found.get(&id));
        record.map_or(Shown::Id(id), |record| Shown::Record(record))
    };
    let shown: BTreeMap<&str, Field<'_>> = document
        .iter()
        .map(|(name, value)| {
            let field = fields.iter().find(|field| field.name == *name);
            let field = match field.and_then(|_| read(value)) {
                Some(OneOrMany::One(id)) => Field::One(show(id)),
                Some(OneOrMany::Many(ids)) => Field::Many(ids.into_iter().map(show).collect()),
                None => Field::Kept(value),
            };
            (*name, field)
        })
        .collect();
    serde_json::to_string(&shown)
}
