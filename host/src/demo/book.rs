//! The records, in memory.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::resource::{self, Collection};
use crate::model::Timestamp;

/// Everything that the provider knows.
#[derive(Debug, Default)]
pub(super) struct Book {
    records: BTreeMap<(Collection, u64), Record>,
    /// What was created under an `Idempotency-Key`.
    created: HashMap<(Collection, String), u64>,
    /// What subscribers were not told yet.
    pub(super) untold: Vec<(Collection, u64, &'static str)>,
}

/// A record, or what is left of a deleted one.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) version: u64,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) deleted: bool,
    /// The fields that are not null.
    pub(super) fields: Map<String, Value>,
}

/// Why the provider refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field is wrong.
    #[error("{field} {message}")]
    Field {
        /// Its name.
        field: String,
        /// What it must be, to be read after the name.
        message: String,
    },
    /// There is no such record.
    #[error("no such record")]
    Missing,
    /// The record is not in the version that the caller has seen.
    #[error("the record was changed in the meantime")]
    Changed,
}

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) updated: Timestamp,
    pub(super) id: u64,
    /// Whether the list tells of deleted records, as one with `updated_since` does.
    pub(super) deleted: bool,
}

impl Book {
    /// One page, ordered by time of change and id; the position is that of the last record where
    /// more follow.
    pub(super) fn list(
        &self,
        collection: Collection,
        since: Option<Timestamp>,
        after: Option<Position>,
        size: usize,
    ) -> (Vec<Value>, Option<Position>, usize) {
        let deleted = after.map_or_else(|| since.is_some(), |position| position.deleted);
        let mut matching: Vec<&Record> = self
            .of(collection)
            .filter(|record| deleted || !record.deleted)
            .filter(|record| since.is_none_or(|since| record.updated >= since))
            .filter(|record| {
                after.is_none_or(|after| (record.updated, record.id) > (after.updated, after.id))
            })
            .collect();
        matching.sort_by_key(|record| (record.updated, record.id));
        let left = matching.len();
        let more = left > size;
        matching.truncate(size);
        let next = matching
            .last()
            .filter(|_| more)
            .map(|&&Record { updated, id, .. }| Position {
                updated,
                id,
                deleted,
            });
        let documents = matching
            .into_iter()
            .map(|record| record.document(collection))
            .collect();
        (documents, next, left)
    }

    pub(super) fn record(&self, collection: Collection, id: u64) -> Result<&Record, Refusal> {
        self.records
            .get(&(collection, id))
            .filter(|record| !record.deleted)
            .ok_or(Refusal::Missing)
    }

    /// The account's own fields of a collection: type (`text`, `number`, `flag`) and up to three
    /// values, by name.
    pub(super) fn extra_fields(
        &self,
        collection: Collection,
    ) -> BTreeMap<String, (&'static str, Vec<String>)> {
        let mut fields: BTreeMap<String, (&'static str, Vec<String>)> = BTreeMap::new();
        let extras = self
            .of(collection)
            .filter(|record| !record.deleted)
            .filter_map(|record| record.fields.get("extra")?.as_object());
        for (name, value) in extras.flatten() {
            let (kind, text) = match value {
                Value::Number(number) => ("number", number.to_string()),
                Value::Bool(flag) => ("flag", flag.to_string()),
                Value::String(text) => ("text", text.clone()),
                _ => continue,
            };
            let (_, samples) = fields
                .entry(name.clone())
                .or_insert_with(|| (kind, Vec::new()));
            if samples.len() < 3 && !samples.contains(&text) {
                samples.push(text);
            }
        }
        fields
    }

    pub(super) fn count(&self, collection: Collection) -> usize {
        self.of(collection).filter(|record| !record.deleted).count()
    }

    pub(super) fn create(
        &mut self,
        collection: Collection,
        fields: Value,
        now: Timestamp,
    ) -> Result<&Record, Refusal> {
        let sent = self.check(collection, fields)?;
        for field in collection.fields().iter().filter(|field| field.required) {
            if sent.get(field.name).is_none_or(Value::is_null) {
                return Err(refuse(field.name, "is required"));
            }
        }
        let mut fields = Map::new();
        resource::merge(&mut fields, sent);
        let id = self
            .of(collection)
            .next_back()
            .map_or_else(|| collection.first_id(), |last| last.id + 1);
        self.untold.push((collection, id, "created"));
        Ok(self.put(
            collection,
            Record {
                id,
                version: 1,
                created: now,
                updated: now,
                deleted: false,
                fields,
            },
        ))
    }

    /// As [`Self::create`]; the same key makes no second record and answers the first.
    pub(super) fn create_once(
        &mut self,
        collection: Collection,
        key: &str,
        fields: Value,
        now: Timestamp,
    ) -> Result<&Record, Refusal> {
        let key = (collection, key.to_owned());
        let known = self.created.get(&key).copied();
        let id = match known {
            Some(id) => id,
            None => self.create(collection, fields, now)?.id,
        };
        self.created.insert(key, id);
        self.record(collection, id)
    }

    pub(super) fn change(
        &mut self,
        collection: Collection,
        id: u64,
        fields: Value,
        seen: Option<u64>,
        now: Timestamp,
    ) -> Result<&Record, Refusal> {
        let mut record = self.seen(collection, id, seen)?;
        let sent = self.check(collection, fields)?;
        resource::merge(&mut record.fields, sent);
        record.version += 1;
        record.updated = now;
        self.untold.push((collection, id, "changed"));
        Ok(self.put(collection, record))
    }

    pub(super) fn delete(
        &mut self,
        collection: Collection,
        id: u64,
        seen: Option<u64>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut record = self.seen(collection, id, seen)?;
        record.fields = Map::new();
        record.deleted = true;
        record.version += 1;
        record.updated = now;
        self.untold.push((collection, id, "deleted"));
        self.put(collection, record);
        Ok(())
    }

    /// Puts a record in its place, without questions.
    pub(super) fn put(&mut self, collection: Collection, record: Record) -> &Record {
        self.records
            .entry((collection, record.id))
            .insert_entry(record)
            .into_mut()
    }

    fn of(&self, collection: Collection) -> impl DoubleEndedIterator<Item = &Record> {
        self.records
            .range((collection, 0)..=(collection, u64::MAX))
            .map(|(_, record)| record)
    }

    /// A copy of the record, where it is in the version that the caller has seen.
    fn seen(&self, collection: Collection, id: u64, seen: Option<u64>) -> Result<Record, Refusal> {
        let record = self.record(collection, id)?;
        if seen.is_some_and(|seen| seen != record.version) {
            return Err(Refusal::Changed);
        }
        Ok(record.clone())
    }

    fn check(&self, collection: Collection, fields: Value) -> Result<Map<String, Value>, Refusal> {
        let Value::Object(fields) = fields else {
            return Err(refuse("body", "must be a JSON object"));
        };
        for (name, value) in &fields {
            let field = collection
                .field(name)
                .ok_or_else(|| refuse(name, "is not a field"))?;
            if value.is_null() || value.as_str().is_some_and(str::is_empty) {
                if field.required {
                    return Err(refuse(name, "must not be empty"));
                }
                continue;
            }
            field
                .kind
                .check(value, |collection, id| self.record(collection, id).is_ok())
                .map_err(|message| refuse(name, message))?;
        }
        Ok(fields)
    }
}

impl Record {
    /// As the API shows it.
    pub(super) fn document(&self, collection: Collection) -> Value {
        let mut document = Map::new();
        document.insert("id".into(), self.id.into());
        document.insert("version".into(), self.version.into());
        document.insert("updated_on".into(), self.updated.to_string().into());
        if self.deleted {
            document.insert("deleted".into(), true.into());
            return document.into();
        }
        document.insert("created_on".into(), self.created.to_string().into());
        for field in collection.fields() {
            let value = self.fields.get(field.name).cloned();
            document.insert(field.name.into(), value.unwrap_or_default());
        }
        document.into()
    }
}

fn refuse(field: &str, message: impl Into<String>) -> Refusal {
    Refusal::Field {
        field: field.to_owned(),
        message: message.into(),
    }
}
