//! The unified objects: one handler for each verb, for every object there is.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use serde_json::Value;

use super::json_text;
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Client, Scoped},
        error::{Code, Error},
        query::Query,
    },
    model::{Cursor, ObjectKind, Operation, Page, Quirk, Record, RecordId, splice},
};

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Scoped(scope): Scoped,
    client: Client,
    query: Query,
) -> Result<Response, Error> {
    offered(kind, Operation::List)?;
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
    offered(kind, Operation::Get)?;
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
    offered(kind, Operation::Create)?;
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
    offered(kind, Operation::Update)?;
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
    offered(kind, Operation::Delete)?;
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

fn offered(kind: ObjectKind, operation: Operation) -> Result<(), Error> {
    let spec = kind.spec();
    if spec.offers(operation) {
        return Ok(());
    }
    let on_collection = matches!(operation, Operation::List | Operation::Create);
    let same_path =
        |one: &Operation| matches!(one, Operation::List | Operation::Create) == on_collection;
    let methods: Vec<_> = spec
        .operations
        .iter()
        .filter(|one| same_path(one))
        .map(|one| match one {
            Operation::List | Operation::Get => "GET",
            Operation::Create => "POST",
            Operation::Update => "PATCH",
            Operation::Delete => "DELETE",
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
