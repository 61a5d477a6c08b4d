//! Records from the examples of the schemas.

use jackfield::model::{ObjectKind, Property, money};
use serde_json::{Map, Value, json};

/// The provider's id of the n-th record of an object, from 1.
#[must_use]
pub fn remote_id(kind: ObjectKind, number: usize) -> String {
    format!("{}_{number}", kind.spec().object)
}

/// The n-th record of an object, from 1, as an application sees it: the examples of the schema,
/// with `reference` in the place of ids. A text that may be anything carries the number.
pub fn sample(
    kind: ObjectKind,
    number: usize,
    reference: &dyn Fn(ObjectKind) -> Value,
) -> Map<String, Value> {
    let spec = kind.spec();
    let fields = spec.schema.get("properties").and_then(Value::as_object);
    let mut record = Map::new();
    let mut marked = false;
    for (name, field) in fields.into_iter().flatten() {
        let Some(mut value) = field.get("examples").and_then(|list| list.get(0)).cloned() else {
            continue;
        };
        let free = [
            "format",
            "enum",
            "x-suggested",
            "x-reference",
            "x-money",
            "x-unit",
            "pattern",
        ]
        .iter()
        .all(|key| field.get(*key).is_none());
        if let (Value::String(text), true, false) = (&value, free, marked) {
            value = Value::String(format!("{text} {number}"));
            marked = true;
        }
        record.insert(name.clone(), value);
    }
    refer(&spec.properties, &mut record, reference);
    record
}

/// The same as the provider keeps it.
pub(crate) fn kept(kind: ObjectKind, number: usize) -> Map<String, Value> {
    let target = |target: ObjectKind| json!(remote_id(target, number));
    let mut record = kind.spread(sample(kind, number, &target));
    for property in &kind.spec().properties {
        if property.write_only {
            record.remove(&property.name);
        }
    }
    money::from_wire(kind, &mut record, None).expect("examples are amounts");
    record
}

fn refer(
    properties: &[Property],
    object: &mut Map<String, Value>,
    reference: &dyn Fn(ObjectKind) -> Value,
) {
    for property in properties {
        let Some(value) = object.get_mut(&property.name) else {
            continue;
        };
        if let Some(to) = property.reference {
            let id = reference(to.target);
            *value = match (to.many, id.is_null()) {
                (true, true) => json!([]),
                (true, false) => json!([id]),
                (false, _) => id,
            };
        } else if !property.properties.is_empty() {
            match value {
                Value::Object(inner) => refer(&property.properties, inner, reference),
                Value::Array(items) => {
                    for inner in items.iter_mut().filter_map(Value::as_object_mut) {
                        refer(&property.properties, inner, reference);
                    }
                }
                _ => {}
            }
        }
    }
}
