//! Custom fields: what a project defines beyond the unified objects, and where connectors find it.

mod mapping;

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    CustomFieldId, Digest, FieldMapping, LinkedUserId, MappingId, ObjectKind, ProjectId, RecordId,
    Slug, Sources, Timestamp, Transform, Violation,
};

pub use mapping::{Mapped, MappingRules};

/// The definition of a custom field.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomField {
    /// Its id.
    pub id: CustomFieldId,
    /// Whose it is.
    pub project: ProjectId,
    /// The object that has it.
    pub kind: ObjectKind,
    /// Its name in `field_mappings`.
    pub slug: FieldSlug,
    /// For people.
    pub description: String,
    /// What its values are.
    pub data_type: DataType,
    /// Its value where the provider has none.
    pub default: Option<Value>,
    /// Whether linked users may map it themselves, on the page of their connection.
    pub linked_users_map: bool,
    /// When it was defined.
    pub created_at: Timestamp,
    /// When the definition was changed.
    pub modified_at: Timestamp,
}

impl CustomField {
    /// What the audit log says of it.
    #[must_use]
    pub fn audited(&self) -> Value {
        json!({
            "object": self.kind.name(), "slug": self.slug.as_str(),
            "linked_users_map": self.linked_users_map,
        })
    }
}

/// Where a connector finds the value of a custom field: for all linked users of the project, or
/// for one, which goes before.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomFieldMapping {
    /// Its id.
    pub id: MappingId,
    /// The field it is for.
    pub field: CustomFieldId,
    /// The connector it is for.
    pub connector: Slug,
    /// The linked user it is for; all where there is none.
    pub linked_user: Option<LinkedUserId>,
    /// How the value is made.
    pub rules: MappingRules,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub modified_at: Timestamp,
}

impl CustomFieldMapping {
    /// What the audit log says of it.
    #[must_use]
    pub fn audited(&self) -> Value {
        json!({
            "field": self.field, "connector": self.connector,
            "linked_user": self.linked_user, "remote_fields": self.rules.remote_fields,
        })
    }
}

/// The mappings that hold for one object of one connection, by slug.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EffectiveMappings(Vec<EffectiveMapping>);

/// A definition and the mapping of it that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectiveMapping {
    /// The field's name.
    pub slug: FieldSlug,
    /// What its values are.
    pub data_type: DataType,
    /// How the value is made, the default being the one that holds.
    pub rules: MappingRules,
}

impl EffectiveMapping {
    /// Of a field and the mapping of it that holds, whose default goes before the field's.
    #[must_use]
    pub fn of(field: &CustomField, rules: &MappingRules) -> Self {
        let mut rules = rules.clone();
        rules.default = rules.default.or_else(|| field.default.clone());
        Self {
            slug: field.slug.clone(),
            data_type: field.data_type,
            rules,
        }
    }
}

impl EffectiveMappings {
    /// Of mappings with different slugs.
    #[must_use]
    pub fn new(mut mappings: Vec<EffectiveMapping>) -> Self {
        mappings.sort_by(|one, other| one.slug.cmp(&other.slug));
        Self(mappings)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, by slug.
    pub fn iter(&self) -> impl Iterator<Item = &EffectiveMapping> {
        self.0.iter()
    }

    /// The one of that slug.
    #[must_use]
    pub fn get(&self, slug: &str) -> Option<&EffectiveMapping> {
        self.0.iter().find(|mapping| mapping.slug.as_str() == slug)
    }

    /// A sum of everything that decides about values; none where there are no mappings.
    #[must_use]
    pub fn revision(&self) -> Option<Digest> {
        if self.is_empty() {
            return None;
        }
        let pieces: Vec<String> = self
            .0
            .iter()
            .map(|mapping| {
                let rules = serde_json::to_string(&mapping.rules).unwrap_or_default();
                format!("{} {} {rules}", mapping.slug, mapping.data_type)
            })
            .collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
        Some(Digest::of_all(&pieces))
    }

    /// What the connector is asked for: each remote field once, under its own name, since one
    /// field of ours may be made of several remote ones. JSON Pointers are not among them: the
    /// host reads those itself.
    #[must_use]
    pub fn for_connector(&self) -> Vec<FieldMapping> {
        let mut names: Vec<&str> = self
            .0
            .iter()
            .flat_map(|mapping| &mapping.rules.remote_fields)
            .map(String::as_str)
            .filter(|name| !is_pointer(name))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .map(|name| FieldMapping {
                slug: name.to_owned(),
                remote_field: name.to_owned(),
            })
            .collect()
    }

    /// Whether a mapping reads the provider's document itself.
    #[must_use]
    pub fn reads_document(&self) -> bool {
        self.0
            .iter()
            .flat_map(|mapping| &mapping.rules.remote_fields)
            .any(|name| is_pointer(name))
    }
}

/// Whether a remote field is a place in the provider's document rather than a name that the
/// connector knows.
#[must_use]
pub fn is_pointer(remote_field: &str) -> bool {
    remote_field.starts_with('/')
}

/// The name of a custom field: `[a-z][a-z0-9_]{0,62}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldSlug(String);

impl FieldSlug {
    /// Of a field that is only tried out.
    #[must_use]
    pub fn preview() -> Self {
        Self("preview".to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FieldSlug {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        if starts_well && text.len() <= 63 && text.bytes().all(letter) {
            return Ok(Self(text.to_owned()));
        }
        Err("starts with a lower-case letter and has only lower-case letters, digits and underscores, at most 63: `favourite_dish`".to_owned())
    }
}

impl fmt::Display for FieldSlug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the values of a custom field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CustomFieldType")]
pub enum DataType {
    /// A text. The wire contract also says `text`.
    String,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A day, `2026-01-31`.
    Date,
    /// A moment, `2026-01-31T08:00:00.000Z`.
    Datetime,
    /// A list of anything.
    List,
    /// An object of anything.
    Object,
}

impl DataType {
    /// All there are.
    pub const ALL: &'static [Self] = &[
        Self::String,
        Self::Number,
        Self::Boolean,
        Self::Date,
        Self::Datetime,
        Self::List,
        Self::Object,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::List => "list",
            Self::Object => "object",
        }
    }

    /// By its name; `text` is `string`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "text" {
            return Some(Self::String);
        }
        Self::ALL.iter().copied().find(|one| one.as_str() == text)
    }

    /// What a value of it is, for messages.
    const fn described(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a day such as \"2026-01-31\"",
            Self::Datetime => "a moment such as \"2026-01-31T08:00:00Z\"",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }

    /// Checks a value that an application sent. Null is a value of every type.
    ///
    /// # Errors
    /// What it should be, in a sentence.
    pub fn check(self, value: &Value) -> Result<(), String> {
        let good = match (self, value) {
            (_, Value::Null)
            | (Self::String, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::List, Value::Array(_))
            | (Self::Object, Value::Object(_)) => true,
            (Self::Date, Value::String(text)) => {
                text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
            }
            (Self::Datetime, Value::String(text)) => Timestamp::parse(text).is_some(),
            _ => false,
        };
        if good {
            return Ok(());
        }
        Err(format!("must be {}", self.described()))
    }

    /// A provider's value as this type, where it can be told without guessing: `"42"` is a
    /// number, `7` a text, the day of a moment is a date. No transform is needed for these.
    ///
    /// # Errors
    /// There is none, in a sentence.
    pub fn fit(self, value: Value) -> Result<Value, String> {
        let conversion = match self {
            _ if self.check(&value).is_ok() => return Ok(self.canonical(value)),
            Self::String => Some(Transform::ToString {}),
            Self::Number => Some(Transform::ToNumber {
                decimal: super::DecimalSign::Point,
            }),
            Self::Boolean => Some(Transform::ToBoolean {
                true_words: vec!["true".to_owned()],
                false_words: vec!["false".to_owned()],
            }),
            Self::Date | Self::Datetime => Some(Transform::ToDate {
                formats: Vec::new(),
                output: if self == Self::Date {
                    super::DateOutput::Date
                } else {
                    super::DateOutput::Datetime
                },
            }),
            Self::List | Self::Object => None,
        };
        let scalar = !value.is_array() && !value.is_object();
        match conversion {
            Some(conversion) if scalar => conversion.apply(value, &Sources::new()),
            _ => Err(format!(
                "{} is not {}",
                super::transform::shown(&value.to_string()),
                self.described()
            )),
        }
    }

    /// Moments all look the same.
    fn canonical(self, value: Value) -> Value {
        let moment = match (self, &value) {
            (Self::Datetime, Value::String(text)) => Timestamp::parse(text),
            _ => None,
        };
        moment.map_or(value, |moment| Value::String(moment.to_string()))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The id that the wire contract wants for a value: that of its record and field.
#[must_use]
pub fn value_id(record: RecordId, field: CustomFieldId) -> String {
    let digest = Digest::of_all(&[record.as_bytes(), field.to_string().as_bytes()]);
    let (head, _) = digest
        .as_bytes()
        .split_first_chunk()
        .expect("a digest is longer than an id");
    uuid::Builder::from_custom_bytes(*head)
        .into_uuid()
        .to_string()
}

pub(super) fn violation(path: &str, message: impl Into<String>) -> Violation {
    Violation {
        path: path.to_owned(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests;
