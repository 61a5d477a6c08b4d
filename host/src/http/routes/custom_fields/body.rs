//! Bodies of requests and answers about custom fields.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    model::{CustomField, CustomFieldMapping, DataType, RemoteField, Transform},
    unify::Previewed,
};

/// The definition of a custom field.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CustomField")]
pub(super) struct FieldBody {
    #[schemars(with = "Uuid")]
    id: String,
    /// The object that has it.
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    /// Its name in `field_mappings`.
    #[schemars(example = &"favourite_dish")]
    slug: String,
    /// For people.
    description: String,
    data_type: DataType,
    /// Its value where the provider has none.
    default: Option<Value>,
    /// Whether linked users may map it themselves, on the page of their connection.
    linked_users_map: bool,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    modified_at: String,
}

impl From<&CustomField> for FieldBody {
    fn from(field: &CustomField) -> Self {
        Self {
            id: field.id.to_string(),
            object: field.kind.name(),
            slug: field.slug.to_string(),
            description: field.description.clone(),
            data_type: field.data_type,
            default: field.default.clone(),
            linked_users_map: field.linked_users_map,
            created_at: field.created_at.to_string(),
            modified_at: field.modified_at.to_string(),
        }
    }
}

/// A new custom field.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomFieldCreate")]
pub(in crate::http) struct Create {
    /// The object that gets it.
    #[schemars(example = &"crm.contact")]
    pub(super) object: String,
    /// Its name in `field_mappings`; it cannot be changed.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]{0,62}$"), example = &"favourite_dish")]
    pub(super) slug: String,
    /// For people, at most 1000 characters.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub(super) description: Option<String>,
    pub(super) data_type: DataType,
    /// Its value where the provider has none.
    #[serde(default)]
    pub(super) default: Option<Value>,
    /// Whether linked users may map it themselves, on the page of their connection.
    #[serde(default)]
    pub(super) linked_users_map: bool,
}

/// What is to change in a custom field.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomFieldUpdate")]
pub(in crate::http) struct Update {
    /// For people, at most 1000 characters.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) data_type: Option<DataType>,
    /// Its value where the provider has none; null takes it away.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Value>")]
    pub(super) default: Option<Option<Value>>,
    /// Whether linked users may map it themselves, on the page of their connection.
    #[serde(default)]
    pub(super) linked_users_map: Option<bool>,
}

/// Where a connector finds the value of a custom field.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CustomFieldMapping")]
pub(super) struct MappingBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(with = "Uuid")]
    custom_field_id: String,
    /// The connector it is for.
    connector: String,
    /// The linked user it is for; null where it is for all.
    #[schemars(with = "Option<Uuid>")]
    linked_user_id: Option<String>,
    remote_fields: Vec<String>,
    transforms: Vec<Transform>,
    /// The value where the provider has none, before that of the custom field.
    default: Option<Value>,
    /// Whether values can be written.
    writable: bool,
    /// Why they cannot.
    read_only_reason: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    modified_at: String,
}

impl From<&CustomFieldMapping> for MappingBody {
    fn from(mapping: &CustomFieldMapping) -> Self {
        let reason = mapping.rules.one_way();
        Self {
            id: mapping.id.to_string(),
            custom_field_id: mapping.field.to_string(),
            connector: mapping.connector.to_string(),
            linked_user_id: mapping.linked_user.map(|id| id.to_string()),
            remote_fields: mapping.rules.remote_fields.clone(),
            transforms: mapping.rules.transforms.clone(),
            default: mapping.rules.default.clone(),
            writable: reason.is_none(),
            read_only_reason: reason,
            created_at: mapping.created_at.to_string(),
            modified_at: mapping.modified_at.to_string(),
        }
    }
}

/// A new mapping.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomFieldMappingCreate")]
pub(in crate::http) struct CreateMapping {
    /// The connector it is for.
    #[schemars(example = &"demo-crm")]
    pub(super) connector: String,
    /// The linked user it is for; all of the project's where there is none.
    #[serde(default)]
    #[schemars(with = "Option<Uuid>")]
    pub(super) linked_user_id: Option<String>,
    /// Names of the provider's fields, as `GET /connections/{id}/remote_fields` lists them, or
    /// JSON Pointers into its document (`/address/city`), which can only be read. Several need a
    /// `concatenate` or a `template`, or a custom field that is a list.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512)), example = ["speaks"])]
    pub(super) remote_fields: Vec<String>,
    /// What is done with the value, in this order. Not all transforms have a way back: see
    /// `writable` of the answer.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(super) transforms: Vec<Transform>,
    /// The value where the provider has none or one that cannot be converted; that of the custom
    /// field where there is none.
    #[serde(default)]
    pub(super) default: Option<Value>,
}

/// What is to change in a mapping.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomFieldMappingUpdate")]
pub(in crate::http) struct UpdateMapping {
    #[serde(default)]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512)))]
    pub(super) remote_fields: Option<Vec<String>>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(super) transforms: Option<Vec<Transform>>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<Value>")]
    pub(super) default: Option<Option<Value>>,
}

/// A mapping to be tried out.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomFieldPreview")]
pub(in crate::http) struct Preview {
    #[schemars(example = &"crm.contact")]
    pub(super) object: String,
    /// The type of the custom field.
    pub(super) data_type: DataType,
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512)), example = ["speaks"])]
    pub(super) remote_fields: Vec<String>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(super) transforms: Vec<Transform>,
    #[serde(default)]
    pub(super) default: Option<Value>,
    /// Records to try it on, at most 5; any 5 where none are named.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Uuid>>", length(max = 5))]
    pub(super) record_ids: Option<Vec<String>>,
}

/// What a mapping makes of records.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CustomFieldPreviewed")]
pub(super) struct PreviewBody {
    pub(super) records: Vec<PreviewedBody>,
}

/// What a mapping makes of a record.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CustomFieldPreviewedRecord")]
pub(super) struct PreviewedBody {
    #[schemars(with = "Uuid")]
    id: String,
    remote_id: String,
    /// What the provider has, by remote field.
    before: BTreeMap<String, Value>,
    /// The value of the custom field.
    after: Value,
    /// Why it is not what the provider has.
    warnings: Vec<String>,
}

impl From<Previewed> for PreviewedBody {
    fn from(previewed: Previewed) -> Self {
        Self {
            id: previewed.id.to_string(),
            remote_id: previewed.remote_id,
            before: previewed.sources,
            after: previewed.mapped.value,
            warnings: previewed.mapped.warning.into_iter().collect(),
        }
    }
}

/// A field that a provider has.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemoteField")]
pub(super) struct RemoteFieldBody {
    /// What a custom field is mapped to.
    name: String,
    /// What a person calls it.
    label: String,
    #[schemars(with = "DataType")]
    data_type: &'static str,
    /// Whether the customer made it, rather than the provider.
    custom: bool,
    /// Whether it can be written.
    writable: bool,
    /// The values that it can have, where they are listed.
    options: Vec<String>,
    /// A few values that it has now, as text.
    samples: Vec<String>,
    /// `provider` where the connector looked there, `documents` for a place in stored documents.
    source: &'static str,
}

impl RemoteFieldBody {
    pub(super) fn new(field: RemoteField, source: &'static str) -> Self {
        Self {
            name: field.name,
            label: field.label,
            data_type: field.data_type,
            custom: field.custom,
            writable: field.writable,
            options: field.options,
            samples: field.samples,
            source,
        }
    }
}

/// Tells null from nothing.
fn sent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Value>>, D::Error> {
    Option::<Value>::deserialize(deserializer).map(Some)
}
