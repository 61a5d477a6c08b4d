//! Connect links within another application, in a real browser: the example of the documentation,
//! and a page whose origin is not allowed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use jackfield_tests::{
    Api, Backend, Browser, DemoProvider, Server, api::text, browser::Key, connectors, until,
};
use serde_json::json;

/// The example application as a process.
struct Example {
    process: Child,
    origin: String,
}

impl Example {
    fn start(server: &Server, key: &str) -> Self {
        let script = connectors::repository().join("docs/examples/connect-app/server.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .env("JACKFIELD_URL", server.base_url())
            .env("JACKFIELD_API_KEY", key)
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed by tests/run");
        let output = process.stdout.take().expect("it is a pipe");
        let mut origin = String::new();
        BufReader::new(output)
            .read_line(&mut origin)
            .expect("it says where it listens");
        Self {
            process,
            origin: origin.trim().to_owned(),
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

struct World {
    _provider: DemoProvider,
    server: Server,
    project: Api,
    example: Example,
    browser: Browser,
}

impl World {
    async fn new() -> Self {
        let provider = DemoProvider::start(20).await;
        let server = provider
            .known_to(Server::on(Backend::Sqlite).await)
            .with("demo-crm")
            .start()
            .await;
        let project = server.project("Acme Books");
        project.active("demo-crm").await;
        let example = Example::start(&server, project.key());
        Self {
            _provider: provider,
            server,
            project,
            example,
            browser: Browser::open().await,
        }
    }

    async fn allow(&self, origins: &[&str]) {
        let body = json!({ "allowed_origins": origins });
        let method = reqwest::Method::PUT;
        let set = self.project.send(method, "/connect/settings", Some(&body));
        set.await.expect(200);
    }
}

const FRAME: &str = "#jackfield-connect iframe";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_connects_an_account_in_an_overlay() {
    let world = World::new().await;
    world.allow(&[&world.example.origin]).await;
    let browser = &world.browser;
    browser.goto(&world.example.origin).await;

    // Closed with a key before anything was done: the focus is where it was, and the page scrolls.
    browser.click("#connect").await;
    browser.wait_for(FRAME).await;
    let modal = browser.property("#jackfield-connect", "ariaModal").await;
    assert_eq!(modal.as_deref(), Some("true"));
    assert_eq!(
        browser
            .evaluate("document.documentElement.style.overflow")
            .await,
        "hidden"
    );
    browser.enter_frame(FRAME).await;
    browser.wait_for("h1").await;
    browser.leave_frame().await;
    browser.press(Key::Escape).await;
    browser.wait_for_none("#jackfield-connect").await;
    browser
        .wait_for_text("#state", "Nothing was connected")
        .await;
    assert_eq!(
        browser.evaluate("document.activeElement.id").await,
        "connect"
    );
    assert_eq!(
        browser
            .evaluate("document.documentElement.style.overflow")
            .await,
        ""
    );

    browser.click("#connect").await;
    browser.enter_frame(FRAME).await;
    browser.fill("#api_key", "demo-key").await;
    browser.click("form.form button.primary").await;
    browser.wait_for_text("main", "Connected").await;
    browser.leave_frame().await;
    browser.wait_for_text("#state", "demo-crm").await;
    until("contacts are shown", async || {
        (browser.texts("#contacts li").await.len() == 5).then_some(())
    })
    .await;
    // What was connected can be looked after at once, and a key within the frame closes it.
    browser.enter_frame(FRAME).await;
    browser.click("a[href*='/connection']").await;
    browser.wait_for("#syncs").await;
    browser.press(Key::Escape).await;
    browser.leave_frame().await;
    browser.wait_for_none("#jackfield-connect").await;
    let all = world.project.get("/connections").await.json(200);
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_is_shown_and_told_nothing() {
    let world = World::new().await;
    world.allow(&["https://app.example.com"]).await;
    let body = json!({ "linked_user_origin_id": "customer-17" });
    let link = text(&world.project.post("/connect/links", &body).await.json(201)["url"]);
    let browser = &world.browser;
    browser.goto(&world.example.origin).await;
    let open = format!(
        "(window.heard = [], window.overlay = Jackfield.connect({{ link: {}, onEvent: (event) => heard.push(event.type) }}), true)",
        json!(link)
    );
    browser.evaluate(&open).await;
    browser
        .wait_for_text("#jackfield-connect [role=alert]", &world.example.origin)
        .await;
    assert_eq!(browser.evaluate("heard.join()").await, "refused");
    browser.evaluate("(overlay.close(), true)").await;
    browser.wait_for_none("#jackfield-connect").await;
    assert_eq!(browser.evaluate("heard.join()").await, "refused,exit");
    // What is said by others than the page of the link is not heard.
    let forged = "(overlay = Jackfield.connect({ link: location.href + 'nowhere', onEvent: (event) => heard.push(event.type) }), window.postMessage({ jackfield: 1, type: 'connected', connectionId: 'x', connector: 'y' }, '*'), new Promise((done) => setTimeout(done, 50)).then(() => heard.join()))";
    assert_eq!(browser.evaluate(forged).await, "refused,exit");
    drop(world.server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_a_connection_are_good_to_look_at() {
    let world = World::new().await;
    let connection = world
        .project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;
    world
        .project
        .with_token(&connection.token)
        .synced("crm")
        .await;
    let body = json!({
        "object": "crm.contact", "slug": "tongue", "data_type": "string",
        "description": "The language that somebody speaks.", "linked_users_map": true,
    });
    let field = text(&world.project.post("/custom_fields", &body).await.json(201)["id"]);
    let path = format!("/connections/{}", connection.id);
    let user = text(&world.project.get(&path).await.json(200)["id_linked_user"]);
    let body = json!({ "linked_user_id": user });
    let link = text(&world.project.post("/connect/links", &body).await.json(201)["url"]);
    let browser = &world.browser;
    let at = format!("{link}/connections/{}", connection.id);
    for (name, path) in [
        ("connect-connection", String::new()),
        ("connect-settings", "/settings".to_owned()),
        ("connect-fields", "/fields".to_owned()),
        ("connect-mapping", format!("/fields/{field}")),
        ("connect-disconnect", "/disconnect".to_owned()),
    ] {
        browser.goto(&format!("{at}{path}")).await;
        browser.wait_for("h1").await;
        browser.accessible(name).await;
        browser.screenshot(name).await;
    }
    // The preview follows what is chosen.
    browser.goto(&format!("{at}/fields/{field}")).await;
    browser.click("input[name=remote][value=speaks]").await;
    browser.wait_for("#preview table").await;
    browser.choose("#step", "upper").await;
    browser.click("button[name=do][value=save]").await;
    browser.wait_for_text("main", "Your choice").await;
}
