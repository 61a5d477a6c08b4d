//! Connectors come from somewhere: signed, published, listed, installed, updated.

use std::{fs, path::PathBuf};

use jackfield_tests::{Api, Backend, Server, connectors, registry::Registry, until, wasm};
use serde_json::{Value, json};

on_both_databases!(
    a_signed_connector_goes_through_a_registry_to_every_host,
    what_was_changed_or_is_older_is_refused,
    signatures_may_be_required,
);

const SLUG: &str = "/connectors/demo-crm";

/// The demo connector under another version.
fn version(number: &str) -> Vec<u8> {
    let first = fs::read(connectors::built("demo-crm")).expect("it is built");
    wasm::with_manifest(&first, |text| {
        text.replacen("version = \"0.1.0\"", &format!("version = \"{number}\""), 1)
    })
}

struct Publisher {
    folder: tempfile::TempDir,
    key: String,
}

impl Publisher {
    fn new(server: &Server) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("key").display().to_string();
        let key = server.command_line(&["connector", "key", "new", &file]);
        let key = key.trim().to_owned();
        assert!(key.starts_with("ed25519:"), "{key}");
        Self { folder, key }
    }

    /// A signed file.
    fn signed(&self, server: &Server, bytes: &[u8], name: &str) -> String {
        let file = self.path(name);
        fs::write(&file, bytes).expect("the folder is writable");
        let file = file.display().to_string();
        let key = self.path("key").display().to_string();
        let said = server.command_line(&["connector", "sign", &file, "--key", &key]);
        assert!(said.contains(&self.key), "{said}");
        file
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

async fn serves(api: &Api, version: &str) -> Value {
    until(&format!("{version} serves"), async || {
        let answer = api.get(SLUG).await;
        if answer.status == 404 {
            return None;
        }
        let status = answer.json(200);
        let is_it = status["state"] == "active" && status["version"] == version;
        is_it.then_some(status)
    })
    .await
}

async fn a_signed_connector_goes_through_a_registry_to_every_host(backend: Backend) {
    let registry = Registry::start().await;
    let index = registry.reference("index:latest");
    let mut server = Server::on(backend)
        .await
        .set(
            "JACKFIELD_MARKETPLACE__DOCKER_CONFIG",
            &registry.docker_config(),
        )
        .set("JACKFIELD_MARKETPLACE__INDEXES", &index)
        .start()
        .await;
    let beside = server.beside().await;
    let (project, operator) = (server.project("App"), server.operator());
    let there = project.at(beside.base_url());
    let publisher = Publisher::new(&server);
    let repository = registry.reference("acme/demo-crm");
    let publish = |number: &str| {
        let file = publisher.signed(&server, &version(number), &format!("{number}.wasm"));
        server.command_line(&["connector", "publish", &file, &repository])
    };
    let pinned = publish("1.0.0");
    assert!(pinned.contains(":1.0.0@sha256:"), "{pinned}");
    // The same again changes nothing.
    assert_eq!(publish("1.0.0"), pinned);
    server.command_line(&["connector", "index", &repository, "--to", &index]);

    let listed = project
        .get("/marketplace?q=demo&vertical=crm")
        .await
        .json(200);
    let found = &listed["data"][0];
    assert_eq!(found["slug"], "demo-crm", "{listed}");
    assert_eq!(found["publisher"], publisher.key.as_str());
    assert_eq!(
        (&found["installed"], &found["updatable"]),
        (&json!(false), &json!(false))
    );
    let none = project.get("/marketplace?vertical=hris").await.json(200);
    assert_eq!(none["data"], json!([]));
    let words = server.command_line(&["connector", "search", "demo"]);
    assert!(words.contains("demo-crm"), "{words}");

    // A look, then consent to what was seen.
    let path = "/marketplace/demo-crm/install";
    project.post(path, &json!({})).await.expect(403);
    let offer = operator.post(path, &json!({})).await.json(200);
    assert_eq!(offer["installed"], false);
    assert_eq!(offer["added"], offer["permissions"]);
    project.get(SLUG).await.expect(404);
    let wrong = json!({ "consent": "0".repeat(64) });
    assert!(
        operator.post(path, &wrong).await.json(409)["detail"]
            .to_string()
            .contains("consent")
    );
    let consent = json!({ "consent": offer["permission_hash"] });
    let installed = operator.post(path, &consent).await.json(200);
    assert_eq!(installed["installed"], true);
    let status = serves(&project, "1.0.0").await;
    assert_eq!(status["consent"]["publisher"], publisher.key.as_str());
    assert_eq!(status["consent"]["pinned"], "installed");
    serves(&there, "1.0.0").await;

    publish("1.1.0");
    let updated = server.command_line(&["connector", "update", "--yes"]);
    assert!(updated.contains("1.1.0"), "{updated}");
    serves(&project, "1.1.0").await;
    serves(&there, "1.1.0").await;
    server.command_line(&["connector", "rollback", "demo-crm"]);
    serves(&there, "1.0.0").await;
    // It is in the database, and not in any folder.
    let folder = server.folder().join("data/installed");
    server.stop();
    fs::remove_dir_all(folder).expect("it was there");
    server.start_again().await;
    let project = project.at(server.base_url());
    serves(&project, "1.0.0").await;

    let log = operator
        .at(server.base_url())
        .get("/audit-log?action=connector.install")
        .await;
    let log = log.json(200);
    assert_eq!(log["data"][0]["actor"], "cli");
    assert!(
        log["data"][1]["actor"]
            .as_str()
            .expect("somebody")
            .starts_with("operator_key:")
    );
    let source = log["data"][0]["details"]["source"]
        .as_str()
        .expect("it came from somewhere");
    assert!(source.contains("@sha256:"), "{source}");
}

async fn what_was_changed_or_is_older_is_refused(backend: Backend) {
    let registry = Registry::start().await;
    let server = Server::on(backend)
        .await
        .set(
            "JACKFIELD_MARKETPLACE__DOCKER_CONFIG",
            &registry.docker_config(),
        )
        .start()
        .await;
    let project = server.project("App");
    let publisher = Publisher::new(&server);
    let install = |from: &str| {
        vec![
            "connector".to_owned(),
            "install".to_owned(),
            from.to_owned(),
            "--yes".to_owned(),
        ]
    };
    let run = |from: &str, more: &[&str]| {
        let arguments = install(from);
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(more);
        server.command_line(&arguments)
    };
    let refused = |from: &str| {
        let arguments = install(from);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        server.refused_command(&arguments)
    };

    // From a file, without a network.
    let second = publisher.signed(&server, &version("2.0.0"), "second.wasm");
    run(&second, &[]);
    serves(&project, "2.0.0").await;
    let first = publisher.signed(&server, &version("1.0.0"), "first.wasm");
    let says = refused(&first);
    assert!(says.contains("--allow-downgrade"), "{says}");
    run(&first, &["--allow-downgrade"]);
    serves(&project, "1.0.0").await;

    // One byte after it was signed.
    let mut changed = fs::read(&second).expect("it is there");
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let file = publisher.path("changed.wasm");
    fs::write(&file, &changed).expect("the folder is writable");
    let says = refused(&file.display().to_string());
    assert!(says.contains("signature"), "{says}");

    // What a registry changes is noticed, whoever signed.
    let repository = registry.reference("demo-crm");
    let pinned = server.command_line(&["connector", "publish", &second, &repository]);
    registry.tamper(&fs::read(&second).expect("it is there"));
    let says = refused(pinned.trim());
    assert!(says.contains("registry"), "{says}");
    let other = publisher.signed(&server, &version("2.0.0"), "other.wasm");
    fs::write(&other, version("2.0.0")).expect("the folder is writable");
    let says = server.refused_command(&["connector", "publish", &other, &repository]);
    assert!(!says.is_empty());
    serves(&project, "1.0.0").await;
}

async fn signatures_may_be_required(backend: Backend) {
    let builder = Server::on(backend).await.with("demo-crm");
    let mut server = builder.start().await;
    let project = server.project("App");
    serves(&project, "0.1.0").await;
    let (publisher, stranger) = (Publisher::new(&server), Publisher::new(&server));
    server.stop();
    server.set("JACKFIELD_MARKETPLACE__REQUIRE_SIGNATURE", Some("true"));
    server.set("JACKFIELD_MARKETPLACE__PUBLISHERS", Some(&publisher.key));
    server.start_again().await;
    let project = project.at(server.base_url());
    let listed = project.get("/connectors").await.json(200);
    assert_eq!(listed[0]["state"], "rejected", "{listed}");
    let error = listed[0]["last_error"].as_str().expect("it says why");
    assert!(error.contains("not signed"), "{error}");
    let theirs = stranger.signed(&server, &version("0.2.0"), "theirs.wasm");
    let says = server.refused_command(&["connector", "install", &theirs, "--yes"]);
    assert!(says.contains("marketplace.publishers"), "{says}");
    let ours = publisher.signed(&server, &version("0.2.0"), "ours.wasm");
    // Nobody had signed it before.
    let says = server.refused_command(&["connector", "install", &ours, "--yes"]);
    assert!(says.contains("--new-publisher"), "{says}");
    server.command_line(&["connector", "install", &ours, "--yes", "--new-publisher"]);
    serves(&project, "0.2.0").await;
}
