//! Hostile connectors: how long after its limit each is stopped, and what a healthy connector's
//! calls notice of it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jackfield::{
    egress::{
        Authorization, AuthorizeError, Authorizer, BoxFuture, Downstream, Priority, Unlimited,
    },
    model::{Environment, ObjectKind, SystemClock, Usage},
    runtime::{CallContext, Compiler, ConnectorVersion, FetchRequest, Options, Runtime},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    Arguments, Result,
    guest::good,
    hostile::{self, Hostile},
    measure::{say, say_load},
    people,
    plugins::{demo_crm, egress, slug},
    provider::{self, Pages},
};

/// What a call may compute.
const LIMIT: Duration = Duration::from_millis(500);
/// The most that it may go on after that.
const OVERRUN: Duration = Duration::from_millis(100);
/// How much longer the slowest pages of others may take.
const RATIO: f64 = 1.2;
/// How long the healthy connector is called, each time: shorter than what else slows a machine
/// down, so that both sides have the same share of it.
const TURN: Duration = Duration::from_millis(200);
/// Between two of its calls.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the healthy connector's provider takes for a page: a fast one.
const ANSWER: Duration = Duration::from_millis(20);
/// Records of a page.
const PAGE: usize = 50;
/// Connections that read pages at the same time.
const CONNECTIONS: usize = 4;

pub(crate) fn sandbox(runtime: &tokio::runtime::Runtime, arguments: &Arguments) -> Result<()> {
    let rounds = arguments.rounds.unwrap_or(25);
    let crm = demo_crm(arguments)?;
    let pages = Pages::new(&people::demo(PAGE)?, PAGE, ANSWER)?;
    let provider = runtime.block_on(provider::serve(pages))?;
    say(format_args!(
        "hostile connector, stopped after its limit of computing (or in all); p99 of a healthy connector with / without it: mapping alone, and a page of {PAGE} records of a provider that takes {} ms",
        ANSWER.as_millis()
    ));
    let mut worst = Noticed::default();
    for hostile in hostile::all() {
        let setting = Setting::new(&hostile, &crm, provider)?;
        let noticed = runtime.block_on(one(&hostile, &setting, rounds))?;
        worst = Noticed {
            late: worst.late.max(noticed.late),
            mapping: worst.mapping.max(noticed.mapping),
            page: worst.page.max(noticed.page),
        };
    }
    let word = |met: bool| if met { "met" } else { "MISSED" };
    say(format_args!(
        "latest stop: {:.0} ms after the limit, target ≤ {}: {}",
        ms(worst.late),
        OVERRUN.as_millis(),
        word(worst.late <= OVERRUN.as_secs_f64())
    ));
    say(format_args!(
        "p99 of a healthy connection's pages: {:.2} of what it is alone, target ≤ {RATIO}: {}",
        worst.page,
        word(worst.page <= RATIO)
    ));
    say(format_args!(
        "p99 of mapping alone: {:.2} ms more than alone, at worst",
        ms(worst.mapping)
    ));
    say_load();
    Ok(())
}

/// What others notice of a hostile connector: seconds, and a ratio for pages.
#[derive(Default)]
struct Noticed {
    late: f64,
    mapping: f64,
    page: f64,
}

/// A runtime with the hostile connector and healthy ones.
struct Setting {
    runtime: Runtime,
    _folders: [TempDir; 2],
}

impl Setting {
    fn new(hostile: &Hostile, crm: &[u8], provider: SocketAddr) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let cache = tempfile::tempdir()?;
        std::fs::write(folder.path().join("bad.wasm"), hostile.guest.bytes())?;
        std::fs::write(folder.path().join("good.wasm"), healthy().bytes())?;
        std::fs::write(folder.path().join("demo-crm.wasm"), crm)?;
        let api = BTreeMap::from([("api".to_owned(), format!("http://{provider}"))]);
        let options = Options {
            folders: vec![folder.path().to_owned()],
            cache_dir: cache.path().join("connectors"),
            compiler: Compiler::InProcess,
            poll: Duration::from_secs(3600),
            max_memory_mib: 256,
            call_timeout: Duration::from_secs(120),
            cpu_timeout: LIMIT,
            max_output: 16 * 1024 * 1024,
            exchange_timeout: Duration::from_secs(60),
            max_response: 32 * 1024 * 1024,
            max_transfer: 256 * 1024 * 1024,
            max_instances: 64,
            endpoints: BTreeMap::from([(slug("demo-crm")?, api)]),
        };
        let runtime = Runtime::new(options, egress()?, Arc::new(SystemClock))?;
        Ok(Self {
            runtime,
            _folders: [folder, cache],
        })
    }

    fn connector(&self, name: &str) -> Result<Arc<ConnectorVersion>> {
        let active = self.runtime.active(&slug(name)?);
        active.ok_or_else(|| format!("{name} is refused").into())
    }
}

/// How long the healthy connectors' calls took, seconds.
#[derive(Default)]
struct Times {
    mapping: Vec<f64>,
    pages: Vec<f64>,
}

impl Times {
    async fn add(
        &mut self,
        good: &Arc<ConnectorVersion>,
        crm: &Arc<ConnectorVersion>,
    ) -> Result<()> {
        self.mapping.extend(mapping(good).await?);
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            connections.spawn(pages(Arc::clone(crm)));
        }
        while let Some(times) = connections.join_next().await {
            self.pages.extend(times??);
        }
        Ok(())
    }
}

async fn one(hostile: &Hostile, setting: &Setting, rounds: usize) -> Result<Noticed> {
    setting.runtime.scan().await;
    let bad = setting.connector("bad")?;
    let (good, crm) = (setting.connector("good")?, setting.connector("demo-crm")?);
    let mut stops = Vec::new();
    // The slowest of a few hundred calls are chance; those of all turns together are not.
    let (mut alone, mut beside) = (Times::default(), Times::default());
    let mut code = "";
    for _ in 0..rounds {
        let began = Instant::now();
        if let Err(error) = hostile.operation.call(&bad, context()).await {
            code = error.code();
        }
        stops.push(began.elapsed());
        alone.add(&good, &crm).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let neighbour = tokio::spawn(misbehave(
            hostile.operation,
            Arc::clone(&bad),
            Arc::clone(&stop),
        ));
        beside.add(&good, &crm).await?;
        stop.store(true, Ordering::Relaxed);
        neighbour.await?;
    }
    if code != hostile.code {
        return Err(format!("{}: {code} instead of {}", hostile.name, hostile.code).into());
    }
    let slowest = stops.into_iter().max().unwrap_or_default();
    // Who is not stopped for computing may not compute longer either.
    let late = slowest.saturating_sub(LIMIT).as_secs_f64();
    let mapping = [p99(beside.mapping)?, p99(alone.mapping)?];
    let pages = [p99(beside.pages)?, p99(alone.pages)?];
    let ratio = pages[0] / pages[1];
    say(format_args!(
        "  {:38} {:27} {:6.1} ms in all, {:4.1} ms late; mapping {:5.2} / {:4.2} ms; page {:5.1} / {:4.1} ms = {ratio:.2}",
        hostile.name,
        hostile.code,
        ms(slowest.as_secs_f64()),
        ms(late),
        ms(mapping[0]),
        ms(mapping[1]),
        ms(pages[0]),
        ms(pages[1]),
    ));
    Ok(Noticed {
        late,
        mapping: mapping[0] - mapping[1],
        page: ratio,
    })
}

fn ms(seconds: f64) -> f64 {
    seconds * 1000.0
}

/// Does some work, as a mapping of a page does.
fn healthy() -> crate::guest::Guest {
    crate::guest::Guest {
        unify: "(local $left i32)
            (local.set $left (i32.const 200000))
            (loop $again
              (local.set $left (i32.sub (local.get $left) (i32.const 1)))
              (br_if $again (local.get $left)))
            (i32.const 1024)",
        ..good("good", "[1]")
    }
}

async fn misbehave(
    operation: hostile::Operation,
    bad: Arc<ConnectorVersion>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Relaxed) {
        drop(operation.call(&bad, context()).await);
    }
}

/// One connection's pages, read and mapped one after the other: seconds.
async fn pages(crm: Arc<ConnectorVersion>) -> Result<Vec<f64>> {
    let kind = contact()?;
    let end = Instant::now() + TURN;
    let mut times = Vec::new();
    while Instant::now() < end {
        let request = FetchRequest {
            object: kind.name().to_owned(),
            cursor: None,
            since: None,
            remote_id: None,
            limit: PAGE as u32,
        };
        let began = Instant::now();
        let page = crm.fetch_records(context(), request).await?;
        let mut records: Vec<serde_json::Map<String, Value>> = serde_json::from_str(&page.records)?;
        let documents = records
            .iter_mut()
            .filter_map(|record| record.remove("data"));
        let documents = Value::Array(documents.collect()).to_string();
        crm.unify(kind, documents, &[]).await?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(times)
}

fn contact() -> Result<ObjectKind> {
    Ok(ObjectKind::parse("crm.contact").ok_or("no such object")?)
}

/// Calls that only map, a steady number a second: seconds.
async fn mapping(good: &Arc<ConnectorVersion>) -> Result<Vec<f64>> {
    let kind = contact()?;
    let end = Instant::now() + TURN;
    let mut times = Vec::new();
    while Instant::now() < end {
        tokio::time::sleep(PAUSE).await;
        let (good, began) = (Arc::clone(good), Instant::now());
        tokio::spawn(async move { good.unify(kind, "[{}]".to_owned(), &[]).await }).await??;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(times)
}

fn p99(mut times: Vec<f64>) -> Result<f64> {
    times.sort_by(f64::total_cmp);
    let at = times.len() * 99 / 100;
    times.get(at).copied().ok_or_else(|| "no calls".into())
}

fn context() -> CallContext {
    CallContext {
        id: "00000000-0000-4000-8000-000000000001".to_owned(),
        environment: Environment::Production,
        account: None,
        settings: BTreeMap::new(),
        authorizer: Arc::new(Nobody),
        downstream: Downstream::default(),
        budget: Arc::new(Unlimited),
        priority: Priority::Interactive,
        usage: Usage::default(),
        reason: None,
    }
}

struct Nobody;

impl Authorizer for Nobody {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async { Ok(Arc::new(Authorization::new(0))) })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        self.current()
    }
}
