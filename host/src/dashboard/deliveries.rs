//! One event on its way to one endpoint.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Path,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::{Desktop, ProjectDesk, Section, diagnosis, webhooks};
use crate::{
    http,
    model::{Attempt, Cause, Delivery, DeliveryId, DeliveryState, Role, Webhook},
    web::{
        self,
        parts::{self, Tone},
    },
};

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/deliveries/{id}", get(show))
        .route("/dashboard/{project}/deliveries/{id}/replay", post(replay))
}

type Place = Path<(String, String)>;

async fn show(desk: ProjectDesk, Path((_, id)): Place) -> Result<Response, web::Error> {
    let (webhook, delivery, attempts) = found(&desk, &id).await?;
    let store = &desk.services.store;
    let event = store.event_at(desk.project.id, delivery.id.event).await?;
    let data = event
        .as_ref()
        .map(|row| -> Value { serde_json::from_str(&row.event.data).unwrap_or_default() });
    let diagnosis = match delivery.state {
        DeliveryState::Delivered => None,
        _ => {
            let found = desk.services.diagnoses.delivery(&webhook, delivery.id);
            found.await.map_err(http::Error::from)?
        }
    };
    let title = delivery
        .event
        .as_ref()
        .map_or("Delivery", |(_, kind)| kind.0.as_str());
    let endpoint = desk.href(&format!("/webhooks/{}", webhook.id));
    let body = html! {
        p { a href=(endpoint) { "Deliveries of " (webhook.url) } }
        section.card {
            h2 { "Delivery" }
            (parts::definition(&[
                ("State", webhooks::delivery_state(delivery.state)),
                ("Attempts", html! { (delivery.attempts) }),
                ("Next attempt", html! {
                    @match delivery.next_at { Some(at) => (parts::time(at)), None => span.muted { "none" } }
                }),
                ("Made", parts::time(delivery.created_at)),
                ("Event", html! {
                    @match &delivery.event {
                        Some((id, _)) => a.mono href=(desk.href(&format!("/events/{}", delivery.id.event))) { (id) },
                        None => span.muted { "past its keeping time" },
                    }
                }),
            ]))
            @if desk.is(Role::Developer) {
                (parts::post_button(&desk.href(&format!("/deliveries/{}/replay", delivery.id)), "Send again", Tone::Info, None))
            }
        }
        @if let Some(diagnosis) = &diagnosis { (diagnosis::panel(&desk, diagnosis)) }
        section.card {
            h2 { "Attempts" }
            @if attempts.is_empty() { p.muted { "None has ended yet." } }
            @else { (table(&attempts)) }
        }
        section.card {
            h2 { "Data" }
            @match &data {
                Some(data) => (parts::json(data)),
                None => p.muted { "The event is past its keeping time." },
            }
        }
    };
    Ok(desk.page(Section::Webhooks, title, body))
}

fn table(attempts: &[Attempt]) -> Markup {
    let columns = ["Attempt", "When", "Why", "Result", "Took", "Answer"];
    let rows = html! {
        @for attempt in attempts {
            tr {
                th scope="row" { (attempt.number) }
                td { (parts::time(attempt.at)) }
                td {
                    @match attempt.cause {
                        Cause::Schedule => "it was due",
                        Cause::Manual => "somebody asked",
                        Cause::Test => "a test",
                    }
                }
                td {
                    @let status = attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                    (parts::badge(if attempt.error.is_some() { Tone::Bad } else { Tone::Good }, &status))
                    @if let Some(error) = &attempt.error { div { (error) } }
                }
                td { (parts::duration(Duration::from_millis(attempt.duration_ms))) }
                td { @if !attempt.response.is_empty() { pre.code { code { (attempt.response) } } } }
            }
        }
    };
    parts::table("Attempts", &columns, &rows)
}

async fn replay(desk: ProjectDesk, Path((_, id)): Place) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let (webhook, delivery, _) = found(&desk, &id).await?;
    let store = &desk.services.store;
    store.redeliver(&webhook, delivery.id).await?;
    let details = json!({ "webhook": webhook.id });
    desk.audit("delivery.replay", delivery.id, details).await?;
    let message = "The delivery is due now, with the whole schedule of attempts before it.";
    Ok(desk.done(message, &desk.href(&format!("/deliveries/{}", delivery.id))))
}

async fn found(
    desk: &ProjectDesk,
    id: &str,
) -> Result<(Webhook, Delivery, Vec<Attempt>), web::Error> {
    let gone =
        || web::Error::not_found("There is no such delivery (any more): they go after some time.");
    let id: DeliveryId = id.parse().map_err(|_| gone())?;
    let store = &desk.services.store;
    let webhooks = store.webhooks(desk.project.id).await?;
    let webhook = webhooks.into_iter().find(|one| one.number == id.endpoint);
    let webhook = webhook.ok_or_else(gone)?;
    let (delivery, attempts) = store.delivery(&webhook, id).await?.ok_or_else(gone)?;
    Ok((webhook, delivery, attempts))
}
