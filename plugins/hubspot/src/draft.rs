//! What `desunify` hands to `push_record`.

use std::collections::BTreeMap;

use jackfield_sdk::{Failure, Field, Fields};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::object::Target;

/// A record to write: properties as HubSpot takes them, and the ids of the
/// records to be associated with, by type. A type that is not there is left as
/// it is; an empty list removes.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Draft {
    pub(crate) properties: Map<String, Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) associations: BTreeMap<String, Vec<String>>,
}

impl Draft {
    /// A draft with these properties and the custom ones, which win.
    pub(crate) fn new(
        properties: &impl Serialize,
        custom: &Map<String, Value>,
        fields: Fields<'_>,
    ) -> Result<Self, Failure> {
        let Value::Object(mut all) =
            serde_json::to_value(properties).map_err(Failure::unexpected)?
        else {
            return Err(Failure::unexpected("properties are an object"));
        };
        all.extend(fields.to_remote(custom));
        for value in all.values_mut() {
            *value = Value::String(written(value));
        }
        Ok(Self {
            properties: all,
            associations: BTreeMap::new(),
        })
    }

    /// Adds the one record to be associated with.
    pub(crate) fn associate_one(self, target: &Target, id: Field<String>) -> Self {
        self.associate(target, id.map(|id| vec![id]))
    }

    /// Adds the records to be associated with.
    pub(crate) fn associate(mut self, target: &Target, ids: Field<Vec<String>>) -> Self {
        match ids {
            Field::Absent => {}
            ids => {
                self.associations
                    .insert(target.path.to_owned(), ids.into_value().unwrap_or_default());
            }
        }
        self
    }
}

/// Every value is text to HubSpot; the empty one clears, and several choices
/// are separated by semicolons.
fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(";"),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
