//! What can be done with a connection.

use axum::{extract::Path, response::Response};
use maud::html;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    found,
    page::{Notice, page},
};
use crate::{
    dashboard::{ProjectDesk, linked_users},
    http,
    model::{ObjectKind, Role, Scope, Trigger},
    web::{
        self,
        parts::{self, Tone},
    },
};

type Place = Path<(String, String)>;

/// Asks the provider who it is that is connected, and says what it answers.
pub(super) async fn test(desk: ProjectDesk, Path((_, id)): Place) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let scope = found(&desk, &id).await?;
    let notice = match desk.services.unify.probe(&scope).await {
        Ok(accounts) => {
            let name = accounts.first().map(|account| {
                let name = account.display_name.as_deref();
                name.unwrap_or(&account.remote_id).to_owned()
            });
            Notice {
                tone: Tone::Good,
                title: "The connection works".to_owned(),
                body: html! {
                    p {
                        "The provider took the credentials"
                        @if let Some(name) = name { " and answered as " strong { (name) } }
                        "."
                    }
                },
            }
        }
        Err(error) => {
            let error = http::Error::from(error);
            Notice {
                tone: Tone::Bad,
                title: error.code().title().to_owned(),
                body: html! {
                    p { (error.detail()) }
                    p { (error.code().help_on_pages()) }
                },
            }
        }
    };
    // The test may have found that the credentials are dead.
    let scope = found(&desk, &id).await?;
    page(&desk, &scope, Some(notice)).await
}

/// Shows the token that the application names the connection with.
pub(super) async fn token(desk: ProjectDesk, Path((_, id)): Place) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let scope = found(&desk, &id).await?;
    let sealed = desk.services.store.sealed_token(&scope).await?;
    let sealed = sealed.ok_or_else(|| web::Error::not_found("The connection is gone."))?;
    let token = desk
        .services
        .vault
        .connection_token(scope.connection(), &sealed)?;
    audit(&desk, &scope, "connection.token_shown").await?;
    let notice = Notice {
        tone: Tone::Info,
        title: "The connection token, for the header x-connection-token".to_owned(),
        body: html! {
            (parts::copyable(token.expose_secret()))
            p { "Whoever has it and an API key of this project can read and write this account." }
        },
    };
    page(&desk, &scope, Some(notice)).await
}

/// Makes a link with which the customer logs in again.
pub(super) async fn reconnect_link(
    desk: ProjectDesk,
    Path((_, id)): Place,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let scope = found(&desk, &id).await?;
    let connection = scope.connection();
    let body = linked_users::link(&desk, connection.linked_user, Some(connection.id)).await?;
    let notice = Notice {
        tone: Tone::Good,
        title: "Send this link to the customer".to_owned(),
        body,
    };
    page(&desk, &scope, Some(notice)).await
}

pub(super) async fn disconnect(
    desk: ProjectDesk,
    Path((_, id)): Place,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let scope = found(&desk, &id).await?;
    desk.services.unify.disconnect(&scope).await?;
    audit(&desk, &scope, "connection.delete").await?;
    let message = "The account was disconnected: its credentials are wiped, its records stay.";
    Ok(desk.done(message, &desk.href("/connections")))
}

pub(super) async fn sync(
    desk: ProjectDesk,
    Path((_, id, object, action)): Path<(String, String, String, String)>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let scope = found(&desk, &id).await?;
    let nothing = || web::Error::not_found("This connection has no such sync.");
    let kind = ObjectKind::parse(&object).ok_or_else(nothing)?;
    let store = &desk.services.store;
    let known = store.sync_states(&scope).await?;
    if !known.iter().any(|state| state.kind == kind) {
        return Err(nothing());
    }
    let object = kind.name();
    let (done, details, message) = match action.as_str() {
        "pause" => {
            store.pause_sync(&scope, kind).await?;
            let message = "is paused. The page at work is still finished";
            ("sync.pause", json!({ "object": object }), message)
        }
        "resume" => {
            store.resume_sync(&scope, kind).await?;
            ("sync.resume", json!({ "object": object }), "goes on")
        }
        "run" | "full" => {
            let full = action == "full";
            let manual = Trigger::Manual;
            store.request_run(&scope, kind, manual, full).await?;
            let details = json!({ "object": object, "full": full });
            ("sync.run", details, "is due now")
        }
        "delete-missing" | "keep-missing" => {
            let delete = action == "delete-missing";
            if !store.answer_question(&scope, kind, delete).await? {
                let text = "The sync asks nothing any more: somebody answered before.";
                return Err(web::Error::invalid(text));
            }
            if delete {
                let manual = Trigger::Manual;
                store.request_run(&scope, kind, manual, false).await?;
            }
            let details = json!({ "object": object, "delete": delete });
            ("sync.confirm", details, "was answered")
        }
        _ => return Err(web::Error::not_found("There is no such action.")),
    };
    desk.audit(done, scope.connection().id, details).await?;
    desk.services.unify.work().notify_one();
    let href = desk.href(&format!("/connections/{}", scope.connection().id));
    Ok(desk.done(&format!("The sync of {object} {message}."), &href))
}

async fn audit(desk: &ProjectDesk, scope: &Scope, action: &str) -> Result<(), web::Error> {
    let connection = scope.connection();
    let details = json!({ "connector": connection.connector });
    desk.audit(action, connection.id, details).await
}
