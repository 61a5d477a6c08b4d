//! Redmine, against a real Redmine.

use jackfield_tests::{Api, Backend, Server, api, api::text};
use real_redmine::{RealRedmine, seed};
use serde_json::{Value, json};

on_both_databases!(issues_and_comments_go_both_ways, a_password_connects_too);

async fn redmine() -> RealRedmine {
    tokio::task::spawn_blocking(RealRedmine::start)
        .await
        .expect("Redmine starts")
}

async fn started(backend: Backend) -> (Server, Api) {
    let server = Server::on(backend).await.with("redmine").start().await;
    let project = server.project("App");
    project.active("redmine").await;
    (server, project)
}

/// Asks Redmine itself.
async fn ask(redmine: &RealRedmine, method: reqwest::Method, path: &str, body: Value) -> Value {
    let request = api::http().request(method, format!("{}{path}", redmine.base_url()));
    let request = request
        .header("x-redmine-api-key", redmine.admin_key())
        .header("content-type", "application/json");
    let response = request
        .body(body.to_string())
        .send()
        .await
        .expect("Redmine answers");
    assert!(
        response.status().is_success(),
        "{path}: {}",
        response.status()
    );
    let text = response.text().await.expect("Redmine answers");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

async fn issues_and_comments_go_both_ways(backend: Backend) {
    let redmine = redmine().await;
    let (_server, project) = started(backend).await;
    let wrong = json!({ "address": redmine.base_url(), "api_key": "0000000000000000000000000000000000000000" });
    let user = project.linked_user("customer").await;
    let body =
        json!({ "connector": "redmine", "scheme": "key", "linked_user_id": user, "fields": wrong });
    assert_eq!(
        project.post("/connections", &body).await.json(422)["code"],
        "credentials_refused"
    );

    let fields = json!({ "address": redmine.base_url(), "api_key": redmine.admin_key() });
    let connection = project.connect("redmine", "key", fields).await;
    let api = project.with_token(&connection.token);
    api.synced("ticketing").await;
    for (path, count) in [
        ("/ticketing/tickets", seed::ISSUES),
        ("/ticketing/comments", seed::COMMENTS),
        ("/ticketing/collections", seed::PROJECTS),
        ("/ticketing/users", seed::USERS),
        ("/ticketing/tags", seed::TAGS),
        ("/ticketing/teams", seed::GROUPS),
        ("/ticketing/attachments", seed::ATTACHMENTS),
    ] {
        assert_eq!(api.all(path).await.len(), count, "{path}");
    }
    let tickets = api.all("/ticketing/tickets").await;
    let closed = tickets
        .iter()
        .filter(|ticket| ticket["status"] == "CLOSED")
        .count();
    assert_eq!(closed, seed::CLOSED_ISSUES);
    let remote = |id: &str| {
        tickets
            .iter()
            .find(|ticket| ticket["remote_id"] == id)
            .expect("it is listed")
    };
    assert_eq!(remote("5")["parent_ticket"], remote("1")["id"]);

    let collections = api.all("/ticketing/collections").await;
    let support = collections
        .iter()
        .find(|one| one["name"] == "Support")
        .expect("it is listed");
    let body = json!({
        "name": "The page stays blank", "description": "After the password", "collections": [support["id"]],
    });
    let ticket = api.post("/ticketing/tickets", &body).await.json(201);
    let issue = text(&ticket["remote_id"]);
    let comment = json!({ "body": "Which browser?", "ticket_id": ticket["id"] });
    let comment = api.post("/ticketing/comments", &comment).await.json(201);
    assert_eq!(comment["ticket_id"], ticket["id"]);
    let stored = ask(
        &redmine,
        reqwest::Method::GET,
        &format!("/issues/{issue}.json?include=journals"),
        Value::Null,
    )
    .await;
    assert_eq!(stored["issue"]["subject"], "The page stays blank");
    assert_eq!(stored["issue"]["journals"][0]["notes"], "Which browser?");

    let path = format!("/ticketing/tickets/{}", text(&ticket["id"]));
    let updated = api
        .patch(&path, &json!({ "name": "The page is blank" }))
        .await
        .json(200);
    assert_eq!(updated["description"], "After the password");
    let refused = json!({ "name": "", "collections": [support["id"]] });
    let refused = api.post("/ticketing/tickets", &refused).await;
    assert_eq!(refused.status, 422, "{}", refused.text);

    // Somebody answers in Redmine.
    let answer = json!({ "issue": { "notes": "Firefox", "subject": "Blank in Firefox" } });
    ask(
        &redmine,
        reqwest::Method::PUT,
        &format!("/issues/{issue}.json"),
        answer,
    )
    .await;
    api.resync("ticketing").await;
    assert_eq!(api.get(&path).await.json(200)["name"], "Blank in Firefox");
    let comments = api.all("/ticketing/comments").await;
    let answered = comments
        .iter()
        .filter(|comment| comment["ticket_id"] == ticket["id"])
        .count();
    assert_eq!(answered, 2);
    assert_eq!(comments.len(), seed::COMMENTS + 2);

    api.delete(&path).await.expect(204);
    api.get(&path).await.expect(404);
}

async fn a_password_connects_too(backend: Backend) {
    let redmine = redmine().await;
    let (_server, project) = started(backend).await;
    let fields = json!({
        "address": redmine.base_url(), "username": seed::ADMIN, "password": seed::PASSWORD,
    });
    let connection = project.connect("redmine", "login", fields).await;
    let api = project.with_token(&connection.token);
    api.synced("ticketing").await;
    assert_eq!(api.all("/ticketing/tickets").await.len(), seed::ISSUES);
    // The password is nowhere to be read.
    assert!(
        !project
            .get("/connections")
            .await
            .text
            .contains(seed::PASSWORD)
    );
}
