//! The review queue: records of which both sides changed the same fields, and deciding.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    json,
    lists::{connection, limit, object, parsed, short, wrong},
    webhooks::invalid,
};
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{
        Conflict, ConflictId, ConflictState, DEFAULT_LIMIT, Decision, MAX_LIMIT, ProjectId, Scope,
        Violation,
    },
    store::ConflictFilter,
    unify::{self, Decided},
};

const STATES: [&str; 2] = ["open", "resolved"];
/// The most conflicts that are decided in one request.
const MAX_IDS: usize = 200;
const ABOUT: &str = "With the conflict policy `manual`, a field that was changed here and at the provider keeps both values until somebody decides. `deleted_at` stands for a record that one side deleted and the other changed.";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/conflicts", list)
            .id("listConflicts")
            .tag("Sync")
            .summary("List conflicts, newest first.")
            .describe(ABOUT)
            .parameter(
                Parameter::query::<String>("state", "Only those that stand so.")
                    .rule("enum", STATES.to_vec()),
            )
            .query::<Uuid>("connection_id", "Only those of this connection.")
            .query::<String>("object", "Only those of this object, such as `crm.contact`.")
            .query::<String>("cursor", "From where: `next_cursor` of another page.")
            .parameter(limit())
            .gives::<PageBody>(200, "A page."),
        Operation::get("/conflicts/{id}", get)
            .id("getConflict")
            .tag("Sync")
            .summary("Show a conflict: both versions, what they had in common, who changed what.")
            .path::<Uuid>("id", "The conflict's id.")
            .gives::<ConflictBody>(200, "The conflict.")
            .fails(&[Code::ConflictNotFound]),
        Operation::post("/conflicts/resolve", resolve_many)
            .id("resolveConflicts")
            .tag("Sync")
            .summary("Decide many conflicts alike.")
            .takes::<ResolveMany>()
            .gives::<Vec<ConflictBody>>(200, "The conflicts that were open, as they are now."),
        Operation::post("/conflicts/{id}/resolve", resolve)
            .id("resolveConflict")
            .tag("Sync")
            .summary("Decide a conflict, field by field.")
            .describe("What is decided for `ours` or another value is pushed; what is decided for `theirs` is stored. Fields that are not named wait on, unless `rest` decides them.")
            .path::<Uuid>("id", "The conflict's id.")
            .takes::<Resolve>()
            .gives::<ConflictBody>(200, "The conflict as it is now.")
            .fails(&[Code::ConflictNotFound, Code::Conflict]),
    ]
}

/// Both versions of a record.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Conflict")]
struct ConflictBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(with = "Uuid")]
    change_id: String,
    #[schemars(with = "Uuid")]
    connection_id: String,
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    #[schemars(with = "Uuid")]
    record_id: String,
    #[schemars(extend("enum" = STATES))]
    state: &'static str,
    /// The fields that are, or last were, in conflict.
    fields: Vec<FieldBody>,
    /// What was decided, by field.
    decisions: Option<Value>,
    /// Who decided: the id of an API key; none where both sides came to agree by themselves.
    resolved_by: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
    #[schemars(extend("format" = "date-time"))]
    resolved_at: Option<String>,
}

/// A field that both sides changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConflictField")]
struct FieldBody {
    /// Its name; a custom field's is `field_mappings.<slug>`.
    field: String,
    /// What both sides had.
    base: Value,
    /// What our side has.
    ours: Value,
    /// What the provider has.
    theirs: Value,
    #[schemars(extend("format" = "date-time"))]
    ours_at: String,
    /// Who changed our side: the id of an API key, or `undo`.
    ours_by: Option<String>,
    /// When the provider changed the record, where it says so.
    #[schemars(extend("format" = "date-time"))]
    theirs_at: Option<String>,
}

/// A page of conflicts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConflictPage")]
struct PageBody {
    next_cursor: Option<String>,
    data: Vec<ConflictBody>,
}

/// Which side is right.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[schemars(rename = "ConflictSide")]
#[serde(rename_all = "lowercase")]
pub(super) enum Winner {
    Ours,
    Theirs,
}

/// Which side is right, or another value.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConflictDecision")]
#[serde(untagged)]
pub(super) enum DecisionBody {
    Side(Winner),
    Value(ValueBody),
}

/// Another value.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConflictValue")]
#[serde(deny_unknown_fields)]
pub(super) struct ValueBody {
    value: Value,
}

/// What is decided of one conflict.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ResolveConflict")]
#[serde(deny_unknown_fields)]
pub(super) struct Resolve {
    /// Field by field.
    #[serde(default)]
    fields: BTreeMap<String, DecisionBody>,
    /// What holds for the fields that are not named; without it they wait on.
    #[serde(default)]
    rest: Option<Winner>,
}

/// What is decided of many conflicts.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ResolveConflicts")]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveMany {
    /// The conflicts.
    #[schemars(with = "Vec<Uuid>", length(min = 1, max = 200))]
    ids: Vec<String>,
    /// For all of their fields.
    rest: Winner,
}

impl From<Winner> for Decision {
    fn from(winner: Winner) -> Self {
        match winner {
            Winner::Ours => Self::Ours,
            Winner::Theirs => Self::Theirs,
        }
    }
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let project = caller.project.id;
    let state = query.get("state").map(|text| {
        ConflictState::parse(text)
            .ok_or_else(|| wrong("state", &format!("it is none of {}", STATES.join(", "))))
    });
    let filter = ConflictFilter {
        connection: connection(&services, project, &query).await?,
        kind: object(&query)?,
        state: state.transpose()?,
        before: parsed::<ConflictId>(&query, "cursor", "a `next_cursor` of this list")?,
        limit: query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT),
    };
    let conflicts = services.store.conflicts(project, &filter).await?;
    let last = conflicts
        .last()
        .map(|(_, conflict)| conflict.id.to_string());
    json(&PageBody {
        next_cursor: last.filter(|_| conflicts.len() == filter.limit as usize),
        data: conflicts
            .iter()
            .map(|(_, conflict)| body(conflict))
            .collect(),
    })
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let (_, conflict) = by_id(&services, caller.project.id, &id).await?;
    json(&body(&conflict))
}

pub(super) async fn resolve(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    Json(sent): Json<Resolve>,
) -> Result<Response, Error> {
    let project = actor.project.id;
    let (scope, conflict) = by_id(&services, project, &id).await?;
    let mut decisions = BTreeMap::new();
    for (field, decision) in sent.fields {
        let path = path_of(&field);
        if !conflict.fields.contains_key(&field) {
            let known: Vec<&str> = conflict.fields.keys().map(String::as_str).collect();
            let message = format!("is not in conflict; in conflict are {}", known.join(", "));
            return Err(invalid(&path, message));
        }
        let decision = match decision {
            DecisionBody::Side(winner) => winner.into(),
            DecisionBody::Value(_) if field == crate::model::conflict::DELETED => {
                let message = "must be \"ours\" or \"theirs\"".to_owned();
                return Err(invalid(&path, message));
            }
            DecisionBody::Value(ValueBody { value }) => Decision::Value(value),
        };
        decisions.insert(field, decision);
    }
    if let Some(rest) = sent.rest {
        for field in conflict.fields.keys() {
            decisions
                .entry(field.clone())
                .or_insert_with(|| rest.into());
        }
    }
    if decisions.is_empty() {
        let message = "decides nothing: name fields, or the side for the rest".to_owned();
        return Err(invalid("/fields", message));
    }
    let decided = services
        .unify
        .decide(&scope, &conflict, &decisions, &actor.key)
        .await?;
    match decided {
        Decided::Done(resolved) => {
            let fields: Vec<&String> = decisions.keys().collect();
            let details =
                serde_json::json!({ "record": conflict.record.to_string(), "fields": fields });
            actor
                .audit(&services, "conflict.resolve", conflict.id, details)
                .await?;
            json(&body(&resolved))
        }
        Decided::Closed => {
            let detail = "The conflict is resolved already.";
            Err(Error::new(Code::Conflict, detail))
        }
        Decided::Refused(fields) => {
            let violations = fields.into_iter().flat_map(|(field, violations)| {
                violations.into_iter().map(move |violation| Violation {
                    path: format!("{}/value{}", path_of(&field), violation.path),
                    ..violation
                })
            });
            Err(unify::Error::Invalid(violations.collect()).into())
        }
    }
}

pub(super) async fn resolve_many(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Json(sent): Json<ResolveMany>,
) -> Result<Response, Error> {
    if sent.ids.is_empty() || sent.ids.len() > MAX_IDS {
        let message = format!("must have 1 to {MAX_IDS} entries");
        return Err(invalid("/ids", message));
    }
    let project = actor.project.id;
    let mut resolved = Vec::new();
    for (index, id) in sent.ids.iter().enumerate() {
        let known = match id.parse::<ConflictId>() {
            Ok(id) => services.store.conflict(project, id).await?,
            Err(_) => None,
        };
        let Some((_, conflict)) = known else {
            let message = "is not the id of a conflict of this project".to_owned();
            return Err(invalid(&format!("/ids/{index}"), message));
        };
        let decisions = conflict.fields.keys();
        let decisions = decisions
            .map(|field| (field.clone(), sent.rest.into()))
            .collect();
        let store = &services.store;
        let one = store
            .resolve_conflict(project, conflict.id, &decisions, &actor.key)
            .await?;
        resolved.extend(one.as_ref().map(body));
    }
    let side = match sent.rest {
        Winner::Ours => "ours",
        Winner::Theirs => "theirs",
    };
    let details = serde_json::json!({ "side": side, "conflicts": resolved.len() });
    actor
        .audit(&services, "conflict.resolve", project, details)
        .await?;
    json(&resolved)
}

/// Where a body decides a field.
fn path_of(field: &str) -> String {
    format!("/fields/{}", field.replace('~', "~0").replace('/', "~1"))
}

async fn by_id(
    services: &Services,
    project: ProjectId,
    id: &str,
) -> Result<(Scope, Conflict), Error> {
    let found = match id.parse::<ConflictId>() {
        Ok(id) => services.store.conflict(project, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let detail = format!("This project has no conflict {:?}.", short(id));
        Error::new(Code::ConflictNotFound, detail)
    })
}

fn body(conflict: &Conflict) -> ConflictBody {
    let fields = conflict.fields.iter().map(|(name, field)| FieldBody {
        field: name.clone(),
        base: field.base.clone(),
        ours: field.ours.clone(),
        theirs: field.theirs.clone(),
        ours_at: field.ours_at.to_string(),
        ours_by: field.ours_by.clone(),
        theirs_at: field.theirs_at.map(|time| time.to_string()),
    });
    ConflictBody {
        id: conflict.id.to_string(),
        change_id: conflict.change.to_string(),
        connection_id: conflict.connection.id.to_string(),
        object: conflict.kind.name(),
        record_id: conflict.record.to_string(),
        state: conflict.state.as_str(),
        fields: fields.collect(),
        decisions: conflict.decisions.clone(),
        resolved_by: conflict.resolved_by.clone(),
        created_at: conflict.created_at.to_string(),
        updated_at: conflict.updated_at.to_string(),
        resolved_at: conflict.resolved_at.map(|time| time.to_string()),
    }
}
