//! A client of the HTTP API.

use std::{
    collections::{BTreeMap, HashSet},
    sync::OnceLock,
    time::Duration,
};

use reqwest::{Method, header::HeaderMap, redirect};
use serde_json::{Value, json};

use crate::{until, until_within};

/// The API as one caller sees it. Clones share their sockets.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    key: Option<String>,
    token: Option<String>,
    once: Option<String>,
    closing: bool,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
}

/// A connection that was made.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its id.
    pub id: String,
    /// Its connection token.
    pub token: String,
}

/// The one HTTP client of the tests. It follows no redirect.
pub fn http() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // Another thread may have been first; the provider is the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        #[expect(clippy::disallowed_methods, reason = "tests stand outside the server")]
        let builder = reqwest::Client::builder();
        // Each test has its own runtime, and a kept socket belongs to the runtime that opened it.
        let builder = builder
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0);
        builder
            .timeout(Duration::from_secs(60))
            .build()
            .expect("the client has no odd options")
    })
}

impl Api {
    /// For a server at this address.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            key: None,
            token: None,
            once: None,
            closing: false,
        }
    }

    /// The same with an API key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// The same with a connection token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same with a socket of its own for each request: one that is kept open may be closed at
    /// the moment when the next request is sent on it.
    #[must_use]
    pub fn closing(&self) -> Self {
        Self {
            closing: true,
            ..self.clone()
        }
    }

    /// The same with an `Idempotency-Key`.
    #[must_use]
    pub fn once(&self, key: &str) -> Self {
        Self {
            once: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// The same caller of a server at another address.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ..self.clone()
        }
    }

    /// The API key.
    pub fn key(&self) -> &str {
        self.key.as_deref().expect("this caller has a key")
    }

    /// Sends a request with a JSON body where there is one.
    ///
    /// # Panics
    /// No answer comes.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = format!("{method} {path}");
        self.try_send(method, path, body)
            .await
            .unwrap_or_else(|error| panic!("{request}: {error:?}"))
    }

    /// The same where no answer is an answer too.
    ///
    /// # Errors
    /// No answer comes.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let text = format!("{method} {path}");
        let mut request = http().request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        if let Some(token) = &self.token {
            request = request.header("x-connection-token", token);
        }
        if let Some(key) = &self.once {
            request = request.header("idempotency-key", key);
        }
        if self.closing {
            request = request.header("connection", "close");
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.header("accept", "application/json").send().await?;
        Ok(Answer {
            request: text,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await?,
        })
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `PATCH`.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// All records of a list, page by page.
    ///
    /// # Panics
    /// A record comes twice.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut records = Vec::new();
        let mut ids = HashSet::new();
        let mut cursor = String::new();
        let join = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self
                .get(&format!("{path}{join}limit=200{cursor}"))
                .await
                .json(200);
            for record in page["data"].as_array().expect("a page has data") {
                assert!(
                    ids.insert(record["id"].to_string()),
                    "{} comes twice in {path}",
                    record["id"]
                );
                records.push(record.clone());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", encode(next)),
                None => return records,
            }
        }
    }

    /// All events of the project, newest first, of one type.
    pub async fn events(&self, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        for page in 1.. {
            let rows = self
                .get(&format!("/events?page={page}&limit=200"))
                .await
                .json(200);
            let rows = rows.as_array().expect("events are an array").clone();
            let last = rows.len() < 200;
            events.extend(rows.into_iter().filter(|row| row["type"] == kind));
            if last {
                break;
            }
        }
        events
    }

    /// The project's audit log tells that somebody did all of this; `actor` is how the name of
    /// who did it begins.
    ///
    /// # Panics
    /// It does not.
    pub async fn is_audited(&self, actor: &str, actions: &[&str]) {
        for action in actions {
            let log = self.get(&format!("/audit-log?action={action}")).await;
            let log = log.json(200);
            let entries = log["data"].as_array().expect("a list");
            let by = |entry: &Value| text(&entry["actor"]).starts_with(actor);
            assert!(entries.iter().any(by), "{actor} {action}: {log}");
        }
    }

    /// Waits until a connector serves, and gives its status.
    pub async fn active(&self, slug: &str) -> Value {
        until(&format!("{slug} serves"), async || {
            let answer = self.get(&format!("/connectors/{slug}")).await;
            (answer.status == 200)
                .then(|| answer.json(200))
                .filter(|status| status["state"] == "active")
        })
        .await
    }

    /// Makes a linked user; answers its id.
    pub async fn linked_user(&self, origin: &str) -> String {
        let body = json!({ "linked_user_origin_id": origin, "alias": origin });
        let user = self.post("/linked_users", &body).await.json(201);
        text(&user["id_linked_user"])
    }

    /// Connects a new linked user with credentials, as `POST /connections` takes them.
    pub async fn connect(&self, connector: &str, scheme: &str, fields: Value) -> Connection {
        let user = self
            .linked_user(&format!("customer of {connector} by {scheme}"))
            .await;
        let body = json!({
            "connector": connector, "scheme": scheme, "linked_user_id": user, "fields": fields,
        });
        self.post("/connections", &body).await.connection()
    }

    /// Waits until every object of a vertical has been read completely for this connection.
    pub async fn synced(&self, vertical: &str) {
        let patience = Duration::from_secs(300);
        until_within(patience, "everything is read", async || {
            let states = self.sync_states(vertical).await;
            let failed: Vec<_> = states
                .iter()
                .filter(|state| state["status"] == "failed")
                .collect();
            assert!(failed.is_empty(), "a sync failed: {failed:?}");
            let done = |state: &Value| state["complete"] == true && state["status"] == "completed";
            (!states.is_empty() && states.iter().all(done)).then_some(())
        })
        .await;
    }

    /// Reads what changed, now, and waits for the end.
    pub async fn resync(&self, vertical: &str) {
        let before = self.finished(vertical).await;
        self.post("/sync/resync", &json!({ "vertical": vertical }))
            .await
            .json(201);
        let patience = Duration::from_secs(300);
        until_within(patience, "everything is read again", async || {
            let after = self.finished(vertical).await;
            let again = |(object, time): (&String, &String)| {
                after.get(object).is_some_and(|new| new > time)
            };
            before.iter().all(again).then_some(())
        })
        .await;
        self.synced(vertical).await;
    }

    /// How the reads of a vertical stand, object by object.
    pub async fn sync_states(&self, vertical: &str) -> Vec<Value> {
        let states = self
            .get(&format!("/sync/status/{vertical}"))
            .await
            .json(200);
        states.as_array().expect("the states are an array").clone()
    }

    async fn finished(&self, vertical: &str) -> BTreeMap<String, String> {
        let states = self.sync_states(vertical).await;
        states
            .iter()
            .map(|state| (text(&state["object"]), text(&state["last_finished_at"])))
            .collect()
    }
}

impl Answer {
    /// The body, where the status is as expected.
    ///
    /// # Panics
    /// It is another, or the body is no JSON.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        self.expect(status);
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.request, self.text))
    }

    /// Checks the status.
    ///
    /// # Panics
    /// It is another.
    #[track_caller]
    pub fn expect(&self, status: u16) {
        assert_eq!(self.status, status, "{}: {}", self.request, self.text);
    }

    /// The connection in an answer to a request that makes one.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn connection(&self) -> Connection {
        let body = self.json(201);
        Connection {
            id: text(&body["id_connection"]),
            token: text(&body["connection_token"]),
        }
    }

    /// Where a redirect leads.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn location(&self) -> String {
        let location = self
            .headers
            .get("location")
            .and_then(|value| value.to_str().ok());
        location
            .unwrap_or_else(|| panic!("{} is no redirect: {}", self.request, self.text))
            .to_owned()
    }
}

/// The text of a JSON string; empty for null.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// For a query.
pub fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
