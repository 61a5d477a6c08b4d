//! The person who is signed in: name, password, and where else.

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

use super::{
    Desk, Desktop, Section,
    desk::{sentence, set_cookie},
    sign_in::{PASSWORD_HINT, name_field, password_field},
};
use crate::{
    access,
    model::{OperatorSession, SessionId},
    web::{
        self, Form, Page,
        parts::{self, Tone},
    },
};

const HERE: &str = "/dashboard/account";

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route(HERE, get(show))
        .route("/dashboard/account/name", post(rename))
        .route("/dashboard/account/password", post(change_password))
        .route("/dashboard/account/sessions/end", post(end_others))
        .route("/dashboard/account/sessions/{session}/end", post(end))
}

/// What is wrong with what was typed.
#[derive(Debug, Default)]
struct Wrong {
    field: &'static str,
    message: String,
}

impl Wrong {
    fn at(&self, field: &str) -> Option<&str> {
        (self.field == field).then_some(&*self.message)
    }
}

async fn show(desk: Desk) -> Result<Response, web::Error> {
    page(&desk, None, StatusCode::OK, &Wrong::default()).await
}

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

async fn rename(desk: Desk, Form(typed): Form<Name>) -> Result<Response, web::Error> {
    match desk.access.rename(&desk.signed_in, &typed.name).await {
        Ok(()) => Ok(desk.done("Your name was changed.", HERE)),
        Err(error) => again(&desk, Some(&typed.name), error).await,
    }
}

#[derive(Deserialize)]
struct Passwords {
    #[serde(default)]
    current: String,
    password: String,
}

async fn change_password(desk: Desk, Form(typed): Form<Passwords>) -> Result<Response, web::Error> {
    let current = SecretString::from(typed.current);
    let new = SecretString::from(typed.password);
    let changed = desk.access.change_password(&desk.signed_in, &current, &new);
    match changed.await {
        Ok(cookie) => {
            let text = "Your password was changed, and you are signed out everywhere else.";
            let mut response = desk.done(text, HERE);
            set_cookie(&mut response, cookie.expose_secret());
            Ok(response)
        }
        Err(error) => again(&desk, None, error).await,
    }
}

async fn end_others(desk: Desk) -> Result<Response, web::Error> {
    let text = match desk.access.end_other_sessions(&desk.signed_in).await? {
        0 => "You were signed in nowhere else.".to_owned(),
        1 => "One other session was ended.".to_owned(),
        more => format!("{more} other sessions were ended."),
    };
    Ok(desk.done(&text, HERE))
}

async fn end(desk: Desk, Path(session): Path<SessionId>) -> Result<Response, web::Error> {
    desk.access.end_session(&desk.signed_in, session).await?;
    Ok(desk.done("That session was ended.", HERE))
}

async fn again(
    desk: &Desk,
    name: Option<&str>,
    error: access::Error,
) -> Result<Response, web::Error> {
    let (field, status) = match &error {
        access::Error::Field(field, _) => (*field, StatusCode::UNPROCESSABLE_ENTITY),
        access::Error::Password(_) => ("password", StatusCode::UNPROCESSABLE_ENTITY),
        access::Error::TooMany(_) | access::Error::Busy => {
            ("current", StatusCode::TOO_MANY_REQUESTS)
        }
        _ => return Err(error.into()),
    };
    let message = sentence(&error);
    page(desk, name, status, &Wrong { field, message }).await
}

async fn page(
    desk: &Desk,
    name: Option<&str>,
    status: StatusCode,
    wrong: &Wrong,
) -> Result<Response, web::Error> {
    let operator = &desk.operator;
    let account = desk.access.operator(operator.id).await?;
    let sessions = desk.access.sessions(operator.id).await?;
    let facts = [
        ("E-mail address", html! { (operator.email) }),
        (
            "Role",
            html! { (operator.role) ": " (operator.role.describe()) },
        ),
    ];
    let has_password = account.has_password;
    let body = html! {
        section.card.stack {
            h2 { "You" }
            (parts::definition(&facts))
            form.form method="post" action="/dashboard/account/name" {
                (name_field(name.unwrap_or(&operator.name), wrong.at("name")))
                button.button type="submit" { "Save the name" }
            }
        }
        section.card.stack {
            h2 { "Password" }
            @if !has_password { p.muted { "You have none: you sign in elsewhere, or with a link." } }
            form.form method="post" action="/dashboard/account/password" {
                @if has_password {
                    (password_field("current", "Password now", "current-password", "", wrong.at("current")))
                }
                (password_field("password", "New password", "new-password", PASSWORD_HINT, wrong.at("password")))
                button.button type="submit" { "Change the password" }
            }
            p.muted { "A new password signs you out everywhere else." }
        }
        section.card.stack {
            h2 { "Where you are signed in" }
            (parts::table("Sessions", &["Browser", "Address", "Signed in", "Last used", "Actions"],
                &rows(&sessions, desk.signed_in.session.id)))
            @if sessions.len() > 1 {
                (parts::post_button("/dashboard/account/sessions/end", "Sign out everywhere else",
                    Tone::Bad, Some("Sign out of all other browsers?")))
            }
        }
    };
    let document = Page::new("Account").status(status);
    Ok(desk.page_with(document, Section::Account, body))
}

fn rows(sessions: &[OperatorSession], own: SessionId) -> Markup {
    html! {
        @for session in sessions {
            tr {
                td { (browser(&session.place.agent)) }
                td.mono { (session.place.address) }
                td { (parts::time(session.created_at)) }
                td { (parts::time(session.used_at)) }
                td {
                    @if session.id == own { (parts::badge(Tone::Good, "this browser")) }
                    @else {
                        (parts::post_button(&format!("{HERE}/sessions/{}/end", session.id), "Sign out", Tone::Neutral, None))
                    }
                }
            }
        }
    }
}

/// What people call a browser that calls itself `Mozilla/5.0 (X11; Linux x86_64) …`.
fn browser(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        let found = names.iter().find(|(part, _)| agent.contains(part));
        found.map(|(_, name)| *name)
    };
    let program = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(one), None) => one.to_owned(),
        _ if agent.is_empty() => "unknown".to_owned(),
        _ => agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_have_names() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36";
        assert_eq!(browser(chrome), "Chrome on Linux");
        assert_eq!(browser("curl/8.0"), "curl/8.0");
        assert_eq!(browser(""), "unknown");
    }
}
