//! `crm.contact`: the provider's people.

use jackfield_sdk::models::Phone;
use jackfield_sdk::models::crm::Contact;
use jackfield_sdk::{Document, Failure, Field, Fields};

use crate::parts::{self, Owner};
use crate::wire::Person;

pub(crate) const NAMES: &[(&str, &str)] = &[
    ("given_name", "first_name"),
    ("family_name", "last_name"),
    ("mail", "email_addresses"),
    ("phone", "phone_numbers"),
    ("mobile", "phone_numbers"),
    ("address", "addresses"),
    ("owner", "user_id"),
    ("extra", "field_mappings"),
];

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Contact, Failure> {
    let person: Person = document.read()?;
    Ok(Contact {
        first_name: parts::or_null(person.given_name),
        last_name: parts::or_null(person.family_name),
        email_addresses: parts::emails(person.mail, Owner::Contact),
        phone_numbers: phones(person.phone, person.mobile),
        addresses: parts::addresses(person.address, Owner::Contact),
        user_id: parts::reference(person.owner),
        field_mappings: fields.read(document, "/extra")?,
    })
}

pub(crate) fn from_unified(contact: Contact, fields: Fields<'_>) -> Result<Person, Failure> {
    let (phone, mobile) = numbers(contact.phone_numbers)?;
    Ok(Person {
        given_name: contact.first_name,
        family_name: contact.last_name,
        mail: parts::mail(contact.email_addresses)?,
        phone,
        mobile,
        address: parts::address(contact.addresses)?,
        owner: parts::id("user_id", contact.user_id)?,
        extra: fields.to_remote(&contact.field_mappings),
    })
}

fn phones(phone: Field<String>, mobile: Field<String>) -> Field<Vec<Phone>> {
    let phones: Vec<Phone> = [(phone, "WORK"), (mobile, "MOBILE")]
        .into_iter()
        .filter_map(|(number, kind)| Some(parts::phone(number.into_value()?, kind, Owner::Contact)))
        .collect();
    if phones.is_empty() {
        return Field::Null;
    }
    Field::Value(phones)
}

/// The phone and the mobile. A list stands for all numbers, so what it lacks is cleared.
fn numbers(phones: Field<Vec<Phone>>) -> Result<(Field<String>, Field<String>), Failure> {
    let phones = match phones {
        Field::Absent => return Ok((Field::Absent, Field::Absent)),
        Field::Null => Vec::new(),
        Field::Value(phones) => phones,
    };
    let (mobiles, others): (Vec<_>, Vec<_>) = phones
        .into_iter()
        .partition(|phone| phone.phone_type.as_deref() == Some("MOBILE"));
    Ok((
        parts::number(others.into())?,
        parts::number(mobiles.into())?,
    ))
}
