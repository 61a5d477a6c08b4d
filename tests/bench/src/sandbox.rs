//! Hostile connectors: how long after its limit each is stopped, and what a healthy connector's
//! calls notice of it.

use std::{
    collections::BTreeMap,
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
    runtime::{CallContext, Compiler, ConnectorVersion, Options, Runtime},
};

use crate::{
    Arguments, Result,
    guest::good,
    hostile::{self, Hostile},
    measure::{say, say_load},
    plugins::{egress, slug},
};

/// What a call may compute.
const LIMIT: Duration = Duration::from_millis(500);
/// The most that it may go on after that.
const OVERRUN: Duration = Duration::from_millis(100);
/// How much longer the slowest calls of others may take.
const RATIO: f64 = 1.2;
/// How long the healthy connector is called, each time: shorter than what else slows a machine
/// down, so that both sides have the same share of it.
const TURN: Duration = Duration::from_millis(200);
/// Between two of its calls.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) fn sandbox(runtime: &tokio::runtime::Runtime, arguments: &Arguments) -> Result<()> {
    let rounds = arguments.rounds.unwrap_or(25);
    say(
        "hostile connector, stopped after its limit of computing (or in all), p99 of others with and without it",
    );
    let mut worst: (f64, f64) = (0.0, 0.0);
    for hostile in hostile::all() {
        let (late, ratio) = runtime.block_on(one(&hostile, rounds))?;
        worst = (worst.0.max(late), worst.1.max(ratio));
    }
    let word = |met: bool| if met { "met" } else { "MISSED" };
    let most = OVERRUN.as_secs_f64() * 1000.0;
    say(format_args!(
        "latest stop: {:.0} ms after the limit, target ≤ {most}: {}",
        worst.0,
        word(worst.0 <= most)
    ));
    say(format_args!(
        "p99 of others: {:.2} of what it is alone, target ≤ {RATIO}: {}",
        worst.1,
        word(worst.1 <= RATIO)
    ));
    say_load();
    Ok(())
}

async fn one(hostile: &Hostile, rounds: usize) -> Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    let cache = tempfile::tempdir()?;
    std::fs::write(folder.path().join("bad.wasm"), hostile.guest.bytes())?;
    std::fs::write(folder.path().join("good.wasm"), healthy().bytes())?;
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
        endpoints: BTreeMap::new(),
    };
    let runtime = Runtime::new(options, egress()?, Arc::new(SystemClock))?;
    runtime.scan().await;
    let bad = runtime.active(&slug("bad")?).ok_or("bad is refused")?;
    let good = runtime.active(&slug("good")?).ok_or("good is refused")?;

    let mut stops = Vec::new();
    // The slowest of a few hundred calls are chance; those of all turns together are not.
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let mut code = "";
    for _ in 0..rounds {
        let began = Instant::now();
        if let Err(error) = hostile.operation.call(&bad, context()).await {
            code = error.code();
        }
        stops.push(began.elapsed());
        alone.extend(times(&good).await?);
        let stop = Arc::new(AtomicBool::new(false));
        let neighbour = tokio::spawn(misbehave(
            hostile.operation,
            Arc::clone(&bad),
            Arc::clone(&stop),
        ));
        beside.extend(times(&good).await?);
        stop.store(true, Ordering::Relaxed);
        neighbour.await?;
    }
    if code != hostile.code {
        return Err(format!("{}: {code} instead of {}", hostile.name, hostile.code).into());
    }
    let slowest = stops.into_iter().max().unwrap_or_default();
    // Who is not stopped for computing may not compute longer either.
    let late = slowest.saturating_sub(LIMIT).as_secs_f64() * 1000.0;
    let (beside, alone) = (p99(beside)?, p99(alone)?);
    let ratio = beside / alone;
    say(format_args!(
        "  {:38} {:28} {:6.1} ms in all, {late:5.1} ms late, others {:5.2} ms / {:5.2} ms = {ratio:.2}",
        hostile.name,
        hostile.code,
        slowest.as_secs_f64() * 1000.0,
        beside * 1000.0,
        alone * 1000.0
    ));
    Ok((late, ratio))
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

/// Of the healthy connector's calls, a steady number a second: seconds.
async fn times(good: &Arc<ConnectorVersion>) -> Result<Vec<f64>> {
    let kind = ObjectKind::parse("crm.contact").ok_or("no such object")?;
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
