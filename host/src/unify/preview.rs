//! Looking before mapping: what a mapping would make of stored records, and which fields a
//! provider has.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use super::{Error, Unify, fields::check_rules};
use crate::{
    egress::Priority,
    model::{
        DataType, EffectiveMapping, EffectiveMappings, FieldSlug, Mapped, MappingRules, ObjectKind,
        RecordId, RemoteField, Scope, Sources, Timestamp,
    },
    runtime::{CallError, Failure},
};

/// Documents that fields are looked for in.
const LOOKED_AT: u32 = 100;
/// Fields that are found at most.
const MAX_FOUND: usize = 500;
/// How deep in a document.
const MAX_DEPTH: usize = 4;
const MAX_SAMPLES: usize = 3;
/// Characters of a sample.
const MAX_SAMPLE: usize = 100;

/// What a mapping makes of a record.
#[derive(Clone, Debug)]
pub struct Previewed {
    /// The record.
    pub id: RecordId,
    /// The provider's id.
    pub remote_id: String,
    /// What the provider has, by remote field.
    pub sources: Sources,
    /// The value, and why it is another than the provider's.
    pub mapped: Mapped,
}

/// The fields of a provider's object.
#[derive(Clone, Debug)]
pub struct RemoteFields {
    /// Whether the connector was asked; otherwise stored documents were looked at.
    pub discovered: bool,
    /// The fields, by name.
    pub fields: Vec<RemoteField>,
}

impl Unify {
    /// What a mapping would make of stored records, of those named or of `limit`, for a field of
    /// that type. Nothing is changed and the provider is not asked.
    ///
    /// # Errors
    /// The mapping is not valid, a record is not there, or the connector fails.
    pub async fn preview(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        data_type: DataType,
        rules: &MappingRules,
        records: &[RecordId],
        limit: u32,
    ) -> Result<Vec<Previewed>, Error> {
        check_rules(rules, data_type)?;
        let version = self.version(&scope.connection().connector)?;
        Self::supported(&version, kind)?;
        let store = &self.0.store;
        let ids = if records.is_empty() {
            let stored = store.remote_documents(scope, kind, None, limit).await?;
            stored.into_iter().map(|(id, _)| id).collect()
        } else {
            records.to_vec()
        };
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let record = store.record(scope, kind, id, true).await?;
            let record = record.ok_or(Error::RecordNotFound)?;
            let document = record.remote.unwrap_or_default();
            found.push((id, record.remote_id, document));
        }
        let broken = |error| Error::Contract(format!("a stored {kind} is no JSON: {error}"));
        let documents = found.iter().map(|(.., text)| serde_json::from_str(text));
        let documents: Vec<&RawValue> = documents.collect::<Result<_, _>>().map_err(broken)?;
        let mapping = EffectiveMapping {
            slug: FieldSlug::preview(),
            data_type,
            rules: rules.clone(),
        };
        let mappings = EffectiveMappings::new(vec![mapping.clone()]);
        let entries = self
            .unify_as_answered(scope, &version, kind, &mappings, &documents)
            .await?;
        let mut previewed = Vec::with_capacity(found.len());
        for ((id, remote_id, document), entry) in found.iter().zip(entries) {
            let document: Value = serde_json::from_str(document).map_err(broken)?;
            let answered = entry.get("field_mappings").and_then(Value::as_object);
            let answered = answered.cloned().unwrap_or_default();
            previewed.push(Previewed {
                id: *id,
                remote_id: remote_id.clone(),
                sources: mapping.sources(&answered, &document),
                mapped: mapping.map(&answered, &document),
            });
        }
        Ok(previewed)
    }

    /// The fields that a provider has for an object: as its connector finds them, or as places in
    /// stored documents where the connector cannot.
    ///
    /// # Errors
    /// The connector does not serve the object, or it, the provider or the database fails.
    pub async fn remote_fields(
        &self,
        scope: &Scope,
        kind: ObjectKind,
    ) -> Result<RemoteFields, Error> {
        let version = self.version(&scope.connection().connector)?;
        Self::supported(&version, kind)?;
        let mut context = self.context(scope, &version)?;
        context.priority = Priority::Interactive;
        match version.discover(context, kind).await {
            Ok(fields) => {
                return Ok(RemoteFields {
                    discovered: true,
                    fields,
                });
            }
            Err(CallError::Failure(Failure::Unsupported(_))) => {}
            Err(error) => return Err(self.failed(scope, error).await),
        }
        let stored = self
            .0
            .store
            .remote_documents(scope, kind, None, LOOKED_AT)
            .await?;
        let mut places = BTreeMap::new();
        for (_, document) in &stored {
            if let Ok(document) = serde_json::from_str(document) {
                look(&document, &mut String::new(), 0, &mut places);
            }
        }
        Ok(RemoteFields {
            discovered: false,
            fields: places.into_iter().map(Place::field).collect(),
        })
    }
}

/// What was seen at one place of several documents.
#[derive(Default)]
struct Place {
    data_type: Option<DataType>,
    samples: Vec<String>,
}

fn look(value: &Value, path: &mut String, depth: usize, places: &mut BTreeMap<String, Place>) {
    match value {
        Value::Object(members) if depth < MAX_DEPTH && !(members.is_empty() && depth > 0) => {
            for (name, member) in members {
                let length = path.len();
                path.push('/');
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                look(member, path, depth + 1, places);
                path.truncate(length);
            }
        }
        value
            if !path.is_empty()
                && (places.len() < MAX_FOUND || places.contains_key(path.as_str())) =>
        {
            places.entry(path.clone()).or_default().see(value);
        }
        _ => {}
    }
}

impl Place {
    fn see(&mut self, value: &Value) {
        let Some(data_type) = data_type(value) else {
            return;
        };
        self.data_type = match self.data_type {
            None => Some(data_type),
            Some(known) if known == data_type => Some(known),
            // Days and moments are texts too; what else differs is best read as text.
            Some(_) => Some(DataType::String),
        };
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let sample: String = text.chars().take(MAX_SAMPLE).collect();
        if self.samples.len() < MAX_SAMPLES && !sample.is_empty() && !self.samples.contains(&sample)
        {
            self.samples.push(sample);
        }
    }

    fn field((name, place): (String, Self)) -> RemoteField {
        let label = name.rsplit('/').next().unwrap_or_default();
        RemoteField {
            label: label.replace("~1", "/").replace("~0", "~"),
            name,
            data_type: place.data_type.unwrap_or(DataType::String).as_str(),
            custom: false,
            writable: false,
            options: Vec::new(),
            samples: place.samples,
        }
    }
}

fn data_type(value: &Value) -> Option<DataType> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => DataType::Boolean,
        Value::Number(_) => DataType::Number,
        Value::Array(_) => DataType::List,
        Value::Object(_) => DataType::Object,
        Value::String(text) if Timestamp::parse(text).is_some() => DataType::Datetime,
        Value::String(_) if DataType::Date.check(value).is_ok() => DataType::Date,
        Value::String(_) => DataType::String,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_in_documents_become_fields() {
        let mut places = BTreeMap::new();
        for document in [
            json!({"id": 1, "a/b": {"on": "2026-01-31", "deep": {"x": {"y": {"z": 1}}}}, "tags": ["t"]}),
            json!({"id": "two", "a/b": {"on": "2026-02-01", "none": null}, "extra": {}}),
        ] {
            look(&document, &mut String::new(), 0, &mut places);
        }
        let fields: Vec<_> = places.into_iter().map(Place::field).collect();
        let found: Vec<_> = fields
            .iter()
            .map(|field| (field.name.as_str(), field.data_type))
            .collect();
        assert_eq!(
            found,
            [
                ("/a~1b/deep/x/y", "object"),
                ("/a~1b/none", "string"),
                ("/a~1b/on", "date"),
                ("/extra", "object"),
                ("/id", "string"),
                ("/tags", "list"),
            ]
        );
        assert_eq!(fields[2].samples, ["2026-01-31", "2026-02-01"]);
        assert_eq!(fields[2].label, "on");
    }
}
