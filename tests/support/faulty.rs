//! A provider that misbehaves: the demo provider behind a server that is told, request by request,
//! what to do to the answer, down to the bytes on the wire. It keeps a ledger of what it was asked.

mod wire;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http,
};
use jackfield::demo::{API_KEY, CLIENT_ID, CLIENT_SECRET, Collection, Demo, Options};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower::ServiceExt as _;

use crate::{demo::ShiftedClock, server::Builder};
use wire::Request;

/// A demo provider that can be told to misbehave.
#[derive(Debug)]
pub struct FaultyProvider {
    /// Its records.
    pub demo: Demo,
    base_url: String,
    clock: Arc<ShiftedClock>,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    demo: Demo,
    router: Router,
    rules: Mutex<Vec<Rule>>,
    /// What is to happen to whoever is given the next token.
    coming: Mutex<Option<Rule>>,
    ledger: Mutex<Ledger>,
    process: AtomicU32,
}

/// What was asked of the provider.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Writes, in their order.
    pub writes: Vec<Write>,
    /// When pages of records were asked for.
    pub lists: Vec<Instant>,
    /// Tokens that it gave out: one list for each answer.
    pub tokens: Vec<Vec<String>>,
}

/// A request that writes, and what it did.
#[derive(Clone, Debug)]
pub struct Write {
    /// `POST`, `PATCH` or `DELETE`.
    pub method: String,
    /// For example `/v1/people/10001`.
    pub path: String,
    /// The body; null for a deletion.
    pub body: Value,
    /// The `Idempotency-Key`.
    pub key: Option<String>,
    /// The `If-Match`.
    pub seen: Option<String>,
    /// When.
    pub at: Instant,
    /// Whether it changed anything: a repetition of what is there does not.
    pub effect: bool,
}

/// What to do to which requests.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Texts that the request's head has, for example `GET /v1/people` and a token.
    pub needles: Vec<String>,
    /// So many of them pass first.
    pub skip: u32,
    /// So many of them meet the fault.
    pub times: u32,
    /// What happens to them.
    pub fault: Fault,
}

/// What can happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, perhaps with `Retry-After`, seconds.
    Limited(Option<u32>),
    /// 500.
    Broken,
    /// No answer.
    Hang,
    /// The connection is reset.
    Reset,
    /// The connection ends in the middle of the body.
    HalfBody,
    /// 200 and a page for people.
    Html,
    /// 200 and JSON that stops in its middle.
    CutJson,
    /// 200 and 256 MiB of zeros, compressed to a quarter of a MiB.
    GzipBomb,
    /// One byte a second.
    Drip,
    /// The next page of a list is the same one again.
    SameCursor,
    /// A list always has one more page.
    Endless,
    /// The server that asks is killed.
    Kill(Moment),
    /// The server that asks is stopped, and answered: it reads that when it goes on.
    Stop,
}

/// When, during a request, the one who asks is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request arrived; nothing was done.
    Arrived,
    /// It was done; nothing was answered.
    Done,
    /// It was answered.
    Answered,
}

impl FaultyProvider {
    /// One with so many people.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(people: usize) -> Self {
        let clock = Arc::new(ShiftedClock::default());
        let demo = Demo::new(Options {
            people,
            clock: Arc::<ShiftedClock>::clone(&clock),
            ..Options::default()
        });
        let shared = Arc::new(Shared {
            demo: demo.clone(),
            router: demo.router(),
            rules: Mutex::default(),
            coming: Mutex::default(),
            ledger: Mutex::default(),
            process: AtomicU32::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let serving = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            demo,
            base_url: format!("http://{address}"),
            clock,
            shared,
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

    /// Whom [`Fault::Kill`] kills.
    pub fn aim_at(&self, process: u32) {
        self.shared.process.store(process, Ordering::SeqCst);
    }

    /// From now on these requests meet this.
    pub fn rule(&self, needles: &[&str], skip: u32, times: u32, fault: Fault) {
        let needles = needles.iter().map(|needle| (*needle).to_owned()).collect();
        lock(&self.shared.rules).push(Rule {
            needles,
            skip,
            times,
            fault,
        });
    }

    /// The same for requests with the access tokens that are given out from now on.
    pub fn rule_for_tokens(&self, needle: &str, skip: u32, times: u32, fault: Fault) {
        *lock(&self.shared.coming) = Some(Rule {
            needles: vec![needle.to_owned()],
            skip,
            times,
            fault,
        });
    }

    /// Nothing goes wrong any more.
    pub fn behave(&self) {
        lock(&self.shared.rules).clear();
        *lock(&self.shared.coming) = None;
    }

    /// Whether every fault happened as often as it was to.
    pub fn is_calm(&self) -> bool {
        lock(&self.shared.rules).iter().all(|rule| rule.times == 0)
    }

    /// All records of a collection that are not deleted, as the API shows them.
    ///
    /// # Panics
    /// The demo provider does not answer.
    pub async fn documents(&self, collection: Collection) -> Vec<Value> {
        let mut documents = Vec::new();
        let mut token = String::new();
        loop {
            let request = http::Request::get(format!("/v1/{collection}?page_size=100{token}"))
                .header("x-demo-key", API_KEY)
                .body(Body::empty())
                .expect("it is a good request");
            let Ok(response) = self.shared.router.clone().oneshot(request).await;
            let body = to_bytes(response.into_body(), 1 << 26).await;
            let page: Value = serde_json::from_slice(&body.expect("the body is in memory"))
                .expect("lists are JSON");
            documents.extend(page["items"].as_array().expect("a list has items").clone());
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => return documents,
            }
        }
    }

    /// What it was asked so far.
    pub fn ledger(&self) -> Ledger {
        lock(&self.shared.ledger).clone()
    }

    /// When a page was asked for, first after `time`.
    pub fn first_list_after(&self, time: Instant) -> Option<Instant> {
        let ledger = lock(&self.shared.ledger);
        ledger.lists.iter().copied().find(|at| *at > time)
    }
}

impl Drop for FaultyProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // Whoever asks may be killed at any time.
            drop(serve(stream, &shared).await);
        });
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = wire::Connection::new(stream);
    while let Some(request) = connection.request().await? {
        match shared.fault(&request) {
            None => {
                let answer = shared.answer(&request).await;
                connection.answer(&answer).await?;
            }
            Some(fault) => {
                shared.misbehave(fault, &request, connection).await?;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What the demo provider answers.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Shared {
    /// What happens to a request, where something does.
    fn fault(&self, request: &Request) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|rule| {
            let hit = |needle: &String| request.head.contains(needle.as_str());
            rule.times > 0 && rule.needles.iter().all(hit)
        })?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault)
    }

    /// Asks the demo provider, and writes it into the ledger.
    async fn answer(&self, request: &Request) -> Answer {
        let (method, target) = (request.method.as_str(), request.target.as_str());
        let path = target.split('?').next().unwrap_or_default();
        if method == "GET" && path.matches('/').count() == 2 && path != "/v1/me" {
            lock(&self.ledger).lists.push(Instant::now());
        }
        let mut inner = http::Request::builder().method(method).uri(target);
        for (name, value) in &request.headers {
            inner = inner.header(name, value);
        }
        let inner = inner
            .body(Body::from(request.body.clone()))
            .expect("the request came over HTTP");
        let before = self.fields(path);
        let Ok(response) = self.router.clone().oneshot(inner).await;
        let (head, body) = response.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        let answer = Answer {
            status: head.status.as_u16(),
            headers: headers
                .filter(|(name, _)| name != "content-length")
                .collect(),
            body: to_bytes(body, 1 << 26).await.unwrap_or_default().to_vec(),
        };
        let same = before == self.fields(path);
        self.note(request, path, &answer, same);
        answer
    }

    /// The record that a path names, without what every write changes.
    fn fields(&self, path: &str) -> Option<Value> {
        let (collection, id) = path.strip_prefix("/v1/")?.split_once('/')?;
        let collection = Collection::parse(collection)?;
        let mut record = self.demo.record(collection, id.parse().ok()?)?;
        let fields = record.as_object_mut()?;
        fields.remove("version");
        fields.remove("updated_on");
        Some(record)
    }

    /// `same` says that the record is as it was before.
    fn note(&self, request: &Request, path: &str, answer: &Answer, same: bool) {
        let taken = (200..300).contains(&answer.status);
        let mut ledger = lock(&self.ledger);
        if path == "/oauth/token" {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let tokens = ["access_token", "refresh_token"].map(|name| &body[name]);
            let tokens = tokens.iter().filter_map(|token| token.as_str());
            let tokens: Vec<String> = tokens.map(str::to_owned).collect();
            if let (Some(token), Some(mut rule)) = (tokens.first(), lock(&self.coming).clone()) {
                rule.needles.push(token.clone());
                lock(&self.rules).push(rule);
            }
            ledger.tokens.push(tokens);
        } else if path.starts_with("/v1/") && request.method != "GET" {
            let key = request.header("idempotency-key").map(str::to_owned);
            let repeated = key.is_some()
                && request.method == "POST"
                && ledger
                    .writes
                    .iter()
                    .any(|write| write.effect && write.key == key);
            ledger.writes.push(Write {
                method: request.method.clone(),
                path: path.to_owned(),
                body: serde_json::from_slice(&request.body).unwrap_or_default(),
                key,
                seen: request.header("if-match").map(str::to_owned),
                at: Instant::now(),
                effect: taken && !repeated && (request.method == "POST" || !same),
            });
        }
    }

    async fn misbehave(
        &self,
        fault: Fault,
        request: &Request,
        mut connection: wire::Connection,
    ) -> std::io::Result<()> {
        connection.ends();
        let plain = |status: u16, kind: &str, body: &str| Answer {
            status,
            headers: vec![("content-type".into(), kind.into())],
            body: body.into(),
        };
        match fault {
            Fault::Limited(wait) => {
                let mut answer = plain(429, "application/json", r#"{"error":{"message":"slow"}}"#);
                let wait = wait.map(|seconds| ("retry-after".into(), seconds.to_string()));
                answer.headers.extend(wait);
                connection.answer(&answer).await
            }
            Fault::Broken => {
                let answer = plain(500, "text/plain", "broken on demand");
                connection.answer(&answer).await
            }
            Fault::Hang => connection.wait_for_end().await,
            Fault::Reset => connection.reset(),
            Fault::Html => {
                let page = "<!doctype html><title>Maintenance</title><p>Back soon.";
                connection.answer(&plain(200, "text/html", page)).await
            }
            Fault::HalfBody => {
                let answer = self.answer(request).await;
                connection.half(&answer).await
            }
            Fault::CutJson => {
                let mut answer = self.answer(request).await;
                answer.body.truncate(answer.body.len() / 2);
                connection.answer(&answer).await
            }
            Fault::GzipBomb => {
                let mut answer = plain(200, "application/json", "");
                answer
                    .headers
                    .push(("content-encoding".into(), "gzip".into()));
                answer.body = wire::bomb();
                connection.answer(&answer).await
            }
            Fault::Drip => {
                let answer = self.answer(request).await;
                connection.drip(&answer, Duration::from_secs(1)).await
            }
            Fault::SameCursor => {
                let mut answer = self.answer(request).await;
                let token = request.parameter("page_token");
                let token = token.unwrap_or_default().to_owned();
                answer.set("next_page_token", json!(token));
                connection.answer(&answer).await
            }
            Fault::Endless => {
                let first = request.without("page_token");
                let mut answer = self.answer(&first).await;
                let turn = request.parameter("page_token").unwrap_or("");
                let turn: u64 = turn.trim_start_matches("endless").parse().unwrap_or(0);
                answer.set("next_page_token", json!(format!("endless{}", turn + 1)));
                connection.answer(&answer).await
            }
            Fault::Kill(moment) => {
                if moment == Moment::Arrived {
                    return self.signal(Signal::KILL);
                }
                let answer = self.answer(request).await;
                if moment == Moment::Answered {
                    connection.answer(&answer).await?;
                }
                self.signal(Signal::KILL)
            }
            Fault::Stop => {
                self.signal(Signal::STOP)?;
                let answer = self.answer(request).await;
                connection.answer(&answer).await
            }
        }
    }

    fn signal(&self, signal: Signal) -> std::io::Result<()> {
        let process = i32::try_from(self.process.load(Ordering::SeqCst)).ok();
        let process = process.and_then(Pid::from_raw);
        let process = process.expect("somebody is aimed at");
        match kill_process(process, signal) {
            // It may have been killed already.
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Answer {
    fn set(&mut self, name: &str, value: Value) {
        let mut body: Value = serde_json::from_slice(&self.body).expect("lists are JSON");
        body[name] = value;
        self.body = body.to_string().into_bytes();
    }
}

impl Ledger {
    /// Writes that had an effect and in whose body a field has this value.
    pub fn effects(&self, field: &str, value: &str) -> usize {
        let hit = |write: &&Write| write.effect && write.body[field] == value;
        self.writes.iter().filter(hit).count()
    }

    /// Keys under which more than one creation had an effect; there must be none.
    pub fn keys_used_twice(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let effects = self.writes.iter().filter(|write| write.effect);
        let keys = effects.filter_map(|write| write.key.as_deref());
        keys.filter(|key| !seen.insert(*key)).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
