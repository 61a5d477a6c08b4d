//! The table of routes.

mod about;
mod connect;
mod connections;
mod connectors;
mod events;
mod linked_users;
mod oauth;
mod objects;
mod projects;
mod sync;

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, Uri, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Serialize;

use super::{
    Services,
    error::{Code, Error},
};

/// All routes. What is neither here nor a unified object does not exist.
pub(super) fn all() -> Router<Arc<Services>> {
    Router::new()
        .route("/", get(about::greeting))
        .route("/health", get(about::health))
        .route("/healthz", get(about::alive))
        .route("/readyz", get(about::ready))
        .route("/metrics", get(about::metrics))
        .route("/errors", get(about::errors))
        .route("/errors/{code}", get(about::error))
        .route("/projects", get(projects::list).post(projects::create))
        .route(
            "/linked_users",
            get(linked_users::list).post(linked_users::create),
        )
        .route("/linked_users/batch", post(linked_users::create_batch))
        .route("/linked_users/fromRemoteId", get(linked_users::by_origin))
        .route("/linked_users/{id}", get(linked_users::get))
        .route("/connections", get(connections::list).post(connect::create))
        .route(
            "/connections/{id}",
            get(connections::get).delete(connections::delete),
        )
        .route("/connections/oauth/start", post(oauth::start))
        .route("/connections/oauth/callback", get(oauth::callback))
        .route(
            "/connections/basicorapikey/callback",
            post(connect::callback),
        )
        .route("/connections/apikey/callback", post(connect::callback))
        .route("/connectors", get(connectors::list))
        .route("/connectors/{slug}", get(connectors::get))
        .route("/events", get(events::list))
        .route("/sync/resync", post(sync::resync))
        .route("/sync/status/{vertical}", get(sync::status))
        .route(
            "/{vertical}/{objects}",
            get(objects::list).post(objects::create),
        )
        .route(
            "/{vertical}/{objects}/{id}",
            get(objects::get)
                .patch(objects::update)
                .delete(objects::delete),
        )
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

async fn not_found(uri: Uri) -> Error {
    let detail = format!("There is nothing at {}.", uri.path());
    Error::new(Code::RouteNotFound, detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Error {
    let detail = format!("{method} is not possible at {}.", uri.path());
    Error::new(Code::MethodNotAllowed, detail)
}

/// JSON text that is whole already.
fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A value as JSON.
fn json<T: Serialize>(value: &T) -> Result<Response, Error> {
    let text = serde_json::to_string(value).map_err(|error| Error::internal(&error))?;
    Ok(json_text(text))
}
