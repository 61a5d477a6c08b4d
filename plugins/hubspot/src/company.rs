//! `crm.company`: HubSpot's companies.

use jackfield_sdk::models::Address;
use jackfield_sdk::models::crm::Company;
use jackfield_sdk::{Document, Failure, Field, Fields};

use crate::draft::Draft;
use crate::object::Object;
use crate::value::{self, text};
use crate::wire;

pub(crate) const OBJECT: Object = Object {
    path: "companies",
    modified: "hs_lastmodifieddate",
    properties: wire::Company::NAMES,
    targets: &[],
    prefix: "",
    needs_timestamp: false,
};

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Company, Failure> {
    let properties = document.read::<wire::Record<wire::Company>>()?.properties;
    let address = Address {
        street_1: text(properties.address).into_value(),
        street_2: text(properties.address2).into_value(),
        city: text(properties.city).into_value(),
        state: text(properties.state).into_value(),
        postal_code: text(properties.zip).into_value(),
        country: text(properties.country).into_value(),
        address_type: Some("WORK".to_owned()),
        owner_type: Some("COMPANY".to_owned()),
    };
    Ok(Company {
        name: text(properties.name),
        industry: text(properties.industry),
        number_of_employees: value::number("number_of_employees", properties.numberofemployees)?,
        user_id: text(properties.hubspot_owner_id),
        addresses: value::addresses(address).into(),
        phone_numbers: Vec::from_iter(value::phone(properties.phone, "WORK", "COMPANY")).into(),
        email_addresses: Field::Absent,
        field_mappings: value::custom(document, fields)?,
    })
}

pub(crate) fn from_unified(company: Company, fields: Fields<'_>) -> Result<Draft, Failure> {
    let mut properties = wire::Company {
        name: company.name,
        industry: company.industry,
        numberofemployees: company.number_of_employees.map(value::decimal),
        hubspot_owner_id: company.user_id,
        phone: match company.phone_numbers {
            Field::Absent => Field::Absent,
            phones => phones
                .into_value()
                .and_then(|list| list.into_iter().next()?.phone_number)
                .into(),
        },
        ..wire::Company::default()
    };
    if let Some(address) = value::address_to_write(company.addresses) {
        properties.address = address.street_1.into();
        properties.address2 = address.street_2.into();
        properties.city = address.city.into();
        properties.state = address.state.into();
        properties.zip = address.postal_code.into();
        properties.country = address.country.into();
    }
    Draft::new(&properties, &company.field_mappings, fields)
}
