//! The account itself, its owners and its deal pipelines.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::objects::known;
use crate::seed::{
    self, DATE_TIMES, OWNER_BASE, PIPELINES, SEED_START, date_properties, owner_name,
};
use crate::server::{Shared, unknown_object};
use crate::state::{iso, lock};

pub(crate) async fn details(Extract(state): Extract<Shared>) -> Json<Value> {
    let portal_id = lock(&state).options.portal_id;
    Json(json!({
        "portalId": portal_id,
        "accountType": "STANDARD",
        "timeZone": "US/Eastern",
        "companyCurrency": "USD",
        "additionalCurrencies": [],
        "utcOffset": "-05:00",
        "utcOffsetMilliseconds": -18_000_000,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "na1",
    }))
}

#[derive(Deserialize)]
pub(crate) struct OwnersQuery {
    limit: Option<u64>,
    after: Option<u64>,
}

pub(crate) async fn owners(
    Extract(state): Extract<Shared>,
    Query(query): Query<OwnersQuery>,
) -> Result<Json<Value>, Failure> {
    let total = lock(&state).options.owners as u64;
    let limit = query.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Failure::validation("limit must be between 1 and 500"));
    }
    let start = query.after.unwrap_or(0);
    let end = total.min(start.saturating_add(limit));
    let results: Vec<Value> = (start..end).map(owner_json).collect();
    let mut answer = json!({"results": results});
    if end < total {
        answer["paging"] = json!({"next": {"after": end.to_string(), "link": format!("/crm/v3/owners?after={end}")}});
    }
    Ok(Json(answer))
}

pub(crate) async fn owner(
    Extract(state): Extract<Shared>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Failure> {
    let total = lock(&state).options.owners as u64;
    match id.checked_sub(OWNER_BASE) {
        Some(index) if index < total => Ok(Json(owner_json(index))),
        _ => Err(Failure::not_found()),
    }
}

pub(crate) async fn pipelines(Path(object): Path<String>) -> Result<Json<Value>, Failure> {
    if object != "deals" {
        return Err(unknown_object(&object));
    }
    let results: Vec<Value> = PIPELINES
        .iter()
        .enumerate()
        .map(|(order, (id, label, stages))| {
            let stages: Vec<Value> = stages
                .iter()
                .enumerate()
                .map(|(order, (id, label))| {
                    json!({
                        "id": id,
                        "label": label,
                        "displayOrder": order,
                        "metadata": {"isClosed": id.starts_with("closed").to_string(), "probability": "0.5"},
                        "createdAt": iso(SEED_START),
                        "updatedAt": iso(SEED_START),
                        "archived": false,
                        "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
                    })
                })
                .collect();
            json!({
                "id": id,
                "label": label,
                "displayOrder": order,
                "stages": stages,
                "createdAt": iso(SEED_START),
                "updatedAt": iso(SEED_START),
                "archived": false,
            })
        })
        .collect();
    Ok(Json(json!({"results": results})))
}

/// Every property is text here, and times are times.
pub(crate) async fn properties(
    Extract(state): Extract<Shared>,
    Path(object): Path<String>,
) -> Result<Json<Value>, Failure> {
    let object = known(&object)?;
    let (created, modified) = date_properties(object);
    let state = lock(&state);
    let property = |(name, custom): (&str, bool)| {
        let time = name == created || name == modified || DATE_TIMES.contains(&name);
        let (kind, field_type) = if time {
            ("datetime", "date")
        } else {
            ("string", "text")
        };
        json!({
            "name": name,
            "label": name.replace('_', " "),
            "description": "",
            "type": kind,
            "fieldType": field_type,
            "groupName": format!("{}information", seed::singular(object)),
            "options": [],
            "displayOrder": -1,
            "calculated": false,
            "externalOptions": false,
            "hasUniqueValue": false,
            "hidden": false,
            "hubspotDefined": !custom,
            "modificationMetadata": {
                "archivable": custom,
                "readOnlyDefinition": !custom,
                "readOnlyValue": seed::read_only(object, name),
            },
            "formField": true,
        })
    };
    let results: Vec<Value> = state.properties(object).into_iter().map(property).collect();
    Ok(Json(json!({"results": results})))
}

fn owner_json(index: u64) -> Value {
    let (first, last) = owner_name(index);
    json!({
        "id": (OWNER_BASE + index).to_string(),
        "email": format!("{}.{}@example.com", first.to_lowercase(), last.to_lowercase()),
        "type": "PERSON",
        "firstName": first,
        "lastName": last,
        "userId": 9_000 + index,
        "userIdIncludingInactive": 9_000 + index,
        "createdAt": iso(SEED_START),
        "updatedAt": iso(SEED_START),
        "archived": false,
    })
}
