//! Fixtures: what a provider answered, and what becomes of its documents. The SDK's `testing`
//! describes the format.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Error;
use crate::model::{FieldMapping, ObjectKind};

/// The fixtures of a connector, by file name and in its order.
#[derive(Clone, Debug, Default)]
pub struct Fixtures(Vec<(String, Fixture)>);

/// A file of `fixtures/`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// What it shows.
    pub description: String,
    /// Where it comes from.
    pub source: Source,
    /// Requests and the provider's answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// For `unify`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Mapping>,
    /// For `desunify`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Mapping>,
}

/// Where a fixture comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A provider's answer, scrubbed.
    Recorded,
    /// Written after its documentation.
    Constructed,
}

/// A request and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What is asked.
    pub request: Request,
    /// What comes back.
    pub response: Response,
}

/// A request of an exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// `{endpoint}/path?query`, or an absolute address.
    pub url: String,
    /// Headers that must be among those sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON is compared as JSON, text as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// An answer of an exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// The status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON or text; null for none.
    #[serde(default)]
    pub body: Value,
}

const fn ok() -> u16 {
    200
}

impl Response {
    /// The body as it is sent.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            body => body.to_string().into_bytes(),
        }
    }
}

/// One document before and after a mapping.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The object.
    pub object: String,
    /// Custom fields: slug to the provider's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The provider's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Value>,
    /// The unified form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unified: Option<Map<String, Value>>,
    /// The refusal, in place of a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Mapping {
    /// Its custom fields as the connector takes them.
    pub(super) fn mappings(&self) -> Vec<FieldMapping> {
        let fields = self.fields.iter();
        fields
            .map(|(slug, remote_field)| FieldMapping {
                slug: slug.clone(),
                remote_field: remote_field.clone(),
            })
            .collect()
    }
}

impl Fixtures {
    /// Reads every `.json` file of a folder.
    ///
    /// # Errors
    /// One cannot be read or has another form: file, line and what is wrong.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let unreadable = |error| Error::Read(folder.to_owned(), error);
        let entries = fs::read_dir(folder).map_err(unreadable)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        });
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            let text =
                fs::read_to_string(&path).map_err(|error| Error::Read(path.clone(), error))?;
            let fixture: Fixture = serde_json::from_str(&text).map_err(|error| Error::Fixture {
                file: path.clone(),
                line: error.line(),
                message: without_place(&error),
            })?;
            fixture.check(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.push((format!("fixtures/{name}"), fixture));
        }
        Ok(Self(files))
    }

    /// Those that a component carries: one JSON document after the other.
    pub(super) fn of_samples(text: &str) -> Self {
        let samples = serde_json::Deserializer::from_str(text).into_iter::<Fixture>();
        let name = |(index, fixture)| (format!("sample {}", index + 1), fixture);
        Self(
            samples
                .map_while(Result::ok)
                .enumerate()
                .map(name)
                .collect(),
        )
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its file's name.
    pub fn iter(&self) -> impl Iterator<Item = &(String, Fixture)> {
        self.0.iter()
    }

    /// What `unify` gets for an object, with the place of each.
    pub(super) fn documents(&self, kind: ObjectKind) -> Vec<(String, &Mapping)> {
        self.mappings(kind, "documents", |fixture| &fixture.documents)
    }

    /// What `desunify` gets for an object, with the place of each.
    pub(super) fn inputs(&self, kind: ObjectKind) -> Vec<(String, &Mapping)> {
        self.mappings(kind, "inputs", |fixture| &fixture.inputs)
    }

    /// All exchanges, in the order of the files.
    pub(super) fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.0.iter().flat_map(|(_, fixture)| &fixture.exchanges)
    }

    fn mappings(
        &self,
        kind: ObjectKind,
        key: &str,
        part: impl Fn(&Fixture) -> &Vec<Mapping>,
    ) -> Vec<(String, &Mapping)> {
        let mut found = Vec::new();
        for (file, fixture) in &self.0 {
            for (index, case) in part(fixture).iter().enumerate() {
                if case.object == kind.name() {
                    found.push((format!("{file}: {key}[{index}]"), case));
                }
            }
        }
        found
    }
}

impl Fixture {
    /// What the form alone does not say: each mapping has its two sides.
    fn check(&self, path: &Path) -> Result<(), Error> {
        let sides = [
            ("documents", &self.documents, "remote", "unified"),
            ("inputs", &self.inputs, "unified", "remote"),
        ];
        for (key, cases, from, to) in sides {
            for (index, case) in cases.iter().enumerate() {
                let has = |side: &str| match side {
                    "remote" => case.remote.is_some(),
                    _ => case.unified.is_some(),
                };
                let message = if ObjectKind::parse(&case.object).is_none() {
                    let known = ObjectKind::all().map(ObjectKind::name);
                    let near = crate::model::nearest(&case.object, known);
                    let near = near.map(|near| format!("; did you mean {near:?}?"));
                    format!(
                        "{:?} is no known object{}",
                        case.object,
                        near.unwrap_or_default()
                    )
                } else if !has(from) {
                    format!("lacks {from:?}, which is what goes in")
                } else if has(to) == case.error.is_some() {
                    format!("needs either {to:?} or \"error\"")
                } else {
                    continue;
                };
                return Err(Error::Fixture {
                    file: path.to_owned(),
                    line: 0,
                    message: format!("{key}[{index}] {message}"),
                });
            }
        }
        Ok(())
    }
}

/// The sentence of the parser without the place, which is told in front.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}
