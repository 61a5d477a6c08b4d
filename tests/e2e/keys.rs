//! Encryption keys: the wrong one, several at once, and a new one while the server runs.

use jackfield_tests::{Api, Backend, DemoProvider, Server, until};
use serde_json::json;

on_both_databases!(
    a_wrong_encryption_key_is_refused_at_start,
    keys_are_rotated_while_the_server_runs,
);

const OLD: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const KEY: &str = "JACKFIELD_ENCRYPTION_KEY";

async fn started(backend: Backend) -> (DemoProvider, Server, Vec<Api>) {
    let provider = DemoProvider::start(3).await;
    let builder = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .set(KEY, OLD);
    let server = builder.start().await;
    let mut connected = Vec::new();
    for _ in 0..3 {
        let project = server.project("App");
        project.active("demo-crm").await;
        let credentials = json!({ "api_key": "demo-key" });
        let connection = project.connect("demo-crm", "key", credentials).await;
        connected.push(project.with_token(&connection.token));
    }
    (provider, server, connected)
}

/// Whether a connection's credentials can be opened: the provider answers.
async fn works(api: &Api, server: &Server) {
    let body = json!({ "method": "GET", "path": "/v1/people" });
    let api = api.at(server.base_url());
    let answer = api.post("/passthrough", &body).await.json(200);
    assert_eq!(answer["status"], 200, "{answer}");
}

/// Starts it and gives what it logs; it must not listen.
async fn refused(server: &mut Server) -> String {
    let before = server.log().len();
    server.spawn_again();
    assert!(server.listens().await.is_none(), "it listens");
    let log = server.log();
    log.get(before..).unwrap_or_default().to_owned()
}

/// How many values `key list` says a data key sealed; none where there is no such key.
fn values(server: &Server, number: u32) -> Option<u64> {
    let list = server.command_line(&["key", "list"]);
    let line = list
        .lines()
        .find(|line| line.trim().starts_with(&format!("{number}  made")))?;
    let words: Vec<_> = line.split_whitespace().collect();
    words.iter().rev().nth(1)?.parse().ok()
}

async fn a_wrong_encryption_key_is_refused_at_start(backend: Backend) {
    let (_provider, mut server, connected) = started(backend).await;
    server.stop();
    server.set(KEY, Some(NEW));
    let log = refused(&mut server).await;
    let told = [
        "this database is sealed under the encryption key",
        "JACKFIELD_ENCRYPTION_KEY",
    ];
    assert!(told.iter().all(|text| log.contains(text)), "{log}");
    assert!(
        !log.contains("11111111") && !log.contains("22222222"),
        "{log}"
    );
    let told = server.refused_command(&["key", "list"]);
    assert!(told.contains("fingerprint"), "{told}");

    server.set(KEY, Some(&format!("{NEW},{OLD}")));
    server.start_again().await;
    for api in &connected {
        works(api, &server).await;
    }
}

async fn keys_are_rotated_while_the_server_runs(backend: Backend) {
    let (_provider, mut server, connected) = started(backend).await;
    assert_eq!(
        values(&server, 1),
        Some(6),
        "three credentials, three tokens"
    );
    server.stop();
    server.set(KEY, Some(&format!("{NEW},{OLD}")));
    server.start_again().await;

    let told = server.refused_command(&["key", "drop", "1"]);
    assert!(told.contains("the one that seals"), "{told}");
    let told = server.command_line(&["key", "rotate", "--after", "5"]);
    assert!(told.contains("Data key 2"), "{told}");
    until("all is under the new key", async || {
        for api in &connected {
            works(api, &server).await;
        }
        (values(&server, 1) == Some(0) && values(&server, 2) == Some(6)).then_some(())
    })
    .await;
    let list = server.command_line(&["key", "list"]);
    assert!(!list.contains(OLD) && !list.contains(NEW), "{list}");
    server.command_line(&["key", "drop", "1"]);
    assert_eq!(values(&server, 1), None);
    let told = server.refused_command(&["key", "drop", "2"]);
    assert!(told.contains("the one that seals"), "{told}");
    assert!(
        server
            .command_line(&["key", "list"])
            .contains("nothing needs it")
    );

    // The old key is not needed any more, and is not enough.
    server.stop();
    server.set(KEY, Some(OLD));
    refused(&mut server).await;
    server.set(KEY, Some(NEW));
    server.start_again().await;
    for api in &connected {
        works(api, &server).await;
    }
    assert_eq!(
        server.command_line(&["key", "rewrap"]),
        "Resealed 0 values.\n"
    );
}
