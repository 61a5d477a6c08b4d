//! Connections: what is connected, without a secret of it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use uuid::Uuid;

use super::{
    json,
    lists::{parsed, short, wrong},
};
use crate::{
    http::{
        Services,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::Operation,
        query::Query,
    },
    model::{
        AuthScheme, Connection, ConnectionId, ConnectionStatus, Environment, LinkedUserId,
        ProjectId, Scope, Slug,
    },
    unify::Connected,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/connections", list)
            .id("listConnections")
            .tag("Connections")
            .summary("The connections of the project, all of them or those of one customer.")
            .describe("Without a parameter these are the connections of **all** your customers, with their tokens: name the customer wherever you look one up.")
            .query::<Uuid>("linked_user_id", "Only those of this linked user.")
            .query::<String>("linked_user_origin_id", "Only those of the linked user that has this id in your application; none where there is no such linked user.")
            .query::<String>("connector", "Only those of this connector, such as `hubspot`.")
            .gives::<Vec<ConnectionBody<'static>>>(200, "The connections."),
        Operation::get("/connections/{id}", get)
            .id("retrieveConnection")
            .tag("Connections")
            .summary("One connection.")
            .path::<Uuid>("id", "The `id_connection`.")
            .gives::<ConnectionBody<'static>>(200, "The connection.")
            .fails(&[Code::ConnectionNotFound]),
        Operation::delete("/connections/{id}", delete)
            .id("deleteConnection")
            .tag("Connections")
            .summary("End a connection: its token works no more, its credentials are wiped.")
            .path::<Uuid>("id", "The `id_connection`.")
            .gives_nothing(204, "It is gone.")
            .fails(&[Code::ConnectionNotFound]),
    ]
}

/// A connection as the wire contract has it, and what it lacks.
///
/// The contract's clients insist on texts for the provider's tokens and on a date for their end:
/// they get empty texts and a date far away, since no credential ever leaves the vault.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Connection")]
pub(super) struct ConnectionBody<'a> {
    #[schemars(with = "Uuid")]
    id_connection: String,
    /// `needs_reconnect`: the linked user has to log in again.
    #[schemars(extend("enum" = ["valid", "needs_reconnect"]))]
    status: &'static str,
    /// Why a new login is needed: what the provider said.
    status_reason: Option<&'a str>,
    /// A sentence for the linked user who has to log in again.
    customer_message: Option<String>,
    /// The connector.
    #[schemars(example = &"hubspot")]
    provider_slug: &'a str,
    #[schemars(example = &"crm")]
    vertical: &'a str,
    /// Always empty.
    account_url: &'static str,
    #[schemars(extend("enum" = ["oauth2", "apikey", "basic"]))]
    token_type: &'static str,
    /// Always empty: no credential leaves the server.
    access_token: &'static str,
    /// Always empty.
    refresh_token: &'static str,
    /// Always far away: the server renews credentials by itself.
    #[schemars(extend("format" = "date-time"))]
    expiration_timestamp: &'static str,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// For the header `x-connection-token`.
    connection_token: &'a str,
    #[schemars(with = "Uuid")]
    id_project: String,
    #[schemars(with = "Uuid")]
    id_linked_user: String,
    /// Which of the connector's ways to log in it uses.
    scheme: &'a str,
    #[schemars(with = "Environment")]
    environment: &'static str,
    /// The account at the provider, as the provider names it.
    account: Option<&'a str>,
    /// The account's name for people.
    account_name: Option<&'a str>,
    /// What was chosen when it was connected; no secrets.
    settings: &'a BTreeMap<String, String>,
}

/// A connection that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MadeConnection")]
pub(super) struct MadeConnection<'a> {
    #[serde(flatten)]
    connection: ConnectionBody<'a>,
    /// All accounts that the login reaches; `POST /connections` with `account` connects another.
    accounts: Vec<AccountBody<'a>>,
}

/// An account at a provider.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Account")]
struct AccountBody<'a> {
    /// The provider's id of it.
    account: &'a str,
    /// Its name for people.
    account_name: Option<&'a str>,
}

/// The answer that shows a connection that was made.
pub(super) fn made(services: &Services, connected: &Connected) -> Result<Response, Error> {
    let accounts = connected.accounts.iter().map(|account| AccountBody {
        account: &account.id,
        account_name: account.name.as_deref(),
    });
    json(&MadeConnection {
        connection: body(services, connected.scope.connection(), &connected.token),
        accounts: accounts.collect(),
    })
}

fn body<'a>(
    services: &Services,
    connection: &'a Connection,
    token: &'a SecretString,
) -> ConnectionBody<'a> {
    let version = services.runtime.active(&connection.connector);
    let token_type = version
        .as_ref()
        .and_then(|version| version.manifest().scheme(&connection.scheme))
        .map_or("apikey", AuthScheme::wire_token_type);
    ConnectionBody {
        id_connection: connection.id.to_string(),
        status: connection.status.as_str(),
        status_reason: connection.status_reason.as_deref(),
        customer_message: (connection.status == ConnectionStatus::NeedsReconnect)
            .then(|| connection.login_is_dead()),
        provider_slug: connection.connector.as_str(),
        vertical: &connection.vertical,
        account_url: "",
        token_type,
        access_token: "",
        refresh_token: "",
        expiration_timestamp: "9999-12-31T00:00:00Z",
        created_at: connection.created_at.to_string(),
        connection_token: token.expose_secret(),
        id_project: connection.project.to_string(),
        id_linked_user: connection.linked_user.to_string(),
        scheme: &connection.scheme,
        environment: connection.environment.as_str(),
        account: connection.account.as_deref(),
        account_name: connection.account_name.as_deref(),
        settings: &connection.settings,
    }
}

/// The answer that shows one connection.
pub(super) fn shown(
    services: &Services,
    connection: &Connection,
    token: &SecretString,
) -> Result<Response, Error> {
    json(&body(services, connection, token))
}

/// The parameters of the list.
const LIST: [&str; 3] = ["linked_user_id", "linked_user_origin_id", "connector"];

/// Refuses what is meant to narrow the list and does not: the answer would be everybody's.
fn no_guesses(query: &Query) -> Result<(), Error> {
    query.no_slips(&LIST)?;
    let mut others = query.names().filter(|name| !LIST.contains(name));
    let guess = others.find(|name| {
        let name = name.to_ascii_lowercase();
        ["user", "origin", "customer", "connector", "provider"]
            .iter()
            .any(|word| name.contains(word))
    });
    match guess {
        Some(name) => {
            let detail = format!(
                "There is no parameter {:?}; there are `{}`.",
                short(name),
                LIST.join("`, `")
            );
            Err(Error::new(Code::InvalidParameter, detail))
        }
        None => Ok(()),
    }
}

/// Whose connections are asked for: everybody's (none), or those of somebody who may not be there.
async fn asked_user(
    services: &Services,
    project: ProjectId,
    query: &Query,
) -> Result<Option<Option<LinkedUserId>>, Error> {
    let id = parsed::<LinkedUserId>(query, "linked_user_id", "the id of a linked user")?;
    let Some(origin) = query.given("linked_user_origin_id")? else {
        return Ok(id.map(Some));
    };
    let found = services
        .store
        .linked_user_by_origin(project, origin)
        .await?;
    let found = found.map(|user| user.id);
    Ok(Some(found.filter(|found| id.is_none_or(|id| id == *found))))
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    no_guesses(&query)?;
    let project = caller.project.id;
    for name in LIST {
        // Nothing is nobody's id; left alone, it would give everybody's connections.
        if query.given(name)? == Some("") {
            return Err(wrong(name, "it is empty"));
        }
    }
    let connector = parsed::<Slug>(&query, "connector", "the slug of a connector")?;
    let mut stored = match asked_user(&services, project, &query).await? {
        None => services.store.connections(project).await?,
        Some(Some(user)) => services.store.sealed_connections_of(project, user).await?,
        Some(None) => Vec::new(),
    };
    if let Some(connector) = connector {
        stored.retain(|(connection, _)| connection.connector == connector);
    }
    let mut opened = Vec::with_capacity(stored.len());
    for (connection, sealed) in stored {
        let token = services.vault.connection_token(&connection, &sealed)?;
        opened.push((connection, token));
    }
    let bodies: Vec<_> = opened
        .iter()
        .map(|(connection, token)| body(&services, connection, token))
        .collect();
    json(&bodies)
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let stored = services.store.connections(caller.project.id).await?;
    let (connection, sealed) = stored
        .into_iter()
        .find(|(connection, _)| id.parse() == Ok(connection.id))
        .ok_or_else(|| unknown(&id))?;
    let token = services.vault.connection_token(&connection, &sealed)?;
    shown(&services, &connection, &token)
}

pub(super) async fn delete(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    let scope = scope(&services, actor.project.id, &id).await?;
    services.unify.disconnect(&scope).await?;
    let details = serde_json::json!({ "connector": scope.connection().connector });
    actor
        .audit(
            &services,
            "connection.delete",
            scope.connection().id,
            details,
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn scope(
    services: &Services,
    project: ProjectId,
    id: &str,
) -> Result<Scope, Error> {
    let found = match id.parse::<ConnectionId>() {
        Ok(id) => services.store.scope_by_id(project, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Error {
    let id: String = id.chars().take(80).collect();
    let detail = format!("This project has no connection {id:?}.");
    Error::new(Code::ConnectionNotFound, detail)
}
