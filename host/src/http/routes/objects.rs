//! The unified objects: one handler for each verb, for every object there is.

use std::{future::Future, sync::Arc};

use axum::{
    extract::{FromRequestParts, RawPathParams, State},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    changes::{PreviewBody, preview_body},
    json, json_text,
};
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Client, Scoped, UsedKey},
        error::{Code, Error},
        idempotency::{self, IdempotencyKey},
        limits::{DOWNSTREAM, with_downstream},
        operation::{Answer, Operation, Parameter},
        query::{self, Query},
    },
    model::{
        self, Cursor, DEFAULT_LIMIT, ObjectKind, Quirk, Record, RecordId, Scalar, Scope,
        filterable, splice, splice_into, spliced_size,
    },
    store::KeyOwner,
    unify::{Interactive, Unify, expandable},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/{vertical}/{objects}", list)
            .unified(model::Operation::List)
            .describe("Stored records, a page at a time, by the time of their last change. A page costs the same wherever it lies. `filter[…]` reads records one after the other until the page is full, so a filter that few records fit costs as much as reading all of the connection's records of the object; together with `modified_after` or `created_after` it reads only what is behind that moment, and `filter[remote_id]` is looked up.")
            .connection()
            .parameter(remote_data())
            .parameter(
                Parameter::query::<u32>("limit", "Records on a page; more than 200 count as 200.")
                    .rule("minimum", 1)
                    .rule("default", DEFAULT_LIMIT),
            )
            .query::<String>("cursor", "`next_cursor` or `prev_cursor` of another page. Cursors of live lists work with `live=true` only, all others without it.")
            .parameter(
                Parameter::query::<String>(
                    "modified_after",
                    "Only records that changed after this moment.",
                )
                .rule("format", "date-time"),
            )
            .parameter(
                Parameter::query::<String>(
                    "created_after",
                    "Only records that this server saw first after this moment.",
                )
                .rule("format", "date-time"),
            )
            .query::<bool>("include_deleted", "Deleted records too, with `deleted_at`.")
            .query::<bool>("live", "Reads one page from the provider, in its order, and stores it. There is no way back from a live page, and no condition works with it.")
            .parameters_of(list_parameters)
            .answer(downstream(Answer::json::<Value>(200, "The page.")))
            .fails(LIVE_FAILURES)
            .fails(READ_FAILURES),
        Operation::post("/{vertical}/{objects}", create)
            .unified(model::Operation::Create)
            .describe("The provider has it when the answer comes, whichever way the object is synced: a record's `id` follows from the provider's.")
            .connection()
            .parameter(remote_data())
            .parameter(dry_run())
            .parameter(idempotency_key())
            .takes::<Value>()
            .answer(downstream(
                Answer::json::<Value>(201, "The record, as the provider has it.")
                    .header("Location", "The path of the record.")
                    .header("Idempotent-Replayed", REPLAYED),
            ))
            .gives::<PreviewBody>(200, "With `dry_run`: what would be sent.")
            .fails(WRITE_FAILURES),
        Operation::get("/{vertical}/{objects}/{id}", get)
            .unified(model::Operation::Get)
            .connection()
            .path::<Uuid>("id", "The record's `id`.")
            .parameter(remote_data())
            .query::<bool>("live", "Reads the record from the provider, and stores it. One that the provider does not have any more is marked as deleted and not found.")
            .parameters_of(expand_parameter)
            .answer(downstream(Answer::json::<Value>(200, "The record.")))
            .fails(&[Code::RecordNotFound])
            .fails(LIVE_FAILURES)
            .fails(READ_FAILURES),
        Operation::patch("/{vertical}/{objects}/{id}", update)
            .unified(model::Operation::Update)
            .describe("What is not sent stays as it is. Where the object's sync is `outbound` or `bidirectional`, the record is changed here at once and the change is pushed afterwards: the header `X-Jackfield-Change` names it.")
            .connection()
            .path::<Uuid>("id", "The record's `id`.")
            .parameter(remote_data())
            .parameter(dry_run())
            .parameter(idempotency_key())
            .takes::<Value>()
            .answer(downstream(
                Answer::json::<Value>(200, "The record, as the provider has it, or will have it once the change is pushed. With `dry_run`, what would be sent.")
                    .header("X-Jackfield-Change", CHANGE)
                    .header("Idempotent-Replayed", REPLAYED),
            ))
            .fails(&[Code::RecordNotFound])
            .fails(WRITE_FAILURES),
        Operation::delete("/{vertical}/{objects}/{id}", delete)
            .unified(model::Operation::Delete)
            .connection()
            .path::<Uuid>("id", "The record's `id`.")
            .parameter(dry_run())
            .parameter(idempotency_key())
            .answer(downstream(
                Answer::empty(204, "The provider has it no more, or will not have it once the change is pushed.")
                    .header("X-Jackfield-Change", CHANGE)
                    .header("Idempotent-Replayed", REPLAYED),
            ))
            .gives::<PreviewBody>(200, "With `dry_run`: what would be sent.")
            .fails(&[Code::RecordNotFound])
            .fails(WRITE_FAILURES),
    ]
}

/// What goes wrong with stored records.
const READ_FAILURES: &[Code] = &[Code::Unsupported, Code::ConnectorUnavailable];

/// What goes wrong besides where a provider is read.
const LIVE_FAILURES: &[Code] = &[
    Code::NeedsReconnect,
    Code::RateLimited,
    Code::ProviderConflict,
    Code::ProviderForbidden,
    Code::ProviderRefused,
    Code::ProviderFailed,
    Code::ProviderUnavailable,
    Code::ConnectorFailed,
    Code::ConnectorTimeout,
    Code::RecordNotFound,
    Code::Busy,
];

/// What goes wrong with a provider.
const WRITE_FAILURES: &[Code] = &[
    Code::InvalidParameter,
    Code::IdempotencyKeyBusy,
    Code::IdempotencyKeyReused,
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

/// What the header of an answer that is given again says.
const REPLAYED: &str = "`true` where this answers an earlier request with the same key.";

/// What the header of a queued write says.
const CHANGE: &str = "The change that is on its way to the provider: `GET /changes/{id}` shows it.";

fn dry_run() -> Parameter {
    Parameter::query::<bool>(
        "dry_run",
        "Checks everything and answers what would be sent; nothing is sent or stored.",
    )
    .rule("default", false)
}

fn idempotency_key() -> Parameter {
    Parameter::header::<String>(
        "Idempotency-Key",
        "Sent again with the same key within 24 hours, the request is answered again, not done again.",
    )
    .rule("minLength", 1)
    .rule("maxLength", idempotency::LONGEST)
    .rule("pattern", "^[!-~]+$")
}

fn downstream(answer: Answer) -> Answer {
    const ABOUT: [&str; 3] = [
        "What the provider was asked: requests that it takes in one window.",
        "Requests that are left of the provider's window.",
        "Seconds until the provider's window ends.",
    ];
    let headers = DOWNSTREAM.into_iter().zip(ABOUT);
    headers.fold(answer, |answer, (name, about)| answer.header(name, about))
}

/// The conditions on fields, each with its type.
fn list_parameters(kind: ObjectKind) -> Vec<Parameter> {
    let filter = |(name, scalar): (&'static str, Scalar)| {
        let about = format!("Only records whose `{name}` is this.");
        let name = format!("filter[{name}]");
        match scalar {
            Scalar::Text => Parameter::query::<String>(name, about).rule("minLength", 1),
            Scalar::Reference => Parameter::query::<Uuid>(name, about),
            Scalar::Number => Parameter::query::<f64>(name, about),
            Scalar::Boolean => Parameter::query::<bool>(name, about),
        }
    };
    let mut parameters = expand_parameter(kind);
    parameters.extend(filterable(kind).into_iter().map(filter));
    parameters
}

/// The references that can be expanded, where there are any.
fn expand_parameter(kind: ObjectKind) -> Vec<Parameter> {
    let fields = expandable(kind);
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let Some(first) = names.first() else {
        return Vec::new();
    };
    let about = format!(
        "References to put the records in the place of, with commas between them: {}.",
        names.join(", ")
    );
    let any = names.join("|");
    let parameter = Parameter::query::<String>("expand", about)
        .rule("pattern", format!("^({any})(,({any}))*$"))
        .rule("examples", vec![*first]);
    vec![parameter]
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Scoped(scope): Scoped,
    client: Client,
    query: Query,
) -> Result<Response, Error> {
    query.no_slips(query::LIST)?;
    let expanded = query.expand(kind)?;
    let dates = dates(kind, client);
    let unify = &services.unify;
    if !query.flag("live")? {
        let request = query.page(kind)?;
        let mut page = unify.list(&scope, kind, &request).await?;
        unify.expand(&scope, &mut page.data, &expanded).await?;
        let cursor = |cursor: Option<Cursor>| cursor.map(|cursor| cursor.encode());
        let (previous, next) = (cursor(page.previous), cursor(page.next));
        return Ok(json_text(envelope(previous, next, &page.data, dates)));
    }
    let (cursor, limit) = query.live_page()?;
    let how = Interactive {
        remote_data: query.flag("remote_data")?,
        live: true,
        ..Interactive::default()
    };
    let answer = async {
        let mut page = unify.list_live(&scope, kind, cursor, limit, &how).await?;
        unify.expand(&scope, &mut page.data, &expanded).await?;
        Ok(json_text(envelope(None, page.next, &page.data, dates)))
    };
    Ok(with_limits(answer, &how).await)
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Id(id): Id,
    Scoped(scope): Scoped,
    client: Client,
    query: Query,
) -> Result<Response, Error> {
    query.no_slips(query::GET)?;
    let expanded = query.expand(kind)?;
    let how = Interactive {
        remote_data: query.flag("remote_data")?,
        live: query.flag("live")?,
        ..Interactive::default()
    };
    let answer = async {
        let mut record = services.unify.get(&scope, kind, id, &how).await?;
        let records = std::slice::from_mut(&mut record);
        services.unify.expand(&scope, records, &expanded).await?;
        let text = splice(&record, dates(kind, client));
        let as_list = client.is_generated && kind.spec().has_quirk(Quirk::ListOnGet);
        Ok(json_text(if as_list { list_of_one(&text) } else { text }))
    };
    Ok(with_limits(answer, &how).await)
}

pub(super) async fn create(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Scoped(scope): Scoped,
    (client, key, UsedKey(actor)): (Client, IdempotencyKey, UsedKey),
    query: Query,
    Json(body): Json<Value>,
) -> Result<Response, Error> {
    // Without an effect on a preview, but what is wrong is refused there too.
    query.flag("remote_data")?;
    if query.flag("dry_run")? {
        return preview(&services, &scope, kind, None, Some(body)).await;
    }
    let write = Write::new(&services, kind, scope, client, &query, actor)?;
    let text = body.to_string();
    let work = async move |write: Write| {
        let Write {
            unify, scope, how, ..
        } = &write;
        let record = unify.create(scope, kind, body, how).await?;
        let spec = kind.spec();
        let location = format!("/{}/{}/{}", spec.vertical, spec.plural, record.id);
        let mut response = json_text(splice(&record, write.dates));
        *response.status_mut() = StatusCode::CREATED;
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    };
    Box::pin(write.once(&services, key, &text, work)).await
}

pub(super) async fn update(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Id(id): Id,
    Scoped(scope): Scoped,
    (client, key, UsedKey(actor)): (Client, IdempotencyKey, UsedKey),
    query: Query,
    Json(body): Json<Value>,
) -> Result<Response, Error> {
    // Without an effect on a preview, but what is wrong is refused there too.
    query.flag("remote_data")?;
    if query.flag("dry_run")? {
        return preview(&services, &scope, kind, Some(id), Some(body)).await;
    }
    let write = Write::new(&services, kind, scope, client, &query, actor)?;
    let text = body.to_string();
    let work = async move |write: Write| {
        let Write {
            unify, scope, how, ..
        } = &write;
        let record = unify.update(scope, kind, id, body, how).await?;
        Ok(json_text(splice(&record, write.dates)))
    };
    Box::pin(write.once(&services, key, &text, work)).await
}

pub(super) async fn delete(
    State(services): State<Arc<Services>>,
    Kind(kind): Kind,
    Id(id): Id,
    Scoped(scope): Scoped,
    (client, key, UsedKey(actor)): (Client, IdempotencyKey, UsedKey),
    query: Query,
) -> Result<Response, Error> {
    if query.flag("dry_run")? {
        return preview(&services, &scope, kind, Some(id), None).await;
    }
    let write = Write::new(&services, kind, scope, client, &Query::parse(""), actor)?;
    let work = async move |write: Write| {
        let Write {
            unify, scope, how, ..
        } = &write;
        unify.delete(scope, kind, id, how).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    Box::pin(write.once(&services, key, "", work)).await
}

/// What a write would do.
async fn preview(
    services: &Services,
    scope: &Scope,
    kind: ObjectKind,
    id: Option<RecordId>,
    body: Option<Value>,
) -> Result<Response, Error> {
    let preview = services.unify.preview_write(scope, kind, id, body).await?;
    json(&preview_body(kind, preview))
}

/// What the three writes have in common. It owns everything, since a write with a key goes on
/// when its caller goes away.
struct Write {
    unify: Unify,
    scope: Scope,
    how: Interactive,
    dates: bool,
}

impl Write {
    fn new(
        services: &Services,
        kind: ObjectKind,
        scope: Scope,
        client: Client,
        query: &Query,
        actor: String,
    ) -> Result<Self, Error> {
        let how = Interactive {
            remote_data: query.flag("remote_data")?,
            actor: Some(actor),
            ..Interactive::default()
        };
        Ok(Self {
            unify: services.unify.clone(),
            scope,
            how,
            dates: dates(kind, client),
        })
    }

    /// Does the work, once for the caller's key if there is one.
    async fn once<Work, Run>(
        self,
        services: &Arc<Services>,
        key: IdempotencyKey,
        body: &str,
        work: Work,
    ) -> Result<Response, Error>
    where
        Work: FnOnce(Self) -> Run + Send,
        Run: Future<Output = Result<Response, Error>> + Send + 'static,
    {
        let owner = KeyOwner::connection(&self.scope);
        let how = self.how.clone();
        let run = move |idempotency_key| {
            let shared = how.clone();
            let run = work(Self {
                how: Interactive {
                    idempotency_key,
                    ..how
                },
                ..self
            });
            async move { with_limits(run, &shared).await }
        };
        let reached = self.how.reached.clone();
        key.once(services, owner, body, reached, run).await
    }
}

/// The answer, be it an error, with what the provider said about its limits.
async fn with_limits(
    answer: impl Future<Output = Result<Response, Error>>,
    how: &Interactive,
) -> Response {
    let mut response = answer.await.unwrap_or_else(IntoResponse::into_response);
    let change = how
        .change
        .get()
        .map(|id| HeaderValue::from_str(&id.to_string()));
    if let Some(Ok(change)) = change {
        response.headers_mut().insert("x-jackfield-change", change);
    }
    with_downstream(response, &how.downstream)
}

/// The object that the first two segments of the path name, where it offers what is asked for:
/// nothing else is looked at before.
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
        let kind = ObjectKind::from_path(vertical, objects).ok_or_else(|| nothing(parts))?;
        let operation = match (&parts.method, segments.len()) {
            (&Method::POST, _) => model::Operation::Create,
            (&Method::PATCH, _) => model::Operation::Update,
            (&Method::DELETE, _) => model::Operation::Delete,
            (_, 2) => model::Operation::List,
            _ => model::Operation::Get,
        };
        offered(kind, operation)?;
        Ok(Self(kind))
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
fn envelope(
    previous: Option<String>,
    next: Option<String>,
    records: &[Record],
    dates: bool,
) -> String {
    // A cursor's alphabet needs no escapes.
    let quoted = |cursor: Option<String>| match cursor {
        Some(text) => format!("\"{text}\""),
        None => "null".to_owned(),
    };
    let size = records.iter().map(spliced_size).sum::<usize>();
    let mut out = String::with_capacity(size + 256);
    out.push_str(r#"{"prev_cursor":"#);
    out.push_str(&quoted(previous));
    out.push_str(r#","next_cursor":"#);
    out.push_str(&quoted(next));
    out.push_str(r#","data":["#);
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        splice_into(&mut out, record, dates);
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
        assert_eq!(
            envelope(None, None, &[], true),
            r#"{"prev_cursor":null,"next_cursor":null,"data":[]}"#
        );
        let cursor = Cursor {
            backward: true,
            modified_at: Timestamp::from_millis(1),
            id: RecordId::derive(1, 1, "1"),
        };
        let records = [record("1"), record("2")];
        let text = envelope(Some(cursor.encode()), None, &records, false);
        let value: Value = serde_json::from_str(&text).unwrap();
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
