//! `/dashboard` itself: on to the project that was looked at last.

use std::sync::Arc;

use axum::{Router, response::Response, routing::get};

use super::{
    Desk, Desktop, Section,
    desk::{HOME, see_other},
};
use crate::{model::Role, web::parts};

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new().route(HOME, get(home))
}

async fn home(desk: Desk) -> Response {
    if let Some(project) = desk.last_project() {
        return see_other(&format!("{HOME}/{}", project.id));
    }
    let action = desk
        .is(Role::Developer)
        .then_some(("New project", "/dashboard/new-project"));
    let text = "A project is the space of one application: its connections, records and keys. Without one there is nothing to show.";
    let body = parts::empty("There is no project yet", text, action);
    desk.page(Section::Overview, "Welcome", body)
}
