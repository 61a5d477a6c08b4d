//! People who operate this server. Owners invite, change and remove them.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Desk, Desktop, Section, desk::sentence};
use crate::{
    access,
    model::{EmailAddress, OperatorId, Role},
    store::{LinkPurpose, OperatorLink, OperatorRow},
    web::{
        self, Form, Page,
        parts::{self, Choice, Tone},
    },
};

const HERE: &str = "/dashboard/operators";

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route(HERE, get(show))
        .route("/dashboard/operators/invite", post(invite))
        .route("/dashboard/operators/withdraw", post(withdraw))
        .route("/dashboard/operators/{id}/role", post(set_role))
        .route(
            "/dashboard/operators/{id}/password-link",
            post(password_link),
        )
        .route("/dashboard/operators/{id}/remove", post(remove))
}

/// What a page shows beside the list.
#[derive(Default)]
struct Notice {
    /// A link that shows this once, and for what.
    link: Option<(String, String)>,
    /// What was typed into the invitation, and what is wrong with it.
    email: String,
    role: Option<Role>,
    error: Option<String>,
}

async fn show(desk: Desk) -> Result<Response, web::Error> {
    page(&desk, Notice::default()).await
}

#[derive(Debug, Deserialize)]
struct Invitation {
    email: String,
    role: String,
}

async fn invite(desk: Desk, Form(typed): Form<Invitation>) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let role = chosen(&typed.role)?;
    let again = |error| Notice {
        email: typed.email.clone(),
        role: Some(role),
        error: Some(error),
        ..Notice::default()
    };
    let Ok(email) = typed.email.parse::<EmailAddress>() else {
        let text = "An e-mail address looks like name@example.com.".to_owned();
        return page(&desk, again(text)).await;
    };
    match desk.access.invite(&desk.actor(), email.clone(), role).await {
        Ok(link) => {
            let title = format!(
                "Send this link to {email}. It is shown this once, works once, and for three days."
            );
            let link = Some((title, link.expose().to_owned()));
            page(
                &desk,
                Notice {
                    link,
                    ..Notice::default()
                },
            )
            .await
        }
        Err(error @ access::Error::Taken) => page(&desk, again(sentence(&error))).await,
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, Deserialize)]
struct Withdrawn {
    email: String,
}

async fn withdraw(desk: Desk, Form(typed): Form<Withdrawn>) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let gone = || web::Error::not_found("There is no such invitation (any more).");
    let email: EmailAddress = typed.email.parse().map_err(|_| gone())?;
    match desk.access.withdraw(&desk.actor(), &email).await {
        Ok(()) => Ok(desk.done("The invitation was taken back.", HERE)),
        Err(access::Error::Missing) => Err(gone()),
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, Deserialize)]
struct NewRole {
    role: String,
}

async fn set_role(
    desk: Desk,
    Path(id): Path<OperatorId>,
    Form(typed): Form<NewRole>,
) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let role = chosen(&typed.role)?;
    desk.access.set_role(&desk.actor(), id, role).await?;
    Ok(desk.done("The role was changed. It counts at once.", HERE))
}

async fn password_link(desk: Desk, Path(id): Path<OperatorId>) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let operator = desk.access.operator(id).await?.operator;
    let link = desk.access.password_link(&desk.actor(), id).await?;
    let title = format!(
        "With this link {} chooses a new password. It is shown this once, works once, and for three days.",
        operator.email
    );
    let link = Some((title, link.expose().to_owned()));
    page(
        &desk,
        Notice {
            link,
            ..Notice::default()
        },
    )
    .await
}

async fn remove(desk: Desk, Path(id): Path<OperatorId>) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    desk.access.remove(&desk.actor(), id).await?;
    Ok(desk.done(
        "The operator was removed and is signed out everywhere.",
        HERE,
    ))
}

fn chosen(role: &str) -> Result<Role, web::Error> {
    Role::parse(role).ok_or_else(|| web::Error::invalid("There is no such role."))
}

async fn page(desk: &Desk, notice: Notice) -> Result<Response, web::Error> {
    let operators = desk.access.operators().await?;
    let invitations = desk.access.invitations().await?;
    let owner = desk.is(Role::Owner);
    let mut columns = vec![
        "Name",
        "E-mail address",
        "Role",
        "Signs in with",
        "Last sign-in",
    ];
    if owner {
        columns.push("Actions");
    }
    let body = html! {
        @if let Some((title, link)) = &notice.link {
            (parts::alert(Tone::Good, title, &parts::copyable(link)))
        }
        (parts::table("Operators", &columns, &rows(&operators, desk)))
        @if owner {
            section.card {
                h2 { "Invite somebody" }
                p.muted { "This server sends no mail: you get a link to pass on." }
                (invitation_form(&notice))
            }
        }
        @if !invitations.is_empty() {
            section {
                h2 { "Open invitations" }
                (invitation_list(&invitations, owner))
            }
        }
        section {
            h2 { "What each role may do" }
            dl.facts {
                @for role in Role::ALL { div { dt { (role) } dd { (role.describe()) } } }
            }
        }
    };
    let status = match notice.error {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let document = Page::new("Operators").status(status);
    Ok(desk.page_with(document, Section::Operators, body))
}

fn rows(operators: &[OperatorRow], desk: &Desk) -> Markup {
    let owner = desk.is(Role::Owner);
    html! {
        @for row in operators {
            @let operator = &row.operator;
            @let at = format!("{HERE}/{}", operator.id);
            tr {
                td {
                    (operator.name)
                    @if operator.id == desk.operator.id { " " (parts::badge(Tone::Info, "you")) }
                }
                td { (operator.email) }
                td {
                    @if owner { (role_form(&at, row, operator.id == desk.operator.id)) }
                    @else { (operator.role) }
                }
                td { (ways(row)) }
                td.nowrap {
                    @match row.last_sign_in_at {
                        Some(at) => (parts::time(at)),
                        None => span.muted { "never" },
                    }
                }
                @if owner {
                    td {
                        div.row {
                            (parts::post_button(&format!("{at}/password-link"), "New password…", Tone::Neutral,
                                Some(&format!("Make a link with which {} chooses a new password?", operator.email))))
                            (parts::post_button(&format!("{at}/remove"), "Remove", Tone::Bad,
                                Some(&format!("Remove {} and sign them out everywhere?", operator.email))))
                        }
                    }
                }
            }
        }
    }
}

fn ways(row: &OperatorRow) -> &'static str {
    match (row.has_password, row.has_subject) {
        (true, true) => "password, or elsewhere",
        (true, false) => "password",
        (false, true) => "elsewhere",
        (false, false) if row.last_sign_in_at.is_some() => "a link of this server",
        (false, false) => "nothing yet",
    }
}

fn role_form(at: &str, row: &OperatorRow, is_own: bool) -> Markup {
    let confirm = "Change your own role? As a developer or viewer you cannot change it back: another owner has to.";
    let id = format!("role-{}", row.operator.id);
    html! {
        form.row method="post" action={ (at) "/role" } data-confirm=[is_own.then_some(confirm)] {
            label.visually-hidden for=(id) { "Role of " (row.operator.email) }
            select.grow id=(id) name="role" {
                @for role in Role::ALL {
                    option value=(role) selected[role == row.operator.role] { (role) }
                }
            }
            button.button.small type="submit" { "Change" }
        }
    }
}

fn invitation_form(notice: &Notice) -> Markup {
    let error = notice.error.as_deref();
    let choices = Role::ALL.map(|role| Choice::new(role.as_str(), role.as_str()));
    let role = notice.role.unwrap_or(Role::Viewer);
    let email = parts::input("email", "email", &notice.email, true, error.is_some());
    let role = parts::select("role", &choices, role.as_str(), false);
    html! {
        form.form method="post" action="/dashboard/operators/invite" {
            (parts::field("email", "E-mail address", "What the operator signs in with.", error, &email))
            (parts::field("role", "Role", "It can be changed at any time.", None, &role))
            button.button.primary type="submit" { "Make a link" }
        }
    }
}

fn invitation_list(invitations: &[OperatorLink], owner: bool) -> Markup {
    let mut columns = vec!["E-mail address", "Role", "Invited", "Works until"];
    if owner {
        columns.push("Actions");
    }
    let rows = html! {
        @for link in invitations {
            @if let LinkPurpose::Invitation { email, role } = &link.purpose {
                tr {
                    td { (email) }
                    td { (role) }
                    td { (parts::time(link.created_at)) }
                    td { (parts::time(link.expires_at)) }
                    @if owner {
                        td {
                            (parts::post_button_with("/dashboard/operators/withdraw", "Take back", Tone::Bad,
                                Some("Take this invitation back? Its link stops working."),
                                &[("email", email.as_str())]))
                        }
                    }
                }
            }
        }
    };
    parts::table("Open invitations", &columns, &rows)
}
