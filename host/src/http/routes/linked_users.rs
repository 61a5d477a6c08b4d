//! Linked users: the integrator's customers.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};

use super::json;
use crate::{
    http::{
        Services,
        body::Json,
        caller::Caller,
        error::{Code, Error},
        query::Query,
    },
    model::{LinkedUser, LinkedUserId, ProjectId},
    store,
};

const MAX_BATCH: usize = 1000;
const MAX_TEXT: usize = 255;

/// A linked user as the wire contract has it.
#[derive(Serialize)]
struct LinkedUserBody<'a> {
    id_linked_user: String,
    linked_user_origin_id: &'a str,
    alias: &'a str,
    id_project: String,
    created_at: String,
}

impl<'a> From<&'a LinkedUser> for LinkedUserBody<'a> {
    fn from(user: &'a LinkedUser) -> Self {
        Self {
            id_linked_user: user.id.to_string(),
            linked_user_origin_id: &user.origin_id,
            alias: &user.alias,
            id_project: user.project.to_string(),
            created_at: user.created_at.to_string(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Create {
    linked_user_origin_id: String,
    #[serde(default)]
    alias: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CreateBatch {
    linked_user_origin_ids: Vec<String>,
    #[serde(default)]
    alias: Option<String>,
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
) -> Result<Response, Error> {
    let users = services.store.linked_users(caller.project.id).await?;
    json(&users.iter().map(LinkedUserBody::from).collect::<Vec<_>>())
}

pub(super) async fn create(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Json(body): Json<Create>,
) -> Result<Response, Error> {
    let (origin, alias) = checked(&body.linked_user_origin_id, body.alias.as_deref())?;
    let created = services
        .store
        .create_linked_user(caller.project.id, origin, alias)
        .await;
    let user = created.map_err(|error| match error {
        store::Error::Conflict(_) => {
            let detail = format!(
                "There is a linked user with the origin id {origin:?} already; `GET /linked_users/fromRemoteId?remoteId=` shows it."
            );
            Error::new(Code::Conflict, detail)
        }
        other => other.into(),
    })?;
    Ok((StatusCode::CREATED, json(&LinkedUserBody::from(&user))?).into_response())
}

/// Makes those that are not there yet, and answers all that were named, in their order.
pub(super) async fn create_batch(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Json(body): Json<CreateBatch>,
) -> Result<Response, Error> {
    if body.linked_user_origin_ids.len() > MAX_BATCH {
        let detail = format!("A batch may have {MAX_BATCH} linked users; send several.");
        return Err(Error::new(Code::ValidationFailed, detail));
    }
    for origin in &body.linked_user_origin_ids {
        checked(origin, body.alias.as_deref())?;
    }
    let mut users = Vec::with_capacity(body.linked_user_origin_ids.len());
    for origin in &body.linked_user_origin_ids {
        let (origin, alias) = checked(origin, body.alias.as_deref())?;
        users.push(get_or_create(&services.store, caller.project.id, origin, alias).await?);
    }
    let bodies: Vec<_> = users.iter().map(LinkedUserBody::from).collect();
    Ok((StatusCode::CREATED, json(&bodies)?).into_response())
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let user = by_id(&services.store, caller.project.id, &id).await?;
    json(&LinkedUserBody::from(&user))
}

pub(super) async fn by_origin(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let origin = query.require("remoteId")?;
    let store = &services.store;
    let user = store
        .linked_user_by_origin(caller.project.id, origin)
        .await?;
    let user = user.ok_or_else(|| unknown(origin))?;
    json(&LinkedUserBody::from(&user))
}

/// A linked user of the project by its id.
pub(super) async fn by_id(
    store: &store::Store,
    project: ProjectId,
    id: &str,
) -> Result<LinkedUser, Error> {
    let found = match id.parse::<LinkedUserId>() {
        Ok(id) => store.linked_user(project, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| unknown(id))
}

/// A linked user of the project by its id or by the integrator's own, made where there is none:
/// what the wire contract does with `linkedUserId`.
pub(super) async fn by_any_id(
    store: &store::Store,
    project: ProjectId,
    id: &str,
) -> Result<LinkedUser, Error> {
    if let Ok(id) = id.parse::<LinkedUserId>()
        && let Some(user) = store.linked_user(project, id).await?
    {
        return Ok(user);
    }
    let (origin, alias) = checked(id, None)?;
    get_or_create(store, project, origin, alias).await
}

async fn get_or_create(
    store: &store::Store,
    project: ProjectId,
    origin: &str,
    alias: &str,
) -> Result<LinkedUser, Error> {
    if let Some(user) = store.linked_user_by_origin(project, origin).await? {
        return Ok(user);
    }
    match store.create_linked_user(project, origin, alias).await {
        Ok(user) => Ok(user),
        // Somebody else made it between the two statements.
        Err(store::Error::Conflict(_)) => {
            let user = store.linked_user_by_origin(project, origin).await?;
            user.ok_or_else(|| unknown(origin))
        }
        Err(error) => Err(error.into()),
    }
}

/// The origin id and the alias, which is the origin id where none is given.
fn checked<'a>(origin: &'a str, alias: Option<&'a str>) -> Result<(&'a str, &'a str), Error> {
    let alias = alias.filter(|alias| !alias.is_empty()).unwrap_or(origin);
    if origin.is_empty() || origin.len() > MAX_TEXT || alias.len() > MAX_TEXT {
        let detail = format!(
            "The origin id of a linked user has 1 to {MAX_TEXT} bytes, its alias at most {MAX_TEXT}."
        );
        return Err(Error::new(Code::ValidationFailed, detail));
    }
    Ok((origin, alias))
}

fn unknown(id: &str) -> Error {
    let id: String = id.chars().take(80).collect();
    let detail = format!("This project has no linked user {id:?}.");
    Error::new(Code::LinkedUserNotFound, detail)
}
