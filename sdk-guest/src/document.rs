//! JSON documents on their way through the two mapping functions.

use std::ops::Deref;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Failure, FieldMapping};

/// A document that has not been parsed yet: the provider's own for `unify`, the unified object for `desunify`.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a>(&'a str);

impl<'a> Document<'a> {
    /// A document from JSON text.
    pub const fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// The document as a type.
    ///
    /// # Errors
    /// `invalid` where it does not fit.
    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, Failure> {
        serde_json::from_str(self.0).map_err(Failure::invalid)
    }

    /// The JSON text.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// JSON text, the result of a mapping. Made from whatever serde can serialise: `Ok(contact.into())`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The JSON text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<T: Serialize> From<T> for Json {
    /// # Panics
    /// Where the value is no JSON, that is a map with keys that are neither text nor numbers.
    fn from(value: T) -> Self {
        Self(serde_json::to_string(&value).expect("a document has text as keys"))
    }
}

/// The custom fields of the project: pairs of slug and the provider's name for the field.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [FieldMapping]);

impl<'a> Fields<'a> {
    /// The custom fields in a list.
    pub const fn new(mappings: &'a [FieldMapping]) -> Self {
        Self(mappings)
    }

    /// Whether the project has none for this object.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs.
    pub fn iter(&self) -> impl Iterator<Item = &'a FieldMapping> {
        self.0.iter()
    }

    /// For `unify`: what the provider has under each field's name, by slug. Costs nothing without custom fields.
    pub fn collect(&self, mut find: impl FnMut(&str) -> Option<Value>) -> Map<String, Value> {
        self.0
            .iter()
            .filter_map(|mapping| Some((mapping.slug.clone(), find(&mapping.remote_field)?)))
            .collect()
    }

    /// For `unify`: the fields of the object at a JSON pointer in the document (`""` for the document itself,
    /// `"/properties"`), by slug. A name that is no key there is tried as a path with dots, `address.city`.
    ///
    /// # Errors
    /// `invalid` where the document is no JSON. Without custom fields the document is not read.
    pub fn read(
        &self,
        document: Document<'_>,
        pointer: &str,
    ) -> Result<Map<String, Value>, Failure> {
        if self.is_empty() {
            return Ok(Map::new());
        }
        let whole: Value = document.read()?;
        let Some(container) = whole.pointer(pointer) else {
            return Ok(Map::new());
        };
        Ok(self.collect(|name| {
            container
                .get(name)
                .or_else(|| {
                    name.split('.')
                        .try_fold(container, |value, part| value.get(part))
                })
                .cloned()
        }))
    }

    /// For `desunify`: the values of `field_mappings` under the provider's names. Slugs that are not mapped are
    /// left out.
    pub fn to_remote(self, values: &Map<String, Value>) -> Map<String, Value> {
        self.0
            .iter()
            .filter_map(|mapping| {
                Some((
                    mapping.remote_field.clone(),
                    values.get(&mapping.slug)?.clone(),
                ))
            })
            .collect()
    }
}

/// A provider's document, whole and unchanged, together with the few fields that the connector reads from it.
///
/// It can stand anywhere in a wire type, for example `results: Vec<Raw<Key>>`, except below
/// `#[serde(flatten)]` and in untagged enums. It derefs to the fields.
#[derive(Clone, Debug)]
pub struct Raw<T> {
    /// The document's text.
    pub document: Box<RawValue>,
    /// The fields that were read.
    pub value: T,
}

impl<T> Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: for<'a> Deserialize<'a>> Deserialize<'de> for Raw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Box::<RawValue>::deserialize(deserializer)?;
        let value = serde_json::from_str(document.get()).map_err(D::Error::custom)?;
        Ok(Self { document, value })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Document, Fields};
    use crate::FieldMapping;

    #[test]
    fn custom_fields_go_both_ways() {
        let mappings = [
            FieldMapping {
                slug: "shoe_size".into(),
                remote_field: "cf_12".into(),
            },
            FieldMapping {
                slug: "town".into(),
                remote_field: "home.town".into(),
            },
            FieldMapping {
                slug: "missing".into(),
                remote_field: "nowhere.at.all".into(),
            },
        ];
        let fields = Fields::new(&mappings);
        let document = Document::new(r#"{"properties":{"cf_12":42,"home":{"town":"Oslo"}}}"#);
        let read = fields.read(document, "/properties").unwrap();
        assert_eq!(json!(read), json!({ "shoe_size": 42, "town": "Oslo" }));
        assert_eq!(
            json!(fields.to_remote(&read)),
            json!({ "cf_12": 42, "home.town": "Oslo" })
        );
    }
}
