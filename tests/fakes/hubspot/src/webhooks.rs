//! What HubSpot sends to an app, signed as version 3 of its signatures says.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};

use crate::FakeHubSpot;
use crate::state::{now, whole_milliseconds};

/// A request to an app.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What it adds to the usual headers.
    pub headers: [(&'static str, String); 2],
    /// A batch of events, JSON.
    pub body: String,
}

impl FakeHubSpot {
    /// A batch of events about a portal, each of a type (`contact.creation` …) and about a record, signed for this
    /// address that long ago.
    pub fn webhook(
        &self,
        url: &str,
        portal: u64,
        age: Duration,
        events: &[(&str, u64)],
    ) -> Webhook {
        let sent_at = now() - whole_milliseconds(age);
        let event = |(number, (kind, id)): (usize, &(&str, u64))| {
            json!({
                "eventId": 100 + number,
                "subscriptionId": 7,
                "portalId": portal,
                "appId": 1_160_452,
                "occurredAt": sent_at,
                "subscriptionType": kind,
                "attemptNumber": 0,
                "objectId": id,
                "changeSource": "CRM_UI",
            })
        };
        let events: Vec<Value> = events.iter().enumerate().map(event).collect();
        let body = Value::from(events).to_string();
        let secret = self.state().options.client_secret.clone();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let sum = hmac::sign(&key, format!("POST{url}{body}{sent_at}").as_bytes());
        Webhook {
            headers: [
                ("x-hubspot-signature-v3", STANDARD.encode(sum)),
                ("x-hubspot-request-timestamp", sent_at.to_string()),
            ],
            body,
        }
    }
}
