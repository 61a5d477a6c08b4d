//! `/crm/v3/objects/{type}`: list, read, create, update, archive.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::associations;
use crate::error::Failure;
use crate::seed;
use crate::server::{Shared, unknown_object};
use crate::state::{Record, State, iso, lock};

#[derive(Deserialize)]
pub(crate) struct ReadQuery {
    limit: Option<u64>,
    after: Option<u64>,
    properties: Option<String>,
    associations: Option<String>,
    #[serde(default)]
    archived: bool,
}

impl ReadQuery {
    fn render(
        &self,
        state: &State,
        object: &'static str,
        record: &Record,
    ) -> Result<Value, Failure> {
        let properties: Option<Vec<&str>> = self
            .properties
            .as_deref()
            .map(|names| names.split(',').collect());
        let mut value = render(object, record, properties.as_deref());
        if let Some(names) = &self.associations {
            let mut found = Map::new();
            for name in names.split(',') {
                let to = seed::type_name(name).ok_or_else(|| unknown_object(name))?;
                let results = associations::v3_results(state, object, record.id, to);
                if !results.is_empty() {
                    found.insert(to.to_owned(), json!({"results": results}));
                }
            }
            if !found.is_empty() {
                value["associations"] = Value::Object(found);
            }
        }
        Ok(value)
    }
}

pub(crate) async fn list(
    Extract(state): Extract<Shared>,
    Path(object): Path<String>,
    Query(query): Query<ReadQuery>,
) -> Result<Json<Value>, Failure> {
    let object = known(&object)?;
    let limit = query.limit.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(Failure::validation("limit must be between 1 and 100"));
    }
    let state = lock(&state);
    let after = query.after.unwrap_or(0);
    let mut found = state
        .records(object)
        .into_iter()
        .filter(|record| record.archived == query.archived && record.id >= after);
    let page = found
        .by_ref()
        .take(usize::try_from(limit).expect("at most 100"));
    let results = page
        .map(|record| query.render(&state, object, record))
        .collect::<Result<Vec<_>, _>>()?;
    let mut answer = json!({"results": results});
    if let Some(next) = found.next() {
        let link = format!("/crm/v3/objects/{object}?after={}", next.id);
        answer["paging"] = json!({"next": {"after": next.id.to_string(), "link": link}});
    }
    Ok(Json(answer))
}

pub(crate) async fn read(
    Extract(state): Extract<Shared>,
    Path((object, id)): Path<(String, String)>,
    Query(query): Query<ReadQuery>,
) -> Result<Json<Value>, Failure> {
    let (object, id) = (known(&object)?, number(&id)?);
    let state = lock(&state);
    let record = state.live(object, id).ok_or_else(Failure::not_found)?;
    Ok(Json(query.render(&state, object, record)?))
}

#[derive(Deserialize)]
pub(crate) struct BatchRead {
    inputs: Vec<Input>,
    properties: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Input {
    id: String,
}

pub(crate) async fn batch_read(
    Extract(state): Extract<Shared>,
    Path(object): Path<String>,
    Json(body): Json<BatchRead>,
) -> Result<Json<Value>, Failure> {
    let object = known(&object)?;
    if body.inputs.len() > 100 {
        return Err(Failure::validation("The maximum number of inputs is 100"));
    }
    let state = lock(&state);
    let properties: Option<Vec<&str>> = body
        .properties
        .as_ref()
        .map(|names| names.iter().map(String::as_str).collect());
    let found = body
        .inputs
        .iter()
        .filter_map(|input| state.live(object, input.id.parse().ok()?));
    let results: Vec<Value> = found
        .map(|record| render(object, record, properties.as_deref()))
        .collect();
    Ok(Json(json!({"status": "COMPLETE", "results": results})))
}

#[derive(Deserialize)]
pub(crate) struct Write {
    properties: BTreeMap<String, Value>,
    #[serde(default)]
    associations: Vec<Associate>,
}

#[derive(Deserialize)]
struct Associate {
    to: Target,
    types: Vec<AssociationType>,
}

#[derive(Deserialize)]
struct Target {
    id: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssociationType {
    association_category: String,
    association_type_id: u32,
}

impl AssociationType {
    /// The type that this names a direction of, and whether it is the primary one.
    pub(crate) fn target(&self, from: &str) -> Result<(&'static str, bool), Failure> {
        let id = self.association_type_id;
        let refuse =
            || Failure::validation(&format!("Invalid association type id {id} for {from}"));
        if self.association_category != "HUBSPOT_DEFINED" {
            return Err(refuse());
        }
        let kinds = seed::TYPES
            .into_iter()
            .filter_map(|to| Some((to, seed::association(from, to)?)));
        let mut matching =
            kinds.filter(|(_, kind)| kind.unlabelled == id || kind.primary == Some(id));
        matching
            .next()
            .map(|(to, kind)| (to, kind.primary == Some(id)))
            .ok_or_else(refuse)
    }
}

pub(crate) async fn create(
    Extract(state): Extract<Shared>,
    Path(object): Path<String>,
    Json(body): Json<Write>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let object = known(&object)?;
    let properties = texts(&body.properties)?;
    let mut state = lock(&state);
    check(&state, object, None, &properties)?;
    let given = |name: &str| {
        properties
            .iter()
            .any(|(known, value)| *known == name && value.is_some())
    };
    let missing: Vec<&str> = seed::required_properties(object)
        .iter()
        .copied()
        .filter(|name| !given(name))
        .collect();
    if !missing.is_empty() {
        return Err(Failure::missing_property(seed::singular(object), &missing));
    }
    let any_of: &[&str] = match object {
        "contacts" => &["email", "firstname", "lastname"],
        "companies" => &["name", "domain"],
        _ => &[],
    };
    if !any_of.is_empty() && !any_of.iter().any(|name| given(name)) {
        return Err(Failure::missing_property(seed::singular(object), any_of));
    }
    let mut links = Vec::new();
    for association in &body.associations {
        let id = number(
            association
                .to
                .id
                .as_str()
                .map_or_else(|| association.to.id.to_string(), str::to_owned)
                .as_str(),
        )?;
        for kind in &association.types {
            let (to, primary) = kind.target(object)?;
            if state.live(to, id).is_none() {
                return Err(Failure::validation(&format!(
                    "Object {id} of type {to} does not exist"
                )));
            }
            links.push((to, id, primary));
        }
    }
    let values: Vec<(&str, &str)> = properties
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
        .collect();
    let id = state.insert(object, &values);
    for (to, to_id, primary) in links {
        state.associate(object, id, to, to_id, primary);
    }
    let record = state.live(object, id).expect("it was just made");
    let names: Vec<&str> = record.properties.keys().map(String::as_str).collect();
    Ok((
        StatusCode::CREATED,
        Json(render(object, record, Some(&names))),
    ))
}

pub(crate) async fn update(
    Extract(state): Extract<Shared>,
    Path((object, id)): Path<(String, String)>,
    Json(body): Json<Write>,
) -> Result<Json<Value>, Failure> {
    let (object, id) = (known(&object)?, number(&id)?);
    if !body.associations.is_empty() {
        return Err(Failure::validation("associations cannot be updated here"));
    }
    let properties = texts(&body.properties)?;
    let mut state = lock(&state);
    if state.live(object, id).is_none() {
        return Err(Failure::not_found());
    }
    check(&state, object, Some(id), &properties)?;
    let changes: Vec<(&str, Option<&str>)> = properties
        .iter()
        .map(|(name, value)| (*name, value.as_deref()))
        .collect();
    state.update(object, id, &changes);
    let record = state.live(object, id).expect("it was there before");
    let names: Vec<&str> = changes.iter().map(|(name, _)| *name).collect();
    Ok(Json(render(object, record, Some(&names))))
}

/// Answers 204 whether or not there was such a record, as HubSpot does.
pub(crate) async fn archive(
    Extract(state): Extract<Shared>,
    Path((object, id)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let (object, id) = (known(&object)?, number(&id)?);
    let mut state = lock(&state);
    if state.live(object, id).is_some() {
        state.archive(object, id);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A record in an answer: the named properties (else the default ones), and
/// always the id and the two dates.
pub(crate) fn render(object: &str, record: &Record, properties: Option<&[&str]>) -> Value {
    let (created, modified) = seed::date_properties(object);
    let names = properties
        .unwrap_or_else(|| seed::default_properties(object))
        .iter()
        .copied();
    let known = seed::properties(object);
    let mut values = Map::new();
    for name in names.chain(["hs_object_id", created, modified]) {
        // A property that the type does not have is left out, not null.
        if known.contains(&name) || record.properties.contains_key(name) {
            values.insert(
                name.to_owned(),
                record
                    .property(object, name)
                    .map_or(Value::Null, Value::String),
            );
        }
    }
    json!({
        "id": record.id.to_string(),
        "properties": values,
        "createdAt": iso(record.created),
        "updatedAt": iso(record.modified),
        "archived": record.archived,
    })
}

pub(crate) fn known(object: &str) -> Result<&'static str, Failure> {
    seed::type_name(object).ok_or_else(|| unknown_object(object))
}

pub(crate) fn number(id: &str) -> Result<u64, Failure> {
    id.parse().map_err(|_| {
        let message = format!("Object not found.  objectId are usually numeric.  {id}");
        Failure::new(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", &message)
    })
}

/// Property values are text; numbers and booleans are taken as such.
fn texts(properties: &BTreeMap<String, Value>) -> Result<Vec<(&str, Option<String>)>, Failure> {
    let text = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => Err(Failure::validation(
            "Invalid input JSON: a property must be text",
        )),
    };
    properties
        .iter()
        .map(|(name, value)| Ok((name.as_str(), text(value)?)))
        .collect()
}

fn check(
    state: &State,
    object: &str,
    id: Option<u64>,
    properties: &[(&str, Option<String>)],
) -> Result<(), Failure> {
    if let Some(name) = state.unknown_property(object, properties.iter().map(|(name, _)| *name)) {
        return Err(Failure::unknown_property(name, state.options.portal_id));
    }
    if let Some((name, _)) = properties
        .iter()
        .find(|(name, _)| seed::read_only(object, name))
    {
        return Err(Failure::validation(&format!(
            "Property values were not valid: \"{name}\" is a read only property"
        )));
    }
    if object == "deals" {
        let stored = id.and_then(|id| state.live(object, id));
        let value = |wanted: &str| {
            let written = properties
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value.clone());
            written.unwrap_or_else(|| stored?.property(object, wanted))
        };
        // Without a pipeline HubSpot takes the default one.
        let pipeline = value("pipeline").unwrap_or_else(|| "default".to_owned());
        if let Some(stage) =
            value("dealstage").filter(|stage| !seed::pipeline_has(&pipeline, stage))
        {
            let message = format!(
                "Property values were not valid: {stage} is not a valid stage of pipeline {pipeline}"
            );
            return Err(Failure::validation(&message));
        }
    }
    let email = properties
        .iter()
        .find_map(|(name, value)| value.as_deref().filter(|_| *name == "email"));
    if let Some(email) = email.filter(|_| object == "contacts") {
        let same = |record: &&Record| {
            record
                .properties
                .get("email")
                .is_some_and(|known| known.eq_ignore_ascii_case(email))
        };
        let mut others = state
            .records(object)
            .into_iter()
            .filter(|record| !record.archived && Some(record.id) != id);
        if let Some(other) = others.find(same) {
            return Err(Failure::contact_exists(other.id));
        }
    }
    Ok(())
}
