//! A server with something of everything to show: what was read, what failed, what both sides
//! changed, what nobody took.

use fake_omni::{KEY, Omni};
use jackfield::model::ObjectKind;
use jackfield_tests::{Backend, DemoProvider, Server, api::text, until};
use serde_json::json;

/// The server, and what is behind it.
pub(super) struct Stage {
    pub(super) server: Server,
    _demo: DemoProvider,
    _omni: Omni,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let demo = DemoProvider::start(120).await;
        let omni = Omni::start(3).await;
        let company = ObjectKind::parse("crm.company").expect("there are companies");
        omni.set(company, 2, "name", json!(["no", "name"]));
        let server = demo
            .known_to(Server::on(Backend::Sqlite).await)
            .endpoint("omni", "api", &omni.base_url)
            .set("JACKFIELD_SYNC__LEASE_SECONDS", "2")
            .with("demo-crm")
            .with("omni")
            .start()
            .await;
        let project = server.project("Acme");
        project.active("demo-crm").await;
        project.active("omni").await;

        let connection = project
            .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
            .await;
        let api = project.with_token(&connection.token);
        // Nobody listens there.
        let endpoint = json!({ "url": "http://127.0.0.1:9/hooks", "scope": ["crm.*"], "description": "Warehouse" });
        let endpoint = project.post("/webhooks", &endpoint).await.json(201);
        let test = format!("/webhooks/{}/test", text(&endpoint["id_webhook_endpoint"]));
        project.post(&test, &json!({})).await;
        api.synced("crm").await;
        demo.both_change(&api, &connection.id, 1).await;

        let connection = project
            .connect("omni", "key", json!({ "api_key": KEY }))
            .await;
        let other = project.with_token(&connection.token);
        other.synced("crm").await;
        omni.revoke();
        other.post("/sync/resync", &json!({})).await.expect(201);
        until("a run fails for good", async || {
            let page = other.get("/sync-runs?status=failed").await.json(200);
            page["data"].as_array()?.first().cloned()
        })
        .await;
        Self {
            server,
            _demo: demo,
            _omni: omni,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.base_url())
    }
}
