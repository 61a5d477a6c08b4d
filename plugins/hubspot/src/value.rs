//! HubSpot's texts as values, and back. An empty text means that there is nothing.

use std::collections::BTreeMap;

use jackfield_sdk::models::{Address, Phone};
use jackfield_sdk::{Decimal, Document, Failure, Field, Fields, time};
use serde_json::{Map, Value};

use crate::object::Target;
use crate::wire::Links;

/// A text, null where it is empty or missing.
pub(crate) fn text(value: Field<String>) -> Field<String> {
    value.into_value().filter(|text| !text.is_empty()).into()
}

/// A decimal number.
pub(crate) fn number(field: &str, value: Field<String>) -> Result<Field<f64>, Failure> {
    text(value).try_map(|text| match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(Failure::invalid_field(
            field,
            format!("HubSpot's {text:?} is no number"),
        )),
    })
}

/// An amount of money, in whole units of the account's currency.
pub(crate) fn money(field: &str, value: Field<String>) -> Result<Field<Decimal>, Failure> {
    text(value).try_map(|text| {
        text.parse()
            .map_err(|_| Failure::invalid_field(field, format!("HubSpot's {text:?} is no amount")))
    })
}

/// A whole number; a fraction, which HubSpot may write, is cut off.
pub(crate) fn whole(field: &str, value: Field<String>) -> Result<Option<i64>, Failure> {
    let Some(text) = text(value).into_value() else {
        return Ok(None);
    };
    let digits = text.split('.').next().unwrap_or_default();
    digits
        .parse()
        .map(Some)
        .map_err(|_| Failure::invalid_field(field, format!("HubSpot's {text:?} is no number")))
}

/// A point in time, from RFC 3339 or milliseconds since 1970.
pub(crate) fn instant(field: &str, value: &Field<String>) -> Result<Option<i64>, Failure> {
    let Some(text) = value.value().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let millis = text.parse().ok().or_else(|| time::parse(text));
    millis
        .map(Some)
        .ok_or_else(|| Failure::invalid_field(field, format!("{text:?} is no time")))
}

/// A point in time as the unified model writes it.
pub(crate) fn date_time(field: &str, value: &Field<String>) -> Result<Field<String>, Failure> {
    Ok(instant(field, value)?.and_then(time::from_millis).into())
}

/// The day of a point in time, in UTC.
pub(crate) fn day(field: &str, value: &Field<String>) -> Result<Field<String>, Failure> {
    Ok(date_time(field, value)?.map(|text| text.chars().take(10).collect()))
}

/// Custom fields by slug.
pub(crate) fn custom(
    document: Document<'_>,
    fields: Fields<'_>,
) -> Result<Map<String, Value>, Failure> {
    let mut values = fields.read(document, "/properties")?;
    for value in values.values_mut() {
        if value == "" {
            *value = Value::Null;
        }
    }
    Ok(values)
}

/// The one associated record that the unified model has room for: the primary
/// one where HubSpot knows it, else the first.
pub(crate) fn associated_one(
    associations: &BTreeMap<String, Links>,
    target: &Target,
) -> Field<String> {
    let links = associations
        .get(target.path)
        .map_or(&[][..], |links| &links.results);
    let link = links
        .iter()
        .find(|link| link.kind == target.name)
        .or_else(|| links.first());
    link.map(|link| link.id.clone()).into()
}

/// All associated records, each once.
pub(crate) fn associated_all(
    associations: &BTreeMap<String, Links>,
    target: &Target,
) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for link in associations
        .get(target.path)
        .map_or(&[][..], |links| &links.results)
    {
        if !ids.contains(&link.id) {
            ids.push(link.id.clone());
        }
    }
    ids
}

/// A phone number, where there is one.
pub(crate) fn phone(number: Field<String>, kind: &str, owner: &str) -> Option<Phone> {
    let number = text(number).into_value()?;
    Some(Phone {
        phone_number: Some(number),
        phone_type: Some(kind.to_owned()),
        owner_type: Some(owner.to_owned()),
    })
}

/// An address as a list: empty where no part of it is known.
pub(crate) fn addresses(address: Address) -> Vec<Address> {
    let parts = [
        &address.street_1,
        &address.street_2,
        &address.city,
        &address.state,
        &address.postal_code,
        &address.country,
    ];
    if parts.iter().any(|part| part.is_some()) {
        vec![address]
    } else {
        Vec::new()
    }
}

/// The first address of a list to write: every part is set, or cleared where
/// the address does not have it.
pub(crate) fn address_to_write(addresses: Field<Vec<Address>>) -> Option<Address> {
    match addresses {
        Field::Absent => None,
        Field::Null => Some(Address::default()),
        Field::Value(list) => Some(list.into_iter().next().unwrap_or_default()),
    }
}

/// A decimal number to write.
pub(crate) fn decimal(number: f64) -> String {
    number.to_string()
}

/// A time to write, in RFC 3339.
pub(crate) fn instant_to_write(
    field: &str,
    value: Field<String>,
) -> Result<Field<String>, Failure> {
    value.try_map(|text| {
        time::normalise(&text)
            .ok_or_else(|| Failure::invalid_field(field, format!("{text:?} is no time")))
    })
}

/// A day to write: noon in UTC, which is the same day nearly everywhere. A text
/// with a time keeps it.
pub(crate) fn day_to_write(field: &str, value: Field<String>) -> Result<Field<String>, Failure> {
    let value = value.map(|text| {
        if text.len() == 10 {
            format!("{text}T12:00:00Z")
        } else {
            text
        }
    });
    instant_to_write(field, value)
}
