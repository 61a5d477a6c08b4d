//! The demo provider within the test's process, where it can be looked at and disturbed.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use jackfield::{
    demo::{CLIENT_ID, CLIENT_SECRET, Collection, Demo, Options},
    model::{Clock, SystemClock, Timestamp},
};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use crate::{
    Answer, Api,
    api::{self, text},
    server::Builder,
    until,
};

/// A demo provider of its own for a test.
#[derive(Debug)]
pub struct DemoProvider {
    /// Its records and what can go wrong with it.
    pub demo: Demo,
    base_url: String,
    clock: Arc<ShiftedClock>,
    refreshes: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

/// The system's clock, with an offset.
#[derive(Debug, Default)]
pub(crate) struct ShiftedClock(AtomicI64);

impl ShiftedClock {
    /// Moves it forward.
    pub(crate) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now().as_millis();
        Timestamp::from_millis(now + self.0.load(Ordering::Relaxed))
    }
}

impl DemoProvider {
    /// One with so many people.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(people: usize) -> Self {
        Self::start_beside(people, Router::new()).await
    }

    /// The same with more paths, which come first.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start_beside(people: usize, more: Router) -> Self {
        let clock = Arc::new(ShiftedClock::default());
        let options = Options {
            clock: Arc::<ShiftedClock>::clone(&clock),
            people,
            ..Options::default()
        };
        let demo = Demo::new(options);
        let refreshes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&refreshes);
        let counting = move |request: Request, next: Next| {
            count_refreshes(Arc::clone(&counter), request, next)
        };
        let router = more.fallback_service(demo.router());
        let router: Router = router.layer(middleware::from_fn(counting));
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the demo provider serves");
        });
        Self {
            demo,
            base_url: format!("http://{address}"),
            clock,
            refreshes,
            serving,
        }
    }

    /// Tells a server where this is, and the OAuth app that it has.
    #[must_use]
    pub fn known_to(&self, server: Builder) -> Builder {
        let url = |path: &str| format!("{}{path}", self.base_url);
        server
            .endpoint("demo-crm", "api", &self.base_url)
            .oauth("demo-crm", "authorize_url", &url("/oauth/authorize"))
            .oauth("demo-crm", "token_url", &url("/oauth/token"))
            .oauth("demo-crm", "revoke_url", &url("/oauth/revoke"))
            .oauth("demo-crm", "client_id", CLIENT_ID)
            .oauth("demo-crm", "client_secret", CLIENT_SECRET)
    }

    /// Lets its time pass, so that tokens expire there without the server knowing.
    pub fn let_pass(&self, seconds: i64) {
        self.clock.forward(seconds);
    }

    /// Both sides change the first names of some contacts of a connection, and a person has to
    /// decide.
    ///
    /// # Panics
    /// A side does not take the change.
    pub async fn both_change(&self, api: &Api, connection: &str, contacts: usize) {
        let sync = format!("/connections/{connection}/syncs/crm.contact");
        let manual = json!({ "direction": "bidirectional", "conflicts": "manual" });
        api.patch(&sync, &manual).await.json(200);
        let page = format!("/crm/contacts?limit={contacts}");
        let page = api.get(&page).await.json(200);
        self.demo.fail_next(1000);
        for contact in page["data"].as_array().expect("a page") {
            let path = format!("/crm/contacts/{}", text(&contact["id"]));
            let ours = json!({ "first_name": "Ours" });
            api.patch(&path, &ours).await.json(200);
            let remote = text(&contact["remote_id"]).parse().expect("it is a number");
            let theirs = json!({ "given_name": "Theirs" });
            let changed = self.demo.change(Collection::People, remote, theirs);
            changed.expect("it is there");
        }
        self.demo.fail_next(0);
        until("the conflicts are found", async || {
            let page = api.get("/conflicts?state=open").await.json(200);
            (page["data"].as_array()?.len() == contacts).then_some(())
        })
        .await;
    }

    /// Its address, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// How often a refresh token was used.
    pub fn refreshes(&self) -> usize {
        self.refreshes.load(Ordering::SeqCst)
    }
}

impl Drop for DemoProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A person who is sent to the page of consent, decides, and is sent back: gives the answer of
/// the server's callback.
///
/// # Panics
/// The page is not one of consent, or the way back is none.
pub async fn decide(authorize_url: &str, decision: &str) -> Answer {
    let back = redirect_back(authorize_url, decision).await;
    Api::new("").get(&back).await
}

/// The same, but gives the address to which the person is sent back.
///
/// # Panics
/// The page is not one of consent.
pub async fn redirect_back(authorize_url: &str, decision: &str) -> String {
    let page = Api::new("").get(authorize_url).await;
    page.expect(200);
    assert!(page.text.contains("nothing here is real"), "{}", page.text);
    let url = Url::parse(authorize_url).expect("the server gives a URL");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(url.query_pairs())
        .append_pair("decision", decision);
    let mut action = url.clone();
    action.set_query(None);
    let response = api::http()
        .post(action.as_str())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish())
        .send()
        .await
        .expect("the provider answers");
    let location = response
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok());
    location
        .expect("the provider sends the person back")
        .to_owned()
}

async fn count_refreshes(counter: Arc<AtomicUsize>, request: Request, next: Next) -> Response {
    if request.uri().path() != "/oauth/token" {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 100_000)
        .await
        .expect("a token request is short");
    if String::from_utf8_lossy(&body).contains("grant_type=refresh_token") {
        counter.fetch_add(1, Ordering::SeqCst);
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}
