//! A project's own OAuth apps.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

use super::json;
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{AuthKind, Environment, OAuthAppKey, Project, Slug, Violation},
    vault::{AppSecret, NewProjectApp, ProjectApp},
};

pub(super) fn operations() -> Vec<Operation> {
    let of_app = |operation: Operation| {
        operation
            .tag("Connections")
            .path::<String>(
                "connector",
                "The connector's name in URLs, such as `hubspot`.",
            )
            .path::<String>("scheme", "The name of its OAuth login, such as `oauth`.")
    };
    vec![
        Operation::get("/oauth-apps", list)
            .id("listOAuthApps")
            .tag("Connections")
            .summary("The project's own OAuth apps at providers.")
            .describe("Where a project has none of its own for a connector, the server's is used. Secrets are never shown.")
            .gives::<AppsBody>(200, "The apps, by connector."),
        of_app(Operation::put("/oauth-apps/{connector}/{scheme}", set).id("setOAuthApp"))
            .summary("Set the project's own OAuth app for a connector, or replace it.")
            .describe("New logins use it. Tokens belong to the app that got them: connections made with the server's app go on with that, and those made with a replaced one have to log in again when their token runs out.")
            .takes::<SetApp>()
            .gives::<AppBody>(200, "The app, without its secret.")
            .fails(&[Code::ConnectorNotFound, Code::InvalidSetting]),
        of_app(Operation::delete("/oauth-apps/{connector}/{scheme}", remove).id("removeOAuthApp"))
            .summary("Remove the project's own OAuth app for a connector.")
            .parameter(
                Parameter::query::<String>(
                    "environment",
                    "Of the provider; the project's where none is named.",
                )
                .rule("enum", vec!["production", "sandbox"]),
            )
            .gives_nothing(204, "There is none now.")
            .fails(&[Code::ConnectorNotFound]),
    ]
}

/// OAuth apps.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OAuthApps")]
struct AppsBody {
    /// What to register with each provider.
    redirect_uri: String,
    data: Vec<AppBody>,
}

/// An OAuth app. Its secret is never shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OAuthApp")]
struct AppBody {
    connector: String,
    scheme: String,
    #[schemars(with = "Environment")]
    environment: &'static str,
    client_id: String,
    /// False for a public client.
    has_secret: bool,
    /// What it asks for in place of the connector's scopes; null for those.
    scopes: Option<Vec<String>>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
}

impl From<ProjectApp> for AppBody {
    fn from(app: ProjectApp) -> Self {
        Self {
            connector: app.key.connector.to_string(),
            scheme: app.key.scheme,
            environment: app.key.environment.as_str(),
            client_id: app.client_id,
            has_secret: app.has_secret,
            scopes: app.scopes,
            created_at: app.created_at.to_string(),
            updated_at: app.updated_at.to_string(),
        }
    }
}

/// What an app is to be.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SetOAuthApp")]
#[serde(deny_unknown_fields)]
struct SetApp {
    /// Of the provider; the project's where none is named.
    #[serde(default)]
    environment: Option<Environment>,
    client_id: String,
    /// Left away, the secret of the same client id stays; null for a public client.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    client_secret: Option<Option<String>>,
    /// What to ask for in place of the connector's scopes.
    #[serde(default)]
    scopes: Option<Vec<String>>,
}

/// Tells null from what is left away.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

async fn list(State(services): State<Arc<Services>>, caller: Caller) -> Result<Response, Error> {
    let apps = services.vault.oauth_apps(caller.project.id).await?;
    json(&AppsBody {
        redirect_uri: services.oauth_redirect_uri().to_string(),
        data: apps.into_iter().map(AppBody::from).collect(),
    })
}

async fn set(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path((connector, scheme)): Path<(String, String)>,
    Json(set): Json<SetApp>,
) -> Result<Response, Error> {
    let key = key(&actor.project, &connector, scheme, set.environment)?;
    let version = services.runtime.active(&key.connector);
    let version = version.ok_or_else(|| unknown(&connector))?;
    let of_scheme = version.manifest().scheme(&key.scheme);
    let needs_app = of_scheme.map(|scheme| matches!(scheme.kind, AuthKind::OAuth2Code { .. }));
    if needs_app != Some(true) {
        let detail = format!(
            "{:?} is no OAuth login of {connector}: `GET /connectors/{connector}` lists them.",
            key.scheme
        );
        return Err(Error::new(Code::InvalidSetting, detail));
    }
    let new = NewProjectApp {
        client_id: set.client_id,
        secret: match set.client_secret {
            None => AppSecret::Keep,
            Some(None) => AppSecret::None,
            Some(Some(secret)) => AppSecret::New(SecretString::from(secret)),
        },
        scopes: set.scopes,
    };
    let by = actor.name();
    let app = services
        .vault
        .set_oauth_app(actor.project.id, &key, new, &by);
    json(&AppBody::from(app.await?))
}

async fn remove(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path((connector, scheme)): Path<(String, String)>,
    query: Query,
) -> Result<Response, Error> {
    let environment = query.get("environment").map(|text| {
        Environment::parse(text).ok_or_else(|| {
            let detail = "`environment` is production or sandbox.";
            let violation = Violation {
                path: "environment".to_owned(),
                message: detail.to_owned(),
            };
            Error::new(Code::InvalidParameter, detail).with_violations(vec![violation])
        })
    });
    let key = key(&actor.project, &connector, scheme, environment.transpose()?)?;
    let by = actor.name();
    let vault = &services.vault;
    vault.remove_oauth_app(actor.project.id, &key, &by).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn key(
    project: &Project,
    connector: &str,
    scheme: String,
    environment: Option<Environment>,
) -> Result<OAuthAppKey, Error> {
    let connector: Slug = connector.parse().map_err(|_| unknown(connector))?;
    Ok(OAuthAppKey {
        connector,
        scheme,
        environment: environment.unwrap_or(project.environment),
    })
}

fn unknown(connector: &str) -> Error {
    let connector: String = connector.chars().take(80).collect();
    let detail = format!("There is no active connector {connector:?}.");
    Error::new(Code::ConnectorNotFound, detail)
}
