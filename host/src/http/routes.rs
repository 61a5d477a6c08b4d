//! The table of routes.

mod about;
mod audit;
mod changes;
mod conflicts;
mod connect;
mod connect_links;
mod connection_settings;
mod connections;
mod connectors;
mod custom_fields;
mod deliveries;
mod diagnosis;
mod docs;
mod events;
mod exchanges;
mod field_mappings;
mod inbound;
mod linked_users;
mod lists;
mod marketplace;
mod not_offered;
mod oauth;
mod oauth_apps;
mod objects;
mod passthrough;
mod projects;
mod pull_frequencies;
mod rate_limits;
mod records;
mod sync;
mod sync_failures;
mod sync_runs;
mod syncs;
mod webhooks;

pub use inbound::InboundRate;
pub use sync_runs::Watches;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{Method, Uri, header},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{
    LostPage, Services,
    error::{Code, Error},
    operation::Operation,
};

/// All operations, in the order of the document. What is neither here nor a unified object does
/// not exist.
pub(super) fn operations() -> Vec<Operation> {
    let files = [
        about::operations(),
        docs::operations(),
        projects::operations(),
        audit::operations(),
        linked_users::operations(),
        connections::operations(),
        connection_settings::operations(),
        exchanges::operations(),
        rate_limits::operations(),
        connect::operations(),
        oauth::operations(),
        oauth_apps::operations(),
        connect_links::operations(),
        connectors::operations(),
        marketplace::operations(),
        inbound::operations(),
        events::operations(),
        webhooks::operations(),
        deliveries::operations(),
        sync::operations(),
        syncs::operations(),
        sync_runs::operations(),
        sync_failures::operations(),
        diagnosis::operations(),
        changes::operations(),
        conflicts::operations(),
        records::operations(),
        pull_frequencies::operations(),
        not_offered::operations(),
        custom_fields::operations(),
        field_mappings::operations(),
        passthrough::operations(),
        objects::operations(),
    ];
    files.into_iter().flatten().collect()
}

/// The router made of them.
pub(super) fn all(lost_page: LostPage) -> Router<Arc<Services>> {
    operations()
        .into_iter()
        .fold(Router::new(), |router, operation| operation.mount(router))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(move |request: Request, next: Next| async move {
            // The paths of objects have three free parts, so some of lost pages are among them.
            let (parts, body) = request.into_parts();
            match lost_page(&parts) {
                Some(page) => page,
                None => next.run(Request::from_parts(parts, body)).await,
            }
        }))
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
