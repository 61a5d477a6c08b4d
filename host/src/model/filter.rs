//! Conditions on the fields of a list: equality with a value, several joined by AND.

use serde_json::{Map, Number, Value};

use super::{ObjectKind, Property, RecordId};

/// What the records of a list have to be equal to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    /// The provider's id.
    pub remote_id: Option<String>,
    /// Fields of the unified object, with texts, numbers and booleans.
    pub fields: Map<String, Value>,
}

/// A condition that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The field is not there, or its values are lists or objects.
    #[error("{kind} cannot be filtered by {field:?}; the fields are {known}")]
    Field {
        /// The object.
        kind: ObjectKind,
        /// What was named.
        field: String,
        /// What can be named.
        known: String,
    },
    /// The value is not one that the field can have.
    #[error("{field} is {value:?}, but must be {expected}")]
    Value {
        /// The field.
        field: String,
        /// What was sent, cut off.
        value: String,
        /// What it must be, in words.
        expected: &'static str,
    },
    /// Two conditions on one field.
    #[error("{0} is there twice")]
    Twice(String),
}

impl Filters {
    /// Whether there is no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remote_id.is_none() && self.fields.is_empty()
    }

    /// Adds the condition that `field` is `text`, which is read as the field's type says.
    ///
    /// # Errors
    /// The object has no such field, or the field no such value.
    pub fn add(&mut self, kind: ObjectKind, field: &str, text: &str) -> Result<(), FilterError> {
        let wrong = |expected| FilterError::Value {
            field: field.to_owned(),
            value: text.chars().take(80).collect(),
            expected,
        };
        if text.is_empty() {
            return Err(wrong("a value"));
        }
        if text.contains('\0') {
            return Err(wrong("a text without the character U+0000"));
        }
        if field == "remote_id" {
            return match self.remote_id.replace(text.to_owned()) {
                None => Ok(()),
                Some(_) => Err(FilterError::Twice(field.to_owned())),
            };
        }
        let property = kind.spec().property(field);
        let Some(scalar) = property.and_then(|property| scalar(kind, property)) else {
            return Err(FilterError::Field {
                kind,
                field: field.chars().take(80).collect(),
                known: names(kind),
            });
        };
        let value = match scalar {
            Scalar::Reference => {
                let id = text.parse::<RecordId>();
                let id = id.map_err(|_| wrong("the id of a record of this server"))?;
                Value::String(id.to_string())
            }
            Scalar::Text => Value::String(text.to_owned()),
            Scalar::Number => {
                let number = text.parse::<Number>();
                Value::Number(number.map_err(|_| wrong("a number such as 12 or 12.5"))?)
            }
            Scalar::Boolean => match text {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => return Err(wrong("true or false")),
            },
        };
        match self.fields.insert(field.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(FilterError::Twice(field.to_owned())),
        }
    }
}

/// The names that a filter of `kind` can have, with what their values are.
#[must_use]
pub fn filterable(kind: ObjectKind) -> Vec<(&'static str, Scalar)> {
    let fields = kind.spec().properties.iter();
    fields
        .filter_map(|property| Some((property.name.as_str(), scalar(kind, property)?)))
        .chain([("remote_id", Scalar::Text)])
        .collect()
}

fn names(kind: ObjectKind) -> String {
    let names: Vec<&str> = filterable(kind).into_iter().map(|(name, _)| name).collect();
    names.join(", ")
}

/// What a field with one value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A text.
    Text,
    /// The id of another record.
    Reference,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
}

/// The type of a field that has one value; none for lists, objects and what is never given back.
fn scalar(kind: ObjectKind, property: &Property) -> Option<Scalar> {
    if property.write_only {
        return None;
    }
    let schema = kind.spec().schema.get("properties")?.get(&property.name)?;
    let types = match schema.get("type")? {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => vec![one.as_str()?],
    };
    let mut types = types.into_iter().filter(|name| *name != "null");
    let scalar = match types.next()? {
        "string" if property.reference.is_some() => Scalar::Reference,
        "string" => Scalar::Text,
        "number" | "integer" => Scalar::Number,
        "boolean" => Scalar::Boolean,
        _ => return None,
    };
    types.next().is_none().then_some(scalar)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(name: &str) -> ObjectKind {
        ObjectKind::parse(name).unwrap()
    }

    #[test]
    fn values_are_read_as_their_fields_say() {
        let mut filters = Filters::default();
        let user = RecordId::derive(1, 2, "3").to_string();
        let deal = kind("crm.deal");
        filters.add(deal, "name", "12").unwrap();
        filters.add(deal, "amount", "12.50").unwrap();
        filters.add(deal, "user_id", &user.to_uppercase()).unwrap();
        filters.add(deal, "remote_id", "7").unwrap();
        let fields = json!({ "name": "12", "amount": 12.5, "user_id": user });
        assert_eq!(Value::Object(filters.fields.clone()), fields);
        assert_eq!(filters.remote_id.as_deref(), Some("7"));
        let ticket = kind("ticketing.comment");
        let mut flags = Filters::default();
        flags.add(ticket, "is_private", "true").unwrap();
        assert_eq!(flags.fields["is_private"], true);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let deal = kind("crm.deal");
        let refuse = |kind, field: &str, text: &str| {
            let error = Filters::default().add(kind, field, text).unwrap_err();
            error.to_string()
        };
        let text = refuse(deal, "nmae", "x");
        assert!(
            text.contains("name, ") && text.ends_with("remote_id"),
            "{text}"
        );
        assert!(!refuse(kind("crm.contact"), "addresses", "x").contains("addresses,"));
        assert!(refuse(deal, "amount", "much").contains("a number"));
        assert!(refuse(deal, "amount", "1e999").contains("a number"));
        assert!(refuse(deal, "user_id", "7").contains("the id of a record"));
        assert!(refuse(deal, "name", "").contains("a value"));
        assert!(refuse(deal, "name", "a\0").contains("U+0000"));
        let mut twice = Filters::default();
        twice.add(deal, "name", "a").unwrap();
        assert!(matches!(
            twice.add(deal, "name", "b"),
            Err(FilterError::Twice(_))
        ));
    }
}
