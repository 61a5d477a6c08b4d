//! A local server that behaves as HubSpot's public documentation says.
//!
//! It is constructed, not recorded: CRM API v3 (properties too), associations v4, webhooks signed as v3, account
//! information v3 and OAuth v1, as documented in November 2026. Where the
//! documentation leaves something open the fake picks the harder case: search
//! results with equal sort keys come in no useful order, and record ids repeat
//! between object types.
//!
//! ```
//! let fake = fake_hubspot::FakeHubSpot::start(fake_hubspot::Options { contacts: 3, ..Default::default() });
//! assert_eq!(fake.records("contacts").len(), 3);
//! assert!(fake.base_url().starts_with("http://127.0.0.1:"));
//! ```

mod account;
mod associations;
mod error;
mod oauth;
mod objects;
mod search;
mod seed;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod webhooks;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

pub use crate::state::{Record, Seen};
pub use crate::webhooks::Webhook;

use crate::state::State;

/// What the fake holds when it starts. Every number is a count of records.
#[derive(Clone, Debug)]
pub struct Options {
    /// Contacts, each with an e-mail address of its own.
    pub contacts: usize,
    /// Companies.
    pub companies: usize,
    /// Deals, each with its primary company where there are companies.
    pub deals: usize,
    /// Notes, each on a contact, a company and a deal where there are any.
    pub notes: usize,
    /// Tasks, associated as notes are.
    pub tasks: usize,
    /// Calls, with a company and up to two contacts.
    pub calls: usize,
    /// Meetings, associated as calls are.
    pub meetings: usize,
    /// Logged e-mails, associated as calls are.
    pub emails: usize,
    /// Owners (users).
    pub owners: usize,
    /// Time between the modification dates of two seeded records of one type.
    /// Zero gives all of them the same date, as an import does.
    pub spacing: Duration,
    /// The token that a private app would have. Never expires.
    pub private_app_token: String,
    /// The OAuth app.
    pub client_id: String,
    /// The OAuth app's secret.
    pub client_secret: String,
    /// How long an access token lives.
    pub access_token_life: Duration,
    /// `portalId` of the account.
    pub portal_id: u64,
}

impl Default for Options {
    /// Ten records of each kind, a minute apart.
    fn default() -> Self {
        Self {
            contacts: 10,
            companies: 10,
            deals: 10,
            notes: 10,
            tasks: 10,
            calls: 10,
            meetings: 10,
            emails: 10,
            owners: 5,
            spacing: Duration::from_secs(60),
            private_app_token: "pat-na1-fake".to_owned(),
            client_id: "fake-client-id".to_owned(),
            client_secret: "fake-client-secret".to_owned(),
            access_token_life: Duration::from_secs(1800),
            portal_id: 62_515,
        }
    }
}

/// The running server. Dropping it stops it and closes its connections.
#[derive(Debug)]
pub struct FakeHubSpot {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeHubSpot {
    /// Starts on a free port of 127.0.0.1, on a thread of its own: it may be
    /// called with or without an async runtime.
    ///
    /// # Panics
    /// Where no port can be bound.
    pub fn start(options: Options) -> Self {
        let state = Arc::new(Mutex::new(State::new(options)));
        let (stop, stopped) = oneshot::channel();
        let (address, thread) = server::spawn(Arc::clone(&state), stopped);
        Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Base URL without a slash at the end. The API, `/oauth/authorize` and
    /// `/oauth/v1/token` all live under it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The records of a type (`contacts`, `calls` …) in order of their ids,
    /// archived ones included.
    pub fn records(&self, object: &str) -> Vec<Record> {
        self.state().records(object).into_iter().cloned().collect()
    }

    /// Changes properties of a record as a person in HubSpot would, which
    /// moves its modification date to now. `None` clears. False where there is
    /// no such record.
    pub fn update(&self, object: &str, id: u64, properties: &[(&str, Option<&str>)]) -> bool {
        self.state().update(object, id, properties)
    }

    /// Adds a record with these properties; gives its id.
    pub fn insert(&self, object: &str, properties: &[(&str, &str)]) -> u64 {
        self.state().insert(object, properties)
    }

    /// Archives a record, as its deletion in HubSpot does. False where there
    /// is no such record.
    pub fn archive(&self, object: &str, id: u64) -> bool {
        self.state().archive(object, id)
    }

    /// Adds a custom property to a type.
    pub fn define_property(&self, object: &str, name: &str) {
        self.state().define_property(object, name);
    }

    /// Ids of the records of type `to` that a record is associated with.
    pub fn associated(&self, object: &str, id: u64, to: &str) -> Vec<u64> {
        self.state()
            .associated(object, id, to)
            .into_iter()
            .map(|link| link.to)
            .collect()
    }

    /// Answers the next `count` API requests with 429, with `retry-after` where
    /// seconds are given.
    pub fn rate_limit_next(&self, count: usize, retry_after: Option<u32>) {
        self.state().fail_next(count, 429, retry_after);
    }

    /// Answers the next `count` API requests with this status and an error body.
    pub fn fail_next(&self, count: usize, status: u16) {
        self.state().fail_next(count, status, None);
    }

    /// Makes every OAuth access token given out so far expired.
    pub fn expire_access_tokens(&self) {
        self.state().expire_access_tokens();
    }

    /// Makes every refresh token given out so far unknown, as an uninstalled
    /// app's is.
    pub fn revoke_refresh_tokens(&self) {
        self.state().revoke_refresh_tokens();
    }

    /// Every request so far, refused ones included.
    pub fn requests(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// How many requests had this method and a path that starts so.
    pub fn count(&self, method: &str, path_prefix: &str) -> usize {
        self.state()
            .seen
            .iter()
            .filter(|seen| seen.method == method && seen.path.starts_with(path_prefix))
            .count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        state::lock(&self.state)
    }
}

impl Drop for FakeHubSpot {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has already failed the request that met it.
            drop(thread.join());
        }
    }
}
