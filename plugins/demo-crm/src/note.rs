//! `crm.note`: the provider's notes. They have no custom fields.

use jackfield_sdk::models::crm::Note;
use jackfield_sdk::{Document, Failure};

use crate::parts;
use crate::wire;

pub(crate) const NAMES: &[(&str, &str)] = &[
    ("text", "content"),
    ("author", "user_id"),
    ("person", "contact_id"),
    ("organisation", "company_id"),
    ("deal", "deal_id"),
];

pub(crate) fn to_unified(document: Document<'_>) -> Result<Note, Failure> {
    let note: wire::Note = document.read()?;
    Ok(Note {
        content: parts::or_null(note.text),
        user_id: parts::reference(note.author),
        company_id: parts::reference(note.organisation),
        contact_id: parts::reference(note.person),
        deal_id: parts::reference(note.deal),
        ..Note::default()
    })
}

pub(crate) fn from_unified(note: Note) -> Result<wire::Note, Failure> {
    Ok(wire::Note {
        text: note.content,
        author: parts::id("user_id", note.user_id)?,
        person: parts::id("contact_id", note.contact_id)?,
        organisation: parts::id("company_id", note.company_id)?,
        deal: parts::id("deal_id", note.deal_id)?,
    })
}
