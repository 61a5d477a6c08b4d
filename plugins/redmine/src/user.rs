//! `ticketing.user`: users for an administrator; for anybody else the members of the projects that they see.

use jackfield_sdk::models::ticketing::User;
use jackfield_sdk::page::Offset;
use jackfield_sdk::{Document, Failure, FetchRequest, Fields, Page, Raw, RemoteRecord, http};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::{self, Memberships, OneUser, Users};
use crate::{collection, custom};

/// Where a walk through users stands.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    /// So many users are done.
    Users(u64),
    /// So many projects are done, and so many members of the next.
    Members(u64, u64),
}

/// The user whom the credentials belong to.
pub(crate) fn current() -> Result<wire::User, Failure> {
    let user = http::get("{api}/users/current.json")
        .send()?
        .json::<OneUser>()?
        .user;
    serde_json::from_value(Value::Object(user)).map_err(Failure::unexpected)
}

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    if let Some(id) = &request.remote_id {
        let user = http::get(&format!("{{api}}/users/{id}.json"))
            .send()?
            .json::<OneUser>()?
            .user;
        return Ok(Page::one(without_key(user)?));
    }
    let position = match &request.cursor {
        None => Position::Users(0),
        Some(cursor) => serde_json::from_str(cursor)
            .map_err(|_| Failure::invalid("not a cursor of this connector"))?,
    };
    let limit = request.limit.clamp(1, 100);
    match position {
        Position::Users(offset) => users(Offset { offset, limit }),
        Position::Members(projects, offset) => members(projects, Offset { offset, limit }),
    }
}

fn users(offset: Offset) -> Result<Page, Failure> {
    // An empty status means all: a locked user may still be the author of an issue.
    let response = http::get("{api}/users.json")
        .query("status", "")
        .query("offset", offset.offset)
        .query("limit", offset.limit)
        .accept(&[403])
        .send()?;
    if response.status == 403 {
        return members(
            0,
            Offset {
                offset: 0,
                ..offset
            },
        );
    }
    let answer: Users = response.json()?;
    let next = reached(offset, answer.users.len(), answer.total_count).map(Position::Users);
    Ok(Page::new(answer.users.into_iter().map(record)).next(cursor(next)?))
}

/// A page of the members of one project. Who is in several projects comes several times, always the same.
fn members(done: u64, offset: Offset) -> Result<Page, Failure> {
    let projects = collection::list(
        Offset {
            offset: done,
            limit: 1,
        },
        None,
    )?;
    let Some(project) = projects.projects.first() else {
        return Ok(Page::default());
    };
    let response = http::get(&format!("{{api}}/projects/{}/memberships.json", project.id))
        .query("offset", offset.offset)
        .query("limit", offset.limit)
        .accept(&[403])
        .send()?;
    // Some roles may see a project and not its members.
    let answer: Memberships = match response.status {
        403 => Memberships {
            memberships: Vec::new(),
            total_count: 0,
        },
        _ => response.json()?,
    };
    let next = match reached(offset, answer.memberships.len(), answer.total_count) {
        Some(members) => Some(Position::Members(done, members)),
        None => (done + 1 < projects.total_count).then_some(Position::Members(done + 1, 0)),
    };
    let users = answer
        .memberships
        .into_iter()
        .filter_map(|member| member.user);
    Ok(
        Page::new(users.map(|user| RemoteRecord::new(user.value.id, user.document)))
            .next(cursor(next)?),
    )
}

/// How many are done after a page, where there are more.
fn reached(offset: Offset, received: usize, total: u64) -> Option<u64> {
    offset.next(received, Some(total))?.parse().ok()
}

fn cursor(position: Option<Position>) -> Result<Option<String>, Failure> {
    position
        .map(|position| serde_json::to_string(&position))
        .transpose()
        .map_err(Failure::unexpected)
}

fn record(user: Raw<wire::User>) -> RemoteRecord {
    RemoteRecord::new(user.value.id, user.document).modified_at(user.value.updated_on)
}

/// A single user's document holds, for an administrator, that user's API key. It must not be kept.
fn without_key(mut user: Map<String, Value>) -> Result<RemoteRecord, Failure> {
    user.remove("api_key");
    let known: wire::User =
        serde_json::from_value(Value::Object(user.clone())).map_err(Failure::unexpected)?;
    Ok(RemoteRecord::composed(known.id, &user)?.modified_at(known.updated_on))
}

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<User, Failure> {
    let user: wire::User = document.read()?;
    Ok(User {
        name: user.full_name().into(),
        email_address: user.mail.filter(|mail| !mail.is_empty()).into(),
        field_mappings: custom::read(document, fields)?,
        ..User::default()
    })
}
