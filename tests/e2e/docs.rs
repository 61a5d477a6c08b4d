//! Every snippet of the documentation works as printed.

use std::{fs, path::PathBuf};

use jackfield_tests::{
    Api, Backend, DemoProvider, Server, connectors,
    snippets::{self, Block, Running},
    until,
};
use serde_json::{Value, json};

/// Pages whose shell blocks run against a server with the demo connector.
const PAGES: [&str; 12] = [
    "quick-start.md",
    "authentication.md",
    "connections.md",
    "connect.md",
    "objects.md",
    "syncing.md",
    "webhooks.md",
    "custom-fields.md",
    "passthrough.md",
    "errors.md",
    "migrate-from-panora.md",
    "troubleshooting.md",
];

/// Pages that are no stories for users of the API: read by other tests, or by people alone.
const OTHERS: [&str; 11] = [
    "dashboard.md",
    "embedding.md",
    "marketplace.md",
    "README.md",
    "connectors.md",
    "connector-spec.md",
    "other-languages.md",
    "reliability.md",
    "security.md",
    "threat-model.md",
    "mcp.md",
];

/// What `jackfield dev` gives to its user, for one page.
struct Desk {
    _provider: DemoProvider,
    _server: Server,
    api: Api,
    environment: Vec<(&'static str, String)>,
}

impl Desk {
    async fn new() -> Self {
        let provider = DemoProvider::start(60).await;
        let server = provider
            .known_to(Server::on(Backend::Sqlite).await)
            .with("demo-crm")
            .start()
            .await;
        let api = server.project("Documentation");
        api.active("demo-crm").await;
        let connection = api
            .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
            .await;
        api.with_token(&connection.token).synced("crm").await;
        let environment = vec![
            ("API", server.base_url().to_owned()),
            ("KEY", api.key().to_owned()),
            ("TOKEN", connection.token.clone()),
            ("CONNECTION", connection.id.clone()),
            ("PROVIDER", provider.base_url().to_owned()),
        ];
        Self {
            api: api.with_token(&connection.token),
            _provider: provider,
            _server: server,
            environment,
        }
    }
}

fn folder() -> PathBuf {
    connectors::repository().join("docs")
}

fn page(name: &str) -> Vec<Block> {
    let text = fs::read_to_string(folder().join(name)).expect("the page is there");
    snippets::blocks(&text)
}

#[test]
fn every_page_is_run_or_known_to_have_nothing_to_run() {
    for entry in fs::read_dir(folder()).expect("there is a folder of pages") {
        let path = entry.expect("it can be read").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "md") {
            assert!(
                PAGES.contains(&name) || OTHERS.contains(&name),
                "docs/{name} is run by no test"
            );
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = PAGES.iter().chain(&OTHERS).map(|name| folder().join(name));
    for path in pages.chain([connectors::repository().join("README.md")]) {
        let text = fs::read_to_string(&path).expect("the page is there");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let place = path.with_file_name(target);
            assert!(place.exists(), "{}: {target} is not there", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_every_page_works_as_printed() {
    for name in PAGES {
        let desk = Desk::new().await;
        let blocks = page(name);
        let environment = desk.environment.clone();
        let work = move || {
            let scratch = tempfile::tempdir().expect("a folder can be made");
            snippets::run_shell(name, &blocks, &environment, scratch.path());
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_program_of_every_page_does_its_work() {
    let desk = Desk::new().await;
    for name in PAGES {
        for block in page(name) {
            if !matches!(block.language.as_str(), "python" | "ts" | "go" | "rust") {
                continue;
            }
            let place = format!("{name}:{}", block.line);
            let is_receiver = block.words.iter().any(|word| word == "receiver");
            let scratch = tempfile::tempdir().expect("a folder can be made");
            let building = scratch.path().to_owned();
            let command = tokio::task::spawn_blocking(move || snippets::prepare(&block, &building));
            let mut command = command
                .await
                .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            if is_receiver {
                receives(&place, &desk, command).await;
                continue;
            }
            let environment = desk.environment.clone();
            command.envs(environment);
            let output = tokio::task::spawn_blocking(move || command.output())
                .await
                .expect("it does not panic")
                .expect("it starts");
            assert!(
                output.status.success(),
                "{place}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

/// A receiver of webhooks takes what the server sends, and nothing that was changed on the way.
async fn receives(place: &str, desk: &Desk, command: std::process::Command) {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/webhooks");
    let body = json!({ "url": url, "scope": ["crm.*"], "description": place });
    let endpoint = desk.api.post("/webhooks", &body).await.json(201);
    let secret = endpoint["secret"]
        .as_str()
        .expect("the secret is shown once")
        .to_owned();
    let environment = [("PORT", port.to_string()), ("WEBHOOK_SECRET", secret)];
    let _running = Running::start(command, &environment);
    let anyone = Api::new(&format!("http://127.0.0.1:{port}"));
    let forged = json!({ "type": "crm.contact.created", "data": { "first_name": "Mallory" } });
    until(&format!("{place} listens"), async || {
        let answer = anyone
            .try_send(reqwest::Method::POST, "/webhooks", Some(&forged))
            .await
            .ok()?;
        assert!(
            (400..500).contains(&answer.status),
            "{place} takes a forged event: {}",
            answer.status
        );
        Some(())
    })
    .await;
    let path = format!(
        "/webhooks/{}/test",
        endpoint["id_webhook_endpoint"]
            .as_str()
            .expect("it has an id")
    );
    let attempt: Value = desk.api.post(&path, &json!({})).await.json(200);
    let status = attempt["attempt"]["status"].as_u64().unwrap_or_default();
    assert!(
        (200..300).contains(&status),
        "{place} refuses a good event: {attempt:#}"
    );
}

/// A port that nobody uses now. The program under test takes a number, not a socket.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
