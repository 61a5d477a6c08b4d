//! Endpoints that get events, and how they stand.

mod act;
mod edit;

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Desktop, ProjectDesk, Section, address::address};
use crate::{
    model::{Delivery, DeliveryCursor, DeliveryState, Role, Webhook},
    store::{DeliveryCounts, DeliveryFilter},
    web::{
        self, Query,
        parts::{self, Choice, Tone},
    },
};

const ROWS: u32 = 50;
const HERE: &str = "/dashboard/{project}/webhooks";

pub(super) fn routes() -> Router<Arc<Desktop>> {
    let one = |rest: &str| format!("{HERE}/{{id}}{rest}");
    Router::new()
        .route(HERE, get(list).post(edit::create))
        .route("/dashboard/{project}/new-webhook", get(edit::new))
        .route(&one(""), get(show))
        .route(&one("/edit"), get(edit::show).post(edit::save))
        .route(&one("/rotate"), post(act::rotate))
        .route(&one("/switch"), post(act::switch))
        .route(&one("/test"), post(act::test))
        .route(&one("/replay"), post(act::replay))
        .route(&one("/delete"), post(act::delete))
}

async fn list(desk: ProjectDesk) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    let webhooks = store.webhooks(desk.project.id).await?;
    let mut rows = Vec::with_capacity(webhooks.len());
    for webhook in webhooks {
        let counts = store.delivery_counts(&webhook).await?;
        rows.push((webhook, counts));
    }
    let columns = [
        "Endpoint",
        "State",
        "Delivered",
        "Dead",
        "Waiting",
        "Events",
    ];
    let table = html! {
        @for (webhook, counts) in &rows {
            tr {
                th scope="row" {
                    a href=(desk.href(&format!("/webhooks/{}", webhook.id))) { (webhook.url) }
                    @if !webhook.description.is_empty() { div.muted { (webhook.description) } }
                }
                td { (endpoint_state(webhook)) }
                td { (rate(*counts)) }
                td { (parts::number(counts.dead)) }
                td { (parts::number(counts.pending)) }
                td.mono { (patterns(webhook)) }
            }
        }
    };
    let new = desk.href("/new-webhook");
    let body = html! {
        @if rows.is_empty() {
            (parts::empty("No endpoints yet", "An endpoint is an address of your application that gets events, signed, as they happen.",
                desk.is(Role::Developer).then_some(("New endpoint", new.as_str()))))
        } @else {
            (parts::table("Endpoints", &columns, &table))
            p.muted { "Numbers are of the last 1000 deliveries of each endpoint." }
            @if desk.is(Role::Developer) { p { a.button.primary href=(new) { "New endpoint" } } }
        }
    };
    Ok(desk.page(Section::Webhooks, "Webhooks", body))
}

fn patterns(webhook: &Webhook) -> String {
    let texts: Vec<&str> = webhook.scopes.iter().map(|one| one.as_str()).collect();
    match texts.as_slice() {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        texts => texts.join(", "),
    }
}

fn rate(counts: DeliveryCounts) -> Markup {
    let ended = counts.delivered + counts.dead;
    html! {
        @if ended == 0 { span.muted { "—" } }
        @else { (counts.delivered * 100 / ended) " % of " (parts::number(ended)) }
    }
}

fn endpoint_state(webhook: &Webhook) -> Markup {
    html! {
        @if webhook.active && webhook.failing_since.is_some() { (parts::badge(Tone::Warn, "failing")) }
        @else if webhook.active { (parts::badge(Tone::Good, "on")) }
        @else if webhook.disabled_at.is_some() { (parts::badge(Tone::Bad, "disabled")) }
        @else { (parts::badge(Tone::Neutral, "off")) }
    }
}

/// How a delivery stands.
pub(super) fn delivery_state(state: DeliveryState) -> Markup {
    match state {
        DeliveryState::Pending => parts::badge(Tone::Info, "waiting"),
        DeliveryState::Delivered => parts::badge(Tone::Good, "delivered"),
        DeliveryState::Dead => parts::badge(Tone::Bad, "dead"),
        DeliveryState::Cancelled => parts::badge(Tone::Neutral, "cancelled"),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    state: String,
    r#type: String,
    after: String,
}

async fn show(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, web::Error> {
    let webhook = found(&desk, &id).await?;
    page(&desk, &webhook, &asked, None).await
}

/// The page of an endpoint, and what an action has to say.
async fn page(
    desk: &ProjectDesk,
    webhook: &Webhook,
    asked: &Asked,
    notice: Option<Markup>,
) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    let here = desk.href(&format!("/webhooks/{}", webhook.id));
    let filter = DeliveryFilter {
        cursor: DeliveryCursor::decode(&asked.after).ok(),
        limit: ROWS,
        state: DeliveryState::parse(&asked.state),
        kind: super::address::chosen(&asked.r#type).map(|text| text.replace('\0', "")),
    };
    let found = store.deliveries(webhook, &filter).await?;
    let counts = store.delivery_counts(webhook).await?;
    let link = |cursor: DeliveryCursor| {
        let after = cursor.encode();
        let pairs = [
            ("state", asked.state.as_str()),
            ("type", &asked.r#type),
            ("after", &after),
        ];
        address(&here, &pairs)
    };
    let body = html! {
        p { a href=(desk.href("/webhooks")) { "All endpoints" } }
        @if let Some(notice) = &notice { (notice) }
        @if let Some(reason) = &webhook.disabled_reason {
            (parts::alert(Tone::Bad, "This server stopped delivering", &html! {
                p { (reason) }
                p { "Mend the receiver, send a test, switch the endpoint on, and replay what it missed." }
            }))
        }
        section.card {
            h2 { "Endpoint" }
            (facts(webhook, counts))
            @if desk.is(Role::Developer) { (actions(webhook, &here)) }
        }
        section.card {
            h2 { "Deliveries" }
            (filter_form(asked, &here))
            @if found.data.is_empty() {
                (parts::empty("No deliveries", "None is like that. An endpoint gets events that happen after it was made.", None))
            } @else { (deliveries(desk, &found.data)) }
            (parts::pager(found.next.map(link).as_deref(), found.previous.map(link).as_deref()))
        }
        @if desk.is(Role::Developer) { (replay_form(&here)) }
    };
    Ok(desk.page(Section::Webhooks, "Endpoint", body))
}

fn facts(webhook: &Webhook, counts: DeliveryCounts) -> Markup {
    parts::definition(&[
        ("Address", html! { span.mono { (webhook.url) } }),
        ("Description", html! { (webhook.description) }),
        (
            "State",
            html! {
                (endpoint_state(webhook))
                @if let Some(since) = webhook.failing_since { " nothing but failures since " (parts::time(since)) }
            },
        ),
        ("Delivered", rate(counts)),
        (
            "Events",
            html! { @for scope in &webhook.scopes { code { (scope.as_str()) } " " } },
        ),
        (
            "Secret",
            html! {
                "kept sealed, shown once when it is made"
                @if let Some(until) = webhook.secret.previous_until { "; the one before signs too until " (parts::time(until)) }
            },
        ),
        ("Made", parts::time(webhook.created_at)),
    ])
}

fn actions(webhook: &Webhook, here: &str) -> Markup {
    let (label, to) = match webhook.active {
        true => ("Switch off", "off"),
        false => ("Switch on", "on"),
    };
    html! {
        div.row {
            (parts::post_button(&format!("{here}/test"), "Send a test event", Tone::Info, None))
            a.button href={ (here) "/edit" } { "Edit" }
            (parts::post_button_with(&format!("{here}/switch"), label, Tone::Neutral, None, &[("to", to)]))
            (parts::post_button(&format!("{here}/rotate"), "New secret", Tone::Warn, Some("Make a new secret? The one of now signs too for a day, so change your receiver within that time.")))
            (parts::post_button(&format!("{here}/delete"), "Delete", Tone::Bad, Some("Delete this endpoint? It gets nothing any more, and its deliveries go.")))
        }
    }
}

fn filter_form(asked: &Asked, here: &str) -> Markup {
    let mut states = vec![Choice::new("", "all")];
    let words = |state: DeliveryState| match state {
        DeliveryState::Pending => "waiting",
        DeliveryState::Dead => "dead letters",
        other => other.as_str(),
    };
    let known = DeliveryState::ALL.into_iter();
    states.extend(known.map(|state| Choice::new(state.as_str(), words(state))));
    let state = parts::select("state", &states, &asked.state, false);
    let kind = parts::input("type", "search", &asked.r#type, false, false);
    html! {
        form.form.filter method="get" action=(here) {
            (parts::field("state", "State", "", None, &state))
            (parts::field("type", "Type", "Such as crm.contact.created", None, &kind))
            button.button type="submit" { "Filter" }
        }
    }
}

fn deliveries(desk: &ProjectDesk, found: &[Delivery]) -> Markup {
    let columns = ["Event", "State", "Attempts", "Made", "Next attempt"];
    let rows = html! {
        @for delivery in found {
            tr {
                th scope="row" {
                    a.mono href=(desk.href(&format!("/deliveries/{}", delivery.id))) {
                        (delivery.event.as_ref().map_or("event past its time", |(_, kind)| kind.0.as_str()))
                    }
                }
                td { (delivery_state(delivery.state)) }
                td { (delivery.attempts) }
                td { (parts::time(delivery.created_at)) }
                td { @match delivery.next_at { Some(at) => (parts::time(at)), None => span.muted { "—" } } }
            }
        }
    };
    parts::table("Deliveries", &columns, &rows)
}

fn replay_form(here: &str) -> Markup {
    let hours = [
        Choice::new("1", "the last hour"),
        Choice::new("24", "the last day"),
        Choice::new("168", "the last week"),
        Choice::new("720", "the last 30 days"),
    ];
    html! {
        section.card {
            h2 { "Replay what failed" }
            p.muted { "Dead and cancelled deliveries are sent again, with the whole schedule of attempts before them. Receivers can tell them by the same " code { "webhook-id" } "." }
            form.form method="post" action={ (here) "/replay" } data-confirm="Send all dead and cancelled deliveries of this time again?" {
                (parts::field("hours", "Made in", "", None, &parts::select("hours", &hours, "24", false)))
                button.button type="submit" { "Replay" }
            }
        }
    }
}

/// The endpoint that a path names.
async fn found(desk: &ProjectDesk, id: &str) -> Result<Webhook, web::Error> {
    let webhook = match id.parse() {
        Ok(id) => desk.services.store.webhook(desk.project.id, id).await?,
        Err(_) => None,
    };
    webhook.ok_or_else(|| web::Error::not_found("This project has no such endpoint."))
}
