//! Where events are delivered: endpoints of applications, and their secrets.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::json;
use crate::{
    http::{
        Services,
        body::{Json, OptionalJson},
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::Operation,
    },
    model::{EventPattern, ProjectId, Violation, Webhook, WebhookChange, WebhookId},
    webhook::Webhooks,
};

/// The most patterns of one endpoint.
const MAX_SCOPES: usize = 200;
/// The longest description and address, bytes.
const MAX_TEXT: usize = 2000;
/// How long the secret before a rotation signs too, where nothing is said.
const DEFAULT_OVERLAP: u64 = 24 * 60 * 60;
/// The longest that it may.
const MAX_OVERLAP: u64 = 7 * DEFAULT_OVERLAP;
/// What stands for a secret that was told before.
const MASKED: &str = "whsec_…";

const SCOPES: &str = "An endpoint gets the events whose types its `scope` names: a type such as `crm.contact.created`, or a pattern with `*` such as `crm.*`, `*.created` or `*`. `….pulled` stands for what a read created, updated or deleted: such events arrive with that name as `type`, and their own as `original_type`.";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/webhooks", create)
            .alias("/webhook")
            .id("createWebhook")
            .tag("Webhooks")
            .summary("Make an endpoint; its secret is told this once.")
            .describe(SCOPES)
            .takes::<Create>()
            .gives::<WebhookBody>(201, "The endpoint, with its secret."),
        Operation::get("/webhooks", list)
            .id("listWebhooks")
            .tag("Webhooks")
            .summary("List the endpoints of the project.")
            .gives::<Vec<WebhookBody>>(200, "The endpoints, oldest first."),
        Operation::post("/webhooks/verifyEvent", verify)
            .id("verifyWebhookEvent")
            .tag("Webhooks")
            .summary("Check the `Panora-Signature` of a delivery.")
            .describe("It covers `data` of the payload as compact JSON with the keys of every object in order, so the order in which the payload is sent here does not matter.")
            .takes::<Verify>()
            .gives::<Map<String, Value>>(201, "The payload, which is genuine.")
            .fails(&[Code::SignatureInvalid]),
        Operation::get("/webhooks/{id}", get)
            .id("getWebhook")
            .tag("Webhooks")
            .summary("Show an endpoint.")
            .path::<Uuid>("id", "The endpoint's id.")
            .gives::<WebhookBody>(200, "The endpoint.")
            .fails(&[Code::WebhookNotFound]),
        Operation::put("/webhooks/{id}", toggle)
            .id("updateWebhookStatus")
            .tag("Webhooks")
            .summary("Switch an endpoint on or off.")
            .describe("Without a body, or without `active` in it, the switch is turned over. One that was disabled forgets why when it is switched on.")
            .path::<Uuid>("id", "The endpoint's id.")
            .takes_optional::<Toggle>()
            .gives::<WebhookBody>(201, "The endpoint as it is now.")
            .fails(&[Code::WebhookNotFound]),
        Operation::patch("/webhooks/{id}", change)
            .id("changeWebhook")
            .tag("Webhooks")
            .summary("Change an endpoint; what is not named stays.")
            .describe(SCOPES)
            .path::<Uuid>("id", "The endpoint's id.")
            .takes::<Change>()
            .gives::<WebhookBody>(200, "The endpoint as it is now.")
            .fails(&[Code::WebhookNotFound]),
        Operation::delete("/webhooks/{id}", delete)
            .id("deleteWebhook")
            .tag("Webhooks")
            .summary("Delete an endpoint; it gets nothing any more.")
            .path::<Uuid>("id", "The endpoint's id.")
            .gives::<WebhookBody>(201, "The endpoint as it was.")
            .fails(&[Code::WebhookNotFound]),
        Operation::post("/webhooks/{id}/rotate", rotate)
            .id("rotateWebhookSecret")
            .tag("Webhooks")
            .summary("Give an endpoint a new secret; it is told this once.")
            .describe("Deliveries are signed with both secrets until `overlap_seconds` are over: `webhook-signature` has two signatures. `Panora-Signature`, which has room for one, is made with the new secret at once.")
            .path::<Uuid>("id", "The endpoint's id.")
            .takes_optional::<Rotate>()
            .gives::<WebhookBody>(200, "The endpoint, with its new secret.")
            .fails(&[Code::WebhookNotFound]),
    ]
}

/// An endpoint as the wire contract has it, and what it lacks.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
struct WebhookBody {
    #[schemars(with = "Uuid")]
    id_webhook_endpoint: String,
    endpoint_description: String,
    #[schemars(extend("format" = "uri"))]
    url: String,
    /// What deliveries are signed with; a mask in every answer but the one that tells it.
    #[schemars(example = &MASKED)]
    secret: String,
    active: bool,
    /// Why this server stopped delivering, where it did.
    disabled_reason: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    disabled_at: Option<String>,
    /// Since when nothing but failures came back.
    #[schemars(extend("format" = "date-time"))]
    failing_since: Option<String>,
    /// Until when the secret before the last rotation signs too.
    #[schemars(extend("format" = "date-time"))]
    previous_secret_until: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// Types of events, and patterns of them.
    #[schemars(example = &["crm.contact.created"])]
    scope: Vec<String>,
    #[schemars(with = "Uuid")]
    id_project: String,
    #[schemars(extend("format" = "date-time"))]
    last_update: String,
}

impl WebhookBody {
    fn new(webhook: &Webhook, secret: Option<&SecretString>) -> Self {
        let previous = &webhook.secret;
        Self {
            id_webhook_endpoint: webhook.id.to_string(),
            endpoint_description: webhook.description.clone(),
            url: webhook.url.clone(),
            secret: secret
                .map_or(MASKED, |secret| secret.expose_secret())
                .to_owned(),
            active: webhook.active,
            disabled_reason: webhook.disabled_reason.clone(),
            disabled_at: webhook.disabled_at.map(|time| time.to_string()),
            failing_since: webhook.failing_since.map(|time| time.to_string()),
            previous_secret_until: previous.previous_until.map(|time| time.to_string()),
            created_at: webhook.created_at.to_string(),
            scope: webhook.scopes.iter().map(ToString::to_string).collect(),
            id_project: webhook.project.to_string(),
            last_update: webhook.updated_at.to_string(),
        }
    }
}

/// A new endpoint.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CreateWebhook")]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    /// Where events are sent: `https`, or `http` in a private network that the operator allows.
    #[schemars(example = &"https://app.example.com/jackfield")]
    url: String,
    #[serde(default)]
    description: Option<String>,
    /// Types of events, and patterns of them.
    #[schemars(length(min = 1, max = 200), example = &["crm.contact.created"])]
    scope: Vec<String>,
}

/// Whether an endpoint gets events.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "SwitchWebhook")]
pub(super) struct Toggle {
    #[serde(default)]
    active: Option<bool>,
}

/// What changes of an endpoint.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ChangeWebhook")]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    scope: Option<Vec<String>>,
    #[serde(default)]
    active: Option<bool>,
}

/// How a secret is replaced.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "RotateWebhookSecret")]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    /// How long the secret before signs too; a day where nothing is said, at most a week.
    #[serde(default)]
    #[schemars(range(max = 604_800))]
    overlap_seconds: Option<u64>,
}

/// A delivery that may be genuine.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "VerifyWebhookEvent")]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    /// The whole body of the delivery.
    payload: Map<String, Value>,
    /// Its header `Panora-Signature`.
    signature: String,
    /// The secret of the endpoint that it came to.
    secret: String,
}

pub(super) async fn create(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Json(body): Json<Create>,
) -> Result<Response, Error> {
    let scopes = scopes(&body.scope)?;
    let description = body.description.unwrap_or_default();
    short("/url", &body.url)?;
    short("/description", &description)?;
    let made = services
        .webhooks
        .create(actor.project.id, &body.url, description, scopes);
    let (webhook, secret) = made.await?;
    audit(&services, &actor, "webhook.create", &webhook).await?;
    let shown = json(&WebhookBody::new(&webhook, Some(&secret)))?;
    Ok((StatusCode::CREATED, shown).into_response())
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Response, Error> {
    let webhooks = services.store.webhooks(caller.project.id).await?;
    let bodies: Vec<_> = webhooks
        .iter()
        .map(|webhook| WebhookBody::new(webhook, None))
        .collect();
    json(&bodies)
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let webhook = by_id(&services, caller.project.id, &id).await?;
    json(&WebhookBody::new(&webhook, None))
}

pub(super) async fn toggle(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<Toggle>,
) -> Result<Response, Error> {
    let webhook = by_id(&services, actor.project.id, &id).await?;
    let wanted = body.unwrap_or_default().active;
    let change = WebhookChange {
        active: Some(wanted.unwrap_or(!webhook.active)),
        ..WebhookChange::default()
    };
    let project = actor.project.id;
    let webhook = services
        .webhooks
        .change(project, webhook.id, change)
        .await?;
    audit(&services, &actor, "webhook.change", &webhook).await?;
    let shown = json(&WebhookBody::new(&webhook, None))?;
    Ok((StatusCode::CREATED, shown).into_response())
}

pub(super) async fn change(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<Change>,
) -> Result<Response, Error> {
    let webhook = by_id(&services, actor.project.id, &id).await?;
    for (field, text) in [("/url", &body.url), ("/description", &body.description)] {
        short(field, text.as_deref().unwrap_or_default())?;
    }
    let change = WebhookChange {
        url: body.url,
        description: body.description,
        scopes: body.scope.as_deref().map(scopes).transpose()?,
        active: body.active,
    };
    let project = actor.project.id;
    let webhook = services
        .webhooks
        .change(project, webhook.id, change)
        .await?;
    audit(&services, &actor, "webhook.change", &webhook).await?;
    json(&WebhookBody::new(&webhook, None))
}

pub(super) async fn delete(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let deleted = match id.parse::<WebhookId>() {
        Ok(id) => services.store.delete_webhook(actor.project.id, id).await?,
        Err(_) => None,
    };
    let webhook = deleted.ok_or_else(|| unknown(&id))?;
    audit(&services, &actor, "webhook.delete", &webhook).await?;
    let shown = json(&WebhookBody::new(&webhook, None))?;
    Ok((StatusCode::CREATED, shown).into_response())
}

pub(super) async fn rotate(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<Rotate>,
) -> Result<Response, Error> {
    let webhook = by_id(&services, actor.project.id, &id).await?;
    let seconds = body.unwrap_or_default().overlap_seconds;
    let seconds = seconds.unwrap_or(DEFAULT_OVERLAP);
    if seconds > MAX_OVERLAP {
        let message = format!("must be at most {MAX_OVERLAP}, a week");
        return Err(invalid("/overlap_seconds", message));
    }
    let rotated =
        services
            .webhooks
            .rotate(actor.project.id, webhook.id, Duration::from_secs(seconds));
    let (webhook, secret) = rotated.await?;
    audit(&services, &actor, "webhook.rotate_secret", &webhook).await?;
    json(&WebhookBody::new(&webhook, Some(&secret)))
}

pub(super) async fn verify(
    State(_): State<Arc<Services>>,
    _: Caller,
    Json(body): Json<Verify>,
) -> Result<Response, Error> {
    let Some(data) = body.payload.get("data") else {
        return Err(invalid("/payload/data", "is missing".to_owned()));
    };
    if !Webhooks::verify(data, &body.signature, &body.secret.into()) {
        let detail = "The signature is not that of the payload's `data` under this secret.";
        return Err(Error::new(Code::SignatureInvalid, detail));
    }
    Ok((StatusCode::CREATED, json(&body.payload)?).into_response())
}

/// Writes into the audit log what was done with an endpoint.
async fn audit(
    services: &Services,
    actor: &Actor,
    action: &str,
    webhook: &Webhook,
) -> Result<(), Error> {
    let details = webhook.audited();
    actor.audit(services, action, webhook.id, details).await
}

/// An endpoint of the project.
pub(super) async fn by_id(
    services: &Services,
    project: ProjectId,
    id: &str,
) -> Result<Webhook, Error> {
    let found = match id.parse::<WebhookId>() {
        Ok(id) => services.store.webhook(project, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| unknown(id))
}

fn scopes(texts: &[String]) -> Result<Vec<EventPattern>, Error> {
    if texts.is_empty() || texts.len() > MAX_SCOPES {
        let message = format!("must have 1 to {MAX_SCOPES} entries");
        return Err(invalid("/scope", message));
    }
    let mut patterns = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let pattern: EventPattern = text
            .parse()
            .map_err(|error| invalid(&format!("/scope/{index}"), format!("{error}")))?;
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    Ok(patterns)
}

fn short(path: &str, text: &str) -> Result<(), Error> {
    if text.len() > MAX_TEXT || text.contains('\0') {
        let message = format!("must have at most {MAX_TEXT} bytes and no U+0000");
        return Err(invalid(path, message));
    }
    Ok(())
}

pub(super) fn invalid(path: &str, message: String) -> Error {
    let detail = format!("The body is not what this request needs: {path} {message}.");
    let violation = Violation {
        path: path.to_owned(),
        message,
    };
    Error::new(Code::ValidationFailed, detail).with_violations(vec![violation])
}

fn unknown(id: &str) -> Error {
    let id: String = id.chars().take(80).collect();
    let detail = format!("This project has no webhook endpoint {id:?}.");
    Error::new(Code::WebhookNotFound, detail)
}
