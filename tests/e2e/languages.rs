//! Connectors in JavaScript and in Python, made by their own tools: dropped into the folder of a
//! running server they serve as one in Rust does.

use std::{fs, time::Duration};

use jackfield::demo::Collection;
use jackfield_tests::{Api, Backend, DemoProvider, Server, api::text, connectors, until_within};
use serde_json::{Value, json};

const CONNECTORS: [&str; 2] = ["demo-crm-js", "demo-crm-py"];
const PEOPLE: usize = 120;
/// Seconds that the compiler may take: other tests run at the same time, and go first.
const PATIENCE: u64 = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_made_by_another_language_is_synced_listed_and_written() {
    let provider = DemoProvider::start(PEOPLE).await;
    // Kept from run to run: machine code for an interpreter takes a while to make.
    let data = connectors::target().join("test-examples/data");
    fs::create_dir_all(&data).expect("the target folder is writable");
    let mut builder = provider
        .known_to(Server::on(Backend::Sqlite).await)
        .set("JACKFIELD_DATA_DIR", &data.display().to_string())
        .set(
            "JACKFIELD_RUNTIME__COMPILE_TIMEOUT_SECONDS",
            &PATIENCE.to_string(),
        )
        .with("demo-crm");
    for slug in CONNECTORS {
        builder = builder.endpoint(slug, "api", provider.base_url());
    }
    let server = builder.start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    for slug in CONNECTORS {
        let file = fs::read(connectors::example(slug)).expect("it is built");
        server.drop_in(&format!("{slug}.wasm"), &file);
    }
    let login = json!({ "api_key": "demo-key" });
    let rust = project.connect("demo-crm", "key", login.clone()).await;
    let rust = project.with_token(&rust.token);
    rust.synced("crm").await;
    let [people, companies] = unified(&rust).await;
    assert_eq!(people.len(), PEOPLE);
    assert!(!companies.is_empty());

    for slug in CONNECTORS {
        let status = active(&project, slug).await;
        assert_eq!(status["state"], "active", "{status}");
        let connection = project.connect(slug, "key", login.clone()).await;
        let api = project.with_token(&connection.token);
        api.synced("crm").await;
        let [same_people, same_companies] = unified(&api).await;
        assert_eq!(same_people, people, "{slug}");
        assert_eq!(same_companies, companies, "{slug}");

        let contact = json!({
            "first_name": "Ada",
            "last_name": "Lovelace",
            "phone_numbers": [
                { "phone_number": "+447700900001", "phone_type": "MOBILE", "owner_type": "CONTACT" }
            ]
        });
        let created = api.post("/crm/contacts", &contact).await.json(201);
        assert_eq!(created["phone_numbers"], contact["phone_numbers"], "{slug}");
        let id = text(&created["id"]);
        let path = format!("/crm/contacts/{id}");
        let changed = json!({ "last_name": "King", "phone_numbers": null });
        let changed = api.patch(&path, &changed).await.json(200);
        assert_eq!(changed["first_name"], "Ada", "{slug}");
        let remote_id: u64 = text(&created["remote_id"])
            .parse()
            .expect("the demo provider counts");
        let at_provider = provider.demo.record(Collection::People, remote_id);
        let at_provider = at_provider.expect("it is there");
        assert_eq!(at_provider["family_name"], "King", "{slug}");
        assert_eq!(at_provider["mobile"], Value::Null, "{slug}");

        let two =
            json!([{ "email_address": "a@example.com" }, { "email_address": "b@example.com" }]);
        let refused = api.patch(&path, &json!({ "email_addresses": two })).await;
        let refused = refused.json(422).to_string();
        assert!(refused.contains("email_addresses"), "{slug}: {refused}");
        api.delete(&path).await.expect(204);
    }
}

/// The people and the companies, without what differs from connection to connection.
async fn unified(api: &Api) -> [Vec<Value>; 2] {
    let mut lists = [
        api.all("/crm/contacts").await,
        api.all("/crm/companies").await,
    ];
    for list in &mut lists {
        for record in list.iter_mut() {
            let record = record.as_object_mut().expect("a record is an object");
            for own in ["id", "user_id", "created_at", "modified_at"] {
                record.remove(own);
            }
        }
        list.sort_by_key(|record| record["remote_id"].to_string());
    }
    lists
}

/// How the connector stands, once it is known what comes of the file. Compiling takes a while
/// where it was not compiled in an earlier run.
async fn active(api: &Api, slug: &str) -> Value {
    let patience = Duration::from_secs(PATIENCE);
    until_within(patience, &format!("{slug} serves"), async || {
        let answer = api.get(&format!("/connectors/{slug}")).await;
        let known = (answer.status == 200).then(|| answer.json(200))?;
        let settled = known["state"] == "active" || known["last_error"].is_string();
        settled.then_some(known)
    })
    .await
}
