//! Edits on both sides: stored at once, pushed afterwards, merged by each policy, reviewed, taken
//! back, and nothing twice.

use jackfield::demo::Collection;
use jackfield_tests::{Answer, Api, Backend, Connection, DemoProvider, Server, api, until};
use serde_json::{Value, json};

on_both_databases!(
    an_edit_is_seen_at_once_and_pushed_afterwards,
    each_policy_decides_alike_on_both_sides,
    a_person_decides_field_by_field,
    what_was_pushed_is_taken_back,
    a_deletion_is_pushed_and_taken_back,
    a_dry_run_sends_nothing,
    what_could_not_be_pushed_is_set_again,
    a_queued_edit_survives_a_kill_and_is_pushed_once,
    a_provider_that_compares_versions_is_not_overwritten,
);

/// A server whose first syncs are over, and what is needed to disturb it.
struct World {
    provider: DemoProvider,
    server: Server,
    project: Api,
    connection: Connection,
}

/// A contact on both sides.
struct Contact {
    path: String,
    remote: u64,
}

impl World {
    async fn new(backend: Backend, policy: &str) -> Self {
        let provider = DemoProvider::start(3).await;
        let builder = provider
            .known_to(Server::on(backend).await)
            .with("demo-crm")
            .set("JACKFIELD_SYNC__LEASE_SECONDS", "2");
        let server = builder.start().await;
        let project = server.project("App");
        project.active("demo-crm").await;
        let connection = project
            .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
            .await;
        let project = project.with_token(&connection.token);
        project.synced("crm").await;
        let world = Self {
            provider,
            server,
            project,
            connection,
        };
        world.configure("crm.contact", policy).await;
        world
    }

    async fn configure(&self, object: &str, policy: &str) {
        let path = format!("/connections/{}/syncs/{object}", self.connection.id);
        let patch = json!({ "direction": "bidirectional", "conflicts": policy });
        self.project.patch(&path, &patch).await.json(200);
    }

    async fn contact(&self) -> Contact {
        let contacts = self.project.all("/crm/contacts").await;
        let contact = contacts.first().expect("there are people");
        Contact {
            path: format!("/crm/contacts/{}", api::text(&contact["id"])),
            remote: api::text(&contact["remote_id"])
                .parse()
                .expect("it is there"),
        }
    }

    fn theirs(&self, contact: &Contact, field: &str) -> Value {
        let person = self
            .provider
            .demo
            .record(Collection::People, contact.remote);
        person.map_or(Value::Null, |person| person[field].clone())
    }

    fn change_theirs(&self, contact: &Contact, fields: Value) {
        let changed = self
            .provider
            .demo
            .change(Collection::People, contact.remote, fields);
        changed.expect("it is there");
    }

    async fn ours(&self, contact: &Contact, field: &str) -> Value {
        let record = self.project.get(&contact.path).await.json(200);
        record[field].clone()
    }

    async fn both(&self, contact: &Contact, ours: &str, theirs: &str, value: &str) {
        until(&format!("both sides have {value} as {ours}"), async || {
            let here = self.ours(contact, ours).await;
            (here == value && self.theirs(contact, theirs) == value).then_some(())
        })
        .await;
    }

    async fn ended(&self, change: &str) -> Value {
        until("the change ends", async || {
            let change = self
                .project
                .get(&format!("/changes/{change}"))
                .await
                .json(200);
            let open = ["queued", "pushing", "conflict"];
            (!open.contains(&change["state"].as_str()?)).then_some(change)
        })
        .await
    }

    async fn updates(&self, contact: &Contact) -> usize {
        let events = self.project.events("crm.contact.updated").await;
        let id = contact.remote.to_string();
        events
            .iter()
            .filter(|event| event["data"]["remote_id"] == id)
            .count()
    }
}

/// The change that a write was queued as.
fn queued(answer: &Answer) -> String {
    let change = answer.headers.get("x-jackfield-change");
    let change = change.unwrap_or_else(|| panic!("not queued: {answer:?}"));
    change.to_str().expect("it is there").to_owned()
}

async fn an_edit_is_seen_at_once_and_pushed_afterwards(backend: Backend) {
    let world = World::new(backend, "last_write_wins").await;
    let contact = world.contact().await;
    world.provider.demo.fail_next(2);
    let answer = world
        .project
        .patch(&contact.path, &json!({ "first_name": "Grace" }))
        .await;
    let id = queued(&answer);
    assert_eq!(answer.json(200)["first_name"], "Grace");
    assert_eq!(world.ours(&contact, "first_name").await, "Grace");

    let change = world.ended(&id).await;
    assert_eq!(change["state"], "done", "{change}");
    assert_eq!(change["pushed"][0]["field"], "first_name");
    assert_eq!(change["pushed"][0]["to"], "Grace");
    assert_eq!(world.theirs(&contact, "given_name"), "Grace");

    // A sync reads what was pushed: that is no news.
    let before = world.updates(&contact).await;
    assert_eq!(before, 1, "our own edit is announced once");
    world.project.resync("crm").await;
    world.project.resync("crm").await;
    assert_eq!(world.updates(&contact).await, before);
    assert_eq!(world.ours(&contact, "first_name").await, "Grace");
    world
        .server
        .anyone()
        .with_key(world.project.key())
        .get("/changes?state=nonsense")
        .await
        .expect(400);
    let other = world.server.project("Other");
    other.get(&format!("/changes/{id}")).await.expect(404);
    assert_eq!(other.get("/changes").await.json(200)["data"], json!([]));
}

async fn each_policy_decides_alike_on_both_sides(backend: Backend) {
    let world = World::new(backend, "source_wins").await;
    let contact = world.contact().await;
    for (policy, ours_last, winner) in [
        ("source_wins", true, "Theirs"),
        ("target_wins", false, "Ours"),
        ("last_write_wins", true, "Ours"),
        ("last_write_wins", false, "Theirs"),
    ] {
        world.configure("crm.contact", policy).await;
        let name = |side: &str| format!("{side} {policy} {ours_last}");
        // Nothing can be pushed until both have edited.
        world.provider.demo.fail_next(1000);
        let edit = json!({ "first_name": name("Ours"), "last_name": name("Kept") });
        if !ours_last {
            world.project.patch(&contact.path, &edit).await.json(200);
        }
        world.change_theirs(
            &contact,
            json!({ "given_name": name("Theirs"), "mail": "new@example.com" }),
        );
        if ours_last {
            world.project.patch(&contact.path, &edit).await.json(200);
        }
        world.provider.demo.fail_next(0);
        world
            .both(&contact, "first_name", "given_name", &name(winner))
            .await;
        // What only one side changed is that side's, whoever wins the other.
        world
            .both(&contact, "last_name", "family_name", &name("Kept"))
            .await;
        let mail = world.ours(&contact, "email_addresses").await;
        assert_eq!(mail[0]["email_address"], "new@example.com");
        assert_eq!(
            world.project.get("/conflicts").await.json(200)["data"],
            json!([])
        );
    }
}

async fn a_person_decides_field_by_field(backend: Backend) {
    let world = World::new(backend, "manual").await;
    let contact = world.contact().await;
    let before = world.ours(&contact, "first_name").await;
    world.provider.demo.fail_next(1000);
    let edit = json!({ "first_name": "Ours", "last_name": "Free" });
    let answer = world.project.patch(&contact.path, &edit).await;
    let id = queued(&answer);
    world.change_theirs(&contact, json!({ "given_name": "Theirs" }));
    world.provider.demo.fail_next(0);

    let conflict = until("the conflict is found", async || {
        let page = world.project.get("/conflicts?state=open").await.json(200);
        page["data"].get(0).cloned()
    })
    .await;
    let field = &conflict["fields"][0];
    assert_eq!(field["field"], "first_name");
    assert_eq!(
        (&field["base"], &field["ours"], &field["theirs"]),
        (&before, &json!("Ours"), &json!("Theirs"))
    );
    assert!(
        field["ours_by"].is_string() && field["theirs_at"].is_string(),
        "{field}"
    );
    // The other field is not held up, and neither side loses its value.
    world
        .both(&contact, "last_name", "family_name", "Free")
        .await;
    assert_eq!(world.ours(&contact, "first_name").await, "Ours");
    assert_eq!(world.theirs(&contact, "given_name"), "Theirs");
    let change = world.project.get(&format!("/changes/{id}")).await.json(200);
    assert_eq!(change["in_conflict"], json!(["first_name"]), "{change}");

    let path = format!("/conflicts/{}/resolve", api::text(&conflict["id"]));
    let unknown = json!({ "fields": { "email": "ours" } });
    world.project.post(&path, &unknown).await.expect(422);
    world.project.post(&path, &json!({})).await.expect(422);
    // A value that no write takes is not taken here either.
    let broken = json!({ "fields": { "first_name": { "value": { "a": ["b"] } } } });
    let refused = world.project.post(&path, &broken).await.json(422);
    assert_eq!(refused["violations"][0]["path"], "/fields/first_name/value");
    assert_eq!(world.ours(&contact, "first_name").await, "Ours");
    let decision = json!({ "fields": { "first_name": { "value": "Both" } } });
    let resolved = world.project.post(&path, &decision).await.json(200);
    assert_eq!(resolved["state"], "resolved");
    assert!(resolved["resolved_by"].is_string(), "{resolved}");
    assert_eq!(
        resolved["decisions"],
        json!({ "first_name": { "value": "Both" } })
    );
    world
        .both(&contact, "first_name", "given_name", "Both")
        .await;
    assert_eq!(world.ended(&id).await["state"], "done");
    world.project.post(&path, &decision).await.expect(409);

    // Many at once, for the provider's side.
    world.provider.demo.fail_next(1000);
    world
        .project
        .patch(&contact.path, &json!({ "first_name": "A" }))
        .await
        .json(200);
    world.change_theirs(&contact, json!({ "given_name": "B" }));
    world.provider.demo.fail_next(0);
    let ids = until("the conflict is found", async || {
        let page = world.project.get("/conflicts?state=open").await.json(200);
        let id = page["data"].get(0)?["id"].clone();
        Some(json!([id]))
    })
    .await;
    let decision = json!({ "ids": ids, "rest": "theirs" });
    let resolved = world
        .project
        .post("/conflicts/resolve", &decision)
        .await
        .json(200);
    assert_eq!(resolved[0]["state"], "resolved");
    world.both(&contact, "first_name", "given_name", "B").await;
}

async fn what_was_pushed_is_taken_back(backend: Backend) {
    let world = World::new(backend, "last_write_wins").await;
    let contact = world.contact().await;
    let before = world.ours(&contact, "first_name").await;
    let edit = json!({ "first_name": "New", "last_name": "Name" });
    let id = queued(&world.project.patch(&contact.path, &edit).await);
    let change = world.ended(&id).await;
    assert_eq!(change["state"], "done", "{change}");
    world.change_theirs(&contact, json!({ "family_name": "Later" }));

    let run = api::text(&change["run_id"]);
    let undone = world
        .project
        .post(&format!("/sync-runs/{run}/undo"), &json!({}))
        .await
        .json(202);
    assert_eq!(undone[0]["fields"], json!(["first_name"]));
    assert_eq!(undone[0]["kept"][0]["field"], "last_name");
    world
        .both(
            &contact,
            "first_name",
            "given_name",
            before.as_str().expect("it is there"),
        )
        .await;
    assert_eq!(world.theirs(&contact, "family_name"), "Later");
    assert_eq!(
        world.project.get(&format!("/changes/{id}")).await.json(200)["state"],
        "undone"
    );
    let by = api::text(&undone[0]["undone_by"]);
    assert_eq!(world.ended(&by).await["undo_of"], id.as_str());
    // Once only.
    let again = world
        .project
        .post(&format!("/changes/{id}/undo"), &json!({}))
        .await
        .json(202);
    assert_eq!(again["fields"], json!([]));
    let nothing = "/sync-runs/00000000-0000-7000-8000-000000000000/undo";
    world.project.post(nothing, &json!({})).await.expect(404);
}

async fn a_deletion_is_pushed_and_taken_back(backend: Backend) {
    let world = World::new(backend, "last_write_wins").await;
    let contact = world.contact().await;
    let name = world.ours(&contact, "last_name").await;
    let people = world.provider.demo.count(Collection::People);
    let answer = world.project.delete(&contact.path).await;
    answer.expect(204);
    let id = queued(&answer);
    world.project.get(&contact.path).await.expect(404);
    assert_eq!(world.ended(&id).await["state"], "done");
    assert_eq!(world.provider.demo.count(Collection::People), people - 1);
    world.project.resync("crm").await;
    assert_eq!(world.project.events("crm.contact.deleted").await.len(), 1);

    let undone = world
        .project
        .post(&format!("/changes/{id}/undo"), &json!({}))
        .await
        .json(202);
    let by = api::text(&undone["undone_by"]);
    let change = world.ended(&by).await;
    assert_eq!(
        (&change["state"], &change["action"]),
        (&json!("done"), &json!("create")),
        "{change}"
    );
    assert_eq!(world.provider.demo.count(Collection::People), people);
    let path = format!("/crm/contacts/{}", api::text(&change["record_id"]));
    assert_eq!(world.project.get(&path).await.json(200)["last_name"], name);
    world.project.get(&contact.path).await.expect(404);
}

async fn a_dry_run_sends_nothing(backend: Backend) {
    let world = World::new(backend, "last_write_wins").await;
    let contact = world.contact().await;
    let before = world.ours(&contact, "first_name").await;
    let requests = world.provider.demo.requests();
    let path = format!("{}?dry_run=true", contact.path);
    let preview = world
        .project
        .patch(&path, &json!({ "first_name": "Dry" }))
        .await
        .json(200);
    assert_eq!(preview["action"], "update");
    assert_eq!(preview["remote_id"], contact.remote.to_string());
    assert_eq!(preview["document"]["given_name"], "Dry");
    assert_eq!(
        preview["changes"],
        json!([{ "field": "first_name", "from": before, "to": "Dry" }])
    );
    let body = json!({ "first_name": "New", "last_name": "One" });
    let preview = world
        .project
        .post("/crm/contacts?dry_run=true", &body)
        .await
        .json(200);
    assert_eq!(
        (&preview["action"], &preview["remote_id"]),
        (&json!("create"), &Value::Null)
    );
    world
        .project
        .patch(&path, &json!({ "first_name": 7 }))
        .await
        .expect(422);
    let preview = world.project.delete(&path).await.json(200);
    assert_eq!(preview["action"], "delete");
    assert_eq!(world.provider.demo.requests(), requests);
    assert_eq!(world.ours(&contact, "first_name").await, before);
    assert_eq!(
        world.project.get("/changes").await.json(200)["data"],
        json!([])
    );
}

async fn what_could_not_be_pushed_is_set_again(backend: Backend) {
    let world = World::new(backend, "last_write_wins").await;
    let contact = world.contact().await;
    let sync = format!("/connections/{}/syncs/crm.contact", world.connection.id);
    let no_patience = json!({ "max_retries": 0 });
    world.project.patch(&sync, &no_patience).await.json(200);
    let before = world.ours(&contact, "first_name").await;
    world.provider.demo.fail_next(1000);
    let edit = json!({ "first_name": "Again" });
    let id = queued(&world.project.patch(&contact.path, &edit).await);
    let retry = format!("/changes/{id}/retry");
    let failed = world.ended(&id).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(failed["lost"][0]["to"], "Again", "{failed}");
    assert_eq!(world.ours(&contact, "first_name").await, before);

    world.provider.demo.fail_next(0);
    let again = world.project.post(&retry, &json!({})).await.json(202);
    let done = world.ended(&api::text(&again["id"])).await;
    assert_eq!(done["state"], "done", "{done}");
    world
        .both(&contact, "first_name", "given_name", "Again")
        .await;
    let done = format!("/changes/{}/retry", api::text(&again["id"]));
    world.project.post(&done, &json!({})).await.expect(409);
}

async fn a_queued_edit_survives_a_kill_and_is_pushed_once(backend: Backend) {
    let mut world = World::new(backend, "manual").await;
    let contact = world.contact().await;
    let version = world
        .theirs(&contact, "version")
        .as_u64()
        .expect("it is there");
    world.provider.demo.fail_next(1000);
    let id = queued(
        &world
            .project
            .patch(&contact.path, &json!({ "first_name": "Kept" }))
            .await,
    );
    world
        .project
        .patch(&contact.path, &json!({ "last_name": "Too" }))
        .await
        .json(200);
    world.server.kill();
    world.provider.demo.fail_next(0);
    world.server.start_again().await;
    let key = world.project.key().to_owned();
    world.project = world
        .server
        .anyone()
        .with_key(&key)
        .with_token(&world.connection.token);
    assert_eq!(world.ended(&id).await["state"], "done");
    world
        .both(&contact, "first_name", "given_name", "Kept")
        .await;
    world
        .both(&contact, "last_name", "family_name", "Too")
        .await;
    assert_eq!(
        world.theirs(&contact, "version"),
        version + 1,
        "one write at the provider"
    );
}

async fn a_provider_that_compares_versions_is_not_overwritten(backend: Backend) {
    let world = World::new(backend, "manual").await;
    world.configure("crm.company", "manual").await;
    let companies = world.project.all("/crm/companies").await;
    let company = companies.first().expect("there are companies");
    let path = format!("/crm/companies/{}", api::text(&company["id"]));
    let remote: u64 = api::text(&company["remote_id"])
        .parse()
        .expect("it is there");
    let theirs = || {
        world
            .provider
            .demo
            .record(Collection::Companies, remote)
            .expect("it is there")
    };
    // The connector reads nothing first here: the provider refuses the version that we know.
    let change = json!({ "headcount": 77 });
    world
        .provider
        .demo
        .change(Collection::Companies, remote, change)
        .expect("it is there");
    let id = queued(
        &world
            .project
            .patch(&path, &json!({ "name": "Renamed" }))
            .await,
    );
    assert_eq!(world.ended(&id).await["state"], "done");
    assert_eq!(
        (&theirs()["label"], &theirs()["headcount"]),
        (&json!("Renamed"), &json!(77))
    );
    let record = world.project.get(&path).await.json(200);
    assert_eq!(record["number_of_employees"].as_f64(), Some(77.0));
}
