//! The pages of end customers: an account is connected, set up and mended here.

use std::sync::Arc;

use axum::Router;

use crate::http::Services;

/// All pages of end customers.
pub fn routes(_services: &Arc<Services>) -> Router<Arc<Services>> {
    Router::new()
}
