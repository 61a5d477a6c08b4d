//! The HTTP API keeps what its own description promises, whatever is thrown at it.

use std::process::{Command, Output};

use fake_omni::{KEY, Omni};
use jackfield::model::ObjectKind;
use jackfield_tests::{Api, Backend, Server, connectors, variable};
use serde_json::json;

on_both_databases!(no_input_breaks_the_description);

/// Cases of each operation. `just schemathesis` sets more, and with them comes the phase that goes
/// through every keyword of every schema: some 45,000 cases, which take minutes.
const CASES: &str = "12";

/// What must hold: no 5xx, no answer that its description does not allow, no input accepted that
/// the description forbids, no key or token left away.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
response_headers_conformance,response_schema_conformance,negative_data_rejection,\
unsupported_method,ignored_auth";

/// Operations that answer 501 to everybody: of the published contract, and for want of an assistant.
const NOT_OFFERED: [&str; 3] = ["signIn", "query", "askDiagnosis"];

#[expect(clippy::print_stdout, reason = "the figures of the run")]
async fn no_input_breaks_the_description(backend: Backend) {
    let provider = Omni::start(20).await;
    let server = Server::on(backend)
        .await
        .set("JACKFIELD_HTTP__RATE_LIMIT", "0")
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
    let mut verticals: Vec<_> = ObjectKind::all()
        .map(|kind| &kind.spec().vertical)
        .collect();
    verticals.dedup();
    for vertical in verticals {
        api.synced(vertical).await;
    }

    let output = run(&server, &project, &connection.token).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let lines: Vec<_> = text.lines().collect();
    println!("{}", lines[lines.len().saturating_sub(25)..].join("\n"));

    assert!(!server.log().contains("panicked"), "a handler panicked");
    // What came after its end would have been refused and not looked at.
    let path = format!("/connections/{}", connection.id);
    assert_eq!(project.get(&path).await.json(200)["status"], "valid");
}

async fn run(server: &Server, project: &Api, token: &str) -> Output {
    let program = connectors::target().join("test-schemathesis/bin/schemathesis");
    assert!(
        program.is_file(),
        "{} is missing; tests/run makes it",
        program.display()
    );
    let more = variable("JACKFIELD_TEST_CASES");
    let phases = match more {
        Some(_) => "examples,coverage,fuzzing",
        None => "examples,fuzzing",
    };
    let cases = more.unwrap_or_else(|| CASES.into());
    let scratch = tempfile::tempdir().expect("a folder can be made");
    let mut command = Command::new(program);
    command
        .current_dir(scratch.path())
        .arg("run")
        .arg(format!("{}/openapi.json", server.base_url()))
        .args(["--url", server.base_url()])
        .args(["--checks", CHECKS])
        .args(["--phases", phases])
        .args(["--max-examples", &cases])
        // Two workers trip over a cache of Hypothesis.
        .args(["--workers", "1"])
        .args(["--generation-deterministic", "--no-color"])
        .args(["--request-timeout", "60"])
        .args(["-H", &format!("x-api-key: {}", project.key())])
        .args(["-H", &format!("x-connection-token: {token}")]);
    for id in NOT_OFFERED {
        command.args(["--exclude-operation-id", id]);
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    output.expect("it does not panic").expect("it starts")
}
