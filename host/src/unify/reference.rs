//! References between records: remote ids on the connector's side, our ids on the application's.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::{Error, Unify};
use crate::model::{ObjectKind, Property, RecordId, Scope, Violation};

impl Unify {
    /// Puts our ids in the place of remote ids. Ids are derived, so a record that was not synced
    /// yet has its final id already.
    pub(super) fn refer_in(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        object: &mut Map<String, Value>,
    ) {
        for slot in slots(&kind.spec().properties, object) {
            let remote_id = slot.value.as_str().unwrap_or_default();
            *slot.value = if remote_id.is_empty() {
                Value::Null
            } else {
                let id = self.0.store.record_id(scope, slot.target, remote_id);
                Value::String(id.to_string())
            };
        }
    }

    /// Puts remote ids in the place of ours.
    ///
    /// # Errors
    /// A text is no id, or there is no such record at the connection.
    pub(super) async fn refer_out(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        object: &mut Map<String, Value>,
    ) -> Result<(), Error> {
        let mut by_target: BTreeMap<ObjectKind, Vec<(Slot<'_>, RecordId)>> = BTreeMap::new();
        for slot in slots(&kind.spec().properties, object) {
            let text = slot.value.as_str().unwrap_or_default();
            let id = text.parse::<RecordId>().map_err(|_| {
                Error::Invalid(vec![Violation {
                    path: slot.path.clone(),
                    message: format!("is not the id of a {} of this server", slot.target),
                }])
            })?;
            by_target.entry(slot.target).or_default().push((slot, id));
        }
        for (target, slots) in by_target {
            let wanted: Vec<RecordId> = slots.iter().map(|(_, id)| *id).collect();
            let known: HashMap<RecordId, String> =
                self.0.store.remote_ids(scope, target, &wanted).await?;
            for (slot, id) in slots {
                let remote_id = known.get(&id).ok_or_else(|| Error::UnknownReference {
                    path: slot.path.clone(),
                    target,
                    id: id.to_string(),
                })?;
                *slot.value = Value::String(remote_id.clone());
            }
        }
        Ok(())
    }
}

/// A text inside an object that is the id of another record.
struct Slot<'object> {
    path: String,
    target: ObjectKind,
    value: &'object mut Value,
}

/// Every id in an object, those in its line items too.
fn slots<'object>(
    properties: &[Property],
    object: &'object mut Map<String, Value>,
) -> Vec<Slot<'object>> {
    let mut found = Vec::new();
    collect(properties, object, "", &mut found);
    found
}

fn collect<'object>(
    properties: &[Property],
    object: &'object mut Map<String, Value>,
    path: &str,
    found: &mut Vec<Slot<'object>>,
) {
    for (name, value) in object {
        let Some(property) = properties.iter().find(|property| property.name == *name) else {
            continue;
        };
        if property.has_reference {
            collect_value(property, value, format!("{path}/{name}"), found);
        }
    }
}

fn collect_value<'object>(
    property: &Property,
    value: &'object mut Value,
    path: String,
    found: &mut Vec<Slot<'object>>,
) {
    match value {
        Value::String(_) => {
            if let Some(reference) = property.reference {
                found.push(Slot {
                    path,
                    target: reference.target,
                    value,
                });
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                collect_value(property, item, format!("{path}/{index}"), found);
            }
        }
        Value::Object(inner) => collect(&property.properties, inner, &path, found),
        _ => {}
    }
}
