//! Events reach the applications that asked for them, signed, at least once.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use jackfield_tests::{
    Api, Backend, DemoProvider, Server,
    api::text,
    connectors,
    receiver::{Received, Receiver, Reply},
    until, variable,
};
use reqwest::Method;
use serde_json::{Value, json};

on_both_databases!(
    what_happens_is_delivered_and_signed,
    what_fails_is_tried_again_and_ends_as_a_dead_letter,
    a_receiver_says_when_and_whether,
    a_slow_receiver_blocks_nobody_else,
    a_secret_is_rotated_with_an_overlap,
    endpoints_are_managed_as_the_contract_says,
    nothing_is_lost_when_the_server_is_killed,
);

async fn server(backend: Backend, provider: &DemoProvider, schedule: &str) -> Server {
    let builder = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .set("JACKFIELD_WEBHOOKS__SCHEDULE_SECONDS", schedule)
        .set("JACKFIELD_WEBHOOKS__TIMEOUT_SECONDS", "2")
        .set("JACKFIELD_WEBHOOKS__LEASE_SECONDS", "4");
    builder.start().await
}

async fn endpoint(api: &Api, receiver: &Receiver, scope: &[&str]) -> Value {
    let body = json!({ "url": receiver.url(), "scope": scope, "description": "test" });
    api.post("/webhooks", &body).await.json(201)
}

fn id(endpoint: &Value) -> String {
    text(&endpoint["id_webhook_endpoint"])
}

async fn connected(project: &Api) -> Api {
    project.active("demo-crm").await;
    let key = json!({ "api_key": "demo-key" });
    let connection = project.connect("demo-crm", "key", key).await;
    project.with_token(&connection.token)
}

async fn state_of(api: &Api, endpoint: &str, state: &str) -> Vec<Value> {
    let path = format!("/webhooks/{endpoint}/deliveries?state={state}");
    let page = api.get(&path).await.json(200);
    page["data"].as_array().expect("a page has data").clone()
}

/// What the official verifiers of Python and JavaScript say of a delivery.
fn verified(secret: &str, received: &Received, body: &str, timestamp: &str) -> BTreeSet<String> {
    let told = json!({ "secret": secret, "body": body, "headers": {
        "webhook-id": received.header("webhook-id"),
        "webhook-timestamp": timestamp,
        "webhook-signature": received.header("webhook-signature"),
    }});
    let python = variable("JACKFIELD_TEST_PYTHON").map_or_else(
        || connectors::target().join("test-python/bin/python"),
        Into::into,
    );
    let script = |name: &str| connectors::repository().join("tests/e2e").join(name);
    let packages = connectors::target().join("test-node");
    let mut with_python = Command::new(python);
    with_python.arg(script("webhooks.py"));
    let mut with_node = Command::new("node");
    with_node.arg(script("webhooks.mjs")).arg(packages);
    [with_python, with_node]
        .into_iter()
        .map(|mut command| {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("tests/tools/install has installed it");
            let mut input = child.stdin.take().expect("it is piped");
            write!(input, "{told}").expect("it reads");
            drop(input);
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success());
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        })
        .collect()
}

async fn what_happens_is_delivered_and_signed(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let server = server(backend, &provider, "0,1").await;
    let project = server.project("App");
    let receiver = Receiver::start().await;
    let made = endpoint(
        &project,
        &receiver,
        &["connection.created", "crm.contact.*"],
    )
    .await;
    let secret = text(&made["secret"]);
    assert!(secret.starts_with("whsec_"));
    let api = connected(&project).await;

    let connection = receiver
        .wait_for(1, |one| one.kind() == "connection.created")
        .await;
    let data = connection[0].json()["data"].clone();
    let shown = project.get("/connections").await.json(200)[0].clone();
    for key in [
        "connection_token",
        "id_connection",
        "id_linked_user",
        "provider_slug",
    ] {
        assert_eq!(data[key], shown[key], "{key}");
    }
    receiver
        .wait_for(3, |one| one.kind() == "crm.contact.created")
        .await;
    let written = api
        .post(
            "/crm/contacts",
            &json!({ "first_name": "Ada", "last_name": "Lovelace" }),
        )
        .await
        .json(201);
    let record = text(&written["id"]);
    let about = |kind: &'static str| {
        let record = record.clone();
        move |one: &Received| one.kind() == kind && one.json()["data"]["id"] == record.as_str()
    };
    let created = receiver.wait_for(1, about("crm.contact.created")).await;
    let path = format!("/crm/contacts/{record}");
    api.patch(&path, &json!({ "first_name": "Augusta" }))
        .await
        .json(200);
    let updated = receiver.wait_for(1, about("crm.contact.updated")).await;
    assert_eq!(updated[0].json()["data"]["first_name"], "Augusta");
    api.delete(&path).await.expect(204);
    receiver.wait_for(1, about("crm.contact.deleted")).await;

    let one = &created[0];
    assert_eq!(one.header("webhook-id"), text(&one.json()["id_event"]));
    let timestamp = one.header("webhook-timestamp").to_owned();
    let old = (timestamp.parse::<i64>().unwrap_or_default() - 600).to_string();
    let good = BTreeSet::from(["good".to_owned()]);
    let bad = BTreeSet::from(["bad".to_owned()]);
    assert_eq!(verified(&secret, one, &one.text, &timestamp), good);
    let changed = one.text.replace("Ada", "Eve");
    assert_eq!(verified(&secret, one, &changed, &timestamp), bad);
    assert_eq!(verified(&secret, one, &one.text, &old), bad);
    let foreign = text(&endpoint(&project, &receiver, &["*"]).await["secret"]);
    assert_eq!(verified(&foreign, one, &one.text, &timestamp), bad);

    let mut body = json!({
        "payload": one.json(), "signature": one.header("panora-signature"), "secret": secret,
    });
    let answer = project.post("/webhooks/verifyEvent", &body).await.json(201);
    assert_eq!(answer, one.json());
    body["payload"]["data"]["first_name"] = json!("Eve");
    let answer = project.post("/webhooks/verifyEvent", &body).await.json(400);
    assert_eq!(answer["code"], "signature_invalid");
}

async fn what_fails_is_tried_again_and_ends_as_a_dead_letter(backend: Backend) {
    let provider = DemoProvider::start(1).await;
    let server = server(backend, &provider, "0,1").await;
    let project = server.project("App");
    let receiver = Receiver::start().await;
    let scope = ["connection.created"];
    let endpoint = id(&endpoint(&project, &receiver, &scope).await);
    receiver.usually(Reply::status(302).with("location", "/elsewhere"));
    connected(&project).await;
    let tries = receiver.wait_for(2, |_| true).await;
    assert_eq!(tries[0].header("webhook-id"), tries[1].header("webhook-id"));
    assert!(tries[1].at - tries[0].at >= Duration::from_millis(750));
    let dead = until("it is dead", async || {
        state_of(&project, &endpoint, "dead").await.pop()
    })
    .await;
    assert_eq!(receiver.received().len(), 2, "redirects are not followed");
    let path = format!("/webhooks/{endpoint}/deliveries/{}", text(&dead["id"]));
    let whole = project.get(&path).await.json(200);
    assert_eq!(whole["attempts"][1]["status"], 302);
    assert_eq!(whole["attempts"][1]["response"], "noted");

    receiver.usually(Reply::status(200));
    project
        .post(&format!("{path}/redeliver"), &json!({}))
        .await
        .json(202);
    let third = receiver.wait_for(3, |_| true).await;
    assert_eq!(third[2].header("webhook-id"), tries[0].header("webhook-id"));
    until("it is delivered", async || {
        state_of(&project, &endpoint, "delivered").await.pop()
    })
    .await;
    let range = json!({ "since": "2020-01-01T00:00:00Z", "states": ["delivered"] });
    let path = format!("/webhooks/{endpoint}/redeliver");
    assert_eq!(
        project.post(&path, &range).await.json(202)["redelivered"],
        1
    );
    receiver.wait_for(4, |_| true).await;
    let path = format!("/webhooks/{endpoint}/test");
    let tested = project.post(&path, &json!({})).await.json(200);
    assert_eq!(
        (&tested["delivered"], &tested["attempt"]["status"]),
        (&json!(true), &json!(200))
    );
    assert_eq!(receiver.received()[4].kind(), "webhook.test");
}

async fn a_receiver_says_when_and_whether(backend: Backend) {
    let provider = DemoProvider::start(1).await;
    let server = server(backend, &provider, "0,0,0").await;
    let project = server.project("App");
    let watcher = Receiver::start().await;
    endpoint(&project, &watcher, &["webhook_endpoint.disabled"]).await;
    let receiver = Receiver::start().await;
    let made = endpoint(&project, &receiver, &["connection.created"]).await;
    receiver.answer([
        Reply::status(429).with("retry-after", "2"),
        Reply::status(410),
    ]);
    connected(&project).await;
    let tries = receiver.wait_for(2, |_| true).await;
    assert!(tries[1].at - tries[0].at >= Duration::from_secs(2));
    let notice = watcher.wait_for(1, |_| true).await;
    assert_eq!(
        notice[0].json()["data"]["id_webhook_endpoint"],
        made["id_webhook_endpoint"]
    );
    let path = format!("/webhooks/{}", id(&made));
    let disabled = project.get(&path).await.json(200);
    assert_eq!(disabled["active"], false);
    assert!(text(&disabled["disabled_reason"]).contains("410"));
}

async fn a_slow_receiver_blocks_nobody_else(backend: Backend) {
    let provider = DemoProvider::start(200).await;
    let server = server(backend, &provider, "0,600").await;
    let project = server.project("App");
    let slow = Receiver::start().await;
    slow.usually(Reply::status(200).after(Duration::from_secs(30)));
    let quick = Receiver::start().await;
    endpoint(&project, &slow, &["crm.*"]).await;
    endpoint(&project, &quick, &["crm.contact.created"]).await;
    connected(&project).await;
    quick.wait_for(200, |_| true).await;
    assert!(
        slow.received().len() < 100,
        "it holds few attempts at a time"
    );
}

async fn a_secret_is_rotated_with_an_overlap(backend: Backend) {
    let provider = DemoProvider::start(1).await;
    let server = server(backend, &provider, "0,1").await;
    let project = server.project("App");
    let receiver = Receiver::start().await;
    let made = endpoint(&project, &receiver, &["connection.created"]).await;
    let path = format!("/webhooks/{}", id(&made));
    let overlap = json!({ "overlap_seconds": 600 });
    let rotated = project
        .post(&format!("{path}/rotate"), &overlap)
        .await
        .json(200);
    assert_ne!(rotated["secret"], made["secret"]);
    project
        .post(&format!("{path}/test"), &json!({}))
        .await
        .json(200);
    let one = &receiver.received()[0];
    let timestamp = one.header("webhook-timestamp");
    for secret in [&made["secret"], &rotated["secret"]] {
        let said = verified(&text(secret), one, &one.text, timestamp);
        assert_eq!(said, BTreeSet::from(["good".to_owned()]));
    }
    let none = json!({ "overlap_seconds": 0 });
    project
        .post(&format!("{path}/rotate"), &none)
        .await
        .json(200);
    project
        .post(&format!("{path}/test"), &json!({}))
        .await
        .json(200);
    let one = &receiver.received()[1];
    let said = verified(
        &text(&rotated["secret"]),
        one,
        &one.text,
        one.header("webhook-timestamp"),
    );
    assert_eq!(said, BTreeSet::from(["bad".to_owned()]));
}

async fn endpoints_are_managed_as_the_contract_says(backend: Backend) {
    let server = Server::on(backend).await.start().await;
    let project = server.project("App");
    let url = "http://127.0.0.1:9/hook";
    let body = json!({ "url": url, "scope": ["crm.contact.created", "crm.contact.pulled"] });
    let made = project.post("/webhook", &body).await.json(201);
    let listed = project.get("/webhooks").await.json(200);
    assert_eq!(
        listed[0]["id_webhook_endpoint"],
        made["id_webhook_endpoint"]
    );
    assert_ne!(listed[0]["secret"], made["secret"], "it is told once");
    let path = format!("/webhooks/{}", id(&made));
    let off = project.send(Method::PUT, &path, None).await.json(201);
    assert_eq!(off["active"], false);
    let on = json!({ "active": true });
    let on = project.send(Method::PUT, &path, Some(&on)).await.json(201);
    assert_eq!(on["active"], true);
    let changed = project
        .patch(&path, &json!({ "scope": ["*"] }))
        .await
        .json(200);
    assert_eq!(changed["scope"], json!(["*"]));
    let stranger = server.project("Other");
    assert_eq!(
        stranger.get(&path).await.json(404)["code"],
        "webhook_not_found"
    );

    let wrong = json!({ "url": url, "scope": ["crm.contacts.created"] });
    let refused = project.post("/webhooks", &wrong).await.json(422);
    assert_eq!(refused["violations"][0]["path"], "/scope/0");
    assert!(text(&refused["detail"]).contains("crm.contact.created"));
    for url in [
        "http://10.0.0.1/",
        "http://example.com:x/",
        "ftp://example.com/",
        "https://[::1]/",
    ] {
        let wrong = json!({ "url": url, "scope": ["*"] });
        let refused = project.post("/webhooks", &wrong).await.json(422);
        assert_eq!(refused["violations"][0]["path"], "/url", "{url}");
    }
    project.delete(&path).await.json(201);
    project.get(&path).await.json(404);
}

async fn nothing_is_lost_when_the_server_is_killed(backend: Backend) {
    const PEOPLE: usize = 300;
    let provider = DemoProvider::start(PEOPLE).await;
    let mut server = server(backend, &provider, "0,1,1,1,1,1,1").await;
    let mut project = server.project("App");
    let receiver = Receiver::start().await;
    receiver.usually(Reply::status(200).after(Duration::from_millis(100)));
    endpoint(&project, &receiver, &["crm.contact.created"]).await;
    connected(&project).await;
    for share in [PEOPLE / 10, PEOPLE / 2] {
        receiver.wait_for(share, |_| true).await;
        server.kill();
        server.start_again().await;
        project = server.anyone().with_key(project.key());
    }
    let ids = until("every event has come", async || {
        let received = receiver.received();
        let ids: BTreeSet<_> = received
            .iter()
            .map(|one| one.header("webhook-id").to_owned())
            .collect();
        (ids.len() >= PEOPLE).then_some(ids)
    })
    .await;
    let events: BTreeSet<_> = project
        .events("crm.contact.created")
        .await
        .iter()
        .map(|event| text(&event["id_event"]))
        .collect();
    assert_eq!(ids, events);
}
