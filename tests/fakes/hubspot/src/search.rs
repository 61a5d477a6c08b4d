//! `POST /crm/v3/objects/{type}/search`, with its limits.

use axum::Json;
use axum::extract::{Path, State as Extract};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::objects::{known, render};
use crate::server::Shared;
use crate::state::{Comparable, Record, lock};

/// No search pages past this many results.
const WINDOW: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Search {
    #[serde(default)]
    filter_groups: Vec<Group>,
    #[serde(default)]
    sorts: Vec<Sort>,
    properties: Option<Vec<String>>,
    limit: Option<usize>,
    after: Option<Value>,
}

#[derive(Deserialize)]
struct Group {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    property_name: String,
    operator: String,
    value: Option<String>,
    high_value: Option<String>,
    values: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sort {
    property_name: String,
    #[serde(default)]
    direction: Option<String>,
}

pub(crate) async fn search(
    Extract(state): Extract<Shared>,
    Path(object): Path<String>,
    Json(body): Json<Search>,
) -> Result<Json<Value>, Failure> {
    let object = known(&object)?;
    let limit = body.limit.unwrap_or(10);
    if !(1..=200).contains(&limit) {
        return Err(Failure::validation("limit must be between 1 and 200"));
    }
    if body.filter_groups.len() > 5
        || body
            .filter_groups
            .iter()
            .any(|group| group.filters.len() > 6)
    {
        return Err(Failure::validation(
            "at most 5 filter groups of at most 6 filters each",
        ));
    }
    if body.sorts.len() > 1 {
        return Err(Failure::validation("only one sort can be applied"));
    }
    let after = match &body.after {
        None | Some(Value::Null) => 0,
        Some(Value::String(text)) => text
            .parse()
            .map_err(|_| Failure::validation("after is not valid"))?,
        Some(value) => value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| Failure::validation("after is not valid"))?,
    };
    if after + limit > WINDOW {
        return Err(Failure::validation(
            "a search cannot be paged beyond 10,000 results",
        ));
    }
    let state = lock(&state);
    let mut found = Vec::new();
    for record in state
        .records(object)
        .into_iter()
        .filter(|record| !record.archived)
    {
        if matches(object, record, &body.filter_groups)? {
            found.push(record);
        }
    }
    let descending = body
        .sorts
        .first()
        .is_some_and(|sort| sort.direction.as_deref() == Some("DESCENDING"));
    let property = body
        .sorts
        .first()
        .map_or("hs_object_id", |sort| sort.property_name.as_str());
    // Records with equal keys come in no order that a client could rely on.
    found.sort_by_cached_key(|record| {
        (
            record.comparable(object, property),
            record.id.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        )
    });
    if descending {
        found.reverse();
    }
    let properties: Option<Vec<&str>> = body
        .properties
        .as_ref()
        .map(|names| names.iter().map(String::as_str).collect());
    let results: Vec<Value> = found
        .iter()
        .skip(after)
        .take(limit)
        .map(|record| render(object, record, properties.as_deref()))
        .collect();
    let mut answer = json!({"total": found.len(), "results": results});
    let end = after + limit;
    if end < found.len() {
        answer["paging"] = json!({"next": {"after": end.to_string()}});
    }
    Ok(Json(answer))
}

fn matches(object: &str, record: &Record, groups: &[Group]) -> Result<bool, Failure> {
    let mut any = groups.is_empty();
    for group in groups {
        let mut all = true;
        for filter in &group.filters {
            all &= passes(filter, record.comparable(object, &filter.property_name))?;
        }
        any |= all;
    }
    Ok(any)
}

fn passes(filter: &Filter, value: Option<Comparable>) -> Result<bool, Failure> {
    let needed = |given: &Option<String>| {
        given.as_deref().map(Comparable::new).ok_or_else(|| {
            Failure::validation(&format!(
                "operator {} requires a value for {}",
                filter.operator, filter.property_name
            ))
        })
    };
    let listed = |value: &Comparable| {
        filter
            .values
            .as_deref()
            .unwrap_or_default()
            .iter()
            .any(|wanted| Comparable::new(wanted) == *value)
    };
    let operator = filter.operator.as_str();
    let Some(value) = value else {
        return Ok(matches!(operator, "NOT_HAS_PROPERTY" | "NEQ" | "NOT_IN"));
    };
    Ok(match operator {
        "EQ" => value == needed(&filter.value)?,
        "NEQ" => value != needed(&filter.value)?,
        "GT" => value > needed(&filter.value)?,
        "GTE" => value >= needed(&filter.value)?,
        "LT" => value < needed(&filter.value)?,
        "LTE" => value <= needed(&filter.value)?,
        "BETWEEN" => value >= needed(&filter.value)? && value <= needed(&filter.high_value)?,
        "IN" => listed(&value),
        "NOT_IN" => !listed(&value),
        "HAS_PROPERTY" => true,
        "NOT_HAS_PROPERTY" => false,
        other => return Err(Failure::validation(&format!("unknown operator {other}"))),
    })
}
