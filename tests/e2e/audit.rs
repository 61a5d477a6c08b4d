//! The audit log: what an API key changes is told, with the key and without a secret.

use jackfield_tests::{Api, Backend, DemoProvider, Server, api::text};
use reqwest::Method;
use serde_json::{Value, json};

on_both_databases!(what_a_key_changes_stands_in_the_audit_log);

/// Each action on the project's subjects, oldest first.
async fn log(api: &Api) -> Vec<Value> {
    let page = api.get("/audit-log?limit=100").await.json(200);
    let mut entries = page["data"].as_array().cloned().unwrap_or_default();
    entries.reverse();
    entries
}

async fn what_a_key_changes_stands_in_the_audit_log(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .start()
        .await;
    let (project, other) = (server.project("App"), server.project("Other"));
    project.active("demo-crm").await;
    let connected = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    let before = log(&project).await.len();

    let endpoint = json!({ "url": "https://app.example.com/hook", "scope": ["crm.*"] });
    let made = project.post("/webhooks", &endpoint).await.json(201);
    let webhook = text(&made["id_webhook_endpoint"]);
    let at = format!("/webhooks/{webhook}");
    let moved = json!({ "url": "https://elsewhere.example.com/hook" });
    project.patch(&at, &moved).await.json(200);
    let off = json!({ "active": false });
    project.send(Method::PUT, &at, Some(&off)).await.json(201);
    let rotate = format!("{at}/rotate");
    let rotated = project.post(&rotate, &json!({})).await.json(200);
    project.delete(&at).await.json(201);

    let field = json!({ "object": "crm.contact", "slug": "size", "data_type": "number" });
    let field = text(&project.post("/custom_fields", &field).await.json(201)["id"]);
    let place = format!("/custom_fields/{field}");
    let said = json!({ "description": "Of the shoe." });
    project.patch(&place, &said).await.json(200);
    let mapping = json!({ "connector": "demo-crm", "remote_fields": ["size"], "transforms": [] });
    let mappings = format!("{place}/mappings");
    let mapping = text(&project.post(&mappings, &mapping).await.json(201)["id"]);
    let mapped = format!("{mappings}/{mapping}");
    project.delete(&mapped).await.expect(204);
    project.delete(&place).await.expect(204);

    let sync = format!("/connections/{}/syncs/crm.contact", connected.id);
    project
        .post(&format!("{sync}/pause"), &json!({}))
        .await
        .json(200);
    project
        .patch(&sync, &json!({ "full_every": 5 }))
        .await
        .json(200);
    project
        .post(&format!("{sync}/resume"), &json!({}))
        .await
        .json(200);
    project
        .post(&format!("{sync}/run"), &json!({ "full": true }))
        .await
        .json(200);
    let often = json!({ "crm": 600 });
    project
        .post("/sync/pull_frequencies", &often)
        .await
        .json(200);

    // What was refused leaves no entry.
    project.delete(&at).await.expect(404);
    other.delete(&place).await.expect(404);

    let entries = log(&project).await.split_off(before);
    let told: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry["action"].as_str(), entry["subject"].as_str()))
        .map(|(action, subject)| (action.unwrap_or_default(), subject.unwrap_or_default()))
        .collect();
    let own = text(&project.get("/projects").await.json(200)[0]["id_project"]);
    let expected = [
        ("webhook.create", &webhook),
        ("webhook.change", &webhook),
        ("webhook.change", &webhook),
        ("webhook.rotate_secret", &webhook),
        ("webhook.delete", &webhook),
        ("custom_field.create", &field),
        ("custom_field.change", &field),
        ("field_mapping.set", &mapping),
        ("field_mapping.delete", &mapping),
        ("custom_field.delete", &field),
        ("sync.pause", &connected.id),
        ("sync.change", &connected.id),
        ("sync.resume", &connected.id),
        ("project.pull_frequencies", &own),
    ];
    assert_eq!(told, expected.map(|(action, id)| (action, id.as_str())));
    for entry in &entries {
        let actor = entry["actor"].as_str().unwrap_or_default();
        assert!(actor.starts_with("api_key:"), "{entry}");
    }
    assert_eq!(
        entries[1]["details"]["url"],
        "https://elsewhere.example.com/hook"
    );
    assert_eq!(entries[11]["details"]["config"], json!({ "full_every": 5 }));
    let all = json!(entries).to_string();
    for secret in [&made["secret"], &rotated["secret"]] {
        assert!(!all.contains(&text(secret)), "{all}");
    }
    assert!(
        log(&other)
            .await
            .iter()
            .all(|entry| entry["subject"] != *field)
    );
}
