//! The unified objects: one handler for each verb, for every object there is.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use serde_json::Value;
use uuid::Uuid;

use super::json_text;
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Client, Scoped},
        error::{Code, Error},
        operation::{Answer, Operation, Parameter},
        query::Query,
    },
    model::{self, Cursor, DEFAULT_LIMIT, ObjectKind, Page, Quirk, Record, RecordId, splice},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/{vertical}/{objects}", list)
            .unified(model::Operation::List)
            .describe("Stored records, a page at a time, by the time of their last change.")
            .connection()
            .parameter(remote_data())
            .parameter(
                Parameter::query::<u32>("limit", "Records on a page; more than 200 count as 200.")
                    .rule("minimum", 1)
                    .rule("default", DEFAULT_LIMIT),
            )
            .query::<String>("cursor", "`next_cursor` or `prev_cursor` of another page.")
            .parameter(
                Parameter::query::<String>(
                    "modified_after",
                    "Only records that changed after this moment.",
                )
                .rule("format", "date-time"),
            )
            .query::<bool>("include_deleted", "Deleted records too, with `deleted_at`.")
            .gives::<Value>(200, "The page.")
            .fails(READ_FAILURES),
        Operation::post("/{vertical}/{objects}", create)
            .unified(model::Operation::Create)
            .describe("The provider has it when the answer comes.")
            .connection()
            .parameter(remote_data())
            .takes::<Value>()
            .answer(
                Answer::json::<Value>(201, "The record, as the provider has it.")
                    .header("Location", "The path of the record."),
            )
            .fails(WRITE_FAILURES),
        Operation::get("/{vertical}/{objects}/{id}", get)
            .unified(model::Operation::Get)
            .connection()
            .path::<Uuid>("id", "The record's `id`.")
            .parameter(remote_data())
            .gives::<Value>(200, "The record.")
            .fails(&[Code::RecordNotFound])
            .fails(READ_FAILURES),
        Operation::patch("/{vertical}/{objects}/{id}", update)
            .unified(model::Operation::Update)
            .describe("What is not sent stays as it is.")
            .connection()
            .path::<Uuid>("id", "The record's `id`.")
            .parameter(remote_data())
            .takes::<Value>()
            .gives::<Value>(200, "The record, as the provider has it.")
            .fails(&[Code::RecordNotFound])
            .fails(WRITE_FAILURES),
        Operation::delete("/{vertical}/{objects}/{id}", delete)
            .unified(model::Operation::Delete)
            .connection()
            .path::<Uuid>("id", "The record's `id`.")
            .gives_nothing(204, "The provider has it no more.")
            .fails(&[Code::RecordNotFound])
            .fails(WRITE_FAILURES),
    ]
}

/// What goes wrong with stored records.
const READ_FAILURES: &[Code] = &[Code::Unsupported, Code::ConnectorUnavailable];

/// What goes wrong with a provider.
const WRITE_FAILURES: &[Code] = &[
    Code::Unsupported,
    Code::UnknownReference,
    Code::NeedsReconnect,
    Code::RateLimited,
    Code::ProviderConflict,
    Code::ProviderForbidden,
    Code::ProviderRefused,
    Code::ProviderFailed,
    Code::ProviderUnavailable,
    Code::ConnectorFailed,
    Code::ConnectorUnavailable,
    Code::ConnectorTimeout,
    Code::Busy,
];

fn remote_data() -> Parameter {
    Parameter::query::<bool>("remote_data", "The provider's own document too.")
        .rule("default", false)
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Scoped(scope): Scoped,
    client: Client,
    query: Query,
) -> Result<Response, Error> {
    offered(kind, model::Operation::List)?;
    let request = query.page()?;
    let page = services.unify.list(&scope, kind, &request).await?;
    Ok(json_text(envelope(&page, dates(kind, client))))
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Id(id): Id,
    Scoped(scope): Scoped,
    client: Client,
    query: Query,
) -> Result<Response, Error> {
    offered(kind, model::Operation::Get)?;
    let remote_data = query.flag("remote_data")?;
    let record = services.unify.get(&scope, kind, id, remote_data).await?;
    let text = splice(&record, dates(kind, client));
    let as_list = client.is_generated && kind.spec().has_quirk(Quirk::ListOnGet);
    Ok(json_text(if as_list { list_of_one(&text) } else { text }))
}

pub(super) async fn create(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Scoped(scope): Scoped,
    client: Client,
    query: Query,
    Json(body): Json<Value>,
) -> Result<Response, Error> {
    offered(kind, model::Operation::Create)?;
    let remote_data = query.flag("remote_data")?;
    let record = services
        .unify
        .create(&scope, kind, body, remote_data)
        .await?;
    let spec = kind.spec();
    let location = format!("/{}/{}/{}", spec.vertical, spec.plural, record.id);
    let mut response = json_text(splice(&record, dates(kind, client)));
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn update(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Id(id): Id,
    Scoped(scope): Scoped,
    client: Client,
    query: Query,
    Json(body): Json<Value>,
) -> Result<Response, Error> {
    offered(kind, model::Operation::Update)?;
    let remote_data = query.flag("remote_data")?;
    let unify = &services.unify;
    let record = unify.update(&scope, kind, id, body, remote_data).await?;
    Ok(json_text(splice(&record, dates(kind, client))))
}

pub(super) async fn delete(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Id(id): Id,
    Scoped(scope): Scoped,
) -> Result<StatusCode, Error> {
    offered(kind, model::Operation::Delete)?;
    services.unify.delete(&scope, kind, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The object that the first two segments of the path name.
pub(super) struct Kind(ObjectKind);

impl FromRequestParts<Arc<Services>> for Kind {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        let segments = segments(parts, services).await?;
        let [vertical, objects, ..] = segments.as_slice() else {
            return Err(nothing(parts));
        };
        let kind = ObjectKind::from_path(vertical, objects);
        kind.map(Self).ok_or_else(|| nothing(parts))
    }
}

/// The record that the third segment of the path names. What is no id names none.
pub(super) struct Id(RecordId);

impl FromRequestParts<Arc<Services>> for Id {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Error> {
        let segments = segments(parts, services).await?;
        let id = segments.get(2).and_then(|id| id.parse().ok());
        id.map(Self).ok_or_else(|| {
            let detail = "The last part of the path is not the id of a record.";
            Error::new(Code::RecordNotFound, detail)
        })
    }
}

async fn segments(parts: &mut Parts, services: &Arc<Services>) -> Result<Vec<String>, Error> {
    let params = RawPathParams::from_request_parts(parts, services).await;
    let params = params.map_err(|_| nothing(parts))?;
    Ok(params.iter().map(|(_, value)| value.to_owned()).collect())
}

fn nothing(parts: &Parts) -> Error {
    let detail = format!("There is nothing at {}.", parts.uri.path());
    Error::new(Code::RouteNotFound, detail)
}

fn offered(kind: ObjectKind, operation: model::Operation) -> Result<(), Error> {
    let spec = kind.spec();
    if spec.offers(operation) {
        return Ok(());
    }
    let on_collection = matches!(operation, model::Operation::List | model::Operation::Create);
    let same_path = |one: &model::Operation| {
        matches!(one, model::Operation::List | model::Operation::Create) == on_collection
    };
    let methods: Vec<_> = spec
        .operations
        .iter()
        .filter(|one| same_path(one))
        .map(|one| match one {
            model::Operation::List | model::Operation::Get => "GET",
            model::Operation::Create => "POST",
            model::Operation::Update => "PATCH",
            model::Operation::Delete => "DELETE",
        })
        .collect();
    let offered: Vec<_> = spec.operations.iter().map(|one| one.as_str()).collect();
    let detail = format!(
        "The unified API does not {} {kind}; it offers {}.",
        operation.as_str(),
        offered.join(", ")
    );
    Err(Error::new(Code::MethodNotAllowed, detail).with_allow(methods.join(", ")))
}

/// Whether the client can parse times of this object.
fn dates(kind: ObjectKind, client: Client) -> bool {
    !(client.is_generated && kind.spec().has_quirk(Quirk::NullDates))
}

/// The envelope of a list. Records are stored as JSON text and put in as they are.
fn envelope(page: &Page<Record>, dates: bool) -> String {
    let cursor = |cursor: Option<&Cursor>| match cursor {
        // A cursor's alphabet needs no escapes.
        Some(cursor) => format!("\"{}\"", cursor.encode()),
        None => "null".to_owned(),
    };
    let mut out = format!(
        r#"{{"prev_cursor":{},"next_cursor":{},"data":["#,
        cursor(page.previous.as_ref()),
        cursor(page.next.as_ref())
    );
    for (index, record) in page.data.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&splice(record, dates));
    }
    out.push_str("]}");
    out
}

/// A record's keys, and the envelope of a list around it (the wire contract's rule 13).
fn list_of_one(record: &str) -> String {
    let fields = record.strip_prefix('{').unwrap_or("}");
    format!(r#"{{"prev_cursor":null,"next_cursor":null,"data":[{record}],{fields}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn record(remote_id: &str) -> Record {
        Record {
            id: RecordId::derive(1, 1, remote_id),
            remote_id: remote_id.into(),
            unified: r#"{"name":"Ada"}"#.into(),
            remote: None,
            custom: "{}".into(),
            remote_version: None,
            created_at: Timestamp::from_millis(0),
            modified_at: Timestamp::from_millis(1),
            deleted_at: None,
        }
    }

    #[test]
    fn an_envelope_has_all_three_keys_always() {
        let empty = Page {
            data: Vec::new(),
            previous: None,
            next: None,
        };
        assert_eq!(
            envelope(&empty, true),
            r#"{"prev_cursor":null,"next_cursor":null,"data":[]}"#
        );
        let cursor = Cursor {
            backward: true,
            modified_at: Timestamp::from_millis(1),
            id: RecordId::derive(1, 1, "1"),
        };
        let page = Page {
            data: vec![record("1"), record("2")],
            previous: Some(cursor),
            next: None,
        };
        let value: Value = serde_json::from_str(&envelope(&page, false)).unwrap();
        assert_eq!(value["data"][1]["remote_id"], "2");
        assert!(value["data"][0]["created_at"].is_null());
        assert_eq!(value["prev_cursor"], cursor.encode());
    }

    #[test]
    fn one_record_can_look_like_a_list() {
        let text = splice(&record("7"), true);
        let value: Value = serde_json::from_str(&list_of_one(&text)).unwrap();
        assert_eq!(value["remote_id"], "7");
        assert_eq!(value["data"][0]["remote_id"], "7");
        assert!(value["next_cursor"].is_null());
    }
}
