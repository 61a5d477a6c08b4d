//! The HTTP API keeps what its own description promises, whatever is thrown at it.

use std::process::Command;

use jackfield_tests::{Backend, DemoProvider, Server, connectors, variable};
use serde_json::json;

on_both_databases!(no_input_breaks_the_description);

/// Cases of each operation, in the phase that makes them up. `just schemathesis` sets more.
const CASES: &str = "12";

/// What must hold: no 5xx but those described, no answer that its schema does not allow, no input
/// accepted that the schema forbids.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
response_headers_conformance,response_schema_conformance,negative_data_rejection,\
unsupported_method,ignored_auth";

async fn no_input_breaks_the_description(backend: Backend) {
    let provider = DemoProvider::start(20).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .set("JACKFIELD_HTTP__RATE_LIMIT", "0")
        .with("demo-crm")
        .start()
        .await;
    let api = server.project("Fuzzed");
    api.active("demo-crm").await;
    let connection = api
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    api.with_token(&connection.token).synced("crm").await;

    let program = connectors::target().join("test-schemathesis/bin/schemathesis");
    assert!(
        program.is_file(),
        "{} is missing; tests/run makes it",
        program.display()
    );
    let scratch = tempfile::tempdir().expect("a folder can be made");
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(format!("{}/openapi.json", server.base_url()))
        .args([
            "--url",
            server.base_url(),
            "--checks",
            CHECKS,
            "--phases",
            "examples,coverage,fuzzing",
        ])
        .args([
            "--max-examples",
            &variable("JACKFIELD_TEST_CASES").unwrap_or_else(|| CASES.into()),
        ])
        .args([
            "--generation-deterministic",
            "--workers",
            "2",
            "--no-color",
            "--request-timeout",
            "60",
        ])
        .args(["-H", &format!("x-api-key: {}", api.key())])
        .args(["-H", &format!("x-connection-token: {}", connection.token)])
        .current_dir(scratch.path());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("it does not panic")
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!(
        "{}",
        text.lines()
            .rev()
            .take(25)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert!(!server.log().contains("panicked"), "a handler panicked");
}
