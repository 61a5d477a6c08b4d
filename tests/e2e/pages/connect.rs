//! Every page of a connect link, as those of the dashboard are looked at; and that each may be shown
//! in a frame by those who may, and by nobody else.

use jackfield_tests::{Api, Backend, Browser, DemoProvider, Server, api::text, until};
use reqwest::Method;
use serde_json::{Value, json};

use super::{NOBODY, looked_at};

const APPLICATION: &str = "https://app.example.com";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_a_connect_link_is_good_to_look_at() {
    let demo = DemoProvider::start(20).await;
    let server = demo.known_to(Server::on(Backend::Sqlite).await);
    let server = server.with("demo-crm").start().await;
    let project = server.project("Acme Books");
    project.active("demo-crm").await;
    let settings = json!({
        "allowed_origins": [APPLICATION],
        "branding": { "name": "Acme", "primary_color": "#1a237e" },
    });
    let put = project.send(Method::PUT, "/connect/settings", Some(&settings));
    put.await.expect(200);
    let pages = pages(&server, &project).await;

    let browser = Browser::open().await;
    let own = format!("'self' {APPLICATION}");
    let mut problems = Vec::new();
    for (name, status, url) in &pages {
        browser.goto(url).await;
        let answered = browser.evaluate(super::STATUS).await;
        if answered != *status {
            problems.push(format!("{name}: {url} answers {answered}"));
        }
        let frames = match *name {
            "connect-unknown" => "'self' *",
            "connect-problem" => NOBODY,
            _ => &own,
        };
        problems.extend(looked_at(&browser, name, frames).await);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Name, status and address of each.
async fn pages(server: &Server, project: &Api) -> Vec<(&'static str, u16, String)> {
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    project.with_token(&connection.token).synced("crm").await;
    let field = json!({
        "object": "crm.contact", "slug": "tongue", "data_type": "string",
        "description": "The language that somebody speaks.", "linked_users_map": true,
    });
    let field = text(&project.post("/custom_fields", &field).await.json(201)["id"]);
    let path = format!("/connections/{}", connection.id);
    let user = text(&project.get(&path).await.json(200)["id_linked_user"]);
    let link = async |more: Value| {
        let mut body = json!({ "linked_user_id": user });
        for (key, value) in more.as_object().expect("it is an object") {
            body[key] = value.clone();
        }
        let link = project.post("/connect/links", &body).await.json(201);
        (text(&link["id"]), text(&link["url"]))
    };
    let (_, open) = link(json!({})).await;
    let (_, again) = link(json!({ "connection_id": connection.id })).await;
    let (revoked, revoked_url) = link(json!({})).await;
    let path = format!("/connect/links/{revoked}");
    project.delete(&path).await.expect(204);
    let (expired, expired_url) = link(json!({ "expires_in_seconds": 1 })).await;
    let path = format!("/connect/links/{expired}");
    until("the link is too old", async || {
        let link = project.get(&path).await.json(200);
        (link["state"] == "expired").then_some(())
    })
    .await;
    let base = server.base_url();
    let at = format!("{open}/connections/{}", connection.id);
    let login = format!("{open}/connectors/demo-crm");
    vec![
        ("connect-start", 200, open.clone()),
        ("connect-form", 200, format!("{login}?scheme=key")),
        ("connect-window", 200, format!("{login}?scheme=oauth")),
        (
            "connect-failed",
            422,
            format!("{login}?scheme=oauth&problem=denied"),
        ),
        ("connect-again", 200, format!("{again}/connectors/demo-crm")),
        ("connect-elsewhere", 404, format!("{open}/connectors/other")),
        ("connect-too-late", 410, format!("{open}/accounts/unknown")),
        ("connect-connection", 200, at.clone()),
        ("connect-settings", 200, format!("{at}/settings")),
        ("connect-fields", 200, format!("{at}/fields")),
        ("connect-mapping", 200, format!("{at}/fields/{field}")),
        ("connect-disconnect", 200, format!("{at}/disconnect")),
        ("connect-expired", 410, expired_url),
        ("connect-revoked", 410, revoked_url),
        ("connect-unknown", 404, format!("{base}/connect/cl_made-up")),
        (
            "connect-problem",
            400,
            format!("{base}/connect/problem?code=state_invalid"),
        ),
    ]
}
