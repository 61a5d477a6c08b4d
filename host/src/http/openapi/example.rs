//! Examples of bodies, put together from the examples of the fields.

use serde_json::{Map, Value, json};

/// Deeper than this is a schema that contains itself.
const DEEPEST: usize = 12;

/// Gives every body that has a schema and no example one.
pub(super) fn fill_in(document: &mut Value) {
    let schemas = document.pointer("/components/schemas");
    let schemas = schemas.cloned().unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let Some(paths) = paths else {
        return;
    };
    let operations = paths
        .values_mut()
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    for operation in operations {
        if let Some(body) = operation.get_mut("requestBody") {
            fill_content(body, &schemas);
        }
        let responses = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        for response in responses.into_iter().flat_map(Map::values_mut) {
            fill_content(response, &schemas);
        }
    }
}

fn fill_content(holder: &mut Value, schemas: &Value) {
    let content = holder.get_mut("content").and_then(Value::as_object_mut);
    let media = content.into_iter().flat_map(Map::values_mut);
    for media in media.filter_map(Value::as_object_mut) {
        let given = media.contains_key("example") || media.contains_key("examples");
        if let Some(schema) = media.get("schema").filter(|_| !given) {
            let example = of(schema, schemas, 0);
            media.insert("example".to_owned(), example);
        }
    }
}

/// A value that fits `schema`.
pub(super) fn of(schema: &Value, schemas: &Value, depth: usize) -> Value {
    let given = |key: &str| schema.get(key).and_then(|values| values.get(0)).cloned();
    if let Some(example) = given("examples").or_else(|| schema.get("const").cloned()) {
        return example;
    }
    if let Some(example) = schema.get("default").cloned().or_else(|| given("enum")) {
        return example;
    }
    if depth > DEEPEST {
        return Value::Null;
    }
    let name = schema.get("$ref").and_then(Value::as_str);
    if let Some(name) = name.and_then(|target| target.strip_prefix("#/components/schemas/")) {
        let schema = schemas.get(name);
        return schema.map_or(Value::Null, |schema| of(schema, schemas, depth + 1));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(first) = schema.get(key).and_then(|choices| choices.get(0)) {
            return of(first, schemas, depth + 1);
        }
    }
    let types = schema.get("type");
    let first = types.and_then(|types| types.get(0)).or(types);
    match first.and_then(Value::as_str) {
        Some("object") => object(schema, schemas, depth),
        Some("array") => match schema.get("items") {
            Some(items) => json!([of(items, schemas, depth + 1)]),
            None => json!([]),
        },
        Some("string") => json!(text(schema)),
        Some("integer" | "number") => {
            let least = schema.get("minimum").cloned();
            least.unwrap_or_else(|| json!(1))
        }
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

/// With every field that has to be there, and every other that has an example.
fn object(schema: &Value, schemas: &Value, depth: usize) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let needed = |name: &str| {
        let mut names = required.into_iter().flatten();
        names.any(|one| one == name)
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields = properties
        .into_iter()
        .flatten()
        .filter(|(name, field)| needed(name) || field.get("examples").is_some());
    let fields = fields.map(|(name, field)| (name.clone(), of(field, schemas, depth + 1)));
    Value::Object(fields.collect())
}

fn text(schema: &Value) -> &'static str {
    match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => "0195d9d1-6f1e-8a04-b1c5-3f5d2c7a9e10",
        Some("date-time") => "2026-01-31T08:00:00.000Z",
        Some("date") => "2026-01-31",
        Some("email") => "ada@example.com",
        Some("uri") => "https://example.com",
        _ => "text",
    }
}
