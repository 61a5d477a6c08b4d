//! `crm.note`: HubSpot's notes. Their text is HTML and stays so.

use jackfield_sdk::models::crm::Note;
use jackfield_sdk::{Document, Failure, Fields};

use crate::draft::Draft;
use crate::object::{Object, Target};
use crate::value::{self, text};
use crate::wire;

const COMPANY: Target = Target {
    path: "companies",
    name: "note_to_company",
    kind: 190,
    primary: false,
};
const CONTACT: Target = Target {
    path: "contacts",
    name: "note_to_contact",
    kind: 202,
    primary: false,
};
const DEAL: Target = Target {
    path: "deals",
    name: "note_to_deal",
    kind: 214,
    primary: false,
};

pub(crate) const OBJECT: Object = Object {
    path: "notes",
    modified: "hs_lastmodifieddate",
    properties: wire::Note::NAMES,
    targets: &[COMPANY, CONTACT, DEAL],
    prefix: "",
    needs_timestamp: true,
};

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Note, Failure> {
    let record: wire::Record<wire::Note> = document.read()?;
    Ok(Note {
        content: text(record.properties.hs_note_body),
        user_id: text(record.properties.hubspot_owner_id),
        company_id: value::associated_one(&record.associations, &COMPANY),
        contact_id: value::associated_one(&record.associations, &CONTACT),
        deal_id: value::associated_one(&record.associations, &DEAL),
        field_mappings: value::custom(document, fields)?,
    })
}

pub(crate) fn from_unified(note: Note, fields: Fields<'_>) -> Result<Draft, Failure> {
    let properties = wire::Note {
        hs_note_body: note.content,
        hubspot_owner_id: note.user_id,
        ..wire::Note::default()
    };
    Ok(Draft::new(&properties, &note.field_mappings, fields)?
        .associate_one(&COMPANY, note.company_id)
        .associate_one(&CONTACT, note.contact_id)
        .associate_one(&DEAL, note.deal_id))
}
