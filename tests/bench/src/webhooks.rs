//! Events delivered to a receiver on the same machine: deliveries a second, from the moment that
//! the workers start until the receiver has every event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, routing::post};
use jackfield::{
    jobs::{DeliveryOptions, DeliveryWorkers},
    model::{SystemClock, SystemEntropy},
    webhook::{Options, Schedule, Webhooks},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    Arguments, Result,
    database::Database,
    measure::{median, say, say_load, say_verdict},
    people,
    plugins::{self, Plugins},
};

const ROUNDS: usize = 3;
/// Deliveries a second that the design asks of PostgreSQL on two processors.
const TARGET: f64 = 2000.0;
const MONTH: Duration = Duration::from_hours(30 * 24);

pub(crate) fn webhooks(runtime: &Runtime, arguments: &Arguments) -> Result<()> {
    say_load();
    say("webhooks: events of records, signed and delivered to a local receiver, deliveries/s");
    say("database    events  endpoints | best     median");
    let plugins = runtime.block_on(Plugins::load(arguments, None))?;
    let mut databases = vec![None];
    match &arguments.postgres {
        Some(url) => databases.push(Some(url.as_str())),
        None => say("(no PostgreSQL: neither --postgres nor JACKFIELD_TEST_POSTGRES_URL)"),
    }
    for server in databases {
        for size in arguments.sizes(&[10_000]) {
            for endpoints in [1, 10] {
                let rounds = arguments.rounds.unwrap_or(ROUNDS);
                let seconds: Result<Vec<f64>> = (0..rounds)
                    .map(|_| runtime.block_on(round(&plugins, server, size, endpoints)))
                    .collect();
                let rates: Vec<f64> = seconds?
                    .iter()
                    .map(|seconds| (size * endpoints) as f64 / seconds)
                    .collect();
                let best = rates.iter().copied().fold(0.0, f64::max);
                let name = server.map_or("SQLite", |_| "PostgreSQL");
                say(format_args!(
                    "{name:<10} {size:>7}  {endpoints:>9} | {best:>8.0} {:>8.0}",
                    median(&rates)
                ));
                if server.is_some() {
                    let what = format!("{name}, {endpoints} endpoints, deliveries/s");
                    say_verdict(&what, best, TARGET, true);
                }
            }
        }
    }
    say_load();
    Ok(())
}

/// The webhooks of a database.
pub(crate) fn of(database: &Database) -> Result<Webhooks> {
    let options = Options {
        owner: "bench".to_owned(),
        schedule: Schedule::new(vec![Duration::ZERO, Duration::from_secs(5)]),
        deadline: Duration::from_secs(15),
        lease: Duration::from_secs(60),
        disable_after: MONTH,
    };
    Ok(Webhooks::new(
        database.store.clone(),
        plugins::egress()?,
        database.vault.clone(),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        options,
    ))
}

/// Seconds for all events to all endpoints.
async fn round(
    plugins: &Plugins,
    server: Option<&str>,
    size: usize,
    endpoints: usize,
) -> Result<f64> {
    let connector = plugins.connector("demo-crm")?;
    let database = match server {
        None => Database::sqlite(connector.manifest()).await?,
        Some(server) => Database::postgres(server, connector.manifest()).await?,
    };
    let received = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&received);
    let count = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::ready(())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let receiver =
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/", post(count))).await },
        );
    let webhooks = of(&database)?;
    let project = database.scope.project();
    for _ in 0..endpoints {
        let scopes = vec!["crm.contact.*".parse()?];
        let url = format!("http://{address}/");
        webhooks
            .create(project, &url, String::new(), scopes)
            .await?;
    }
    database.fill(&people::demo(size)?).await?;
    let options = DeliveryOptions {
        concurrency: 512,
        endpoint_concurrency: 64,
    };
    let clock = Arc::new(SystemClock);
    let workers = DeliveryWorkers::new(database.store.clone(), webhooks, clock, options);
    let stop = CancellationToken::new();
    let start = Instant::now();
    let working = tokio::spawn(workers.run(stop.clone()));
    while received.load(Ordering::Relaxed) < size * endpoints {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    stop.cancel();
    working.await?;
    receiver.abort();
    database.remove().await?;
    Ok(seconds)
}
