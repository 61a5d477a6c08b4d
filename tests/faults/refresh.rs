//! `kill -9` around the renewal of a token that can be used once.

use std::time::{Duration, Instant};

use jackfield_tests::{
    Api, Backend,
    api::text,
    demo::decide,
    faulty::{Fault, FaultyProvider, Moment},
    until, until_within,
};
use reqwest::Method;
use serde_json::json;

use crate::{
    on_both_databases,
    points::PROGRAM,
    stand::{self, Stand},
};

on_both_databases!(killed_around_a_refresh_it_works_or_asks_to_log_in);

/// A refresh token can be used once: whether the new one was stored decides what becomes of a
/// connection.
const CASES: [(&str, u16); 4] = [
    ("asked", 200),
    ("refresh.answered", 424),
    ("done", 424),
    ("refresh.stored", 200),
];
/// As long as a dead refresher keeps others away, and some time.
const PATIENCE: Duration = Duration::from_secs(60);

async fn killed_around_a_refresh_it_works_or_asks_to_log_in(backend: Backend) {
    let provider = FaultyProvider::start(10).await;
    let server = stand::builder(backend, &provider).await.program(PROGRAM);
    let server = server.set("JACKFIELD_SYNC__INTERVAL_SECONDS", "3600");
    let mut stand = Stand::around(backend, provider, server.start().await).await;
    let mut callers = Vec::new();
    for (name, _) in CASES {
        callers.push(login(&stand.api, name).await);
    }
    until("everything is read", async || {
        let page = stand.api.get("/syncs?limit=200").await.json(200);
        let syncs = page["data"].as_array()?;
        (syncs.len() == 35 && syncs.iter().all(|sync| sync["complete"] == true)).then_some(())
    })
    .await;
    // The provider takes no token any more that the server believes in.
    stand.provider.let_pass(3700);
    stand.server.signal("KILL");
    stand.killed("before").await;
    let rotated = stand.provider.ledger().tokens.len();
    for ((name, _), caller) in CASES.iter().zip(&callers) {
        let token = "POST /oauth/token";
        match *name {
            "asked" | "done" => {
                let moment = if *name == "done" {
                    Moment::Done
                } else {
                    Moment::Arrived
                };
                stand.provider.rule(&[token], 0, 1, Fault::Kill(moment));
                stand.start_anew().await;
            }
            point => stand.start_to_die_at(point, 1).await,
        }
        let caller = caller.at(stand.server.base_url());
        let live = caller.try_send(Method::GET, "/crm/contacts?live=true", None);
        assert!(live.await.is_err(), "{name}: an answer of a killed process");
        stand.killed(name).await;
        stand.provider.behave();
    }
    stand.start_anew().await;
    let begin = Instant::now();
    let base = stand.server.base_url().to_owned();
    for (caller, (name, expected)) in callers.iter().zip(CASES) {
        let caller = caller.at(&base);
        let answer = until_within(PATIENCE, "a caller knows how he stands", async || {
            let answer = caller.get("/crm/contacts?live=true").await;
            // A lease of the dead is waited for, with errors that say to try again.
            let waiting = [503, 504].contains(&answer.status);
            (!waiting).then_some(answer)
        });
        let body = answer.await.json(expected);
        let code = (expected == 424).then_some("needs_reconnect");
        assert_eq!(body["code"].as_str(), code, "{name}");
    }
    println!(
        "| killed around a refresh | {backend:?} | 4 kills | 0 loops | known after {} ms |",
        begin.elapsed().as_millis()
    );
    // Nobody asks the provider again and again: one refresh each, and one more try where the
    // new token was lost or was never asked for.
    let asked = stand.provider.ledger().tokens.len() - rotated;
    assert!(asked <= 7, "{asked} requests for tokens");
    let events = stand.api.at(stand.server.base_url());
    assert_eq!(events.events("connection.needs_reconnect").await.len(), 2);
}

/// A customer who logs in with the browser.
async fn login(project: &Api, customer: &str) -> Api {
    let body = json!({
        "connector": "demo-crm", "scheme": "oauth", "linked_user_origin_id": customer,
        "return_url": "https://app.example/connected",
    });
    let started = project.post("/connections/oauth/start", &body).await;
    let url = text(&started.json(201)["authorize_url"]);
    let before = project.get("/connections").await.json(200);
    decide(&url, "allow").await.expect(302);
    let after = project.get("/connections").await.json(200);
    let known = before.as_array().expect("connections are an array");
    let mut connections = after.as_array().expect("connections are an array").iter();
    let id = "id_connection";
    let new = connections.find(|one| known.iter().all(|old| old[id] != one[id]));
    let new = new.expect("a connection was made");
    project.with_token(&text(&new["connection_token"]))
}
