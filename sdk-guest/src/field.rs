//! A field of a unified object: absent, null, or a value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field that knows the difference between "not said" and "empty".
///
/// From a provider's document, `None` becomes [`Field::Null`]: the provider says that there is nothing. On the way
/// to a provider, an absent field must be left alone and a null one cleared; a wire type keeps that when it uses
/// `Field` too, with `#[serde(default, skip_serializing_if = "Field::is_absent")]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Nothing is said about the field.
    #[default]
    Absent,
    /// The field is empty, or is to be emptied.
    Null,
    /// The field has this value.
    Value(T),
}

impl<T> Field<T> {
    /// Whether nothing is said about the field.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value, where there is one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value, where there is one.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Absent and null stay; a value goes through the function.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Null => Field::Null,
            Self::Value(value) => Field::Value(change(value)),
        }
    }

    /// Absent and null stay; a value goes through a function that may refuse it.
    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Field<U>, E> {
        Ok(match self {
            Self::Absent => Field::Absent,
            Self::Null => Field::Null,
            Self::Value(value) => Field::Value(change(value)?),
        })
    }

    /// The same field, borrowed.
    pub const fn as_ref(&self) -> Field<&T> {
        match self {
            Self::Absent => Field::Absent,
            Self::Null => Field::Null,
            Self::Value(value) => Field::Value(value),
        }
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

impl From<&str> for Field<String> {
    fn from(value: &str) -> Self {
        Self::Value(value.to_owned())
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::from)
    }
}

/// Writes a whole number without a fraction: `12`, not `12.0`.
#[cfg(numbers)]
pub(crate) fn number<S: Serializer>(field: &Field<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    /// Up to here every whole number has its own `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match field.value() {
        Some(number) if number.fract() == 0.0 && number.abs() < EXACT => {
            serializer.serialize_i64(*number as i64)
        }
        number => number.serialize(serializer),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Field;
    use crate::models::crm::{Company, Deal};

    #[test]
    fn absent_null_and_value_survive_the_way_there_and_back() {
        let deal: Deal =
            serde_json::from_value(json!({ "name": "Engine", "amount": 12.5, "user_id": null }))
                .unwrap();
        assert_eq!(deal.name, Field::from("Engine"));
        assert_eq!(deal.user_id, Field::Null);
        assert!(deal.stage_id.is_absent());
        assert_eq!(
            serde_json::to_value(&deal).unwrap(),
            json!({ "name": "Engine", "amount": "12.5", "user_id": null })
        );
    }

    #[test]
    fn fractions_stay_and_whole_numbers_have_none() {
        let text = |number: f64| {
            serde_json::to_string(&Company {
                number_of_employees: number.into(),
                ..Company::default()
            })
            .unwrap()
        };
        assert_eq!(text(12.5), r#"{"number_of_employees":12.5}"#);
        assert_eq!(text(12.0), r#"{"number_of_employees":12}"#);
    }
}
