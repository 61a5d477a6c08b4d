//! `crm.engagement`: HubSpot's calls, meetings and e-mails.
//!
//! Three objects of HubSpot are one unified object, and their ids repeat. So a
//! remote id names the object too: `calls:123`.

use std::collections::BTreeMap;

use jackfield_sdk::models::crm::Engagement;
use jackfield_sdk::{
    Connection, Document, Failure, FetchRequest, Field, Fields, Page, PushAction, PushRequest,
    RemoteRecord, time,
};
use serde_json::Value;

use crate::draft::Draft;
use crate::object::{Object, Target};
use crate::value::{self, text};
use crate::{read, wire, write};

const CALL_COMPANY: Target = Target {
    path: "companies",
    name: "call_to_company",
    kind: 182,
    primary: false,
};
const CALL_CONTACT: Target = Target {
    path: "contacts",
    name: "call_to_contact",
    kind: 194,
    primary: false,
};
const MEETING_COMPANY: Target = Target {
    path: "companies",
    name: "meeting_to_company",
    kind: 188,
    primary: false,
};
const MEETING_CONTACT: Target = Target {
    path: "contacts",
    name: "meeting_to_contact",
    kind: 200,
    primary: false,
};
const EMAIL_COMPANY: Target = Target {
    path: "companies",
    name: "email_to_company",
    kind: 186,
    primary: false,
};
const EMAIL_CONTACT: Target = Target {
    path: "contacts",
    name: "email_to_contact",
    kind: 198,
    primary: false,
};

pub(crate) const CALLS: Object = Object {
    path: "calls",
    modified: "hs_lastmodifieddate",
    properties: wire::Call::NAMES,
    targets: &[CALL_COMPANY, CALL_CONTACT],
    prefix: "calls:",
    needs_timestamp: true,
};
pub(crate) const MEETINGS: Object = Object {
    path: "meetings",
    modified: "hs_lastmodifieddate",
    properties: wire::Meeting::NAMES,
    targets: &[MEETING_COMPANY, MEETING_CONTACT],
    prefix: "meetings:",
    needs_timestamp: true,
};
pub(crate) const EMAILS: Object = Object {
    path: "emails",
    modified: "hs_lastmodifieddate",
    properties: wire::Email::NAMES,
    targets: &[EMAIL_COMPANY, EMAIL_CONTACT],
    prefix: "emails:",
    needs_timestamp: true,
};

type Associations = BTreeMap<String, wire::Links>;

/// What to write, by HubSpot's object. An update does not say which kind of
/// engagement its record is, so there is a draft for each: the remote id picks.
pub(crate) type Drafts = BTreeMap<String, Draft>;

pub(crate) fn to_unified(
    document: Document<'_>,
    fields: Fields<'_>,
) -> Result<Engagement, Failure> {
    let wire::Record {
        properties,
        associations,
    }: wire::Record<wire::Activity> = document.read()?;
    // HubSpot writes out every property that was asked for, as null at least.
    let has =
        |properties: [&Field<String>; 3]| properties.iter().any(|property| !property.is_absent());
    let engagement = if has([
        &properties.hs_call_title,
        &properties.hs_call_body,
        &properties.hs_call_direction,
    ]) {
        call(properties, &associations)?
    } else if has([
        &properties.hs_meeting_title,
        &properties.hs_meeting_body,
        &properties.hs_meeting_start_time,
    ]) {
        meeting(properties, &associations)?
    } else if has([
        &properties.hs_email_subject,
        &properties.hs_email_html,
        &properties.hs_email_direction,
    ]) {
        email(properties, &associations)?
    } else {
        return Err(Failure::invalid(
            "the record is neither a call, a meeting nor an e-mail",
        ));
    };
    Ok(Engagement {
        field_mappings: value::custom(document, fields)?,
        ..engagement
    })
}

fn call(call: wire::Activity, associations: &Associations) -> Result<Engagement, Failure> {
    let start = value::instant("start_at", &call.hs_timestamp)?;
    let length = value::whole("end_time", call.hs_call_duration)?;
    let end = start
        .zip(length)
        .and_then(|(start, length)| time::from_millis(start.checked_add(length)?));
    Ok(Engagement {
        content: text(call.hs_call_body),
        direction: text(call.hs_call_direction),
        subject: text(call.hs_call_title),
        start_at: start.and_then(time::from_millis).into(),
        end_time: end.into(),
        user_id: text(call.hubspot_owner_id),
        ..common("CALL", associations, &CALL_COMPANY, &CALL_CONTACT)
    })
}

fn meeting(meeting: wire::Activity, associations: &Associations) -> Result<Engagement, Failure> {
    let start = match text(meeting.hs_meeting_start_time) {
        Field::Value(start) => Field::Value(start),
        Field::Absent | Field::Null => meeting.hs_timestamp,
    };
    Ok(Engagement {
        content: text(meeting.hs_meeting_body),
        subject: text(meeting.hs_meeting_title),
        start_at: value::date_time("start_at", &start)?,
        end_time: value::date_time("end_time", &meeting.hs_meeting_end_time)?,
        user_id: text(meeting.hubspot_owner_id),
        ..common("MEETING", associations, &MEETING_COMPANY, &MEETING_CONTACT)
    })
}

fn email(email: wire::Activity, associations: &Associations) -> Result<Engagement, Failure> {
    let html = text(email.hs_email_html);
    Ok(Engagement {
        content: if html.value().is_some() {
            html
        } else {
            text(email.hs_email_text)
        },
        direction: text(email.hs_email_direction).map(|direction| match direction.as_str() {
            "EMAIL" => "OUTBOUND".to_owned(),
            "INCOMING_EMAIL" => "INBOUND".to_owned(),
            _ => direction,
        }),
        subject: text(email.hs_email_subject),
        start_at: value::date_time("start_at", &email.hs_timestamp)?,
        user_id: text(email.hubspot_owner_id),
        ..common("EMAIL", associations, &EMAIL_COMPANY, &EMAIL_CONTACT)
    })
}

fn common(
    kind: &str,
    associations: &Associations,
    company: &Target,
    contact: &Target,
) -> Engagement {
    Engagement {
        r#type: kind.into(),
        direction: Field::Null,
        end_time: Field::Null,
        company_id: value::associated_one(associations, company),
        contacts: value::associated_all(associations, contact).into(),
        ..Engagement::default()
    }
}

pub(crate) fn from_unified(engagement: &Engagement, fields: Fields<'_>) -> Result<Drafts, Failure> {
    let kinds: &[&Object] = match &engagement.r#type {
        Field::Absent => &[&CALLS, &MEETINGS, &EMAILS],
        Field::Value(kind) if kind == "CALL" => &[&CALLS],
        Field::Value(kind) if kind == "MEETING" => &[&MEETINGS],
        Field::Value(kind) if kind == "EMAIL" => &[&EMAILS],
        Field::Null | Field::Value(_) => {
            return Err(Failure::invalid_field(
                "type",
                "an engagement is a CALL, a MEETING or an EMAIL",
            ));
        }
    };
    let start = value::instant_to_write("start_at", engagement.start_at.clone())?;
    let end = value::instant_to_write("end_time", engagement.end_time.clone())?;
    let mut drafts = Drafts::new();
    for object in kinds {
        let custom = &engagement.field_mappings;
        let draft = match object.path {
            "calls" => match call_duration(&start, &end) {
                Ok(length) => Draft::new(
                    &call_to_write(engagement, start.clone(), length),
                    custom,
                    fields,
                )?,
                // It may be a meeting, for which this is no fault.
                Err(_) if kinds.len() > 1 => continue,
                Err(failure) => return Err(failure),
            },
            "meetings" => Draft::new(
                &meeting_to_write(engagement, start.clone(), end.clone()),
                custom,
                fields,
            )?,
            _ => Draft::new(&email_to_write(engagement, start.clone()), custom, fields)?,
        };
        let [company, contact] = object.targets else {
            return Err(Failure::unexpected(
                "an engagement has a company and contacts",
            ));
        };
        let draft = draft.associate_one(company, engagement.company_id.clone());
        drafts.insert(
            object.path.to_owned(),
            draft.associate(contact, engagement.contacts.clone()),
        );
    }
    Ok(drafts)
}

fn call_to_write(
    engagement: &Engagement,
    start: Field<String>,
    length: Field<String>,
) -> wire::Call {
    wire::Call {
        hs_call_title: engagement.subject.clone(),
        hs_call_body: engagement.content.clone(),
        hs_call_direction: engagement.direction.clone(),
        hs_call_duration: length,
        hs_timestamp: start,
        hubspot_owner_id: engagement.user_id.clone(),
    }
}

fn meeting_to_write(
    engagement: &Engagement,
    start: Field<String>,
    end: Field<String>,
) -> wire::Meeting {
    wire::Meeting {
        hs_meeting_title: engagement.subject.clone(),
        hs_meeting_body: engagement.content.clone(),
        hs_meeting_start_time: start.clone(),
        hs_meeting_end_time: end,
        hs_timestamp: start,
        hubspot_owner_id: engagement.user_id.clone(),
    }
}

fn email_to_write(engagement: &Engagement, start: Field<String>) -> wire::Email {
    wire::Email {
        hs_email_subject: engagement.subject.clone(),
        hs_email_html: engagement.content.clone(),
        hs_email_direction: engagement.direction.clone().map(|direction| {
            match direction.as_str() {
                "OUTBOUND" => "EMAIL".to_owned(),
                "INBOUND" => "INCOMING_EMAIL".to_owned(),
                _ => direction,
            }
        }),
        hs_timestamp: start,
        hubspot_owner_id: engagement.user_id.clone(),
        ..wire::Email::default()
    }
}

/// HubSpot keeps how long a call took, not when it ended.
fn call_duration(start: &Field<String>, end: &Field<String>) -> Result<Field<String>, Failure> {
    let Some(end) = end.value() else {
        return Ok(end.clone());
    };
    let Some(length) = start
        .value()
        .and_then(|start| Some(time::parse(end)? - time::parse(start)?))
    else {
        return Err(end_needs_start());
    };
    if length < 0 {
        return Err(Failure::invalid_field(
            "end_time",
            "the call ends before it begins",
        ));
    }
    Ok(Field::Value(length.to_string()))
}

fn end_needs_start() -> Failure {
    Failure::invalid_field(
        "end_time",
        "the end of a call can only be written together with start_at",
    )
}

pub(crate) fn fetch(connection: &Connection, request: &FetchRequest) -> Result<Page, Failure> {
    let Some(remote_id) = &request.remote_id else {
        return read::fetch(connection, request, &[&CALLS, &MEETINGS, &EMAILS]);
    };
    read::fetch(connection, request, &[object(remote_id)?])
}

pub(crate) fn push(
    connection: &Connection,
    request: &PushRequest,
) -> Result<RemoteRecord, Failure> {
    if request.action == PushAction::Delete {
        return write::delete(request, object(request.id()?)?);
    }
    let mut drafts: Drafts = request.read()?;
    if request.action == PushAction::Update {
        let object = object(request.id()?)?;
        return match drafts.remove(object.path) {
            Some(draft) => write::save(connection, request, object, draft),
            // Without a type there is a draft for every kind, except for a call that cannot be written.
            None if drafts.len() > 1 => Err(end_needs_start()),
            None => Err(Failure::invalid_field(
                "type",
                "an engagement cannot change its type",
            )),
        };
    }
    let (object, mut draft) = match drafts.pop_first() {
        Some((path, draft)) if drafts.is_empty() => (object(&format!("{path}:"))?, draft),
        _ => {
            return Err(Failure::invalid_field(
                "type",
                "a new engagement is a CALL, a MEETING or an EMAIL",
            ));
        }
    };
    // HubSpot refuses an e-mail without a direction.
    if object.path == EMAILS.path
        && draft
            .properties
            .get("hs_email_direction")
            .is_none_or(|value| value == "")
    {
        draft
            .properties
            .insert("hs_email_direction".to_owned(), Value::from("EMAIL"));
    }
    write::save(connection, request, object, draft)
}

fn object(remote_id: &str) -> Result<&'static Object, Failure> {
    let found = [&CALLS, &MEETINGS, &EMAILS]
        .into_iter()
        .find(|object| object.id(remote_id).is_some());
    found.ok_or_else(|| Failure::NotFound(format!("{remote_id:?} is no engagement of HubSpot")))
}
