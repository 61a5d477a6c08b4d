//! `crm.deal`: the provider's deals. It counts in cents, the unified object in whole units.

use jackfield_sdk::models::crm::Deal;
use jackfield_sdk::{Decimal, Document, Failure, Fields};

use crate::parts;
use crate::wire;

pub(crate) const NAMES: &[(&str, &str)] = &[
    ("title", "name"),
    ("summary", "description"),
    ("amount_cents", "amount"),
    ("stage", "stage_id"),
    ("organisation", "company_id"),
    ("owner", "user_id"),
    ("extra", "field_mappings"),
];

/// The demo CRM keeps no currency: all its amounts are euros.
const CURRENCY: &str = "EUR";

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Deal, Failure> {
    let deal: wire::Deal = document.read()?;
    Ok(Deal {
        name: parts::or_null(deal.title),
        description: parts::or_null(deal.summary),
        amount: parts::or_null(deal.amount_cents).map(|cents| Decimal::from_minor(cents, CURRENCY)),
        user_id: parts::reference(deal.owner),
        stage_id: parts::reference(deal.stage),
        company_id: parts::reference(deal.organisation),
        field_mappings: fields.read(document, "/extra")?,
    })
}

pub(crate) fn from_unified(deal: Deal, fields: Fields<'_>) -> Result<wire::Deal, Failure> {
    Ok(wire::Deal {
        title: deal.name,
        summary: deal.description,
        amount_cents: deal
            .amount
            .try_map(|amount| parts::cents("amount", amount, CURRENCY))?,
        stage: parts::id("stage_id", deal.stage_id)?,
        organisation: parts::id("company_id", deal.company_id)?,
        owner: parts::id("user_id", deal.user_id)?,
        extra: fields.to_remote(&deal.field_mappings),
    })
}
