//! Customers of the integrator, and what they connected.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;

use super::{
    Desktop, ProjectDesk, Section,
    address::{address, chosen},
    board, connections,
};
use crate::{
    model::{ConnectionId, LinkedUser, LinkedUserId, NewConnectLink, Role, Timestamp},
    store::{self, ConnectionFilter},
    unify::LinkDraft,
    web::{
        self, Form, Page, Query,
        parts::{self, Tone},
    },
};

const ROWS: u32 = 50;
const HERE: &str = "/dashboard/{project}/linked-users";
/// Bytes of an origin id, and of an alias.
const MAX_TEXT: usize = 255;

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route(HERE, get(list).post(create))
        .route("/dashboard/{project}/linked-users/{id}", get(show))
        .route(
            "/dashboard/{project}/linked-users/{id}/link",
            post(make_link),
        )
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    text: String,
    after: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    origin_id: String,
    alias: String,
}

async fn list(desk: ProjectDesk, Query(asked): Query<Asked>) -> Result<Response, web::Error> {
    page(&desk, &asked, &Typed::default(), None).await
}

async fn create(desk: ProjectDesk, Form(typed): Form<Typed>) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let origin = typed.origin_id.trim();
    let alias = chosen(&typed.alias).unwrap_or(origin);
    let problem = if origin.is_empty() || origin.len() > MAX_TEXT || alias.len() > MAX_TEXT {
        format!("Type an id of 1 to {MAX_TEXT} bytes; a name may have as many.")
    } else if origin.contains('\0') || alias.contains('\0') {
        "There is a character in it that cannot be kept.".to_owned()
    } else {
        let store = &desk.services.store;
        match store
            .create_linked_user(desk.project.id, origin, alias)
            .await
        {
            Ok(user) => {
                let details = json!({ "origin_id": user.origin_id });
                desk.audit("linked_user.create", user.id, details).await?;
                let href = desk.href(&format!("/linked-users/{}", user.id));
                let message = "The linked user was made. Now make a connect link.";
                return Ok(desk.done(message, &href));
            }
            Err(store::Error::Conflict(_)) => {
                "There is a linked user with this id already.".to_owned()
            }
            Err(error) => return Err(error.into()),
        }
    };
    page(&desk, &Asked::default(), &typed, Some(&problem)).await
}

async fn page(
    desk: &ProjectDesk,
    asked: &Asked,
    typed: &Typed,
    problem: Option<&str>,
) -> Result<Response, web::Error> {
    let here = desk.href("/linked-users");
    let after = board::word(&asked.after, board::PLACE, |text| {
        let (at, id) = text.split_once('.')?;
        let at = at.parse().ok().map(Timestamp::from_millis)?;
        Some((at, id.parse::<LinkedUserId>().ok()?))
    })?;
    let store = &desk.services.store;
    let text = chosen(&asked.text);
    let mut rows = store
        .linked_user_page(desk.project.id, text, after, ROWS + 1)
        .await?;
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let page = |after: &str| address(&here, &[("text", asked.text.as_str()), ("after", after)]);
    let next = rows.last().filter(|_| more).map(|row| {
        let user = &row.linked_user;
        page(&format!("{}.{}", user.created_at.as_millis(), user.id))
    });
    let first = (!asked.after.is_empty()).then(|| page(""));
    let search = parts::input("text", "search", &asked.text, false, false);
    let columns = ["Name", "Your id", "Connections", "Made"];
    let table = html! {
        @for row in &rows {
            @let user = &row.linked_user;
            tr {
                th scope="row" { a href=(desk.href(&format!("/linked-users/{}", user.id))) { (user.alias) } }
                td.mono { (user.origin_id) }
                td {
                    (row.connections) " "
                    @if row.broken > 0 {
                        (parts::badge(Tone::Bad, &connections::plural(row.broken, "needs a new login", "need a new login")))
                    }
                }
                td { (parts::time(user.created_at)) }
            }
        }
    };
    let body = html! {
        form.form.filter method="get" action=(here) role="search" {
            (parts::field("text", "Search", "Your id of the customer, the name or e-mail address you gave, or our id", None, &search))
            button.button type="submit" { "Search" }
        }
        @if rows.is_empty() && text.is_some() {
            (parts::empty("Nothing fits", "No linked user is like that.", Some(("Show all linked users", &here))))
        } @else if rows.is_empty() {
            (parts::empty("No linked users yet", "A linked user is one of your customers. Make one here or with POST /linked_users; then send a connect link.", None))
        } @else {
            (parts::table("Linked users", &columns, &table))
        }
        (parts::pager(next.as_deref(), first.as_deref()))
        @if desk.is(Role::Developer) {
            section.card {
                h2 { "New linked user" }
                form.form method="post" action=(here) {
                    (parts::field("origin_id", "Your id of the customer", "What your application calls it", problem,
                        &parts::input("origin_id", "text", &typed.origin_id, true, problem.is_some())))
                    (parts::field("alias", "Name", "For people; your id where it is empty", None,
                        &parts::input("alias", "text", &typed.alias, false, false)))
                    button.button.primary type="submit" { "Make" }
                }
            }
        }
    };
    let status = match problem {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let document = Page::new("Linked users").status(status);
    Ok(desk.page_with(document, Section::LinkedUsers, body))
}

async fn show(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, web::Error> {
    let user = found(&desk, &id).await?;
    one(&desk, &user, None).await
}

async fn make_link(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let user = found(&desk, &id).await?;
    let link = link(&desk, user.id, None).await?;
    one(&desk, &user, Some(&link)).await
}

/// Makes a connect link and shows it, which can be done this once.
pub(super) async fn link(
    desk: &ProjectDesk,
    user: LinkedUserId,
    connection: Option<ConnectionId>,
) -> Result<Markup, web::Error> {
    let draft = LinkDraft {
        what: NewConnectLink {
            linked_user: user,
            connectors: Vec::new(),
            vertical: None,
            return_url: None,
            language: None,
            connection,
            email: None,
        },
        life: None,
    };
    let made = desk.services.unify.create_link(desk.project.id, draft);
    let (link, token) = made.await?;
    let details = json!({ "linked_user": user });
    desk.audit("connect_link.create", link.id, details).await?;
    let url = desk.services.connect_url(token.expose_secret());
    Ok(html! {
        (parts::copyable(url.as_str()))
        p { "It is shown this once, and works until " (parts::time(link.expires_at)) "." }
    })
}

async fn one(
    desk: &ProjectDesk,
    user: &LinkedUser,
    link: Option<&Markup>,
) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    let filter = ConnectionFilter {
        linked_user: Some(user.id),
        limit: ROWS + 1,
        ..ConnectionFilter::default()
    };
    let mut rows = store.connection_page(desk.project.id, &filter).await?;
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let id = user.id.to_string();
    let all = address(&desk.href("/connections"), &[("user", &id)]);
    let mappings = address(&desk.href("/field-mappings"), &[("user", &id)]);
    let here = desk.href(&format!("/linked-users/{id}"));
    let body = html! {
        @if let Some(link) = link { (parts::alert(Tone::Good, "Send this link to the customer", link)) }
        section.card {
            h2 { "Customer" }
            (parts::definition(&[
                ("Your id", html! { span.mono { (user.origin_id) } }),
                ("Made", parts::time(user.created_at)),
                ("Id", parts::copyable(&id)),
            ]))
            div.row {
                @if desk.is(Role::Developer) {
                    (parts::post_button(&format!("{here}/link"), "Make a connect link", Tone::Info, None))
                }
                a.button href=(mappings) { "Field mappings" }
            }
        }
        section.card {
            h2 { "Connections" }
            @if rows.is_empty() {
                (parts::empty("Nothing connected yet", "Make a connect link and send it to the customer: on its page accounts are connected.", None))
            } @else { (connections::table(desk, &rows)) }
            @if more { p { a href=(all) { "All connections of this linked user" } } }
        }
    };
    Ok(desk.page(Section::LinkedUsers, &user.alias, body))
}

async fn found(desk: &ProjectDesk, id: &str) -> Result<LinkedUser, web::Error> {
    let user = match id.parse() {
        Ok(id) => desk.services.store.linked_user(desk.project.id, id).await?,
        Err(_) => None,
    };
    user.ok_or_else(|| web::Error::not_found("This project has no such linked user."))
}
