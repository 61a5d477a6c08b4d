//! The provider's HTTP API.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{any, get},
};
use jackfield::model::{Clock as _, ObjectKind, SystemClock};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::seed;

/// The API key that it takes, in the header `X-Omni-Key`.
pub const KEY: &str = "omni-key";

const LARGEST_PAGE: usize = 100;

/// A provider that runs until this is dropped.
#[derive(Debug)]
pub struct Omni {
    /// Its address.
    pub base_url: String,
    account: Account,
    serving: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Account(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    records: HashMap<ObjectKind, BTreeMap<usize, Record>>,
    /// Answers that were given to a create with this key.
    created: HashMap<String, Record>,
    /// How often the next requests to `/v1/limited` are refused.
    refusals: u32,
    /// Whether changes of records are answered with 503.
    writes_refused: bool,
    /// Whether the key is taken no more.
    revoked: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Record {
    id: String,
    rev: u64,
    updated_at: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    data: Map<String, Value>,
    extra: Map<String, Value>,
}

impl Omni {
    /// One with so many records of each object.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(per_object: usize) -> Self {
        let account = Account::default();
        {
            let mut state = account.lock();
            for kind in ObjectKind::all() {
                let record = |number| {
                    let data = seed::kept(kind, number);
                    (number, Record::new(kind, number, data, Map::new()))
                };
                let records = (1..=per_object).map(record).collect();
                state.records.insert(kind, records);
            }
        }
        let collection = get(list).post(create);
        let one = get(read).patch(change).delete(remove);
        let router = Router::new()
            .route("/v1/me", get(me))
            .route("/v1/objects/{kind}", collection)
            .route("/v1/objects/{kind}/{id}", one)
            .route("/v1/limited", any(limited))
            .layer(middleware::from_fn_with_state(
                account.clone(),
                authenticate,
            ))
            .with_state(account.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the provider serves");
        });
        Self {
            base_url: format!("http://{address}"),
            account,
            serving,
        }
    }

    /// Lets the next requests to `/v1/limited` be refused with 429.
    pub fn refuse(&self, times: u32) {
        self.account.lock().refusals = times;
    }

    /// Takes the key no more.
    pub fn revoke(&self) {
        self.account.lock().revoked = true;
    }

    /// Takes no changes of records for now, or again.
    pub fn refuse_changes(&self, refused: bool) {
        self.account.lock().writes_refused = refused;
    }

    /// How many records of an object there are now.
    #[must_use]
    pub fn count(&self, kind: ObjectKind) -> usize {
        let state = self.account.lock();
        let records = state.records.get(&kind).into_iter().flatten();
        records.filter(|(_, record)| !record.deleted).count()
    }

    /// Takes a record away as if it had never been: it is not even reported as deleted.
    ///
    /// # Panics
    /// There is no such record.
    pub fn forget(&self, kind: ObjectKind, id: &str) {
        let mut state = self.account.lock();
        let number = id.rsplit_once('_').and_then(|(_, last)| last.parse().ok());
        let records = state.records.get_mut(&kind);
        let forgotten = records
            .zip(number)
            .and_then(|(all, number): (_, usize)| all.remove(&number));
        assert!(forgotten.is_some(), "there is no {kind} {id}");
    }

    /// Sets a field of a record for which the unified object has no place.
    ///
    /// # Panics
    /// There is no such record.
    pub fn set_extra(&self, kind: ObjectKind, number: usize, name: &str, value: Value) {
        self.touch(kind, number, |record| {
            record.extra.insert(name.to_owned(), value)
        });
    }

    /// Sets a field of a record, as somebody who uses the provider does.
    ///
    /// # Panics
    /// There is no such record.
    pub fn set(&self, kind: ObjectKind, number: usize, name: &str, value: Value) {
        self.touch(kind, number, |record| {
            record.data.insert(name.to_owned(), value)
        });
    }

    fn touch<T>(&self, kind: ObjectKind, number: usize, change: impl FnOnce(&mut Record) -> T) {
        let mut state = self.account.lock();
        let record = state
            .records
            .get_mut(&kind)
            .and_then(|all| all.get_mut(&number))
            .expect("the record is there");
        change(record);
        record.touch();
    }
}

impl Drop for Omni {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn new(
        kind: ObjectKind,
        number: usize,
        data: Map<String, Value>,
        extra: Map<String, Value>,
    ) -> Self {
        Self {
            id: seed::remote_id(kind, number),
            rev: 1,
            updated_at: SystemClock.now().to_string(),
            deleted: false,
            data,
            extra,
        }
    }

    fn touch(&mut self) {
        self.rev += 1;
        self.updated_at = SystemClock.now().to_string();
    }
}

async fn authenticate(State(account): State<Account>, request: Request, next: Next) -> Response {
    let key = request.headers().get("x-omni-key");
    if key.is_some_and(|key| key == KEY) && !account.lock().revoked {
        return next.run(request).await;
    }
    refusal(StatusCode::UNAUTHORIZED, "unknown key")
}

async fn me() -> Json<Value> {
    Json(json!({ "id": "acme", "name": "Acme" }))
}

#[derive(Deserialize)]
struct Pages {
    page_size: Option<usize>,
    page_token: Option<usize>,
    updated_since: Option<String>,
}

/// Tokens are numbers of records. Deleted records come only to those who ask for changes.
async fn list(
    State(account): State<Account>,
    Path(kind): Path<String>,
    Query(pages): Query<Pages>,
) -> Response {
    let Some(kind) = ObjectKind::parse(&kind) else {
        return refusal(StatusCode::NOT_FOUND, "no such object");
    };
    let size = pages.page_size.unwrap_or(LARGEST_PAGE);
    if size == 0 || size > LARGEST_PAGE {
        return refusal(StatusCode::BAD_REQUEST, "page_size is 1 to 100");
    }
    let state = account.lock();
    let after = pages.page_token.unwrap_or(0);
    let wanted = |record: &&Record| match &pages.updated_since {
        Some(since) => record.updated_at >= *since,
        None => !record.deleted,
    };
    let mut items: Vec<(usize, &Record)> = state
        .records
        .get(&kind)
        .into_iter()
        .flat_map(|records| records.range(after + 1..))
        .map(|(number, record)| (*number, record))
        .filter(|(_, record)| wanted(record))
        .take(size + 1)
        .collect();
    let more = items.len() > size;
    items.truncate(size);
    let next = items
        .last()
        .filter(|_| more)
        .map(|(number, _)| number.to_string());
    let items: Vec<_> = items.iter().map(|(_, record)| record).collect();
    Json(json!({ "items": items, "next_page_token": next })).into_response()
}

async fn read(
    State(account): State<Account>,
    Path((kind, id)): Path<(String, String)>,
) -> Response {
    with(&account, &kind, &id, |record| {
        Json(&*record).into_response()
    })
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    data: Map<String, Value>,
    #[serde(default)]
    extra: Map<String, Value>,
}

async fn create(
    State(account): State<Account>,
    Path(kind): Path<String>,
    headers: axum::http::HeaderMap,
    Json(body): Json<Body>,
) -> Response {
    let Some(kind) = ObjectKind::parse(&kind) else {
        return refusal(StatusCode::NOT_FOUND, "no such object");
    };
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .map(ToOwned::to_owned);
    let mut state = account.lock();
    if let Some(record) = key.as_ref().and_then(|key| state.created.get(key)) {
        return (StatusCode::CREATED, Json(record)).into_response();
    }
    let records = state.records.entry(kind).or_default();
    let number = records.last_key_value().map_or(1, |(last, _)| last + 1);
    let record = Record::new(kind, number, body.data, body.extra);
    records.insert(number, record.clone());
    if let Some(key) = key {
        state.created.insert(key, record.clone());
    }
    (StatusCode::CREATED, Json(record)).into_response()
}

async fn change(
    State(account): State<Account>,
    Path((kind, id)): Path<(String, String)>,
    Json(body): Json<Body>,
) -> Response {
    if account.lock().writes_refused {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "read only for now");
    }
    with(&account, &kind, &id, |record| {
        record.data.extend(body.data);
        record.extra.extend(body.extra);
        record.touch();
        Json(&*record).into_response()
    })
}

async fn remove(
    State(account): State<Account>,
    Path((kind, id)): Path<(String, String)>,
) -> Response {
    with(&account, &kind, &id, |record| {
        record.deleted = true;
        record.touch();
        StatusCode::NO_CONTENT.into_response()
    })
}

/// Refuses as often as [`Omni::refuse`] said, then answers what it was asked.
async fn limited(State(account): State<Account>, request: Request) -> Response {
    let mut state = account.lock();
    if state.refusals > 0 {
        state.refusals -= 1;
        let refused = refusal(StatusCode::TOO_MANY_REQUESTS, "too many requests");
        return ([("retry-after", "1")], refused).into_response();
    }
    Json(json!({ "method": request.method().as_str() })).into_response()
}

fn with(
    account: &Account,
    kind: &str,
    id: &str,
    then: impl FnOnce(&mut Record) -> Response,
) -> Response {
    let mut state = account.lock();
    let number: Option<usize> = id.rsplit_once('_').and_then(|(_, last)| last.parse().ok());
    let found = ObjectKind::parse(kind)
        .and_then(|kind| state.records.get_mut(&kind))
        .zip(number)
        .and_then(|(records, number)| records.get_mut(&number))
        .filter(|record| !record.deleted && record.id == id);
    match found {
        Some(record) => then(record),
        None => refusal(StatusCode::NOT_FOUND, "no such record"),
    }
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}
