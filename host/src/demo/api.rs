//! `/v1`: one handler per verb for all collections.

use std::collections::HashMap;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRequestParts, Path, Query, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, ETAG, IF_MATCH, WWW_AUTHENTICATE},
        request::Parts,
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    ACCOUNT, API_KEY, Collection, Demo, NOTICE, Refusal,
    book::{Position, Record},
    logins::Scopes,
};
use crate::model::Timestamp;

const LARGEST_PAGE: usize = 100;

pub(super) fn router() -> Router<Demo> {
    Router::new()
        .route("/me", get(me))
        .route("/subscriptions", post(subscribe))
        .route("/{collection}/fields", get(fields))
        .route("/{collection}", get(list).post(create))
        .route("/{collection}/{id}", get(one).patch(change).delete(delete))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
}

async fn me(caller: Caller) -> Json<Value> {
    Json(json!({
        "account_id": ACCOUNT,
        "account_name": "Demo CRM",
        "notice": NOTICE,
        "login": caller.login,
        "scopes": caller.scopes.to_string(),
    }))
}

/// Where to send changes, and the secret to sign them with.
async fn subscribe(
    caller: Caller,
    State(demo): State<Demo>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    #[derive(serde::Deserialize)]
    struct Subscription {
        url: String,
        secret: String,
    }
    if caller.scopes != Scopes::Write {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "the token lacks the scope crm.write",
        ));
    }
    let Subscription { url, secret } = serde_json::from_value(parse(&body)?)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    demo.subscribe(&url, &secret);
    Ok(StatusCode::CREATED)
}

/// The names under `extra` that records have, with their types and a few values.
async fn fields(
    _caller: Caller,
    State(demo): State<Demo>,
    Path(collection): Path<String>,
) -> Result<Json<Value>, Problem> {
    let collection = known(&collection)?;
    let fields: Vec<Value> = demo
        .book()
        .extra_fields(collection)
        .into_iter()
        .map(|(name, (kind, samples))| json!({"name": name, "kind": kind, "samples": samples}))
        .collect();
    Ok(Json(json!({ "fields": fields })))
}

async fn list(
    _caller: Caller,
    State(demo): State<Demo>,
    Path(collection): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Problem> {
    let collection = known(&collection)?;
    let since = query
        .get("updated_since")
        .map(|text| Timestamp::parse(text).ok_or_else(|| wrong("updated_since", "must be a time")))
        .transpose()?;
    let after = query
        .get("page_token")
        .map(|text| parse_token(text).ok_or_else(|| wrong("page_token", "is not one of ours")))
        .transpose()?;
    let size = match query.get("page_size").map(|text| text.parse()) {
        None => LARGEST_PAGE,
        Some(Ok(size @ 1..=LARGEST_PAGE)) => size,
        Some(_) => return Err(wrong("page_size", "must be a number from 1 to 100")),
    };
    let (items, next, left) = demo.book().list(collection, since, after, size);
    // All that the query finds; later pages do not know it.
    let total = after.is_none().then_some(left);
    Ok(Json(
        json!({ "items": items, "next_page_token": next.map(token), "total": total }),
    ))
}

async fn one(
    _caller: Caller,
    State(demo): State<Demo>,
    Path((collection, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (collection, id) = (known(&collection)?, number(&id)?);
    Ok(show(collection, demo.book().record(collection, id)?))
}

async fn create(
    caller: Caller,
    State(demo): State<Demo>,
    Path(collection): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let collection = caller.writable(&collection)?;
    let (fields, now) = (parse(&body)?, demo.0.options.clock.now());
    let mut book = demo.book();
    let record = match headers.get("idempotency-key") {
        Some(key) => {
            let key = String::from_utf8_lossy(key.as_bytes());
            book.create_once(collection, &key, fields, now)?
        }
        None => book.create(collection, fields, now)?,
    };
    Ok((StatusCode::CREATED, show(collection, record)).into_response())
}

async fn change(
    caller: Caller,
    State(demo): State<Demo>,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let collection = caller.writable(&collection)?;
    let (fields, now) = (parse(&body)?, demo.0.options.clock.now());
    let mut book = demo.book();
    let record = book.change(collection, number(&id)?, fields, seen(&headers)?, now)?;
    Ok(show(collection, record))
}

async fn delete(
    caller: Caller,
    State(demo): State<Demo>,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let collection = caller.writable(&collection)?;
    let now = demo.0.options.clock.now();
    demo.book()
        .delete(collection, number(&id)?, seen(&headers)?, now)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who asks. A request without it is answered 401.
struct Caller {
    login: &'static str,
    scopes: Scopes,
}

impl FromRequestParts<Demo> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, demo: &Demo) -> Result<Self, Response> {
        let header = |name| parts.headers.get(name)?.to_str().ok();
        if header("x-demo-key") == Some(API_KEY) {
            return Ok(Self {
                login: "api key",
                scopes: Scopes::Write,
            });
        }
        let now = demo.0.options.clock.now();
        let scopes = header(AUTHORIZATION.as_str())
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|token| demo.logins().scopes(token, now));
        let Some(scopes) = scopes else {
            let problem = Problem::new(
                StatusCode::UNAUTHORIZED,
                "send a good access token, or the key in X-Demo-Key",
            );
            return Err(([(WWW_AUTHENTICATE, "Bearer")], problem).into_response());
        };
        Ok(Self {
            login: "oauth",
            scopes,
        })
    }
}

impl Caller {
    fn writable(&self, collection: &str) -> Result<Collection, Problem> {
        let collection = known(collection)?;
        if !collection.is_writable() {
            return Err(Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("{collection} can only be read"),
            ));
        }
        if self.scopes != Scopes::Write {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "the token lacks the scope crm.write",
            ));
        }
        Ok(collection)
    }
}

fn known(collection: &str) -> Result<Collection, Problem> {
    Collection::parse(collection)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such collection"))
}

/// An id; what is none names nothing.
fn number(id: &str) -> Result<u64, Refusal> {
    id.parse().map_err(|_| Refusal::Missing)
}

fn parse(body: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("no JSON: {error}")))
}

fn show(collection: Collection, record: &Record) -> Response {
    let etag = [(ETAG, format!("\"{}\"", record.version))];
    (etag, Json(record.document(collection))).into_response()
}

/// The version in `If-Match`.
fn seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(IF_MATCH).filter(|value| *value != "*") else {
        return Ok(None);
    };
    let version = value
        .to_str()
        .ok()
        .and_then(|text| text.trim_matches('"').parse().ok());
    // What this provider never gave out cannot match.
    version.map(Some).ok_or_else(|| Refusal::Changed.into())
}

fn token(position: Position) -> String {
    let Position {
        updated,
        id,
        deleted,
    } = position;
    URL_SAFE_NO_PAD.encode(format!(
        "{}.{id}.{}",
        updated.as_millis(),
        u8::from(deleted)
    ))
}

fn parse_token(token: &str) -> Option<Position> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.split('.');
    let position = Position {
        updated: Timestamp::from_millis(parts.next()?.parse().ok()?),
        id: parts.next()?.parse().ok()?,
        deleted: parts.next()? == "1",
    };
    parts.next().is_none().then_some(position)
}

/// An answer that is an error: `{"error": {"field"?, "message"}}`.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    field: Option<String>,
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            field: None,
            message: message.into(),
        }
    }
}

fn wrong(field: &str, message: &str) -> Problem {
    Refusal::Field {
        field: field.to_owned(),
        message: message.to_owned(),
    }
    .into()
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Field { field, message } => Self {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                field: Some(field),
                message,
            },
            Refusal::Missing => Self::new(StatusCode::NOT_FOUND, refusal.to_string()),
            Refusal::Changed => Self::new(StatusCode::PRECONDITION_FAILED, refusal.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = match self.field {
            Some(field) => json!({ "field": field, "message": self.message }),
            None => json!({ "message": self.message }),
        };
        (self.status, Json(json!({ "error": error }))).into_response()
    }
}
