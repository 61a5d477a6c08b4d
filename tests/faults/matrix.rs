//! A provider that misbehaves in every way: each ends in an error that says so, the sync goes on by
//! itself afterwards, the memory stays small, and the syncs of others go on meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jackfield::demo::{CLIENT_ID, CLIENT_SECRET};
use jackfield_tests::{
    Api, Backend, Connection,
    api::text,
    faulty::{Fault, FaultyProvider},
    until_within,
};
use serde_json::{Value, json};

use crate::{on_both_databases, stand};

on_both_databases!(whatever_a_provider_does_ends_in_an_error_and_passes);

const PEOPLE: usize = 60;
/// More memory than before, MiB: the largest answer that is read, and what its parts need.
const MOST_MEMORY: u64 = 160;
/// What others may wait for a sync that takes part of a second otherwise.
const LONGEST_WAIT: Duration = Duration::from_secs(6);

/// What goes wrong, and the classes of error that say so.
const CASES: [(Fault, &[&str]); 12] = [
    (Fault::Limited(Some(1)), &["rate_limited"]),
    (Fault::Limited(None), &["rate_limited"]),
    (Fault::Broken, &["provider"]),
    (Fault::Hang, &["timeout", "network"]),
    (Fault::Reset, &["network"]),
    (Fault::HalfBody, &["network", "provider"]),
    (Fault::Html, &["provider", "contract", "connector"]),
    (Fault::CutJson, &["provider", "contract", "connector"]),
    (Fault::GzipBomb, &["provider", "contract", "connector"]),
    (Fault::Drip, &["timeout", "network"]),
    (Fault::SameCursor, &["contract", "connector"]),
    (Fault::Endless, &["contract", "connector"]),
];

async fn whatever_a_provider_does_ends_in_an_error_and_passes(backend: Backend) {
    let provider = FaultyProvider::start(PEOPLE).await;
    let server = stand::builder(backend, &provider)
        .await
        .set("JACKFIELD_SYNC__WORKERS", "16")
        .set("JACKFIELD_SYNC__PAGE_SIZE", "25")
        .set("JACKFIELD_SYNC__MAX_PAGES", "20")
        .set("JACKFIELD_SYNC__INTERVAL_SECONDS", "5")
        .set("JACKFIELD_EGRESS__MAX_RESPONSE_MIB", "8");
    let server = server.start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let healthy = connect(&project, "healthy").await;
    let healthy_api = project.with_token(&healthy.token);
    healthy_api.synced("crm").await;
    let path = format!("/connections/{}/syncs/crm.contact", healthy.id);
    let patch = json!({ "schedule": { "type": "interval", "seconds": 1 } });
    project.patch(&path, &patch).await.json(200);
    let before = server.resident_kib();

    let stop = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(longest_wait(healthy_api, Arc::clone(&stop)));
    let mut connections = Vec::new();
    let mut peak = before;
    for (fault, classes) in CASES {
        // From the second page on, so that there is something to go on from; for every token that
        // is given out until the next one, which are this connection's.
        provider.rule_for_tokens("GET /v1/people?", 1, u32::MAX, fault);
        let connection = connect(&project, &format!("{fault:?}")).await;
        let what = format!("{fault:?} is an error");
        let path = format!(
            "/sync-runs?connection_id={}&object=crm.contact&limit=1",
            connection.id
        );
        let error = until_within(Duration::from_secs(60), &what, async || {
            let runs = project.get(&path).await.json(200);
            let error = runs["data"][0]["error"].clone();
            (!error.is_null()).then_some(error)
        });
        let error = error.await;
        println!("| {fault:?} | {backend:?} | {error} |");
        let class = text(&error["class"]);
        assert!(classes.contains(&class.as_str()), "{fault:?}: {error}");
        peak = peak.max(server.resident_kib());
        connections.push(connection);
    }
    provider.behave();
    for (connection, (fault, _)) in connections.iter().zip(CASES) {
        let api = project.with_token(&connection.token);
        let what = format!("{fault:?} passes");
        until_within(Duration::from_secs(150), &what, async || {
            let states = api.sync_states("crm").await;
            let done = |state: &Value| state["complete"] == true && state["status"] == "completed";
            (states.len() == 7 && states.iter().all(done)).then_some(())
        })
        .await;
        assert_eq!(api.all("/crm/contacts").await.len(), PEOPLE, "{fault:?}");
        peak = peak.max(server.resident_kib());
    }
    stop.store(true, Ordering::SeqCst);
    let waited = watching.await.expect("the watcher does not panic");
    let grown = (peak - before) / 1024;
    println!(
        "| misbehaving provider | {backend:?} | {} ways | memory + {grown} MiB | others waited at most {} ms |",
        CASES.len(),
        waited.as_millis()
    );
    assert!(grown < MOST_MEMORY, "{grown} MiB more");
    assert!(waited < LONGEST_WAIT, "others waited {waited:?}");
}

async fn connect(project: &Api, customer: &str) -> Connection {
    let user = project.linked_user(customer).await;
    let fields = json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET });
    let body = json!({
        "connector": "demo-crm", "scheme": "client", "linked_user_id": user, "fields": fields,
    });
    project.post("/connections", &body).await.connection()
}

/// The longest time between two ends of the contacts' sync of somebody to whom nothing happens.
async fn longest_wait(api: Api, stop: Arc<AtomicBool>) -> Duration {
    let mut longest = Duration::ZERO;
    let (mut last, mut at) = (String::new(), Instant::now());
    while !stop.load(Ordering::SeqCst) {
        let states = api.sync_states("crm").await;
        let contacts = states.iter().find(|state| state["object"] == "crm.contact");
        let finished = contacts.map(|state| text(&state["last_finished_at"]));
        if finished.as_ref() != Some(&last) {
            last = finished.unwrap_or_default();
            longest = longest.max(at.elapsed());
            at = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    longest.max(at.elapsed())
}
