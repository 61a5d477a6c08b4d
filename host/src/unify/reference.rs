//! References between records: remote ids on the connector's side, our ids on the application's.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Error, Unify};
use crate::model::{ObjectKind, RecordId, Scope, Violation};

impl Unify {
    /// Puts our ids in the place of remote ids. Ids are derived, so a record that was not synced
    /// yet has its final id already.
    pub(super) fn refer_in(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        object: &mut Map<String, Value>,
    ) {
        for property in &kind.spec().properties {
            let Some(reference) = property.reference else {
                continue;
            };
            let Some(value) = object.get_mut(&property.name) else {
                continue;
            };
            let id = |remote_id: &str| {
                let id = self.0.store.record_id(scope, reference.target, remote_id);
                Value::String(id.to_string())
            };
            match value {
                Value::String(remote_id) if remote_id.is_empty() => *value = Value::Null,
                Value::String(remote_id) => *value = id(remote_id),
                Value::Array(items) => {
                    for item in items {
                        if let Value::String(remote_id) = item {
                            *item = id(remote_id);
                        }
                    }
                }
                _ => {}
            }
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
        for property in &kind.spec().properties {
            let Some(reference) = property.reference else {
                continue;
            };
            let Some(value) = object.get_mut(&property.name) else {
                continue;
            };
            let mut slots: Vec<(String, &mut Value)> = match value {
                Value::String(_) => vec![(format!("/{}", property.name), value)],
                Value::Array(items) => items
                    .iter_mut()
                    .enumerate()
                    .filter(|(_, item)| item.is_string())
                    .map(|(index, item)| (format!("/{}/{index}", property.name), item))
                    .collect(),
                _ => continue,
            };
            let mut wanted = Vec::with_capacity(slots.len());
            for (path, slot) in &slots {
                let text = slot.as_str().unwrap_or_default();
                wanted.push(text.parse::<RecordId>().map_err(|_| {
                    Error::Invalid(vec![Violation {
                        path: path.clone(),
                        message: format!("is not the id of a {} of this server", reference.target),
                    }])
                })?);
            }
            let known: HashMap<RecordId, String> = self
                .0
                .store
                .remote_ids(scope, reference.target, &wanted)
                .await?;
            for ((path, slot), id) in slots.iter_mut().zip(wanted) {
                let remote_id = known.get(&id).ok_or_else(|| Error::UnknownReference {
                    path: path.clone(),
                    target: reference.target,
                    id: id.to_string(),
                })?;
                **slot = Value::String(remote_id.clone());
            }
        }
        Ok(())
    }
}
