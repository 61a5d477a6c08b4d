//! Mapping custom fields: which field of the provider holds what the integrator asks for. Only
//! fields that the integrator lets linked users map are here, and only their own mapping changes.

mod form;
mod view;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};

use self::{form::Rules, view::Editor};
use super::{Form, Look, connection::Own};
use crate::{
    http::{self, Services},
    model::{CustomField, CustomFieldMapping, MappingRules},
    unify::{self, MappingDraft, Previewed, RemoteFields},
    web::{self, Query},
};

/// How long a page waits for a provider that tells its fields.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records that a mapping is tried on.
const PREVIEWED: u32 = 5;

pub(super) fn routes() -> Router<Arc<Services>> {
    let at = "/connect/{token}/connections/{id}/fields";
    Router::new()
        .route(at, get(list))
        .route(&format!("{at}/{{field}}"), get(edit).post(save))
        .route(&format!("{at}/{{field}}/preview"), get(preview))
        .route(&format!("{at}/{{field}}/reset"), post(reset))
}

/// The custom fields that the linked user may map, of objects that the connector serves.
pub(super) async fn offered(own: &Own) -> Result<Vec<CustomField>, http::Error> {
    let Some(version) = &own.version else {
        return Ok(Vec::new());
    };
    let project = own.open.project.id;
    let mut fields = own.open.services.store.custom_fields(project).await?;
    fields
        .retain(|field| field.linked_users_map && version.manifest().object(field.kind).is_some());
    Ok(fields)
}

/// A field with the mapping that holds for this connection, and whether it is the user's own.
struct Held {
    field: CustomField,
    mapping: Option<CustomFieldMapping>,
    is_own: bool,
}

impl Held {
    async fn of(own: &Own, field: CustomField) -> Result<Self, http::Error> {
        let connection = own.connection();
        let store = &own.open.services.store;
        let mut mappings = store.mappings_of(connection.project, field.id).await?;
        mappings.retain(|one| {
            one.connector == connection.connector
                && one
                    .linked_user
                    .is_none_or(|user| user == connection.linked_user)
        });
        // The user's own goes before that of all.
        mappings.sort_by_key(|one| one.linked_user.is_none());
        let mapping = mappings.into_iter().next();
        Ok(Self {
            is_own: mapping
                .as_ref()
                .is_some_and(|one| one.linked_user.is_some()),
            field,
            mapping,
        })
    }
}

async fn list(own: Own, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let made = overview(&own, query.get("done").map_or("", String::as_str)).await;
    own.open.show(made)
}

async fn overview(own: &Own, done: &str) -> Result<Response, http::Error> {
    let mut held = Vec::new();
    for field in offered(own).await? {
        held.push(Held::of(own, field).await?);
    }
    let body = view::overview(own, &held, done);
    let title = own.open.texts.get("fields.title");
    Ok(own.open.page_with(own.look(), title, &body))
}

/// The field of the address, where the linked user may map it.
async fn found(own: &Own, places: &BTreeMap<String, String>) -> Result<Option<Held>, http::Error> {
    let wanted = places.get("field").map_or("", String::as_str);
    let mut fields = offered(own).await?.into_iter();
    match fields.find(|field| field.id.to_string() == wanted) {
        Some(field) => Held::of(own, field).await.map(Some),
        None => Ok(None),
    }
}

async fn edit(
    own: Own,
    Path(places): Path<BTreeMap<String, String>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let made = editor(&own, &places, &query, false).await;
    own.open.show(made)
}

async fn save(
    own: Own,
    Path(places): Path<BTreeMap<String, String>>,
    Form(values): Form<BTreeMap<String, String>>,
) -> Response {
    let made = editor(&own, &places, &values, true).await;
    own.open.show(made)
}

/// The editor with what was typed; with `send` it is saved first, where it is good.
async fn editor(
    own: &Own,
    places: &BTreeMap<String, String>,
    values: &BTreeMap<String, String>,
    send: bool,
) -> Result<Response, http::Error> {
    let Some(held) = found(own, places).await? else {
        return Ok(own.open.to(&own.href("/fields")));
    };
    let texts = own.open.texts;
    let stored = held.mapping.as_ref().map(|mapping| &mapping.rules);
    let known = stored.map(Rules::of);
    let hides = matches!(known, Some(None));
    let typed = Rules::typed(values)
        .or_else(|| known.flatten())
        .unwrap_or_default();
    let remote = remote_fields(own, &held.field).await;
    let mut wrong = None;
    if send && values.get("do").is_none_or(|what| what != "preview") {
        let is_kept = stored.is_some_and(|stored| stored.remote_fields == [typed.remote.clone()]);
        match typed.rules(held.field.data_type, texts) {
            Err(message) => wrong = Some(message),
            Ok(_) if !is_kept && !is_offered(&remote, &typed.remote) => {
                wrong = Some(texts.get("fields.wrong.remote").to_owned());
            }
            Ok(rules) => match put(own, &held.field, rules).await {
                Ok(mapping) => {
                    note(own, "field_mapping.set", &mapping).await?;
                    return Ok(own.open.to(&own.href_with("/fields", &[("done", "saved")])));
                }
                Err(unify::Error::Invalid(problems)) => {
                    wrong = problems.first().map(|problem| problem.message.clone());
                }
                Err(error) => return Err(error.into()),
            },
        }
    }
    let tried = tried(own, &held.field, &typed).await;
    let wanted = values.get("q").map_or("", String::as_str);
    let body = view::editor(&Editor {
        own,
        field: &held.field,
        is_own: held.is_own,
        hides,
        typed: &typed,
        wrong: wrong.as_deref(),
        wanted,
        remote: &remote,
        tried,
    });
    let look = Look {
        status: match wrong {
            Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
            None => StatusCode::OK,
        },
        style: format!("{}{}", own.look().style, view::STYLE),
        ..Look::default()
    };
    let title = texts.with("fields.edit", &[("field", held.field.slug.as_str())]);
    Ok(own.open.page_with(look, &title, &body))
}

/// Whether the provider has the field, as far as its fields are known.
fn is_offered(remote: &Result<RemoteFields, String>, name: &str) -> bool {
    let known = remote.as_ref().map(|remote| &remote.fields);
    known.is_ok_and(|known| known.is_empty() || known.iter().any(|field| field.name == name))
        || remote.is_err()
}

async fn put(
    own: &Own,
    field: &CustomField,
    rules: MappingRules,
) -> Result<CustomFieldMapping, unify::Error> {
    let connection = own.connection();
    let draft = MappingDraft {
        connector: connection.connector.clone(),
        linked_user: Some(connection.linked_user),
        rules,
    };
    let unify = &own.open.services.unify;
    unify
        .put_mapping(connection.project, field.id, &draft)
        .await
}

/// Writes into the audit log what the customer did with a mapping.
async fn note(own: &Own, action: &str, mapping: &CustomFieldMapping) -> Result<(), http::Error> {
    own.audit(action, mapping.id, mapping.audited()).await
}

/// The provider's fields, or why they are not known, in words.
async fn remote_fields(own: &Own, field: &CustomField) -> Result<RemoteFields, String> {
    if !own.may_ask() {
        return Err(own.open.texts.get("fields.too_often").to_owned());
    }
    let unify = &own.open.services.unify;
    let loading = unify.remote_fields(&own.scope, field.kind);
    match tokio::time::timeout(PATIENCE, loading).await {
        Ok(loaded) => loaded.map_err(|error| error.to_string()),
        Err(_) => Err(own.open.texts.get("fields.late").to_owned()),
    }
}

/// `GET …/preview?remote=…`: what the mapping as typed makes of a few records.
async fn preview(
    own: Own,
    Path(places): Path<BTreeMap<String, String>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let held = match found(&own, &places).await {
        Ok(Some(held)) => held,
        Ok(None) => return own.open.to(&own.href("/fields")),
        Err(error) => return own.open.show(Err(error)),
    };
    let typed = Rules::typed(&query).unwrap_or_default();
    web::fragment(tried(&own, &held.field, &typed).await)
}

async fn tried(own: &Own, field: &CustomField, typed: &Rules) -> Markup {
    let texts = own.open.texts;
    if typed.remote.is_empty() {
        return html! { p.muted { (texts.get("fields.preview.choose")) } };
    }
    let made: Result<Vec<Previewed>, String> = match typed.rules(field.data_type, texts) {
        Err(message) => Err(message),
        Ok(rules) => {
            let unify = &own.open.services.unify;
            let made = unify.preview(
                &own.scope,
                field.kind,
                field.data_type,
                &rules,
                &[],
                PREVIEWED,
            );
            made.await.map_err(|error| match error {
                unify::Error::Invalid(problems) => problems
                    .first()
                    .map_or_else(String::new, |problem| problem.message.clone()),
                error => error.to_string(),
            })
        }
    };
    view::tried(texts, &made)
}

/// The user's own mapping goes; what the integrator set for all holds again.
async fn reset(own: Own, Path(places): Path<BTreeMap<String, String>>) -> Response {
    let made = take_away(&own, &places).await;
    own.open.show(made)
}

async fn take_away(own: &Own, places: &BTreeMap<String, String>) -> Result<Response, http::Error> {
    if let Some(held) = found(own, places).await?
        && let Some(mapping) = held.mapping.filter(|_| held.is_own)
    {
        let unify = &own.open.services.unify;
        unify
            .delete_mapping(own.open.project.id, held.field.id, mapping.id)
            .await?;
        note(own, "field_mapping.delete", &mapping).await?;
    }
    Ok(own.open.to(&own.href_with("/fields", &[("done", "reset")])))
}
