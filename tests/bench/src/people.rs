//! Documents of providers, made of the demo provider's people: alike, yet all different.

use jackfield::demo::{Collection, Demo, Options};
use serde_json::{Value, json};

use crate::Result;

/// The demo provider's number of its first person.
const FIRST: u64 = 10_001;

/// People as the demo provider shows them.
pub(crate) fn demo(count: usize) -> Result<Vec<Value>> {
    let options = Options {
        people: count,
        ..Options::default()
    };
    let demo = Demo::new(options);
    let people = (FIRST..).take(count);
    people
        .map(|id| {
            demo.record(Collection::People, id)
                .ok_or_else(|| format!("no person {id}").into())
        })
        .collect()
}

/// The same people as HubSpot would show them.
pub(crate) fn hubspot(count: usize) -> Result<Vec<Value>> {
    Ok(demo(count)?.iter().map(contact).collect())
}

fn contact(person: &Value) -> Value {
    let text = |pointer: &str| match person.pointer(pointer) {
        None | Some(Value::Null) => Value::Null,
        Some(Value::String(text)) => Value::String(text.clone()),
        Some(other) => Value::String(other.to_string()),
    };
    json!({
        "id": text("/id"),
        "properties": {
            "address": text("/address/street"),
            "city": text("/address/town"),
            "country": text("/address/country"),
            "createdate": text("/created_on"),
            "email": text("/mail"),
            "firstname": text("/given_name"),
            "hs_additional_emails": null,
            "hs_object_id": text("/id"),
            "hubspot_owner_id": text("/owner"),
            "lastmodifieddate": text("/updated_on"),
            "lastname": text("/family_name"),
            "mobilephone": text("/mobile"),
            "phone": text("/phone"),
            "state": text("/address/region"),
            "zip": text("/address/postcode"),
        },
        "createdAt": text("/created_on"),
        "updatedAt": text("/updated_on"),
        "archived": false,
    })
}
