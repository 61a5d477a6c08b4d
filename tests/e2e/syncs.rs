//! Syncs that are told what to do: schedules, filters, full passes, pauses; and servers that stop.

use std::time::Duration;

use jackfield::demo::Collection;
use jackfield_tests::{Api, Backend, DemoProvider, Server, api::text, until, until_within};
use serde_json::{Value, json};

on_both_databases!(
    a_schedule_runs_a_sync_and_a_pass_is_full_when_told,
    a_paused_sync_stops_in_its_middle_and_goes_on_there,
    records_come_and_go_with_the_filters,
    a_server_that_stops_hands_its_syncs_over,
);

struct World {
    provider: DemoProvider,
    server: Server,
    project: Api,
    connection: String,
}

impl World {
    /// A server with one worker, small pages and leases that no test would outwait.
    async fn start(backend: Backend, people: usize) -> Self {
        let provider = DemoProvider::start(people).await;
        let builder = provider
            .known_to(Server::on(backend).await)
            .with("demo-crm")
            .set("JACKFIELD_SYNC__WORKERS", "1")
            .set("JACKFIELD_SYNC__PAGE_SIZE", "25")
            .set("JACKFIELD_SYNC__LEASE_SECONDS", "3600");
        let server = builder.start().await;
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

    fn path(&self, object: &str) -> String {
        format!("/connections/{}/syncs/{object}", self.connection)
    }

    async fn sync(&self, object: &str) -> Value {
        self.project.get(&self.path(object)).await.json(200)
    }

    async fn change(&self, patch: Value) -> Value {
        let path = self.path("crm.contact");
        self.project.patch(&path, &patch).await.json(200)
    }

    async fn act(&self, action: &str, body: Value) -> Value {
        let path = format!("{}/{action}", self.path("crm.contact"));
        self.project.post(&path, &body).await.json(200)
    }

    /// Waits until some of the contacts are read, but not all.
    async fn amid(&self, least: u64, all: u64) {
        let read = until_within(Duration::from_secs(120), "a part is read", async || {
            let sync = self.sync("crm.contact").await;
            let read = sync["records_read"].as_u64()?;
            (read >= least).then_some(read)
        });
        assert!(read.await < all, "it was too quick");
    }
}

async fn a_schedule_runs_a_sync_and_a_pass_is_full_when_told(backend: Backend) {
    let world = World::start(backend, 5).await;
    world.project.synced("crm").await;
    let sync = world.sync("crm.contact").await;
    assert_eq!(
        sync["schedule"],
        json!({ "type": "interval", "seconds": 3600 })
    );
    assert_eq!(sync["next_runs"].as_array().map(Vec::len), Some(3));

    let every_second = json!({ "type": "cron", "expression": "* * * * * *", "time_zone": "UTC" });
    let changed = world
        .change(json!({ "schedule": every_second, "full_every": null }))
        .await;
    assert_eq!(changed["config"]["schedule"], every_second);
    until("only what changed is read", async || {
        let sync = world.sync("crm.contact").await;
        (sync["runs_since_full"].as_u64() >= Some(3)).then_some(())
    })
    .await;
    world.change(json!({ "full_every": 1 })).await;
    until("everything is read", async || {
        let sync = world.sync("crm.contact").await;
        (sync["runs_since_full"] == 0).then_some(())
    })
    .await;

    let manual = json!({ "type": "manual" });
    world.change(json!({ "schedule": manual })).await;
    let resting = until("nothing runs by itself", async || {
        let sync = world.sync("crm.contact").await;
        sync["next_run_at"].is_null().then_some(sync)
    });
    let resting = resting.await;
    assert_eq!(resting["next_runs"], json!([]));
    world.act("run", json!({ "full": true })).await;
    until("what was asked for is done", async || {
        let sync = world.sync("crm.contact").await;
        (sync["last_finished_at"] != resting["last_finished_at"]).then_some(())
    })
    .await;

    for (patch, named) in [
        (json!({ "shedule": null }), "shedule"),
        (
            json!({ "schedule": { "type": "cron", "expression": "now", "time_zone": "UTC" } }),
            "is not a cron expression",
        ),
        (json!({ "filters": { "nmae": "x" } }), "last_name"),
    ] {
        let path = world.path("crm.contact");
        let answer = world.project.patch(&path, &patch).await.json(422);
        assert_eq!(answer["code"], "validation_failed");
        assert!(answer.to_string().contains(named), "{answer}");
    }
    let missing = world.project.get(&world.path("crm.nothing")).await;
    assert_eq!(missing.json(404)["code"], "sync_not_found");
    let all = world.project.get("/syncs?limit=2").await.json(200);
    assert_eq!(all["data"].as_array().map(Vec::len), Some(2));
    let cursor = text(&all["next_cursor"]);
    let rest = world.project.get(&format!("/syncs?cursor={cursor}")).await;
    assert_eq!(rest.json(200)["data"].as_array().map(Vec::len), Some(5));
}

async fn a_paused_sync_stops_in_its_middle_and_goes_on_there(backend: Backend) {
    let world = World::start(backend, 3000).await;
    world.amid(100, 3000).await;
    let paused = world.act("pause", json!({})).await;
    assert_eq!(paused["status"], "paused");
    // A connection has one run at a time: the others go on because this one was given back.
    until_within(Duration::from_secs(120), "tasks are read", async || {
        let sync = world.sync("crm.task").await;
        (sync["complete"] == true).then_some(())
    })
    .await;
    let stopped = world.sync("crm.contact").await;
    assert_eq!(
        (&stopped["status"], &stopped["complete"]),
        (&json!("paused"), &json!(false))
    );
    assert_eq!(stopped["next_run_at"], Value::Null);
    let before = world.project.events("crm.contact.created").await.len();
    assert!(before < 3000, "{before}");

    world.act("resume", json!({})).await;
    world.project.synced("crm").await;
    let created = world.project.events("crm.contact.created").await.len();
    assert_eq!(created, 3000, "none is told of twice");
}

async fn records_come_and_go_with_the_filters(backend: Backend) {
    let world = World::start(backend, 20).await;
    world.project.synced("crm").await;
    let person = json!({ "given_name": "Zoe", "family_name": "Zebra-Unique" });
    let id = world
        .provider
        .demo
        .add(Collection::People, person)
        .expect("it takes a person");

    let filters = json!({ "last_name": "Zebra-Unique" });
    world.change(json!({ "filters": filters })).await;
    until("one is left", async || {
        let contacts = world.project.all("/crm/contacts").await;
        (contacts.len() == 1).then_some(())
    })
    .await;
    let gone = world.project.events("crm.contact.deleted").await.len();
    assert_eq!(gone, 20);

    let renamed = json!({ "family_name": "Zander" });
    world
        .provider
        .demo
        .change(Collection::People, id, renamed)
        .expect("it is there");
    world.act("run", json!({})).await;
    until("none is left", async || {
        let contacts = world.project.all("/crm/contacts").await;
        contacts.is_empty().then_some(())
    })
    .await;
    world.change(json!({ "filters": null })).await;
    until("all are back", async || {
        let contacts = world.project.all("/crm/contacts").await;
        (contacts.len() == 21).then_some(())
    })
    .await;
}

async fn a_server_that_stops_hands_its_syncs_over(backend: Backend) {
    const PEOPLE: u64 = 3000;
    let mut world = World::start(backend, 3000).await;
    world.amid(PEOPLE / 10, PEOPLE).await;
    // Several servers share a PostgreSQL; an SQLite file has one after the other.
    let second = match backend {
        Backend::Postgres => Some(world.server.beside().await),
        Backend::Sqlite => None,
    };
    world.server.stop();
    let base = if let Some(second) = &second {
        second.anyone()
    } else {
        world.server.start_again().await;
        world.server.anyone()
    };
    let token = {
        let api = base.with_key(world.project.key());
        let connections = api.get("/connections").await.json(200);
        text(&connections[0]["connection_token"])
    };
    let api = base.with_key(world.project.key()).with_token(&token);
    // The lease of the one that stopped would hold for an hour.
    api.synced("crm").await;
    let contacts = api.all("/crm/contacts").await.len();
    let created = api.events("crm.contact.created").await.len();
    assert_eq!((contacts as u64, created as u64), (PEOPLE, PEOPLE));
}
