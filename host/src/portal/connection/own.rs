//! A connection that the person with the link may look after, as an argument type.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
    response::Response,
};
use maud::html;
use serde_json::Value;

use crate::{
    http::{self, Services},
    model::{AuditEntry, Connection, Scope},
    portal::{Look, OpenLink},
    runtime::ConnectorVersion,
};

/// A connection of the link's linked user. A link that is for one connection shows no other.
#[derive(Debug)]
pub(crate) struct Own {
    /// The link.
    pub(crate) open: OpenLink,
    /// The connection.
    pub(crate) scope: Scope,
    /// What serves it; none where nothing does now.
    pub(crate) version: Option<Arc<ConnectorVersion>>,
}

impl FromRequestParts<Arc<Services>> for Own {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Response> {
        let open = OpenLink::from_request_parts(parts, services).await?;
        let places = Path::<BTreeMap<String, String>>::from_request_parts(parts, services).await;
        let id = places
            .ok()
            .and_then(|Path(places)| places.get("id")?.parse().ok());
        let found = match id {
            Some(id) => services.store.scope_by_id(open.project.id, id).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(scope)) if is_of(&open, &scope) => Ok(Self {
                version: services.runtime.active(&scope.connection().connector),
                open,
                scope,
            }),
            Ok(_) => Err(gone(&open)),
            Err(error) => Err(open.show(Err(error.into()))),
        }
    }
}

/// Whether the link is for it.
pub(super) fn is_of(open: &OpenLink, scope: &Scope) -> bool {
    let connection = scope.connection();
    let what = &open.link.what;
    connection.linked_user == open.linked_user.id
        && what.connection.is_none_or(|only| only == connection.id)
        && open.link.allows(&connection.connector)
}

fn gone(open: &OpenLink) -> Response {
    let texts = open.texts;
    let body = html! {
        p { (texts.get("manage.gone.text")) }
        p { a.button href=(open.href("")) { (texts.get("manage.back")) } }
    };
    let look = Look {
        status: StatusCode::NOT_FOUND,
        ..Look::default()
    };
    open.page_with(look, texts.get("manage.gone.title"), &body)
}

impl Own {
    /// The connection.
    pub(crate) fn connection(&self) -> &Connection {
        self.scope.connection()
    }

    /// What people call what is connected.
    pub(crate) fn name(&self) -> &str {
        match &self.version {
            Some(version) => &version.manifest().name,
            None => self.connection().connector.as_str(),
        }
    }

    /// Whether a page may make the provider say something now; it is counted.
    pub(crate) fn may_ask(&self) -> bool {
        self.open.services.questions.takes(self.connection().id)
    }

    /// The address of a page of this connection.
    pub(crate) fn href(&self, path: &str) -> String {
        self.href_with(path, &[])
    }

    /// The same with a query.
    pub(crate) fn href_with(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let path = format!("/connections/{}{path}", self.connection().id);
        self.open.href_with(&path, pairs)
    }

    /// Where its login starts again.
    pub(crate) fn login_href(&self) -> String {
        let slug = &self.connection().connector;
        self.open.href(&format!("/connectors/{slug}"))
    }

    /// Where one goes who is done: back to the integrator where the link says so, else to the
    /// start.
    pub(crate) fn leave_href(&self) -> String {
        let goes_back = self.open.is_used() && self.open.return_url().is_some();
        self.open.href(if goes_back { "/finish" } else { "" })
    }

    /// The page of the connection, which says what was done.
    pub(crate) fn to_done(&self, word: &str) -> Response {
        self.open.to(&self.href_with("", &[("done", word)]))
    }

    /// For the audit log.
    pub(crate) fn actor(&self) -> String {
        format!("linked_user:{}", self.connection().linked_user)
    }

    /// Writes what the customer did into the audit log.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn audit(
        &self,
        action: &str,
        subject: impl fmt::Display,
        details: Value,
    ) -> Result<(), http::Error> {
        let services = &self.open.services;
        let entry = AuditEntry {
            at: services.clock.now(),
            project: Some(self.connection().project),
            actor: self.actor(),
            action: action.to_owned(),
            subject: subject.to_string(),
            details,
        };
        Ok(services.store.audit(&entry).await?)
    }
}
