//! The past of a record, whatever its object: what became of it, and where its values came from.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    json,
    lists::{limit, short, wrong},
};
use crate::{
    http::{
        Services,
        caller::Caller,
        error::{Code, Error},
        operation::Operation,
        query::Query,
    },
    model::{DEFAULT_LIMIT, MAX_LIMIT, ProjectId, ValueSource, conflict::CUSTOM},
    store::{FieldOrigin, HistoryEntry, HistoryPlace, OriginRow, RecordPlace},
};

/// What can happen to a record.
const ACTIONS: [&str; 4] = ["created", "updated", "deleted", "restored"];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/records/{id}/history", history)
            .id("listRecordHistory")
            .tag("Sync")
            .summary("What happened to a record, newest first: fields before and after, when, and by what.")
            .describe("Of every object, deleted records too. Kept for as many days as the sync's `history_days` says; how the record was created is always the last entry.")
            .path::<Uuid>("id", "The record's id.")
            .query::<String>("cursor", "From where: `next_cursor` of another page.")
            .parameter(limit())
            .gives::<PageBody>(200, "A page.")
            .fails(&[Code::RecordNotFound]),
        Operation::get("/records/{id}/provenance", provenance)
            .id("getRecordProvenance")
            .tag("Sync")
            .summary("Where the value of each field of a record came from, when, and through which connector version.")
            .describe("Of every object, deleted records too. It is kept as long as the record is. Of a custom field, `mapping` has the rules that made the value. Runs and changes are named while the history knows of them.")
            .path::<Uuid>("id", "The record's id.")
            .gives::<ProvenanceBody>(200, "Field by field.")
            .fails(&[Code::RecordNotFound]),
    ]
}

/// A page of a record's history.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HistoryPage")]
struct PageBody {
    next_cursor: Option<String>,
    data: Vec<EntryBody>,
}

/// Something that happened to a record.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HistoryEntry")]
struct EntryBody {
    #[schemars(extend("format" = "date-time"))]
    at: String,
    #[schemars(extend("enum" = ACTIONS))]
    action: &'static str,
    #[serde(flatten)]
    origin: OriginBody,
    /// The fields that changed.
    fields: Vec<ChangedBody>,
}

/// A field that changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HistoryField")]
struct ChangedBody {
    /// Its name; a custom field's is `field_mappings.<slug>`.
    field: String,
    before: Value,
    after: Value,
}

/// Where values came from.
#[derive(Serialize, JsonSchema)]
struct OriginBody {
    /// `sync`, `read` and `webhook` were read at the provider; an application wrote `write`, and
    /// the provider answered a write with `answer`; `reunify` is the stored document, unified by
    /// another connector version or other mappings; a decided `conflict`; an `undo`; a change that
    /// was `given_up`. None: from before this was written down.
    source: Option<ValueSource>,
    /// Whose doing it was: the id of an API key, where it was an application's.
    actor: Option<String>,
    /// What unified the provider's document, where that is what the value is from.
    connector: Option<ConnectorBody>,
    #[schemars(with = "Option<Uuid>")]
    run_id: Option<String>,
    #[schemars(with = "Option<Uuid>")]
    change_id: Option<String>,
    /// When the provider had changed the record, as it says.
    #[schemars(extend("format" = "date-time"))]
    remote_modified_at: Option<String>,
}

/// A version of a connector.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConnectorVersionUsed")]
struct ConnectorBody {
    slug: String,
    version: String,
    /// SHA-256 of its file.
    digest: String,
}

/// Where a record's values came from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecordProvenance")]
struct ProvenanceBody {
    #[schemars(with = "Uuid")]
    id: String,
    #[schemars(with = "Uuid")]
    connection_id: String,
    provider: String,
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    /// The provider's id of it.
    remote_id: String,
    /// When the provider changed it last, as it says.
    #[schemars(extend("format" = "date-time"))]
    remote_modified_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    modified_at: String,
    #[schemars(extend("format" = "date-time"))]
    deleted_at: Option<String>,
    fields: Vec<FieldBody>,
}

/// Where a field's value came from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FieldProvenance")]
struct FieldBody {
    /// Its name; a custom field's is `field_mappings.<slug>`.
    field: String,
    /// Since when it has this value.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    #[serde(flatten)]
    origin: OriginBody,
    /// Of a custom field: the rules of its mapping at that time.
    mapping: Option<Value>,
}

pub(super) async fn history(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Error> {
    let record = by_id(&services, caller.project.id, &id).await?;
    let before = query.get("cursor").map(|text| {
        place(text).ok_or_else(|| wrong("cursor", "it is not a `next_cursor` of this list"))
    });
    let limit = query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT);
    let store = &services.store;
    // One more than is shown: how the record was created comes after the last.
    let mut entries = store
        .history(&record, before.transpose()?, limit.saturating_add(1))
        .await?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| more).map(|entry| entry.place);
    let mut data: Vec<EntryBody> = entries.iter().map(|one| entry(&record, one)).collect();
    if !more {
        data.push(EntryBody {
            at: record.created_at.to_string(),
            action: "created",
            origin: origin(&record, record.created_by.as_ref()),
            fields: Vec::new(),
        });
    }
    json(&PageBody {
        next_cursor: next.map(|place| format!("{}-{}", place.at, place.origin)),
        data,
    })
}

pub(super) async fn provenance(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let record = by_id(&services, caller.project.id, &id).await?;
    let fields = services.store.provenance(&record).await?;
    let connection = record.scope.connection();
    json(&ProvenanceBody {
        id: record.id.to_string(),
        connection_id: connection.id.to_string(),
        provider: connection.connector.to_string(),
        object: record.kind.name(),
        remote_id: record.remote_id.clone(),
        remote_modified_at: record.remote_modified_at.map(|time| time.to_string()),
        created_at: record.created_at.to_string(),
        modified_at: record.modified_at.to_string(),
        deleted_at: record.deleted_at.map(|time| time.to_string()),
        fields: fields.into_iter().map(|one| field(&record, one)).collect(),
    })
}

async fn by_id(services: &Services, project: ProjectId, id: &str) -> Result<RecordPlace, Error> {
    let found = match id.parse() {
        Ok(id) => services.store.record_place(project, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let detail = format!("This project has no record {:?}.", short(id));
        Error::new(Code::RecordNotFound, detail)
    })
}

fn place(text: &str) -> Option<HistoryPlace> {
    let (at, origin) = text.split_once('-')?;
    Some(HistoryPlace {
        at: at.parse().ok()?,
        origin: origin.parse().ok()?,
    })
}

fn entry(record: &RecordPlace, entry: &HistoryEntry) -> EntryBody {
    let known = ACTIONS.into_iter().find(|action| *action == entry.action);
    let fields = entry.fields.iter();
    EntryBody {
        at: entry.at.to_string(),
        action: known.unwrap_or("updated"),
        origin: OriginBody {
            run_id: entry.run.map(|id| id.to_string()),
            change_id: entry.change.map(|id| id.to_string()),
            remote_modified_at: entry.remote_modified_at.map(|time| time.to_string()),
            ..origin(record, Some(&entry.origin))
        },
        fields: fields
            .map(|(field, (before, after))| ChangedBody {
                field: field.clone(),
                before: before.clone(),
                after: after.clone(),
            })
            .collect(),
    }
}

fn field(record: &RecordPlace, field: FieldOrigin) -> FieldBody {
    let slug = field.field.strip_prefix(CUSTOM);
    let by = field.origin.as_ref();
    let mapping = slug.zip(by).and_then(|(slug, by)| by.mappings.get(slug));
    FieldBody {
        at: field.at.to_string(),
        mapping: mapping.cloned(),
        origin: OriginBody {
            run_id: field.run.map(|id| id.to_string()),
            change_id: field.change.map(|id| id.to_string()),
            remote_modified_at: field.remote_modified_at.map(|time| time.to_string()),
            ..origin(record, by)
        },
        field: field.field,
    }
}

fn origin(record: &RecordPlace, origin: Option<&OriginRow>) -> OriginBody {
    let version = origin.and_then(|origin| origin.version.clone());
    OriginBody {
        source: origin.map(|origin| origin.source),
        actor: origin.and_then(|origin| origin.actor.clone()),
        connector: version.map(|(version, digest)| ConnectorBody {
            slug: record.scope.connection().connector.to_string(),
            version,
            digest,
        }),
        run_id: None,
        change_id: None,
        remote_modified_at: None,
    }
}
