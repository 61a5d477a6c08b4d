//! The sync log: what a run did, while it runs and after a kill, and records that fail.

use std::{collections::BTreeSet, time::Duration};

use fake_omni::{KEY, Omni, remote_id};
use jackfield::{demo::Collection, model::ObjectKind};
use jackfield_tests::{
    Api, Backend, DemoProvider, Server,
    api::{http, text},
    until, until_within,
};
use serde_json::{Value, json};

on_both_databases!(
    the_log_is_what_was_committed_after_kills_and_tells_of_it_meanwhile,
    a_failing_record_stops_nothing_and_is_tried_again_alone,
    a_dead_login_is_told_with_a_sentence_for_the_customer,
    pushes_are_in_the_log_too,
);

const PEOPLE: usize = 4000;

/// The run of an object that was begun last.
async fn last_run(api: &Api, object: &str, direction: &str) -> Option<Value> {
    let path = format!("/sync-runs?object={object}&direction={direction}&limit=1");
    let mut page = api.get(&path).await.json(200);
    let runs = page["data"].as_array_mut()?;
    (!runs.is_empty()).then(|| runs.remove(0))
}

/// The events of a stream, until it ends: name and data.
async fn watched(api: &Api, base: &str, run: &str) -> Vec<(String, Value)> {
    let url = format!("{base}/sync-runs/{run}/progress");
    let request = http().get(url).header("x-api-key", api.key());
    let answer = request.send().await.expect("the server answers");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let body = answer.text().await.expect("the stream ends in order");
    let event = |block: &str| {
        let (name, data) = block.strip_prefix("event: ")?.split_once("\ndata: ")?;
        Some((name.to_owned(), serde_json::from_str(data).ok()?))
    };
    body.split("\n\n").filter_map(event).collect()
}

async fn the_log_is_what_was_committed_after_kills_and_tells_of_it_meanwhile(backend: Backend) {
    let provider = DemoProvider::start(PEOPLE).await;
    let builder = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    let builder = builder
        .set("JACKFIELD_SYNC__WORKERS", "1")
        .set("JACKFIELD_SYNC__PAGE_SIZE", "25");
    let mut server = builder
        .set("JACKFIELD_SYNC__LEASE_SECONDS", "2")
        .start()
        .await;
    let mut project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;

    let amid = async |api: &Api, share: usize| {
        let read = until_within(Duration::from_secs(120), "a part is read", async || {
            let run = last_run(api, "crm.contact", "inbound").await?;
            let read = run["counts"]["read"].as_u64()? as usize;
            (read >= share).then_some(run)
        });
        read.await
    };
    let first = amid(&project, PEOPLE / 8).await;
    server.kill();
    server.start_again().await;
    project = server.anyone().with_key(project.key());
    let stored = project.with_token(&connection.token);
    let run = text(&first["id"]);
    let same = amid(&project, PEOPLE / 2).await;
    assert_eq!(same["id"], run.as_str(), "the same run goes on");
    assert_eq!(
        same["estimate"],
        json!({ "records": PEOPLE, "source": "provider" })
    );

    let events = watched(&project, server.base_url(), &run).await;
    let (last, before) = events.split_last().expect("there are events");
    assert!(
        before.iter().all(|(name, _)| name == "progress"),
        "{events:?}"
    );
    let read: Vec<u64> = events
        .iter()
        .filter_map(|(_, run)| run["counts"]["read"].as_u64())
        .collect();
    assert!(read.is_sorted() && read.len() == events.len(), "{read:?}");
    assert_eq!(
        (last.0.as_str(), &last.1["status"]),
        ("end", &json!("completed"))
    );

    let path = format!("/sync-runs/{run}");
    let run = project.get(&path).await.json(200);
    let contacts = stored.all("/crm/contacts").await;
    assert_eq!(contacts.len(), PEOPLE);
    let counts = &run["counts"];
    assert_eq!(
        *counts,
        json!({
            "read": PEOPLE, "created": PEOPLE, "updated": 0, "unchanged": 0, "deleted": 0,
            "failed": 0, "conflicts": 0, "pushed": 0,
        }),
        "{run}"
    );
    let created = project.events("crm.contact.created").await;
    assert_eq!(created.len(), PEOPLE);
    assert_eq!(run["pages"], PEOPLE / 25);
    assert_eq!(run["attempts"], 2, "{run}");
    assert!(
        run["requests"].as_u64() >= Some((PEOPLE / 25) as u64),
        "{run}"
    );
    assert!(run["bytes"].as_u64() > Some(100_000), "{run}");
    assert!(run["duration_ms"].as_i64() > Some(0), "{run}");
    assert_eq!(
        (&run["trigger"], &run["full"]),
        (&json!("initial"), &json!(true))
    );
    assert_eq!(run["connector_digest"].as_str().map(str::len), Some(64));

    stored.synced("crm").await;
    let syncs = project.get("/syncs?object=crm.contact").await.json(200);
    assert_eq!(syncs["data"][0]["last_run"]["id"], run["id"]);
    let states = stored.sync_states("crm").await;
    let contacts = states.iter().find(|one| one["object"] == "crm.contact");
    assert_eq!(contacts.map(|one| &one["last_run"]["id"]), Some(&run["id"]));
    let objects: BTreeSet<String> = project
        .all("/sync-runs?status=completed&trigger=initial")
        .await
        .iter()
        .map(|run| text(&run["object"]))
        .collect();
    assert_eq!(objects.len(), states.len(), "each object had its run");
    let refused = project.get("/sync-runs?status=done").await;
    assert_eq!(refused.status, 400, "{}", refused.text);
}

async fn a_failing_record_stops_nothing_and_is_tried_again_alone(backend: Backend) {
    let provider = Omni::start(3).await;
    let company = ObjectKind::parse("crm.company").expect("it is an object");
    provider.set(company, 2, "name", json!(["no", "name"]));
    let server = Server::on(backend)
        .await
        .endpoint("omni", "api", &provider.base_url)
        .with("omni")
        .start()
        .await;
    let project = server.project("App");
    project.active("omni").await;
    let connection = project
        .connect("omni", "key", json!({ "api_key": KEY }))
        .await;
    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    assert_eq!(
        api.all("/crm/companies").await.len(),
        2,
        "the others are here"
    );

    let run = last_run(&api, "crm.company", "inbound")
        .await
        .expect("it ran");
    assert_eq!(run["status"], "completed");
    assert_eq!(
        (&run["counts"]["read"], &run["counts"]["failed"]),
        (&json!(3), &json!(1))
    );
    let of_run = format!("/sync-runs/{}/failures", text(&run["id"]));
    let page = project.get(&of_run).await.json(200);
    assert_eq!(page, project.get("/sync-failures").await.json(200));
    let failure = page["data"][0].clone();
    assert_eq!(failure["remote_id"], remote_id(company, 2).as_str());
    assert_eq!(
        failure["remote_data"]["data"]["name"],
        json!(["no", "name"])
    );
    assert!(text(&failure["reason"]).contains("name"), "{failure}");

    let retry = format!("/sync-failures/{}/retry", text(&failure["id"]));
    for body in [json!({}), json!({ "stored": true })] {
        let still = project.post(&retry, &body).await.json(200);
        assert_eq!(still["outcome"], "failed", "{still}");
        assert!(text(&still["reason"]).contains("name"), "{still}");
    }
    let page = project
        .get("/sync-failures?object=crm.company")
        .await
        .json(200);
    assert_eq!(page["data"][0]["count"], 3);
    provider.set(company, 2, "name", json!("Magrathea"));
    // What is kept is not what the provider has by now.
    let kept = project.post(&retry, &json!({ "stored": true })).await;
    assert_eq!(kept.json(200)["outcome"], "failed");
    let done = project.post(&retry, &json!({})).await.json(200);
    assert_eq!(done["outcome"], "stored", "{done}");
    let path = format!("/crm/companies/{}", text(&done["record_id"]));
    assert_eq!(api.get(&path).await.json(200)["name"], "Magrathea");
    let left = project.get("/sync-failures").await.json(200);
    assert_eq!(left["data"], json!([]));
    let gone = project.post(&retry, &json!({})).await;
    assert_eq!(gone.json(404)["code"], "sync_failure_not_found");
}

async fn a_dead_login_is_told_with_a_sentence_for_the_customer(backend: Backend) {
    let provider = Omni::start(1).await;
    let builder = Server::on(backend).await;
    let builder = builder.endpoint("omni", "api", &provider.base_url);
    let server = builder.with("omni").start().await;
    let project = server.project("App");
    project.active("omni").await;
    let connection = project
        .connect("omni", "key", json!({ "api_key": KEY }))
        .await;
    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    provider.revoke();
    api.post("/sync/resync", &json!({})).await.expect(201);
    let run = until("a run fails for good", async || {
        let page = api.get("/sync-runs?status=failed").await.json(200);
        page["data"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(run["error"]["class"], "auth", "{run}");
    assert!(text(&run["error"]["advice"]).contains("connect"), "{run}");
    assert_eq!(run["errors"], json!({ "auth": 1 }));
    for kind in ["connection.needs_reconnect", "sync.failed"] {
        let events = project.events(kind).await;
        let data = &events.first().expect("it is announced")["data"];
        let sentence = text(&data["customer_message"]);
        assert!(sentence.contains("our account"), "{kind}: {data}");
    }
}

async fn pushes_are_in_the_log_too(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let builder = provider.known_to(Server::on(backend).await);
    let server = builder.with("demo-crm").start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    let sync = format!("/connections/{}/syncs/crm.contact", connection.id);
    let both_ways = json!({ "direction": "bidirectional" });
    api.patch(&sync, &both_ways).await.json(200);
    for contact in api.all("/crm/contacts").await {
        let path = format!("/crm/contacts/{}", text(&contact["id"]));
        let edit = json!({ "first_name": "Slartibartfast" });
        api.patch(&path, &edit).await.json(200);
    }
    let run = until_within(Duration::from_secs(60), "the run ends", async || {
        let run = last_run(&api, "crm.contact", "outbound").await?;
        (run["status"] == "completed").then_some(run)
    })
    .await;
    assert_eq!(
        (&run["trigger"], &run["full"]),
        (&json!("change"), &json!(null))
    );
    let pushed: u64 = project
        .all("/sync-runs?direction=outbound")
        .await
        .iter()
        .filter_map(|run| run["counts"]["pushed"].as_u64())
        .sum();
    assert_eq!(pushed, 3);
    let changes = format!("/changes?run_id={}", text(&run["id"]));
    let of_run = api.get(&changes).await.json(200);
    let number = of_run["data"].as_array().map(Vec::len).unwrap_or_default();
    assert_eq!(run["counts"]["updated"], number, "{run}");
    assert!(run["requests"].as_u64() >= Some(number as u64), "{run}");
    for contact in api.all("/crm/contacts").await {
        let remote = text(&contact["remote_id"]).parse().expect("it is a number");
        let person = provider.demo.record(Collection::People, remote);
        assert_eq!(person.expect("it is there")["given_name"], "Slartibartfast");
    }
}
