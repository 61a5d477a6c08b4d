//! Making and changing an endpoint.

use axum::{extract::Path, http::StatusCode, response::Response};
use maud::{Markup, html};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::{Asked, found, page};
use crate::{
    dashboard::{ProjectDesk, Section},
    model::{EventPattern, Role, Webhook, WebhookChange},
    web::{
        self, Form, Page,
        parts::{self, Tone},
    },
    webhook,
};

/// The most patterns of one endpoint.
const MAX_PATTERNS: usize = 200;
/// The longest address and description, bytes.
const MAX_TEXT: usize = 2000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    url: String,
    description: String,
    events: String,
}

/// What is wrong with what was typed.
#[derive(Debug, Default)]
struct Problems {
    url: Option<String>,
    description: Option<String>,
    events: Option<String>,
}

pub(super) async fn new(desk: ProjectDesk) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let typed = Typed {
        events: "*".to_owned(),
        ..Typed::default()
    };
    let action = desk.href("/webhooks");
    Ok(form(
        &desk,
        "New endpoint",
        &action,
        &typed,
        &Problems::default(),
    ))
}

pub(super) async fn create(
    desk: ProjectDesk,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let action = desk.href("/webhooks");
    let again = |problems: Problems| form(&desk, "New endpoint", &action, &typed, &problems);
    let patterns = match checked(&typed) {
        Ok(patterns) => patterns,
        Err(problems) => return Ok(again(problems)),
    };
    let (url, description) = (typed.url.trim(), typed.description.trim().to_owned());
    let webhooks = &desk.services.webhooks;
    match webhooks
        .create(desk.project.id, url, description, patterns)
        .await
    {
        Ok((webhook, secret)) => {
            audit(&desk, "webhook.create", &webhook).await?;
            let notice = parts::alert(
                Tone::Good,
                "The endpoint was made. This is its secret, shown this once",
                &html! {
                    (parts::copyable(secret.expose_secret()))
                    p { "Your receiver checks with it that a delivery is genuine." }
                },
            );
            page(&desk, &webhook, &Asked::default(), Some(notice)).await
        }
        Err(webhook::Error::Url(reason)) => Ok(again(Problems {
            url: Some(reason),
            ..Problems::default()
        })),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn show(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let webhook = found(&desk, &id).await?;
    let patterns: Vec<&str> = webhook.scopes.iter().map(EventPattern::as_str).collect();
    let typed = Typed {
        events: patterns.join("\n"),
        url: webhook.url.clone(),
        description: webhook.description.clone(),
    };
    let action = desk.href(&format!("/webhooks/{}/edit", webhook.id));
    Ok(form(
        &desk,
        "Edit the endpoint",
        &action,
        &typed,
        &Problems::default(),
    ))
}

pub(super) async fn save(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let webhook = found(&desk, &id).await?;
    let here = desk.href(&format!("/webhooks/{}", webhook.id));
    let action = format!("{here}/edit");
    let again = |problems: Problems| form(&desk, "Edit the endpoint", &action, &typed, &problems);
    let patterns = match checked(&typed) {
        Ok(patterns) => patterns,
        Err(problems) => return Ok(again(problems)),
    };
    let change = WebhookChange {
        url: Some(typed.url.trim().to_owned()),
        description: Some(typed.description.trim().to_owned()),
        scopes: Some(patterns),
        active: None,
    };
    let webhooks = &desk.services.webhooks;
    match webhooks.change(desk.project.id, webhook.id, change).await {
        Ok(webhook) => {
            audit(&desk, "webhook.change", &webhook).await?;
            Ok(desk.done("The endpoint was saved.", &here))
        }
        Err(webhook::Error::Url(reason)) => Ok(again(Problems {
            url: Some(reason),
            ..Problems::default()
        })),
        Err(error) => Err(error.into()),
    }
}

async fn audit(desk: &ProjectDesk, action: &str, webhook: &Webhook) -> Result<(), web::Error> {
    desk.audit(action, webhook.id, webhook.audited()).await
}

fn checked(typed: &Typed) -> Result<Vec<EventPattern>, Problems> {
    let mut problems = Problems::default();
    let long = |text: &str| text.len() > MAX_TEXT || text.contains('\0');
    if long(&typed.url) {
        problems.url = Some(format!("It may have {MAX_TEXT} bytes."));
    }
    if long(&typed.description) {
        problems.description = Some(format!("It may have {MAX_TEXT} bytes."));
    }
    let words = typed
        .events
        .split(|one: char| one.is_whitespace() || one == ',');
    let mut patterns: Vec<EventPattern> = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        match word.parse::<EventPattern>() {
            Ok(pattern) if patterns.contains(&pattern) => {}
            Ok(pattern) => patterns.push(pattern),
            Err(error) => problems.events = Some(format!("{error}.")),
        }
    }
    if problems.events.is_none() && !(1..=MAX_PATTERNS).contains(&patterns.len()) {
        let text = format!("Type 1 to {MAX_PATTERNS} types or patterns; * stands for all events.");
        problems.events = Some(text);
    }
    let fine =
        problems.url.is_none() && problems.description.is_none() && problems.events.is_none();
    if fine { Ok(patterns) } else { Err(problems) }
}

fn form(
    desk: &ProjectDesk,
    title: &str,
    action: &str,
    typed: &Typed,
    problems: &Problems,
) -> Response {
    let wrong = [&problems.url, &problems.description, &problems.events];
    let status = match wrong.iter().any(|problem| problem.is_some()) {
        true => StatusCode::UNPROCESSABLE_ENTITY,
        false => StatusCode::OK,
    };
    let url = parts::input("url", "url", &typed.url, true, problems.url.is_some());
    let description = parts::input(
        "description",
        "text",
        &typed.description,
        false,
        problems.description.is_some(),
    );
    let events = parts::textarea("events", &typed.events, true, problems.events.is_some());
    let body = html! {
        p { a href=(desk.href("/webhooks")) { "All endpoints" } }
        form.form.card method="post" action=(action) {
            (parts::field("url", "Address", "https://…; events are sent there with POST", problems.url.as_deref(), &url))
            (parts::field("description", "Description", "For people", problems.description.as_deref(), &description))
            (parts::field("events", "Events", "A type or pattern a line: crm.contact.created, crm.*, *.created, or * for all", problems.events.as_deref(), &events))
            button.button.primary type="submit" { "Save" }
        }
        (types())
    };
    desk.page_with(Page::new(title).status(status), Section::Webhooks, body)
}

fn types() -> Markup {
    html! {
        details.card {
            summary { "All types of events" }
            ul { @for kind in EventPattern::known() { li { code { (kind) } } } }
        }
    }
}
