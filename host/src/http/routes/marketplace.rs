//! Connectors that could be installed: what the configured indexes list.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    connectors::consent::{OfferBody, offered},
    json,
    lists::limit,
};
use crate::{
    http::{
        Services,
        body::OptionalJson,
        caller::{Audience, Operator},
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    market::{Listed, OnShelf, ShelfFilter},
    model::{DEFAULT_LIMIT, MAX_LIMIT, Slug, consent::Wanted},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/marketplace", list)
            .id("listMarketplace")
            .tag("Connectors")
            .summary("Connectors that the marketplace's indexes list, by name.")
            .query::<String>("q", "Only those with this word in name or description.")
            .query::<String>("vertical", "Only those with objects of this vertical.")
            .parameter(
                Parameter::query::<String>("state", "Only those that stand so.")
                    .rule("enum", vec!["available", "installed", "updatable"]),
            )
            .query::<String>("cursor", "From where: `next_cursor` of another page.")
            .parameter(limit())
            .gives::<PageBody>(200, "A page."),
        Operation::post("/marketplace/{slug}/install", install)
            .id("installFromMarketplace")
            .tag("Connectors")
            .summary("Install a connector that an index lists, or update it.")
            .describe("Needs an operator's key. With `dry_run`, or without `consent`, nothing is installed: the answer shows what the connector asks for, and the hash to consent with. The file has to be what the index says, signature included. Once installed, it serves on all servers of the database.")
            .path::<String>("slug", "Its name in URLs, such as `hubspot`.")
            .takes_optional::<Install>()
            .gives::<OfferBody>(200, "What it asks for, and whether it is installed.")
            .fails(&[
                Code::OperatorRequired,
                Code::ConnectorNotFound,
                Code::ConnectorRefused,
                Code::Conflict,
                Code::MarketplaceFailed,
            ]),
    ]
}

/// A page of the marketplace.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MarketplacePage")]
struct PageBody {
    next_cursor: Option<String>,
    data: Vec<ListedBody>,
    /// Indexes that cannot be read now, each as a sentence.
    problems: Vec<String>,
}

/// A connector that could be installed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MarketplaceConnector")]
struct ListedBody {
    #[serde(flatten)]
    listed: Listed,
    /// Whether a version of it serves here, whether it was installed or lies in the folder.
    installed: bool,
    /// That version.
    installed_version: Option<String>,
    /// Whether a newer version is listed.
    updatable: bool,
    /// The address of the index that lists it.
    index: String,
}

/// What to install.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "InstallFromMarketplace")]
#[serde(deny_unknown_fields)]
struct Install {
    /// The newest that is no preview where none is named.
    #[serde(default)]
    version: Option<String>,
    /// Show what it asks for, and install nothing.
    #[serde(default)]
    dry_run: bool,
    /// The hash of the permissions that were looked at.
    #[serde(default)]
    consent: Option<String>,
    /// Whether it may be older than the version that serves.
    #[serde(default)]
    allow_downgrade: bool,
    /// Whether it may be somebody else's than what was granted so far.
    #[serde(default)]
    new_publisher: bool,
}

async fn list(
    State(services): State<Arc<Services>>,
    _: Audience,
    query: Query,
) -> Result<Response, Error> {
    let most = query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT) as usize;
    let wanted = ShelfFilter {
        word: query.get("q"),
        vertical: query.get("vertical"),
        state: query.get("state"),
        after: query.get("cursor"),
    };
    let (shelf, problems) = services.market.shelf(&services.outlets, &wanted).await?;
    let shelf = shelf.into_iter().take(most + 1);
    let mut data: Vec<ListedBody> = shelf.map(ListedBody::from).collect();
    let is_more = data.len() > most;
    data.truncate(most);
    let last = data.last().map(|body| body.listed.slug.to_string());
    json(&PageBody {
        next_cursor: last.filter(|_| is_more),
        data,
        problems,
    })
}

impl From<OnShelf> for ListedBody {
    fn from(one: OnShelf) -> Self {
        Self {
            installed: one.installed_version.is_some(),
            updatable: one.updatable,
            installed_version: one.installed_version,
            listed: one.found.listed,
            index: one.found.index,
        }
    }
}

async fn install(
    State(services): State<Arc<Services>>,
    operator: Operator,
    Path(slug): Path<String>,
    OptionalJson(install): OptionalJson<Install>,
) -> Result<Response, Error> {
    let install = install.unwrap_or_default();
    let slug: Slug = slug.parse().map_err(|_| {
        let detail = "This is not a connector's name.";
        Error::new(Code::ConnectorNotFound, detail)
    })?;
    let _turn = services.outlets.turn().await;
    let offer = services
        .outlets
        .fetch(&slug, install.version.as_deref())
        .await?;
    let consent = match install.dry_run {
        true => None,
        false => install.consent.as_deref(),
    };
    let wanted = Wanted {
        downgrade: install.allow_downgrade,
        new_publisher: install.new_publisher,
    };
    offered(&services, &operator, &offer, consent, wanted).await
}
