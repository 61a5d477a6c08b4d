//! The native test kit: mappings and requests are checked with `cargo test`, without a sandbox or a network.
//!
//! # Fixtures
//!
//! A fixture is a JSON file in the connector's `fixtures/` folder. Every part but the first two is optional.
//!
//! ```json
//! {
//!   "description": "Two pages of people; the second one is the last",
//!   "source": "constructed",
//!   "exchanges": [
//!     {
//!       "request": { "method": "GET", "url": "{api}/v1/people?page=1" },
//!       "response": { "status": 200, "headers": { "x-total": "3" }, "body": { "people": [] } }
//!     }
//!   ],
//!   "documents": [
//!     {
//!       "object": "crm.contact",
//!       "fields": { "shoe_size": "cf_12" },
//!       "remote": { "id": 7, "first": "Ada", "cf_12": 42 },
//!       "unified": { "first_name": "Ada", "field_mappings": { "shoe_size": 42 } }
//!     }
//!   ],
//!   "inputs": [
//!     { "object": "crm.contact", "unified": { "first_name": "Ada" }, "remote": { "first": "Ada" } }
//!   ]
//! }
//! ```
//!
//! - `source` is `recorded` (a provider's real answer, scrubbed) or `constructed` (written after its documentation).
//! - `exchanges` are played by [`Playback`]. A request may also have `headers`, which must be among those sent, and
//!   a `body`: JSON is compared as JSON, text as text. A response's `body` is JSON or text; `headers` and `body`
//!   may be left out, `status` is 200 by default.
//! - `documents` (for `unify`) and `inputs` (for `desunify`) are checked by [`check_mappings`]. `fields` are custom
//!   fields, slug to the provider's name. Instead of the result there may be `"error": "message"`.

mod fixture;
mod mapping;
mod playback;

pub use mapping::{check_mappings, desunify, unify};
pub use playback::Playback;

use crate::webhooks::Incoming;
use crate::{Connection, Environment, FetchRequest, PushAction, PushRequest, Setting};

/// A connection in the production environment with these settings.
pub fn connection(settings: &[(&str, &str)]) -> Connection {
    Connection {
        id: "00000000-0000-4000-8000-000000000001".to_owned(),
        environment: Environment::Production,
        account: None,
        settings: settings
            .iter()
            .map(|(key, value)| Setting {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
    }
}

/// A webhook that arrived at a time (RFC 3339), with these headers and this body. Change it with struct update
/// syntax. Its URL is `https://jackfield.example/inbound/example/`.
pub fn incoming(received_at: &str, headers: &[(&str, &str)], body: &[u8]) -> Incoming {
    let millis = crate::time::parse(received_at).and_then(|millis| u64::try_from(millis).ok());
    Incoming {
        method: "POST".to_owned(),
        path: String::new(),
        url: "https://jackfield.example/inbound/example/".to_owned(),
        query: Vec::new(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()))
            .collect(),
        body: body.to_vec(),
        received_at: millis.expect("the time is RFC 3339 after 1970"),
    }
}

/// A request for the first page of an object, at most 100 records. Change it with struct update syntax.
pub fn fetch(object: &str) -> FetchRequest {
    FetchRequest {
        object: object.to_owned(),
        cursor: None,
        since: None,
        remote_id: None,
        limit: 100,
    }
}

/// A request to create a record.
pub fn create(object: &str, data: &serde_json::Value) -> PushRequest {
    push(object, PushAction::Create, None, data)
}

/// A request to update a record.
pub fn update(object: &str, remote_id: &str, data: &serde_json::Value) -> PushRequest {
    push(object, PushAction::Update, Some(remote_id), data)
}

/// A request to delete a record.
pub fn delete(object: &str, remote_id: &str) -> PushRequest {
    push(
        object,
        PushAction::Delete,
        Some(remote_id),
        &serde_json::json!({}),
    )
}

fn push(
    object: &str,
    action: PushAction,
    remote_id: Option<&str>,
    data: &serde_json::Value,
) -> PushRequest {
    PushRequest {
        object: object.to_owned(),
        action,
        remote_id: remote_id.map(str::to_owned),
        version: None,
        data: data.to_string(),
        idempotency_key: "key-1".to_owned(),
    }
}
