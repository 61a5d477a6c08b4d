//! Associations: batch read and single writes of v4, and the v3 shape that
//! `associations=` puts beside a record.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::objects::{AssociationType, known, number};
use crate::seed;
use crate::server::Shared;
use crate::state::{Link, State, lock};

#[derive(Deserialize)]
pub(crate) struct BatchRead {
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    id: Value,
}

/// Records without an association are left out and counted as errors under
/// 207, as HubSpot does.
pub(crate) async fn batch_read(
    Extract(state): Extract<Shared>,
    Path((from, to)): Path<(String, String)>,
    Json(body): Json<BatchRead>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let (from, to) = (known(&from)?, known(&to)?);
    if body.inputs.len() > 1000 {
        return Err(Failure::validation("The maximum number of inputs is 1000"));
    }
    let state = lock(&state);
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in &body.inputs {
        let text = input
            .id
            .as_str()
            .map_or_else(|| input.id.to_string(), str::to_owned);
        let links = state.associated(from, number(&text)?, to);
        if links.is_empty() {
            errors.push(json!({
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": format!("No {} is associated with {} {text}.", seed::singular(to), seed::singular(from)),
                "context": {"fromObjectId": [text], "fromObjectType": [from], "toObjectType": [to]},
            }));
        } else {
            let to: Vec<Value> = links.iter().map(|link| v4_result(from, to, link)).collect();
            results.push(json!({"from": {"id": text}, "to": to}));
        }
    }
    let mut answer = json!({"status": "COMPLETE", "results": results});
    if errors.is_empty() {
        return Ok((StatusCode::OK, Json(answer)));
    }
    answer["numErrors"] = json!(errors.len());
    answer["errors"] = json!(errors);
    Ok((StatusCode::MULTI_STATUS, Json(answer)))
}

type Ends = (String, String, String, String);

pub(crate) async fn associate(
    Extract(state): Extract<Shared>,
    Path(ends): Path<Ends>,
    Json(body): Json<Vec<AssociationType>>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let (from, id, to, to_id) = ends_of(&ends)?;
    let mut state = lock(&state);
    exist(&state, (from, id, to, to_id))?;
    for kind in &body {
        let (target, primary) = kind.target(from)?;
        if target != to {
            return Err(Failure::validation(
                "the association type is of another pair",
            ));
        }
        state.associate(from, id, to, to_id, primary);
    }
    Ok((
        StatusCode::CREATED,
        Json(json!({"fromObjectId": id, "toObjectId": to_id})),
    ))
}

pub(crate) async fn associate_default(
    Extract(state): Extract<Shared>,
    Path(ends): Path<Ends>,
) -> Result<Json<Value>, Failure> {
    let (from, id, to, to_id) = ends_of(&ends)?;
    let mut state = lock(&state);
    exist(&state, (from, id, to, to_id))?;
    state.associate(from, id, to, to_id, false);
    Ok(Json(
        json!({"status": "COMPLETE", "results": [{"from": {"id": id.to_string()}, "to": {"id": to_id.to_string()}}]}),
    ))
}

pub(crate) async fn dissociate(
    Extract(state): Extract<Shared>,
    Path(ends): Path<Ends>,
) -> Result<StatusCode, Failure> {
    let (from, id, to, to_id) = ends_of(&ends)?;
    lock(&state).dissociate(from, id, to, to_id);
    Ok(StatusCode::NO_CONTENT)
}

fn ends_of(ends: &Ends) -> Result<(&'static str, u64, &'static str, u64), Failure> {
    Ok((
        known(&ends.0)?,
        number(&ends.1)?,
        known(&ends.2)?,
        number(&ends.3)?,
    ))
}

fn exist(state: &State, (from, id, to, to_id): (&str, u64, &str, u64)) -> Result<(), Failure> {
    if state.live(from, id).is_some() && state.live(to, to_id).is_some() {
        return Ok(());
    }
    Err(Failure::not_found())
}

/// `{"id", "type"}`, once per type of each association.
pub(crate) fn v3_results(state: &State, from: &str, id: u64, to: &str) -> Vec<Value> {
    let name = format!("{}_to_{}", seed::singular(from), seed::singular(to));
    let links = state.associated(from, id, to);
    let entries = links
        .iter()
        .flat_map(|link| link.types.iter().map(move |kind| (link.to, *kind)));
    entries
        .map(|(to_id, kind)| {
            let has_primary =
                seed::association(from, to).is_some_and(|kind| kind.primary.is_some());
            let unlabelled = has_primary
                && seed::association(from, to).is_some_and(|known| known.unlabelled == kind);
            let kind = if unlabelled {
                format!("{name}_unlabeled")
            } else {
                name.clone()
            };
            json!({"id": to_id.to_string(), "type": kind})
        })
        .collect()
}

fn v4_result(from: &str, to: &str, link: &Link) -> Value {
    let types: Vec<Value> = link
        .types
        .iter()
        .map(|kind| {
            let primary = seed::association(from, to).is_some_and(|known| known.primary == Some(*kind));
            json!({"category": "HUBSPOT_DEFINED", "typeId": kind, "label": if primary { Some("Primary") } else { None }})
        })
        .collect();
    json!({"toObjectId": link.to, "associationTypes": types})
}
