//! What the unified routes do beyond reading what is stored and writing what is sent: filters,
//! references in the place of ids, reads through to the provider, writes that are done once.

use jackfield::demo::Collection;
use jackfield_tests::{
    Answer, Api, Backend, Connection, DemoProvider, Server,
    api::{self, encode, text},
};
use reqwest::Method;
use serde_json::{Value, json};

on_both_databases!(
    lists_are_filtered_and_references_expanded,
    live_reads_go_through_to_the_provider,
    a_write_with_a_key_is_done_once,
);

struct World {
    provider: DemoProvider,
    server: Server,
    api: Api,
    connection: Connection,
}

async fn world(backend: Backend) -> World {
    let provider = DemoProvider::start(30).await;
    let server = provider.known_to(Server::on(backend).await);
    let server = server.with("demo-crm").start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let key = json!({ "api_key": "demo-key" });
    let connection = project.connect("demo-crm", "key", key).await;
    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    World {
        provider,
        server,
        api,
        connection,
    }
}

/// The sentence of an answer that refuses a parameter.
#[track_caller]
fn refused(answer: &Answer) -> String {
    let body = answer.json(400);
    assert_eq!(body["code"], "invalid_parameter", "{body}");
    text(&body["detail"])
}

fn records(page: &Value) -> &[Value] {
    page["data"].as_array().expect("a page has data")
}

fn remote_ids(page: &Value) -> Vec<u64> {
    let number = |record: &Value| text(&record["remote_id"]).parse().expect("a number");
    records(page).iter().map(number).collect()
}

async fn lists_are_filtered_and_references_expanded(backend: Backend) {
    let world = world(backend).await;
    let api = &world.api;
    let deals = api.all("/crm/deals").await;
    let deal = deals
        .iter()
        .find(|deal| deal["company_id"].is_string() && deal["user_id"].is_string())
        .expect("some deal has both");
    let same = |field: &str| {
        let same = deals.iter().filter(|other| other[field] == deal[field]);
        same.map(|other| text(&other["id"])).collect::<Vec<_>>()
    };
    for field in ["name", "user_id", "amount"] {
        let value = match &deal[field] {
            Value::String(value) => encode(value),
            value => value.to_string(),
        };
        let found = api
            .all(&format!("/crm/deals?filter[{field}]={value}"))
            .await;
        let found: Vec<String> = found.iter().map(|deal| text(&deal["id"])).collect();
        assert_eq!(found, same(field), "{field}");
    }
    let remote_id = text(&deal["remote_id"]);
    let by_remote_id = format!("/crm/deals?filter[remote_id]={remote_id}");
    let page = api.get(&by_remote_id).await.json(200);
    assert_eq!(page["data"], json!([deal]));
    let future = "/crm/deals?created_after=2999-01-01T00:00:00Z";
    assert!(records(&api.get(future).await.json(200)).is_empty());

    let wrong = api.get("/crm/deals?filter[nmae]=x").await;
    assert!(refused(&wrong).contains("name, "), "{}", wrong.text);
    let wrong = api.get("/crm/deals?filter[amount]=much").await;
    assert!(refused(&wrong).contains("a number"), "{}", wrong.text);
    let wrong = api.get("/crm/deals?filter=x").await;
    assert!(refused(&wrong).contains("filter[field]"), "{}", wrong.text);
    let wrong = api.get("/crm/deals?expand=name").await;
    assert!(refused(&wrong).contains("company_id"), "{}", wrong.text);

    let company = format!("/crm/companies/{}", text(&deal["company_id"]));
    let company = api.get(&company).await.json(200);
    let one = format!("/crm/deals/{}", text(&deal["id"]));
    let expanded = api.get(&format!("{one}?expand=company_id,user_id")).await;
    let expanded = expanded.json(200);
    assert_eq!(expanded["company_id"], company);
    assert_eq!(expanded["user_id"]["id"], deal["user_id"]);
    assert_eq!(expanded["stage_id"], deal["stage_id"]);
    let all = api.all("/crm/deals?expand=company_id").await;
    let is_expanded = |deal: &Value| deal["company_id"].is_null() || deal["company_id"].is_object();
    assert!(all.len() == deals.len() && all.iter().all(is_expanded));
    // One level, and the stored record is as it was.
    assert!(company["user_id"].is_string());
    assert_eq!(api.get(&one).await.json(200), *deal);
}

async fn live_reads_go_through_to_the_provider(backend: Backend) {
    let world = world(backend).await;
    let World { provider, api, .. } = &world;
    let contacts = api.all("/crm/contacts").await;
    let path = format!("/crm/contacts/{}", text(&contacts[0]["id"]));
    let remote_id: u64 = text(&contacts[0]["remote_id"]).parse().expect("a number");
    let fields = json!({ "given_name": "Changed" });
    let changed = provider.demo.change(Collection::People, remote_id, fields);
    changed.expect("it is there");
    assert_eq!(api.get(&path).await.json(200), contacts[0]);
    let live = api.get(&format!("{path}?live=true")).await.json(200);
    assert_eq!(live["first_name"], "Changed");
    assert_eq!(api.get(&path).await.json(200), live);
    let updates = api.events("crm.contact.updated").await;
    assert_eq!(updates.len(), 1);

    let failing = format!("{path}?live=true");
    provider.demo.limit_next(1, 7);
    let limited = api.get(&failing).await;
    assert_eq!(limited.json(429)["code"], "rate_limited");
    assert_eq!(limited.headers["x-downstream-ratelimit-reset"], "7");
    assert_eq!(limited.headers["retry-after"], "7");

    let gone = provider.demo.delete(Collection::People, remote_id);
    gone.expect("it is there");
    assert_eq!(api.get(&path).await.json(200), live);
    assert_eq!(
        api.get(&failing).await.json(404)["code"],
        "record_not_found"
    );
    api.get(&path).await.expect(404);
    assert_eq!(api.events("crm.contact.deleted").await.len(), 1);

    let new = json!({ "given_name": "New", "family_name": "Person" });
    let new = provider.demo.add(Collection::People, new);
    let new = new.expect("it is right");
    let mut seen = Vec::new();
    let mut path = "/crm/contacts?live=true&limit=7".to_owned();
    let first = loop {
        let page = api.get(&path).await.json(200);
        assert!(page["prev_cursor"].is_null() && records(&page).len() <= 7);
        seen.extend(remote_ids(&page));
        let Some(next) = page["next_cursor"].as_str() else {
            break seen.len();
        };
        path = format!("/crm/contacts?live=true&limit=7&cursor={}", encode(next));
    };
    assert_eq!(first, contacts.len(), "one is gone, one is new");
    // The provider lists by the time of its changes: what it has seen last comes last.
    assert_eq!(seen.last(), Some(&new));
    let by_remote_id = format!("/crm/contacts?filter[remote_id]={new}");
    let found = api.get(&by_remote_id).await.json(200);
    assert_eq!(records(&found)[0]["first_name"], "New");

    let live = api.get("/crm/contacts?live=true&limit=7").await.json(200);
    let live = encode(&text(&live["next_cursor"]));
    let stored = api.get("/crm/contacts?limit=7").await.json(200);
    let stored = encode(&text(&stored["next_cursor"]));
    let answer = api.get(&format!("/crm/contacts?cursor={live}")).await;
    assert!(refused(&answer).contains("live=true"));
    for wrong in [
        format!("/crm/contacts?live=true&cursor={stored}"),
        format!("/crm/companies?live=true&cursor={live}"),
        "/crm/contacts?live=true&cursor=live.AAAA".to_owned(),
        "/crm/contacts?live=true&filter[last_name]=x".to_owned(),
    ] {
        refused(&api.get(&wrong).await);
    }
}

/// Sends with a key.
async fn keyed(
    world: &World,
    method: Method,
    path: &str,
    key: &str,
    body: Option<&Value>,
) -> Answer {
    let request = format!("{method} {path} with key {key}");
    let url = format!("{}{path}", world.server.base_url());
    let mut sending = api::http()
        .request(method, url)
        .header("x-api-key", world.api.key())
        .header("x-connection-token", &world.connection.token)
        .header("idempotency-key", key);
    if let Some(body) = body {
        sending = sending.body(body.to_string());
    }
    let response = sending.send().await.expect("the server answers");
    Answer {
        request,
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.expect("the answer is whole"),
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.contains_key("idempotent-replayed")
}

async fn a_write_with_a_key_is_done_once(backend: Backend) {
    let world = world(backend).await;
    let people = || world.provider.demo.count(Collection::People);
    let before = people();
    let create = async |key: &str, body: &Value| {
        keyed(&world, Method::POST, "/crm/contacts", key, Some(body)).await
    };
    let body = json!({ "first_name": "Ada", "last_name": "Lovelace" });
    let first = create("one", &body).await;
    let again = create(
        "\"one\"",
        &json!({ "last_name": "Lovelace", "first_name": "Ada" }),
    )
    .await;
    assert_eq!(first.json(201), again.json(201));
    assert_eq!(first.headers["location"], again.headers["location"]);
    assert!(!is_replayed(&first) && is_replayed(&again));
    assert_eq!(again.headers["content-type"], "application/json");
    let other = create(
        "one",
        &json!({ "first_name": "Eve", "last_name": "Lovelace" }),
    )
    .await;
    assert_eq!(other.json(422)["code"], "idempotency_key_reused");
    assert_eq!(people(), before + 1);

    // Several at once: one is done, the others wait their turn or get its answer.
    let one = async || create("many", &body).await;
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    let many = [a, b, c, d];
    for answer in &many {
        match answer.status {
            201 => {}
            _ => assert_eq!(answer.json(409)["code"], "idempotency_key_busy"),
        }
    }
    assert!(many.iter().any(|answer| answer.status == 201));
    assert_eq!(people(), before + 2);

    // The provider does it, but nobody hears of it, however often it is asked: the next try tells
    // it the same key.
    world.provider.demo.lose_next(3);
    let lost = create("lost", &body).await;
    assert_eq!(lost.status, 503, "{}", lost.text);
    assert_eq!(people(), before + 3);
    let found = create("lost", &body).await;
    found.expect(201);
    assert!(!is_replayed(&found));
    assert_eq!(people(), before + 3);

    // What was refused before the provider heard of it can be corrected under the same key.
    let wrong = create("corrected", &json!({ "first_name": "Ada" })).await;
    assert_eq!(wrong.json(422)["code"], "validation_failed");
    create("corrected", &body).await.expect(201);
    // What the provider refused stays refused.
    let bad = json!({ "first_name": "a".repeat(10_000), "last_name": "B" });
    let asked = world.provider.demo.requests();
    let refused = [create("bad", &bad).await, create("bad", &bad).await];
    assert_eq!(refused[0].json(422)["code"], "provider_refused");
    assert_eq!(
        refused[0].json(422)["violations"],
        refused[1].json(422)["violations"]
    );
    assert!(!is_replayed(&refused[0]) && is_replayed(&refused[1]));
    assert_eq!(world.provider.demo.requests(), asked + 1);

    let path = format!("/crm/contacts/{}", text(&first.json(201)["id"]));
    let patch = json!({ "first_name": "Augusta" });
    for replayed in [false, true] {
        let answer = keyed(&world, Method::PATCH, &path, "patch", Some(&patch)).await;
        assert_eq!(answer.json(200)["first_name"], "Augusta");
        assert_eq!(is_replayed(&answer), replayed);
    }
    for replayed in [false, true] {
        let answer = keyed(&world, Method::DELETE, &path, "delete", None).await;
        answer.expect(204);
        assert_eq!(is_replayed(&answer), replayed);
        assert!(answer.text.is_empty());
    }
    let bad_key = "x".repeat(256);
    let answer = keyed(&world, Method::DELETE, &path, &bad_key, None).await;
    assert!(self::refused(&answer).contains("Idempotency-Key"));
}
