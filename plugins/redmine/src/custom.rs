//! Custom fields of the project, which are custom fields or plain attributes of a Redmine document.
//!
//! The provider's name in a field mapping is the custom field's name (`Severity`), `cf_` and its number as in
//! Redmine's own addresses (`cf_12`), or an attribute (`done_ratio`).

use jackfield_sdk::{Document, Failure, Fields};
use serde_json::{Map, Value, json};

use crate::wire::{CustomField, IssueInput};

/// Attributes of an issue that may be written and have no unified field.
const ATTRIBUTES: [&str; 5] = [
    "done_ratio",
    "estimated_hours",
    "start_date",
    "is_private",
    "fixed_version_id",
];

/// The values that a document has for the mapped fields, by slug.
pub(crate) fn read(
    document: Document<'_>,
    fields: Fields<'_>,
) -> Result<Map<String, Value>, Failure> {
    if fields.is_empty() {
        return Ok(Map::new());
    }
    let whole: Map<String, Value> = document.read()?;
    let custom: Vec<CustomField> = match whole.get("custom_fields") {
        Some(list) => serde_json::from_value(list.clone()).map_err(Failure::invalid)?,
        None => Vec::new(),
    };
    Ok(fields.collect(|name| {
        let field = custom
            .iter()
            .find(|field| Some(field.id) == number(name) || field.name == name);
        field
            .map(|field| field.value.clone())
            .or_else(|| whole.get(name).cloned())
    }))
}

/// Puts the values of the mapped fields where they belong in the input.
pub(crate) fn write(values: &Map<String, Value>, fields: Fields<'_>, input: &mut IssueInput) {
    let mut numbered = Vec::new();
    for (name, value) in fields.to_remote(values) {
        if let Some(id) = number(&name) {
            numbered.push(entry(id, &value));
        } else if ATTRIBUTES.contains(&name.as_str()) {
            input.issue.insert(name, value);
        } else {
            input.custom.insert(name, value);
        }
    }
    if !numbered.is_empty() {
        input
            .issue
            .insert("custom_fields".to_owned(), Value::Array(numbered));
    }
}

/// Moves values under names to the list that Redmine takes, with the numbers of the known fields.
pub(crate) fn resolve(input: &mut IssueInput, known: &[CustomField]) -> Result<(), Failure> {
    let list = input
        .issue
        .entry("custom_fields")
        .or_insert_with(|| json!([]));
    let Value::Array(list) = list else {
        return Err(Failure::invalid("custom_fields is no list"));
    };
    for (name, value) in std::mem::take(&mut input.custom) {
        let field = known
            .iter()
            .find(|field| field.name == name)
            .ok_or_else(|| {
                Failure::invalid(format!("Redmine has no custom field {name:?} here"))
            })?;
        list.push(entry(field.id, &value));
    }
    Ok(())
}

/// Redmine takes custom values as text.
fn entry(id: u64, value: &Value) -> Value {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(value) => u8::from(*value).to_string(),
        other => other.to_string(),
    };
    match value {
        Value::Array(values) => {
            json!({ "id": id, "value": values.iter().map(text).collect::<Vec<_>>() })
        }
        value => json!({ "id": id, "value": text(value) }),
    }
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("cf_")?.parse().ok()
}
