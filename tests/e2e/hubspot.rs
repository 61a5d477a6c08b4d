//! HubSpot, against a server that behaves as HubSpot's documentation says (constructed, not
//! recorded).

use std::time::Duration;

use fake_hubspot::{FakeHubSpot, Options, Webhook};
use jackfield_tests::{Api, Backend, Server, api, api::text, server::Builder, until};
use serde_json::{Value, json};
use url::Url;

on_both_databases!(
    a_private_app_reads_and_writes_everything,
    an_oauth_app_connects_and_refreshes,
    more_changes_than_a_search_gives_arrive,
    webhooks_of_an_account_reach_all_its_connections,
    the_properties_of_an_account_are_listed,
);

fn known(fake: &FakeHubSpot, server: Builder, options: &Options) -> Builder {
    let base = fake.base_url();
    server
        .with("hubspot")
        .endpoint("hubspot", "api", &base)
        .oauth(
            "hubspot",
            "authorize_url",
            &format!("{base}/oauth/authorize"),
        )
        .oauth("hubspot", "token_url", &format!("{base}/oauth/v1/token"))
        .set("HUBSPOT_CRM_CLOUD_CLIENT_ID", &options.client_id)
        .set("HUBSPOT_CRM_CLOUD_CLIENT_SECRET", &options.client_secret)
}

async fn connected(backend: Backend, options: &Options) -> (FakeHubSpot, Server, Api) {
    let fake = FakeHubSpot::start(options.clone());
    let server = known(&fake, Server::on(backend).await, options)
        .start()
        .await;
    let project = server.project("App");
    project.active("hubspot").await;
    let fields = json!({ "access_token": options.private_app_token });
    let connection = project.connect("hubspot", "token", fields).await;
    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    (fake, server, api)
}

fn by_remote_id<'a>(records: &'a [Value], remote_id: &str) -> &'a Value {
    let found = records
        .iter()
        .find(|record| record["remote_id"] == remote_id);
    found.unwrap_or_else(|| panic!("no record has the remote id {remote_id}"))
}

async fn a_private_app_reads_and_writes_everything(backend: Backend) {
    let options = Options {
        contacts: 250,
        companies: 30,
        deals: 20,
        ..Options::default()
    };
    let (fake, _server, api) = connected(backend, &options).await;
    for (path, count) in [
        ("/crm/contacts", 250),
        ("/crm/companies", 30),
        ("/crm/deals", 20),
        ("/crm/notes", options.notes),
        ("/crm/tasks", options.tasks),
        (
            "/crm/engagements",
            options.calls + options.meetings + options.emails,
        ),
        ("/crm/users", options.owners),
    ] {
        assert_eq!(api.all(path).await.len(), count, "{path}");
    }
    assert!(!api.all("/crm/stages").await.is_empty());

    // An association is a reference to a record of ours.
    let companies = api.all("/crm/companies").await;
    let deals = api.all("/crm/deals").await;
    for deal in &deals {
        let remote_id = text(&deal["remote_id"])
            .parse()
            .expect("HubSpot's ids are numbers");
        let associated = fake.associated("deals", remote_id, "companies");
        let company = companies
            .iter()
            .find(|company| company["id"] == deal["company_id"]);
        let company = text(&company.unwrap_or_else(|| panic!("{deal}"))["remote_id"]);
        assert!(
            associated.contains(&company.parse().expect("a number")),
            "{deal}"
        );
    }

    let contact = json!({
        "first_name": "Ada", "last_name": "Lovelace",
        "email_addresses": [{ "email_address": "ada@example.com", "email_address_type": "WORK" }],
    });
    let created = api.post("/crm/contacts", &contact).await.json(201);
    let note = json!({ "content": "Met Ada", "contact_id": created["id"], "company_id": companies[0]["id"] });
    let note = api.post("/crm/notes", &note).await.json(201);
    assert_eq!(note["contact_id"], created["id"]);
    let note_id = text(&note["remote_id"]).parse().expect("a number");
    let contact_id: u64 = text(&created["remote_id"]).parse().expect("a number");
    assert_eq!(fake.associated("notes", note_id, "contacts"), [contact_id]);

    let path = format!("/crm/contacts/{}", text(&created["id"]));
    let updated = api
        .patch(&path, &json!({ "last_name": "King" }))
        .await
        .json(200);
    assert_eq!(updated["first_name"], "Ada");
    let stored = fake
        .records("contacts")
        .into_iter()
        .find(|record| record.id == contact_id);
    assert_eq!(stored.expect("it is there").properties["lastname"], "King");
    let twin = api.post("/crm/contacts", &contact).await;
    assert!(
        [409, 422].contains(&twin.status),
        "one address, one contact: {}",
        twin.text
    );
    api.delete(&path).await.expect(204);
    api.get(&path).await.expect(404);

    // A change, a new record and a deletion at HubSpot.
    let records = fake.records("contacts");
    let (changed, archived) = (records[0].id, records[1].id);
    assert!(fake.update("contacts", changed, &[("firstname", Some("Grace"))]));
    let inserted = fake.insert("contacts", &[("firstname", "New"), ("lastname", "Here")]);
    assert!(fake.archive("contacts", archived));
    let searches = fake.count("POST", "/crm/v3/objects/contacts/search");
    api.resync("crm").await;
    assert!(
        fake.count("POST", "/crm/v3/objects/contacts/search") > searches,
        "the second read is incremental"
    );
    let contacts = api.all("/crm/contacts").await;
    assert_eq!(
        by_remote_id(&contacts, &changed.to_string())["first_name"],
        "Grace"
    );
    assert_eq!(
        by_remote_id(&contacts, &inserted.to_string())["last_name"],
        "Here"
    );

    // Limits are waited out.
    fake.rate_limit_next(2, Some(1));
    let updated = json!({ "last_name": "Patient" });
    let patient = by_remote_id(&contacts, &inserted.to_string());
    let path = format!("/crm/contacts/{}", text(&patient["id"]));
    let answer = api.patch(&path, &updated).await;
    assert!([200, 429].contains(&answer.status), "{}", answer.text);
    until("the limit is over", async || {
        (api.patch(&path, &updated).await.status == 200).then_some(())
    })
    .await;
}

async fn an_oauth_app_connects_and_refreshes(backend: Backend) {
    let options = Options::default();
    let fake = FakeHubSpot::start(options.clone());
    let server = known(&fake, Server::on(backend).await, &options)
        .start()
        .await;
    let project = server.project("App");
    project.active("hubspot").await;
    let body =
        json!({ "connector": "hubspot", "scheme": "oauth", "linked_user_origin_id": "customer-1" });
    let started = project
        .post("/connections/oauth/start", &body)
        .await
        .json(201);
    let authorize = Url::parse(&text(&started["authorize_url"])).expect("it is a URL");
    assert!(
        authorize
            .query_pairs()
            .any(|(name, value)| name == "client_id" && value == *options.client_id)
    );
    // The fake's customer agrees at once.
    let back = api::http()
        .get(authorize)
        .send()
        .await
        .expect("the fake answers");
    let back = back
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let answer = Api::new("")
        .get(&back.expect("it sends the customer back"))
        .await;
    assert!([200, 302].contains(&answer.status), "{}", answer.text);
    let connections = project.get("/connections").await.json(200);
    let api = project.with_token(&text(&connections[0]["connection_token"]));
    api.synced("crm").await;
    assert_eq!(api.all("/crm/contacts").await.len(), 10);

    fake.expire_access_tokens();
    let tokens = fake.count("POST", "/oauth/v1/token");
    let contact = json!({ "first_name": "Ada", "last_name": "Lovelace" });
    api.post("/crm/contacts", &contact).await.expect(201);
    assert_eq!(fake.count("POST", "/oauth/v1/token"), tokens + 1);
    fake.expire_access_tokens();
    fake.revoke_refresh_tokens();
    let refused = api.post("/crm/contacts", &contact).await.json(424);
    assert_eq!(refused["code"], "needs_reconnect", "{refused}");
}

/// HubSpot's search gives no more than 10,000 results, however many there are.
async fn more_changes_than_a_search_gives_arrive(backend: Backend) {
    let options = Options {
        contacts: 10_500,
        ..Options::default()
    };
    let (fake, _server, api) = connected(backend, &options).await;
    assert_eq!(api.all("/crm/contacts").await.len(), 10_500);
    for record in fake.records("contacts") {
        assert!(fake.update("contacts", record.id, &[("lastname", Some("Changed"))]));
    }
    api.resync("crm").await;
    let contacts = api.all("/crm/contacts").await;
    assert_eq!(contacts.len(), 10_500);
    let unchanged = contacts
        .iter()
        .filter(|contact| contact["last_name"] != "Changed")
        .count();
    assert_eq!(unchanged, 0);
}

/// The id of the only connection of a project.
async fn connection_id(project: &Api) -> String {
    let connections = project.get("/connections").await.json(200);
    assert_eq!(connections.as_array().map(Vec::len), Some(1));
    text(&connections[0]["id_connection"])
}

async fn deliver(url: &str, webhook: &Webhook, body: &str) -> u16 {
    let request = api::http().post(url).body(body.to_owned());
    let headers = webhook.headers.iter();
    let request = headers.fold(request, |request, (name, value)| {
        request.header(*name, value)
    });
    let answer = request.send().await.expect("the server answers");
    answer.status().as_u16()
}

/// The event of that type about a record of HubSpot.
async fn told(project: &Api, kind: &str, id: u64) -> Value {
    let remote_id = id.to_string();
    until(kind, async || {
        let events = project.events(kind).await.into_iter();
        let mut its = events.filter(|event| event["data"]["remote_id"] == remote_id.as_str());
        its.next()
    })
    .await
}

async fn webhooks_of_an_account_reach_all_its_connections(backend: Backend) {
    let options = Options::default();
    let portal = options.portal_id;
    let (fake, server, first) = connected(backend, &options).await;
    let second = server.project("Other");
    let fields = json!({ "access_token": options.private_app_token });
    let connection = second.connect("hubspot", "token", fields).await;
    second.with_token(&connection.token).synced("crm").await;
    let path = format!("/connections/{}/webhook", connection_id(&first).await);
    let place = first.get(&path).await.json(200);
    assert_eq!(place["secret_kind"], "client");
    assert_eq!(place["secret"], Value::Null, "customers do not see it");
    let url = text(&place["url"]);
    assert!(url.ends_with("/inbound/hubspot"), "{url}");
    let runs = first.events("sync.completed").await.len();

    let ids: Vec<u64> = fake.records("contacts").iter().map(|one| one.id).collect();
    let (changed, archived) = (ids[0], ids[1]);
    assert!(fake.update("contacts", changed, &[("firstname", Some("Rear Admiral"))]));
    let created = fake.insert("contacts", &[("firstname", "New"), ("lastname", "Here")]);
    assert!(fake.archive("contacts", archived));
    let events = [
        ("contact.propertyChange", changed),
        ("contact.creation", created),
        ("contact.deletion", archived),
        ("ticket.creation", 5),
    ];
    let now = Duration::ZERO;
    let batch = fake.webhook(&url, portal, now, &events);

    // What is not HubSpot's is refused, and nothing is read.
    let reads = fake.count("GET", "/crm/v3/objects/contacts/");
    let bare = Webhook {
        headers: [("x-nothing", String::new()), ("x-more", String::new())],
        body: String::new(),
    };
    assert_eq!(deliver(&url, &bare, &batch.body).await, 401, "unsigned");
    let other = batch.body.replace("creation", "deletion");
    assert_eq!(deliver(&url, &batch, &other).await, 401, "another body");
    let elsewhere = fake.webhook(&format!("{url}/x"), portal, now, &events);
    assert_eq!(
        deliver(&url, &elsewhere, &elsewhere.body).await,
        401,
        "signed for another address"
    );
    let old = fake.webhook(&url, portal, Duration::from_secs(301), &events);
    assert_eq!(deliver(&url, &old, &old.body).await, 401, "an old one");
    let stranger = fake.webhook(&url, portal + 1, now, &[("contact.creation", created)]);
    assert_eq!(deliver(&url, &stranger, &stranger.body).await, 204);
    let counts = first.get("/connectors/hubspot").await.json(200)["inbound"].clone();
    assert_eq!(
        counts,
        json!({"accepted": 1, "forged": 4, "malformed": 0, "unrouted": 1, "throttled": 0})
    );
    assert_eq!(fake.count("GET", "/crm/v3/objects/contacts/"), reads);

    assert_eq!(deliver(&url, &batch, &batch.body).await, 204);
    for project in [&first, &second] {
        let event = told(project, "crm.contact.updated", changed).await;
        assert_eq!(event["data"]["first_name"], "Rear Admiral");
        let event = told(project, "crm.contact.created", created).await;
        assert_eq!(event["data"]["last_name"], "Here");
        told(project, "crm.contact.deleted", archived).await;
    }
    let after = first.events("sync.completed").await.len();
    assert_eq!(after, runs, "no sync ran in between");
}

async fn the_properties_of_an_account_are_listed(backend: Backend) {
    let (fake, server, api) = connected(backend, &Options::default()).await;
    fake.define_property("contacts", "shoe_size");
    let path = format!("/connections/{}/remote_fields", connection_id(&api).await);
    let fields = api.get(&format!("{path}?object=crm.contact")).await;
    let fields = fields.json(200);
    assert_eq!(fake.count("GET", "/crm/v3/properties/contacts"), 1);
    let shoe = &fields[0];
    assert_eq!(shoe["name"], "shoe_size", "custom ones first: {fields}");
    assert_eq!(shoe["label"], "shoe size");
    assert_eq!(shoe["custom"], true);
    assert_eq!(shoe["writable"], true);
    let fields = fields.as_array().expect("an array");
    let named = |name: &str| fields.iter().find(|field| field["name"] == name);
    let modified = named("lastmodifieddate").expect("it is listed");
    assert_eq!(modified["data_type"], "datetime");
    assert_eq!(modified["writable"], false);
    let stranger = server.project("Other");
    let answer = stranger.get(&format!("{path}?object=crm.contact")).await;
    answer.expect(404);
}
