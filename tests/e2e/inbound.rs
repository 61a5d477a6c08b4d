//! Webhooks of a provider: verified, routed, and the record read anew, without a sync.

use jackfield::demo::Collection;
use jackfield_tests::{Answer, Api, Backend, Connection, DemoProvider, Server, api, until};
use serde_json::{Value, json};

on_both_databases!(
    a_change_at_the_provider_arrives_without_a_sync,
    what_is_not_the_providers_is_refused_and_counted,
    what_was_taken_survives_a_kill,
    a_secret_is_a_connections_own_and_can_be_rotated,
);

/// A server whose first syncs are over and whose next ones are an hour away.
async fn synced(backend: Backend) -> (DemoProvider, Server, Api, Connection) {
    let provider = DemoProvider::start(5).await;
    let builder = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .set("JACKFIELD_SYNC__LEASE_SECONDS", "2");
    let server = builder.start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    project.with_token(&connection.token).synced("crm").await;
    (provider, server, project, connection)
}

/// Where the provider is to send webhooks, and the secret.
async fn webhook(project: &Api, connection: &Connection) -> (String, String) {
    let answer = project
        .get(&format!("/connections/{}/webhook", connection.id))
        .await
        .json(200);
    assert_eq!(answer["secret_kind"], "connection");
    (api::text(&answer["url"]), api::text(&answer["secret"]))
}

/// Sends what somebody says is the provider's.
async fn send(url: &str, headers: &[(&str, String)], body: &str) -> u16 {
    let request = headers
        .iter()
        .fold(api::http().post(url), |request, (name, value)| {
            request.header(*name, value)
        });
    let answer = request.body(body.to_owned()).send().await;
    answer.expect("the server answers").status().as_u16()
}

async fn inbound(project: &Api) -> Value {
    let connector = project.get("/connectors/demo-crm").await.json(200);
    connector["inbound"].clone()
}

fn change(id: u64) -> String {
    json!({
        "account_id": "demo-account",
        "changes": [{"collection": "people", "id": id, "change": "changed"}],
    })
    .to_string()
}

async fn a_change_at_the_provider_arrives_without_a_sync(backend: Backend) {
    let (provider, _server, project, connection) = synced(backend).await;
    let runs = project.events("sync.completed").await.len();
    let (url, secret) = webhook(&project, &connection).await;
    assert!(
        url.ends_with(&format!("/inbound/demo-crm/{}", connection.id)),
        "{url}"
    );
    provider.demo.subscribe(&url, &secret);

    let person = json!({"given_name": "Grace", "family_name": "Hopper"});
    let id = provider
        .demo
        .add(Collection::People, person)
        .expect("it takes a person");
    let created = told(&project, "crm.contact.created", id).await;
    assert_eq!(created["data"]["first_name"], "Grace");

    let renamed = json!({"given_name": "Amazing"});
    provider
        .demo
        .change(Collection::People, id, renamed)
        .expect("it is there");
    let updated = told(&project, "crm.contact.updated", id).await;
    assert_eq!(updated["data"]["first_name"], "Amazing");

    provider
        .demo
        .delete(Collection::People, id)
        .expect("it is there");
    told(&project, "crm.contact.deleted", id).await;

    let after = project.events("sync.completed").await.len();
    assert_eq!(after, runs, "no sync ran in between");
    let counts = inbound(&project).await;
    assert!(counts["accepted"].as_u64() >= Some(3), "{counts}");
    assert_eq!(counts["forged"], 0);
}

/// The event of that type about a person of the provider.
async fn told(project: &Api, kind: &str, id: u64) -> Value {
    let remote_id = id.to_string();
    until(kind, async || {
        let events = project.events(kind).await;
        events
            .into_iter()
            .find(|event| event["data"]["remote_id"] == remote_id.as_str())
    })
    .await
}

async fn what_is_not_the_providers_is_refused_and_counted(backend: Backend) {
    let (provider, server, project, connection) = synced(backend).await;
    let (url, secret) = webhook(&project, &connection).await;
    let body = change(10_001);
    let genuine = provider.demo.signed(&secret, &body);
    assert_eq!(send(&url, &genuine, &body).await, 204);

    assert_eq!(send(&url, &[], &body).await, 401);
    assert_eq!(
        send(&url, &genuine, &change(10_002)).await,
        401,
        "another body"
    );
    let foreign = provider.demo.signed("another", &body);
    assert_eq!(send(&url, &foreign, &body).await, 401, "another secret");
    provider.let_pass(-400);
    let old = provider.demo.signed(&secret, &body);
    provider.let_pass(400);
    assert_eq!(send(&url, &old, &body).await, 401, "an old one, sent again");
    let nonsense = provider.demo.signed(&secret, "{");
    assert_eq!(send(&url, &nonsense, "{").await, 400);

    let (start, _) = url.rsplit_once('/').expect("a URL has slashes");
    let nobody = format!("{start}/{}", uuid_of_nobody());
    assert_eq!(send(&nobody, &genuine, &body).await, 404);
    let unknown = url.replace("demo-crm", "no-such");
    assert_eq!(send(&unknown, &genuine, &body).await, 404);
    let large = "x".repeat(1024 * 1024 + 1);
    assert_eq!(send(&url, &[], &large).await, 413);

    let counts = inbound(&project).await;
    assert_eq!(
        counts,
        json!({"accepted": 1, "forged": 4, "malformed": 1, "unrouted": 1, "throttled": 0})
    );
    let metrics = server.anyone().get("/metrics").await;
    assert!(
        metrics
            .text
            .contains("jackfield_inbound_total{connector=\"demo-crm\",outcome=\"forged\"} 4"),
        "{}",
        metrics.text
    );
    assert!(
        !server.log().contains("demo-account"),
        "bodies are not logged"
    );
    assert!(!server.log().contains(&secret));
}

async fn what_was_taken_survives_a_kill(backend: Backend) {
    let (provider, mut server, project, connection) = synced(backend).await;
    let (url, secret) = webhook(&project, &connection).await;
    let person = json!({"given_name": "Edsger", "family_name": "Dijkstra"});
    let id = provider
        .demo
        .add(Collection::People, person)
        .expect("it takes a person");
    // The provider is down when the notice comes: nothing can be read before the end.
    provider.demo.fail_next(1000);
    let body = change(id);
    let headers = provider.demo.signed(&secret, &body);
    let reads = provider.demo.requests();
    assert_eq!(send(&url, &headers, &body).await, 204);
    until("the first read fails", async || {
        (provider.demo.requests() > reads).then_some(())
    })
    .await;
    server.kill();
    provider.demo.fail_next(0);
    server.start_again().await;
    let project = server.anyone().with_key(project.key());
    let created = told(&project, "crm.contact.created", id).await;
    assert_eq!(created["data"]["last_name"], "Dijkstra");
}

async fn a_secret_is_a_connections_own_and_can_be_rotated(backend: Backend) {
    let (provider, server, project, connection) = synced(backend).await;
    let (url, before) = webhook(&project, &connection).await;
    assert_eq!(
        webhook(&project, &connection).await,
        (url.clone(), before.clone())
    );
    let path = format!("/connections/{}/webhook", connection.id);
    let rotated = project.post(&format!("{path}/rotate"), &json!({})).await;
    let after = api::text(&rotated.json(200)["secret"]);
    assert_ne!(before, after);
    let body = change(10_001);
    let status = async |secret: &str| {
        let headers = provider.demo.signed(secret, &body);
        send(&url, &headers, &body).await
    };
    assert_eq!(status(&before).await, 401);
    assert_eq!(status(&after).await, 204);
    let other: Answer = server.project("Other").get(&path).await;
    other.expect(404);
}

const fn uuid_of_nobody() -> &'static str {
    "00000000-0000-4000-8000-000000000000"
}
