//! The provider's shapes. What is not read here is still kept, since documents pass through whole.
//!
//! A type for writing says of each field whether it is absent (left alone), null (cleared) or has a value.

use jackfield_sdk::{Field, Raw};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `GET /v1/me`
#[derive(Deserialize)]
pub(crate) struct Me {
    pub(crate) account_id: String,
    pub(crate) account_name: String,
}

/// A page of any collection.
#[derive(Deserialize)]
pub(crate) struct List {
    pub(crate) items: Vec<Raw<Key>>,
    pub(crate) next_page_token: Option<String>,
    pub(crate) total: Option<u64>,
}

/// What every record has. A deleted one has nothing else.
#[derive(Deserialize)]
pub(crate) struct Key {
    pub(crate) id: u64,
    pub(crate) version: u64,
    pub(crate) updated_on: String,
    #[serde(default)]
    pub(crate) deleted: bool,
}

/// The body of an answer that is an error.
#[derive(Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: Reason,
}

#[derive(Deserialize)]
pub(crate) struct Reason {
    pub(crate) field: Option<String>,
    pub(crate) message: String,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub(crate) full_name: Option<String>,
    pub(crate) mail: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Stage {
    pub(crate) label: Option<String>,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct Address {
    pub(crate) street: Option<String>,
    pub(crate) postcode: Option<String>,
    pub(crate) town: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) country: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Company {
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) label: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) sector: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) headcount: Field<u64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) mail: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) phone: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) address: Field<Address>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) owner: Field<u64>,
    /// Only written: custom fields are read from the document itself.
    #[serde(skip_deserializing, skip_serializing_if = "Map::is_empty")]
    pub(crate) extra: Map<String, Value>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Person {
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) given_name: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) family_name: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) mail: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) phone: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) mobile: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) address: Field<Address>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) owner: Field<u64>,
    /// Only written: custom fields are read from the document itself.
    #[serde(skip_deserializing, skip_serializing_if = "Map::is_empty")]
    pub(crate) extra: Map<String, Value>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Deal {
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) title: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) summary: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) amount_cents: Field<i64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) stage: Field<u64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) organisation: Field<u64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) owner: Field<u64>,
    /// Only written: custom fields are read from the document itself.
    #[serde(skip_deserializing, skip_serializing_if = "Map::is_empty")]
    pub(crate) extra: Map<String, Value>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Note {
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) text: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) author: Field<u64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) person: Field<u64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) organisation: Field<u64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) deal: Field<u64>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Task {
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) title: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) details: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) done: Field<bool>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) due_on: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) done_on: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) assignee: Field<u64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) organisation: Field<u64>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) deal: Field<u64>,
}

/// What the demo CRM sends by itself.
#[derive(Deserialize)]
pub(crate) struct Changes {
    pub(crate) account_id: String,
    pub(crate) changes: Vec<Change>,
}

#[derive(Deserialize)]
pub(crate) struct Change {
    pub(crate) collection: String,
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) change: String,
}

/// `GET /v1/{collection}/fields`.
#[derive(Deserialize)]
pub(crate) struct ExtraFields {
    pub(crate) fields: Vec<ExtraField>,
}

#[derive(Deserialize)]
pub(crate) struct ExtraField {
    pub(crate) name: String,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) samples: Vec<String>,
}
