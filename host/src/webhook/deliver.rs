//! One attempt: the body, its signatures, the request, and what the answer means.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::{Error, Webhooks, plan, sign};
use crate::{
    egress::{HeaderMap, HeaderName, HeaderValue, Limits, Masks, Method, Request, Response},
    model::{Attempt, Cause, EventPattern, Timestamp},
    store::{ClaimedDelivery, EventRow, FinishedDelivery, Verdict},
};

/// The most of an answer that is read.
const MAX_ANSWER: usize = 16 * 1024;
/// The most of an answer that is kept, bytes.
const MAX_KEPT: usize = 1024;
/// The largest event that is sent.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// A request, and what must not be kept of the answer to it.
struct Prepared {
    request: Request,
    secrets: Vec<SecretString>,
}

impl Webhooks {
    /// Makes an attempt. Nothing is written yet.
    pub async fn deliver(&self, claimed: ClaimedDelivery) -> FinishedDelivery {
        let at = self.0.clock.now();
        let (outcome, secrets) = match self.prepare(&claimed, at).await {
            Ok(prepared) => {
                let limits = Limits {
                    total: self.0.options.deadline,
                    max_request_bytes: MAX_EVENT,
                    max_response_bytes: MAX_ANSWER,
                };
                let outcome = self.0.egress.send_briefly(prepared.request, &limits).await;
                let outcome = outcome.map_err(|error| error.to_string());
                (outcome, prepared.secrets)
            }
            Err(error) => (Err(error.to_string()), Vec::new()),
        };
        let now = self.0.clock.now();
        let millis = now.as_millis().saturating_sub(at.as_millis());
        let (verdict, status, error, response) = self.judge(&claimed, outcome, &secrets, now);
        FinishedDelivery {
            id: claimed.id,
            fence: claimed.fence,
            verdict,
            attempt: Attempt {
                number: claimed.attempt,
                cause: claimed.cause,
                at,
                status,
                error,
                duration_ms: u64::try_from(millis).unwrap_or(0),
                response,
            },
        }
    }

    fn judge(
        &self,
        claimed: &ClaimedDelivery,
        outcome: Result<Response, String>,
        secrets: &[SecretString],
        now: Timestamp,
    ) -> (Verdict, Option<u16>, Option<String>, String) {
        let again = |asked: Option<Duration>| match claimed.cause {
            // A person is waiting for it, and for nothing later.
            Cause::Test => Verdict::Dead,
            Cause::Schedule | Cause::Manual => {
                let schedule = &self.0.options.schedule;
                schedule.next(claimed.tries, asked, now, &*self.0.entropy)
            }
        };
        let response = match outcome {
            Ok(response) => response,
            Err(error) => return (again(None), None, Some(error), String::new()),
        };
        let (verdict, error) = match response.status {
            200..=299 => (Verdict::Delivered, None),
            410 => (
                Verdict::Gone,
                Some("the receiver answered 410 Gone: it wants nothing any more".to_owned()),
            ),
            status => {
                let asked = plan::retry_after(&response.headers, now);
                let error = match status {
                    300..=399 => {
                        format!("the receiver answered {status}; redirects are not followed")
                    }
                    _ => format!("the receiver answered {status}"),
                };
                (again(asked), Some(error))
            }
        };
        let kept = kept(&response.body, secrets);
        (verdict, Some(response.status), error, kept)
    }

    async fn prepare(&self, claimed: &ClaimedDelivery, at: Timestamp) -> Result<Prepared, Error> {
        let webhook = &claimed.webhook;
        let url = Url::parse(&webhook.url)
            .map_err(|_| Error::Url("it is stored in a form that is no URL".to_owned()))?;
        let mut secrets = self.secrets(webhook, at)?;
        let (data, token) = self.data(&claimed.event).await?;
        let data = sign::canonical(&data);
        let body = body(&claimed.event, &webhook.scopes, &data);
        let id = claimed.event.event.id.to_string();
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            // None of these texts has a character that a header may not have.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("content-type", "application/json");
        set("webhook-id", &id);
        set("webhook-timestamp", &sign::seconds(at).to_string());
        set(
            "webhook-signature",
            &sign::standard(&secrets, &id, at, &body),
        );
        if let Some(current) = secrets.first() {
            set("panora-signature", &sign::contract(current, &data));
        }
        secrets.extend(token);
        Ok(Prepared {
            request: Request {
                method: Method::POST,
                url,
                headers,
                body: Some(body.into()),
            },
            secrets,
        })
    }

    /// What an event tells: an object. An event about a connection has the connection, and a new
    /// one its token, which is stored sealed only and so is put in here.
    async fn data(&self, row: &EventRow) -> Result<(Value, Option<SecretString>), Error> {
        let stored = serde_json::from_str(&row.event.data).unwrap_or(Value::Null);
        let mut data = match stored {
            Value::Object(object) => object,
            Value::Null => Map::new(),
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        let kind = row.event.kind.0.as_str();
        if !kind.starts_with("connection.") {
            return Ok((Value::Object(data), None));
        }
        let Some((connection, sealed)) = self.0.store.connection_of_event(&row.event).await? else {
            return Ok((Value::Object(data), None));
        };
        let known = json!({
            "id_connection": connection.id,
            "status": connection.status.as_str(),
            "provider_slug": connection.connector,
            "vertical": connection.vertical,
            "account_url": "",
            "created_at": connection.created_at.to_string(),
            "id_project": connection.project,
            "id_linked_user": connection.linked_user,
            "scheme": connection.scheme,
            "environment": connection.environment.as_str(),
            "account": connection.account,
            "account_name": connection.account_name,
            "settings": connection.settings,
        });
        if let Value::Object(known) = known {
            data.extend(known);
        }
        let mut told = None;
        if kind == "connection.created" && !sealed.is_empty() {
            let token = self.0.vault.connection_token(&connection, &sealed)?;
            data.insert("connection_token".to_owned(), json!(token.expose_secret()));
            told = Some(token);
        }
        Ok((Value::Object(data), told))
    }
}

/// The body: small things first, `data` as it was signed.
fn body(row: &EventRow, scopes: &[EventPattern], data: &str) -> String {
    let event = &row.event;
    let kind = event.kind.0.as_str();
    let announced = EventPattern::announced(scopes, kind).unwrap_or(kind);
    let text = |value: &str| Value::from(value).to_string();
    let mut body = format!(
        r#"{{"id_event":"{}","type":{},"timestamp":"{}""#,
        event.id,
        text(announced),
        event.created_at
    );
    let mut add = |name: &str, value: &str| {
        body.extend([r#",""#, name, r#"":"#, &text(value)]);
    };
    if announced != kind {
        add("original_type", kind);
    }
    if let Some(id) = event.connection {
        add("id_connection", &id.to_string());
    }
    if let Some(id) = row.linked_user {
        add("id_linked_user", &id.to_string());
    }
    if let Some(connector) = &row.connector {
        add("connector", connector.as_str());
    }
    body.push_str(r#","data":"#);
    body.push_str(data);
    body.push('}');
    body
}

/// The beginning of an answer, without what we told the receiver in confidence.
fn kept(body: &[u8], secrets: &[SecretString]) -> String {
    let masked = Masks::of(secrets).bytes(body).into_owned();
    let mut text = String::from_utf8_lossy(&masked).into_owned();
    let mut end = text.len().min(MAX_KEPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_an_answer_is_short_and_holds_no_secret() {
        let secret = SecretString::from("whsec_abc");
        let answer = format!("got whsec_abc {}", "ä".repeat(2000));
        let kept = kept(answer.as_bytes(), &[secret]);
        assert!(kept.starts_with("got [redacted] ä"));
        assert!(kept.len() <= MAX_KEPT && !kept.contains("whsec_abc"));
    }
}
