//! The pages of operators: whether all is well, and why not.
//!
//! A page asks the same use cases and the same store as the API. Each file is a section with its
//! routes; `shell` is what stands around all of them.

mod account;
mod address;
mod api_keys;
mod audit_log;
mod board;
mod conflicts;
mod connections;
mod connectors;
mod deliveries;
mod desk;
mod diagnosis;
mod elsewhere;
mod events;
mod failures;
mod field_mappings;
mod home;
mod linked_users;
mod marketplace;
mod multipart;
mod oauth_apps;
mod operators;
mod overview;
mod records;
mod runs;
mod section;
mod settings;
mod shell;
mod sign_in;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, Uri, request::Parts},
    response::{IntoResponse as _, Response},
};

use crate::{access::Access, http::Services, web};

pub(crate) use desk::{Desk, ProjectDesk};
pub(crate) use section::Section;

/// What the pages use.
#[derive(Clone, Debug)]
pub(crate) struct Desktop {
    /// What the API uses.
    pub(crate) services: Arc<Services>,
    /// Who may see them.
    pub(crate) access: Access,
}

/// All pages of operators.
pub fn routes(services: &Arc<Services>, access: Access) -> Router<Arc<Services>> {
    let state = Arc::new(Desktop {
        services: Arc::clone(services),
        access,
    });
    let pages = Router::new()
        .merge(sign_in::routes())
        .merge(elsewhere::routes())
        .merge(home::routes())
        .merge(operators::routes())
        .merge(audit_log::routes())
        .merge(account::routes())
        .merge(connectors::routes())
        .merge(marketplace::routes())
        .merge(api_keys::routes())
        .merge(oauth_apps::routes())
        .merge(settings::routes())
        .merge(overview::routes())
        .merge(runs::routes())
        .merge(failures::routes())
        .merge(conflicts::routes())
        .merge(records::routes())
        .merge(connections::routes())
        .merge(linked_users::routes())
        .merge(field_mappings::routes())
        .merge(webhooks::routes())
        .merge(deliveries::routes())
        .merge(events::routes())
        .merge(diagnosis::routes())
        .method_not_allowed_fallback(wrong_method);
    web::same_site(pages, from_elsewhere).with_state(state)
}

/// The answer at a path around the pages that leads nowhere; none where there are no pages around.
/// A slash too many leads to the page without it.
pub fn lost_page(parts: &Parts) -> Option<Response> {
    let path = parts.uri.path();
    let first = path.split('/').nth(1)?;
    if !FIRST.contains(&first) {
        return None;
    }
    let shorter = path.trim_end_matches('/');
    if parts.method.is_safe() && shorter.len() < path.len() {
        let query = parts.uri.query();
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        return Some(desk::see_other(&format!("{shorter}{query}")));
    }
    let error = web::Error::not_found("There is no page at this address.");
    Some(error.into_response())
}

/// What the paths of the pages begin with.
const FIRST: [&str; 5] = [
    "dashboard",
    "sign-in",
    "set-up",
    "invitation",
    "new-password",
];

/// An address that only takes what a form sends was opened: typed, reloaded, or after a sign-in.
async fn wrong_method(uri: Uri) -> web::Error {
    web::Error::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not a page",
        format!(
            "{} takes what a form sends, and has no page of its own.",
            uri.path()
        ),
        "Go to the page with the form, and send it again if it has to be. Nothing was changed.",
    )
}

fn from_elsewhere() -> Response {
    let error = web::Error::new(
        StatusCode::FORBIDDEN,
        "Not sent from here",
        "This form was sent from a page of another site, so it was refused.",
        "If it was a page of this server: a proxy in front of it changes the header Host or Origin, \
         and has to leave both as they are. Whoever runs the server can mend that.",
    );
    error.into_response()
}
