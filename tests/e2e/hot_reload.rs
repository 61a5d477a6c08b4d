//! A connector is replaced while it is in use.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jackfield_tests::{Api, Backend, DemoProvider, Server, connectors, until, variable};
use reqwest::Method;
use serde_json::json;
use tokio::{task::JoinSet, time::MissedTickBehavior};

on_both_databases!(a_hundred_swaps_under_load_fail_nobody);

/// How many swaps, where `JACKFIELD_TEST_SWAPS` says nothing else.
const SWAPS: usize = 100;
/// Swaps after which memory has taken what it takes.
const WARM: usize = 40;
/// What memory may grow by afterwards, whatever the number of swaps: less than one compiled
/// connector for each of a hundred.
const GROWTH_KIB: u64 = 48 * 1024;
const REQUESTS_PER_SECOND: u32 = 200;

async fn a_hundred_swaps_under_load_fail_nobody(backend: Backend) {
    let provider = DemoProvider::start(100).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .start()
        .await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    let family_names = names(&api, "last_name").await;

    let first = fs::read(connectors::built("demo-crm")).expect("it is built");
    let second = tokio::task::spawn_blocking(connectors::second_demo)
        .await
        .expect("it can be built");
    let second = fs::read(second).expect("it is built");
    let versions = [("0.2.0", &second), ("0.1.0", &first)];

    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let load = tokio::spawn(list_steadily(
        api.clone(),
        Arc::clone(&stop),
        Arc::clone(&answered),
    ));
    let started = Instant::now();
    let swaps = variable("JACKFIELD_TEST_SWAPS").map_or(SWAPS, |text| {
        text.parse().expect("JACKFIELD_TEST_SWAPS is a number")
    });
    let mut warm = None;
    for swap in 0..=swaps {
        if swap == WARM {
            warm = Some(server.resident_kib());
        }
        let (version, bytes) = versions[swap % 2];
        server.drop_in("demo-crm.wasm", bytes);
        until(&format!("swap {swap} to {version}"), async || {
            let status = project.get("/connectors/demo-crm").await.json(200);
            assert!(status["last_error"].is_null(), "{status}");
            (status["version"] == version).then_some(())
        })
        .await;
    }
    let took = started.elapsed();
    if let Some(warm) = warm {
        let now = server.resident_kib();
        assert!(
            now < warm + GROWTH_KIB,
            "{warm} KiB after {WARM} swaps, {now} KiB after {swaps}"
        );
    }
    stop.store(true, Ordering::Relaxed);
    let failures = load.await.expect("the load ends");
    let answered = answered.load(Ordering::Relaxed);
    assert!(
        failures.is_empty(),
        "{} of {answered} failed: {:?}",
        failures.len(),
        failures.first()
    );
    let asked = took.as_secs_f64() * f64::from(REQUESTS_PER_SECOND);
    assert!(
        answered as f64 >= asked * 0.9,
        "{answered} answers in {took:?}"
    );

    // The last version has to be 0.2.0: what is stored shows its mapping.
    assert_eq!(swaps % 2, 0, "JACKFIELD_TEST_SWAPS must be even");
    until("the new mapping shows", async || {
        (names(&api, "first_name").await == family_names).then_some(())
    })
    .await;
    let contact = json!({ "first_name": "Ada", "last_name": "King" });
    let created = api.post("/crm/contacts", &contact).await.json(201);
    assert_eq!(created["first_name"], "King", "{created}");
}

/// A field of all contacts, in the order of their remote ids.
async fn names(api: &Api, field: &str) -> Vec<String> {
    let mut contacts = api.all("/crm/contacts").await;
    contacts.sort_by_key(|contact| contact["remote_id"].to_string());
    contacts
        .iter()
        .map(|contact| contact[field].to_string())
        .collect()
}

/// Sends lists at a steady rate until it is told to stop; gives what went wrong.
async fn list_steadily(api: Api, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Vec<String> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / REQUESTS_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let (api, answered) = (api.clone(), Arc::clone(&answered));
        requests.spawn(async move {
            let answer = api.try_send(Method::GET, "/crm/contacts", None).await;
            answered.fetch_add(1, Ordering::Relaxed);
            match answer {
                Ok(answer) if answer.status == 200 => None,
                Ok(answer) => Some(format!("{} {}", answer.status, answer.text)),
                Err(error) => Some(format!("{error:?}")),
            }
        });
        while let Some(done) = requests.try_join_next() {
            failures.extend(done.expect("a request does not panic"));
        }
    }
    while let Some(done) = requests.join_next().await {
        failures.extend(done.expect("a request does not panic"));
    }
    failures
}
