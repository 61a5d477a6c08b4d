//! New connections with what an end customer typed: an API key, a password, a token.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::{
    connections::{self, MadeConnection},
    linked_users,
};
use crate::{
    http::{
        Services,
        body::{Fields, Json, fields_of},
        caller::{Caller, Client},
        error::{Code, Error},
        operation::{Body, Operation},
        query::Query,
    },
    model::{Environment, Project, Slug},
    unify::{ConnectRequest, Connected},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/connections", create)
            .id("createConnection")
            .tag("Connections")
            .summary("Connect an account with what the end customer typed: an API key, a password, a token.")
            .describe("The provider is asked whether it takes the credentials. The same account connected again keeps its connection and its token.")
            .takes::<Target>()
            .gives::<MadeConnection<'static>>(201, "The connection.")
            .fails(CONNECT_FAILURES),
        Operation::post("/connections/basicorapikey/callback", callback)
            .alias("/connections/apikey/callback")
            .id("connectWithCredentials")
            .tag("Connections")
            .summary("The published contract's spelling of `POST /connections`.")
            .describe("The fields of the login are the body, as JSON or as a form.")
            .require_query::<String>("state", "A URL-encoded JSON object with `linkedUserId` (of this API or your own), `providerName`, and optionally `projectId`, `vertical`, `returnUrl` and variables of the connector.")
            .body(
                Body::json::<BTreeMap<String, FieldValue>>()
                    .or::<BTreeMap<String, String>>("application/x-www-form-urlencoded")
                    .optional(),
            )
            .gives::<MadeConnection<'static>>(201, "The connection.")
            .gives_nothing(302, "For callers that accept HTML: to `returnUrl`.")
            .fails(&[Code::ProjectNotFound])
            .fails(CONNECT_FAILURES),
    ]
}

/// What goes wrong with new connections.
pub(super) const CONNECT_FAILURES: &[Code] = &[
    Code::ConnectorNotFound,
    Code::LinkedUserNotFound,
    Code::InvalidParameter,
    Code::InvalidSetting,
    Code::CredentialsRefused,
    Code::Conflict,
    Code::Unsupported,
    Code::OAuthAppMissing,
    Code::RateLimited,
    Code::ProviderForbidden,
    Code::ProviderRefused,
    Code::ProviderFailed,
    Code::ProviderUnavailable,
    Code::ConnectorFailed,
    Code::ConnectorUnavailable,
    Code::ConnectorTimeout,
    Code::Busy,
    Code::NeedsReconnect,
];

/// The value of a field: a text; a number or a boolean counts as its text, null as not there.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[expect(dead_code, reason = "it describes what `fields_of` takes")]
enum FieldValue {
    Text(String),
    Number(f64),
    Flag(bool),
    Nothing(()),
}

/// Whose account at which provider.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConnectionTarget")]
pub(super) struct Target {
    /// The connector's slug.
    #[schemars(example = &"hubspot")]
    connector: String,
    /// Which of the connector's ways to log in; the first that fits where none is named.
    #[serde(default)]
    scheme: Option<String>,
    /// Of the objects that are read; the connector's where it has one only.
    #[serde(default)]
    vertical: Option<String>,
    /// Of a linked user that is there; or else `linked_user_origin_id`.
    #[serde(default)]
    linked_user_id: Option<String>,
    /// The integrator's own id; the linked user is made where there is none.
    #[serde(default)]
    #[schemars(example = &"customer-17")]
    linked_user_origin_id: Option<String>,
    /// The provider's environment; the project's where none is named.
    #[serde(default)]
    environment: Option<Environment>,
    /// Fields of the login, variables and settings of the manifest, by key.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, FieldValue>", example = serde_json::json!({"access_token": "pat-eu1-…"}))]
    fields: Map<String, Value>,
    /// The provider's id of the account, where the login reaches several; the first where none is
    /// named. The answer lists them.
    #[serde(default)]
    account: Option<String>,
    /// For a login in the browser only.
    #[serde(default)]
    pub(super) return_url: Option<String>,
}

impl Target {
    /// What the use case takes; the linked user is made where the integrator named it by its own
    /// id and there is none.
    pub(super) async fn resolve(
        self,
        services: &Services,
        project: &Project,
    ) -> Result<ConnectRequest, Error> {
        let fields = fields_of(self.fields)?;
        let connector = slug(&self.connector)?;
        let named = (self.linked_user_id, self.linked_user_origin_id);
        let linked_user = linked_users::by_one_id(&services.store, project.id, named).await?;
        Ok(ConnectRequest {
            project: project.id,
            linked_user: linked_user.id,
            connector,
            scheme: self.scheme,
            vertical: self.vertical,
            environment: self.environment.unwrap_or(project.environment),
            fields,
            account: self.account,
        })
    }
}

/// `POST /connections`.
pub(super) async fn create(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Json(target): Json<Target>,
) -> Result<Response, Error> {
    let request = target.resolve(&services, &caller.project).await?;
    let connected = services.unify.connect(request).await?;
    created(&services, &connected)
}

/// `POST /connections/basicorapikey/callback?state=`: the wire contract's spelling of the same.
/// Unlike there, the API key is needed.
pub(super) async fn callback(
    State(services): State<Arc<Services>>,
    caller: Caller,
    client: Client,
    query: Query,
    Fields(mut fields): Fields,
) -> Result<Response, Error> {
    let state = ConnectState::parse(query.require("state")?)?;
    if let Some(project) = &state.project_id
        && project.parse() != Ok(caller.project.id)
    {
        let detail = "The `projectId` in the state is not the project of this API key.";
        return Err(Error::new(Code::ProjectNotFound, detail));
    }
    let store = &services.store;
    let linked_user =
        linked_users::by_any_id(store, caller.project.id, &state.linked_user_id).await?;
    for (key, value) in state.extras {
        fields.entry(key).or_insert(value);
    }
    let request = ConnectRequest {
        project: caller.project.id,
        linked_user: linked_user.id,
        connector: slug(&state.provider_name)?,
        scheme: None,
        vertical: state.vertical,
        environment: caller.project.environment,
        fields,
        account: None,
    };
    let connected = services.unify.connect(request).await?;
    if client.wants_html {
        return Ok(redirect(state.return_url.as_ref()));
    }
    created(&services, &connected)
}

fn created(services: &Services, connected: &Connected) -> Result<Response, Error> {
    let shown = connections::made(services, connected)?;
    Ok((StatusCode::CREATED, shown).into_response())
}

/// To where the integrator wants the browser, else to the greeting.
fn redirect(to: Option<&Url>) -> Response {
    let location = to
        .and_then(|url| HeaderValue::from_str(url.as_str()).ok())
        .unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// Where a browser may be sent: an absolute http or https URL.
pub(super) fn browser_url(text: &str) -> Result<Url, Error> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| {
            let detail = "The return URL must start with http:// or https://.";
            Error::new(Code::InvalidParameter, detail)
        })
}

/// A connector's slug, as somebody wrote it.
pub(super) fn slug(name: &str) -> Result<Slug, Error> {
    name.parse().map_err(|_| {
        let name: String = name.chars().take(80).collect();
        let detail = format!("There is no connector {name:?}.");
        Error::new(Code::ConnectorNotFound, detail)
    })
}

/// The `state` of the wire contract's callbacks: JSON, as clients of many years spell it.
#[derive(Debug, PartialEq, Eq)]
struct ConnectState {
    project_id: Option<String>,
    linked_user_id: String,
    provider_name: String,
    vertical: Option<String>,
    return_url: Option<Url>,
    /// Other keys: variables and settings of the connector, such as `domain`.
    extras: BTreeMap<String, String>,
}

impl ConnectState {
    fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| {
            let detail = format!("The parameter `state` {why}.");
            Error::new(Code::InvalidParameter, detail)
        };
        let object = spellings(text)
            .iter()
            .find_map(|text| serde_json::from_str::<Map<String, Value>>(text).ok())
            .ok_or_else(|| {
                invalid("must be a URL-encoded JSON object with linkedUserId and providerName")
            })?;
        let mut texts = fields_of(object)?;
        let mut take = |key: &str| texts.remove(key).filter(|value| !value.is_empty());
        let return_url = take("returnUrl").as_deref().map(browser_url).transpose()?;
        Ok(Self {
            project_id: take("projectId"),
            linked_user_id: take("linkedUserId").ok_or_else(|| invalid("has no linkedUserId"))?,
            provider_name: take("providerName").ok_or_else(|| invalid("has no providerName"))?,
            vertical: take("vertical"),
            return_url,
            extras: texts,
        })
    }
}

/// What a state may mean: as it is, with HTML's escapes undone, decoded once more, or after the
/// delimiter that some providers need.
fn spellings(text: &str) -> Vec<String> {
    let unescaped = text
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&amp;", "&");
    let mut spellings = vec![text.to_owned(), unescaped];
    if text.starts_with('%') {
        // One pair without a value: the decoder of queries undoes the percent signs.
        let decoded = url::form_urlencoded::parse(text.as_bytes()).next();
        spellings.extend(decoded.map(|(key, _)| key.into_owned()));
    }
    if let Some((_, encoded)) = text.split_once("_delimiter") {
        let decoded = STANDARD.decode(encoded.trim_start_matches(['_', '.'])).ok();
        spellings.extend(decoded.and_then(|bytes| String::from_utf8(bytes).ok()));
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"projectId":"p","linkedUserId":"u 1","providerName":"hubspot","vertical":"crm","returnUrl":"https://app.example/done","domain":"acme"}"#;

    #[test]
    fn a_state_is_understood_in_every_spelling() {
        let state = ConnectState::parse(PLAIN).unwrap();
        assert_eq!(state.linked_user_id, "u 1");
        assert_eq!(state.extras["domain"], "acme");
        assert_eq!(
            state.return_url.as_ref().unwrap().as_str(),
            "https://app.example/done"
        );
        let escaped = PLAIN.replace('"', "&quot;");
        assert_eq!(ConnectState::parse(&escaped).unwrap(), state);
        let encoded: String = url::form_urlencoded::byte_serialize(PLAIN.as_bytes()).collect();
        assert_eq!(ConnectState::parse(&encoded).unwrap(), state);
        let delimited = format!("random_squarespace_delimiter{}", STANDARD.encode(PLAIN));
        assert_eq!(ConnectState::parse(&delimited).unwrap(), state);
    }

    #[test]
    fn a_state_that_leads_nowhere_is_refused() {
        for state in [
            "",
            "{}",
            "[1]",
            r#"{"linkedUserId":"u"}"#,
            r#"{"providerName":"hubspot"}"#,
            r#"{"linkedUserId":"u","providerName":"h","returnUrl":"javascript:alert(1)"}"#,
            r#"{"linkedUserId":{"a":1},"providerName":"h"}"#,
        ] {
            assert!(ConnectState::parse(state).is_err(), "{state}");
        }
    }
}
