//! Custom fields: defined, mapped, changed and written, while the provider is asked for nothing
//! that it need not answer.

use jackfield::demo::Collection;
use jackfield_tests::{Api, Backend, DemoProvider, Server, api::text, until};
use serde_json::{Value, json};

on_both_databases!(
    custom_fields_are_mapped_without_the_provider,
    custom_fields_are_written_through_their_mapping,
    the_contracts_field_mappings_work,
    what_makes_no_sense_is_refused_with_its_place,
);

struct World {
    provider: DemoProvider,
    project: Api,
    /// Two connections of two linked users.
    apis: [Api; 2],
    users: [String; 2],
    connections: [String; 2],
    _server: Server,
}

impl World {
    async fn on(backend: Backend) -> Self {
        let provider = DemoProvider::start(20).await;
        let server = provider
            .known_to(Server::on(backend).await)
            .with("demo-crm")
            .start()
            .await;
        let project = server.project("App");
        project.active("demo-crm").await;
        let mut users = Vec::new();
        let mut connections = Vec::new();
        let mut apis = Vec::new();
        for origin in ["one", "two"] {
            let user = project.linked_user(origin).await;
            let body = json!({
                "linked_user_id": user, "connector": "demo-crm", "scheme": "key",
                "fields": { "api_key": "demo-key" },
            });
            let connection = project.post("/connections", &body).await.connection();
            let api = project.with_token(&connection.token);
            api.synced("crm").await;
            users.push(user);
            connections.push(connection.id);
            apis.push(api);
        }
        Self {
            provider,
            project,
            apis: apis.try_into().expect("two"),
            users: users.try_into().expect("two"),
            connections: connections.try_into().expect("two"),
            _server: server,
        }
    }

    async fn define(&self, body: Value) -> String {
        text(&self.project.post("/custom_fields", &body).await.json(201)["id"])
    }

    async fn map(&self, field: &str, body: Value) -> Value {
        let path = format!("/custom_fields/{field}/mappings");
        self.project.post(&path, &body).await.json(201)
    }
}

/// Waits until the field of every contact is what is in its document, by `expected`.
async fn all_have(api: &Api, slug: &str, expected: impl Fn(&Value) -> Value) {
    until(&format!("{slug} is mapped"), async || {
        let contacts = api.all("/crm/contacts?remote_data=true").await;
        assert_eq!(contacts.len(), 20);
        contacts
            .iter()
            .all(|contact| {
                contact["field_mappings"].get(slug) == Some(&expected(&contact["remote_data"]))
            })
            .then_some(())
    })
    .await;
}

async fn custom_fields_are_mapped_without_the_provider(backend: Backend) {
    let world = World::on(backend).await;
    let [one, two] = &world.apis;
    let asked = world.provider.demo.requests();
    let updates = world.project.events("crm.contact.updated").await.len();
    let companies = one.all("/crm/companies").await;

    // For everybody: a connector's field, with a transform.
    let field = world
        .define(json!({ "object": "crm.contact", "slug": "language", "data_type": "string", "default": "unknown" }))
        .await;
    let shout = json!([{ "type": "case", "to": "upper" }]);
    let for_all = world
        .map(
            &field,
            json!({ "connector": "demo-crm", "remote_fields": ["speaks"], "transforms": shout }),
        )
        .await;
    assert_eq!(for_all["writable"], true, "{for_all}");
    let upper = |remote: &Value| json!(text(&remote["extra"]["speaks"]).to_uppercase());
    for api in &world.apis {
        all_have(api, "language", upper).await;
    }
    assert_eq!(
        world.project.events("crm.contact.updated").await.len(),
        updates + 40
    );

    // For one: a place in the document that the connector does not know as a field.
    let own = json!({
        "connector": "demo-crm", "linked_user_id": world.users[0], "remote_fields": ["/extra/speaks", "/given_name"],
        "transforms": [{ "type": "template", "template": "{/given_name} ({/extra/speaks})" }],
    });
    let own = world.map(&field, own).await;
    assert_eq!(own["writable"], false, "{own}");
    let template = |remote: &Value| {
        json!(format!(
            "{} ({})",
            text(&remote["given_name"]),
            text(&remote["extra"]["speaks"])
        ))
    };
    all_have(one, "language", template).await;
    all_have(two, "language", upper).await;

    // A default where the provider has nothing, that of the mapping before that of the field.
    let path = format!("/custom_fields/{field}/mappings/{}", text(&for_all["id"]));
    let change = json!({ "remote_fields": ["nothing_like_it"] });
    world.project.patch(&path, &change).await.expect(200);
    all_have(two, "language", |_| json!("unknown")).await;
    let change = json!({ "default": "silent" });
    world.project.patch(&path, &change).await.expect(200);
    all_have(two, "language", |_| json!("silent")).await;

    // What is deleted leaves the records.
    world.project.delete(&path).await.expect(204);
    until("the mapping is gone", async || {
        let contacts = two.all("/crm/contacts").await;
        let gone = |contact: &Value| contact["field_mappings"] == json!({});
        contacts.iter().all(gone).then_some(())
    })
    .await;
    all_have(one, "language", template).await;

    assert_eq!(
        world.provider.demo.requests(),
        asked,
        "the provider was asked"
    );
    assert_eq!(
        one.all("/crm/companies").await,
        companies,
        "companies are untouched"
    );

    // Looking before mapping.
    let draft = json!({
        "object": "crm.contact", "data_type": "number", "remote_fields": ["speaks"], "default": 0,
    });
    let preview = one.post("/custom_fields/preview", &draft).await.json(200);
    let records = preview["records"].as_array().expect("a list");
    assert_eq!(records.len(), 5);
    for record in records {
        assert!(record["before"]["speaks"].is_string(), "{record}");
        assert_eq!(record["after"], 0, "{record}");
        assert_eq!(
            record["warnings"].as_array().map(Vec::len),
            Some(1),
            "{record}"
        );
    }
    let path = format!(
        "/connections/{}/remote_fields?object=crm.contact",
        world.connections[0]
    );
    let fields = world.project.get(&path).await.json(200);
    let fields = fields.as_array().expect("a list");
    let speaks = fields
        .iter()
        .find(|field| text(&field["name"]).ends_with("speaks"))
        .unwrap_or_else(|| panic!("{fields:?}"));
    assert_eq!(speaks["data_type"], "string");
    assert!(
        speaks["samples"]
            .as_array()
            .is_some_and(|samples| !samples.is_empty())
    );
}

async fn custom_fields_are_written_through_their_mapping(backend: Backend) {
    let world = World::on(backend).await;
    let api = &world.apis[0];
    let field = world
        .define(json!({ "object": "crm.contact", "slug": "tier", "data_type": "string" }))
        .await;
    world
        .map(
            &field,
            json!({
                "connector": "demo-crm", "remote_fields": ["tier"],
                "transforms": [{ "type": "lookup", "table": { "1": "gold", "2": "tin" } }],
            }),
        )
        .await;
    let field = world
        .define(json!({ "object": "crm.contact", "slug": "spoken", "data_type": "string" }))
        .await;
    world
        .map(
            &field,
            json!({ "connector": "demo-crm", "remote_fields": ["/extra/speaks"] }),
        )
        .await;

    let mut contact =
        json!({ "first_name": "Ada", "last_name": "King", "field_mappings": { "tier": "tin" } });
    let created = api.post("/crm/contacts", &contact).await.json(201);
    assert_eq!(
        created["field_mappings"],
        json!({ "tier": "tin", "spoken": null }),
        "{created}"
    );
    let remote_id = text(&created["remote_id"]).parse().expect("a number");
    let stored = world
        .provider
        .demo
        .record(Collection::People, remote_id)
        .expect("it is there");
    assert_eq!(stored["extra"]["tier"], "2");
    let path = format!("/crm/contacts/{}", text(&created["id"]));
    let change = json!({ "field_mappings": { "tier": "gold" } });
    let changed = api.patch(&path, &change).await.json(200);
    assert_eq!(changed["field_mappings"]["tier"], "gold");
    let stored = world
        .provider
        .demo
        .record(Collection::People, remote_id)
        .expect("it is there");
    assert_eq!(stored["extra"]["tier"], "1");
    assert_eq!(stored["given_name"], "Ada", "what was not sent stays");

    let asked = world.provider.demo.requests();
    for (sent, slug, part) in [
        (json!({ "tier": "lead" }), "tier", "look-up table"),
        (json!({ "tier": 2 }), "tier", "a text"),
        (json!({ "spoken": "Latin" }), "spoken", "read-only"),
        (json!({ "rank": "high" }), "rank", "spoken, tier"),
    ] {
        contact["field_mappings"] = sent;
        let refused = api.post("/crm/contacts", &contact).await.json(422);
        let violation = &refused["violations"][0];
        assert_eq!(
            violation["path"],
            format!("/field_mappings/{slug}"),
            "{refused}"
        );
        assert!(text(&violation["message"]).contains(part), "{refused}");
    }
    contact["field_mappings"] = json!([]);
    api.post("/crm/contacts", &contact).await.expect(422);
    assert_eq!(
        world.provider.demo.requests(),
        asked,
        "nothing wrong reaches the provider"
    );
}

async fn the_contracts_field_mappings_work(backend: Backend) {
    let world = World::on(backend).await;
    let api = &world.project;
    let define = json!({ "object_type_owner": "contact", "name": "mother_tongue", "description": "d", "data_type": "string" });
    let defined = api.post("/field_mappings/define", &define).await.json(201);
    assert_eq!(defined["status"], "defined", "{defined}");
    assert_eq!(defined["ressource_owner_type"], "crm.contact");
    api.post("/field_mappings/definitions", &define)
        .await
        .expect(409);
    let map = json!({
        "attributeId": defined["id_attribute"], "source_custom_field_id": "speaks",
        "source_provider": "demo-crm", "linked_user_id": world.users[0],
    });
    let mapped = api.post("/field_mappings/map", &map).await.json(201);
    assert_eq!(
        (&mapped["status"], &mapped["source"]),
        (&json!("mapped"), &json!("demo-crm"))
    );
    assert_eq!(mapped["id_consumer"], world.users[0].as_str());
    let speaks = |remote: &Value| remote["extra"]["speaks"].clone();
    all_have(&world.apis[0], "mother_tongue", speaks).await;
    let contacts = world.apis[1].all("/crm/contacts").await;
    assert!(
        contacts
            .iter()
            .all(|contact| contact["field_mappings"] == json!({}))
    );
    // The same again for the other, in one step and by the integrator's own id of the user.
    let both = json!({
        "object_type_owner": "crm.contact", "name": "mother_tongue", "description": null, "data_type": "text",
        "source_custom_field_id": "speaks", "source_provider": "demo-crm", "linked_user_id": "two",
    });
    let again = api.post("/field_mappings", &both).await.json(201);
    assert_eq!(again["id_attribute"], defined["id_attribute"]);
    all_have(&world.apis[1], "mother_tongue", speaks).await;
    let attributes = api.get("/field_mappings/attributes").await.json(200);
    assert_eq!(attributes.as_array().map(Vec::len), Some(2), "{attributes}");
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map_or_else(String::new, |last: &Value| {
            format!("&after={}", text(&last["id_entity"]))
        });
        let page = api
            .get(&format!("/field_mappings/values?limit=7{after}"))
            .await
            .json(200);
        let page = page.as_array().expect("a list").clone();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen.len(), 40);
    assert!(seen.iter().all(|value| value["data"].is_string()));
    let entities = api
        .get("/field_mappings/entities?limit=200")
        .await
        .json(200);
    assert_eq!(entities.as_array().map(Vec::len), Some(40));
    // Another project sees none of it.
    let stranger = world._server.project("Other");
    for path in ["attributes", "values", "entities"] {
        let found = stranger
            .get(&format!("/field_mappings/{path}"))
            .await
            .json(200);
        assert_eq!(found, json!([]), "{path}");
    }
    stranger.post("/field_mappings/map", &map).await.expect(404);
    let path = format!("/custom_fields/{}", text(&defined["id_attribute"]));
    stranger.get(&path).await.expect(404);
    stranger.delete(&path).await.expect(404);
    let mut wrong = define.clone();
    wrong["name"] = json!("Mother tongue");
    let refused = api.post("/field_mappings/define", &wrong).await.json(422);
    assert_eq!(refused["violations"][0]["path"], "/name", "{refused}");
    wrong["object_type_owner"] = json!("lead");
    let refused = api.post("/field_mappings/define", &wrong).await.json(422);
    assert_eq!(
        refused["violations"][0]["path"], "/object_type_owner",
        "{refused}"
    );
}

async fn what_makes_no_sense_is_refused_with_its_place(backend: Backend) {
    let world = World::on(backend).await;
    let good =
        json!({ "object": "crm.contact", "slug": "size", "data_type": "number", "default": 40 });
    let field = world.define(good.clone()).await;
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    world
        .project
        .post("/custom_fields", &good)
        .await
        .expect(409);
    for (body, path) in [
        (with("slug", json!("Size")), "/slug"),
        (with("object", json!("crm.nothing")), "/object"),
        (with("default", json!("forty")), "/default"),
    ] {
        let refused = world.project.post("/custom_fields", &body).await.json(422);
        assert_eq!(refused["violations"][0]["path"], path, "{refused}");
    }
    world
        .project
        .post("/custom_fields", &with("data_type", json!("money")))
        .await
        .expect(422);
    world
        .project
        .post("/custom_fields", &with("colour", json!("red")))
        .await
        .expect(422);
    let path = format!("/custom_fields/{field}/mappings");
    let good = json!({ "connector": "demo-crm", "remote_fields": ["size"], "transforms": [] });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, place) in [
        (with("connector", json!("no-such")), "/connector"),
        (
            with("linked_user_id", json!(world.connections[0])),
            "/linked_user_id",
        ),
        (with("remote_fields", json!([])), "/remote_fields"),
        (with("remote_fields", json!(["a", "b"])), "/transforms"),
        (
            with(
                "transforms",
                json!([{ "type": "template", "template": "{no}" }]),
            ),
            "/transforms/0/template",
        ),
        (with("default", json!("large")), "/default"),
    ] {
        let refused = world.project.post(&path, &body).await.json(422);
        assert_eq!(refused["violations"][0]["path"], place, "{refused}");
    }
    let shout = json!([{ "type": "shout" }]);
    world
        .project
        .post(&path, &with("transforms", shout))
        .await
        .expect(422);
    world.project.post(&path, &good).await.expect(201);
    world.project.post(&path, &good).await.expect(409);
    let unknown = format!("/custom_fields/{}", world.users[0]);
    world.project.get(&unknown).await.expect(404);
    world
        .project
        .post(&format!("{unknown}/mappings"), &good)
        .await
        .expect(404);
    let change = json!({ "data_type": "boolean" });
    let refused = world
        .project
        .patch(&format!("/custom_fields/{field}"), &change)
        .await
        .json(422);
    assert_eq!(refused["violations"][0]["path"], "/default", "{refused}");
}
