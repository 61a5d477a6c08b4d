//! Writing: create, update, archive.

use jackfield_sdk::{Connection, Failure, PushAction, PushRequest, Raw, RemoteRecord, http, time};
use serde_json::{Map, Value, json};

use crate::associations;
use crate::draft::Draft;
use crate::object::Object;
use crate::read;
use crate::wire::{Key, Record};

/// Does what the request says.
pub(crate) fn push(
    connection: &Connection,
    request: &PushRequest,
    object: &Object,
) -> Result<RemoteRecord, Failure> {
    match request.action {
        PushAction::Delete => delete(request, object),
        PushAction::Create | PushAction::Update => {
            save(connection, request, object, request.read()?)
        }
    }
}

/// Creates or updates a record.
pub(crate) fn save(
    connection: &Connection,
    request: &PushRequest,
    object: &Object,
    draft: Draft,
) -> Result<RemoteRecord, Failure> {
    match request.action {
        PushAction::Update => update(connection, request.id()?, object, &draft),
        PushAction::Create | PushAction::Delete => create(connection, object, draft),
    }
}

/// Archives a record, which HubSpot can undo for 90 days.
pub(crate) fn delete(request: &PushRequest, object: &Object) -> Result<RemoteRecord, Failure> {
    let remote_id = request.id()?;
    let id = id_of(object, remote_id)?;
    http::delete("{api}/crm/v3/objects")
        .path(object.path)
        .path(id)
        .send()?;
    Ok(RemoteRecord::deleted(remote_id))
}

/// HubSpot has no idempotency key, so nothing may fail once the record is
/// there: the answer is put together without a second request.
fn create(
    connection: &Connection,
    object: &Object,
    mut draft: Draft,
) -> Result<RemoteRecord, Failure> {
    draft.properties.retain(|_, value| value != "");
    if object.needs_timestamp {
        let now = || {
            time::from_millis(time::now())
                .map(Value::String)
                .unwrap_or_default()
        };
        draft.properties.entry("hs_timestamp").or_insert_with(now);
    }
    let body = json!({
        "properties": draft.properties,
        "associations": associations::to_create(object, &draft.associations),
    });
    let created: Raw<Key> = http::post("{api}/crm/v3/objects")
        .path(object.path)
        .json(&body)
        .send()?
        .json()?;
    let mut document: Map<String, Value> =
        serde_json::from_str(created.document.get()).map_err(Failure::unexpected)?;
    // A read would name these, as null where they are not set.
    if let Some(Value::Object(properties)) = document.get_mut("properties") {
        for name in object.properties(connection, std::iter::empty()) {
            properties.entry(name).or_insert(Value::Null);
        }
    }
    if !draft.associations.is_empty() {
        document.insert(
            "associations".to_owned(),
            associations::as_read(object, &draft.associations),
        );
    }
    let record = RemoteRecord::composed(object.remote_id(&created.id), &document)?;
    Ok(record.modified_at(created.updated_at.clone()))
}

fn update(
    connection: &Connection,
    remote_id: &str,
    object: &Object,
    draft: &Draft,
) -> Result<RemoteRecord, Failure> {
    let id = id_of(object, remote_id)?;
    let written: Vec<&str> = draft.properties.keys().map(String::as_str).collect();
    if !draft.properties.is_empty() {
        let body = json!({"properties": draft.properties});
        http::patch("{api}/crm/v3/objects")
            .path(object.path)
            .path(id)
            .json(&body)
            .send()?;
    }
    let record = read::one(connection, object, remote_id, &written)?;
    if draft.associations.is_empty() {
        return Ok(record);
    }
    let document = record
        .data
        .as_ref()
        .ok_or_else(|| Failure::unexpected("a record that is there has a document"))?;
    let known: Record<Map<String, Value>> =
        serde_json::from_str(document.get()).map_err(Failure::unexpected)?;
    let none = crate::wire::Links::default();
    for target in object.targets {
        if let Some(wanted) = draft.associations.get(target.path) {
            let links = known.associations.get(target.path).unwrap_or(&none);
            associations::change(object, id, target, links, wanted)?;
        }
    }
    read::one(connection, object, remote_id, &written)
}

fn id_of<'a>(object: &Object, remote_id: &'a str) -> Result<&'a str, Failure> {
    object
        .id(remote_id)
        .ok_or_else(|| Failure::NotFound(format!("{remote_id:?} is no record of {}", object.path)))
}
