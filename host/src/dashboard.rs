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

use axum::Router;

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
        .merge(diagnosis::routes());
    web::same_site(pages).with_state(state)
}
