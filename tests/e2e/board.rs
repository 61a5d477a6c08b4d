//! What operators see of syncs and records: the overview, the sync log, failed records, conflicts,
//! records; and what they do about it.

use fake_omni::{KEY, Omni};
use jackfield::model::ObjectKind;
use jackfield_tests::{Answer, Api, Backend, DemoProvider, Person, Server, api::text, until};
use serde_json::json;

on_both_databases!(
    an_operator_sees_whether_all_is_well_and_what_a_run_did,
    failed_records_are_seen_and_tried_again,
    conflicts_are_decided_side_by_side_and_all_at_once,
);

/// A project with an owner who looks at it.
struct Scene {
    server: Server,
    owner: Person,
    /// Its pages' addresses begin so.
    base: String,
    api: Api,
}

impl Scene {
    async fn new(server: Server) -> Self {
        let owner = Person::owner_of(&server).await;
        let id = server.new_project("Acme");
        let api = server.anyone().with_key(&server.new_key(&id));
        Self {
            base: format!("/dashboard/{id}"),
            server,
            owner,
            api,
        }
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.owner.get(&format!("{}{path}", self.base)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.text
    }

    /// A form's answer leads elsewhere; what stands there.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let path = format!("{}{path}", self.base);
        let answer = self.owner.post(&path, fields).await;
        assert_eq!(answer.status, 303, "{path}: {}", answer.text);
        let next = self.owner.get(&answer.location()).await;
        assert_eq!(next.status, 200, "{}", next.text);
        next.text
    }

    /// The audit log tells that the owner did all of this.
    async fn is_audited(&self, actions: &[&str]) {
        self.api.is_audited("operator:", actions).await;
    }
}

/// The text holds all of these.
fn holds(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

/// The first link of a page that begins so.
fn link(page: &str, beginning: &str) -> String {
    let opening = format!("href=\"{beginning}");
    let rest = page.split(&opening).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("no link to {beginning} in {page}"));
    let end = rest.split('"').next().unwrap_or_default();
    format!("{beginning}{end}").replace("&amp;", "&")
}

async fn an_operator_sees_whether_all_is_well_and_what_a_run_did(backend: Backend) {
    let demo = DemoProvider::start(120).await;
    let builder = demo.known_to(Server::on(backend).await).with("demo-crm");
    let scene = Scene::new(builder.start().await).await;
    let first = scene.page("").await;
    holds(&first, &["Make an API key", "/connect/links", "customer-1"]);
    holds(&scene.page("/records").await, &["No record yet"]);
    holds(
        &scene.page("/runs?range=all").await,
        &["No sync has run yet"],
    );

    scene.api.active("demo-crm").await;
    let key = json!({ "api_key": "demo-key" });
    let connection = scene.api.connect("demo-crm", "key", key).await;
    scene.api.with_token(&connection.token).synced("crm").await;
    holds(
        &scene.page("").await,
        &["All is well.", "One connection works."],
    );
    holds(&scene.page("/overview/now").await, &["No sync is running"]);
    let charts = scene.page("/overview/charts?range=24h").await;
    holds(
        &charts,
        &["Sync runs by result", "API requests", "data-chart"],
    );

    let runs = format!("{}/runs/", scene.base);
    let list = "/runs?object=crm.contact&status=completed&connector=demo-crm";
    let log = scene.page(list).await;
    let run = link(&log, &runs);
    let charts = scene
        .page("/runs/charts?range=24h&object=crm.contact")
        .await;
    holds(&charts, &["Success rate", "100.0 %"]);
    let failed = scene.page("/runs?status=failed&class=provider").await;
    holds(&failed, &["No run is like this"]);
    let path = run.strip_prefix(&scene.base).expect("it is the project's");
    let page = scene.page(path).await;
    holds(&page, &["completed", "What happened", "Sync again", "120"]);
    let live = scene.owner.get(&format!("{run}/live")).await;
    assert_eq!(
        (live.status, &live.headers["hx-refresh"] == "true"),
        (286, true)
    );
    let again = scene
        .post(&format!("{path}/again"), &[("full", "true")])
        .await;
    holds(&again, &["The sync was asked for"]);
    until("the run is there", async || {
        let page = scene.page(list).await;
        (page.matches(&format!("href=\"{runs}")).count() >= 2).then_some(())
    })
    .await;
    holds(
        &scene.post(&format!("{path}/pause"), &[]).await,
        &["Resume this sync"],
    );
    holds(
        &scene.post(&format!("{path}/resume"), &[]).await,
        &["Pause this sync"],
    );

    // A run that waits for its next attempt is cancelled; the sync goes on when it is asked to.
    demo.demo.fail_next(1000);
    scene.post(&format!("{path}/again"), &[]).await;
    let retrying = until("the run waits to be tried again", async || {
        let page = scene.api.get("/sync-runs?status=retrying").await.json(200);
        let run = page["data"].get(0)?;
        Some(format!("/sync-runs/{}", text(&run["id"])))
    })
    .await;
    let here = retrying.replace("/sync-runs", "/runs");
    let cancelled = scene.post(&format!("{here}/cancel"), &[]).await;
    holds(
        &cancelled,
        &["The run was cancelled.", "cancelled", "Sync again"],
    );
    assert!(!cancelled.contains("Cancel this run"), "{cancelled}");
    let over = scene.post(&format!("{here}/cancel"), &[]).await;
    holds(&over, &["the run is over"]);
    let ended = scene.api.get(&retrying).await.json(200);
    assert_eq!(ended["status"], "cancelled", "{ended}");
    let cancel = format!("{retrying}/cancel");
    let refused = scene.api.post(&cancel, &json!({})).await;
    assert_eq!(refused.json(409)["code"], "conflict");
    let sync = format!("/connections/{}/syncs/crm.contact", connection.id);
    assert_eq!(scene.api.get(&sync).await.json(200)["status"], "cancelled");
    demo.demo.fail_next(0);
    scene.post(&format!("{path}/again"), &[]).await;
    until("the next run completes", async || {
        let sync = scene.api.get(&sync).await.json(200);
        (sync["status"] == "completed").then_some(())
    })
    .await;
    scene
        .is_audited(&["sync.run", "sync.pause", "sync.resume", "sync.cancel"])
        .await;

    // Records, from the list to one and to those that it refers to.
    let records = scene.page("/records?object=crm.contact").await;
    holds(&records, &["crm.company", "first_name"]);
    let record = link(&records, &format!("{}/records/crm.contact/", scene.base));
    let id = record.rsplit('/').next().expect("a record has an id");
    let shown = scene.api.with_token(&connection.token);
    let shown = shown.get(&format!("/crm/contacts/{id}")).await.json(200);
    let page = scene.owner.get(&record).await;
    let name = text(&shown["first_name"]);
    holds(
        &page.text,
        &[&name, "The provider’s document", "Created", "sync"],
    );
    let events = scene.owner.get(&format!("{record}/events")).await;
    holds(
        &events.text,
        &["crm.contact.created", "no endpoint wants it"],
    );
    let remote_id = text(&shown["remote_id"]);
    let found = format!("/records?object=crm.contact&remote_id={remote_id}");
    holds(&scene.page(&found).await, &[id]);
    let narrow = format!("/records?object=crm.contact&connection={}", connection.id);
    let page = scene.page(&narrow).await;
    holds(&page, &["(120)"]);
    let next = link(
        &page,
        &format!(
            "{}/records?object=crm.contact&amp;connection={}&amp;before",
            scene.base, connection.id
        ),
    );
    assert_eq!(scene.owner.get(&next).await.status, 200);

    // A connection does not work without its connector.
    let file = scene.server.plugins().join("demo-crm.wasm");
    std::fs::remove_file(file).expect("it is there");
    until("the overview tells of the connector", async || {
        let page = scene.page("").await;
        page.contains("its file is gone").then_some(())
    })
    .await;
    holds(
        &scene.page("").await,
        &[
            "One thing is broken",
            "No connection works.",
            "One connection needs it.",
        ],
    );

    // Another project's addresses lead nowhere.
    let other = format!("/dashboard/{}", scene.server.new_project("Other"));
    for path in [&run, &record] {
        let elsewhere = path.replace(&scene.base, &other);
        let answer: Answer = scene.owner.get(&elsewhere).await;
        assert_eq!(answer.status, 404, "{elsewhere}");
    }
    holds(&scene.owner.get(&other).await.text, &["Make an API key"]);
    for bad in [
        "/runs?status=lost",
        "/records?object=crm.nothing",
        "/conflicts?state=x",
    ] {
        let answer = scene.owner.get(&format!("{}{bad}", scene.base)).await;
        assert_eq!(answer.status, 422, "{bad}");
    }
}

async fn failed_records_are_seen_and_tried_again(backend: Backend) {
    let omni = Omni::start(3).await;
    let company = ObjectKind::parse("crm.company").expect("there are companies");
    omni.set(company, 2, "name", json!(["no", "name"]));
    let builder = Server::on(backend).await;
    let builder = builder.endpoint("omni", "api", &omni.base_url).with("omni");
    let scene = Scene::new(builder.start().await).await;
    scene.api.active("omni").await;
    let connection = scene.api.connect("omni", "key", json!({ "api_key": KEY }));
    let connection = connection.await;
    let api = scene.api.with_token(&connection.token);
    api.synced("crm").await;
    holds(
        &scene.page("").await,
        &["1 record could not be unified", "Needs attention"],
    );
    let page = scene.page("/failures?object=crm.company").await;
    holds(&page, &["crm.company", "Read again", "1 time"]);
    let failing = scene.api.get("/sync-failures").await.json(200);
    let retry = format!("/failures/{}/retry", text(&failing["data"][0]["id"]));
    holds(&scene.post(&retry, &[]).await, &["It still fails"]);
    omni.set(company, 2, "name", json!("Magrathea"));
    let kept = scene.post(&retry, &[("stored", "true")]).await;
    holds(&kept, &["It still fails"]);
    let all = scene.post("/failures/retry?object=crm.company", &[]).await;
    holds(
        &all,
        &["1 can be unified now, 0 still fail.", "No record fails"],
    );
    holds(
        &scene.post(&retry, &[]).await,
        &["This record fails no more"],
    );
    scene.is_audited(&["sync_failure.retry"]).await;

    omni.revoke();
    api.post("/sync/resync", &json!({})).await.expect(201);
    until("the overview tells of the login", async || {
        let page = scene.page("").await;
        page.contains("One connection needs a new login")
            .then_some(())
    })
    .await;
}

async fn conflicts_are_decided_side_by_side_and_all_at_once(backend: Backend) {
    let demo = DemoProvider::start(20).await;
    let builder = demo.known_to(Server::on(backend).await).with("demo-crm");
    let scene = Scene::new(builder.start().await).await;
    scene.api.active("demo-crm").await;
    let key = json!({ "api_key": "demo-key" });
    let connection = scene.api.connect("demo-crm", "key", key).await;
    let api = scene.api.with_token(&connection.token);
    api.synced("crm").await;
    demo.both_change(&api, &connection.id, 3).await;
    holds(&scene.page("").await, &["3 conflicts wait"]);
    let list = scene.page("/conflicts").await;
    holds(&list, &["first_name", "Take the provider’s for all 3"]);
    let first = link(&list, &format!("{}/conflicts/", scene.base));
    let path = first
        .strip_prefix(&scene.base)
        .expect("it is the project's");
    let page = scene.page(path).await;
    holds(
        &page,
        &["Ours", "Theirs", "changed", "/records/crm.contact/"],
    );

    // Nothing chosen, then another value.
    let resolve = format!("{path}/resolve");
    let refused = scene.owner.post(&format!("{first}/resolve"), &[]).await;
    assert_eq!(refused.status, 422);
    holds(&refused.text, &["Choose a side for at least one field."]);
    let fields = [("choice:first_name", "value"), ("value:first_name", "Both")];
    let after = scene.post(&resolve, &fields).await;
    holds(
        &after,
        &["The conflict is resolved.", "Take the provider’s for all 2"],
    );
    let id = first.rsplit('/').next().expect("a conflict has an id");
    let conflict = api.get(&format!("/conflicts/{id}")).await.json(200);
    let by = text(&conflict["resolved_by"]);
    assert!(by.starts_with("operator:"), "{by}");
    let record = text(&conflict["record_id"]);
    let contact = api.get(&format!("/crm/contacts/{record}")).await.json(200);
    assert_eq!(contact["first_name"], "Both");

    let all = scene
        .post("/conflicts/resolve", &[("side", "theirs")])
        .await;
    holds(&all, &["2 conflicts are resolved.", "No conflict waits"]);
    let names = api.all("/crm/contacts").await;
    let theirs = names.iter().filter(|one| one["first_name"] == "Theirs");
    assert_eq!(theirs.count(), 2);
    holds(&scene.page(path).await, &["resolved", "Both"]);
    scene.is_audited(&["conflict.resolve"]).await;
}
