//! What became of deliveries to an endpoint, and trying them again.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    json,
    webhooks::{by_id, invalid},
};
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{
        Attempt, Cause, DEFAULT_LIMIT, Delivery, DeliveryCursor, DeliveryId, DeliveryState,
        MAX_LIMIT, Timestamp, Webhook,
    },
    store::DeliveryFilter,
};

const STATES: [&str; 4] = ["pending", "delivered", "dead", "cancelled"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/webhooks/{id}/test", test)
            .id("testWebhook")
            .tag("Webhooks")
            .summary("Send an event of the type `webhook.test` now.")
            .describe("Whatever the endpoint wants, and whether it is on or off. It is tried once.")
            .path::<Uuid>("id", "The endpoint's id.")
            .gives::<TestBody>(200, "What came of it.")
            .fails(&[Code::WebhookNotFound]),
        Operation::get("/webhooks/{id}/deliveries", list)
            .id("listWebhookDeliveries")
            .tag("Webhooks")
            .summary("List the deliveries to an endpoint, newest first.")
            .describe("Dead letters are those with `state=dead`.")
            .path::<Uuid>("id", "The endpoint's id.")
            .parameter(
                Parameter::query::<String>("state", "Only those that stand so.")
                    .rule("enum", STATES.to_vec()),
            )
            .query::<String>("type", "Only events of this type.")
            .query::<String>(
                "cursor",
                "From where: `next_cursor` or `prev_cursor` of another page.",
            )
            .parameter(
                Parameter::query::<u32>("limit", "How many; more count as 200.")
                    .rule("minimum", 1)
                    .rule("default", DEFAULT_LIMIT),
            )
            .gives::<PageBody>(200, "A page.")
            .fails(&[Code::WebhookNotFound]),
        Operation::get("/webhooks/{id}/deliveries/{delivery_id}", get)
            .id("getWebhookDelivery")
            .tag("Webhooks")
            .summary("Show a delivery with its attempts.")
            .path::<Uuid>("id", "The endpoint's id.")
            .path::<Uuid>("delivery_id", "The delivery's id.")
            .gives::<DeliveryBody>(200, "The delivery.")
            .fails(&[Code::WebhookNotFound, Code::DeliveryNotFound]),
        Operation::post(
            "/webhooks/{id}/deliveries/{delivery_id}/redeliver",
            redeliver,
        )
        .id("redeliverWebhookDelivery")
        .tag("Webhooks")
        .summary("Try a delivery again now, and by the whole schedule if need be.")
        .describe("The receiver gets it with the same `webhook-id` as before.")
        .path::<Uuid>("id", "The endpoint's id.")
        .path::<Uuid>("delivery_id", "The delivery's id.")
        .gives::<DeliveryBody>(202, "The delivery, which is due.")
        .fails(&[Code::WebhookNotFound, Code::DeliveryNotFound]),
        Operation::post("/webhooks/{id}/redeliver", redeliver_range)
            .id("redeliverWebhookRange")
            .tag("Webhooks")
            .summary("Try all deliveries of a time again that stand in certain ways.")
            .path::<Uuid>("id", "The endpoint's id.")
            .takes::<Range>()
            .gives::<Redelivered>(202, "How many are due.")
            .fails(&[Code::WebhookNotFound]),
    ]
}

/// A delivery: one event on its way to one endpoint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
struct DeliveryBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(with = "Uuid")]
    id_webhook_endpoint: String,
    /// What the receiver sees as `webhook-id`; none where the event is past its keeping time.
    #[schemars(with = "Option<Uuid>")]
    id_event: Option<String>,
    r#type: Option<String>,
    #[schemars(extend("enum" = STATES))]
    state: &'static str,
    /// Attempts that were begun.
    attempts_made: u32,
    #[schemars(extend("format" = "date-time"))]
    next_attempt_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
    /// The attempts that ended, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptBody>>,
}

/// One request to an endpoint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookAttempt")]
struct AttemptBody {
    /// Counts from 1. A number that is missing was cut short by the end of the server.
    number: u32,
    #[schemars(extend("enum" = ["schedule", "manual", "test"]))]
    trigger: &'static str,
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// What the receiver answered, where it did.
    status: Option<u16>,
    /// Why it counts as a failure, where it does.
    error: Option<String>,
    duration_ms: u64,
    /// The beginning of the answer's body, at most 1 KiB.
    response: String,
}

/// What came of a test.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookTest")]
struct TestBody {
    #[schemars(with = "Uuid")]
    id_delivery: String,
    delivered: bool,
    attempt: AttemptBody,
}

/// A page of deliveries.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveryPage")]
struct PageBody {
    prev_cursor: Option<String>,
    next_cursor: Option<String>,
    data: Vec<DeliveryBody>,
}

/// Which deliveries are tried again.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RedeliverWebhookRange")]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    /// Deliveries that were made at this time or later.
    #[schemars(extend("format" = "date-time"))]
    since: String,
    /// And no later than this.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    until: Option<String>,
    /// How they stand; `dead` and `cancelled` where nothing is said.
    #[serde(default)]
    states: Option<Vec<Redeliverable>>,
}

/// How a delivery stands that can be tried again.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[schemars(rename = "RedeliverableState")]
#[serde(rename_all = "lowercase")]
pub(super) enum Redeliverable {
    Delivered,
    Dead,
    Cancelled,
}

/// How many deliveries are due.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookRedelivered")]
struct Redelivered {
    redelivered: u64,
}

pub(super) async fn test(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let webhook = by_id(&services, actor.project.id, &id).await?;
    let subject = webhook.id;
    let (delivery, attempt) = services.webhooks.test(webhook).await?;
    let details = serde_json::json!({ "delivery": delivery.to_string() });
    actor
        .audit(&services, "webhook.test", subject, details)
        .await?;
    json(&TestBody {
        id_delivery: delivery.to_string(),
        delivered: attempt.error.is_none(),
        attempt: attempt_body(attempt),
    })
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Error> {
    let webhook = by_id(&services, caller.project.id, &id).await?;
    let wrong = |name: &str, is: &str| {
        let detail = format!("The parameter `{name}` is not valid: {is}.");
        Error::new(Code::InvalidParameter, detail)
    };
    let state = query.given("state")?.map(|text| {
        DeliveryState::parse(text)
            .ok_or_else(|| wrong("state", &format!("it is none of {}", STATES.join(", "))))
    });
    let cursor = query.get("cursor").map(DeliveryCursor::decode).transpose();
    let cursor = cursor.map_err(|error| wrong("cursor", &error.to_string()))?;
    let kind = query.get("type").map(str::to_owned);
    if kind.as_ref().is_some_and(|kind| kind.contains('\0')) {
        return Err(wrong("type", "it holds U+0000"));
    }
    let filter = DeliveryFilter {
        cursor,
        limit: query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT),
        state: state.transpose()?,
        kind,
    };
    let page = services.store.deliveries(&webhook, &filter).await?;
    json(&PageBody {
        prev_cursor: page.previous.map(|cursor| cursor.encode()),
        next_cursor: page.next.map(|cursor| cursor.encode()),
        data: page
            .data
            .iter()
            .map(|delivery| delivery_body(&webhook, delivery, None))
            .collect(),
    })
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Response, Error> {
    let webhook = by_id(&services, caller.project.id, &id).await?;
    json(&whole(&services, &webhook, &delivery).await?)
}

pub(super) async fn redeliver(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Response, Error> {
    let webhook = by_id(&services, actor.project.id, &id).await?;
    let parsed: DeliveryId = delivery.parse().map_err(|_| unknown(&delivery))?;
    if !services.store.redeliver(&webhook, parsed).await? {
        return Err(unknown(&delivery));
    }
    let details = serde_json::json!({ "webhook": webhook.id });
    actor
        .audit(&services, "delivery.replay", parsed, details)
        .await?;
    let shown = json(&whole(&services, &webhook, &delivery).await?)?;
    Ok((StatusCode::ACCEPTED, shown).into_response())
}

pub(super) async fn redeliver_range(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<Range>,
) -> Result<Response, Error> {
    let webhook = by_id(&services, actor.project.id, &id).await?;
    let time = |path: &str, text: &str| {
        Timestamp::parse(text).ok_or_else(|| {
            let message = "must be a time with an offset such as 2026-01-31T08:00:00Z";
            invalid(path, message.to_owned())
        })
    };
    let since = time("/since", &body.since)?;
    let until = match body.until {
        Some(text) => time("/until", &text)?,
        None => Timestamp::from_millis(i64::MAX),
    };
    let states = body
        .states
        .unwrap_or_else(|| vec![Redeliverable::Dead, Redeliverable::Cancelled]);
    let states: Vec<_> = states
        .into_iter()
        .map(|state| match state {
            Redeliverable::Delivered => DeliveryState::Delivered,
            Redeliverable::Dead => DeliveryState::Dead,
            Redeliverable::Cancelled => DeliveryState::Cancelled,
        })
        .collect();
    let redelivered = services
        .store
        .redeliver_range(&webhook, since, until, &states)
        .await?;
    let details = serde_json::json!({ "since": since.to_string(), "deliveries": redelivered });
    actor
        .audit(&services, "webhook.replay", webhook.id, details)
        .await?;
    let shown = json(&Redelivered { redelivered })?;
    Ok((StatusCode::ACCEPTED, shown).into_response())
}

async fn whole(services: &Services, webhook: &Webhook, id: &str) -> Result<DeliveryBody, Error> {
    let found = match id.parse() {
        Ok(id) => services.store.delivery(webhook, id).await?,
        Err(_) => None,
    };
    let (delivery, attempts) = found.ok_or_else(|| unknown(id))?;
    Ok(delivery_body(webhook, &delivery, Some(attempts)))
}

fn delivery_body(
    webhook: &Webhook,
    delivery: &Delivery,
    attempts: Option<Vec<Attempt>>,
) -> DeliveryBody {
    let (id, kind) = delivery.event.clone().unzip();
    DeliveryBody {
        id: delivery.id.to_string(),
        id_webhook_endpoint: webhook.id.to_string(),
        id_event: id.map(|id| id.to_string()),
        r#type: kind.map(|kind| kind.0),
        state: delivery.state.as_str(),
        attempts_made: delivery.attempts,
        next_attempt_at: delivery.next_at.map(|time| time.to_string()),
        created_at: delivery.created_at.to_string(),
        updated_at: delivery.updated_at.to_string(),
        attempts: attempts.map(|attempts| attempts.into_iter().map(attempt_body).collect()),
    }
}

fn attempt_body(attempt: Attempt) -> AttemptBody {
    AttemptBody {
        number: attempt.number,
        trigger: Cause::as_str(attempt.cause),
        at: attempt.at.to_string(),
        status: attempt.status,
        error: attempt.error,
        duration_ms: attempt.duration_ms,
        response: attempt.response,
    }
}

fn unknown(id: &str) -> Error {
    let id: String = id.chars().take(80).collect();
    let detail = format!("This endpoint has no delivery {id:?}.");
    Error::new(Code::DeliveryNotFound, detail)
}
