//! Logins in the browser, and what becomes of their tokens.

use jackfield::demo::Collection;
use jackfield_tests::{
    Api, Backend, DemoProvider, Server,
    api::text,
    demo::{decide, redirect_back},
};
use serde_json::{Value, json};

on_both_databases!(
    a_customer_allows_and_comes_back_connected,
    one_refresh_serves_all_who_wait,
    a_withdrawn_consent_asks_to_reconnect,
);

const RETURN_URL: &str = "https://app.example/connected?from=jackfield";

async fn started(backend: Backend, provider: &DemoProvider) -> (Server, Api) {
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .start()
        .await;
    let project = server.project("App");
    project.active("demo-crm").await;
    (server, project)
}

async fn authorize_url(project: &Api) -> String {
    let body = json!({
        "connector": "demo-crm", "scheme": "oauth", "linked_user_origin_id": "customer-1", "return_url": RETURN_URL,
    });
    let started = project
        .post("/connections/oauth/start", &body)
        .await
        .json(201);
    text(&started["authorize_url"])
}

async fn connected(project: &Api) -> (Value, Api) {
    let answer = decide(&authorize_url(project).await, "allow").await;
    answer.expect(302);
    let connections = project.get("/connections").await.json(200);
    let connection = connections[0].clone();
    let api = project.with_token(&text(&connection["connection_token"]));
    api.synced("crm").await;
    (connection, api)
}

async fn a_customer_allows_and_comes_back_connected(backend: Backend) {
    let provider = DemoProvider::start(30).await;
    let (_server, project) = started(backend, &provider).await;

    let denied = decide(&authorize_url(&project).await, "deny")
        .await
        .json(400);
    assert_eq!(denied["code"], "login_refused", "{denied}");
    assert_eq!(project.get("/connections").await.json(200), json!([]));

    let back = redirect_back(&authorize_url(&project).await, "allow").await;
    let finished = Api::new("").get(&back).await;
    finished.expect(302);
    assert!(
        finished.location().starts_with(RETURN_URL),
        "{}",
        finished.location()
    );
    let replayed = Api::new("").get(&back).await.json(400);
    assert_eq!(replayed["code"], "state_invalid", "{replayed}");
    let made_up = back.replace("state=", "state=x");
    assert_eq!(
        Api::new("").get(&made_up).await.json(400)["code"],
        "state_invalid"
    );

    let connections = project.get("/connections").await.json(200);
    assert_eq!(
        connections.as_array().map(Vec::len),
        Some(1),
        "{connections}"
    );
    assert_eq!(connections[0]["status"], "valid");
    assert_eq!(connections[0]["token_type"], "oauth2");
    for token in ["access_token", "refresh_token"] {
        assert_eq!(connections[0][token], "", "tokens never leave the server");
    }
    let api = project.with_token(&text(&connections[0]["connection_token"]));
    api.synced("crm").await;
    assert_eq!(api.all("/crm/contacts").await.len(), 30);

    // The same account again is the same connection.
    decide(&authorize_url(&project).await, "allow")
        .await
        .expect(302);
    let again = project.get("/connections").await.json(200);
    assert_eq!(again.as_array().map(Vec::len), Some(1), "{again}");
    assert_eq!(again[0]["id_connection"], connections[0]["id_connection"]);
    assert_eq!(
        again[0]["connection_token"],
        connections[0]["connection_token"]
    );
}

async fn one_refresh_serves_all_who_wait(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let (_server, project) = started(backend, &provider).await;
    let (_, api) = connected(&project).await;
    assert_eq!(provider.refreshes(), 0);
    provider.let_pass(2 * 3600);

    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let api = api.clone();
            let body = json!({ "first_name": format!("Number {number}"), "last_name": "Parallel" });
            tokio::spawn(async move { api.post("/crm/contacts", &body).await.json(201) })
        })
        .collect();
    for task in tasks {
        task.await.expect("each create succeeds");
    }
    assert_eq!(provider.refreshes(), 1);
    assert_eq!(provider.demo.count(Collection::People), 23);

    // The rotated refresh token was kept: the next one works too.
    provider.let_pass(2 * 3600);
    let body = json!({ "first_name": "Later", "last_name": "Once" });
    api.post("/crm/contacts", &body).await.expect(201);
    assert_eq!(provider.refreshes(), 2);
}

async fn a_withdrawn_consent_asks_to_reconnect(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let (_server, project) = started(backend, &provider).await;
    let (connection, api) = connected(&project).await;
    provider.demo.forget_tokens();

    let body = json!({ "first_name": "Ada", "last_name": "King" });
    let refused = api.post("/crm/contacts", &body).await.json(424);
    assert_eq!(refused["code"], "needs_reconnect", "{refused}");
    let connections = project.get("/connections").await.json(200);
    assert_eq!(connections[0]["status"], "needs_reconnect", "{connections}");
    let told = project.events("connection.needs_reconnect").await;
    assert_eq!(told.len(), 1);
    let sentence = text(&connections[0]["customer_message"]);
    assert!(sentence.contains("connected again"), "{sentence}");
    assert_eq!(told[0]["data"]["customer_message"], sentence);
    assert!(connections[0]["status_reason"].is_string(), "{connections}");
    // What was read stays readable.
    assert_eq!(api.all("/crm/contacts").await.len(), 3);

    decide(&authorize_url(&project).await, "allow")
        .await
        .expect(302);
    let connections = project.get("/connections").await.json(200);
    assert_eq!(connections[0]["id_connection"], connection["id_connection"]);
    assert_eq!(connections[0]["status"], "valid");
    assert_eq!(connections[0]["customer_message"], Value::Null);
    assert_eq!(connections[0]["status_reason"], Value::Null);
    api.post("/crm/contacts", &body).await.expect(201);
}
