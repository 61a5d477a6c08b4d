//! Validation of unified objects, in what applications send and in what connectors answer.

use std::{fmt, sync::OnceLock};

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::{ObjectKind, Unknown};

/// What is wrong with an object, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) of the value at fault; empty for the object itself.
    pub path: String,
    /// What is wrong, in a sentence.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}

/// What an object that an application sends is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// All required fields must be there.
    Create,
    /// Only what is to change is there; required fields may not be null.
    Update,
}

/// The three readings of one schema, each built when it is needed first: all together would take
/// a noticeable part of the server's start.
#[derive(Debug, Default)]
pub(super) struct Validators {
    create: OnceLock<Validator>,
    update: OnceLock<Validator>,
    output: OnceLock<Validator>,
}

impl Validators {
    fn create(&self, schema: &Value) -> &Validator {
        self.create.get_or_init(|| {
            let mut schema = schema.clone();
            forbid_null_in_required(&mut schema);
            forbid_read_only(&mut schema);
            compile(&schema)
        })
    }

    fn update(&self, schema: &Value) -> &Validator {
        self.update.get_or_init(|| {
            let mut schema = schema.clone();
            forbid_null_in_required(&mut schema);
            forbid_read_only(&mut schema);
            compile(&without_required(schema))
        })
    }

    fn output(&self, schema: &Value) -> &Validator {
        self.output.get_or_init(|| {
            let mut schema = schema.clone();
            allow_null_everywhere(&mut schema);
            compile(&without_required(schema))
        })
    }
}

fn without_required(mut schema: Value) -> Value {
    if let Some(map) = schema.as_object_mut() {
        map.remove("required");
    }
    schema
}

fn compile(schema: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .expect("a test builds the validators of every embedded schema")
}

/// The files allow null everywhere, since a provider may know nothing; an application that
/// creates a record has to say what is required.
fn forbid_null_in_required(schema: &mut Value) {
    let required: Vec<String> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(ToOwned::to_owned))
        .collect();
    for name in required {
        let types = schema
            .get_mut("properties")
            .and_then(|properties| properties.get_mut(&name))
            .and_then(|property| property.get_mut("type"));
        if let Some(Value::Array(types)) = types {
            types.retain(|kind| kind != "null");
        }
    }
}

/// What only the provider sets is unknown in what an application sends.
fn forbid_read_only(schema: &mut Value) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|_, field| field.get("readOnly").is_none_or(|value| value != true));
    }
}

/// A connector need not know which fields have a default or are left out: it may say null.
fn allow_null_everywhere(schema: &mut Value) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for field in properties.values_mut() {
        if let Some(kind @ Value::String(_)) = field.get_mut("type") {
            *kind = Value::Array(vec![kind.take(), Value::from("null")]);
        }
    }
}

impl ObjectKind {
    /// Checks what an application sent.
    ///
    /// # Errors
    /// Everything that is wrong, each with its path.
    pub fn validate_input(self, object: &Value, mode: WriteMode) -> Result<(), Vec<Violation>> {
        let spec = self.spec();
        match mode {
            WriteMode::Create => check(spec.validators.create(&spec.schema), object),
            WriteMode::Update => check(spec.validators.update(&spec.schema), object),
        }
    }

    /// Checks what a connector answered.
    ///
    /// # Errors
    /// Everything that is wrong, each with its path.
    pub fn validate_output(self, object: &Value) -> Result<(), Vec<Violation>> {
        let spec = self.spec();
        check(spec.validators.output(&spec.schema), object)
    }

    /// The object with every field of the schema. Where nothing is known there is null, or the
    /// default of a field that is never null; one that has no default either is left out.
    #[must_use]
    pub fn complete(self, mut object: Map<String, Value>) -> Map<String, Value> {
        let properties = &self.spec().properties;
        for property in properties {
            let Some(list) = &property.first_of else {
                continue;
            };
            let known = object.get(&property.name).is_some_and(|one| !one.is_null());
            let first = object.get(list).and_then(|list| list.get(0)).cloned();
            if let Some(first) = first.filter(|_| !known) {
                object.insert(property.name.clone(), first);
            }
        }
        properties
            .iter()
            .filter(|property| !property.write_only)
            .filter_map(|property| {
                let value = match (object.remove(&property.name), &property.unknown) {
                    (Some(value), _) if !value.is_null() => value,
                    (_, Unknown::Null) => Value::Null,
                    (_, Unknown::Default(default)) => default.clone(),
                    (_, Unknown::Absent) => return None,
                };
                Some((property.name.clone(), value))
            })
            .collect()
    }

    /// What an application sent, in the form that connectors get: a field that stands for the
    /// first one of a list becomes that list.
    #[must_use]
    pub fn spread(self, mut object: Map<String, Value>) -> Map<String, Value> {
        for property in &self.spec().properties {
            let Some(list) = &property.first_of else {
                continue;
            };
            if let Some(one) = object.remove(&property.name) {
                let alone = if one.is_null() {
                    Value::Array(Vec::new())
                } else {
                    Value::Array(vec![one])
                };
                object.entry(list.clone()).or_insert(alone);
            }
        }
        object
    }
}

fn check(validator: &Validator, object: &Value) -> Result<(), Vec<Violation>> {
    if validator.is_valid(object) {
        return Ok(());
    }
    Err(validator
        .iter_errors(object)
        .take(20)
        .map(|error| Violation {
            path: error.instance_path().to_string(),
            message: error.masked().to_string(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_failing_path() {
        let contact = ObjectKind::parse("crm.contact").unwrap();
        let object = json!({
            "first_name": "Ada", "last_name": "L",
            "email_addresses": [{"email_address": 7, "email_address_type": "WORK"}],
        });
        let violations = contact
            .validate_input(&object, WriteMode::Create)
            .unwrap_err();
        assert_eq!(violations[0].path, "/email_addresses/0/email_address");
    }

    #[test]
    fn required_fields_are_required_on_create_only() {
        let contact = ObjectKind::parse("crm.contact").unwrap();
        let partial = json!({"first_name": "Ada"});
        assert!(contact.validate_input(&partial, WriteMode::Create).is_err());
        assert!(contact.validate_input(&partial, WriteMode::Update).is_ok());
        let null = json!({"first_name": null});
        assert!(contact.validate_input(&null, WriteMode::Update).is_err());
        assert!(contact.validate_output(&null).is_ok());
        let unknown = json!({"nick": "A"});
        assert!(contact.validate_output(&unknown).is_err());
    }

    #[test]
    fn completing_fills_every_field_with_null() {
        let stage = ObjectKind::parse("crm.stage").unwrap();
        let complete = stage.complete(Map::new());
        assert_eq!(Value::Object(complete), json!({"stage_name": null}));
    }

    #[test]
    fn what_is_never_null_has_its_default_or_no_key() {
        let folder = ObjectKind::parse("filestorage.folder").unwrap();
        let said = json!({"name": "Plans", "description": null});
        assert!(folder.validate_output(&said).is_ok());
        let complete = folder.complete(said.as_object().unwrap().clone());
        assert_eq!(complete["description"], "");
        assert_eq!(complete["remote_was_deleted"], false);
        assert_eq!(complete["size"], Value::Null);
        let application = ObjectKind::parse("ats.application").unwrap();
        let complete = application.complete(Map::new());
        assert!(!complete.contains_key("job_id"));
        assert!(complete.contains_key("candidate_id"));
    }

    #[test]
    fn what_only_the_provider_sets_cannot_be_sent() {
        let file = ObjectKind::parse("filestorage.file").unwrap();
        let object = json!({"name": "a", "remote_was_deleted": true});
        assert!(file.validate_output(&object).is_ok());
        assert!(file.validate_input(&object, WriteMode::Create).is_err());
        assert!(file.validate_input(&object, WriteMode::Update).is_err());
    }

    #[test]
    fn one_permission_stands_for_a_list_of_one() {
        let file = ObjectKind::parse("filestorage.file").unwrap();
        let read = json!({"permissions": ["p1", "p2"]});
        let complete = file.complete(read.as_object().unwrap().clone());
        assert_eq!(complete["permission"], "p1");
        let sent = json!({"name": "a", "permission": "p1"});
        let spread = file.spread(sent.as_object().unwrap().clone());
        assert_eq!(json!(spread), json!({"name": "a", "permissions": ["p1"]}));
        let sent = json!({"permission": "p1", "permissions": []});
        let spread = file.spread(sent.as_object().unwrap().clone());
        assert_eq!(json!(spread), json!({"permissions": []}));
    }
}
