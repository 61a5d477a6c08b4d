//! `crm.deal`: HubSpot's deals.

use jackfield_sdk::models::crm::Deal;
use jackfield_sdk::{Connection, Document, Failure, Fields, PushAction, PushRequest, RemoteRecord};
use serde_json::Value;

use crate::draft::Draft;
use crate::object::{Object, Target};
use crate::value::{self, text};
use crate::{stage, wire, write};

const COMPANY: Target = Target {
    path: "companies",
    name: "deal_to_company",
    kind: 5,
    primary: true,
};

pub(crate) const OBJECT: Object = Object {
    path: "deals",
    modified: "hs_lastmodifieddate",
    properties: wire::Deal::NAMES,
    targets: &[COMPANY],
    prefix: "",
    needs_timestamp: false,
};

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Deal, Failure> {
    let record: wire::Record<wire::Deal> = document.read()?;
    let properties = record.properties;
    Ok(Deal {
        name: text(properties.dealname),
        description: text(properties.description),
        amount: value::money("amount", properties.amount)?,
        user_id: text(properties.hubspot_owner_id),
        stage_id: text(properties.dealstage),
        company_id: value::associated_one(&record.associations, &COMPANY),
        field_mappings: value::custom(document, fields)?,
    })
}

pub(crate) fn from_unified(deal: Deal, fields: Fields<'_>) -> Result<Draft, Failure> {
    let properties = wire::Deal {
        dealname: deal.name,
        description: deal.description,
        amount: deal.amount.map(|amount| amount.to_string()),
        dealstage: deal.stage_id,
        hubspot_owner_id: deal.user_id,
        ..wire::Deal::default()
    };
    Ok(Draft::new(&properties, &deal.field_mappings, fields)?
        .associate_one(&COMPANY, deal.company_id))
}

/// Writes a deal. HubSpot wants a stage together with its pipeline, which the
/// unified model does not know.
pub(crate) fn push(
    connection: &Connection,
    request: &PushRequest,
) -> Result<RemoteRecord, Failure> {
    if request.action == PushAction::Delete {
        return write::delete(request, &OBJECT);
    }
    let mut draft: Draft = request.read()?;
    let wanted = draft
        .properties
        .get("dealstage")
        .and_then(Value::as_str)
        .filter(|stage| !stage.is_empty());
    let place = match (wanted, request.action) {
        (None, PushAction::Create) => Some(stage::first()?),
        (None, _) => None,
        (Some(wanted), _) => Some(stage::find(wanted)?),
    };
    if let Some(place) = place {
        draft
            .properties
            .insert("dealstage".to_owned(), place.stage.into());
        draft
            .properties
            .insert("pipeline".to_owned(), place.pipeline.into());
    }
    write::save(connection, request, &OBJECT, draft)
}
