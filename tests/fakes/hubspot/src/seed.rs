//! HubSpot's schema as far as the fake has one, and the records it starts with.

use crate::state::{Record, State, iso, whole_milliseconds};

/// Ids of every type begin here, so that they repeat between types.
pub(crate) const ID_BASE: u64 = 1001;
/// Ids of owners begin here.
pub(crate) const OWNER_BASE: u64 = 41_001;
/// 2024-01-01T00:00:00Z.
pub(crate) const SEED_START: i64 = 1_704_067_200_000;

pub(crate) const TYPES: [&str; 8] = [
    "contacts",
    "companies",
    "deals",
    "notes",
    "tasks",
    "calls",
    "meetings",
    "emails",
];

pub(crate) const DATE_TIMES: [&str; 4] = [
    "hs_timestamp",
    "hs_meeting_start_time",
    "hs_meeting_end_time",
    "closedate",
];

type Stages = &'static [(&'static str, &'static str)];

/// Deal pipelines: id, label, stages (id, label).
pub(crate) const PIPELINES: [(&str, &str, Stages); 2] = [
    (
        "default",
        "Sales Pipeline",
        &[
            ("appointmentscheduled", "Appointment Scheduled"),
            ("qualifiedtobuy", "Qualified To Buy"),
            ("contractsent", "Contract Sent"),
            ("closedwon", "Closed Won"),
            ("closedlost", "Closed Lost"),
        ],
    ),
    (
        "7719001",
        "Renewals",
        &[("7719002", "Renewal due"), ("7719003", "Renewed")],
    ),
];

/// The ids of the association types of a pair, in the direction of the pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) unlabelled: u32,
    pub(crate) primary: Option<u32>,
}

/// From, to, unlabelled, primary: HubSpot's table of predefined types.
const ASSOCIATIONS: [(&str, &str, u32, Option<u32>); 36] = [
    ("contacts", "companies", 279, Some(1)),
    ("companies", "contacts", 280, Some(2)),
    ("deals", "companies", 341, Some(5)),
    ("companies", "deals", 342, Some(6)),
    ("deals", "contacts", 3, None),
    ("contacts", "deals", 4, None),
    ("notes", "contacts", 202, None),
    ("contacts", "notes", 201, None),
    ("notes", "companies", 190, None),
    ("companies", "notes", 189, None),
    ("notes", "deals", 214, None),
    ("deals", "notes", 213, None),
    ("tasks", "contacts", 204, None),
    ("contacts", "tasks", 203, None),
    ("tasks", "companies", 192, None),
    ("companies", "tasks", 191, None),
    ("tasks", "deals", 216, None),
    ("deals", "tasks", 215, None),
    ("calls", "contacts", 194, None),
    ("contacts", "calls", 193, None),
    ("calls", "companies", 182, None),
    ("companies", "calls", 181, None),
    ("calls", "deals", 206, None),
    ("deals", "calls", 205, None),
    ("emails", "contacts", 198, None),
    ("contacts", "emails", 197, None),
    ("emails", "companies", 186, None),
    ("companies", "emails", 185, None),
    ("emails", "deals", 210, None),
    ("deals", "emails", 209, None),
    ("meetings", "contacts", 200, None),
    ("contacts", "meetings", 199, None),
    ("meetings", "companies", 188, None),
    ("companies", "meetings", 187, None),
    ("meetings", "deals", 212, None),
    ("deals", "meetings", 211, None),
];

pub(crate) fn association(from: &str, to: &str) -> Option<Kind> {
    let row = ASSOCIATIONS
        .iter()
        .find(|row| row.0 == from && row.1 == to)?;
    Some(Kind {
        unlabelled: row.2,
        primary: row.3,
    })
}

/// The plural that the fake uses, for a plural or a singular.
pub(crate) fn type_name(name: &str) -> Option<&'static str> {
    TYPES
        .into_iter()
        .find(|known| *known == name || singular(known) == name)
}

pub(crate) fn singular(object: &str) -> &str {
    if object == "companies" {
        "company"
    } else {
        object.strip_suffix('s').unwrap_or(object)
    }
}

/// The properties that hold the dates of creation and of modification.
pub(crate) fn date_properties(object: &str) -> (&'static str, &'static str) {
    match object {
        "contacts" => ("createdate", "lastmodifieddate"),
        "companies" | "deals" => ("createdate", "hs_lastmodifieddate"),
        _ => ("hs_createdate", "hs_lastmodifieddate"),
    }
}

/// What an answer holds where the request names no property.
pub(crate) fn default_properties(object: &str) -> &'static [&'static str] {
    match object {
        "contacts" => &[
            "createdate",
            "email",
            "firstname",
            "hs_object_id",
            "lastmodifieddate",
            "lastname",
        ],
        "companies" => &[
            "createdate",
            "domain",
            "hs_lastmodifieddate",
            "hs_object_id",
            "name",
        ],
        "deals" => &[
            "amount",
            "closedate",
            "createdate",
            "dealname",
            "dealstage",
            "hs_lastmodifieddate",
            "hs_object_id",
            "pipeline",
        ],
        _ => &["hs_createdate", "hs_lastmodifieddate", "hs_object_id"],
    }
}

/// What a record cannot be created without.
pub(crate) fn required_properties(object: &str) -> &'static [&'static str] {
    match object {
        "contacts" | "companies" => &[],
        "deals" => &["dealname", "dealstage"],
        "emails" => &["hs_timestamp", "hs_email_direction"],
        _ => &["hs_timestamp"],
    }
}

/// Properties that only HubSpot writes.
pub(crate) fn read_only(object: &str, name: &str) -> bool {
    let (created, modified) = date_properties(object);
    name == "hs_object_id"
        || name == created
        || name == modified
        || name == "hs_task_completion_date"
}

/// The properties that the type has in every account.
pub(crate) fn properties(object: &str) -> &'static [&'static str] {
    match object {
        "contacts" => &[
            "email",
            "hs_additional_emails",
            "firstname",
            "lastname",
            "phone",
            "mobilephone",
            "address",
            "city",
            "state",
            "zip",
            "country",
            "hubspot_owner_id",
            "jobtitle",
            "company",
            "createdate",
            "lastmodifieddate",
            "hs_object_id",
        ],
        "companies" => &[
            "name",
            "domain",
            "industry",
            "numberofemployees",
            "phone",
            "address",
            "address2",
            "city",
            "state",
            "zip",
            "country",
            "hubspot_owner_id",
            "createdate",
            "hs_lastmodifieddate",
            "hs_object_id",
        ],
        "deals" => &[
            "dealname",
            "description",
            "amount",
            "dealstage",
            "pipeline",
            "closedate",
            "hubspot_owner_id",
            "createdate",
            "hs_lastmodifieddate",
            "hs_object_id",
        ],
        "notes" => &[
            "hs_note_body",
            "hs_timestamp",
            "hubspot_owner_id",
            "hs_createdate",
            "hs_lastmodifieddate",
            "hs_object_id",
        ],
        "tasks" => &[
            "hs_task_subject",
            "hs_task_body",
            "hs_task_status",
            "hs_task_priority",
            "hs_task_type",
            "hs_task_completion_date",
            "hs_timestamp",
            "hubspot_owner_id",
            "hs_createdate",
            "hs_lastmodifieddate",
            "hs_object_id",
        ],
        "calls" => &[
            "hs_call_title",
            "hs_call_body",
            "hs_call_direction",
            "hs_call_duration",
            "hs_call_status",
            "hs_timestamp",
            "hubspot_owner_id",
            "hs_createdate",
            "hs_lastmodifieddate",
            "hs_object_id",
        ],
        "meetings" => &[
            "hs_meeting_title",
            "hs_meeting_body",
            "hs_meeting_start_time",
            "hs_meeting_end_time",
            "hs_meeting_outcome",
            "hs_timestamp",
            "hubspot_owner_id",
            "hs_createdate",
            "hs_lastmodifieddate",
            "hs_object_id",
        ],
        "emails" => &[
            "hs_email_subject",
            "hs_email_text",
            "hs_email_html",
            "hs_email_direction",
            "hs_email_status",
            "hs_timestamp",
            "hubspot_owner_id",
            "hs_createdate",
            "hs_lastmodifieddate",
            "hs_object_id",
        ],
        _ => &[],
    }
}

const FIRST_NAMES: [&str; 10] = [
    "Ada", "Charles", "Grace", "Alan", "Hedy", "Edsger", "Barbara", "Donald", "Radia", "Tim",
];
const LAST_NAMES: [&str; 9] = [
    "Lovelace", "Babbage", "Hopper", "Turing", "Lamarr", "Dijkstra", "Liskov", "Knuth", "Perlman",
];
const CITIES: [(&str, &str, &str); 4] = [
    ("London", "Greater London", "United Kingdom"),
    ("Paris", "Île-de-France", "France"),
    ("Boston", "MA", "United States"),
    ("Sendai", "Miyagi", "Japan"),
];

/// First and last name of an owner.
pub(crate) fn owner_name(index: u64) -> (&'static str, String) {
    let at = usize::try_from(index).expect("few owners");
    (FIRST_NAMES[at % FIRST_NAMES.len()], format!("Owner{index}"))
}

/// Fills every type, then associates.
pub(crate) fn fill(state: &mut State) {
    let options = state.options.clone();
    let counts = [
        ("companies", options.companies),
        ("contacts", options.contacts),
        ("deals", options.deals),
        ("notes", options.notes),
        ("tasks", options.tasks),
        ("calls", options.calls),
        ("meetings", options.meetings),
        ("emails", options.emails),
    ];
    let spacing = whole_milliseconds(options.spacing);
    for (object, count) in counts {
        for index in 0..count {
            let time = SEED_START + spacing * i64::try_from(index).expect("few records");
            let owner = (options.owners > 0).then(|| OWNER_BASE + (index % options.owners) as u64);
            let mut properties: Vec<(&str, String)> = seeded(object, index, time);
            properties.extend(owner.map(|owner| ("hubspot_owner_id", owner.to_string())));
            let properties = properties
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            let id = ID_BASE + index as u64;
            state.put(
                object,
                Record {
                    id,
                    properties,
                    created: time,
                    modified: time,
                    archived: false,
                },
            );
            associate(state, &options, object, index);
        }
    }
}

fn associate(state: &mut State, options: &crate::Options, object: &'static str, index: usize) {
    let id = ID_BASE + index as u64;
    let pick = |count: usize, offset: usize| {
        (count > 0).then(|| ID_BASE + ((index + offset) % count.max(1)) as u64)
    };
    let company = pick(options.companies, 0);
    let contact = pick(options.contacts, 0);
    let second_contact = pick(options.contacts, 1).filter(|second| Some(*second) != contact);
    let deal = pick(options.deals, 0);
    let wanted: &[(&'static str, Option<u64>)] = match object {
        "contacts" => &[("companies", company)],
        "deals" => &[("companies", company), ("contacts", contact)],
        "notes" | "tasks" => &[
            ("companies", company),
            ("contacts", contact),
            ("deals", deal),
        ],
        "calls" | "meetings" | "emails" => &[
            ("companies", company),
            ("contacts", contact),
            ("contacts", second_contact),
        ],
        _ => &[],
    };
    for (to, to_id) in wanted {
        if let Some(to_id) = to_id {
            state.associate(object, id, to, *to_id, true);
        }
    }
}

fn seeded(object: &str, index: usize, time: i64) -> Vec<(&'static str, String)> {
    let first = FIRST_NAMES[index % FIRST_NAMES.len()];
    let last = LAST_NAMES[index % LAST_NAMES.len()];
    let (city, region, country) = CITIES[index % CITIES.len()];
    let end = iso(time + 1_800_000);
    let time = iso(time);
    match object {
        "contacts" => vec![
            ("firstname", first.to_owned()),
            ("lastname", format!("{last} {index}")),
            (
                "email",
                format!(
                    "{}.{}.{index}@example.com",
                    first.to_lowercase(),
                    last.to_lowercase()
                ),
            ),
            ("phone", format!("+4420{:08}", 70_000_000 + index)),
            ("city", city.to_owned()),
            ("country", country.to_owned()),
        ],
        "companies" => vec![
            ("name", format!("{last} Works {index}")),
            ("domain", format!("works{index}.example.com")),
            ("industry", "COMPUTER_SOFTWARE".to_owned()),
            ("numberofemployees", (10 + index).to_string()),
            ("phone", format!("+4420{:08}", 80_000_000 + index)),
            ("address", format!("{} Main Street", index + 1)),
            ("city", city.to_owned()),
            ("state", region.to_owned()),
            ("zip", format!("{:05}", 10_000 + index)),
            ("country", country.to_owned()),
        ],
        "deals" => {
            let (pipeline, _, stages) = PIPELINES[index % PIPELINES.len()];
            vec![
                ("dealname", format!("Deal {index}")),
                (
                    "description",
                    format!("{index} seats of the difference engine"),
                ),
                ("amount", format!("{}.50", 1000 + index)),
                ("pipeline", pipeline.to_owned()),
                ("dealstage", stages[index % stages.len()].0.to_owned()),
                ("closedate", time),
            ]
        }
        "notes" => vec![
            ("hs_note_body", format!("<p>Note {index} on {first}</p>")),
            ("hs_timestamp", time),
        ],
        "tasks" => vec![
            ("hs_task_subject", format!("Task {index}")),
            ("hs_task_body", format!("Call {first} back")),
            (
                "hs_task_status",
                if index.is_multiple_of(3) {
                    "COMPLETED"
                } else {
                    "NOT_STARTED"
                }
                .to_owned(),
            ),
            ("hs_task_priority", "MEDIUM".to_owned()),
            ("hs_task_type", "TODO".to_owned()),
            ("hs_timestamp", time),
        ],
        "calls" => vec![
            ("hs_call_title", format!("Call {index}")),
            ("hs_call_body", format!("Spoke to {first}")),
            (
                "hs_call_direction",
                if index.is_multiple_of(2) {
                    "OUTBOUND"
                } else {
                    "INBOUND"
                }
                .to_owned(),
            ),
            ("hs_call_duration", "600000".to_owned()),
            ("hs_call_status", "COMPLETED".to_owned()),
            ("hs_timestamp", time),
        ],
        "meetings" => vec![
            ("hs_meeting_title", format!("Meeting {index}")),
            ("hs_meeting_body", format!("With {first}")),
            ("hs_meeting_start_time", time.clone()),
            ("hs_meeting_end_time", end),
            ("hs_meeting_outcome", "COMPLETED".to_owned()),
            ("hs_timestamp", time),
        ],
        _ => vec![
            ("hs_email_subject", format!("Subject {index}")),
            ("hs_email_text", format!("Dear {first}")),
            ("hs_email_html", format!("<p>Dear {first}</p>")),
            (
                "hs_email_direction",
                if index.is_multiple_of(2) {
                    "EMAIL"
                } else {
                    "INCOMING_EMAIL"
                }
                .to_owned(),
            ),
            ("hs_email_status", "SENT".to_owned()),
            ("hs_timestamp", time),
        ],
    }
}

/// Whether a deal pipeline has this stage.
pub(crate) fn pipeline_has(pipeline: &str, stage: &str) -> bool {
    PIPELINES
        .iter()
        .any(|(id, _, stages)| *id == pipeline && stages.iter().any(|(id, _)| *id == stage))
}
