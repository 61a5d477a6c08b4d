//! `kill -9` in the middle of a first read.

use std::{collections::BTreeSet, time::Duration};

use jackfield_tests::{Backend, DemoProvider, Server, api::text, until_within};
use serde_json::json;

on_both_databases!(a_killed_first_read_goes_on_and_doubles_nothing);

const PEOPLE: usize = 5000;

async fn a_killed_first_read_goes_on_and_doubles_nothing(backend: Backend) {
    let provider = DemoProvider::start(PEOPLE).await;
    let builder = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    // One worker and small pages make the read long enough to be met in its middle.
    let builder = builder
        .set("JACKFIELD_SYNC__WORKERS", "1")
        .set("JACKFIELD_SYNC__PAGE_SIZE", "25");
    let mut server = builder
        .set("JACKFIELD_SYNC__LEASE_SECONDS", "2")
        .start()
        .await;
    let mut project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;

    for share in [PEOPLE / 10, PEOPLE / 2] {
        let api = project.with_token(&connection.token);
        let read = until_within(Duration::from_secs(120), "a part is read", async || {
            let states = api.sync_states("crm").await;
            let contacts = states
                .iter()
                .find(|state| state["object"] == "crm.contact")?;
            let read = contacts["records_read"].as_u64()? as usize;
            (read >= share).then_some(read)
        })
        .await;
        assert!(read < PEOPLE, "it was too quick to be killed in the middle");
        server.kill();
        server.start_again().await;
        project = server.anyone().with_key(project.key());
    }

    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    let contacts = api.all("/crm/contacts").await;
    let remote: BTreeSet<String> = contacts
        .iter()
        .map(|contact| text(&contact["remote_id"]))
        .collect();
    assert_eq!((contacts.len(), remote.len()), (PEOPLE, PEOPLE));
    let created = project.events("crm.contact.created").await;
    let announced: BTreeSet<String> = created
        .iter()
        .map(|event| text(&event["data"]["id"]))
        .collect();
    assert_eq!((created.len(), announced.len()), (PEOPLE, PEOPLE));
    assert!(
        project.events("crm.contact.updated").await.is_empty(),
        "nothing was written twice"
    );
}
