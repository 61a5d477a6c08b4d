//! Panora's published Python SDK works against this server unchanged.

use std::process::Command;

use jackfield_tests::{Backend, DemoProvider, Server, connectors, variable};
use serde_json::{Value, json};

on_both_databases!(the_published_python_sdk_works);

async fn the_published_python_sdk_works(backend: Backend) {
    let provider = DemoProvider::start(120).await;
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

    let python = variable("JACKFIELD_TEST_PYTHON").map_or_else(
        || connectors::target().join("test-python/bin/python"),
        Into::into,
    );
    assert!(
        python.is_file(),
        "{} is missing; tests/run makes it",
        python.display()
    );
    let script = connectors::repository().join("tests/e2e/sdk.py");
    let arguments = [
        server.base_url().to_owned(),
        project.key().to_owned(),
        connection.token.clone(),
    ];
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python).arg(script).args(arguments).output()
    });
    let output = output
        .await
        .expect("it does not panic")
        .expect("Python starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");

    assert_eq!(told["health"], 200.0);
    assert_eq!(told["contacts"], 120);
    assert_eq!(told["companies"], api.all("/crm/companies").await.len());
    assert_eq!(told["connection_token"], connection.token.as_str());
    assert_eq!(told["created"]["first_name"], "Ada");
    assert_eq!(told["retrieved"]["id"], told["created"]["id"]);
    assert_eq!(told["linked_user"], "sdk-customer");
    assert_eq!(told["unknown_status"], 404);
    assert_eq!(api.all("/crm/contacts").await.len(), 121);
}
