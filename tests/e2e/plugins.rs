//! Files in the folder that are no good connectors: each is refused with a sentence, and
//! everything else goes on.

use std::fs;

use jackfield_tests::{Backend, DemoProvider, Server, connectors, until, wasm};
use serde_json::{Value, json};

on_both_databases!(hostile_files_are_refused_with_a_sentence);

async fn hostile_files_are_refused_with_a_sentence(backend: Backend) {
    let provider = DemoProvider::start(20).await;
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

    let good = fs::read(connectors::built("demo-crm")).expect("it is built");
    let redmine = fs::read(connectors::built("redmine")).expect("it is built");
    let half = &redmine[..redmine.len() / 2];
    let noise: Vec<u8> = (0_u32..50_000)
        .map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let files: [(&str, &[u8], &str); 8] = [
        ("empty.wasm", b"", ""),
        ("noise.wasm", &noise, "not a WebAssembly file"),
        (
            "page.wasm",
            b"<!doctype html><title>404</title>",
            "not a WebAssembly file",
        ),
        ("module.wasm", &wasm::EMPTY_MODULE, "it has no manifest"),
        ("truncated.wasm", half, "not valid"),
        ("twin.wasm", &good, "demo-crm"),
        ("endless.wasm", &wasm::with_endless_start(&redmine), ""),
        ("huge.wasm", &wasm::with_four_gib(&redmine), "memory"),
    ];
    for (name, bytes, _) in &files {
        server.drop_in(name, bytes);
    }
    for (name, _, sentence) in &files {
        let refused = until(&format!("{name} is refused"), async || {
            let connectors = project.get("/connectors").await.json(200);
            let found = connectors
                .as_array()?
                .iter()
                .find(|connector| connector["file"] == *name)?
                .clone();
            found["last_error"].as_str().is_some().then_some(found)
        })
        .await;
        assert_eq!(refused["state"], "rejected", "{refused}");
        let error = refused["last_error"].as_str().unwrap_or_default();
        assert!(
            error.contains(sentence) && error.len() > 20,
            "{name}: {error}"
        );
        assert!(!error.contains("wasm backtrace"), "{name}: {error}");
    }

    // What served before still does, reads and writes alike.
    assert_eq!(api.all("/crm/contacts").await.len(), 20);
    let contact = json!({ "first_name": "Ada", "last_name": "King" });
    api.post("/crm/contacts", &contact).await.expect(201);

    // A bad file over a good one: the good one goes on serving, and says why.
    server.drop_in("demo-crm.wasm", &noise);
    let status = until("the bad successor is refused", async || {
        let status = project.get("/connectors/demo-crm").await.json(200);
        status["last_error"].as_str().is_some().then_some(status)
    })
    .await;
    assert_eq!(status["state"], "active", "{status}");
    api.post("/crm/contacts", &contact).await.expect(201);

    // Once the bad files are gone, so are their errors.
    for (name, _, _) in &files {
        fs::remove_file(server.plugins().join(name)).expect("it is there");
    }
    server.drop_in("demo-crm.wasm", &good);
    until("all is well again", async || {
        let connectors: Value = project.get("/connectors").await.json(200);
        let connectors = connectors.as_array()?;
        (connectors.len() == 1 && connectors[0]["last_error"].is_null()).then_some(())
    })
    .await;
}
