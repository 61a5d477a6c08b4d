//! What is wrong, why, and what to do; and an assistant that is told facts and nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use fake_omni::{KEY, Omni};
use jackfield::model::ObjectKind;
use jackfield_tests::{
    Api, Backend, DemoProvider, Person, Server,
    api::text,
    receiver::{Receiver, Reply},
    until,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

on_both_databases!(
    an_outage_of_a_provider_is_told_from_the_rest,
    an_assistant_is_told_facts_and_no_content,
);

/// Every problem of the project with this rule, as soon as there is one.
async fn problem(api: &Api, rule: &str) -> Value {
    let found = until("the problem is found", async || {
        let page = api.get("/diagnosis").await.json(200);
        let problems = page["problems"].as_array()?.clone();
        problems.into_iter().find(|one| one["rule"] == rule)
    });
    found.await
}

async fn an_outage_of_a_provider_is_told_from_the_rest(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .set("JACKFIELD_WEBHOOKS__SCHEDULE_SECONDS", "0")
        .start()
        .await;
    let api = server.project("App");
    api.active("demo-crm").await;
    let mut connections = Vec::new();
    for customer in ["one", "two"] {
        let user = api.linked_user(customer).await;
        let body = json!({
            "connector": "demo-crm", "scheme": "key", "linked_user_id": user,
            "fields": { "api_key": "demo-key" },
        });
        let connection = api.post("/connections", &body).await.connection();
        api.with_token(&connection.token).synced("crm").await;
        connections.push(connection.id);
    }
    let nothing = api.get("/diagnosis").await.json(200);
    assert_eq!(nothing["problems"], json!([]), "all is well");

    // A receiver that fails, whatever it is sent.
    let receiver = Receiver::start().await;
    receiver.usually(Reply::status(500));
    let body = json!({ "url": receiver.url(), "scope": ["*"], "description": "ours" });
    let webhook = text(&api.post("/webhooks", &body).await.json(201)["id_webhook_endpoint"]);
    api.post(&format!("/webhooks/{webhook}/test"), &json!({}))
        .await;
    let broken = problem(&api, "delivery_broken").await;
    assert_eq!(broken["webhook_id"], webhook.as_str());
    assert_eq!(
        (&broken["status"], &broken["class"]),
        (&json!(500), &json!("delivery"))
    );
    let path = format!("/diagnosis/deliveries/{}", text(&broken["delivery_id"]));
    let delivery = api.get(&path).await.json(200);
    assert_eq!(
        delivery["problems"][0]["fingerprint"],
        broken["fingerprint"]
    );
    let step = text(&broken["steps"][1]["url"]);
    assert!(step.contains(&format!("/webhooks/{webhook}")), "{step}");

    // The same on the page of the delivery; a connection with which nothing is wrong has no such
    // part.
    let person = Person::owner_of(&server).await;
    let project = text(&api.get("/projects").await.json(200)[0]["id_project"]);
    let told = async |about: &str, id: &str| {
        let answer = person
            .get(&format!("/dashboard/{project}/{about}/{id}"))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let whole = format!("/dashboard/{project}/diagnosis/{about}/{id}");
        let link = answer.text.contains(&format!("href=\"{whole}\""));
        link.then_some((answer.text, whole))
    };
    let (page, whole) = told("deliveries", &text(&broken["delivery_id"]))
        .await
        .expect("it tells");
    let cause = text(&broken["cause"]);
    assert!(page.contains(&cause), "{cause} in {page}");
    let page = person.get(&whole).await;
    assert!(
        page.status == 200 && page.text.contains(&cause),
        "{}",
        page.text
    );
    assert!(told("connections", &connections[0]).await.is_none());

    // The provider is down, for both.
    provider.demo.fail_next(100_000);
    for connection in &connections {
        let path = format!("/connections/{connection}/syncs/crm.contact/run");
        api.post(&path, &json!({})).await.json(200);
    }
    let outage = problem(&api, "provider_down_many").await;
    assert_eq!(
        (&outage["spread"], &outage["who_can_act"]),
        (&json!("several"), &json!("provider"))
    );
    assert_eq!(outage["connection_ids"].as_array().map(Vec::len), Some(2));
    assert!(outage["last_success_at"].is_string() && outage["since"].is_string());
    let run = text(&outage["run_id"]);
    let of_run = api.get(&format!("/diagnosis/runs/{run}")).await.json(200);
    assert_eq!(of_run["problems"][0]["fingerprint"], outage["fingerprint"]);
    let path = format!("/diagnosis/connections/{}", connections[0]);
    let of_connection = api.get(&path).await.json(200);
    assert_eq!(of_connection["subject"]["kind"], "connection");
    assert!(
        !of_connection["problems"]
            .as_array()
            .expect("a list")
            .is_empty()
    );
    for (about, id) in [("runs", &run), ("connections", &connections[0])] {
        let (page, _) = told(about, id).await.expect("it tells");
        let cause = text(&outage["cause"]);
        assert!(page.contains(&cause), "{cause} in {page}");
    }

    // Nobody is configured who could be asked.
    let asked = json!({ "question": "What is wrong?" });
    let refused = api.post("/diagnosis/ask", &asked).await.json(501);
    assert_eq!(refused["code"], "assistant_missing");
}

/// What the endpoint of a model was sent.
#[derive(Clone, Default)]
struct Model(Arc<Mutex<Vec<(String, Value)>>>);

impl Model {
    async fn start(&self) -> String {
        let router = Router::new()
            .route("/v1/chat/completions", post(Self::complete))
            .with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/v1")
    }

    #[expect(clippy::unused_async, reason = "handlers are async")]
    async fn complete(
        State(model): State<Self>,
        headers: HeaderMap,
        Json(body): Json<Value>,
    ) -> Json<Value> {
        let key = headers
            .get("authorization")
            .and_then(|key| key.to_str().ok());
        let told = (key.unwrap_or_default().to_owned(), body);
        model
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(told);
        let answer = "Records fail [2]. Nothing else is known [3, 99].";
        Json(json!({ "choices": [{ "message": { "role": "assistant", "content": answer } }] }))
    }

    fn told(&self) -> Vec<(String, Value)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn an_assistant_is_told_facts_and_no_content(backend: Backend) {
    const CONTENT: &str = "Beeblebrox";
    let model = Model::default();
    let provider = Omni::start(2).await;
    let server = Server::on(backend)
        .await
        .endpoint("omni", "api", &provider.base_url)
        .set("JACKFIELD_ASSISTANT__URL", &model.start().await)
        .set("JACKFIELD_ASSISTANT__MODEL", "small")
        .set("JACKFIELD_ASSISTANT__API_KEY", "model-key-0123456789")
        .with("omni")
        .start()
        .await;
    let api = server.project("App");
    api.active("omni").await;
    let user = api.linked_user("customer-of-ours").await;
    let body = json!({
        "connector": "omni", "scheme": "key", "linked_user_id": user,
        "fields": { "api_key": KEY },
    });
    let connection = api.post("/connections", &body).await.connection();
    let stored = api.with_token(&connection.token);
    stored.synced("crm").await;
    // A record that cannot be unified, whose content the reason may repeat.
    let kind = ObjectKind::parse("crm.note").expect("it is an object");
    provider.set(kind, 2, "content", json!([CONTENT]));
    stored.resync("crm").await;
    let failing = until("a record fails", async || {
        let page = api.get("/sync-failures").await.json(200);
        (page["data"][0]["id"].is_string()).then_some(page)
    });
    failing.await;
    problem(&api, "record").await;

    for about in [json!({}), json!({ "connection_id": connection.id })] {
        let mut asked = json!({ "question": format!("Why? My key is {}", api.key()) });
        let all = asked.as_object_mut().expect("it is an object");
        all.extend(about.as_object().expect("so is this").clone());
        let answer = api.post("/diagnosis/ask", &asked).await.json(200);
        assert!(text(&answer["answer"]).starts_with("Records fail"));
        let used = answer["facts_used"].as_array().expect("a list");
        let numbers: Vec<_> = used.iter().map(|fact| fact["number"].as_u64()).collect();
        assert_eq!(numbers, [Some(2), Some(3)], "what it names and is there");
        assert!(answer["facts"].as_array().expect("a list").len() > 5);
    }
    let told = model.told();
    assert_eq!(told.len(), 2);
    for (key, body) in told {
        assert_eq!(key, "Bearer model-key-0123456789");
        assert_eq!(body["model"], "small");
        let sent = body.to_string();
        assert!(
            sent.contains("omni") && sent.contains("[redacted]"),
            "{sent}"
        );
        for secret in [
            CONTENT,
            api.key(),
            &connection.token,
            KEY,
            "customer-of-ours",
        ] {
            assert!(!sent.contains(secret), "{secret} in {sent}");
        }
    }
    let two =
        json!({ "question": "Why?", "run_id": connection.id, "connection_id": connection.id });
    api.post("/diagnosis/ask", &two).await.expect(422);
    api.post("/diagnosis/ask", &json!({ "question": " " }))
        .await
        .expect(422);
}
