//! What HubSpot sends to an app: batches of events, signed as version 3 says, over the method, the address, the body
//! and the time, with the app's client secret.

use jackfield_sdk::models::crm::{Company, Contact, Deal};
use jackfield_sdk::webhooks::{Change, Incoming, Notice, Receipt, Rejection, Signature, Webhooks};

use crate::HubSpot;
use crate::wire;

/// Seconds that a request may be old.
const TOLERANCE: u64 = 300;

/// What HubSpot signs in plain where it stands escaped in an address.
const ESCAPES: [(&str, &str); 12] = [
    ("%3A", ":"),
    ("%2F", "/"),
    ("%3F", "?"),
    ("%40", "@"),
    ("%21", "!"),
    ("%24", "$"),
    ("%27", "'"),
    ("%28", "("),
    ("%29", ")"),
    ("%2A", "*"),
    ("%2C", ","),
    ("%3B", ";"),
];

impl Webhooks for HubSpot {
    fn receive(request: &Incoming) -> Result<Receipt, Rejection> {
        let time = request.header("x-hubspot-request-timestamp");
        let url = ESCAPES
            .iter()
            .fold(request.url.clone(), |url, (escape, plain)| {
                url.replace(escape, plain)
                    .replace(&escape.to_lowercase(), plain)
            });
        let mut signed = format!("{}{url}", request.method).into_bytes();
        signed.extend_from_slice(&request.body);
        signed.extend_from_slice(time.unwrap_or_default().as_bytes());
        Signature::base64(request.header("x-hubspot-signature-v3"))?
            .fresh(request, time, TOLERANCE)?
            .verify("client_secret", &signed)?;
        let events: Vec<wire::Event> = request.json()?;
        Ok(Receipt::of(events.iter().flat_map(notices)))
    }
}

/// The records that an event speaks of; none for objects that are read by syncs only.
fn notices(event: &wire::Event) -> Vec<Notice> {
    let (subject, what) = event
        .subscription_type
        .split_once('.')
        .unwrap_or((&event.subscription_type, ""));
    let object = match (subject, event.object_type_id.as_deref()) {
        ("contact", _) | ("object", Some("0-1")) => Contact::KIND,
        ("company", _) | ("object", Some("0-2")) => Company::KIND,
        ("deal", _) | ("object", Some("0-3")) => Deal::KIND,
        _ => return Vec::new(),
    };
    let change = match what {
        "creation" | "restore" => Change::Created,
        "propertyChange" | "associationChange" | "merge" => Change::Updated,
        "deletion" | "privacyDeletion" => Change::Deleted,
        _ => Change::Unknown,
    };
    let named = [
        event.object_id,
        event.from_object_id,
        event.primary_object_id,
    ];
    let mut ids: Vec<u64> = named
        .into_iter()
        .flatten()
        .chain(event.merged_object_ids.iter().copied())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let notice = |id| {
        Notice::new(object)
            .record(id)
            .at_account(event.portal_id)
            .change(change)
    };
    ids.into_iter().map(notice).collect()
}
