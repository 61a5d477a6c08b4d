//! Schemas of the unified objects: from the files of `wit/models/`, with the common fields.

use serde_json::{Map, Value, json};

use crate::{
    model::{ObjectKind, Operation, Quirk, Unknown},
    unify::expandable,
};

/// Of one operation of one object.
pub(super) struct Schemas {
    pub(super) body: Option<Value>,
    pub(super) answer: Option<Value>,
}

/// References to the schemas that `verb` needs, which are put into `schemas`.
pub(super) fn schemas(
    kind: ObjectKind,
    verb: Operation,
    schemas: &mut Map<String, Value>,
) -> Schemas {
    let name = kind.spec().pascal_name();
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let body = match verb {
        Operation::Create => Some("Input"),
        Operation::Update => Some("Update"),
        _ => None,
    };
    let body = body.map(|suffix| {
        let name = format!("Unified{name}{suffix}");
        schemas.insert(name.clone(), input(kind, verb));
        reference(&name)
    });
    let output_name = format!("Unified{name}Output");
    if !schemas.contains_key(&output_name) {
        share_definitions(kind, schemas);
        schemas.insert(output_name.clone(), output(kind));
    }
    let answer = match verb {
        Operation::Delete => None,
        Operation::List => {
            let list = format!("Paginated{name}s");
            schemas.insert(list.clone(), envelope(&reference(&output_name)));
            Some(reference(&list))
        }
        Operation::Get | Operation::Create | Operation::Update => Some(reference(&output_name)),
    };
    Schemas { body, answer }
}

/// What the operation does, in a line.
pub(super) fn summary(kind: ObjectKind, verb: Operation) -> String {
    let spec = kind.spec();
    let (one, many) = (&spec.object, &spec.plural);
    match verb {
        Operation::List => format!("List {many}."),
        Operation::Get => format!("Read one of the {many}."),
        Operation::Create => format!("Create one of the {many} at the provider."),
        Operation::Update => format!("Change fields of a {one} at the provider."),
        Operation::Delete => format!("Delete a {one} at the provider."),
    }
}

fn input(kind: ObjectKind, verb: Operation) -> Value {
    let mut schema = own(kind);
    let required = schema.remove("required").unwrap_or_else(|| json!([]));
    let mut properties = properties(kind);
    for name in required.as_array().into_iter().flatten() {
        if let Some(Value::Array(types)) = name
            .as_str()
            .and_then(|name| properties.get_mut(name))
            .and_then(|property| property.get_mut("type"))
        {
            types.retain(|kind| kind != "null");
        }
    }
    properties.insert("field_mappings".into(), field_mappings());
    if verb == Operation::Create && required.as_array().is_some_and(|names| !names.is_empty()) {
        schema.insert("required".into(), required);
    }
    schema.insert("properties".into(), properties.into());
    schema.into()
}

fn output(kind: ObjectKind) -> Value {
    let spec = kind.spec();
    let time = |description: &str| {
        let nullable = spec.has_quirk(Quirk::NullDates);
        let types = if nullable {
            json!(["string", "null"])
        } else {
            json!("string")
        };
        json!({
            "type": types, "format": "date-time", "description": description,
            "examples": ["2026-01-31T08:00:00.000Z"],
        })
    };
    let common = json!({
        "id": {
            "type": "string", "format": "uuid", "description": "The record's id in this API.",
            "examples": ["0195d9d1-6f1e-8a04-b1c5-3f5d2c7a9e10"],
        },
        "remote_id": {"type": "string", "description": "Its id at the provider.", "examples": ["88142"]},
        "created_at": time("When this server saw it first."),
        "modified_at": time("When this server saw it change."),
        "field_mappings": field_mappings(),
        "remote_data": {
            "type": "object", "description": "The provider's own document; only where it was asked for.",
            "examples": [{}],
        },
        "deleted_at": {
            "type": "string", "format": "date-time",
            "description": "When it was found deleted; only on deleted records, which `include_deleted` shows.",
        },
    });
    let mut schema = own(kind);
    let mut required = vec![
        "id",
        "remote_id",
        "created_at",
        "modified_at",
        "field_mappings",
    ];
    let mut properties = properties(kind);
    for property in &spec.properties {
        if property.write_only {
            properties.remove(&property.name);
        } else if property.unknown != Unknown::Absent {
            required.push(&property.name);
        }
    }
    for field in expandable(kind) {
        if let Some(schema) = properties.get_mut(&field.name) {
            allow_record(schema);
        }
    }
    if let Value::Object(common) = common {
        properties.extend(common);
    }
    schema.insert("required".into(), json!(required));
    schema.insert("properties".into(), properties.into());
    schema.into()
}

/// A reference, or the items of a list of them, may be the record itself: with `expand`.
fn allow_record(reference: &mut Value) {
    let one = match reference.get("items") {
        Some(_) => reference.get_mut("items"),
        None => Some(reference),
    };
    match one.and_then(|one| one.get_mut("type")) {
        Some(Value::Array(types)) => types.push(json!("object")),
        Some(one) => *one = json!([one.clone(), "object"]),
        None => {}
    }
}

fn field_mappings() -> Value {
    json!({
        "type": "object",
        "description": "Values of custom fields, by their names; empty where none are mapped.",
        "examples": [{}],
    })
}

fn envelope(record: &Value) -> Value {
    let cursor = |description: &str| {
        json!({
            "type": ["string", "null"], "description": description,
            "examples": [null],
        })
    };
    json!({
        "type": "object",
        "description": "A page of records, oldest change first.",
        "properties": {
            "prev_cursor": cursor("Leads to the page before; null on the first page."),
            "next_cursor": cursor("Leads to the page after; null on the last page."),
            "data": {"type": "array", "items": record},
        },
        "required": ["prev_cursor", "next_cursor", "data"],
        "additionalProperties": false,
    })
}

/// The schema of the file without what only this server reads.
fn own(kind: ObjectKind) -> Map<String, Value> {
    let mut schema = kind.spec().schema.as_object().cloned().unwrap_or_default();
    schema.retain(|key, _| !key.starts_with(['$', 'x']));
    schema
}

fn properties(kind: ObjectKind) -> Map<String, Value> {
    let properties = kind.spec().schema.get("properties");
    let mut properties = properties.cloned().unwrap_or_default();
    redirect(&mut properties);
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// Parts that several objects share become schemas of their own.
fn share_definitions(kind: ObjectKind, schemas: &mut Map<String, Value>) {
    let definitions = kind.spec().schema.get("$defs").and_then(Value::as_object);
    for (name, definition) in definitions.into_iter().flatten() {
        schemas.entry(pascal(name)).or_insert_with(|| {
            let mut definition = definition.clone();
            redirect(&mut definition);
            definition
        });
    }
}

/// References to shared parts lead to where the document has them.
fn redirect(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match inner {
                    Value::String(target) if key == "$ref" => {
                        if let Some(name) = target.strip_prefix("#/$defs/") {
                            *target = format!("#/components/schemas/{}", pascal(name));
                        }
                    }
                    inner => redirect(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redirect),
        _ => {}
    }
}

/// `line_item` as `LineItem`.
fn pascal(name: &str) -> String {
    let mut out = String::new();
    for word in name.split(['_', '-']) {
        let mut letters = word.chars();
        out.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}
