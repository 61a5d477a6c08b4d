//! The doors: signing in and out, and links that make somebody an operator.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{
    Desk, Desktop,
    desk::{Visitor, next_page, see_other, sentence, set_cookie},
};
use crate::{
    access::{self, Access, FirstOwner, NewSession},
    store::LinkPurpose,
    web::{
        self, Form, Page, Query, assets,
        parts::{self, Tone},
    },
};

/// What a new password has to be, below its field.
pub(super) const PASSWORD_HINT: &str =
    "At least 12 characters. A whole sentence is easy to remember and hard to guess.";

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/sign-in", get(door).post(enter))
        .route("/sign-in/{token}", get(enter_as_developer))
        .route("/sign-out", post(leave))
        .route("/set-up", get(set_up_help))
        .route("/set-up/{token}", get(set_up_form).post(set_up))
        .route("/invitation/{token}", get(invitation_form).post(accept))
        .route(
            "/new-password/{token}",
            get(password_form).post(set_password),
        )
}

/// Where to go on.
#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    next: Option<String>,
}

/// What was typed into one of the forms.
#[derive(Debug, Default, Deserialize)]
struct Typed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: Option<String>,
}

impl Typed {
    fn password(&self) -> SecretString {
        SecretString::from(self.password.as_str())
    }
}

/// Why a form comes back: where, and in which words.
struct Refusal {
    status: StatusCode,
    field: &'static str,
    message: String,
    seconds: Option<u64>,
}

impl Refusal {
    /// What the person can mend, as against what failed.
    fn of(error: access::Error) -> Result<Self, web::Error> {
        let (field, status) = match &error {
            access::Error::Credentials | access::Error::Password(_) => ("password", 422),
            access::Error::TooMany(_) | access::Error::Busy => ("password", 429),
            access::Error::Field(field, _) => (*field, 422),
            access::Error::Taken => ("email", 422),
            _ => return Err(error.into()),
        };
        Ok(Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY),
            field,
            message: sentence(&error),
            seconds: match error {
                access::Error::TooMany(wait) => Some(wait.as_secs() + 1),
                _ => None,
            },
        })
    }
}

/// `GET /sign-in`.
async fn door(visitor: Visitor, Query(next): Query<Next>) -> Result<Response, web::Error> {
    let access = &visitor.desktop.access;
    let next = next_page(next.next.as_deref());
    if access
        .signed_in(&visitor.cookies, &visitor.place)
        .await?
        .is_some()
    {
        return Ok(see_other(next));
    }
    if access.needs_set_up().await? {
        return Ok(see_other("/set-up"));
    }
    let typed = Typed {
        next: Some(next.to_owned()),
        ..Typed::default()
    };
    Ok(door_page(&visitor, &typed, None))
}

/// `POST /sign-in`.
async fn enter(visitor: Visitor, Form(typed): Form<Typed>) -> Result<Response, web::Error> {
    let access = &visitor.desktop.access;
    let password = typed.password();
    let entered = access.sign_in(&typed.email, &password, &visitor.place);
    match entered.await {
        Ok(new) => {
            let next = next_page(typed.next.as_deref());
            welcome(&visitor, &new, next).await
        }
        Err(error) => {
            let refusal = Refusal::of(error)?;
            Ok(door_page(&visitor, &typed, Some(&refusal)))
        }
    }
}

/// `GET /sign-in/{token}`: the link that `jackfield dev` prints.
async fn enter_as_developer(
    visitor: Visitor,
    Path(token): Path<String>,
) -> Result<Response, web::Error> {
    let access = &visitor.desktop.access;
    match access.sign_developer_in(&token, &visitor.place).await {
        Ok(new) => welcome(&visitor, &new, super::desk::HOME).await,
        Err(error) => Err(dead_link(error)),
    }
}

/// `POST /sign-out`.
async fn leave(State(desktop): State<Arc<Desktop>>, desk: Desk) -> Result<Response, web::Error> {
    desktop.access.sign_out(&desk.signed_in).await?;
    let mut response = see_other("/sign-in");
    set_cookie(&mut response, &desktop.access.cookies().clear_session());
    Ok(response)
}

/// `GET /set-up`: how to get the link.
async fn set_up_help(visitor: Visitor) -> Result<Response, web::Error> {
    if !visitor.desktop.access.needs_set_up().await? {
        return Ok(see_other("/sign-in"));
    }
    let body = html! {
        p { "Nobody operates this server yet. The first owner is made with a link that only those can see who run it:" }
        ul {
            li { "it stands in the log of the server, which writes it at its start; or" }
            li { "run " code { "jackfield operator setup-link" } " beside the server, with the same configuration." }
        }
        p.muted { "The link works once." }
    };
    Ok(alone(&visitor, "Set up this server", StatusCode::OK, &body))
}

/// `GET /set-up/{token}`.
async fn set_up_form(visitor: Visitor, Path(token): Path<String>) -> Result<Response, web::Error> {
    let access = &visitor.desktop.access;
    let link = access.look_at_link(&token).await.map_err(dead_link)?;
    if link.purpose != LinkPurpose::SetUp {
        return Err(dead_link(access::Error::Link));
    }
    Ok(set_up_page(&visitor, &token, &Typed::default(), None))
}

/// `POST /set-up/{token}`.
async fn set_up(
    visitor: Visitor,
    Path(token): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    let made = match typed.email.parse() {
        Ok(email) => {
            let first = FirstOwner {
                email,
                name: typed.name.clone(),
                password: typed.password(),
            };
            let access = &visitor.desktop.access;
            access.set_up(&token, first, &visitor.place).await
        }
        Err(_) => Err(access::Error::Field("email", EMAIL_RULE.to_owned())),
    };
    answer(&visitor, made, |refusal| {
        set_up_page(&visitor, &token, &typed, Some(refusal))
    })
    .await
}

/// `GET /invitation/{token}`.
async fn invitation_form(
    visitor: Visitor,
    Path(token): Path<String>,
) -> Result<Response, web::Error> {
    let about = invited(&visitor.desktop.access, &token).await?;
    let typed = Typed::default();
    Ok(invitation_page(&visitor, &token, &about, &typed, None))
}

/// `POST /invitation/{token}`.
async fn accept(
    visitor: Visitor,
    Path(token): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    let access = &visitor.desktop.access;
    let about = invited(access, &token).await?;
    let password = typed.password();
    let made = access.accept_invitation(&token, &typed.name, &password, &visitor.place);
    answer(&visitor, made.await, |refusal| {
        invitation_page(&visitor, &token, &about, &typed, Some(refusal))
    })
    .await
}

/// `GET /new-password/{token}`.
async fn password_form(
    visitor: Visitor,
    Path(token): Path<String>,
) -> Result<Response, web::Error> {
    let access = &visitor.desktop.access;
    let link = access.look_at_link(&token).await.map_err(dead_link)?;
    let LinkPurpose::NewPassword(_) = link.purpose else {
        return Err(dead_link(access::Error::Link));
    };
    Ok(password_page(&visitor, &token, None))
}

/// `POST /new-password/{token}`.
async fn set_password(
    visitor: Visitor,
    Path(token): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    let access = &visitor.desktop.access;
    let password = typed.password();
    let set = access.use_password_link(&token, &password, &visitor.place);
    answer(&visitor, set.await, |refusal| {
        password_page(&visitor, &token, Some(refusal))
    })
    .await
}

const EMAIL_RULE: &str = "an e-mail address looks like name@example.com";

/// In, or the form again.
async fn answer(
    visitor: &Visitor,
    outcome: Result<NewSession, access::Error>,
    again: impl FnOnce(&Refusal) -> Response,
) -> Result<Response, web::Error> {
    match outcome {
        Ok(new) => welcome(visitor, &new, super::desk::HOME).await,
        Err(error @ (access::Error::Link | access::Error::Missing)) => Err(dead_link(error)),
        Err(error) => Refusal::of(error).map(|refusal| again(&refusal)),
    }
}

/// Signs the browser in; the session that it had before, if any, ends.
pub(super) async fn welcome(
    visitor: &Visitor,
    new: &NewSession,
    next: &str,
) -> Result<Response, web::Error> {
    let access = &visitor.desktop.access;
    if let Some(old) = access.signed_in(&visitor.cookies, &visitor.place).await? {
        access.sign_out(&old).await?;
    }
    let mut response = see_other(next);
    set_cookie(&mut response, new.cookie.expose_secret());
    Ok(response)
}

fn dead_link(error: access::Error) -> web::Error {
    match error {
        access::Error::Link | access::Error::Missing => web::Error::new(
            StatusCode::NOT_FOUND,
            "This link does not work",
            "It was used already, taken back, or is too old: such links work once and for three days.",
            "Ask an owner for a new one, or whoever runs the server: `jackfield operator --help`.",
        ),
        other => other.into(),
    }
}

/// Who is invited, and as what.
async fn invited(access: &Access, token: &str) -> Result<String, web::Error> {
    let link = access.look_at_link(token).await.map_err(dead_link)?;
    let LinkPurpose::Invitation { email, role } = link.purpose else {
        return Err(dead_link(access::Error::Link));
    };
    Ok(format!("{email}, as {role}: {}", role.describe()))
}

fn door_page(visitor: &Visitor, typed: &Typed, refusal: Option<&Refusal>) -> Response {
    let next = next_page(typed.next.as_deref());
    let elsewhere = visitor.desktop.access.elsewhere();
    let form = html! {
        @if let Some(label) = elsewhere {
            p { a.button.wide href={ "/sign-in/oidc?" (next_query(next)) } { "Sign in with " (label) } }
            p.muted.or { "or with a password" }
        }
        form.form method="post" action="/sign-in" {
            (parts::hidden("next", next))
            (email_field(&typed.email, error_at(refusal, "email")))
            (password_field("password", "Password", "current-password", "", error_at(refusal, "password")))
            button.button.primary type="submit" { "Sign in" }
        }
        p.muted { "Forgotten? An owner can give you a link for a new password." }
    };
    finish(visitor, "Sign in", refusal, &form)
}

fn set_up_page(
    visitor: &Visitor,
    token: &str,
    typed: &Typed,
    refusal: Option<&Refusal>,
) -> Response {
    let form = html! {
        p { "You become the first owner of this server: you can invite others later." }
        form.form method="post" action={ "/set-up/" (token) } {
            (name_field(&typed.name, error_at(refusal, "name")))
            (email_field(&typed.email, error_at(refusal, "email")))
            (password_field("password", "Password", "new-password", PASSWORD_HINT, error_at(refusal, "password")))
            button.button.primary type="submit" { "Set up" }
        }
    };
    finish(visitor, "Set up this server", refusal, &form)
}

fn invitation_page(
    visitor: &Visitor,
    token: &str,
    about: &str,
    typed: &Typed,
    refusal: Option<&Refusal>,
) -> Response {
    let form = html! {
        p { "You are invited to operate this server: " (about) "." }
        form.form method="post" action={ "/invitation/" (token) } {
            @if let Some(error) = error_at(refusal, "email") {
                (parts::alert(Tone::Bad, error, &Markup::default()))
            }
            (name_field(&typed.name, error_at(refusal, "name")))
            (password_field("password", "Password", "new-password", PASSWORD_HINT, error_at(refusal, "password")))
            button.button.primary type="submit" { "Join" }
        }
    };
    finish(visitor, "Join this server", refusal, &form)
}

fn password_page(visitor: &Visitor, token: &str, refusal: Option<&Refusal>) -> Response {
    let form = html! {
        p { "With a new password you are signed out everywhere else." }
        form.form method="post" action={ "/new-password/" (token) } {
            (password_field("password", "New password", "new-password", PASSWORD_HINT, error_at(refusal, "password")))
            button.button.primary type="submit" { "Set the password" }
        }
    };
    finish(visitor, "New password", refusal, &form)
}

fn error_at<'a>(refusal: Option<&'a Refusal>, field: &str) -> Option<&'a str> {
    let refusal = refusal.filter(|refusal| refusal.field == field)?;
    Some(&refusal.message)
}

pub(super) fn name_field(value: &str, error: Option<&str>) -> Markup {
    let wrong = error.is_some();
    let input = html! {
        input id="name" name="name" type="text" value=(value) required maxlength="100" autocomplete="name"
            aria-describedby=[wrong.then_some("name-error")] aria-invalid=[wrong.then_some("true")];
    };
    parts::field("name", "Your name", "", error, &input)
}

fn email_field(value: &str, error: Option<&str>) -> Markup {
    let wrong = error.is_some();
    let input = html! {
        input id="email" name="email" type="email" value=(value) required autocomplete="username" spellcheck="false"
            aria-describedby=[wrong.then_some("email-error")] aria-invalid=[wrong.then_some("true")];
    };
    parts::field("email", "E-mail address", "", error, &input)
}

/// A password, which managers of passwords fill in by `autocomplete`.
pub(super) fn password_field(
    id: &str,
    label: &str,
    autocomplete: &str,
    hint: &str,
    error: Option<&str>,
) -> Markup {
    let wrong = error.is_some();
    let described = match (hint.is_empty(), wrong) {
        (true, false) => None,
        (true, true) => Some(format!("{id}-error")),
        (false, false) => Some(format!("{id}-hint")),
        (false, true) => Some(format!("{id}-hint {id}-error")),
    };
    let input = html! {
        span.reveal {
            input id=(id) name=(id) type="password" required autocomplete=(autocomplete) spellcheck="false"
                aria-describedby=[described] aria-invalid=[wrong.then_some("true")];
            button.button.small type="button" data-reveal=(id) aria-pressed="false" hidden { "Show" }
        }
    };
    parts::field(id, label, hint, error, &input)
}

fn next_query(next: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", next);
    query.finish()
}

fn finish(visitor: &Visitor, title: &str, refusal: Option<&Refusal>, body: &Markup) -> Response {
    let status = refusal.map_or(StatusCode::OK, |refusal| refusal.status);
    let mut response = alone(visitor, title, status, body);
    if let Some(seconds) = refusal.and_then(|refusal| refusal.seconds) {
        let value = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// A page without navigation.
fn alone(visitor: &Visitor, title: &str, status: StatusCode, body: &Markup) -> Response {
    let document = html! {
        main.alone id="main" {
            p.brand {
                img src=(assets::MARK.href()) alt="" width="28" height="28";
                span { "Jackfield" }
            }
            article.card.stack {
                h1 { (title) }
                (body)
            }
        }
    };
    let page = Page::new(title).status(status).body(document);
    page.render(&*visitor.desktop.services.entropy)
}
