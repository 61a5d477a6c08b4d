//! HubSpot's types, nothing else.

use std::collections::BTreeMap;

use jackfield_sdk::{Field, Raw};
use serde::{Deserialize, Serialize};

/// `GET /account-info/v3/details`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountDetails {
    pub(crate) portal_id: u64,
    #[serde(default)]
    pub(crate) account_type: String,
}

/// A page of a list or of search results.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: for<'a> Deserialize<'a>")]
pub(crate) struct Results<T> {
    pub(crate) results: Vec<Raw<T>>,
    pub(crate) paging: Option<Paging>,
}

impl<T> Results<T> {
    /// `after` of the next page.
    pub(crate) fn next(&self) -> Option<&str> {
        Some(self.paging.as_ref()?.next.as_ref()?.after.as_str())
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Paging {
    pub(crate) next: Option<Next>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Next {
    pub(crate) after: String,
}

/// What reading needs to know of a record; the rest stays as it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) updated_at: Option<String>,
    #[serde(default)]
    pub(crate) archived: bool,
    #[serde(default)]
    pub(crate) properties: Modified,
}

/// The modification date, under the name it has for the type.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Modified {
    pub(crate) lastmodifieddate: Option<String>,
    pub(crate) hs_lastmodifieddate: Option<String>,
}

/// A record as the mapping functions read it.
#[derive(Debug, Deserialize)]
pub(crate) struct Record<P> {
    pub(crate) properties: P,
    #[serde(default)]
    pub(crate) associations: BTreeMap<String, Links>,
}

/// Associations with one type of object, in the form of v3.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Links {
    pub(crate) results: Vec<Link>,
}

/// One type of one association: a record may stand here several times.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Link {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// `POST /crm/v4/associations/{from}/{to}/batch/read`.
#[derive(Debug, Deserialize)]
pub(crate) struct AssociationsBatch {
    #[serde(default)]
    pub(crate) results: Vec<AssociationsOf>,
    #[serde(default)]
    pub(crate) errors: Vec<BatchError>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AssociationsOf {
    pub(crate) from: From,
    pub(crate) to: Vec<To>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct From {
    pub(crate) id: Id,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct To {
    pub(crate) to_object_id: Id,
    #[serde(default)]
    pub(crate) association_types: Vec<AssociationType>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssociationType {
    pub(crate) category: String,
    pub(crate) type_id: u32,
    pub(crate) label: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BatchError {
    #[serde(default)]
    pub(crate) category: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// An id, which v4 writes as a number and v3 as text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Id {
    Text(String),
    Number(u64),
}

impl std::fmt::Display for Id {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Number(number) => number.fmt(formatter),
        }
    }
}

/// `GET /crm/v3/pipelines/deals`.
#[derive(Debug, Deserialize)]
pub(crate) struct Pipelines {
    pub(crate) results: Vec<Pipeline>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pipeline {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) display_order: i64,
    pub(crate) stages: Vec<Raw<StageKey>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StageKey {
    pub(crate) id: String,
    pub(crate) updated_at: Option<String>,
    #[serde(default)]
    pub(crate) display_order: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Stage {
    pub(crate) label: Option<String>,
}

/// `GET /crm/v3/owners`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owner {
    pub(crate) email: Option<String>,
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: Option<String>,
}

/// The properties of an object that the connector reads and writes. HubSpot
/// sends every value as text.
macro_rules! properties {
    ($(#[$doc:meta])* $name:ident { $($property:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize, Serialize)]
        #[serde(default)]
        pub(crate) struct $name {
            $(#[serde(skip_serializing_if = "Field::is_absent")] pub(crate) $property: Field<String>,)*
        }

        impl $name {
            /// The names of the properties.
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($property)),*];
        }
    };
}

properties! {
    /// Of `companies`.
    Company {
        name, industry, numberofemployees, phone, address, address2, city, state, zip, country, hubspot_owner_id,
    }
}

properties! {
    /// Of `contacts`. Additional addresses are separated by semicolons.
    Contact {
        firstname, lastname, email, hs_additional_emails, phone, mobilephone, address, city, state, zip, country,
        hubspot_owner_id,
    }
}

properties! {
    /// Of `deals`.
    Deal { dealname, description, amount, dealstage, pipeline, hubspot_owner_id }
}

properties! {
    /// Of `notes`.
    Note { hs_note_body, hs_timestamp, hubspot_owner_id }
}

properties! {
    /// Of `tasks`. `hs_timestamp` is when the task is due.
    Task {
        hs_task_subject, hs_task_body, hs_task_status, hs_task_completion_date, hs_timestamp, hubspot_owner_id,
    }
}

properties! {
    /// Of `calls`. The duration is in milliseconds.
    Call { hs_call_title, hs_call_body, hs_call_direction, hs_call_duration, hs_timestamp, hubspot_owner_id }
}

properties! {
    /// Of `meetings`.
    Meeting {
        hs_meeting_title, hs_meeting_body, hs_meeting_start_time, hs_meeting_end_time, hs_timestamp, hubspot_owner_id,
    }
}

properties! {
    /// Of `emails`.
    Email {
        hs_email_subject, hs_email_html, hs_email_text, hs_email_direction, hs_timestamp, hubspot_owner_id,
    }
}

/// The properties of a call, a meeting or an e-mail, as read: a record has
/// those of its own object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Activity {
    pub(crate) hs_call_title: Field<String>,
    pub(crate) hs_call_body: Field<String>,
    pub(crate) hs_call_direction: Field<String>,
    pub(crate) hs_call_duration: Field<String>,
    pub(crate) hs_meeting_title: Field<String>,
    pub(crate) hs_meeting_body: Field<String>,
    pub(crate) hs_meeting_start_time: Field<String>,
    pub(crate) hs_meeting_end_time: Field<String>,
    pub(crate) hs_email_subject: Field<String>,
    pub(crate) hs_email_html: Field<String>,
    pub(crate) hs_email_text: Field<String>,
    pub(crate) hs_email_direction: Field<String>,
    pub(crate) hs_timestamp: Field<String>,
    pub(crate) hubspot_owner_id: Field<String>,
}

/// One element of a webhook.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// `contact.creation`; `object.creation` with `objectTypeId` for apps of the newer kind.
    pub(crate) subscription_type: String,
    pub(crate) object_type_id: Option<String>,
    pub(crate) portal_id: u64,
    pub(crate) object_id: Option<u64>,
    /// Of a changed association.
    pub(crate) from_object_id: Option<u64>,
    /// Of a merge.
    pub(crate) primary_object_id: Option<u64>,
    #[serde(default)]
    pub(crate) merged_object_ids: Vec<u64>,
}

/// `GET /crm/v3/properties/{object}`.
#[derive(Debug, Deserialize)]
pub(crate) struct Properties {
    pub(crate) results: Vec<Property>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Property {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) label: String,
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) field_type: String,
    #[serde(default)]
    pub(crate) hidden: bool,
    #[serde(default)]
    pub(crate) hubspot_defined: bool,
    #[serde(default)]
    pub(crate) calculated: bool,
    pub(crate) modification_metadata: Option<ModificationMetadata>,
    #[serde(default)]
    pub(crate) options: Vec<PropertyOption>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModificationMetadata {
    #[serde(default)]
    pub(crate) read_only_value: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PropertyOption {
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) hidden: bool,
}
