//! The connectors of this server: what they do, what they may reach, how they stand.

pub(super) mod consent;

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::json;
use crate::{
    http::{
        Services,
        caller::Audience,
        error::{Code, Error},
        operation::Operation,
        query::Query,
    },
    model::Slug,
    runtime::{ConnectorStatus, Described},
};

pub(super) fn operations() -> Vec<Operation> {
    let mut all = vec![
        Operation::get("/connectors", list)
            .id("listConnectors")
            .tag("Connectors")
            .summary("All connectors of this server.")
            .query::<String>("vertical", "Only those with objects of this vertical.")
            .query::<String>(
                "object",
                "Only those that serve this object, such as `crm.contact`.",
            )
            .query::<String>(
                "auth",
                "Only those with a way to log in of this type, such as `oauth2_code`.",
            )
            .gives::<Vec<ConnectorStatus>>(200, "The connectors."),
        Operation::get("/connectors/{slug}", get)
            .id("retrieveConnector")
            .tag("Connectors")
            .summary("One connector: objects, fields, ways to log in, permissions, versions.")
            .path::<String>("slug", "Its name in URLs, such as `hubspot`.")
            .gives::<ConnectorStatus>(200, "The connector.")
            .fails(&[Code::ConnectorNotFound]),
    ];
    all.extend(consent::operations());
    all
}

/// What is wanted of a connector.
#[derive(Default)]
pub(super) struct Filter {
    vertical: Option<String>,
    object: Option<String>,
    auth: Option<String>,
}

impl Filter {
    fn takes(&self, connector: &ConnectorStatus) -> bool {
        let holds = |wanted: &Option<String>, has: fn(&Described, &str) -> bool| {
            wanted.as_deref().is_none_or(|wanted| {
                connector
                    .described
                    .as_ref()
                    .is_some_and(|described| has(described, wanted))
            })
        };
        holds(&self.vertical, Described::has_vertical)
            && holds(&self.object, Described::has_object)
            && holds(&self.auth, Described::has_auth)
    }
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    _: Audience,
    query: Query,
) -> Result<Response, Error> {
    let wanted = |name| query.get(name).map(ToOwned::to_owned);
    let filter = Filter {
        vertical: wanted("vertical"),
        object: wanted("object"),
        auth: wanted("auth"),
    };
    let mut connectors = services.runtime.catalogue();
    connectors.retain(|connector| filter.takes(connector));
    json(&connectors)
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    _: Audience,
    Path(slug): Path<String>,
) -> Result<Response, Error> {
    let found = parse_slug(&slug)?;
    let status = services.runtime.status(&found);
    json(&status.ok_or_else(|| unknown(&slug))?)
}

fn parse_slug(slug: &str) -> Result<Slug, Error> {
    slug.parse().map_err(|_| unknown(slug))
}

fn unknown(slug: &str) -> Error {
    let slug: String = slug.chars().take(80).collect();
    let detail = format!("There is no connector {slug:?}.");
    Error::new(Code::ConnectorNotFound, detail)
}
