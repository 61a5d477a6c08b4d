//! What the operator decides of connectors: grants, rollbacks, installing.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::{FromRequest as _, Path, Request, State},
    http::header,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{super::json, parse_slug};
use crate::{
    http::{
        Services,
        body::{Json, OptionalJson},
        caller::Operator,
        error::{Code, Error},
        operation::{Body, Operation},
        query::Query,
    },
    market::{Decision, MAX_FILE, Offer},
    model::{
        Digest, Slug,
        consent::{Book, Standing, Wanted},
    },
    runtime::ConsentStatus,
};

/// The media type of a connector's file.
const WASM: &str = "application/wasm";

const ABOUT: &str =
    "Needs an operator's key. It holds for all servers of the database, within seconds.";

pub(super) fn operations() -> Vec<Operation> {
    let of_slug = |operation: Operation| {
        operation
            .tag("Connectors")
            .describe(ABOUT)
            .path::<String>("slug", "Its name in URLs, such as `hubspot`.")
            .gives::<BookBody>(200, "What holds now.")
            .fails(&[Code::OperatorRequired, Code::ConnectorNotFound])
    };
    vec![
        Operation::post("/connectors/install", install)
            .id("installConnector")
            .tag("Connectors")
            .summary("Install a connector from its file.")
            .describe("Needs an operator's key. The body is the file itself, with the other fields in the query, or JSON with the file in base64. With `dry_run`, or without `consent`, nothing is installed: the answer shows what the connector asks for, and the hash to consent with. Once installed, it serves on all servers of the database.")
            .query::<bool>("dry_run", "With the file as the body: show what it asks for, and install nothing.")
            .query::<String>("consent", "With the file as the body: the hash of the permissions that were looked at.")
            .query::<bool>("allow_downgrade", "With the file as the body: whether it may be older than the version that serves.")
            .query::<bool>("new_publisher", "With the file as the body: whether it may be somebody else's than what was granted so far.")
            .body(Body::json::<Install>().or_bytes(WASM))
            .gives::<OfferBody>(200, "What it asks for, and whether it is installed.")
            .fails(&[Code::OperatorRequired, Code::ConnectorRefused, Code::Conflict]),
        of_slug(Operation::get("/connectors/{slug}/grants", grants).id("listConnectorGrants"))
            .summary("What was granted to a connector, and its known versions."),
        of_slug(Operation::post("/connectors/{slug}/grant", grant).id("grantConnector"))
            .summary("Allow the version that waits what it asks for.")
            .takes::<Grant>()
            .fails(&[Code::Conflict]),
        of_slug(Operation::post("/connectors/{slug}/revoke", revoke).id("revokeConnector"))
            .summary("Take back all grants: nothing of the connector serves any more.")
            .fails(&[Code::Conflict]),
        of_slug(Operation::post("/connectors/{slug}/rollback", rollback).id("rollBackConnector"))
            .summary("Go back to an earlier version.")
            .takes_optional::<Rollback>()
            .fails(&[Code::Conflict]),
        of_slug(Operation::post("/connectors/{slug}/disable", disable).id("disableConnector"))
            .summary("Let a connector not serve.")
            .fails(&[Code::Conflict]),
        of_slug(Operation::post("/connectors/{slug}/enable", enable).id("enableConnector"))
            .summary("Let a connector serve again, and end a suspension.")
            .fails(&[Code::Conflict]),
        of_slug(Operation::post("/connectors/{slug}/uninstall", uninstall).id("uninstallConnector"))
            .summary("Undo an installation; a file in the folder may serve then.")
            .fails(&[Code::Conflict]),
    ]
}

/// What was decided of a connector.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectorConsent")]
struct BookBody {
    slug: String,
    #[serde(flatten)]
    status: ConsentStatus,
    grants: Vec<GrantBody>,
    versions: Vec<KnownBody>,
}

/// What was allowed to a publisher.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectorGrant")]
struct GrantBody {
    /// `ed25519:` and a key, or `unsigned`.
    publisher: String,
    permissions: Vec<String>,
    permission_hash: String,
    /// `placed` (by the first file in the folder), `auto`, `cli` or `operator_key:<id>`.
    granted_by: String,
    #[schemars(extend("format" = "date-time"))]
    granted_at: String,
    #[schemars(extend("format" = "date-time"))]
    revoked_at: Option<String>,
}

/// A version whose bytes are kept.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KnownConnectorVersion")]
struct KnownBody {
    version: String,
    digest: String,
    publisher: String,
    permission_hash: String,
    bytes: u64,
    source: String,
    #[schemars(extend("enum" = ["admitted", "pending", "rolled_back"]))]
    standing: &'static str,
    reason: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    seen_at: String,
    #[schemars(extend("format" = "date-time"))]
    served_at: Option<String>,
}

/// What is allowed.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "GrantConnector")]
#[serde(deny_unknown_fields)]
struct Grant {
    /// The hash of the permissions that were looked at: `consent.pending.permission_hash` of the
    /// connector.
    permission_hash: String,
}

/// Where to go back to.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "RollBackConnector")]
#[serde(deny_unknown_fields)]
struct Rollback {
    /// A version, or the beginning of a digest; the version before where none is named.
    #[serde(default)]
    to: Option<String>,
}

/// A connector to install.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "InstallConnector")]
#[serde(deny_unknown_fields)]
struct Install {
    /// The `.wasm` file in base64, at most 1.4 MiB of it; larger ones go as the body itself.
    file: String,
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

/// A connector, before or after it is installed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectorOffer")]
pub(in crate::http::routes) struct OfferBody {
    slug: String,
    name: String,
    version: String,
    digest: String,
    /// `ed25519:` and a key, or `unsigned`.
    publisher: String,
    permissions: Vec<String>,
    /// What `consent` has to be.
    permission_hash: String,
    /// The lines that are not granted yet.
    added: Vec<String>,
    /// Who published what was granted so far, where that is somebody else: then it takes
    /// `new_publisher`.
    former_publisher: Option<String>,
    source: String,
    installed: bool,
}

async fn grants(
    State(services): State<Arc<Services>>,
    _: Operator,
    Path(slug): Path<String>,
) -> Result<Response, Error> {
    let slug = parse_slug(&slug)?;
    let book = services.market.book(&slug).await?;
    json(&body(&book.ok_or_else(|| super::unknown(slug.as_str()))?))
}

async fn grant(
    State(services): State<Arc<Services>>,
    operator: Operator,
    Path(slug): Path<String>,
    Json(grant): Json<Grant>,
) -> Result<Response, Error> {
    let hash = parse_hash("permission_hash", &grant.permission_hash)?;
    decide(&services, &operator, &slug, Decision::Grant(Some(hash))).await
}

async fn revoke(
    State(services): State<Arc<Services>>,
    operator: Operator,
    Path(slug): Path<String>,
) -> Result<Response, Error> {
    decide(&services, &operator, &slug, Decision::Revoke).await
}

async fn rollback(
    State(services): State<Arc<Services>>,
    operator: Operator,
    Path(slug): Path<String>,
    OptionalJson(rollback): OptionalJson<Rollback>,
) -> Result<Response, Error> {
    let to = rollback.unwrap_or_default().to;
    decide(&services, &operator, &slug, Decision::RollBack(to)).await
}

async fn disable(
    State(services): State<Arc<Services>>,
    operator: Operator,
    Path(slug): Path<String>,
) -> Result<Response, Error> {
    decide(&services, &operator, &slug, Decision::Disable).await
}

async fn enable(
    State(services): State<Arc<Services>>,
    operator: Operator,
    Path(slug): Path<String>,
) -> Result<Response, Error> {
    decide(&services, &operator, &slug, Decision::Enable).await
}

async fn uninstall(
    State(services): State<Arc<Services>>,
    operator: Operator,
    Path(slug): Path<String>,
) -> Result<Response, Error> {
    decide(&services, &operator, &slug, Decision::Uninstall).await
}

async fn decide(
    services: &Services,
    operator: &Operator,
    slug: &str,
    decision: Decision,
) -> Result<Response, Error> {
    let slug = known(services, slug).await?;
    let decided = services
        .market
        .decide(&slug, decision, &operator.actor)
        .await;
    services.runtime.look_soon();
    json(&body(&decided?))
}

async fn known(services: &Services, slug: &str) -> Result<Slug, Error> {
    let slug = parse_slug(slug)?;
    match services.market.book(&slug).await? {
        Some(_) => Ok(slug),
        None => Err(super::unknown(slug.as_str())),
    }
}

async fn install(
    State(services): State<Arc<Services>>,
    operator: Operator,
    query: Query,
    request: Request,
) -> Result<Response, Error> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let is_file = kind.is_some_and(|kind| kind.as_bytes().starts_with(WASM.as_bytes()));
    let (bytes, install) = if is_file {
        let body = to_bytes(request.into_body(), MAX_FILE).await;
        let bytes = body.map_err(|_| {
            let detail = format!("The file has more than {MAX_FILE} bytes, or broke off.");
            Error::new(Code::BodyTooLarge, detail)
        })?;
        let install = Install {
            file: String::new(),
            dry_run: query.flag("dry_run")?,
            consent: query.get("consent").map(ToOwned::to_owned),
            allow_downgrade: query.flag("allow_downgrade")?,
            new_publisher: query.flag("new_publisher")?,
        };
        (bytes.to_vec(), install)
    } else {
        let Json(install) = Json::<Install>::from_request(request, &services).await?;
        let bytes = STANDARD.decode(&install.file);
        let bytes = bytes
            .map_err(|_| Error::new(Code::InvalidBody, "`file` is not base64 with its padding."))?;
        (bytes, install)
    };
    let offer = Offer::read(bytes, "api")?;
    let consent = install.consent.as_deref().filter(|_| !install.dry_run);
    let wanted = Wanted {
        downgrade: install.allow_downgrade,
        new_publisher: install.new_publisher,
    };
    offered(&services, &operator, &offer, consent, wanted).await
}

/// Shows what a connector asks for, and installs it where somebody consents.
pub(in crate::http::routes) async fn offered(
    services: &Services,
    operator: &Operator,
    offer: &Offer,
    consent: Option<&str>,
    wanted: Wanted,
) -> Result<Response, Error> {
    let before = services.market.book(offer.slug()).await?;
    let added = offer.added(before.as_ref());
    let publisher = offer.announced.publisher();
    let former_publisher = before
        .as_ref()
        .and_then(|book| book.other_publisher(&publisher))
        .map(ToOwned::to_owned);
    if let Some(consent) = consent {
        let consent = parse_hash("consent", consent)?;
        let Services {
            market, runtime, ..
        } = services;
        let by = &operator.actor;
        let installed = market.install_checked(runtime, offer, consent, wanted, by);
        installed.await?;
    }
    let announced = &offer.announced;
    json(&OfferBody {
        slug: offer.slug().to_string(),
        name: announced.manifest.name.clone(),
        version: announced.manifest.version.to_string(),
        digest: announced.digest.to_string(),
        publisher: announced.publisher(),
        permissions: announced.asked.lines().to_vec(),
        permission_hash: announced.asked.hash().to_string(),
        added,
        former_publisher,
        source: offer.source.clone(),
        installed: consent.is_some(),
    })
}

fn parse_hash(name: &str, text: &str) -> Result<Digest, Error> {
    Digest::parse(text).ok_or_else(|| {
        let detail = format!("`{name}` is not a permission hash of 64 hexadecimal digits.");
        Error::new(Code::InvalidBody, detail)
    })
}

fn body(book: &Book) -> BookBody {
    BookBody {
        slug: book.slug.to_string(),
        status: ConsentStatus::of(book),
        grants: book
            .grants
            .iter()
            .map(|grant| GrantBody {
                publisher: grant.publisher.clone(),
                permissions: grant.asked.lines().to_vec(),
                permission_hash: grant.asked.hash().to_string(),
                granted_by: grant.granted_by.clone(),
                granted_at: grant.granted_at.to_string(),
                revoked_at: grant.revoked_at.map(|at| at.to_string()),
            })
            .collect(),
        versions: book
            .versions
            .iter()
            .map(|known| KnownBody {
                version: known.version.clone(),
                digest: known.digest.to_string(),
                publisher: known.publisher.clone(),
                permission_hash: known.asked.hash().to_string(),
                bytes: known.bytes,
                source: known.source.clone(),
                standing: match known.standing {
                    Standing::Admitted => "admitted",
                    Standing::Pending => "pending",
                    Standing::RolledBack => "rolled_back",
                },
                reason: known.reason.clone(),
                seen_at: known.seen_at.to_string(),
                served_at: known.served_at.map(|at| at.to_string()),
            })
            .collect(),
    }
}
