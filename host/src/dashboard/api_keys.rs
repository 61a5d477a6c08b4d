//! The keys that applications call the API with.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{Desktop, ProjectDesk, Section};
use crate::{
    model::{ApiKeyId, Role},
    store::ApiKeyRow,
    web::{
        self, Form, Page,
        parts::{self, Tone},
    },
};

const LONGEST_NAME: usize = 100;

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/api-keys", get(list).post(create))
        .route("/dashboard/{project}/api-keys/{id}/revoke", post(revoke))
}

async fn list(desk: ProjectDesk) -> Result<Response, web::Error> {
    page(&desk, None, "", None).await
}

/// The list, with a key that was just made, or what is wrong with the form.
async fn page(
    desk: &ProjectDesk,
    made: Option<&SecretString>,
    typed: &str,
    wrong: Option<&str>,
) -> Result<Response, web::Error> {
    let keys = desk.services.store.api_keys(desk.project.id).await?;
    let writes = desk.is(Role::Developer);
    let columns = ["Name", "Key", "Created", "Last used", "State"];
    let body = html! {
        p.muted { "Applications send a key as the header " code { "x-api-key" } ". Whoever has one reaches everything of this project, and of no other." }
        @if let Some(made) = made {
            (parts::alert(Tone::Good, "The key was made. Copy it now: it is never shown again.", &html! {
                p { (parts::copyable(made.expose_secret())) }
            }))
        }
        @if keys.is_empty() {
            (parts::empty("No API keys yet", "Make one for each application, so that each can be revoked by itself.", None))
        } @else {
            (parts::table("API keys", &columns, &html! { @for key in &keys { (row(desk, key, writes)) } }))
        }
        @if writes {
            form.form.card method="post" action=(desk.href("/api-keys")) {
                h2 { "New API key" }
                (parts::field("name", "Name", "Which application it is for, such as “billing, production”.", wrong, &parts::input("name", "text", typed, true, wrong.is_some())))
                button.button.primary type="submit" { "Make a key" }
            }
        }
    };
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = Page::new("API keys").status(status);
    Ok(desk.page_with(page, Section::ApiKeys, body))
}

fn row(desk: &ProjectDesk, key: &ApiKeyRow, writes: bool) -> Markup {
    html! {
        tr {
            th scope="row" { (key.name) }
            td { code { (key.hint) } }
            td { (parts::time(key.created_at)) }
            td {
                @match key.last_used_at {
                    Some(at) => (parts::time(at)),
                    None => span.muted { "never" },
                }
            }
            td {
                @if let Some(at) = key.revoked_at {
                    (parts::badge(Tone::Neutral, "revoked")) " " (parts::time(at))
                } @else if writes {
                    (parts::post_button(
                        &desk.href(&format!("/api-keys/{}/revoke", key.id)), "Revoke", Tone::Bad,
                        Some(&format!("Revoke the key “{}”? Applications that use it are refused at once, and it cannot be taken back.", key.name)),
                    ))
                } @else {
                    (parts::badge(Tone::Good, "works"))
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct New {
    #[serde(default)]
    name: String,
}

async fn create(desk: ProjectDesk, Form(new): Form<New>) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        let wrong = format!("Give it a name of at most {LONGEST_NAME} characters.");
        return page(&desk, None, name, Some(&wrong)).await;
    }
    let services = &desk.services;
    let (key, hash, hint) = services.vault.new_api_key();
    let project = desk.project.id;
    let id = services
        .store
        .create_api_key(project, name, hash, &hint)
        .await?;
    let details = json!({ "name": name, "hint": hint });
    desk.audit("api_key.create", id, details).await?;
    page(&desk, Some(&key), "", None).await
}

async fn revoke(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let unknown = || web::Error::not_found("There is no such API key, or it was revoked already.");
    let id: ApiKeyId = id.parse().map_err(|_| unknown())?;
    let store = &desk.services.store;
    if !store.revoke_api_key(desk.project.id, id).await? {
        return Err(unknown());
    }
    desk.audit("api_key.revoke", id, json!({})).await?;
    Ok(desk.done("The API key was revoked.", &desk.href("/api-keys")))
}
