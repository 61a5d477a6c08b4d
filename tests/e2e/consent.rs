//! What connectors are allowed, who decides, and what happens until somebody does.

use std::fs;

use jackfield_tests::{Api, Backend, Connection, DemoProvider, Server, connectors, until, wasm};
use serde_json::{Value, json};

on_both_databases!(
    more_waits_for_consent_while_the_old_version_serves,
    operators_decide_for_every_host,
    a_version_that_crashes_is_taken_back,
    nothing_before_a_crashing_version_means_a_pause,
);

const SLUG: &str = "/connectors/demo-crm";

fn first() -> Vec<u8> {
    fs::read(connectors::built("demo-crm")).expect("it is built")
}

/// The demo connector under another version, with another manifest.
fn version(version: &str, edit: impl FnOnce(String) -> String) -> Vec<u8> {
    wasm::with_manifest(&first(), |text| {
        let line = format!("version = \"{version}\"");
        edit(text.replacen("version = \"0.1.0\"", &line, 1))
    })
}

/// One that wants to reach another host too.
fn greedy(number: &str) -> Vec<u8> {
    version(number, |text| {
        assert!(text.contains("\nhttp = ["), "{text}");
        text.replacen("\nhttp = [", "\nhttp = [\"https://more.example/\", ", 1)
    })
}

struct House {
    _provider: DemoProvider,
    server: Server,
    project: Api,
    operator: Api,
    connection: Connection,
}

impl House {
    async fn new(backend: Backend, set: &[(&str, &str)]) -> Self {
        let provider = DemoProvider::start(3).await;
        let mut builder = provider
            .known_to(Server::on(backend).await)
            .with("demo-crm");
        for (name, value) in set {
            builder = builder.set(name, value);
        }
        let server = builder.start().await;
        let project = server.project("App");
        project.active("demo-crm").await;
        let credentials = json!({ "api_key": "demo-key" });
        let connection = project.connect("demo-crm", "key", credentials).await;
        let operator = server.operator();
        Self {
            _provider: provider,
            server,
            project,
            operator,
            connection,
        }
    }

    async fn serves(&self, version: &str) -> Value {
        serves(&self.project, version).await
    }

    /// A read that the connector answers.
    async fn live(&self) -> jackfield_tests::Answer {
        let api = self.project.with_token(&self.connection.token);
        api.get("/crm/contacts?live=true").await
    }
}

async fn serves(api: &Api, version: &str) -> Value {
    until(&format!("{version} serves"), async || {
        let status = api.get(SLUG).await.json(200);
        let is_it = status["state"] == "active" && status["version"] == version;
        is_it.then_some(status)
    })
    .await
}

async fn stands(api: &Api, state: &str) -> Value {
    until(&format!("it is {state}"), async || {
        let status = api.get(SLUG).await.json(200);
        (status["state"] == state).then_some(status)
    })
    .await
}

async fn pending(api: &Api, version: &str) -> Value {
    until(&format!("{version} waits"), async || {
        let status = api.get(SLUG).await.json(200);
        (status["consent"]["pending"]["version"] == version).then_some(status)
    })
    .await
}

async fn more_waits_for_consent_while_the_old_version_serves(backend: Backend) {
    let mut house = House::new(backend, &[]).await;
    let granted = house
        .operator
        .get(&format!("{SLUG}/grants"))
        .await
        .json(200);
    assert_eq!(granted["grants"][0]["granted_by"], "placed", "{granted}");
    assert_eq!(granted["publisher"], "unsigned");

    // As much as before: at once.
    house
        .server
        .drop_in("demo-crm.wasm", &version("0.1.1", |text| text));
    house.serves("0.1.1").await;

    house.server.drop_in("demo-crm.wasm", &greedy("0.2.0"));
    let status = pending(&house.project, "0.2.0").await;
    assert_eq!(status["version"], "0.1.1", "{status}");
    assert_eq!(status["state"], "active");
    let waits = &status["consent"]["pending"];
    assert_eq!(waits["added"], json!(["http https://more.example/"]));
    let error = status["last_error"].as_str().expect("it says why");
    assert!(
        error.contains("jackfield connector grant demo-crm"),
        "{error}"
    );
    house.live().await.expect(200);

    // It waits over restarts, and the version before goes on, though its file is gone.
    house.server.stop();
    house.server.start_again().await;
    house.project = house.project.at(house.server.base_url());
    house.operator = house.operator.at(house.server.base_url());
    let status = house.serves("0.1.1").await;
    assert_eq!(status["consent"]["pending"]["version"], "0.2.0");
    house.live().await.expect(200);

    // Only an operator may decide, and only of what he has seen.
    let hash = json!({ "permission_hash": status["consent"]["pending"]["permission_hash"] });
    let path = format!("{SLUG}/grant");
    assert_eq!(
        house.project.post(&path, &hash).await.json(403)["code"],
        "operator_required"
    );
    let other = json!({ "permission_hash": "0".repeat(64) });
    house.operator.post(&path, &other).await.expect(409);
    let difference = house
        .server
        .command_line(&["connector", "diff", "demo-crm"]);
    assert!(
        difference.contains("+ http https://more.example/"),
        "{difference}"
    );
    let unasked = house
        .server
        .refused_command(&["connector", "grant", "demo-crm"]);
    assert!(unasked.contains("--yes"), "{unasked}");
    house.operator.post(&path, &hash).await.expect(200);
    house.serves("0.2.0").await;
    let log = house
        .operator
        .get("/audit-log?subject=demo-crm&action=connector.grant")
        .await;
    let log = log.json(200);
    assert!(
        log["data"][0]["actor"]
            .as_str()
            .expect("somebody")
            .starts_with("operator_key:")
    );
    // A project's key sees what concerns the project alone.
    let own = house.project.get("/audit-log").await.json(200);
    let entries = own["data"].as_array().expect("a list");
    assert!(!entries.is_empty());
    assert!(
        entries.iter().all(|entry| entry["project_id"].is_string()),
        "{own}"
    );
}

async fn operators_decide_for_every_host(backend: Backend) {
    let house = House::new(backend, &[]).await;
    let (server, operator) = (&house.server, &house.operator);
    let beside = server.beside().await;
    let there = house.project.at(beside.base_url());
    server.drop_in("demo-crm.wasm", &version("0.2.0", |text| text));
    house.serves("0.2.0").await;
    serves(&there, "0.2.0").await;

    // On the command line, while both run.
    server.command_line(&["connector", "rollback", "demo-crm"]);
    let status = house.serves("0.1.0").await;
    assert_eq!(status["consent"]["pinned"], "rolled_back");
    serves(&there, "0.1.0").await;
    house.live().await.expect(200);

    // What was rolled back stays away until somebody says otherwise.
    server.command_line(&["connector", "grant", "demo-crm"]);
    house.serves("0.2.0").await;
    serves(&there, "0.2.0").await;

    operator
        .post(&format!("{SLUG}/disable"), &json!({}))
        .await
        .expect(200);
    stands(&house.project, "disabled").await;
    stands(&there, "disabled").await;
    let answer = house.live().await;
    assert!(answer.text.contains("disabled"), "{}", answer.text);
    assert_eq!(answer.json(503)["code"], "connector_unavailable");
    assert!(
        server
            .command_line(&["connector", "list"])
            .contains("disabled")
    );
    operator
        .post(&format!("{SLUG}/enable"), &json!({}))
        .await
        .expect(200);
    serves(&there, "0.2.0").await;
    house.serves("0.2.0").await;

    operator
        .post(&format!("{SLUG}/revoke"), &json!({}))
        .await
        .expect(200);
    stands(&there, "pending_consent").await;
    let status = stands(&house.project, "pending_consent").await;
    let hash = json!({ "permission_hash": status["consent"]["pending"]["permission_hash"] });
    operator
        .post(&format!("{SLUG}/grant"), &hash)
        .await
        .expect(200);
    house.serves("0.2.0").await;
    serves(&there, "0.2.0").await;
    operator
        .post("/connectors/nobody/disable", &json!({}))
        .await
        .expect(404);
    operator
        .post(&format!("{SLUG}/enable"), &json!({}))
        .await
        .expect(409);
}

async fn a_version_that_crashes_is_taken_back(backend: Backend) {
    let house = House::new(backend, &[]).await;
    let broken = wasm::with_crashes(&version("0.2.0", |text| text));
    house.server.drop_in("demo-crm.wasm", &broken);
    let broken = until("the version is taken back", async || {
        house.live().await;
        let known = house
            .operator
            .get(&format!("{SLUG}/grants"))
            .await
            .json(200);
        let versions = known["versions"].as_array().expect("a list");
        let broken = versions.iter().find(|known| known["version"] == "0.2.0");
        broken
            .filter(|known| known["standing"] == "rolled_back")
            .cloned()
    })
    .await;
    let reason = broken["reason"].as_str().expect("it says why");
    assert!(reason.contains("of its last"), "{reason}");
    let status = house.serves("0.1.0").await;
    assert_eq!(status["consent"]["pinned"], "rolled_back");
    until("it answers", async || {
        (house.live().await.status == 200).then_some(())
    })
    .await;
    let log = house
        .operator
        .get("/audit-log?action=connector.rollback")
        .await
        .json(200);
    assert_eq!(log["data"][0]["actor"], "host");
}

async fn nothing_before_a_crashing_version_means_a_pause(backend: Backend) {
    let builder = Server::on(backend).await;
    let broken = wasm::with_crashes(&first());
    fs::write(builder.folder().join("plugins/demo-crm.wasm"), broken).expect("it is writable");
    let provider = DemoProvider::start(3).await;
    let builder = provider
        .known_to(builder)
        .set("JACKFIELD_BREAKER__PAUSE_SECONDS", "3600");
    let server = builder.start().await;
    let project = server.project("App");
    let user = project.linked_user("customer").await;
    let body = json!({
        "connector": "demo-crm", "scheme": "key", "linked_user_id": user,
        "fields": { "api_key": "demo-key" },
    });
    let answer = until("it is suspended", async || {
        let answer = project.post("/connections", &body).await;
        assert!(answer.status >= 400, "{}", answer.text);
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert!(answer.text.contains("suspended until"), "{}", answer.text);
    let status = project.get(SLUG).await.json(200);
    assert_eq!(status["state"], "suspended");
    server.command_line(&["connector", "enable", "demo-crm"]);
    stands(&project, "active").await;
}
