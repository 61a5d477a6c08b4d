//! A small, honest fake CRM to try Jackfield with, and to test it against.
//!
//! Nothing in it is real and every page says so. It keeps its records in memory and starts with
//! the same ones each time. Its own words differ from the unified ones on purpose (`given_name`,
//! `organisation`, amounts in cents, numbers as ids), so that a connector has something to do.

mod api;
mod book;
mod faults;
mod logins;
mod oauth;
mod pages;
mod resource;
mod seed;
mod subscriptions;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderName, HeaderValue},
    middleware, response,
    routing::get,
};
use serde_json::Value;

use crate::model::{Clock, Entropy, SystemClock, SystemEntropy};
use book::Book;
use faults::Faults;
use logins::Logins;
use subscriptions::Subscription;

pub use book::Refusal;
pub use resource::Collection;

/// The key that the header `X-Demo-Key` must have.
pub const API_KEY: &str = "demo-key";
/// The client id of its one OAuth app.
pub const CLIENT_ID: &str = "demo-client";
/// The client secret of its one OAuth app.
pub const CLIENT_SECRET: &str = "demo-secret";
/// The id of its one account.
pub const ACCOUNT: &str = "demo-account";

const NOTICE: &str = "demo provider, nothing here is real";

/// How the demo provider should be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tells the times of changes and the end of tokens.
    pub clock: Arc<dyn Clock>,
    /// Makes tokens. The records do not depend on it.
    pub entropy: Arc<dyn Entropy>,
    /// How many people it starts with.
    pub people: usize,
    /// How long an access token is good for.
    pub access_token_lifetime: Duration,
}

impl Default for Options {
    /// The system's clock and randomness, 500 people, an hour.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            people: 500,
            access_token_lifetime: Duration::from_secs(3600),
        }
    }
}

/// The demo provider. Clones share the records.
#[derive(Clone, Debug)]
pub struct Demo(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: Options,
    book: Mutex<Book>,
    logins: Mutex<Logins>,
    faults: Mutex<Faults>,
    subscriptions: Mutex<Vec<Subscription>>,
    requests: AtomicU64,
}

impl Demo {
    /// A provider with its first records, which are the same for the same number of people.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let book = seed::book(options.people);
        Self(Arc::new(Shared {
            options,
            book: Mutex::new(book),
            logins: Mutex::default(),
            faults: Mutex::default(),
            subscriptions: Mutex::default(),
            requests: AtomicU64::new(0),
        }))
    }

    /// Its pages (`/`, `/oauth/…`) and its API (`/v1/…`), to be served at the root of a port.
    pub fn router(&self) -> Router {
        let api = api::router().layer(middleware::from_fn_with_state(
            self.clone(),
            faults::interfere,
        ));
        Router::new()
            .route("/", get(pages::welcome))
            .nest("/oauth", oauth::router())
            .nest("/v1", api)
            .layer(middleware::map_response_with_state(self.clone(), tell))
            .layer(middleware::map_response(label))
            .with_state(self.clone())
    }

    /// Adds a record as `POST` does; answers its id.
    ///
    /// # Errors
    /// What is wrong with the fields.
    pub fn add(&self, collection: Collection, fields: Value) -> Result<u64, Refusal> {
        let now = self.0.options.clock.now();
        let id = self.book().create(collection, fields, now)?.id;
        self.tell();
        Ok(id)
    }

    /// Changes a record as `PATCH` does; `{}` touches it.
    ///
    /// # Errors
    /// What is wrong with the fields, or that there is no such record.
    pub fn change(&self, collection: Collection, id: u64, fields: Value) -> Result<(), Refusal> {
        let now = self.0.options.clock.now();
        self.book()
            .change(collection, id, fields, None, now)
            .map(|_| ())?;
        self.tell();
        Ok(())
    }

    /// Deletes a record as `DELETE` does.
    ///
    /// # Errors
    /// There is no such record.
    pub fn delete(&self, collection: Collection, id: u64) -> Result<(), Refusal> {
        let now = self.0.options.clock.now();
        self.book().delete(collection, id, None, now)?;
        self.tell();
        Ok(())
    }

    /// A record as the API shows it, where it exists and is not deleted.
    #[must_use]
    pub fn record(&self, collection: Collection, id: u64) -> Option<Value> {
        let book = self.book();
        Some(book.record(collection, id).ok()?.document(collection))
    }

    /// How many records a collection has, deleted ones aside.
    #[must_use]
    pub fn count(&self, collection: Collection) -> usize {
        self.book().count(collection)
    }

    /// The next so many requests to the API are answered 429 with this `Retry-After`.
    pub fn limit_next(&self, requests: u32, retry_after_seconds: u32) {
        self.faults().limit_next(requests, retry_after_seconds);
    }

    /// The next so many requests to the API are answered 500.
    pub fn fail_next(&self, requests: u32) {
        self.faults().fail_next(requests);
    }

    /// The next so many requests to the API are done, but answered 500.
    pub fn lose_next(&self, requests: u32) {
        self.faults().lose_next(requests);
    }

    /// The next request to the API that has no such answer yet gets this one.
    pub fn answer_next(&self, status: u16, headers: &[(&'static str, String)], body: &str) {
        self.faults().answer_next(faults::Scripted {
            status,
            headers: headers.to_vec(),
            body: body.to_owned(),
        });
    }

    /// Forgets every token, as if the customer had taken the permission back.
    pub fn forget_tokens(&self) {
        *self.logins() = Logins::default();
    }

    /// How many requests the API has had.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.0.book)
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        lock(&self.0.logins)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.0.faults)
    }
}

/// Every change leaves the state whole before anything could panic, so a poisoned lock is a good one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Subscribers hear of a change when whoever made it has the answer.
async fn tell(State(demo): State<Demo>, response: response::Response) -> response::Response {
    demo.tell();
    response
}

/// Says on every answer what this is.
async fn label(mut response: response::Response) -> response::Response {
    response.headers_mut().insert(
        HeaderName::from_static("x-demo"),
        HeaderValue::from_static(NOTICE),
    );
    response
}

#[cfg(test)]
mod tests;
