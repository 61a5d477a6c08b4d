//! Providers that stumble, hide their limits or run out of patience, and what is done about it.

use std::fs;

use jackfield_tests::{Api, Backend, DemoProvider, Server, api::text, connectors, until, wasm};
use serde_json::{Value, json};

on_both_databases!(
    a_provider_that_stumbles_is_not_seen,
    what_hides_in_other_statuses_is_told,
    one_budget_serves_every_host,
    a_sync_stops_cleanly_and_goes_on_by_itself,
    a_providers_word_holds_back_what_can_wait,
    fifty_calls_on_all_hosts_refresh_once,
);

/// Answers that real providers give, as data.
const RULES: &str = r#"
[[retry.rules]]
status = [200]
json = "/error"
equals = "ratelimited"
meaning = "rate_limited"
wait_json = "/retry_after"

[[retry.rules]]
status = [403]
header = "X-Limit-Remaining"
equals = "0"
meaning = "rate_limited"
wait_header = "X-Limit-Reset"
wait_form = "epoch_seconds"

[[retry.rules]]
status = [200]
json = "/error"
equals = "invalid_session"
meaning = "token_expired"

[[retry.rules]]
status = [200]
json = "/error"
contains = "scope"
meaning = "forbidden"
"#;

struct World {
    provider: DemoProvider,
    server: Server,
    project: Api,
    connection: String,
}

impl World {
    /// A server whose demo connector has more in its manifest.
    async fn start(backend: Backend, manifest: &str) -> Self {
        let provider = DemoProvider::start(5).await;
        let builder = provider.known_to(Server::on(backend).await);
        let server = builder.start().await;
        let connector = fs::read(connectors::built("demo-crm")).expect("it was built");
        server.drop_in(
            "demo-crm.wasm",
            &wasm::with_manifest(&connector, |text| format!("{text}\n{manifest}")),
        );
        let project = server.project("App");
        project.active("demo-crm").await;
        let connection = project
            .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
            .await;
        Self {
            provider,
            server,
            project: project.with_token(&connection.token),
            connection: connection.id.clone(),
        }
    }

    /// The same on every server that there is: PostgreSQL has two.
    async fn hosts(&self, backend: Backend) -> (Option<Server>, Vec<Api>) {
        let second = match backend {
            Backend::Postgres => Some(self.server.beside().await),
            Backend::Sqlite => None,
        };
        let mut apis = vec![self.project.clone()];
        if let Some(second) = &second {
            let api = self.project.at(second.base_url());
            api.active("demo-crm").await;
            apis.push(api);
        }
        (second, apis)
    }

    fn answer(&self, status: u16, headers: &[(&'static str, &str)], body: &Value) {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .chain([("content-type", "application/json".to_owned())])
            .collect();
        self.provider
            .demo
            .answer_next(status, &headers, &body.to_string());
    }

    async fn sync(&self, object: &str) -> Value {
        let path = format!("/connections/{}/syncs/{object}", self.connection);
        self.project.get(&path).await.json(200)
    }

    async fn run(&self, object: &str) {
        let path = format!("/connections/{}/syncs/{object}/run", self.connection);
        self.project.post(&path, &json!({})).await.json(200);
    }

    /// Nothing is due by itself any more.
    async fn rest(&self) {
        for sync in self.project.get("/syncs").await.json(200)["data"]
            .as_array()
            .expect("it is a list")
        {
            let object = text(&sync["object"]);
            let path = format!("/connections/{}/syncs/{object}", self.connection);
            let manual = json!({ "schedule": { "type": "manual" } });
            self.project.patch(&path, &manual).await.json(200);
        }
    }

    async fn limits(&self, api: &Api) -> Value {
        let path = format!("/connections/{}/rate-limits", self.connection);
        api.get(&path).await.json(200)
    }

    /// Waits until a sync waits for the provider.
    async fn held(&self, object: &str) -> Value {
        until("the sync waits for the provider", async || {
            let sync = self.sync(object).await;
            (sync["status"] == "rate_limited").then_some(sync)
        })
        .await
    }
}

const LIVE: &str = "/crm/contacts?live=true";

async fn a_provider_that_stumbles_is_not_seen(backend: Backend) {
    let world = World::start(backend, "").await;
    world.project.synced("crm").await;
    let demo = &world.provider.demo;
    let before = demo.requests();
    for _ in 0..2 {
        world.answer(503, &[], &json!({}));
    }
    let page = world.project.get(LIVE).await.json(200);
    assert_eq!(page["data"].as_array().map(Vec::len), Some(5));
    assert_eq!(demo.requests() - before, 3);

    let before = demo.requests();
    for _ in 0..3 {
        world.answer(502, &[], &json!({ "message": "out for lunch" }));
    }
    let answer = world.project.get(LIVE).await;
    assert_eq!(answer.json(503)["code"], "provider_unavailable");
    assert!(answer.text.contains("out for lunch"), "{}", answer.text);
    assert_eq!(demo.requests() - before, 3);

    // An update has no key: it may have been done, so it is not sent again.
    let contact = text(&page["data"][0]["id"]);
    let before = demo.requests();
    world.answer(503, &[], &json!({}));
    let patch = json!({ "first_name": "Once" });
    let path = format!("/crm/contacts/{contact}");
    world.project.patch(&path, &patch).await.expect(503);
    assert_eq!(demo.requests() - before, 1);

    // A record that is created has one.
    let before = demo.requests();
    world.answer(503, &[], &json!({}));
    let body = json!({ "first_name": "Ada", "last_name": "King" });
    world.project.post("/crm/contacts", &body).await.expect(201);
    assert_eq!(demo.requests() - before, 2);
}

async fn what_hides_in_other_statuses_is_told(backend: Backend) {
    let world = World::start(backend, RULES).await;
    world.project.synced("crm").await;
    let demo = &world.provider.demo;
    world.answer(
        200,
        &[],
        &json!({ "ok": false, "error": "ratelimited", "retry_after": 30 }),
    );
    let limited = world.project.get(LIVE).await;
    assert_eq!(limited.json(429)["code"], "rate_limited");
    assert_eq!(limited.headers["retry-after"], "30");

    // The date is the provider's own, so its clock may be wrong.
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let headers = [
        ("x-limit-remaining", "0"),
        ("x-limit-reset", "784111817"),
        date,
    ];
    world.answer(403, &headers, &json!({}));
    let limited = world.project.get(LIVE).await;
    assert_eq!(limited.headers["retry-after"], "40");
    assert_eq!(limited.status, 429);
    world.answer(
        403,
        &[("x-limit-remaining", "1")],
        &json!({ "message": "no right" }),
    );
    let forbidden = world.project.get(LIVE).await;
    assert_eq!(forbidden.json(424)["code"], "provider_forbidden");

    let body = json!({ "ok": false, "error": "missing_scope: crm.read" });
    world.answer(200, &[], &body);
    let forbidden = world.project.get(LIVE).await;
    assert_eq!(forbidden.json(424)["code"], "provider_forbidden");
    assert!(forbidden.text.contains("crm.read"), "{}", forbidden.text);

    // A limit that hides from those who pass a request through puts it into the queue too.
    world.answer(
        200,
        &[],
        &json!({ "ok": false, "error": "ratelimited", "retry_after": 1 }),
    );
    let passed = json!({ "method": "GET", "path": "/v1/people" });
    let queued = world.project.post("/passthrough", &passed).await;
    assert!(queued.json(200)["retryId"].is_string(), "{}", queued.text);

    // A key that is refused in this way cannot be refreshed: a person has to come.
    let before = demo.requests();
    world.answer(
        200,
        &[],
        &json!({ "ok": false, "error": "invalid_session" }),
    );
    let refused = world.project.get(LIVE).await;
    assert_eq!(refused.json(424)["code"], "needs_reconnect");
    assert!(
        demo.requests() - before <= 2,
        "the queued request may be among them"
    );
}

async fn one_budget_serves_every_host(backend: Backend) {
    let limit = "[rate_limit.buckets.all]\nrequests = 20\nseconds = 3600\n";
    let world = World::start(backend, limit).await;
    let (_second, hosts) = world.hosts(backend).await;
    world.project.synced("crm").await;
    world.rest().await;
    let state = world.limits(&hosts[0]).await;
    let bucket = &state["buckets"][0];
    assert_eq!(
        (
            &bucket["name"],
            &bucket["limit"],
            &bucket["reserved"],
            &bucket["seconds"]
        ),
        (&json!("all"), &json!(20), &json!(4), &json!(3600))
    );
    assert_eq!(bucket["scope"], "connection");
    assert!(bucket["resets_at"].is_string(), "{bucket}");

    // Syncs take what they may, and leave the reserve.
    let waiting = async || {
        world.run("crm.contact").await;
        until("the run ends", async || {
            let status = world.sync("crm.contact").await["status"].clone();
            (status == "completed" || status == "rate_limited").then_some(status)
        })
        .await
    };
    while waiting().await == "completed" {}
    let held = world.sync("crm.contact").await;
    assert_eq!(
        (&held["status"], &held["attempt"]),
        (&json!("rate_limited"), &json!(0))
    );
    assert!(
        text(&held["last_error"]).contains("goes on by itself"),
        "{held}"
    );
    for host in &hosts {
        assert_eq!(world.limits(host).await["buckets"][0]["remaining"], 4);
    }
    assert_eq!(world.project.events("sync.failed").await.len(), 0);

    // Those who wait get the reserve, on whatever host they ask; then they are told when.
    let before = world.provider.demo.requests();
    for host in hosts.iter().cycle().take(4) {
        host.get(LIVE).await.json(200);
    }
    for host in &hosts {
        let refused = host.get(LIVE).await;
        assert_eq!(refused.json(429)["code"], "rate_limited");
        let wait: u64 = refused.headers["retry-after"]
            .to_str()
            .expect("it is text")
            .parse()
            .expect("it is a number");
        assert!((3000..=3600).contains(&wait), "{wait}");
        assert_eq!(world.limits(host).await["buckets"][0]["remaining"], 0);
    }
    assert_eq!(world.provider.demo.requests() - before, 4);
    let metrics = world.server.anyone().get("/metrics").await;
    let line =
        "jackfield_rate_limited_total{connector=\"demo-crm\",bucket=\"all\",outcome=\"refused\"}";
    assert!(metrics.text.contains(line), "{}", metrics.text);
    let other = world.server.project("Other");
    let path = format!("/connections/{}/rate-limits", world.connection);
    other.get(&path).await.expect(404);
}

async fn a_sync_stops_cleanly_and_goes_on_by_itself(backend: Backend) {
    // The seven objects take more than a window has.
    let limit = "[rate_limit.buckets.all]\nrequests = 5\nseconds = 5\n";
    let world = World::start(backend, limit).await;
    world.project.synced("crm").await;
    assert_eq!(world.project.all("/crm/contacts").await.len(), 5);
    assert_eq!(world.project.events("sync.failed").await.len(), 0);
    let metrics = world.server.anyone().get("/metrics").await;
    let line = "jackfield_sync_runs_total{connector=\"demo-crm\",outcome=\"rate_limited\"}";
    assert!(metrics.text.contains(line), "{}", metrics.text);
}

async fn a_providers_word_holds_back_what_can_wait(backend: Backend) {
    let world = World::start(backend, "").await;
    let (_second, hosts) = world.hosts(backend).await;
    world.project.synced("crm").await;
    world.rest().await;
    let demo = &world.provider.demo;
    assert_eq!(
        world.limits(&hosts[0]).await,
        json!({ "held_until": null, "buckets": [] })
    );
    demo.limit_next(1, 600);
    world.run("crm.contact").await;
    let held = world.held("crm.contact").await;
    assert_eq!(held["attempt"], 0);
    for host in &hosts {
        let until = world.limits(host).await["held_until"].clone();
        assert!(until.is_string(), "{until}");
    }
    // Other syncs of the connection do not even ask.
    let before = demo.requests();
    world.run("crm.company").await;
    world.held("crm.company").await;
    assert_eq!(demo.requests(), before);
    assert_eq!(world.project.events("sync.failed").await.len(), 0);
    // Who waits may try: nothing says that his request is one too many.
    for host in &hosts {
        host.get(LIVE).await.json(200);
    }
}

async fn fifty_calls_on_all_hosts_refresh_once(backend: Backend) {
    let world = World::start(backend, "").await;
    let (_second, hosts) = world.hosts(backend).await;
    let body =
        json!({ "connector": "demo-crm", "scheme": "oauth", "linked_user_origin_id": "by-oauth" });
    let started = world.project.post("/connections/oauth/start", &body).await;
    let authorize = text(&started.json(201)["authorize_url"]);
    jackfield_tests::demo::decide(&authorize, "allow").await;
    let connections = world.project.get("/connections").await.json(200);
    let connection = connections
        .as_array()
        .and_then(|all| all.iter().find(|one| one["scheme"] == "oauth"));
    let token = text(&connection.expect("it is connected")["connection_token"]);
    let hosts: Vec<_> = hosts.iter().map(|host| host.with_token(&token)).collect();
    hosts[0].synced("crm").await;
    assert_eq!(world.provider.refreshes(), 0);
    world.provider.let_pass(2 * 3600);

    let calls: Vec<_> = (0..50)
        .map(|number| {
            let host = hosts[number % hosts.len()].clone();
            let passed = json!({ "method": "GET", "path": "/v1/people" });
            tokio::spawn(async move { host.post("/passthrough", &passed).await })
        })
        .collect();
    for call in calls {
        let answer = call.await.expect("it ends");
        assert_eq!(answer.json(200)["status"], 200, "{}", answer.text);
    }
    assert_eq!(world.provider.refreshes(), 1);
}
