//! What providers send by themselves, and where they are told to send it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Bytes,
    extract::{OriginalUri, Path, RawPathParams, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use uuid::Uuid;

use super::{connections, json};
use crate::{
    http::{
        Services,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::{Answer, Body, Operation},
    },
    model::{Scope, Slug, Timestamp, WebhookRoute, WebhookSecret, Webhooks},
    runtime::{Incoming, Rejection, Reply},
    telemetry::METRICS,
    unify::{Received, Refused},
};

pub(super) fn operations() -> Vec<Operation> {
    const FAILURES: &[Code] = &[
        Code::ConnectorNotFound,
        Code::ConnectorUnavailable,
        Code::ConnectorFailed,
        Code::ConnectorTimeout,
        Code::RouteNotFound,
        Code::ConnectionNotFound,
        Code::WebhookForged,
        Code::WebhookMalformed,
        Code::WebhookNotConfigured,
        Code::RateLimited,
        Code::BodyTooLarge,
        Code::StoreUnavailable,
    ];
    let inbound = |operation: Operation| {
        operation
            .tag("Provider webhooks")
            .open()
            .describe(
                "Whatever the provider sends, with any method. The connector verifies the signature and reads the body in its sandbox; the answer is sent when what it tells is stored, and the records are read anew afterwards.",
            )
            .path::<String>("connector", "Its name in URLs, such as `hubspot`.")
            .body(Body::bytes("*/*").optional())
            .answer(Answer::other(200, "*/*", "What the provider insists on, for example the answer to a challenge."))
            .gives_nothing(204, "Taken, also where nobody connected the account.")
            .fails(FAILURES)
    };
    vec![
        inbound(Operation::any("/inbound/{connector}", receive))
            .id("receiveProviderWebhook")
            .summary("A provider tells that something changed."),
        inbound(Operation::any("/inbound/{connector}/{*rest}", receive))
            .id("receiveProviderWebhookAt")
            .summary("A provider tells that something changed, with a path of its own.")
            .path::<String>("rest", "For the connector; the id of the connection where its manifest says so."),
        Operation::get("/connections/{id}/webhook", show)
            .id("retrieveConnectionWebhook")
            .tag("Connections")
            .summary("Where the provider is to send webhooks for a connection, and the secret to sign with.")
            .path::<Uuid>("id", "The connection.")
            .gives::<WebhookBody>(200, "What to register at the provider.")
            .fails(&[Code::ConnectionNotFound, Code::Unsupported, Code::ConnectorUnavailable, Code::ConnectorNotFound]),
        Operation::post("/connections/{id}/webhook/rotate", rotate)
            .id("rotateConnectionWebhook")
            .tag("Connections")
            .summary("Another secret for a connection's webhooks; the one before is good no more.")
            .path::<Uuid>("id", "The connection.")
            .gives::<WebhookBody>(200, "What to register at the provider.")
            .fails(&[Code::ConnectionNotFound, Code::Unsupported, Code::ConnectorUnavailable, Code::ConnectorNotFound]),
    ]
}

/// What to register at the provider.
#[derive(Serialize, JsonSchema)]
struct WebhookBody {
    /// Where the provider sends webhooks.
    url: String,
    /// Whose secret it signs with: that of the OAuth app (`client`), one that the operator
    /// configures (`operator`), or this connection's own (`connection`).
    #[schemars(extend("enum" = ["client", "operator", "connection"]))]
    secret_kind: &'static str,
    /// The secret, where it is this connection's own.
    secret: Option<String>,
}

/// The most bytes of a webhook's body.
const MOST_BYTES: usize = 1024 * 1024;

/// How many requests each connector had lately.
#[derive(Debug, Default)]
pub struct InboundRate(Mutex<HashMap<Slug, (Timestamp, f64)>>);

impl InboundRate {
    /// Requests of one connector that are taken in a second, over time.
    const PER_SECOND: f64 = 100.0;
    /// Requests that may come at once.
    const BURST: f64 = 500.0;

    fn takes(&self, connector: &Slug, now: Timestamp) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left) = buckets
            .entry(connector.clone())
            .or_insert((now, Self::BURST));
        let passed =
            u32::try_from(now.as_millis().saturating_sub(last.as_millis())).map_or(0.0, f64::from);
        *left = (passed / 1000.0)
            .mul_add(Self::PER_SECOND, *left)
            .min(Self::BURST);
        *last = now;
        let free = *left >= 1.0;
        if free {
            *left -= 1.0;
        }
        free
    }
}

async fn receive(
    State(services): State<Arc<Services>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    parameters: RawPathParams,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let of_path = |wanted: &str| {
        let mut all = parameters.iter();
        all.find(|(name, _)| *name == wanted)
            .map(|(_, value)| value.to_owned())
    };
    let name = of_path("connector").unwrap_or_default();
    let slug: Slug = name.parse().map_err(|_| unknown(&name))?;
    if body.len() > MOST_BYTES {
        return Err(Error::new(
            Code::BodyTooLarge,
            "A webhook's body may have 1 MiB.",
        ));
    }
    let now = services.clock.now();
    if services.runtime.active(&slug).is_some() && !services.inbound.takes(&slug, now) {
        METRICS.inbound.add([slug.as_str(), "throttled"], 1);
        return Err(refusal(&slug, &Refused::TooMany));
    }
    let base = services.public_url.as_str().trim_end_matches('/');
    let place = uri.path_and_query().map_or("", |place| place.as_str());
    let query = uri.query().unwrap_or_default();
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let incoming = Incoming {
        method: method.to_string(),
        path: of_path("rest").unwrap_or_default(),
        url: format!("{base}{place}"),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: headers.iter().filter_map(text).collect(),
        body: body.to_vec(),
        received_at: u64::try_from(now.as_millis()).unwrap_or_default(),
    };
    let takes_more = || services.inbound.takes(&slug, services.clock.now());
    match services.unify.receive(&slug, incoming, takes_more).await? {
        Ok(Received {
            answer: Some(reply),
            ..
        }) => Ok(reply_of(reply)),
        Ok(Received { answer: None, .. }) | Err(Refused::Rejected(Rejection::Unsupported(_))) => {
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Err(refused) => Err(refusal(&slug, &refused)),
    }
}

fn refusal(slug: &Slug, refused: &Refused) -> Error {
    match refused {
        Refused::NoWebhooks => Error::new(
            Code::RouteNotFound,
            format!("The connector {slug} reads no webhooks."),
        ),
        Refused::NoConnection => Error::new(
            Code::ConnectionNotFound,
            format!("The path of a webhook of {slug} ends with the id of a connection."),
        ),
        Refused::NoSecret(key) => Error::new(
            Code::WebhookNotConfigured,
            format!("The operator has not set {key}."),
        ),
        Refused::TooMany => {
            let detail = format!("{slug} sends too many webhooks; send it again in a second.");
            Error::new(Code::RateLimited, detail).with_retry_after(1)
        }
        Refused::Rejected(Rejection::Forged(_)) => Error::new(
            Code::WebhookForged,
            "The request is not proved to be the provider's.",
        ),
        Refused::Rejected(Rejection::Malformed(_) | Rejection::Unsupported(_)) => Error::new(
            Code::WebhookMalformed,
            "The request makes no sense to the connector.",
        ),
    }
}

/// Only what cannot be taken for a page of this server.
fn reply_of(reply: Reply) -> Response {
    const PLAIN: [&str; 4] = [
        "text/plain",
        "application/json",
        "application/xml",
        "text/xml",
    ];
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    for (name, value) in reply.headers {
        let name = name.to_ascii_lowercase();
        let plain = name == "content-type" && PLAIN.iter().any(|kind| value.starts_with(kind));
        if !plain && !name.starts_with("x-") {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(&value),
        ) {
            headers.insert(name, value);
        }
    }
    (status, headers, reply.body).into_response()
}

async fn show(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let scope = connections::scope(&services, caller.project.id, &id).await?;
    let webhooks = webhooks_of(&services, &scope)?;
    let secret = match webhooks.secret {
        WebhookSecret::Connection => Some(services.vault.connection_webhook_secret(&scope).await?),
        WebhookSecret::Client | WebhookSecret::Operator => None,
    };
    json(&WebhookBody {
        url: address(&services, &scope, webhooks),
        secret_kind: webhooks.secret.as_str(),
        secret: secret.map(|secret| secret.expose_secret().to_owned()),
    })
}

async fn rotate(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let scope = connections::scope(&services, actor.project.id, &id).await?;
    let webhooks = webhooks_of(&services, &scope)?;
    if webhooks.secret != WebhookSecret::Connection {
        let connector = &scope.connection().connector;
        let detail = format!(
            "{connector} signs with the {} secret, which connections share; the operator changes it.",
            webhooks.secret.as_str()
        );
        return Err(Error::new(Code::Unsupported, detail));
    }
    let secret = services.vault.rotate_webhook_secret(&scope).await?;
    let (action, subject) = ("connection.webhook_rotate", scope.connection().id);
    let details = serde_json::json!({ "connector": scope.connection().connector });
    actor.audit(&services, action, subject, details).await?;
    json(&WebhookBody {
        url: address(&services, &scope, webhooks),
        secret_kind: webhooks.secret.as_str(),
        secret: Some(secret.expose_secret().to_owned()),
    })
}

fn webhooks_of(services: &Services, scope: &Scope) -> Result<Webhooks, Error> {
    let connector = &scope.connection().connector;
    let version = services.runtime.active(connector).ok_or_else(|| {
        let detail = format!("The connector {connector} does not serve now.");
        Error::new(Code::ConnectorUnavailable, detail)
    })?;
    version.manifest().webhooks.ok_or_else(|| {
        let detail = format!("{connector} reads no webhooks; its records are read by syncs.");
        Error::new(Code::Unsupported, detail)
    })
}

fn address(services: &Services, scope: &Scope, webhooks: Webhooks) -> String {
    let base = services.public_url.as_str().trim_end_matches('/');
    let connection = scope.connection();
    let connector = &connection.connector;
    match webhooks.route {
        WebhookRoute::Account => format!("{base}/inbound/{connector}"),
        WebhookRoute::Connection => format!("{base}/inbound/{connector}/{}", connection.id),
    }
}

fn unknown(name: &str) -> Error {
    let name: String = name.chars().take(80).collect();
    Error::new(
        Code::ConnectorNotFound,
        format!("There is no connector {name:?}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_a_rate() {
        let rate = InboundRate::default();
        let slug: Slug = "acme".parse().unwrap();
        let other: Slug = "other".parse().unwrap();
        let at = Timestamp::from_millis;
        let taken = (0..1000).filter(|_| rate.takes(&slug, at(0))).count();
        assert_eq!(taken, 500);
        assert!(rate.takes(&other, at(0)));
        let taken = (0..1000).filter(|_| rate.takes(&slug, at(1000))).count();
        assert_eq!(taken, 100);
    }

    #[test]
    fn replies_are_no_pages() {
        let reply = |kind: &str| {
            let headers = vec![
                ("Content-Type".to_owned(), kind.to_owned()),
                ("Set-Cookie".to_owned(), "a=b".to_owned()),
                ("X-Challenge".to_owned(), "1".to_owned()),
            ];
            reply_of(Reply {
                status: 200,
                headers,
                body: b"x".to_vec(),
            })
        };
        let answer = reply("text/html");
        assert_eq!(answer.headers()["content-type"], "text/plain");
        assert_eq!(answer.headers()["x-challenge"], "1");
        assert!(answer.headers().get("set-cookie").is_none());
        assert_eq!(
            reply("application/json").headers()["content-type"],
            "application/json"
        );
    }
}
