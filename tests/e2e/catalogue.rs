//! The catalogue: filters, and fields that are computed and not promised.

use std::fs;

use jackfield_tests::{Api, Backend, Server, connectors, until};
use serde_json::Value;

on_both_databases!(
    connectors_are_found_by_what_they_do,
    fields_are_computed_and_not_promised,
);

async fn slugs(project: &Api, query: &str) -> Vec<String> {
    let all = project.get(&format!("/connectors{query}")).await.json(200);
    let all = all.as_array().expect("connectors are an array");
    let mut slugs: Vec<String> = all
        .iter()
        .filter_map(|connector| connector["slug"].as_str().map(str::to_owned))
        .collect();
    slugs.sort();
    slugs
}

async fn connectors_are_found_by_what_they_do(backend: Backend) {
    let server = Server::on(backend).await.with("demo-crm").with("hubspot");
    let server = server.with("redmine").start().await;
    let project = server.project("App");
    for slug in ["demo-crm", "hubspot", "redmine"] {
        project.active(slug).await;
    }
    for (query, expected) in [
        ("", &["demo-crm", "hubspot", "redmine"][..]),
        ("?vertical=crm", &["demo-crm", "hubspot"]),
        ("?vertical=ticketing", &["redmine"]),
        ("?vertical=ats", &[]),
        ("?object=crm.contact", &["demo-crm", "hubspot"]),
        ("?object=crm.engagement", &["hubspot"]),
        ("?auth=bearer", &["hubspot"]),
        ("?auth=oauth2_code", &["demo-crm", "hubspot"]),
        ("?vertical=crm&auth=api_key", &["demo-crm"]),
        ("?vertical=ticketing&object=crm.contact", &[]),
    ] {
        assert_eq!(slugs(&project, query).await, expected, "{query}");
    }
}

/// The coverage of an object, as soon as it is computed.
async fn covered(project: &Api, slug: &str, object: &str) -> Value {
    until(&format!("the coverage of {object}"), async || {
        let status = project.get(&format!("/connectors/{slug}")).await.json(200);
        let objects = status["objects"].as_array()?;
        let found = objects.iter().find(|one| one["object"] == object)?;
        (!found["coverage"].is_null()).then(|| found.clone())
    })
    .await
}

fn names(object: &Value, way: &str) -> Vec<String> {
    let fields = object["fields"].as_array().expect("fields are an array");
    let those = fields.iter().filter(|field| field[way] == true);
    let mut names: Vec<String> = those
        .filter_map(|field| field["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

async fn fields_are_computed_and_not_promised(backend: Backend) {
    // Its manifest promises less of users than it does.
    let promise = br#"fields = ["name", "email"]"#;
    let less = format!("{:<width$}", "fields = []", width = promise.len());
    let mut bytes = fs::read(connectors::built("demo-crm")).expect("it is built");
    let at = bytes
        .windows(promise.len())
        .position(|window| window == promise)
        .expect("the manifest is in the file");
    bytes[at..at + promise.len()].copy_from_slice(less.as_bytes());
    let server = Server::on(backend).await.start().await;
    server.drop_in("demo-crm.wasm", &bytes);
    let project = server.project("App");
    project.active("demo-crm").await;

    let user = covered(&project, "demo-crm", "crm.user").await;
    assert_eq!(names(&user, "readable"), ["email", "name"]);
    assert!(names(&user, "writable").is_empty(), "users are only read");
    assert_eq!(user["coverage"]["readable"], 2);
    assert_eq!(user["coverage"]["writable"], 0);

    let contact = covered(&project, "demo-crm", "crm.contact").await;
    let all = [
        "addresses",
        "email_addresses",
        "first_name",
        "last_name",
        "phone_numbers",
        "user_id",
    ];
    assert_eq!(names(&contact, "readable"), all);
    assert_eq!(names(&contact, "writable"), all);
    let fields = contact["fields"].as_array().map(Vec::len);
    assert_eq!(
        contact["coverage"]["of"].as_u64(),
        fields.map(|many| many as u64)
    );
}
