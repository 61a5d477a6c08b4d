//! Pages for daily work: connections and what was said to their providers, linked users, webhooks,
//! events, field mappings.

use jackfield_tests::{Api, Backend, DemoProvider, Person, Server, api::text, until};
use serde_json::json;

on_both_databases!(
    what_was_said_to_a_provider_is_in_the_log,
    an_operator_works_with_connections_webhooks_and_fields,
);

const KEY: &str = "demo-key";

/// The first owner, signed in, in front of a project.
struct Desk {
    person: Person,
    project: String,
}

impl Desk {
    async fn of(server: &Server, api: &Api) -> Self {
        let projects = api.get("/projects").await.json(200);
        Self {
            person: Person::owner_of(server).await,
            project: text(&projects[0]["id_project"]),
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/dashboard/{}{rest}", self.project)
    }

    async fn page(&self, rest: &str) -> String {
        let answer = self.person.get(&self.path(rest)).await;
        assert_eq!(answer.status, 200, "{rest}: {}", answer.text);
        assert!(!answer.text.contains(" style="), "{}", answer.text);
        answer.text
    }

    /// A form; the status, the page, and where the browser goes.
    async fn post(&self, rest: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let answer = self.person.post(&self.path(rest), fields).await;
        let location = answer.headers.get("location");
        let location = location.and_then(|value| value.to_str().ok());
        let location = location.unwrap_or_default().to_owned();
        (answer.status, answer.text, location)
    }
}

async fn what_was_said_to_a_provider_is_in_the_log(backend: Backend) {
    let provider = DemoProvider::start(30).await;
    let builder = provider.known_to(Server::on(backend).await);
    let server = builder
        .set("JACKFIELD_EXCHANGE_LOG__BODIES", "true")
        .with("demo-crm")
        .start()
        .await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": KEY }))
        .await;
    let api = project.with_token(&connection.token);
    api.synced("crm").await;
    let rows = project.get("/connections").await.json(200);
    let id = text(&rows[0]["id_connection"]);
    let body = json!({ "method": "GET", "path": "/v1/nowhere?token=canary-secret" });
    api.post("/passthrough", &body).await;
    let log = format!("/connections/{id}/exchanges");
    let failed = until("the request is in the log", async || {
        let page = project.get(&format!("{log}?failed=true")).await.json(200);
        page["data"].get(0).cloned()
    })
    .await;
    assert_eq!(failed["status"], 404);
    assert_eq!(failed["cause"], "request");
    assert!(
        text(&failed["url"]).ends_with("/v1/nowhere?token=[redacted]"),
        "{failed}"
    );
    let synced = project
        .get(&format!("{log}?cause=sync&limit=1"))
        .await
        .json(200);
    let one = &synced["data"][0];
    let run = project
        .get(&format!("/sync-runs/{}", text(&one["subject"])))
        .await;
    run.json(200);
    let next = project
        .get(&format!(
            "{log}?cause=sync&limit=1&cursor={}",
            text(&synced["next_cursor"])
        ))
        .await
        .json(200);
    assert_ne!(next["data"][0]["id"], one["id"]);
    let whole = project.get(&format!("{log}/{}", text(&one["id"]))).await;
    assert!(!whole.text.contains(KEY), "{}", whole.text);
    let whole = whole.json(200);
    assert!(text(&whole["response_headers"]).contains("content-type: application/json"));
    assert!(text(&whole["response_body"]).starts_with('{'), "{whole}");
    project.get(&format!("{log}/{id}")).await.expect(404);

    let desk = Desk::of(&server, &project).await;
    let page = desk
        .page(&format!("/connections/{id}/exchanges?result=failed"))
        .await;
    assert!(page.contains("/v1/nowhere?token=[redacted]"), "{page}");
    let path = format!("/connections/{id}/exchanges/{}", text(&one["id"]));
    let page = desk.page(&path).await;
    assert!(page.contains("content-type: application/json"), "{page}");
    assert!(page.contains("a sync run"), "{page}");
}

async fn an_operator_works_with_connections_webhooks_and_fields(backend: Backend) {
    let provider = DemoProvider::start(30).await;
    let builder = provider.known_to(Server::on(backend).await);
    let server = builder.with("demo-crm").start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let desk = Desk::of(&server, &project).await;

    // A customer, and a link.
    assert!(
        desk.page("/linked-users")
            .await
            .contains("No linked users yet")
    );
    let (status, page, _) = desk.post("/linked-users", &[("origin_id", "")]).await;
    assert_eq!((status, page.contains("Type an id")), (422, true));
    let fields = [("origin_id", "customer_17"), ("alias", "Lovelace Ltd")];
    let (status, _, user) = desk.post("/linked-users", &fields).await;
    assert_eq!(status, 303);
    let (_, _, again) = desk.post("/linked-users", &fields).await;
    assert!(again.is_empty(), "twice the same is refused");
    assert!(
        desk.page("/linked-users?text=LOVE")
            .await
            .contains("customer_17")
    );
    assert!(
        !desk
            .page("/linked-users?text=customer%25")
            .await
            .contains("Lovelace")
    );
    let user = user
        .rsplit('/')
        .next()
        .expect("a path has an end")
        .to_owned();
    let (status, page, _) = desk.post(&format!("/linked-users/{user}/link"), &[]).await;
    assert_eq!(status, 200);
    assert!(page.contains("/connect/cl_"), "{page}");

    // A connection.
    assert!(
        desk.page("/connections")
            .await
            .contains("No connections yet")
    );
    let body = json!({ "connector": "demo-crm", "scheme": "key", "linked_user_id": user, "fields": { "api_key": KEY } });
    let connection = project.post("/connections", &body).await.connection();
    project.with_token(&connection.token).synced("crm").await;
    let rows = project.get("/connections").await.json(200);
    let id = text(&rows[0]["id_connection"]);
    let here = format!("/connections/{id}");
    for found in [
        "",
        "?text=lovelace",
        "?connector=demo-crm&state=valid",
        &format!("?user={user}"),
    ] {
        let page = desk.page(&format!("/connections{found}")).await;
        assert!(page.contains(&here), "{found}");
    }
    for missing in [
        "?text=nobody",
        "?connector=other",
        "?state=needs_reconnect",
        "?after=1",
    ] {
        let page = desk.page(&format!("/connections{missing}")).await;
        assert!(!page.contains(&here), "{missing}");
    }
    // The log of requests is written beside them.
    let page = until("its requests are in the log", async || {
        let page = desk.page(&here).await;
        page.contains("GET /v1/").then_some(page)
    });
    let page = page.await;
    for text in [
        "crm.contact",
        "completed",
        "Sync now",
        "Requests to the provider",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains(&connection.token) && !page.contains(KEY));
    let (_, page, _) = desk.post(&format!("{here}/token"), &[]).await;
    assert!(page.contains(&connection.token));
    let (_, page, _) = desk.post(&format!("{here}/test"), &[]).await;
    assert!(page.contains("The connection works"), "{page}");
    for (action, text) in [("pause", "paused"), ("resume", "Pause"), ("run", "Pause")] {
        let (status, _, _) = desk
            .post(&format!("{here}/syncs/crm.contact/{action}"), &[])
            .await;
        assert_eq!(status, 303, "{action}");
        assert!(desk.page(&here).await.contains(text), "{action}");
    }
    let (status, _, _) = desk
        .post(&format!("{here}/syncs/crm.nothing/run"), &[])
        .await;
    assert_eq!(status, 404);

    // Events, and an endpoint that nobody answers at.
    let page = desk.page("/events?type=crm.contact").await;
    assert!(page.contains("crm.contact.created") && !page.contains(">connection.created<"));
    assert!(
        desk.page("/events?type=crm.nothing")
            .await
            .contains("Nothing fits")
    );
    let fields = [
        ("url", "http://127.0.0.1:9/hook"),
        ("description", ""),
        ("events", "crm.nobody"),
    ];
    let (status, page, _) = desk.post("/webhooks", &fields).await;
    assert_eq!(status, 422);
    assert!(page.contains("matches no type"), "{page}");
    let fields = [
        ("url", "http://127.0.0.1:9/hook"),
        ("description", "App"),
        ("events", "crm.*, *.created"),
    ];
    let (status, page, _) = desk.post("/webhooks", &fields).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("whsec_"), "{page}");
    let hooks = project.get("/webhooks").await.json(200);
    let hook = format!("/webhooks/{}", text(&hooks[0]["id_webhook_endpoint"]));
    assert!(!desk.page(&hook).await.contains("whsec_"));
    let (status, _, delivery) = desk.post(&format!("{hook}/test"), &[]).await;
    assert_eq!(status, 303);
    let delivery = delivery
        .rsplit("/deliveries/")
        .next()
        .expect("it leads to the delivery");
    let page = desk.page(&format!("/deliveries/{delivery}")).await;
    assert!(
        page.contains("webhook.test") && page.contains("a test"),
        "{page}"
    );
    let (status, _, _) = desk
        .post(&format!("/deliveries/{delivery}/replay"), &[])
        .await;
    assert_eq!(status, 303);
    let (status, _, _) = desk
        .post(&format!("{hook}/replay"), &[("hours", "24")])
        .await;
    assert_eq!(status, 303);
    let (_, page, _) = desk.post(&format!("{hook}/rotate"), &[]).await;
    assert!(page.contains("whsec_"));
    desk.post(&format!("{hook}/switch"), &[("to", "off")]).await;
    assert!(desk.page("/webhooks").await.contains(">off<"));

    // A custom field.
    let fields = [
        ("object", "crm.contact"),
        ("slug", "Dish"),
        ("data_type", "string"),
    ];
    let (status, page, _) = desk.post("/field-mappings", &fields).await;
    assert_eq!((status, page.contains("is no slug")), (422, true), "{page}");
    let fields = [
        ("object", "crm.contact"),
        ("slug", "speaks"),
        ("data_type", "string"),
    ];
    let (status, _, field) = desk.post("/field-mappings", &fields).await;
    assert_eq!(status, 303);
    let field = field
        .rsplit("/field-mappings/")
        .next()
        .expect("it leads to the field");
    let field = format!("/field-mappings/{field}");
    let query = format!("{field}?connection={id}&remote=speaks");
    let page = desk.page(&query).await;
    assert!(page.contains("What it makes of stored records"), "{page}");
    let page = desk.page(&format!("{query}&transforms=no")).await;
    assert!(page.contains("no list of transforms"), "{page}");
    let fields = [
        ("connection", id.as_str()),
        ("remote", "speaks"),
        ("whom", "all"),
    ];
    let (status, page, _) = desk.post(&format!("{field}/mappings"), &fields).await;
    assert_eq!(status, 303, "{page}");
    assert!(desk.page("/field-mappings").await.contains("speaks"));

    // Customers map it themselves from now on.
    let stored = async || {
        let fields = project.get("/custom_fields").await.json(200);
        let first = &fields[0];
        (
            text(&first["description"]),
            first["linked_users_map"] == true,
        )
    };
    assert_eq!(stored().await, (String::new(), false));
    let edit = format!("{field}/edit");
    let long = "x".repeat(1001);
    let fields = [("description", long.as_str()), ("linked_users_map", "true")];
    let (status, page, _) = desk.post(&edit, &fields).await;
    assert_eq!(
        (status, page.contains("aria-invalid")),
        (422, true),
        "{page}"
    );
    let fields = [("description", "Languages"), ("linked_users_map", "true")];
    let (status, _, _) = desk.post(&edit, &fields).await;
    assert_eq!(status, 303);
    assert_eq!(stored().await, ("Languages".to_owned(), true));
    let page = desk.page(&field).await;
    assert!(page.contains("yes, on their connect page"), "{page}");
    desk.post(&edit, &[("description", "Languages")]).await;
    assert_eq!(stored().await, ("Languages".to_owned(), false));

    // The end of it all.
    let page = desk.page(&field).await;
    let (_, rest) = page
        .split_once(&format!("{field}/mappings/"))
        .expect("a mapping can be deleted");
    let mapping = rest.split('/').next().unwrap_or_default();
    for path in [
        format!("{field}/mappings/{mapping}/delete"),
        format!("{field}/delete"),
        format!("{hook}/delete"),
        format!("{here}/syncs/crm.contact/pause"),
        format!("{here}/syncs/crm.contact/resume"),
        format!("{here}/syncs/crm.contact/run"),
    ] {
        let (status, page, _) = desk.post(&path, &[]).await;
        assert_eq!(status, 303, "{path}: {page}");
    }
    let (status, _, _) = desk.post(&format!("{here}/disconnect"), &[]).await;
    assert_eq!(status, 303);
    let answer = desk.person.get(&desk.path(&here)).await;
    assert_eq!(answer.status, 404);

    // All that changed something is in the audit log.
    let changes = [
        "linked_user.create",
        "connect_link.create",
        "webhook.create",
        "webhook.change",
        "webhook.test",
        "webhook.replay",
        "webhook.rotate_secret",
        "webhook.delete",
        "delivery.replay",
        "custom_field.create",
        "custom_field.change",
        "custom_field.delete",
        "field_mapping.set",
        "field_mapping.delete",
        "sync.pause",
        "sync.resume",
        "sync.run",
        "connection.delete",
    ];
    project.is_audited("operator:", &changes).await;
}
