//! The connectors of this server: what they do, what they may reach, how they stand.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::json;
use crate::{
    http::{
        Services,
        caller::Caller,
        error::{Code, Error},
        operation::Operation,
    },
    model::Slug,
    runtime::ConnectorStatus,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/connectors", list)
            .id("listConnectors")
            .tag("Connectors")
            .summary("All connectors of this server.")
            .gives::<Vec<ConnectorStatus>>(200, "The connectors."),
        Operation::get("/connectors/{slug}", get)
            .id("retrieveConnector")
            .tag("Connectors")
            .summary("One connector: objects, fields, ways to log in, permissions, versions.")
            .path::<String>("slug", "Its name in URLs, such as `hubspot`.")
            .gives::<ConnectorStatus>(200, "The connector.")
            .fails(&[Code::ConnectorNotFound]),
    ]
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    _: Caller,
) -> Result<Response, Error> {
    json(&services.runtime.catalogue())
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    _: Caller,
    Path(slug): Path<String>,
) -> Result<Response, Error> {
    let status = slug
        .parse::<Slug>()
        .ok()
        .and_then(|slug| services.runtime.status(&slug))
        .ok_or_else(|| {
            let slug: String = slug.chars().take(80).collect();
            let detail = format!("There is no connector {slug:?}.");
            Error::new(Code::ConnectorNotFound, detail)
        })?;
    json(&status)
}
