//! Who asks, as argument types: a handler without one of these cannot reach a project's data.

use std::{convert::Infallible, fmt, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use serde_json::Value;

use super::{
    Services,
    error::{Code, Error},
    inside::Narrowed,
    rate_limit::Counted,
};
use crate::{
    model::{AuditEntry, Digest, ObjectKind, Project, Scope},
    vault::Vault,
};

/// A caller with a good API key.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The key's project: all that the caller can see.
    pub(super) project: Project,
}

impl FromRequestParts<Arc<Services>> for Caller {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        let Actor { project, .. } = Actor::from_request_parts(parts, services).await?;
        Ok(Self { project })
    }
}

/// A caller that may change something: the audit log names its key.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    /// The key's project.
    pub(super) project: Project,
    /// The id of the API key.
    pub(super) key: String,
}

impl Actor {
    /// Who it is for the audit log: `api_key:<id>`.
    pub(super) fn name(&self) -> String {
        format!("api_key:{}", self.key)
    }

    /// Writes what was done into the audit log. Reading leaves no entry, asking for a sync does not
    /// either, which programs do all the time, nor do records, which have a history of their own.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn audit(
        &self,
        services: &Services,
        action: &str,
        subject: impl fmt::Display,
        details: Value,
    ) -> Result<(), Error> {
        let entry = AuditEntry {
            at: services.clock.now(),
            project: Some(self.project.id),
            actor: self.name(),
            action: action.to_owned(),
            subject: subject.to_string(),
            details,
        };
        Ok(services.store.audit(&entry).await?)
    }

    /// The same for something that was done with the sync of an object of a connection.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn audit_sync(
        &self,
        services: &Services,
        action: &str,
        (scope, kind): (&Scope, ObjectKind),
        mut details: Value,
    ) -> Result<(), Error> {
        if let Some(details) = details.as_object_mut() {
            details.insert("object".to_owned(), kind.name().into());
        }
        let connection = scope.connection().id;
        self.audit(services, action, connection, details).await
    }
}

impl FromRequestParts<Arc<Services>> for Actor {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        let digest = api_key(&parts.headers)?;
        let found = services.store.project_by_api_key(&digest).await?;
        let (id, project) = found.ok_or_else(unknown_key)?;
        let counted = parts.extensions.get::<Counted>();
        services.rate_limit.count(project.id, counted)?;
        used(services, &digest).await;
        let key = id.to_string();
        Ok(Self { project, key })
    }
}

/// The id of the API key that is used: who a write is by.
#[derive(Clone, Debug)]
pub(super) struct UsedKey(pub(super) String);

impl FromRequestParts<Arc<Services>> for UsedKey {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        let digest = api_key(&parts.headers)?;
        let found = services.store.project_by_api_key(&digest).await?;
        let (id, _) = found.ok_or_else(unknown_key)?;
        Ok(Self(id.to_string()))
    }
}

/// A caller with an operator's key: it may change what concerns the whole server, and sees no
/// project's data.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    /// Who it is for the audit log: `operator_key:<id>`.
    pub(super) actor: String,
}

impl FromRequestParts<Arc<Services>> for Operator {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        let text = key_text(&parts.headers)?;
        if let Some(digest) = Vault::parse_operator_key(text) {
            let found = services.store.operator_key(&digest).await?;
            let id = found.ok_or_else(unknown_key)?;
            let actor = format!("operator_key:{id}");
            return Ok(Self { actor });
        }
        let Caller { .. } = Caller::from_request_parts(parts, services).await?;
        let detail = "This concerns the whole server: it takes an operator's key, and this is the key of a project.";
        Err(Error::new(Code::OperatorRequired, detail))
    }
}

/// Whose eyes an answer is for: one project's, or the operator's.
#[derive(Clone, Debug)]
pub(super) enum Audience {
    /// With a project's key.
    Project(Project),
    /// With an operator's.
    Operator,
}

impl FromRequestParts<Arc<Services>> for Audience {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        if Vault::parse_operator_key(key_text(&parts.headers)?).is_some() {
            let Operator { .. } = Operator::from_request_parts(parts, services).await?;
            return Ok(Self::Operator);
        }
        let Caller { project } = Caller::from_request_parts(parts, services).await?;
        Ok(Self::Project(project))
    }
}

/// A caller with a good API key and the token of one of its connections.
#[derive(Clone, Debug)]
pub(super) struct Scoped(pub(super) Scope);

impl FromRequestParts<Arc<Services>> for Scoped {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        if let Some(Narrowed(scope)) = parts.extensions.get() {
            return Ok(Self(scope.clone()));
        }
        let token = text(&parts.headers, "x-connection-token");
        if let Some(token) = token.and_then(Vault::parse_connection_token) {
            let key = api_key(&parts.headers)?;
            let scope = services.store.scope_by_key_and_token(&key, &token).await?;
            if let Some(scope) = scope {
                let counted = parts.extensions.get::<Counted>();
                services.rate_limit.count(scope.project(), counted)?;
                used(services, &key).await;
                return Ok(Self(scope));
            }
        }
        // Something is wrong; one after the other tells what.
        let caller = MaybeScoped::from_request_parts(parts, services).await?;
        caller.scope.map(Self).ok_or_else(|| {
            let detail =
                "The request names no connection: the header `x-connection-token` is missing.";
            Error::new(Code::ConnectionTokenMissing, detail)
        })
    }
}

/// A caller with a good API key, and one of its connections if it names one.
#[derive(Clone, Debug)]
pub(super) struct MaybeScoped {
    /// The key's project.
    pub(super) project: Project,
    /// The connection.
    pub(super) scope: Option<Scope>,
}

impl FromRequestParts<Arc<Services>> for MaybeScoped {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        let Caller { project } = Caller::from_request_parts(parts, services).await?;
        let narrowed = parts.extensions.get::<Narrowed>();
        let Some(token) = text(&parts.headers, "x-connection-token") else {
            return Ok(Self {
                project,
                scope: narrowed.map(|Narrowed(scope)| scope.clone()),
            });
        };
        let scope = match Vault::parse_connection_token(token) {
            Some(digest) => services.store.scope_by_token(project.id, &digest).await?,
            None => None,
        };
        if scope.is_none() {
            let detail =
                "The header `x-connection-token` is not the token of a connection of this project.";
            return Err(Error::new(Code::ConnectionTokenInvalid, detail));
        }
        Ok(Self { project, scope })
    }
}

/// What is known of the program that asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// One of the clients generated from the published contract, which parse strictly.
    pub(super) is_generated: bool,
    /// A browser that shows a page, rather than a program.
    pub(super) wants_html: bool,
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = |name| text(&parts.headers, name).unwrap_or_default();
        Ok(Self {
            is_generated: header("user-agent").starts_with("speakeasy-sdk/"),
            wants_html: header("accept").contains("text/html"),
        })
    }
}

/// `x-api-key`, or `Authorization: Bearer`.
pub(super) fn key_text(headers: &HeaderMap) -> Result<&str, Error> {
    let bearer = || {
        let (scheme, key) = text(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    };
    text(headers, "x-api-key").or_else(bearer).ok_or_else(|| {
        let detail = "The request has no API key: the header `x-api-key` is missing.";
        Error::new(Code::ApiKeyMissing, detail)
    })
}

fn api_key(headers: &HeaderMap) -> Result<Digest, Error> {
    let key = key_text(headers)?;
    Vault::parse_api_key(key).ok_or_else(|| match Vault::parse_operator_key(key) {
        None => unknown_key(),
        Some(_) => {
            let detail = "An operator's key opens no project: use one that `jackfield api-key create --project ID` made.";
            Error::new(Code::ApiKeyInvalid, detail)
        }
    })
}

/// Notes that a key is in use. A request is not refused because that cannot be written.
async fn used(services: &Services, key: &Digest) {
    if let Err(error) = services.store.api_key_used(key).await {
        tracing::warn!(%error, "an API key's use cannot be noted");
    }
}

fn unknown_key() -> Error {
    let detail = "The API key is not one of this server, or it was revoked.";
    Error::new(Code::ApiKeyInvalid, detail)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then_some(value)
}
