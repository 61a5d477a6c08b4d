//! What an owner decides of a connector.

use axum::{extract::Path, response::Response};
use serde::Deserialize;

use super::{HOME, parse_slug, unknown};
use crate::{
    dashboard::Desk,
    market::Decision,
    model::{Digest, Role},
    web::{self, Form},
};

/// What the buttons send beside the decision.
#[derive(Deserialize)]
pub(super) struct Fields {
    /// The hash of the permissions that were looked at.
    #[serde(default)]
    permission_hash: Option<String>,
    /// A version or a digest.
    #[serde(default)]
    to: Option<String>,
}

pub(super) async fn decide(
    desk: Desk,
    Path((slug, word)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let slug = parse_slug(&slug)?;
    let (decision, done) = match word.as_str() {
        "grant" => {
            let hash = fields.permission_hash.as_deref().and_then(Digest::parse);
            let hash = hash.ok_or_else(|| {
                web::Error::invalid("The form does not say which permissions were looked at.")
            })?;
            let done = "was granted what it asks for; the version that waited serves in a moment.";
            (Decision::Grant(Some(hash)), done)
        }
        "refuse" => (
            Decision::Refuse,
            "was refused what it asks for; the version that served goes on.",
        ),
        "revoke" => (
            Decision::Revoke,
            "has no grants any more and does not serve.",
        ),
        "disable" => (Decision::Disable, "is disabled on all servers."),
        "enable" => (Decision::Enable, "is enabled again."),
        "roll-back" => (
            Decision::RollBack(fields.to.clone()),
            "goes back to the earlier version.",
        ),
        "uninstall" => (Decision::Uninstall, "is uninstalled."),
        _ => return Err(web::Error::not_found("There is no such action.")),
    };
    let services = &desk.services;
    if services.market.book(&slug).await?.is_none() {
        return Err(unknown(slug.as_str()));
    }
    let actor = desk.actor();
    services.market.decide(&slug, decision, &actor).await?;
    services.runtime.look_soon();
    let message = format!("{slug} {done}");
    Ok(desk.done(&message, &format!("{HOME}/{slug}")))
}
