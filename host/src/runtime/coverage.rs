//! Which unified fields a connector really maps, found by asking it: not what its manifest
//! promises.
//!
//! A field is writable where it changes what `desunify` answers, and readable where `unify` fills
//! it for one of the sample documents that the component carries.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{CallError, ConnectorVersion};
use crate::model::{ObjectKind, ObjectSupport, PushOperation};

/// The most samples of one object that are looked at.
const MAX_SAMPLES: usize = 100;

/// The fields of each object, by the object's name.
pub type Coverage = BTreeMap<String, Vec<FieldCoverage>>;

/// What a connector does with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldCoverage {
    /// The field.
    pub name: String,
    /// Whether it is filled for at least one of the connector's samples.
    pub readable: bool,
    /// Whether it reaches the provider.
    pub writable: bool,
}

/// A fixture, as far as it matters here.
#[derive(Deserialize)]
struct Samples {
    #[serde(default)]
    documents: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    object: String,
    remote: Option<Value>,
}

impl ConnectorVersion {
    /// Computes the coverage, or takes what was computed for the same bytes and schemas. Takes
    /// about as many calls as there are fields.
    ///
    /// # Errors
    /// A limit was reached: it can be tried again.
    pub async fn coverage(&self) -> Result<Coverage, CallError> {
        let place = self.coverage_file();
        if let Some(known) = read(&place) {
            return Ok(known);
        }
        let _rest = self.breaker.rest();
        let samples = self.samples_by_object();
        let mut coverage = Coverage::new();
        for object in &self.manifest().objects {
            let name = object.kind.name();
            let remotes = samples.get(name).map_or(&[][..], Vec::as_slice);
            let readable = self.readable(object.kind, remotes).await?;
            let writable = self.writable(object).await?;
            let field = |name: &String| FieldCoverage {
                name: name.clone(),
                readable: readable.contains(name),
                writable: writable.contains(name),
            };
            let properties = object.kind.spec().properties.iter();
            let fields = properties.map(|property| field(&property.name)).collect();
            coverage.insert(name.to_owned(), fields);
        }
        if let Err(error) = write(&place, &coverage) {
            tracing::warn!(error = %error, "a connector's coverage cannot be kept; it is computed again next time");
        }
        Ok(coverage)
    }

    /// The provider's documents that the component carries.
    fn samples_by_object(&self) -> BTreeMap<String, Vec<Value>> {
        let mut samples: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let fixtures = serde_json::Deserializer::from_str(self.samples()).into_iter::<Samples>();
        for sample in fixtures.map_while(Result::ok).flat_map(|one| one.documents) {
            if let Some(remote) = sample.remote {
                let known = samples.entry(sample.object).or_default();
                if known.len() < MAX_SAMPLES {
                    known.push(remote);
                }
            }
        }
        samples
    }

    async fn readable(
        &self,
        kind: ObjectKind,
        remotes: &[Value],
    ) -> Result<BTreeSet<String>, CallError> {
        if remotes.is_empty() {
            return Ok(BTreeSet::new());
        }
        let answer = match self.unify(kind, json!(remotes).to_string(), &[]).await {
            Ok(answer) => answer,
            Err(error @ CallError::Busy(_)) => return Err(error),
            Err(_) => return Ok(BTreeSet::new()),
        };
        let entries: Vec<Map<String, Value>> = serde_json::from_str(&answer).unwrap_or_default();
        let filled = entries.into_iter().flatten();
        Ok(filled
            .filter(|(_, value)| !value.is_null())
            .map(|(name, _)| name)
            .collect())
    }

    async fn writable(&self, object: &ObjectSupport) -> Result<BTreeSet<String>, CallError> {
        let mut writable = BTreeSet::new();
        if object
            .push
            .iter()
            .all(|operation| *operation == PushOperation::Delete)
        {
            return Ok(writable);
        }
        let kind = object.kind;
        let required = required(kind);
        for property in &kind.spec().properties {
            let name = &property.name;
            // Some providers want the whole, others refuse what else is there: either will do.
            let mut found = false;
            for mut around in [Map::new(), required.clone()] {
                around.remove(name);
                let before = self.written(kind, &around).await?;
                for example in examples(kind, name) {
                    let mut with = around.clone();
                    with.insert(name.clone(), example);
                    let after = self.written(kind, &with).await?;
                    if after.is_some() && after != before {
                        found = true;
                        break;
                    }
                }
                if found {
                    writable.insert(name.clone());
                    break;
                }
            }
        }
        Ok(writable)
    }

    /// What `desunify` makes of it; none where it refuses it.
    async fn written(
        &self,
        kind: ObjectKind,
        object: &Map<String, Value>,
    ) -> Result<Option<Value>, CallError> {
        let text = Value::Object(object.clone()).to_string();
        match self.desunify(kind, text, &[]).await {
            Ok(answer) => Ok(serde_json::from_str(&answer).ok()),
            Err(error @ CallError::Busy(_)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn coverage_file(&self) -> PathBuf {
        // Another program knows other fields.
        let all: Vec<&Value> = self
            .manifest()
            .objects
            .iter()
            .map(|object| &object.kind.spec().schema)
            .collect();
        let schemas = crate::model::Digest::of(json!(all).to_string().as_bytes());
        self.cache_dir().join(format!(
            "{}-{}.coverage.json",
            self.digest(),
            schemas.short()
        ))
    }
}

/// Values to try for a field: the schema's, and plain ids for references.
fn examples(kind: ObjectKind, name: &str) -> Vec<Value> {
    let path = format!("/properties/{name}");
    let schema = kind.spec().schema.pointer(&path);
    let mut values: Vec<Value> = schema
        .and_then(|schema| schema.get("examples")?.as_array().cloned())
        .unwrap_or_default();
    if let Some(one) = schema.and_then(example) {
        values.push(one);
    }
    match kind.spec().property(name).and_then(|one| one.reference) {
        Some(reference) if reference.many => values.push(json!(["1"])),
        Some(_) => values.push(json!("1")),
        None => {}
    }
    values
}

/// A value made of the examples of a schema's parts.
fn example(schema: &Value) -> Option<Value> {
    if let Some(first) = schema.get("examples").and_then(|all| all.get(0)) {
        return Some(first.clone());
    }
    if let Some(first) = schema.get("enum").and_then(|all| all.get(0)) {
        return Some(first.clone());
    }
    if let Some(first) = schema.get("x-suggested").and_then(|all| all.get(0)) {
        return Some(first.clone());
    }
    if let Some(items) = schema.get("items") {
        return Some(json!([example(items)?]));
    }
    let properties = schema.get("properties")?.as_object()?;
    let parts = properties
        .iter()
        .filter_map(|(name, part)| Some((name.clone(), example(part)?)));
    Some(Value::Object(parts.collect()))
}

/// Every required field with its first example.
fn required(kind: ObjectKind) -> Map<String, Value> {
    let names = kind.spec().schema.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter_map(|name| {
            Some((
                name.to_owned(),
                examples(kind, name).into_iter().next_back()?,
            ))
        })
        .collect()
}

fn read(place: &Path) -> Option<Coverage> {
    serde_json::from_slice(&fs::read(place).ok()?).ok()
}

fn write(place: &Path, coverage: &Coverage) -> std::io::Result<()> {
    let folder = place.parent().unwrap_or_else(|| Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&file, coverage)?;
    file.persist(place).map_err(|error| error.error)?;
    Ok(())
}
