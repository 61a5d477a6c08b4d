//! Connect links, and what a project says of its connect pages.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    connect::{self, browser_url},
    connections, json, linked_users,
    lists::{limit, parsed, short},
};
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::{Answer, Operation},
        query::Query,
    },
    model::{
        Branding, BrandingError, ConnectLink, ConnectLinkId, ConnectSettings, DEFAULT_LIMIT,
        MAX_LIMIT, NewConnectLink, ProjectId, Timestamp, Violation, WebOrigin,
    },
    unify::LinkDraft,
};

const MAX_ORIGINS: usize = 50;
const MAX_EMAIL: usize = 320;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/connect/links", create)
            .id("createConnectLink")
            .tag("Connect")
            .summary("Make a link to a page on which a linked user connects an account.")
            .describe("The address holds the right to connect: give it to the linked user only. It is in this answer and nowhere else. A link makes one connection, and serves to look after that one until it expires. With `connection_id` it logs that connection in again, which keeps its id, its token and its records.")
            .takes::<Create>()
            .answer(
                Answer::json::<CreatedBody>(201, "The link, with its address.")
                    .header("Cache-Control", "`no-store`."),
            )
            .fails(&[
                Code::LinkedUserNotFound,
                Code::ConnectionNotFound,
                Code::ConnectorNotFound,
                Code::ConnectorUnavailable,
            ]),
        Operation::get("/connect/links", list)
            .id("listConnectLinks")
            .tag("Connect")
            .summary("The connect links of the project, newest first.")
            .query::<Uuid>("cursor", "From where: `next_cursor` of another page.")
            .parameter(limit())
            .gives::<PageBody>(200, "A page."),
        Operation::get("/connect/links/{id}", get)
            .id("retrieveConnectLink")
            .tag("Connect")
            .summary("One connect link.")
            .path::<Uuid>("id", "The link's id.")
            .gives::<LinkBody>(200, "The link.")
            .fails(&[Code::ConnectLinkNotFound]),
        Operation::delete("/connect/links/{id}", revoke)
            .id("revokeConnectLink")
            .tag("Connect")
            .summary("Take a connect link back: it opens nothing any more. What it connected stays.")
            .path::<Uuid>("id", "The link's id.")
            .gives_nothing(204, "It opens nothing any more.")
            .fails(&[Code::ConnectLinkNotFound]),
        Operation::get("/connect/settings", settings)
            .id("retrieveConnectSettings")
            .tag("Connect")
            .summary("What the project says of its connect pages.")
            .gives::<SettingsBody>(200, "The settings."),
        Operation::put("/connect/settings", replace_settings)
            .id("replaceConnectSettings")
            .tag("Connect")
            .summary("Say where connect pages may send browsers back to, who may show them in a frame, and how they look.")
            .describe("`allowed_origins` or `branding` left away stays as it is. What is given is replaced as a whole: an empty list allows no origin, and a name, logo or colour that is left away in `branding` is gone.")
            .takes::<ReplaceSettings>()
            .gives::<SettingsBody>(200, "The settings."),
        Operation::post("/magic_links", create_magic)
            .id("createMagicLink")
            .tag("Connect")
            .summary("The published contract's spelling of `POST /connect/links`.")
            .describe("The link works for seven days. Its address is in `url`, in this answer and nowhere else.")
            .takes::<CreateMagic>()
            .gives::<MagicBody>(201, "The link, with its address.")
            .fails(&[Code::ProjectNotFound]),
        Operation::get("/magic_links", list_magic)
            .id("getMagicLinks")
            .tag("Connect")
            .summary("The published contract's spelling of `GET /connect/links`: the newest 200.")
            .gives::<Vec<MagicBody>>(200, "The links."),
        Operation::get("/magic_links/{id}", get_magic)
            .id("getMagicLink")
            .tag("Connect")
            .summary("The published contract's spelling of `GET /connect/links/{id}`.")
            .path::<Uuid>("id", "The `id_invite_link`.")
            .gives::<MagicBody>(200, "The link.")
            .fails(&[Code::ConnectLinkNotFound]),
    ]
}

/// What a link is for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConnectLinkCreate")]
pub(super) struct Create {
    /// Of a linked user that is there; or else `linked_user_origin_id`.
    #[serde(default)]
    linked_user_id: Option<String>,
    /// The integrator's own id; the linked user is made where there is none.
    #[serde(default)]
    #[schemars(example = &"customer-17")]
    linked_user_origin_id: Option<String>,
    /// Slugs of what may be connected; everything where it is left away or empty.
    #[serde(default)]
    #[schemars(length(max = 200))]
    connectors: Vec<String>,
    /// For which vertical; each connector's first where it is left away.
    #[serde(default)]
    vertical: Option<String>,
    /// Where the browser goes in the end, with `connection_id` and `status` added. Its origin has
    /// to be among the allowed ones of `/connect/settings`.
    #[serde(default)]
    return_url: Option<String>,
    /// How long the link works; an hour where it is left away.
    #[serde(default)]
    #[schemars(range(min = 1, max = 604_800))]
    expires_in_seconds: Option<u32>,
    /// A connection to log in again; its linked user need not be named.
    #[serde(default)]
    #[schemars(with = "Option<Uuid>")]
    connection_id: Option<String>,
    /// Of the page; what the browser prefers where it is left away.
    #[serde(default)]
    #[schemars(extend("enum" = ["en", "de", "fr", null]))]
    language: Option<String>,
}

/// A connect link.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectLink")]
struct LinkBody {
    #[schemars(with = "Uuid")]
    id: String,
    /// `used`: it made its connection.
    #[schemars(extend("enum" = ["open", "used", "expired", "revoked"]))]
    state: &'static str,
    #[schemars(with = "Uuid")]
    linked_user_id: String,
    /// What may be connected; everything where it is empty.
    connectors: Vec<String>,
    vertical: Option<String>,
    return_url: Option<String>,
    language: Option<String>,
    /// What it made, or is to log in again.
    #[schemars(with = "Option<Uuid>")]
    connection_id: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    #[schemars(extend("format" = "date-time"))]
    used_at: Option<String>,
}

impl LinkBody {
    fn new(link: &ConnectLink, now: Timestamp) -> Self {
        let what = &link.what;
        Self {
            id: link.id.to_string(),
            state: link.state(now).as_str(),
            linked_user_id: what.linked_user.to_string(),
            connectors: what.connectors.iter().map(ToString::to_string).collect(),
            vertical: what.vertical.clone(),
            return_url: what.return_url.as_ref().map(ToString::to_string),
            language: what.language.clone(),
            connection_id: what.connection.map(|id| id.to_string()),
            created_at: link.created_at.to_string(),
            expires_at: link.expires_at.to_string(),
            used_at: link.used_at.map(|at| at.to_string()),
        }
    }
}

/// A new connect link.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedConnectLink")]
struct CreatedBody {
    /// The page's address: whoever has it may connect.
    #[schemars(url, example = &"https://jackfield.example.com/connect/cl_KEY")]
    url: String,
    #[serde(flatten)]
    link: LinkBody,
}

/// A page of connect links.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectLinkPage")]
struct PageBody {
    #[schemars(with = "Option<Uuid>")]
    next_cursor: Option<String>,
    data: Vec<LinkBody>,
}

pub(super) async fn create(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Json(body): Json<Create>,
) -> Result<Response, Error> {
    let project = actor.project.id;
    let connection = match &body.connection_id {
        Some(id) => Some(connections::scope(&services, project, id).await?),
        None => None,
    };
    let linked_user = match (body.linked_user_id, body.linked_user_origin_id, &connection) {
        (None, None, Some(scope)) => scope.connection().linked_user,
        (id, origin, _) => {
            let found = linked_users::by_one_id(&services.store, project, (id, origin));
            found.await?.id
        }
    };
    let connectors = body.connectors.iter().map(|name| connect::slug(name));
    let draft = LinkDraft {
        what: NewConnectLink {
            linked_user,
            connectors: connectors.collect::<Result<_, _>>()?,
            vertical: body.vertical,
            return_url: body.return_url.as_deref().map(browser_url).transpose()?,
            language: body.language,
            connection: connection.map(|scope| scope.connection().id),
            email: None,
        },
        life: body
            .expires_in_seconds
            .map(|seconds| Duration::from_secs(seconds.into())),
    };
    let (link, token) = services.unify.create_link(project, draft).await?;
    audit(&services, &actor, &link, "connect_link.create").await?;
    let body = CreatedBody {
        url: services.connect_url(token.expose_secret()).to_string(),
        link: LinkBody::new(&link, services.clock.now()),
    };
    Ok((StatusCode::CREATED, json(&body)?).into_response())
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let limit = query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT);
    let before = parsed::<ConnectLinkId>(&query, "cursor", "the cursor of a page")?;
    let store = &services.store;
    let mut links = store
        .connect_links(caller.project.id, before, limit + 1)
        .await?;
    let more = links.len() > limit as usize;
    links.truncate(limit as usize);
    let last = links.last().filter(|_| more);
    let now = services.clock.now();
    json(&PageBody {
        next_cursor: last.map(|link| link.id.to_string()),
        data: links.iter().map(|link| LinkBody::new(link, now)).collect(),
    })
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let link = by_id(&services, caller.project.id, &id).await?;
    json(&LinkBody::new(&link, services.clock.now()))
}

pub(super) async fn revoke(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    let link = by_id(&services, actor.project.id, &id).await?;
    if services
        .store
        .revoke_connect_link(link.project, link.id)
        .await?
    {
        audit(&services, &actor, &link, "connect_link.revoke").await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn by_id(services: &Services, project: ProjectId, id: &str) -> Result<ConnectLink, Error> {
    let found = match id.parse() {
        Ok(id) => services.store.connect_link(project, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let detail = format!("This project has no connect link {:?}.", short(id));
        Error::new(Code::ConnectLinkNotFound, detail)
    })
}

async fn audit(
    services: &Services,
    actor: &Actor,
    link: &ConnectLink,
    action: &str,
) -> Result<(), Error> {
    let details = serde_json::json!({ "linked_user": link.what.linked_user });
    actor.audit(services, action, link.id, details).await
}

/// What a project is to say of its connect pages.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConnectSettingsReplace")]
pub(super) struct ReplaceSettings {
    /// Where connect pages may send browsers back to, and which pages may show them in a frame:
    /// scheme, host and port, at most 50. They stay as they are where this is left away.
    #[serde(default)]
    #[schemars(length(max = 50), example = ["https://app.example.com"])]
    allowed_origins: Option<Vec<String>>,
    /// It stays as it is where this is left away.
    #[serde(default)]
    branding: Option<ReplaceBranding>,
}

/// How connect pages are to look.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BrandingReplace")]
struct ReplaceBranding {
    /// What the pages call the integrator; the project's name where it is left away.
    #[serde(default)]
    #[schemars(length(max = 80), example = &"Acme")]
    name: Option<String>,
    /// An image as a `data:` URI of at most 64 KiB, since the pages load nothing from elsewhere.
    #[serde(default)]
    logo: Option<String>,
    /// Of buttons, `#rrggbb`; it must be seen on a white page (3 to 1).
    #[serde(default)]
    #[schemars(example = &"#0b7285")]
    primary_color: Option<String>,
}

/// What a project says of its connect pages.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectSettings")]
struct SettingsBody {
    /// Where connect pages may send browsers back to, and which pages may show them in a frame.
    #[schemars(example = ["https://app.example.com"])]
    allowed_origins: Vec<String>,
    branding: BrandingBody,
}

/// How connect pages look.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Branding")]
struct BrandingBody {
    /// What the pages call the integrator; the project's name where it is null.
    name: Option<String>,
    /// An image as a `data:` URI.
    logo: Option<String>,
    /// Of buttons, `#rrggbb`.
    primary_color: Option<String>,
}

impl From<ConnectSettings> for SettingsBody {
    fn from(settings: ConnectSettings) -> Self {
        let origins = settings.allowed_origins.iter();
        let branding = settings.branding;
        Self {
            allowed_origins: origins.map(|origin| origin.as_str().to_owned()).collect(),
            branding: BrandingBody {
                name: branding.name,
                logo: branding.logo,
                primary_color: branding.primary_color.map(|color| color.to_string()),
            },
        }
    }
}

impl ReplaceSettings {
    /// What was said before, with what is said now.
    fn over(self, before: ConnectSettings) -> Result<ConnectSettings, Error> {
        Ok(ConnectSettings {
            allowed_origins: match self.allowed_origins {
                Some(origins) => parsed_origins(&origins)?,
                None => before.allowed_origins,
            },
            branding: match self.branding {
                Some(branding) => branding.parsed()?,
                None => before.branding,
            },
        })
    }
}

fn parsed_origins(texts: &[String]) -> Result<Vec<WebOrigin>, Error> {
    if texts.len() > MAX_ORIGINS {
        return Err(invalid("allowed_origins", "there are more than 50"));
    }
    let mut origins = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let origin = WebOrigin::parse(text).map_err(|error| {
            let field = format!("allowed_origins/{index}");
            invalid(&field, &format!("{:?}: {error}", short(text)))
        })?;
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    Ok(origins)
}

impl ReplaceBranding {
    fn parsed(self) -> Result<Branding, Error> {
        let (name, logo) = (self.name.as_deref(), self.logo.as_deref());
        Branding::parse(name, logo, self.primary_color.as_deref()).map_err(|error| {
            let field = match error {
                BrandingError::Name => "branding/name",
                BrandingError::Logo => "branding/logo",
                BrandingError::Color | BrandingError::Contrast { .. } => "branding/primary_color",
            };
            invalid(field, &error.to_string())
        })
    }
}

pub(super) async fn settings(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Response, Error> {
    let settings = services.store.connect_settings(caller.project.id).await?;
    json(&SettingsBody::from(settings))
}

pub(super) async fn replace_settings(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Json(body): Json<ReplaceSettings>,
) -> Result<Response, Error> {
    let project = actor.project.id;
    let before = services.store.connect_settings(project).await?;
    let settings = body.over(before)?;
    services
        .store
        .set_connect_settings(project, &settings)
        .await?;
    let origins = settings.allowed_origins.iter().map(WebOrigin::as_str);
    let details = serde_json::json!({ "allowed_origins": origins.collect::<Vec<_>>() });
    actor
        .audit(&services, "connect_settings.replace", project, details)
        .await?;
    json(&SettingsBody::from(settings))
}

fn invalid(field: &str, message: &str) -> Error {
    let violation = Violation {
        path: format!("/{field}"),
        message: message.to_owned(),
    };
    let detail = format!("`{field}` is not valid: {message}.");
    Error::new(Code::ValidationFailed, detail).with_violations(vec![violation])
}

/// A link as the wire contract asks for it.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "MagicLinkCreate")]
pub(super) struct CreateMagic {
    /// Your own id of the customer; the linked user is made where there is none.
    #[schemars(example = &"customer-17")]
    linked_user_origin_id: String,
    /// Whom you send it to: kept, and used for nothing.
    #[serde(default)]
    #[schemars(length(max = 320))]
    email: Option<String>,
    /// Not needed: a linked user that is made here is called by its id.
    #[serde(default)]
    #[expect(dead_code, reason = "the published contract's clients send it")]
    alias: Option<String>,
    /// The project of the API key, where it is given.
    #[serde(default)]
    id_project: Option<String>,
}

/// A link as the wire contract has it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MagicLink")]
struct MagicBody {
    #[schemars(with = "Uuid")]
    id_invite_link: String,
    #[schemars(extend("enum" = ["generated", "used", "expired", "revoked"]))]
    status: &'static str,
    email: String,
    #[schemars(with = "Uuid")]
    id_linked_user: String,
    #[schemars(with = "Uuid")]
    id_project: String,
    displayed_verticals: Vec<String>,
    displayed_providers: Vec<String>,
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    /// The page's address, in the answer that made the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl MagicBody {
    fn new(link: &ConnectLink, now: Timestamp, url: Option<String>) -> Self {
        let status = match link.state(now).as_str() {
            "open" => "generated",
            other => other,
        };
        let what = &link.what;
        Self {
            id_invite_link: link.id.to_string(),
            status,
            email: what.email.clone().unwrap_or_default(),
            id_linked_user: what.linked_user.to_string(),
            id_project: link.project.to_string(),
            displayed_verticals: what.vertical.iter().cloned().collect(),
            displayed_providers: what.connectors.iter().map(ToString::to_string).collect(),
            expires_at: link.expires_at.to_string(),
            url,
        }
    }
}

pub(super) async fn create_magic(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Json(body): Json<CreateMagic>,
) -> Result<Response, Error> {
    let project = actor.project.id;
    if body.id_project.is_some_and(|id| id.parse() != Ok(project)) {
        let detail = "The `id_project` is not the project of this API key.";
        return Err(Error::new(Code::ProjectNotFound, detail));
    }
    if body
        .email
        .as_ref()
        .is_some_and(|email| email.len() > MAX_EMAIL)
    {
        return Err(invalid("email", "it is longer than 320 bytes"));
    }
    let origin = &body.linked_user_origin_id;
    let linked_user = linked_users::by_any_id(&services.store, project, origin).await?;
    let draft = LinkDraft {
        what: NewConnectLink {
            linked_user: linked_user.id,
            connectors: Vec::new(),
            vertical: None,
            return_url: None,
            language: None,
            connection: None,
            email: body.email,
        },
        life: Some(crate::model::LONGEST_LINK_LIFE),
    };
    let (link, token) = services.unify.create_link(project, draft).await?;
    audit(&services, &actor, &link, "connect_link.create").await?;
    let url = services.connect_url(token.expose_secret()).to_string();
    let body = MagicBody::new(&link, services.clock.now(), Some(url));
    Ok((StatusCode::CREATED, json(&body)?).into_response())
}

pub(super) async fn list_magic(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Response, Error> {
    let store = &services.store;
    let links = store
        .connect_links(caller.project.id, None, MAX_LIMIT)
        .await?;
    let now = services.clock.now();
    let bodies = links.iter().map(|link| MagicBody::new(link, now, None));
    json(&bodies.collect::<Vec<_>>())
}

pub(super) async fn get_magic(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let link = by_id(&services, caller.project.id, &id).await?;
    json(&MagicBody::new(&link, services.clock.now(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LANGUAGES;

    #[test]
    fn the_document_names_the_languages_that_there_are() {
        let schema = schemars::schema_for!(Create).to_value();
        let named = &schema["properties"]["language"]["enum"];
        let mut expected: Vec<_> = LANGUAGES.iter().map(|one| serde_json::json!(one)).collect();
        expected.push(serde_json::Value::Null);
        assert_eq!(*named, serde_json::Value::Array(expected));
    }
}
