//! A receiver of webhooks: it keeps what came and answers as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::until;

/// An application's own server, for one test.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<Reply>>,
    usual: Mutex<Reply>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub text: String,
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// How long the answer takes.
    pub after: Duration,
}

impl Default for Reply {
    fn default() -> Self {
        Self::status(200)
    }
}

impl Reply {
    /// At once.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            after: Duration::ZERO,
        }
    }

    /// With a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Later.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }
}

impl Received {
    /// A header.
    ///
    /// # Panics
    /// It is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("a delivery has the header {name}"));
        value.to_str().expect("our headers are texts")
    }

    /// The body.
    ///
    /// # Panics
    /// It is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a delivery is JSON")
    }

    /// The type of the event.
    pub fn kind(&self) -> String {
        crate::api::text(&self.json()["type"])
    }
}

impl Receiver {
    /// One that answers 200 until it is told otherwise.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the receiver serves");
        });
        Self {
            url: format!("http://{address}/hook"),
            shared,
            serving,
        }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next requests are answered so, in this order; then as usual again.
    pub fn answer(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shared.answers).extend(replies);
    }

    /// All requests are answered so from now on.
    pub fn usually(&self, reply: Reply) {
        *lock(&self.shared.usual) = reply;
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// The ids of the events that came so far, in their order and as often as they came.
    pub fn ids(&self) -> Vec<String> {
        let received = lock(&self.shared.received);
        let ids = received.iter().map(|one| one.headers.get("webhook-id"));
        ids.filter_map(|id| Some(id?.to_str().ok()?.to_owned()))
            .collect()
    }

    /// Waits until so many requests came that `wanted` is true for; gives them.
    pub async fn wait_for(
        &self,
        count: usize,
        wanted: impl Fn(&Received) -> bool,
    ) -> Vec<Received> {
        until(&format!("{count} deliveries"), async || {
            let mut received = self.received();
            received.retain(|one| wanted(one));
            (received.len() >= count).then_some(received)
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 24).await.unwrap_or_default();
    lock(&shared.received).push(Received {
        at: Instant::now(),
        headers: head.headers,
        text: String::from_utf8_lossy(&body).into_owned(),
    });
    let next = lock(&shared.answers).pop_front();
    let reply = next.unwrap_or_else(|| lock(&shared.usual).clone());
    tokio::time::sleep(reply.after).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response
        .body(Body::from("noted"))
        .expect("the headers of a reply are good")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
