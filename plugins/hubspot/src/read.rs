//! Reading: the plain list for everything, the search for what changed, one
//! record by its id.

use jackfield_sdk::{Connection, Failure, FetchRequest, Page, Raw, RemoteRecord, http, time};
use serde::{Deserialize, Serialize};

use crate::associations;
use crate::object::Object;
use crate::search::Step;
use crate::wire::{Key, Results};

/// As many records as HubSpot lists at once.
const MOST: u32 = 100;

/// Where to go on. Kept by the host as JSON text.
#[derive(Debug, Deserialize, Serialize)]
struct Cursor {
    /// The object being read.
    object: String,
    /// What the whole pass began with, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
    /// `after` of the next page of the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    /// The next step of the search.
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<Step>,
}

/// Reads a page of these objects, one after the other.
pub(crate) fn fetch(
    connection: &Connection,
    request: &FetchRequest,
    objects: &[&Object],
) -> Result<Page, Failure> {
    if let Some(remote_id) = &request.remote_id {
        let object = objects
            .first()
            .ok_or_else(|| Failure::unexpected("there is an object to read"))?;
        return Ok(Page::one(one(connection, object, remote_id, &[])?));
    }
    let cursor = match &request.cursor {
        Some(text) => serde_json::from_str(text).map_err(|_| foreign(text))?,
        None => first(objects, since(request)?)?,
    };
    let mut rest = objects
        .iter()
        .skip_while(|object| object.path != cursor.object);
    let object = rest.next().ok_or_else(|| foreign(&cursor.object))?;
    let (records, next) = match cursor.search {
        Some(step) => {
            searched(connection, object, step, request.limit).map(|(records, step)| {
                (
                    records,
                    step.map(|step| Cursor {
                        search: Some(step),
                        ..again(object, &cursor)
                    }),
                )
            })?
        }
        None => listed(connection, object, cursor.list.as_deref(), request.limit).map(
            |(records, after)| {
                (
                    records,
                    after.map(|after| Cursor {
                        list: Some(after),
                        ..again(object, &cursor)
                    }),
                )
            },
        )?,
    };
    let next = match (next, rest.next()) {
        (Some(next), _) => Some(next),
        (None, Some(following)) => Some(first(&[*following], cursor.since)?),
        (None, None) => None,
    };
    let next = next
        .map(|cursor| serde_json::to_string(&cursor).map_err(Failure::unexpected))
        .transpose()?;
    Ok(Page::new(records).next(next))
}

/// One record as it is now. `more` are further properties to read.
pub(crate) fn one(
    connection: &Connection,
    object: &Object,
    remote_id: &str,
    more: &[&str],
) -> Result<RemoteRecord, Failure> {
    let id = object.id(remote_id).ok_or_else(|| foreign(remote_id))?;
    let properties = object
        .properties(connection, more.iter().copied())
        .join(",");
    let record: Raw<Key> = http::get("{api}/crm/v3/objects")
        .path(object.path)
        .path(id)
        .query("properties", properties)
        .query_opt("associations", object.associated())
        .send()?
        .json()?;
    Ok(whole(object, record))
}

fn listed(
    connection: &Connection,
    object: &Object,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<RemoteRecord>, Option<String>), Failure> {
    let answer: Results<Key> = http::get("{api}/crm/v3/objects")
        .path(object.path)
        .query("limit", limit.clamp(1, MOST))
        .query(
            "properties",
            object.properties(connection, std::iter::empty()).join(","),
        )
        .query_opt("associations", object.associated())
        .query_opt("after", after)
        .send()?
        .json()?;
    let next = answer.next().map(str::to_owned);
    Ok((
        answer
            .results
            .into_iter()
            .map(|record| whole(object, record))
            .collect(),
        next,
    ))
}

fn searched(
    connection: &Connection,
    object: &Object,
    step: Step,
    limit: u32,
) -> Result<(Vec<RemoteRecord>, Option<Step>), Failure> {
    let properties = object.properties(connection, std::iter::empty());
    let answer: Results<Key> = http::post("{api}/crm/v3/objects")
        .path(object.path)
        .path("search")
        .json(&step.body(object, &properties, limit))
        .send()?
        .json()?;
    let next = step.next(object, &answer.results, answer.next().is_some())?;
    // A search tells nothing about associations.
    let records = associations::complete(object, answer.results)?;
    Ok((records, next))
}

/// A record with the document as HubSpot sent it.
fn whole(object: &Object, record: Raw<Key>) -> RemoteRecord {
    let Raw {
        document,
        value: key,
    } = record;
    RemoteRecord::new(object.remote_id(&key.id), document)
        .modified_at(key.updated_at)
        .gone(key.archived)
}

fn first(objects: &[&Object], since: Option<i64>) -> Result<Cursor, Failure> {
    let object = objects
        .first()
        .ok_or_else(|| Failure::unexpected("there is an object to read"))?;
    Ok(Cursor {
        object: object.path.to_owned(),
        since,
        list: None,
        search: since.map(Step::From),
    })
}

fn again(object: &Object, cursor: &Cursor) -> Cursor {
    Cursor {
        object: object.path.to_owned(),
        since: cursor.since,
        list: None,
        search: None,
    }
}

fn since(request: &FetchRequest) -> Result<Option<i64>, Failure> {
    let parse = |text: &String| {
        time::parse(text).ok_or_else(|| Failure::invalid(format!("{text:?} is no time")))
    };
    request.since.as_ref().map(parse).transpose()
}

fn foreign(text: &str) -> Failure {
    Failure::invalid(format!("{text:?} is not from this connector"))
}
