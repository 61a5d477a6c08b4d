//! Signing in with an account elsewhere, as the browser sees it.

use std::sync::Arc;

use axum::{Router, http::StatusCode, response::Response, routing::get};
use serde::Deserialize;

use super::{
    Desktop,
    desk::{Visitor, next_page, see_other, sentence, set_cookie},
    sign_in::welcome,
};
use crate::{
    access::{self, oidc::Answer},
    web::{self, Query},
};

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/sign-in/oidc", get(start))
        .route("/sign-in/oidc/callback", get(finish))
}

#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    next: Option<String>,
}

async fn start(visitor: Visitor, Query(next): Query<Next>) -> Result<Response, web::Error> {
    let next = next_page(next.next.as_deref());
    let started = visitor.desktop.access.start_elsewhere(next).await;
    let start = started.map_err(refused)?;
    let mut response = see_other(start.location.as_str());
    set_cookie(&mut response, &start.cookie);
    Ok(response)
}

#[derive(Deserialize)]
struct Returned {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

async fn finish(
    visitor: Visitor,
    Query(returned): Query<Returned>,
) -> Result<Response, web::Error> {
    let answer = Answer {
        state: &returned.state,
        code: returned.code.as_deref(),
        issuer: returned.iss.as_deref(),
        error: returned.error.as_deref(),
    };
    let access = &visitor.desktop.access;
    let finished = access.finish_elsewhere(&visitor.cookies, &answer, &visitor.place);
    let finish = finished.await.map_err(refused)?;
    let mut response = welcome(&visitor, &finish.new, next_page(Some(&finish.next))).await?;
    set_cookie(&mut response, &finish.clear);
    Ok(response)
}

fn refused(error: access::Error) -> web::Error {
    match error {
        access::Error::Elsewhere(_) => web::Error::new(
            StatusCode::FORBIDDEN,
            "You are not signed in",
            sentence(&error),
            "Try again, or sign in with a password.",
        )
        .leading_to("/sign-in", "To the sign-in page"),
        other => other.into(),
    }
}
