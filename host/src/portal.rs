//! The pages of end customers: an account is connected, set up and mended here.
//!
//! Whoever has a connect link's address may use it, and nothing else tells who they are: no
//! cookie, so that the pages work in a frame. Every address begins with the link's token, and
//! `OpenLink` is the proof that it is good.

mod branding;
mod connection;
mod embed;
mod field;
mod link;
mod list;
mod login;
mod mapping;
mod oauth;
mod page;
mod settings;
mod texts;

use std::sync::Arc;

use axum::Router;

use crate::{http::Services, web};

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
        .merge(page::routes());
    web::same_site(pages)
}
