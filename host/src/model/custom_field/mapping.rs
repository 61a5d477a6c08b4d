//! The rules of a mapping: from remote fields through transforms to a value, and back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DataType, EffectiveMapping, is_pointer, violation};
use crate::model::{
    Sources, Transform, Violation,
    transform::{self},
};

/// Remote fields of one mapping.
const MAX_REMOTE_FIELDS: usize = 16;
const MAX_TRANSFORMS: usize = 16;
/// Bytes of a remote field's name.
const MAX_NAME: usize = 512;

/// How the value of a custom field is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MappingRules {
    /// Names of the provider's fields as the connector knows them, or JSON Pointers (`/a/b`) into
    /// the provider's document. At least one.
    pub remote_fields: Vec<String>,
    /// What is done with the value, in this order.
    pub transforms: Vec<Transform>,
    /// The value where the provider has none, or one that cannot be converted.
    pub default: Option<Value>,
}

/// What a mapping made of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The value; null where there is none.
    pub value: Value,
    /// Why the value is not what the provider has.
    pub warning: Option<String>,
}

impl MappingRules {
    /// Everything that is wrong with them, for a field of that type.
    #[must_use]
    pub fn check(&self, data_type: DataType) -> Vec<Violation> {
        let mut problems = Vec::new();
        let names = &self.remote_fields;
        if names.is_empty() || names.len() > MAX_REMOTE_FIELDS {
            let message = format!("must have 1 to {MAX_REMOTE_FIELDS} names");
            problems.push(violation("/remote_fields", message));
        }
        for (index, name) in names.iter().enumerate() {
            let path = format!("/remote_fields/{index}");
            if name.trim().is_empty() || name.len() > MAX_NAME || name.contains('\0') {
                let message = format!("must be a name of 1 to {MAX_NAME} bytes");
                problems.push(violation(&path, message));
            } else if names.iter().take(index).any(|other| other == name) {
                problems.push(violation(&path, "is named twice"));
            }
        }
        if self.transforms.len() > MAX_TRANSFORMS {
            let message = format!("must be at most {MAX_TRANSFORMS}");
            problems.push(violation("/transforms", message));
        }
        for (index, transform) in self.transforms.iter().enumerate() {
            if let Err((part, message)) = transform.check(names) {
                problems.push(violation(&format!("/transforms/{index}/{part}"), message));
            }
        }
        let combined = self.transforms.iter().any(Transform::combines);
        if names.len() > 1 && !combined && data_type != DataType::List {
            problems.push(violation(
                "/transforms",
                "must have a concatenate or a template, which make one value of several remote fields",
            ));
        }
        if let Some(default) = &self.default
            && let Err(message) = data_type.check(default)
        {
            problems.push(violation("/default", message));
        }
        problems
    }

    /// Why nothing can be written through them; none where something can.
    #[must_use]
    pub fn one_way(&self) -> Option<String> {
        let [name] = self.remote_fields.as_slice() else {
            return Some(
                "is read-only: it is made of several remote fields, and how to divide a value among them is not known".to_owned(),
            );
        };
        if is_pointer(name) {
            return Some(format!(
                "is read-only: it is mapped to the place {name} in the provider's document, which only can be read; map it to a field's name to write it"
            ));
        }
        self.transforms.iter().find_map(|transform| {
            // Joining one field with nothing changes nothing.
            let reason = match transform {
                Transform::Concatenate { .. } => None,
                transform => transform.one_way(),
            }?;
            Some(format!(
                "is read-only: the transform `{}` has no way back: {reason}",
                transform.name()
            ))
        })
    }
}

impl EffectiveMapping {
    /// The value that a record has, from `answered` (the connector's values by remote field) and
    /// `document` (the provider's own).
    #[must_use]
    pub fn map(&self, answered: &Map<String, Value>, document: &Value) -> Mapped {
        let sources = self.sources(answered, document);
        match self.convert(&sources) {
            Ok(value) if transform::is_empty(&value) => Mapped {
                value: self.rules.default.clone().unwrap_or(value),
                warning: None,
            },
            Ok(value) => Mapped {
                value,
                warning: None,
            },
            Err(warning) => Mapped {
                value: self.rules.default.clone().unwrap_or_default(),
                warning: Some(warning),
            },
        }
    }

    /// What the provider has in the remote fields.
    #[must_use]
    pub fn sources(&self, answered: &Map<String, Value>, document: &Value) -> Sources {
        let names = self.rules.remote_fields.iter();
        names
            .map(|name| {
                let value = if is_pointer(name) {
                    document.pointer(name)
                } else {
                    answered.get(name)
                };
                (name.clone(), value.cloned().unwrap_or_default())
            })
            .collect()
    }

    fn convert(&self, sources: &Sources) -> Result<Value, String> {
        let mut values = self
            .rules
            .remote_fields
            .iter()
            .map(|name| sources.get(name).cloned().unwrap_or_default());
        let mut value = match self.rules.remote_fields.len() {
            1 => values.next().unwrap_or_default(),
            _ => match values.filter(|value| !transform::is_empty(value)).collect() {
                Value::Array(found) if found.is_empty() => Value::Null,
                found => found,
            },
        };
        for (index, transform) in self.rules.transforms.iter().enumerate() {
            value = transform.apply(value, sources).map_err(|reason| {
                format!("transform {} ({}): {reason}", index + 1, transform.name())
            })?;
        }
        if transform::is_empty(&value) {
            // An empty text is no number, but no mistake either.
            return Ok(match self.data_type {
                DataType::String => value,
                _ => Value::Null,
            });
        }
        self.data_type.fit(value)
    }

    /// What the remote field has to hold so that the custom field is `value`.
    ///
    /// # Errors
    /// The value does not fit the type, or there is no way back: a sentence.
    pub fn invert(&self, value: Value) -> Result<Value, String> {
        self.data_type.check(&value)?;
        if let Some(reason) = self.rules.one_way() {
            return Err(reason);
        }
        let steps = self.rules.transforms.iter().rev();
        steps
            .filter(|step| !step.combines())
            .try_fold(value, |value, step| {
                step.invert(value)
                    .map_err(|reason| format!("cannot be written ({}): {reason}", step.name()))
            })
    }
}
