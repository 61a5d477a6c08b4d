//! `crm.company`: the provider's companies.

use jackfield_sdk::models::crm::Company;
use jackfield_sdk::{Document, Failure, Fields};

use crate::parts::{self, Owner};
use crate::wire;

pub(crate) const NAMES: &[(&str, &str)] = &[
    ("label", "name"),
    ("sector", "industry"),
    ("headcount", "number_of_employees"),
    ("mail", "email_addresses"),
    ("phone", "phone_numbers"),
    ("address", "addresses"),
    ("owner", "user_id"),
    ("extra", "field_mappings"),
];

/// The provider's sectors that have a counterpart. Others pass as they are.
const SECTORS: &[(&str, &str)] = &[
    ("Software", "COMPUTER_SOFTWARE"),
    ("Logistics", "LOGISTICS_AND_SUPPLY_CHAIN"),
    ("Food", "FOOD_BEVERAGES"),
    ("Construction", "CONSTRUCTION"),
    ("Health care", "HOSPITAL_HEALTH_CARE"),
    ("Education", "EDUCATION_MANAGEMENT"),
    ("Energy", "OIL_ENERGY"),
    ("Finance", "FINANCIAL_SERVICES"),
    ("Farming", "FARMING"),
    ("Media", "MEDIA_PRODUCTION"),
    ("Tourism", "LEISURE_TRAVEL_TOURISM"),
];

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Company, Failure> {
    let company: wire::Company = document.read()?;
    Ok(Company {
        name: parts::or_null(company.label),
        industry: parts::or_null(company.sector).map(|sector| {
            let known = SECTORS.iter().find(|(remote, _)| *remote == sector);
            known.map_or(sector, |(_, unified)| (*unified).to_owned())
        }),
        number_of_employees: parts::or_null(company.headcount).map(|count| count as f64),
        email_addresses: parts::emails(company.mail, Owner::Company),
        phone_numbers: parts::or_null(company.phone)
            .map(|number| vec![parts::phone(number, "WORK", Owner::Company)]),
        addresses: parts::addresses(company.address, Owner::Company),
        user_id: parts::reference(company.owner),
        field_mappings: fields.read(document, "/extra")?,
    })
}

pub(crate) fn from_unified(company: Company, fields: Fields<'_>) -> Result<wire::Company, Failure> {
    Ok(wire::Company {
        label: company.name,
        sector: company.industry.map(|industry| {
            let known = SECTORS.iter().find(|(_, unified)| *unified == industry);
            known.map_or(industry, |(remote, _)| (*remote).to_owned())
        }),
        headcount: company
            .number_of_employees
            .try_map(|count| parts::whole("number_of_employees", count))?,
        mail: parts::mail(company.email_addresses)?,
        phone: parts::number(company.phone_numbers)?,
        address: parts::address(company.addresses)?,
        owner: parts::id("user_id", company.user_id)?,
        extra: fields.to_remote(&company.field_mappings),
    })
}
