//! Associations: read for a page of search results, and changed to what an
//! application wants.

use std::collections::BTreeMap;

use jackfield_sdk::{Failure, Raw, RemoteRecord, http};
use serde_json::{Map, Value, json};

use crate::object::{Object, Target};
use crate::wire::{AssociationType, AssociationsBatch, Key, Link, Links};

/// The records of a search, with their associations beside the properties as
/// the list and the single read give them.
pub(crate) fn complete(
    object: &Object,
    results: Vec<Raw<Key>>,
) -> Result<Vec<RemoteRecord>, Failure> {
    let mut found: BTreeMap<String, BTreeMap<&str, Links>> = BTreeMap::new();
    if !results.is_empty() {
        for target in object.targets {
            let ids: Vec<&str> = results.iter().map(|record| record.id.as_str()).collect();
            for (id, links) in read(object, target, &ids)? {
                found.entry(id).or_default().insert(target.path, links);
            }
        }
    }
    let complete = |Raw {
                        document,
                        value: key,
                    }: Raw<Key>| {
        let id = object.remote_id(&key.id);
        let record = match found.remove(&key.id) {
            None => RemoteRecord::new(id, document),
            Some(associations) => {
                let mut whole: Map<String, Value> =
                    serde_json::from_str(document.get()).map_err(Failure::unexpected)?;
                whole.insert("associations".to_owned(), json!(associations));
                RemoteRecord::composed(id, &whole)?
            }
        };
        Ok(record.modified_at(key.updated_at).gone(key.archived))
    };
    results.into_iter().map(complete).collect()
}

fn read(object: &Object, target: &Target, ids: &[&str]) -> Result<Vec<(String, Links)>, Failure> {
    let inputs: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    let answer: AssociationsBatch = http::post("{api}/crm/v4/associations")
        .path(object.path)
        .path(target.path)
        .path("batch")
        .path("read")
        .json(&json!({"inputs": inputs}))
        .send()?
        .json()?;
    // A record without associations is an error to HubSpot, in an answer that is none.
    if let Some(error) = answer
        .errors
        .iter()
        .find(|error| error.category != "OBJECT_NOT_FOUND")
    {
        return Err(Failure::Unavailable(format!(
            "HubSpot gave no associations: {}",
            error.message
        )));
    }
    let links = |of: crate::wire::AssociationsOf| {
        let results = of.to.iter().flat_map(|to| {
            let kinds = to.association_types.iter();
            kinds.map(|kind| Link {
                id: to.to_object_id.to_string(),
                kind: name(target, kind),
            })
        });
        (
            of.from.id.to_string(),
            Links {
                results: results.collect(),
            },
        )
    };
    Ok(answer.results.into_iter().map(links).collect())
}

/// What v3 calls the type.
fn name(target: &Target, kind: &AssociationType) -> String {
    match &kind.label {
        _ if kind.category == "HUBSPOT_DEFINED" && kind.type_id == target.kind => {
            target.name.to_owned()
        }
        Some(label) => label.to_lowercase().replace(' ', "_"),
        None => format!("{}_unlabeled", target.name),
    }
}

/// `associations` of a new record.
pub(crate) fn to_create(object: &Object, wanted: &BTreeMap<String, Vec<String>>) -> Vec<Value> {
    let targets = object
        .targets
        .iter()
        .filter_map(|target| Some((target, wanted.get(target.path)?)));
    let entries = targets.flat_map(|(target, ids)| {
        ids.iter()
            .map(|id| json!({"to": {"id": id}, "types": [association_type(target)]}))
    });
    entries.collect()
}

/// The same associations as v3 shows them.
pub(crate) fn as_read(object: &Object, wanted: &BTreeMap<String, Vec<String>>) -> Value {
    let targets = object
        .targets
        .iter()
        .filter_map(|target| Some((target, wanted.get(target.path)?)));
    let entries = targets
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(target, ids)| {
            let results = ids
                .iter()
                .map(|id| Link {
                    id: id.clone(),
                    kind: target.name.to_owned(),
                })
                .collect();
            (target.path.to_owned(), json!(Links { results }))
        });
    Value::Object(entries.collect())
}

/// Changes the associations of a record to the wanted ones.
pub(crate) fn change(
    object: &Object,
    id: &str,
    target: &Target,
    known: &Links,
    wanted: &[String],
) -> Result<(), Failure> {
    // Where one of several is primary, only the primary one counts as being there.
    let is_there = |id: &String| {
        known
            .results
            .iter()
            .any(|link| link.id == *id && (!target.primary || link.kind == target.name))
    };
    let added: Vec<&String> = wanted.iter().filter(|id| !is_there(id)).collect();
    let mut removed: Vec<&str> = Vec::new();
    for link in &known.results {
        if !wanted.contains(&link.id) && !removed.contains(&link.id.as_str()) {
            removed.push(&link.id);
        }
    }
    // Adding first: a refused new association then leaves the old ones in place.
    for other in added {
        path(http::put("{api}/crm/v4/objects"), object, id, target, other)
            .json(&[association_type(target)])
            .send()?;
    }
    for other in removed {
        path(
            http::delete("{api}/crm/v4/objects"),
            object,
            id,
            target,
            other,
        )
        .send()?;
    }
    Ok(())
}

fn path(
    request: http::Request,
    object: &Object,
    id: &str,
    target: &Target,
    other: &str,
) -> http::Request {
    request
        .path(object.path)
        .path(id)
        .path("associations")
        .path(target.path)
        .path(other)
}

fn association_type(target: &Target) -> Value {
    json!({"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": target.kind})
}
