//! Webhooks: whoever subscribes is told of every change, signed.
//!
//! `POST` with `{"account_id", "changes": [{"collection", "id", "change"}]}`, the header
//! `X-Demo-Time` (seconds since 1970) and `X-Demo-Signature`: the HMAC-SHA-256 of time, a dot and
//! the body under the subscription's secret, in hexadecimal. Sent again until it is taken.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::{ACCOUNT, Demo, lock};
use crate::egress::{Egress, HeaderMap, HeaderValue, Limits, Method, Policy, Request, signing};

/// How often one batch is sent until it is given up.
const ATTEMPTS: u32 = 20;
/// The wait between two of them.
const WAIT: Duration = Duration::from_millis(500);

/// Who wants to be told.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    url: String,
    secret: SecretString,
}

impl Demo {
    /// Tells `url` of every change from now on, signed with `secret`.
    pub fn subscribe(&self, url: &str, secret: &str) {
        lock(&self.0.subscriptions).push(Subscription {
            url: url.to_owned(),
            secret: secret.into(),
        });
    }

    /// The headers that a webhook with this body has now: what a test needs to send its own.
    #[must_use]
    pub fn signed(&self, secret: &str, body: &str) -> [(&'static str, String); 2] {
        let seconds = self.0.options.clock.now().as_millis() / 1000;
        let sum = signing::hmac_sha256(&secret.into(), format!("{seconds}.{body}").as_bytes());
        let hex = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        [
            ("x-demo-time", seconds.to_string()),
            ("x-demo-signature", hex),
        ]
    }

    /// Sends what subscribers were not told yet.
    pub(super) fn tell(&self) {
        let untold = std::mem::take(&mut self.book().untold);
        let subscriptions = lock(&self.0.subscriptions).clone();
        if untold.is_empty() || subscriptions.is_empty() {
            return;
        }
        let changes: Vec<_> = untold
            .into_iter()
            .map(|(collection, id, change)| {
                json!({"collection": collection.as_str(), "id": id, "change": change})
            })
            .collect();
        let body = json!({"account_id": ACCOUNT, "changes": changes}).to_string();
        for subscription in subscriptions {
            tokio::spawn(self.clone().deliver(subscription, body.clone()));
        }
    }

    async fn deliver(self, subscription: Subscription, body: String) {
        // Nothing but the servers that it was subscribed from runs beside this provider.
        let allow_private = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network"));
        let policy = Policy {
            allow_private: allow_private.to_vec(),
        };
        let Ok(egress) = Egress::new(policy) else {
            return;
        };
        let Ok(url) = url::Url::parse(&subscription.url) else {
            return;
        };
        let limits = Limits {
            total: Duration::from_secs(10),
            max_request_bytes: 1024 * 1024,
            max_response_bytes: 64 * 1024,
        };
        for _ in 0..ATTEMPTS {
            let secret = secrecy::ExposeSecret::expose_secret(&subscription.secret);
            let mut headers = HeaderMap::new();
            for (name, value) in self.signed(secret, &body) {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
            let request = Request {
                method: Method::POST,
                url: url.clone(),
                headers,
                body: Some(body.clone().into()),
            };
            if let Ok(answer) = egress.send(request, &limits).await
                && (200..300).contains(&answer.status)
            {
                return;
            }
            tokio::time::sleep(WAIT).await;
        }
    }
}
