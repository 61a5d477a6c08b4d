//! Linked users: the integrator's customers.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::json;
use crate::{
    http::{
        Services,
        body::Json,
        caller::Caller,
        error::{Code, Error},
        operation::Operation,
        query::Query,
    },
    model::{LinkedUser, LinkedUserId, ProjectId},
    store,
};

const MAX_BATCH: usize = 1000;
const MAX_TEXT: usize = 255;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/linked_users", list)
            .id("listLinkedUsers")
            .tag("Linked users")
            .summary("All linked users of the project.")
            .gives::<Vec<LinkedUserBody<'static>>>(200, "The linked users."),
        Operation::post("/linked_users", create)
            .id("createLinkedUser")
            .tag("Linked users")
            .summary("Make a linked user.")
            .takes::<Create>()
            .gives::<LinkedUserBody<'static>>(201, "The new linked user.")
            .fails(&[Code::Conflict]),
        Operation::post("/linked_users/batch", create_batch)
            .id("importBatch")
            .tag("Linked users")
            .summary("Make those of many linked users that are not there yet.")
            .takes::<CreateBatch>()
            .gives::<Vec<LinkedUserBody<'static>>>(201, "All that were named, in their order."),
        Operation::get("/linked_users/fromRemoteId", by_origin)
            .id("remoteId")
            .tag("Linked users")
            .summary("The linked user with an id of your own.")
            .require_query::<String>("remoteId", "The `linked_user_origin_id`.")
            .gives::<LinkedUserBody<'static>>(200, "The linked user.")
            .fails(&[Code::LinkedUserNotFound, Code::ValidationFailed]),
        Operation::get("/linked_users/{id}", get)
            .id("retrieveLinkedUser")
            .tag("Linked users")
            .summary("One linked user.")
            .path::<Uuid>("id", "The `id_linked_user`.")
            .gives::<LinkedUserBody<'static>>(200, "The linked user.")
            .fails(&[Code::LinkedUserNotFound]),
    ]
}

/// A linked user as the wire contract has it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LinkedUser")]
struct LinkedUserBody<'a> {
    #[schemars(with = "Uuid")]
    id_linked_user: String,
    /// Your own id of this customer.
    #[schemars(example = &"customer-17")]
    linked_user_origin_id: &'a str,
    /// A name for people.
    #[schemars(example = &"Lovelace Ltd")]
    alias: &'a str,
    #[schemars(with = "Uuid")]
    id_project: String,
    #[schemars(extend("format" = "date-time"))]
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

/// A new linked user.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LinkedUserCreate")]
pub(super) struct Create {
    /// Your own id of this customer, at most 255 bytes.
    #[schemars(length(min = 1, max = 255), example = &"customer-17")]
    linked_user_origin_id: String,
    /// A name for people; your id where there is none.
    #[serde(default)]
    #[schemars(length(max = 255), example = &"Lovelace Ltd")]
    alias: Option<String>,
}

/// New linked users.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LinkedUserBatch")]
pub(super) struct CreateBatch {
    /// Your own ids, at most 1000.
    #[schemars(length(max = 1000), inner(length(min = 1, max = 255)), example = ["customer-17"])]
    linked_user_origin_ids: Vec<String>,
    /// A name for all of them; the id of each where there is none.
    #[schemars(length(max = 255))]
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

/// A linked user of the project by its id, or by the integrator's own, which makes it where there
/// is none. Exactly one of them has to be there.
pub(super) async fn by_one_id(
    store: &store::Store,
    project: ProjectId,
    named: (Option<String>, Option<String>),
) -> Result<LinkedUser, Error> {
    match named {
        (Some(id), None) => by_id(store, project, &id).await,
        (None, Some(origin)) => by_any_id(store, project, &origin).await,
        _ => {
            let detail = "Name the linked user by exactly one of `linked_user_id` and `linked_user_origin_id`.";
            Err(Error::new(Code::ValidationFailed, detail))
        }
    }
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
