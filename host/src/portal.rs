//! The pages of end customers: an account is connected, set up and mended here.
//!
//! Whoever has a connect link's address may use it, and nothing else tells who they are: no
//! cookie, so that the pages work in a frame. (A login at a provider sets one in its own window, so
//! that no other browser finishes it.) Every address begins with the link's token, and
//! `OpenLink` is the proof that it is good.

mod branding;
mod connection;
mod embed;
mod field;
mod form;
mod link;
mod list;
mod login;
mod mapping;
mod oauth;
mod page;
mod settings;
mod texts;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};

use crate::{http::Services, vault::Vault, web};

use form::Form;
pub(crate) use link::OpenLink;
pub(crate) use page::Look;
pub(crate) use texts::Texts;

/// All pages of end customers.
pub fn routes(_services: &Arc<Services>) -> Router<Arc<Services>> {
    let pages = Router::new()
        .merge(list::routes())
        .merge(login::routes())
        .merge(oauth::routes())
        .merge(connection::routes())
        .merge(settings::routes())
        .merge(mapping::routes())
        .merge(embed::routes())
        .merge(page::routes())
        .method_not_allowed_fallback(wrong_method);
    web::same_site(pages, || {
        page::sorry(Texts::preferred(""), StatusCode::FORBIDDEN)
    })
}

/// The answer at a path around the pages of links that leads nowhere; none where there are no
/// pages around, as at the API's own paths below `/connect`.
pub fn lost_page(parts: &Parts) -> Option<Response> {
    let mut path = parts.uri.path().split('/').skip(1);
    if path.next() != Some("connect") {
        return None;
    }
    match (path.next(), path.next()) {
        (None | Some(""), None) => Some(page::unknown(parts)),
        (Some(token), Some(_)) => to_start(token),
        _ => None,
    }
}

/// An address that only takes what a form sends was opened, so its link's first page is shown.
async fn wrong_method(request: Request) -> Response {
    let token = request.uri().path().split('/').nth(2).unwrap_or_default();
    let safe = request.method().is_safe();
    let start = to_start(token).filter(|_| safe);
    start.unwrap_or_else(|| StatusCode::METHOD_NOT_ALLOWED.into_response())
}

/// To the first page of a link, which says what became of it.
fn to_start(token: &str) -> Option<Response> {
    Vault::parse_link_token(token)?;
    Some(Redirect::to(&format!("/connect/{token}")).into_response())
}
