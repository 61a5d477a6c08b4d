//! Where a record's values came from and what they were before; and unifying again what is stored
//! when a connector was replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use jackfield_tests::{
    Api, Backend, DemoProvider, Server, api::text, connectors, until, until_within,
};
use serde_json::{Value, json};

on_both_databases!(
    the_past_of_a_record_is_told,
    a_killed_pass_over_stored_documents_goes_on_where_it_was
);

const SYNC: &str = "crm.contact";

/// Replaces the connector by one that takes first names for last names, and the reverse.
async fn swap(server: &Server, project: &Api) {
    let second = tokio::task::spawn_blocking(connectors::second_demo);
    let second = fs::read(second.await.expect("it can be built")).expect("it is built");
    server.drop_in("demo-crm.wasm", &second);
    until("the second version serves", async || {
        let status = project.get("/connectors/demo-crm").await.json(200);
        (status["version"] == "0.2.0").then_some(())
    })
    .await;
}

async fn field(api: &Api, id: &str, field: &str) -> Value {
    let path = format!("/records/{id}/provenance");
    let told = api.get(&path).await.json(200);
    let fields = told["fields"].as_array().expect("a list");
    let found = fields.iter().find(|one| one["field"] == field);
    found.expect("the record has it").clone()
}

async fn the_past_of_a_record_is_told(backend: Backend) {
    let provider = DemoProvider::start(3).await;
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
    let contact = api.get("/crm/contacts?limit=1").await.json(200)["data"][0].clone();
    let (id, last) = (text(&contact["id"]), text(&contact["last_name"]));
    let read = field(&project, &id, "last_name").await;
    assert_eq!(read["source"], "sync", "{read}");
    assert_eq!(read["connector"]["version"], "0.1.0");
    let digest = text(&read["connector"]["digest"]);
    assert!(digest.len() >= 64, "{digest}");

    let path = format!("/crm/contacts/{id}");
    let body = json!({ "first_name": "Zoe" });
    api.patch(&path, &body).await.json(200);
    let written = field(&project, &id, "first_name").await;
    assert_eq!(written["source"], "write", "{written}");
    assert!(written["actor"].is_string(), "{written}");
    assert_eq!(field(&project, &id, "last_name").await, read);

    swap(&server, &project).await;
    let past = format!("/records/{id}/history");
    let entries = until("it is unified again", async || {
        let page = project.get(&past).await.json(200);
        let entries = page["data"].as_array().cloned().unwrap_or_default();
        (entries[0]["source"] == "reunify").then_some(entries)
    })
    .await;
    let again = &entries[0];
    let changed = json!([
        { "field": "first_name", "before": "Zoe", "after": last },
        { "field": "last_name", "before": last, "after": "Zoe" },
    ]);
    assert_eq!(again["fields"], changed, "{again}");
    assert_eq!(again["connector"]["version"], "0.2.0");
    let ours = entries.iter().find(|entry| entry["source"] == "write");
    let ours = &ours.expect("the write is told")["fields"][0];
    assert_eq!(ours["after"], "Zoe", "{ours}");
    let oldest = entries.last().expect("there are some");
    assert_eq!(
        (&oldest["action"], &oldest["source"]),
        (&json!("created"), &json!("sync"))
    );

    // One at a time, through the cursors.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = project
            .get(&format!("{past}?limit=1{cursor}"))
            .await
            .json(200);
        paged.extend(page["data"].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, entries);
    assert_eq!(project.get(&format!("{past}?cursor=x")).await.status, 400);

    // What is deleted keeps its past; what is switched off has none.
    assert!(api.delete(&path).await.status < 300);
    let deleted = project.get(&past).await.json(200)["data"][0].clone();
    assert_eq!(deleted["action"], "deleted", "{deleted}");
    let sync = format!("/connections/{}/syncs/{SYNC}", connection.id);
    let off = json!({ "history_days": 0 });
    let told = project.patch(&sync, &off).await.json(200);
    assert_eq!(told["config"]["history_days"], 0);
    let rest = project.get(&past).await.json(200);
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(1), "{rest}");
    assert_eq!(
        field(&project, &id, "first_name").await["source"],
        "reunify"
    );
    let other = server.project("Other");
    assert_eq!(other.get(&past).await.status, 404);
    assert_eq!(project.get("/records/nothing/history").await.status, 404);
}

/// Enough for a pass of many batches.
const PEOPLE: usize = 10_000;

async fn a_killed_pass_over_stored_documents_goes_on_where_it_was(backend: Backend) {
    let provider = DemoProvider::start(PEOPLE).await;
    let mut server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .set("JACKFIELD_SYNC__LEASE_SECONDS", "2")
        .start()
        .await;
    let mut project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    let sync = format!("/connections/{}/syncs/{SYNC}", connection.id);
    let token = connection.token.clone();
    project.with_token(&token).synced("crm").await;
    let names = async |project: &Api| -> BTreeMap<String, (String, String)> {
        let contacts = project.with_token(&token).all("/crm/contacts").await;
        let name = |one: &Value| (text(&one["first_name"]), text(&one["last_name"]));
        contacts
            .iter()
            .map(|one| (text(&one["id"]), name(one)))
            .collect()
    };
    let old = names(&project).await;
    let different = old.values().filter(|(first, last)| first != last).count();
    assert_eq!(old.len(), PEOPLE);
    // Nothing more is asked of the provider.
    for object in project.get("/syncs").await.json(200)["data"]
        .as_array()
        .expect("a list")
    {
        let object = text(&object["object"]);
        let pause = format!("/connections/{}/syncs/{object}/pause", connection.id);
        project.post(&pause, &json!({})).await.json(200);
    }

    swap(&server, &project).await;
    let progress = async |project: &Api| {
        let told = project.get(&sync).await.json(200)["reunify"].clone();
        let done = told["done"].as_u64()?;
        assert_eq!(told["total"].as_u64(), Some(PEOPLE as u64), "{told}");
        (done > 0).then_some(done)
    };
    let wait = Duration::from_secs(120);
    let before = until_within(wait, "a part is done", async || progress(&project).await).await;
    server.kill();
    assert!(
        before < PEOPLE as u64,
        "it was too quick to be killed in the middle"
    );
    server.start_again().await;
    project = server.anyone().with_key(project.key());
    let after = until_within(wait, "it goes on", async || progress(&project).await).await;
    assert!(after >= before, "{after} after {before}: it began anew");
    until_within(wait, "everything is done", async || {
        let told = project.get(&sync).await.json(200);
        told["reunify"].is_null().then_some(())
    })
    .await;
    let exchanged = old
        .into_iter()
        .map(|(id, (first, last))| (id, (last, first)));
    assert_eq!(names(&project).await, exchanged.collect());
    let updated = project.events("crm.contact.updated").await;
    let distinct: BTreeSet<String> = updated.iter().map(|one| text(&one["data"]["id"])).collect();
    assert_eq!(
        (updated.len(), distinct.len()),
        (different, different),
        "each is announced once"
    );
}
