//! What several objects have in common: ids, addresses and the lists of which the provider keeps one entry.

use jackfield_sdk::models;
use jackfield_sdk::{Decimal, Failure, Field};

use crate::wire;

/// Whose address or number it is.
#[derive(Clone, Copy)]
pub(crate) enum Owner {
    Company,
    Contact,
}

impl Owner {
    fn word(self) -> String {
        match self {
            Self::Company => "COMPANY".to_owned(),
            Self::Contact => "CONTACT".to_owned(),
        }
    }
}

/// The provider's id as a remote id.
pub(crate) fn reference(id: Field<u64>) -> Field<String> {
    or_null(id).map(|id| id.to_string())
}

/// A remote id as the provider's id.
pub(crate) fn id(field: &str, remote_id: Field<String>) -> Result<Field<u64>, Failure> {
    remote_id.try_map(|text| {
        text.parse()
            .map_err(|_| Failure::invalid_field(field, "is no id of the demo CRM"))
    })
}

/// What a document does not have is null in the unified object.
pub(crate) fn or_null<T>(field: Field<T>) -> Field<T> {
    field.into_value().into()
}

pub(crate) fn emails(mail: Field<String>, owner: Owner) -> Field<Vec<models::Email>> {
    or_null(mail).map(|address| {
        vec![models::Email {
            email_address: Some(address),
            email_address_type: Some("WORK".to_owned()),
            owner_type: Some(owner.word()),
        }]
    })
}

pub(crate) fn mail(emails: Field<Vec<models::Email>>) -> Result<Field<String>, Failure> {
    Ok(match only("email_addresses", emails)? {
        Field::Absent => Field::Absent,
        Field::Null => Field::Null,
        Field::Value(email) => email.email_address.into(),
    })
}

pub(crate) fn phone(number: String, kind: &str, owner: Owner) -> models::Phone {
    models::Phone {
        phone_number: Some(number),
        phone_type: Some(kind.to_owned()),
        owner_type: Some(owner.word()),
    }
}

/// The number of a list that has at most one.
pub(crate) fn number(phones: Field<Vec<models::Phone>>) -> Result<Field<String>, Failure> {
    Ok(match only("phone_numbers", phones)? {
        Field::Absent => Field::Absent,
        Field::Null => Field::Null,
        Field::Value(phone) => phone.phone_number.into(),
    })
}

/// A number without a fraction, from 0.
pub(crate) fn whole(field: &str, number: f64) -> Result<u64, Failure> {
    /// Up to here every whole number has its own `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && (0.0..EXACT).contains(&number) {
        return Ok(number as u64);
    }
    Err(Failure::invalid_field(
        field,
        "must be a number that the demo CRM can keep: whole and not negative",
    ))
}

/// An amount in the smallest unit of the currency, from 0.
pub(crate) fn cents(field: &str, amount: Decimal, currency: &str) -> Result<i64, Failure> {
    let cents = amount.minor(currency).filter(|cents| *cents >= 0);
    cents.ok_or_else(|| {
        Failure::invalid_field(
            field,
            "must be an amount that the demo CRM can keep: whole cents and not negative",
        )
    })
}

pub(crate) fn addresses(
    address: Field<wire::Address>,
    owner: Owner,
) -> Field<Vec<models::Address>> {
    or_null(address).map(|address| {
        vec![models::Address {
            street_1: address.street,
            street_2: None,
            city: address.town,
            state: address.region,
            postal_code: address.postcode,
            country: address.country,
            address_type: Some("WORK".to_owned()),
            owner_type: Some(owner.word()),
        }]
    })
}

pub(crate) fn address(
    addresses: Field<Vec<models::Address>>,
) -> Result<Field<wire::Address>, Failure> {
    let address = only("addresses", addresses)?;
    Ok(address.map(|address| {
        let lines: Vec<String> = [address.street_1, address.street_2]
            .into_iter()
            .flatten()
            .collect();
        wire::Address {
            street: (!lines.is_empty()).then(|| lines.join(", ")),
            postcode: address.postal_code,
            town: address.city,
            region: address.state,
            country: address.country,
        }
    }))
}

/// The entry of a list that has at most one. More are refused, since dropping one would lose what was sent.
fn only<T>(field: &str, list: Field<Vec<T>>) -> Result<Field<T>, Failure> {
    match list {
        Field::Absent => Ok(Field::Absent),
        Field::Null => Ok(Field::Null),
        Field::Value(mut list) if list.len() < 2 => Ok(list.pop().into()),
        Field::Value(_) => Err(Failure::invalid_field(
            field,
            "has more than one entry of a kind; the demo CRM keeps one",
        )),
    }
}
