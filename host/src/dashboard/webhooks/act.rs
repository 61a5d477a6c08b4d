//! What can be done with an endpoint.

use std::time::Duration;

use axum::{extract::Path, response::Response};
use maud::html;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;

use super::{Asked, found, page};
use crate::{
    dashboard::ProjectDesk,
    model::{DeliveryState, Role, Timestamp, WebhookChange},
    web::{
        self, Form,
        parts::{self, Tone},
    },
};

type Place = Path<(String, String)>;

/// How long the secret before a rotation signs too.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn rotate(
    desk: ProjectDesk,
    Path((_, id)): Place,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let webhook = found(&desk, &id).await?;
    let webhooks = &desk.services.webhooks;
    let (webhook, secret) = webhooks
        .rotate(desk.project.id, webhook.id, OVERLAP)
        .await?;
    desk.audit("webhook.rotate_secret", webhook.id, json!({}))
        .await?;
    let notice = parts::alert(
        Tone::Good,
        "The new secret, shown this once",
        &html! {
            (parts::copyable(secret.expose_secret()))
            p { "Deliveries are signed with the old one too for a day." }
        },
    );
    page(&desk, &webhook, &Asked::default(), Some(notice)).await
}

#[derive(Debug, Deserialize)]
pub(super) struct Switch {
    to: String,
}

pub(super) async fn switch(
    desk: ProjectDesk,
    Path((_, id)): Place,
    Form(typed): Form<Switch>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let webhook = found(&desk, &id).await?;
    let active = typed.to == "on";
    let change = WebhookChange {
        active: Some(active),
        ..WebhookChange::default()
    };
    let webhooks = &desk.services.webhooks;
    let webhook = webhooks.change(desk.project.id, webhook.id, change).await?;
    desk.audit("webhook.change", webhook.id, webhook.audited())
        .await?;
    let message = match active {
        true => "The endpoint is on. Events that happen from now on are delivered.",
        false => "The endpoint is off. It gets nothing until it is switched on.",
    };
    Ok(desk.done(message, &desk.href(&format!("/webhooks/{}", webhook.id))))
}

pub(super) async fn test(desk: ProjectDesk, Path((_, id)): Place) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let webhook = found(&desk, &id).await?;
    let id = webhook.id;
    let (delivery, attempt) = desk.services.webhooks.test(webhook).await?;
    let details = json!({ "delivery": delivery.to_string() });
    desk.audit("webhook.test", id, details).await?;
    let took = parts::duration(Duration::from_millis(attempt.duration_ms));
    let message = match (&attempt.error, attempt.status) {
        (None, Some(status)) => format!("The receiver took the test: {status} after {took}."),
        (None, None) => format!("The receiver took the test after {took}."),
        (Some(error), _) => format!("The receiver did not take the test: {error}"),
    };
    Ok(desk.done(&message, &desk.href(&format!("/deliveries/{delivery}"))))
}

#[derive(Debug, Deserialize)]
pub(super) struct Replay {
    hours: u64,
}

pub(super) async fn replay(
    desk: ProjectDesk,
    Path((_, id)): Place,
    Form(typed): Form<Replay>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let webhook = found(&desk, &id).await?;
    let hours = typed.hours.clamp(1, 24 * 366);
    let since = desk
        .services
        .clock
        .now()
        .minus(Duration::from_secs(hours * 3600));
    let until = Timestamp::from_millis(i64::MAX);
    let failed = [DeliveryState::Dead, DeliveryState::Cancelled];
    let store = &desk.services.store;
    let due = store
        .redeliver_range(&webhook, since, until, &failed)
        .await?;
    let details = json!({ "hours": hours, "deliveries": due });
    desk.audit("webhook.replay", webhook.id, details).await?;
    let message = match due {
        0 => "Nothing failed in this time.".to_owned(),
        1 => "1 delivery is due now.".to_owned(),
        due => format!("{due} deliveries are due now."),
    };
    Ok(desk.done(&message, &desk.href(&format!("/webhooks/{}", webhook.id))))
}

pub(super) async fn delete(
    desk: ProjectDesk,
    Path((_, id)): Place,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let webhook = found(&desk, &id).await?;
    let store = &desk.services.store;
    store.delete_webhook(desk.project.id, webhook.id).await?;
    desk.audit("webhook.delete", webhook.id, webhook.audited())
        .await?;
    Ok(desk.done("The endpoint was deleted.", &desk.href("/webhooks")))
}
