//! The API as tools of the Model Context Protocol, used by the protocol's own client.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use jackfield_tests::{
    Backend, DemoProvider, Server,
    api::{http, text},
    connectors, until,
};
use serde_json::{Value, json};

on_both_databases!(a_model_operates_what_its_key_opens);

/// A running client.
struct Client {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// What the server told of itself, or why it refused.
    hello: Value,
}

impl Client {
    fn start(server: &Server, key: &str) -> Self {
        let script = connectors::repository().join("tests/e2e/mcp.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(connectors::target().join("test-node"))
            .arg(format!("{}/mcp", server.base_url()))
            .arg(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/tools/install has installed it");
        let input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let mut client = Self {
            child,
            input,
            output: BufReader::new(output).lines(),
            hello: Value::Null,
        };
        client.hello = client.line();
        client
    }

    fn line(&mut self) -> Value {
        let line = self.output.next().expect("the client says something");
        serde_json::from_str(&line.expect("it is text")).expect("it is JSON")
    }

    fn ask(&mut self, asked: &Value) -> Value {
        writeln!(self.input, "{asked}").expect("the client listens");
        self.line()
    }

    fn result(&mut self, tool: &str, arguments: &Value) -> Value {
        self.ask(&json!({ "tool": tool, "arguments": arguments }))
    }

    /// What a call gives that works.
    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let result = self.result(tool, arguments);
        assert_ne!(result["isError"], true, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// What a call says that does not.
    fn fails(&mut self, tool: &str, arguments: &Value) -> String {
        let result = self.result(tool, arguments);
        assert_eq!(result["isError"], true, "{tool}: {result}");
        text(&result["content"][0]["text"])
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn a_model_operates_what_its_key_opens(backend: Backend) {
    let provider = DemoProvider::start(5).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .start()
        .await;
    let api = server.project("App");
    api.active("demo-crm").await;
    let login = json!({ "api_key": "demo-key" });
    let connection = api.connect("demo-crm", "key", login).await;
    api.with_token(&connection.token).synced("crm").await;

    let mut client = Client::start(&server, api.key());
    assert_eq!(
        client.hello["server"]["name"], "jackfield",
        "{}",
        client.hello
    );
    assert!(text(&client.hello["instructions"]).contains("list_connections"));
    let tools = client.ask(&json!({ "list": true }));
    let tools = tools["tools"].as_array().expect("it lists tools").clone();
    assert_eq!(tools.len(), 12);
    let delete = tools.iter().find(|tool| tool["name"] == "delete_record");
    assert_eq!(
        delete.expect("it is there")["annotations"]["destructiveHint"],
        true
    );

    let connectors = client.call("list_connectors", &json!({}));
    assert!(connectors.to_string().contains("demo-crm"));
    let connections = client.call("list_connections", &json!({}));
    assert_eq!(
        connections["items"][0]["id_connection"],
        connection.id.as_str()
    );
    assert!(
        !connections.to_string().contains(&connection.token),
        "no token is told"
    );
    let place = json!({ "connection_id": connection.id, "object": "crm.contact" });
    let with = |more: Value| {
        let mut arguments = place.clone();
        let all = arguments.as_object_mut().expect("it is an object");
        all.extend(more.as_object().expect("so is this").clone());
        arguments
    };
    let objects = client.call("list_objects", &json!({ "connection_id": connection.id }));
    assert!(objects.to_string().contains("crm.contact"));
    assert!(!objects.to_string().contains("ticketing.ticket"));
    let object = client.call("list_objects", &json!({ "object": "crm.contact" }));
    assert!(object["schema"]["properties"]["first_name"].is_object());
    let page = client.call("list_records", &with(json!({ "limit": 2 })));
    assert_eq!(page["data"].as_array().map(Vec::len), Some(2));
    let further = client.call(
        "list_records",
        &with(json!({ "cursor": page["next_cursor"] })),
    );
    assert_eq!(further["data"].as_array().map(Vec::len), Some(3));

    let data = json!({ "first_name": "Ada", "last_name": "Lovelace" });
    client.call(
        "create_record",
        &with(json!({ "data": data, "dry_run": true })),
    );
    let made = client.call("create_record", &with(json!({ "data": data })));
    let of_it = with(json!({ "id": made["id"] }));
    assert_eq!(client.call("get_record", &of_it)["first_name"], "Ada");
    let change = with(json!({ "id": made["id"], "data": { "first_name": "Augusta" } }));
    assert_eq!(
        client.call("update_record", &change)["first_name"],
        "Augusta"
    );
    client.call("delete_record", &of_it);
    let gone = client.fails("get_record", &of_it);
    assert!(gone.contains("record_not_found"), "{gone}");

    client.call("sync_now", &place);
    let filter = json!({ "connection_id": connection.id, "status": "completed" });
    let run = until("a run is over", async || {
        let runs = api.get("/sync-runs?status=completed").await.json(200);
        runs["data"][0]["id"].as_str().map(drop)
    });
    run.await;
    let runs = client.call("list_sync_runs", &filter);
    let run = &runs["data"][0]["id"];
    let shown = client.call("get_sync_run", &json!({ "run_id": run }));
    assert_eq!(shown["id"], *run);
    let diagnosis = client.call("diagnose", &json!({ "run_id": run }));
    assert_eq!(diagnosis["problems"], json!([]));
    let of_connection = json!({ "connection_id": connection.id });
    assert_eq!(
        client.call("diagnose", &of_connection)["problems"],
        json!([])
    );
    client.call("diagnose", &json!({}));

    for (tool, arguments, word) in [
        ("get_record", place.clone(), "`id` is missing"),
        (
            "get_record",
            with(json!({ "id": "../../projects" })),
            "no id",
        ),
        (
            "list_records",
            with(json!({ "limit": "many" })),
            "whole number",
        ),
        (
            "list_records",
            json!({ "connection_id": connection.id, "object": "crm.x" }),
            "list_objects",
        ),
        (
            "create_record",
            with(json!({ "data": { "first_name": 7 } })),
            "/first_name",
        ),
        ("get_sync_run", json!({ "run": "x" }), "no argument `run`"),
    ] {
        let said = client.fails(tool, &arguments);
        assert!(said.contains(word), "{tool}: {said}");
    }
    let unknown = client.result("drop_database", &json!({}));
    assert!(unknown["thrown"].is_string(), "{unknown}");

    // Another project's key reaches nothing of it, and no key nothing at all.
    let stranger = server.project("Other");
    let mut other = Client::start(&server, stranger.key());
    let said = other.fails("list_records", &place);
    assert!(said.contains("connection_not_found"), "{said}");
    let said = other.fails("get_sync_run", &json!({ "run_id": run }));
    assert!(said.contains("sync_run_not_found"), "{said}");
    assert_eq!(
        other.call("list_connections", &json!({}))["items"],
        json!([])
    );
    let refused = Client::start(&server, "jk_000000000000000000000000000000000000");
    assert!(refused.hello["refused"].is_string(), "{}", refused.hello);
    origins_are_looked_at(&server, api.key()).await;
}

async fn origins_are_looked_at(server: &Server, key: &str) {
    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    });
    let url = format!("{}/mcp", server.base_url());
    for (origin, status) in [
        (None, 200),
        (Some(server.base_url()), 200),
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
    ] {
        let mut request = http()
            .post(&url)
            .header("x-api-key", key)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(initialize.to_string());
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request.send().await.expect("the server answers");
        assert_eq!(answer.status().as_u16(), status, "{origin:?}");
    }
    let without = http().post(&url).body("{}").send().await;
    assert_eq!(without.expect("the server answers").status().as_u16(), 401);
}
