//! What a connection's provider allows, and what is left of it.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{connections, json};
use crate::{
    http::{
        Services,
        caller::Caller,
        error::{Code, Error},
        operation::Operation,
    },
    unify::BucketState,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/connections/{id}/rate-limits", get)
            .id("retrieveConnectionRateLimits")
            .tag("Connections")
            .summary("What the provider allows this connection, and what is left.")
            .path::<Uuid>("id", "The `id_connection`.")
            .gives::<RateLimitsBody>(200, "The buckets of the connector's manifest.")
            .fails(&[Code::ConnectionNotFound]),
    ]
}

/// Requests that a provider allows. All reads, writes, syncs and passed-through requests of a
/// connection, on every server of the database, take from the same buckets.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RateLimits")]
struct RateLimitsBody {
    /// Until when syncs wait because the provider said so, where no bucket counts its requests.
    #[schemars(extend("format" = "date-time"))]
    held_until: Option<String>,
    /// None where the connector does not say what its provider allows.
    buckets: Vec<BucketBody>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RateLimitBucket")]
struct BucketBody {
    #[schemars(example = &"search")]
    name: String,
    /// Who shares it: this connection alone, all of the provider's account, or all of the
    /// connector's.
    #[schemars(extend("enum" = ["connection", "account", "app"]))]
    scope: &'static str,
    /// Requests in a window: the provider's own number, where it gives one.
    limit: u64,
    /// Length of the window.
    seconds: u32,
    /// How many are left. What a server has taken in stock counts as used.
    remaining: u64,
    /// How many of a window only those requests get for which somebody waits.
    reserved: u64,
    /// When the window ends; null where none has begun.
    #[schemars(extend("format" = "date-time"))]
    resets_at: Option<String>,
    /// Until when the provider wants to hear nothing.
    #[schemars(extend("format" = "date-time"))]
    blocked_until: Option<String>,
}

async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let scope = connections::scope(&services, caller.project.id, &id).await?;
    let state = services.unify.rate_limits(&scope).await?;
    json(&RateLimitsBody {
        held_until: state.held_until.map(|time| time.to_string()),
        buckets: state.buckets.into_iter().map(body).collect(),
    })
}

fn body(state: BucketState) -> BucketBody {
    BucketBody {
        name: state.name,
        scope: state.scope.as_str(),
        limit: state.limit,
        seconds: state.seconds,
        remaining: state.remaining,
        reserved: state.reserved,
        resets_at: state.resets_at.map(|time| time.to_string()),
        blocked_until: state.blocked_until.map(|time| time.to_string()),
    }
}
