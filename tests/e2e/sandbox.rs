//! Connectors that are dangerous before they run, against the real program.

use std::{fs, time::Duration};

use jackfield_tests::{Backend, DemoProvider, Server, connectors, until_within, wasm};
use serde_json::json;

/// What a compiler may take of the server's own memory: nothing worth mentioning.
const GROWTH_KIB: u64 = 64 * 1024;
/// How long the compiler may take to be stopped where others compute too.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_for_the_compiler_hits_only_itself() {
    let provider = DemoProvider::start(10).await;
    let server = provider
        .known_to(Server::on(Backend::Sqlite).await)
        // Enough for a good one, also where the compiler itself is not optimised.
        .set("JACKFIELD_RUNTIME__COMPILE_CPU_SECONDS", "3")
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
    let before = server.resident_kib();

    let connector = fs::read(connectors::built("demo-crm")).expect("it was built");
    let bomb = wasm::with_bomb(&connector, 3000);
    // In place of the good version, and beside it.
    server.drop_in("demo-crm.wasm", &bomb);
    let refused = until_within(PATIENCE, "the bomb is refused", async || {
        let status = project.get("/connectors/demo-crm").await.json(200);
        let requests = api.get("/crm/contacts?live=true").await;
        requests.expect(200);
        (!status["last_error"].is_null()).then_some(status)
    })
    .await;
    let error = refused["last_error"].as_str().unwrap_or_default();
    let told = "it cannot be compiled: compiling it takes more than ";
    assert!(
        error.starts_with(told) && error.contains("(runtime.compile_"),
        "{error}"
    );
    assert_eq!(refused["state"], "active");
    let after = server.resident_kib();
    assert!(
        after < before + GROWTH_KIB,
        "{before} KiB, then {after} KiB"
    );

    let contacts = api.get("/crm/contacts?limit=50").await.json(200);
    assert_eq!(contacts["data"].as_array().map(Vec::len), Some(10));
}
