//! The main job: a connector is dropped in, a linked user connects, the application reads, writes
//! and watches.

use std::collections::BTreeSet;

use jackfield::demo::Collection;
use jackfield_tests::{
    Backend, DemoProvider, Server,
    api::{encode, text},
    until,
};
use serde_json::json;

on_both_databases!(
    a_dropped_connector_serves_its_first_customer,
    wrong_input_is_told_by_field
);

async fn a_dropped_connector_serves_its_first_customer(backend: Backend) {
    let provider = DemoProvider::start(500).await;
    let server = provider.known_to(Server::on(backend).await).start().await;
    let project = server.project("First app");
    project.get("/connectors/demo-crm").await.expect(404);

    server.plug_in("demo-crm");
    let connector = project.active("demo-crm").await;
    assert_eq!(connector["versions"][0]["state"], "active", "{connector}");
    assert!(
        connector["permissions"]["http"][0].as_str().is_some(),
        "{connector}"
    );

    let user = project.linked_user("customer-1").await;
    let projects = project.get("/projects").await.json(200);
    let state = json!({
        "projectId": projects[0]["id_project"], "linkedUserId": user, "providerName": "demo-crm", "vertical": "crm",
    });
    let callback = format!(
        "/connections/basicorapikey/callback?state={}",
        encode(&state.to_string())
    );
    let refused = project
        .post(&callback, &json!({ "api_key": "wrong" }))
        .await
        .json(422);
    assert_eq!(refused["code"], "credentials_refused", "{refused}");
    let connection = project
        .post(&callback, &json!({ "api_key": "demo-key" }))
        .await
        .connection();
    let listed = project.get("/connections").await.json(200);
    assert_eq!(listed[0]["connection_token"], connection.token.as_str());
    let events = project.events("connection.created").await;
    assert_eq!(events.len(), 1);

    // The list is narrowed to a customer and a connector, and never widened by a slip.
    for (query, expected) in [
        (format!("linked_user_id={user}"), 1),
        (
            "linked_user_origin_id=customer-1&connector=demo-crm".to_owned(),
            1,
        ),
        ("linked_user_origin_id=nobody".to_owned(), 0),
        (
            format!("linked_user_id={user}&linked_user_origin_id=nobody"),
            0,
        ),
        ("connector=hubspot".to_owned(), 0),
        ("utm=x".to_owned(), 1),
    ] {
        let found = project
            .get(&format!("/connections?{query}"))
            .await
            .json(200);
        assert_eq!(found.as_array().map(Vec::len), Some(expected), "{query}");
    }
    for query in [
        "linked_user_origin_id=",
        "linked_user_id=x",
        "linked_user_origin=customer-1",
        "id_linked_user=x",
    ] {
        let refused = project.get(&format!("/connections?{query}")).await;
        assert_eq!(refused.json(400)["code"], "invalid_parameter", "{query}");
    }

    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    let contacts = api.all("/crm/contacts").await;
    assert_eq!(contacts.len(), 500);
    let remote: BTreeSet<String> = contacts
        .iter()
        .map(|contact| text(&contact["remote_id"]))
        .collect();
    assert_eq!(remote.len(), 500);
    for (path, collection) in [
        ("/crm/companies", Collection::Companies),
        ("/crm/deals", Collection::Deals),
        ("/crm/notes", Collection::Notes),
        ("/crm/tasks", Collection::Tasks),
        ("/crm/stages", Collection::Stages),
        ("/crm/users", Collection::Users),
    ] {
        assert_eq!(
            api.all(path).await.len(),
            provider.demo.count(collection),
            "{path}"
        );
    }

    // A reference leads to the record that it names.
    let deal = &api.all("/crm/deals").await[0];
    let company = api
        .get(&format!("/crm/companies/{}", text(&deal["company_id"])))
        .await
        .json(200);
    assert!(
        text(&deal["name"]).starts_with(&text(&company["name"])),
        "{deal} {company}"
    );

    let body = json!({
        "first_name": "Ada", "last_name": "Lovelace",
        "email_addresses": [{ "email_address": "ada@example.com", "email_address_type": "WORK" }],
    });
    let created = api
        .post("/crm/contacts?remote_data=true", &body)
        .await
        .json(201);
    let path = format!("/crm/contacts/{}", text(&created["id"]));
    assert_eq!(created["remote_data"]["given_name"], "Ada", "{created}");
    let remote_id: u64 = text(&created["remote_id"])
        .parse()
        .expect("the demo provider counts");
    assert!(
        provider
            .demo
            .record(Collection::People, remote_id)
            .is_some()
    );
    assert_eq!(api.get(&path).await.json(200)["last_name"], "Lovelace");

    let updated = api
        .patch(&path, &json!({ "last_name": "King" }))
        .await
        .json(200);
    assert_eq!(
        (&updated["first_name"], &updated["last_name"]),
        (&json!("Ada"), &json!("King"))
    );
    let at_provider = provider
        .demo
        .record(Collection::People, remote_id)
        .expect("it is there");
    assert_eq!(at_provider["family_name"], "King");

    api.delete(&path).await.expect(204);
    api.get(&path).await.expect(404);
    assert!(
        provider
            .demo
            .record(Collection::People, remote_id)
            .is_none()
    );
    assert_eq!(api.all("/crm/contacts").await.len(), 500);

    for kind in [
        "crm.contact.created",
        "crm.contact.updated",
        "crm.contact.deleted",
    ] {
        let events = project.events(kind).await;
        let about = events
            .iter()
            .filter(|event| event["data"]["id"] == created["id"])
            .count();
        assert_eq!(about, 1, "{kind}");
    }
    assert_eq!(project.events("crm.contact.created").await.len(), 501);

    // What changes at the provider arrives with the next read, deletions too.
    let changed: u64 = remote
        .iter()
        .next()
        .expect("there are contacts")
        .parse()
        .expect("a number");
    let gone: u64 = remote
        .iter()
        .nth(1)
        .expect("there are contacts")
        .parse()
        .expect("a number");
    provider
        .demo
        .change(
            Collection::People,
            changed,
            json!({ "given_name": "Grace" }),
        )
        .expect("it is there");
    provider
        .demo
        .delete(Collection::People, gone)
        .expect("it is there");
    api.resync("crm").await;
    let contacts = api.all("/crm/contacts").await;
    assert_eq!(contacts.len(), 499);
    let contact = contacts
        .iter()
        .find(|contact| contact["remote_id"] == *changed.to_string());
    assert_eq!(contact.expect("it is listed")["first_name"], "Grace");
    let with_deleted = api.all("/crm/contacts?include_deleted=true").await;
    assert!(
        with_deleted
            .iter()
            .any(|contact| contact["remote_id"] == *gone.to_string())
    );

    // The last page leads back to the first.
    let first = api.get("/crm/contacts?limit=200").await.json(200);
    let next = encode(&text(&first["next_cursor"]));
    let second = api
        .get(&format!("/crm/contacts?limit=200&cursor={next}"))
        .await
        .json(200);
    let previous = encode(&text(&second["prev_cursor"]));
    let again = api
        .get(&format!("/crm/contacts?limit=200&cursor={previous}"))
        .await
        .json(200);
    assert_eq!(first["data"], again["data"]);

    project
        .delete(&format!("/connections/{}", connection.id))
        .await
        .expect(204);
    api.get("/crm/contacts").await.expect(401);
    assert_eq!(project.events("connection.deleted").await.len(), 1);

    std::fs::remove_file(server.plugins().join("demo-crm.wasm")).expect("it is there");
    until("the connector is retired", async || {
        let status = project.get("/connectors/demo-crm").await.json(200);
        (status["state"] == "retired").then_some(())
    })
    .await;
}

async fn wrong_input_is_told_by_field(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .start()
        .await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    let api = project.with_token(&connection.token);
    api.synced("crm").await;

    let missing = api
        .post("/crm/contacts", &json!({ "first_name": "Ada" }))
        .await
        .json(422);
    assert_eq!(missing["code"], "validation_failed");
    assert!(
        missing["violations"].to_string().contains("last_name"),
        "{missing}"
    );
    let unknown = json!({ "first_name": "Ada", "last_name": "King", "shoe_size": 39 });
    let unknown = api.post("/crm/contacts", &unknown).await.json(422);
    assert!(
        unknown["violations"].to_string().contains("shoe_size"),
        "{unknown}"
    );
    let nowhere = json!({
        "first_name": "Ada", "last_name": "King", "user_id": "00000000-0000-8000-8000-000000000000",
    });
    let nowhere = api.post("/crm/contacts", &nowhere).await.json(422);
    assert_eq!(nowhere["code"], "unknown_reference", "{nowhere}");
    api.get("/crm/contacts?limit=none").await.expect(400);
    api.get("/crm/contacts?cursor=none").await.expect(400);
    api.get("/crm/ghosts").await.expect(404);
    api.post("/crm/stages", &json!({ "stage_name": "Won" }))
        .await
        .expect(405);

    // The provider is asked again where that helps, and its errors keep their meaning.
    let contact = text(&api.all("/crm/contacts").await[0]["id"]);
    let path = format!("/crm/contacts/{contact}");
    provider.demo.limit_next(20, 7);
    let limited = api.patch(&path, &json!({ "first_name": "Ada" })).await;
    limited.expect(429);
    assert_eq!(
        limited.headers.get("retry-after").expect("it says when"),
        "7"
    );
    provider.demo.limit_next(0, 0);
    provider.demo.fail_next(20);
    let broken = api
        .patch(&path, &json!({ "first_name": "Ada" }))
        .await
        .json(503);
    assert_eq!(broken["code"], "provider_unavailable", "{broken}");
    provider.demo.fail_next(0);
    api.patch(&path, &json!({ "first_name": "Ada" }))
        .await
        .expect(200);
}
