//! What all pages share: the document and its policy, its parts, files, forms and errors.
//!
//! Pages are HTML made on the server. They load nothing from another origin, hold no inline
//! script, and work without JavaScript wherever a form or a link can do it.

pub mod assets;
mod error;
mod form;
pub mod markdown;
mod page;
pub mod parts;

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tracing::warn;

pub use error::Error;
pub use form::{Form, Query};
pub use page::{Page, fragment};

use crate::http::Services;

/// The files of pages.
pub fn routes() -> Router<Arc<Services>> {
    Router::new().route("/assets/{name}", get(file))
}

/// Refuses what another site makes a browser send, with the page that `refused` makes.
///
/// Every request but reads must come from a page of this server, which browsers tell in
/// `Sec-Fetch-Site` and `Origin`. So forms need no tokens.
pub fn same_site<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    refused: fn() -> Response,
) -> Router<S> {
    routes.layer(
        CsrfLayer::new().with_rejection_response(move |error: ProtectionError| {
            warn!(
                reason = %error,
                "a form was refused: it was sent from a page of another site, or a proxy changes the headers Host or Origin"
            );
            refused()
        }),
    )
}

/// Addresses of files name their content, so they never change and may be kept for ever.
async fn file(Path(name): Path<String>) -> Response {
    let Some(asset) = assets::ALL.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
    ];
    (headers, asset.bytes).into_response()
}
