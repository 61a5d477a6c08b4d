//! `crm.contact`: HubSpot's contacts.

use jackfield_sdk::models::crm::Contact;
use jackfield_sdk::models::{Address, Email};
use jackfield_sdk::{Document, Failure, Fields};

use crate::draft::Draft;
use crate::object::Object;
use crate::value::{self, text};
use crate::wire;

pub(crate) const OBJECT: Object = Object {
    path: "contacts",
    modified: "lastmodifieddate",
    properties: wire::Contact::NAMES,
    targets: &[],
    prefix: "",
    needs_timestamp: false,
};

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Contact, Failure> {
    let properties = document.read::<wire::Record<wire::Contact>>()?.properties;
    let address = Address {
        street_1: text(properties.address).into_value(),
        city: text(properties.city).into_value(),
        state: text(properties.state).into_value(),
        postal_code: text(properties.zip).into_value(),
        country: text(properties.country).into_value(),
        owner_type: Some("CONTACT".to_owned()),
        ..Address::default()
    };
    let phone = value::phone(properties.phone, "WORK", "CONTACT");
    let mobile = value::phone(properties.mobilephone, "MOBILE", "CONTACT");
    let additional = text(properties.hs_additional_emails)
        .into_value()
        .unwrap_or_default();
    let addresses = text(properties.email)
        .into_value()
        .into_iter()
        .chain(additional.split(';').map(str::to_owned));
    let emails = addresses
        .filter(|address| !address.is_empty())
        .map(|address| Email {
            email_address: Some(address),
            email_address_type: Some("WORK".to_owned()),
            owner_type: Some("CONTACT".to_owned()),
        });
    Ok(Contact {
        first_name: text(properties.firstname),
        last_name: text(properties.lastname),
        email_addresses: Vec::from_iter(emails).into(),
        phone_numbers: Vec::from_iter(phone.into_iter().chain(mobile)).into(),
        addresses: value::addresses(address).into(),
        user_id: text(properties.hubspot_owner_id),
        field_mappings: value::custom(document, fields)?,
    })
}

pub(crate) fn from_unified(contact: Contact, fields: Fields<'_>) -> Result<Draft, Failure> {
    let mut properties = wire::Contact {
        firstname: contact.first_name,
        lastname: contact.last_name,
        hubspot_owner_id: contact.user_id,
        ..wire::Contact::default()
    };
    // Further addresses stay as they are: HubSpot has one that can be written.
    if !contact.email_addresses.is_absent() {
        let emails = contact.email_addresses.into_value().unwrap_or_default();
        properties.email = emails
            .into_iter()
            .next()
            .and_then(|email| email.email_address)
            .into();
    }
    if !contact.phone_numbers.is_absent() {
        let phones = contact.phone_numbers.into_value().unwrap_or_default();
        let (mobiles, others): (Vec<_>, Vec<_>) = phones
            .into_iter()
            .partition(|phone| phone.phone_type.as_deref() == Some("MOBILE"));
        properties.mobilephone = mobiles
            .into_iter()
            .next()
            .and_then(|phone| phone.phone_number)
            .into();
        properties.phone = others
            .into_iter()
            .next()
            .and_then(|phone| phone.phone_number)
            .into();
    }
    if let Some(address) = value::address_to_write(contact.addresses) {
        let street: Vec<String> = [address.street_1, address.street_2]
            .into_iter()
            .flatten()
            .collect();
        properties.address = Some(street.join(", "))
            .filter(|street| !street.is_empty())
            .into();
        properties.city = address.city.into();
        properties.state = address.state.into();
        properties.zip = address.postal_code.into();
        properties.country = address.country.into();
    }
    Draft::new(&properties, &contact.field_mappings, fields)
}
