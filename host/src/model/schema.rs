//! Validation of unified objects, in what applications send and in what connectors answer.

use std::{fmt, sync::OnceLock};

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::ObjectKind;

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
            compile(&schema)
        })
    }

    fn update(&self, schema: &Value) -> &Validator {
        self.update.get_or_init(|| {
            let mut schema = schema.clone();
            forbid_null_in_required(&mut schema);
            compile(&without_required(schema))
        })
    }

    fn output(&self, schema: &Value) -> &Validator {
        self.output
            .get_or_init(|| compile(&without_required(schema.clone())))
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

    /// The object with every field of the schema, null where nothing is known.
    #[must_use]
    pub fn complete(self, mut object: Map<String, Value>) -> Map<String, Value> {
        self.spec()
            .properties
            .iter()
            .filter(|property| !property.write_only)
            .map(|property| {
                let value = object.remove(&property.name).unwrap_or(Value::Null);
                (property.name.clone(), value)
            })
            .collect()
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
}
