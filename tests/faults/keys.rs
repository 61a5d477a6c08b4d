//! Killed while values are sealed again under a new key.

use jackfield_tests::{Backend, DemoProvider, Server, until};
use serde_json::json;

use crate::{on_both_databases, points::PROGRAM};

on_both_databases!(killed_while_it_seals_again_it_goes_on);

async fn killed_while_it_seals_again_it_goes_on(backend: Backend) {
    let provider = DemoProvider::start(1).await;
    let builder = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    let mut server = builder.program(PROGRAM).start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let credentials = json!({ "api_key": "demo-key" });
    let connection = project.connect("demo-crm", "key", credentials).await;
    server.stop();

    // Each kind of value is a transaction of its own: credentials, then tokens.
    server.command_line(&["key", "rotate", "--after", "0"]);
    server.set("FAULT_POINT", Some("rewrap.batch:1"));
    server.spawn_again();
    // Perhaps before it listens.
    if server.listens().await.is_some() {
        until("the server is killed", async || server.ended()).await;
    }
    let list = server.command_line(&["key", "list"]);
    let sealed = |number: u32, count: u32| {
        let mut lines = list.lines().map(str::trim);
        lines.any(|line| {
            line.starts_with(&format!("{number}  made"))
                && line.ends_with(&format!(" {count} values"))
        })
    };
    assert!(sealed(1, 1) && sealed(2, 1), "{list}");

    server.set("FAULT_POINT", None);
    server.start_again().await;
    until("the rest is sealed again", async || {
        let list = server.command_line(&["key", "list"]);
        list.contains("opens  0 values").then_some(())
    })
    .await;
    let api = project.at(server.base_url()).with_token(&connection.token);
    let body = json!({ "method": "GET", "path": "/v1/people" });
    let answer = api.post("/passthrough", &body).await.json(200);
    assert_eq!(answer["status"], 200, "{answer}");
}
