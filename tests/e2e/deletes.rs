//! What the provider no longer has: told by it, found by reading everything, and when somebody is
//! asked first; and providers that tell only so much, or never end.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use jackfield::model::{Clock as _, SystemClock, Timestamp};
use jackfield_tests::{
    Api, Backend, DemoProvider, Person, Server, api::text, connectors, until, until_within,
    wasm::with_manifest,
};
use serde_json::{Value, json};

on_both_databases!(
    tombstones_and_full_passes_delete,
    a_pass_that_would_delete_too_much_asks,
    what_somebody_keeps_stays,
    a_killed_server_deletes_each_record_once,
    a_provider_that_tells_only_so_much_is_asked_again,
    pages_without_an_end_are_a_failure_with_a_reason,
);

/// The provider's people, as a test wants them.
#[derive(Clone, Debug, Default)]
struct People(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    records: BTreeMap<u64, Value>,
    /// At most so many records in all for one question for what changed.
    cap: Option<usize>,
    /// What follows a page, in place of the page after it.
    next: HashMap<String, String>,
    /// What questions asked for changes since.
    questions: Vec<Option<String>>,
}

impl People {
    fn with(count: u64) -> Self {
        let people = Self::default();
        for id in 1..=count {
            people.put(id, SystemClock.now(), &json!("Ada"));
        }
        people
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, id: u64, updated: Timestamp, name: &Value) {
        let person = json!({
            "id": id, "version": 1, "updated_on": updated.to_string(), "given_name": name,
        });
        self.book().records.insert(id, person);
    }

    /// Deletes one, and tells those who ask what changed.
    fn delete(&self, id: u64) {
        let now = SystemClock.now().to_string();
        let left = json!({ "id": id, "version": 2, "updated_on": now, "deleted": true });
        self.book().records.insert(id, left);
    }

    /// Forgets some, and tells nobody.
    fn forget(&self, ids: std::ops::RangeInclusive<u64>) {
        self.book().records.retain(|id, _| !ids.contains(id));
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/v1/people", get(list))
            .with_state(self.clone())
    }
}

async fn list(
    State(people): State<People>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let mut book = people.book();
    let since = query.get("updated_since").cloned();
    let token = query.get("page_token").cloned().unwrap_or_default();
    if token.is_empty() {
        book.questions.push(since.clone());
    }
    let at = |record: &Value| Timestamp::parse(record["updated_on"].as_str().unwrap_or_default());
    let from = since.as_deref().and_then(Timestamp::parse);
    let told = |record: &&Value| match from {
        Some(_) => at(record) >= from,
        None => record["deleted"] != true,
    };
    let mut records: Vec<Value> = book.records.values().filter(told).cloned().collect();
    records.sort_by_key(at);
    records.truncate(book.cap.filter(|_| from.is_some()).unwrap_or(usize::MAX));
    let start: usize = token.parse().unwrap_or(0);
    let size: usize = query["page_size"].parse().unwrap_or(1);
    let items: Vec<_> = records.iter().skip(start).take(size).collect();
    let end = start + items.len();
    let next = (end < records.len()).then(|| end.to_string());
    let next = book.next.get(&token).cloned().or(next);
    Json(json!({ "items": items, "next_page_token": next }))
}

struct World {
    people: People,
    server: Server,
    project: Api,
    connection: String,
    _provider: DemoProvider,
}

impl World {
    /// A server that has read everything once, with a manifest in which `keys` stand beside what
    /// the connector says of contacts.
    async fn start(backend: Backend, people: u64, keys: &str) -> Self {
        let people = People::with(people);
        let provider = DemoProvider::start_beside(3, people.router()).await;
        let builder = provider
            .known_to(Server::on(backend).await)
            .set("JACKFIELD_SYNC__WORKERS", "1")
            .set("JACKFIELD_SYNC__PAGE_SIZE", "25")
            .set("JACKFIELD_SYNC__LEASE_SECONDS", "2");
        let connector = fs::read(connectors::built("demo-crm")).expect("the connector is built");
        let connector = with_manifest(&connector, |manifest| {
            let contacts = "[objects.\"crm.contact\"]\n";
            assert!(manifest.contains(contacts));
            manifest.replace(contacts, &format!("{contacts}{keys}\n"))
        });
        let file = builder.folder().join("plugins/demo-crm.wasm");
        fs::write(file, connector).expect("the folder is writable");
        let server = builder.start().await;
        let project = server.project("App");
        project.active("demo-crm").await;
        let connection = project
            .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
            .await;
        let world = Self {
            people,
            server,
            project: project.with_token(&connection.token),
            connection: connection.id.clone(),
            _provider: provider,
        };
        world.project.synced("crm").await;
        world
    }

    fn path(&self) -> String {
        format!("/connections/{}/syncs/crm.contact", self.connection)
    }

    async fn sync(&self) -> Value {
        self.project.get(&self.path()).await.json(200)
    }

    async fn change(&self, patch: Value) {
        self.project.patch(&self.path(), &patch).await.json(200);
    }

    async fn ask_for_a_run(&self, full: bool) {
        let path = format!("{}/run", self.path());
        let body = json!({ "full": full });
        self.project.post(&path, &body).await.json(200);
    }

    /// Runs it, and waits for the end; the sync as it is then.
    async fn run(&self, full: bool) -> Value {
        let before = self.sync().await["last_finished_at"].clone();
        self.ask_for_a_run(full).await;
        self.finished_after(&before).await
    }

    async fn finished_after(&self, before: &Value) -> Value {
        until_within(Duration::from_secs(120), "the run is over", async || {
            let sync = self.sync().await;
            (sync["last_finished_at"] != *before).then_some(sync)
        })
        .await
    }

    async fn confirm(&self, delete: bool) -> jackfield_tests::Answer {
        let path = format!("{}/confirm", self.path());
        self.project.post(&path, &json!({ "delete": delete })).await
    }

    async fn contacts(&self) -> usize {
        self.project.all("/crm/contacts").await.len()
    }

    async fn events(&self, kind: &str) -> usize {
        self.project.events(kind).await.len()
    }
}

async fn tombstones_and_full_passes_delete(backend: Backend) {
    let world = World::start(backend, 60, "").await;
    world.people.delete(1);
    world.run(false).await;
    assert_eq!(world.contacts().await, 59);
    assert_eq!(world.events("crm.contact.deleted").await, 1);

    // Only reading everything shows that these are gone. One that cannot be read is there.
    world.people.forget(2..=9);
    world
        .people
        .put(10, SystemClock.now(), &json!(["no", "name"]));
    world.run(false).await;
    assert_eq!(world.contacts().await, 59);
    let sync = world.run(true).await;
    assert_eq!(sync["status"], "completed", "{sync}");
    assert_eq!(world.contacts().await, 51);
    let gone = world.project.events("crm.contact.deleted").await;
    assert_eq!(gone.len(), 9);
    assert!(
        gone.iter()
            .all(|event| event["data"]["first_name"] == "Ada")
    );

    // What comes back comes back.
    world.people.put(2, SystemClock.now(), &json!("Ada"));
    world.run(true).await;
    assert_eq!(world.contacts().await, 52);
    assert_eq!(world.events("crm.contact.deleted").await, 9);
}

async fn a_pass_that_would_delete_too_much_asks(backend: Backend) {
    let world = World::start(backend, 40, "").await;
    assert_eq!(world.sync().await["config"]["delete_guard_percent"], 30);
    assert_eq!(world.confirm(true).await.json(409)["code"], "conflict");
    world.people.forget(11..=40);
    let sync = world.run(true).await;
    assert_eq!(sync["status"], "stopped", "{sync}");
    let question = &sync["question"];
    assert_eq!(
        (&question["missing"], &question["stored"]),
        (&json!(30), &json!(40))
    );
    let said = question["message"].as_str().unwrap_or_default();
    assert!(
        said.contains("30 of 40") && said.contains("confirm"),
        "{said}"
    );
    assert_eq!(world.contacts().await, 40);
    let told = world.project.events("sync.stopped").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["data"]["missing"], 30, "{}", told[0]);
    let stopped = world.project.get("/syncs?status=stopped").await.json(200);
    assert_eq!(stopped["data"].as_array().map(Vec::len), Some(1));

    // Operators see which records before they answer.
    let owner = Person::owner_of(&world.server).await;
    let projects = world.project.get("/projects").await.json(200);
    let home = format!("/dashboard/{}", text(&projects[0]["id_project"]));
    let run = format!("{home}/runs/{}/missing", text(&sync["last_run"]["id"]));
    let page = owner.page(&run).await;
    let link = format!("href=\"{home}/records/crm.contact/");
    assert_eq!(page.matches(&link).count(), 30, "{page}");

    // Runs go on meanwhile, and what one of them reads is not missing any more.
    world.people.put(11, SystemClock.now(), &json!("Grace"));
    let sync = world.run(false).await;
    assert_eq!(
        (&sync["status"], &sync["last_error"]),
        (&json!("stopped"), &Value::Null)
    );
    assert_eq!(world.events("crm.contact.updated").await, 1);

    // Asked again, it counts anew, and says so again.
    world.people.forget(11..=11);
    let sync = world.run(true).await;
    assert_eq!(sync["question"]["missing"], 30);
    world.people.put(12, SystemClock.now(), &json!("Ada"));
    let before = world.sync().await["last_finished_at"].clone();
    let confirmed = world.confirm(true).await.json(200);
    assert_eq!(confirmed["question"], Value::Null);
    let sync = world.finished_after(&before).await;
    assert_eq!(sync["status"], "completed", "{sync}");
    assert_eq!(world.contacts().await, 11);
    assert_eq!(world.events("crm.contact.deleted").await, 29);
    assert_eq!(world.confirm(true).await.json(409)["code"], "conflict");

    world.change(json!({ "delete_guard_percent": 100 })).await;
    world.people.forget(1..=40);
    world.run(true).await;
    assert_eq!(world.contacts().await, 0);
}

async fn what_somebody_keeps_stays(backend: Backend) {
    let world = World::start(backend, 40, "").await;
    world.people.forget(21..=40);
    assert_eq!(world.run(true).await["status"], "stopped");
    let kept = world.confirm(false).await.json(200);
    assert_eq!(
        (&kept["status"], &kept["question"]),
        (&json!("completed"), &Value::Null)
    );
    for _ in 0..2 {
        assert_eq!(world.run(true).await["status"], "completed");
        assert_eq!(world.contacts().await, 40);
    }
    // Seen again, one is like any other.
    world.people.put(21, SystemClock.now(), &json!("Ada"));
    world.run(true).await;
    world.people.forget(21..=21);
    world.run(true).await;
    assert_eq!(world.contacts().await, 39);
    // A pass that finds everything there takes the question back.
    world.people.forget(1..=20);
    assert_eq!(world.run(true).await["status"], "stopped");
    for id in 1..=20 {
        world.people.put(id, SystemClock.now(), &json!("Ada"));
    }
    let sync = world.run(true).await;
    assert_eq!(
        (&sync["status"], &sync["question"]),
        (&json!("completed"), &Value::Null)
    );
    assert_eq!(world.contacts().await, 39);
}

async fn a_killed_server_deletes_each_record_once(backend: Backend) {
    const ALL: u64 = 6000;
    const GONE: u64 = 4000;
    let mut world = World::start(backend, ALL, "").await;
    world.change(json!({ "delete_guard_percent": 100 })).await;
    world.people.forget(1..=GONE);
    let before = world.sync().await["last_finished_at"].clone();
    world.ask_for_a_run(true).await;
    // In the middle of reading, then wherever it is.
    for least in [500, 1500] {
        until_within(Duration::from_secs(120), "a part is read", async || {
            let sync = world.sync().await;
            let read = sync["records_read"].as_u64() >= Some(least) && sync["status"] == "running";
            (read || sync["last_finished_at"] != before).then_some(())
        })
        .await;
        world.again().await;
    }
    for part in [1, 500, 1500] {
        until_within(Duration::from_secs(120), "a part is deleted", async || {
            (world.events("crm.contact.deleted").await >= part).then_some(())
        })
        .await;
        world.again().await;
    }
    let sync = world.finished_after(&before).await;
    assert_eq!(sync["last_error"], Value::Null, "{sync}");
    assert_eq!(world.contacts().await as u64, ALL - GONE);
    let gone = world.project.events("crm.contact.deleted").await;
    let ids: std::collections::HashSet<_> = gone
        .iter()
        .map(|event| event["data"]["id"].to_string())
        .collect();
    assert_eq!((gone.len() as u64, ids.len() as u64), (GONE, GONE));
    assert_eq!(world.events("crm.contact.created").await as u64, ALL);
    assert_eq!(world.events("crm.contact.updated").await, 0);
}

impl World {
    async fn again(&mut self) {
        self.server.kill();
        self.server.start_again().await;
        let api = self.server.anyone().with_key(self.project.key());
        let connections = api.get("/connections").await.json(200);
        let token = connections[0]["connection_token"].as_str();
        self.project = api.with_token(token.unwrap_or_default());
    }
}

async fn a_provider_that_tells_only_so_much_is_asked_again(backend: Backend) {
    let keys = "result_cap = 10\nsince_granularity = 1\nlook_back = 7\n";
    let world = World::start(backend, 5, keys).await;
    let soon = |seconds: u64| SystemClock.now().plus(Duration::from_secs(seconds));
    {
        let mut book = world.people.book();
        book.cap = Some(10);
        book.questions.clear();
    }
    for id in 101..=135 {
        world.people.put(id, soon(id), &json!("Grace"));
    }
    world.run(false).await;
    assert_eq!(world.contacts().await, 40);
    let questions = std::mem::take(&mut world.people.book().questions);
    let asked: Vec<String> = questions.into_iter().flatten().collect();
    // 5 and 35 in tens, of which each but the first begins with the last of the one before.
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(asked.is_sorted(), "{asked:?}");
    assert!(
        asked.iter().all(|since| since.ends_with(".000Z")),
        "{asked:?}"
    );

    // More of one moment than it tells: everything is read.
    let moment = soon(300);
    for id in 201..=230 {
        world.people.put(id, moment, &json!("Edsger"));
    }
    world.ask_for_a_run(false).await;
    until("all are there", async || {
        (world.contacts().await == 70).then_some(())
    })
    .await;
    let questions = std::mem::take(&mut world.people.book().questions);
    assert_eq!(questions.last(), Some(&None), "{questions:?}");
    assert_eq!(world.events("crm.contact.deleted").await, 0);
}

async fn pages_without_an_end_are_a_failure_with_a_reason(backend: Backend) {
    let world = World::start(backend, 120, "").await;
    world.change(json!({ "max_retries": 0 })).await;
    let to = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let circle = [to("75", "25")];
    let standing = [to("50", "50")];
    for (next, reason) in [
        (&circle, "go in a circle"),
        (&standing, "the same page again"),
    ] {
        world.people.book().next = next.iter().cloned().collect();
        let sync = world.run(true).await;
        assert_eq!(sync["status"], "given_up", "{sync}");
        assert!(sync["last_error"].to_string().contains(reason), "{sync}");
    }
    world.people.book().next.clear();
    let sync = world.run(true).await;
    assert_eq!(sync["status"], "completed", "{sync}");
    assert_eq!(
        (
            world.contacts().await,
            world.events("crm.contact.deleted").await
        ),
        (120, 0)
    );
}
