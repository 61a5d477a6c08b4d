//! Connect links within another application, in a real browser: the example of the documentation,
//! and a page whose origin is not allowed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use jackfield_tests::{
    Api, Backend, Browser, DemoProvider, Doors, Identity, Server, api::text, browser::Key,
    connectors, until,
};
use serde_json::{Value, json};

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
        allow(&self.project, origins).await;
    }

    /// A link, and what it is to be known by later.
    async fn link(&self, more: Value) -> (String, String) {
        link(&self.project, more).await
    }
}

async fn allow(project: &Api, origins: &[&str]) {
    let body = json!({ "allowed_origins": origins });
    let method = reqwest::Method::PUT;
    let set = project.send(method, "/connect/settings", Some(&body));
    set.await.expect(200);
}

async fn link(project: &Api, more: Value) -> (String, String) {
    let mut body = json!({ "linked_user_origin_id": "customer-17" });
    for (key, value) in more.as_object().expect("it is an object") {
        body[key] = value.clone();
    }
    let link = project.post("/connect/links", &body).await.json(201);
    (text(&link["id"]), text(&link["url"]))
}

/// Opens an overlay by the page's own script; what the page hears is in `heard`.
async fn open(browser: &Browser, link: &str) {
    let open = format!(
        "(window.heard = [], window.overlay = Jackfield.connect({{
            link: {},
            onSuccess: ({{ connector }}) => heard.push(`success ${{connector}}`),
            onExit: (exit) => heard.push(`exit ${{JSON.stringify(exit)}}`),
            onEvent: ({{ type, page, reason }}) => heard.push([type, page, reason].filter(Boolean).join(' ')),
        }}), true)",
        json!(link)
    );
    browser.evaluate(&open).await;
}

async fn heard(browser: &Browser) -> Vec<String> {
    let heard = browser.evaluate("heard").await;
    let heard = heard.as_array().expect("it is a list");
    heard.iter().map(text).collect()
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
    let (_, link) = world.link(json!({})).await;
    let browser = &world.browser;
    browser.goto(&world.example.origin).await;
    open(browser, &link).await;
    browser
        .wait_for_text("#jackfield-connect [role=alert]", &world.example.origin)
        .await;
    assert_eq!(heard(browser).await, ["refused"]);
    browser.evaluate("(overlay.close(), true)").await;
    browser.wait_for_none("#jackfield-connect").await;
    let exit = r#"exit {"connected":false,"reason":"refused"}"#;
    assert_eq!(heard(browser).await, ["refused", "exit refused", exit]);
    // What is said by others than the page of the link is not heard.
    let forged = "(overlay = Jackfield.connect({ link: location.origin + '/connect/nowhere', onEvent: (event) => heard.push(event.type) }), heard.splice(0), window.postMessage({ jackfield: 1, type: 'connected', connectionId: 'x', connector: 'y' }, '*'), new Promise((done) => setTimeout(done, 50)).then(() => heard.join()))";
    assert_eq!(browser.evaluate(forged).await, "");
    drop(world.server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overlay_says_why_a_link_opens_nothing() {
    let world = World::new().await;
    world.allow(&[&world.example.origin]).await;
    let browser = &world.browser;
    let (revoked, revoked_url) = world.link(json!({})).await;
    let path = format!("/connect/links/{revoked}");
    world.project.delete(&path).await.expect(204);
    let (expired, expired_url) = world.link(json!({ "expires_in_seconds": 1 })).await;
    let path = format!("/connect/links/{expired}");
    until("the link is too old", async || {
        let link = world.project.get(&path).await.json(200);
        (link["state"] == "expired").then_some(())
    })
    .await;
    let unknown_url = format!("{}/connect/cl_made-up", world.server.base_url());
    for (link, reason, sentence) in [
        (expired_url, "expired", "has expired"),
        (revoked_url, "revoked", "taken back"),
        (unknown_url, "unknown", "opens nothing"),
    ] {
        browser.goto(&world.example.origin).await;
        open(browser, &link).await;
        browser.enter_frame(FRAME).await;
        browser.wait_for_text("h1", sentence).await;
        browser.leave_frame().await;
        let closed = format!("closed {reason}");
        until("the page hears it", async || {
            (heard(browser).await == ["ready closed", closed.as_str()]).then_some(())
        })
        .await;
        if reason == "expired" {
            browser.screenshot("embedded-expired").await;
        }
        // Its own button, and a key within the frame.
        if reason == "revoked" {
            browser.enter_frame(FRAME).await;
            browser.press(Key::Tab).await;
            browser.press(Key::Escape).await;
            browser.leave_frame().await;
        } else {
            browser.click("#jackfield-connect button").await;
        }
        browser.wait_for_none("#jackfield-connect").await;
        let exit = format!(r#"exit {{"connected":false,"reason":"{reason}"}}"#);
        let heard = heard(browser).await;
        assert_eq!(heard[2..], [format!("exit {reason}"), exit]);
    }

    // A link that was used, and whose connection is gone: nothing to look at.
    let (_, used) = world.link(json!({})).await;
    browser.goto(&world.example.origin).await;
    open(browser, &used).await;
    browser.enter_frame(FRAME).await;
    browser.fill("#api_key", "demo-key").await;
    browser.click("form.form button.primary").await;
    browser.wait_for_text("main", "Connected").await;
    browser.leave_frame().await;
    let all = world.project.get("/connections").await.json(200);
    let path = format!("/connections/{}", text(&all[0]["id_connection"]));
    world.project.delete(&path).await.expect(204);
    browser.goto(&world.example.origin).await;
    open(browser, &used).await;
    browser.enter_frame(FRAME).await;
    browser.wait_for_text("h1", "used already").await;
    browser.leave_frame().await;
    until("the page hears it", async || {
        let heard = heard(browser).await;
        heard.contains(&"closed used".to_owned()).then_some(())
    })
    .await;
}

/// The application's site is another than the server's, as it mostly is: what the browser keeps for
/// the frame is apart from what it keeps for the window of the login.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_in_a_window_of_its_own_ends_in_the_overlay() {
    let identity = Identity::start().await;
    let doors = Doors::start(&identity).await;
    let server = doors.known_to(Server::on(Backend::Sqlite).await, &identity);
    let server = server.start().await;
    let project = server.project("Acme Books");
    project.active("doors").await;
    let example = Example::start(&server, project.key());
    let origin = example.origin.replace("127.0.0.1", "localhost");
    allow(&project, &[&origin]).await;
    let (_, link) = link(&project, json!({})).await;
    let browser = Browser::open().await;
    browser.goto(&origin).await;
    open(&browser, &link).await;

    // No is told in the overlay; then yes.
    let log_in = async || {
        browser.enter_frame(FRAME).await;
        browser.click("a[data-popup]").await;
        browser.leave_frame().await;
        browser.switch_to_new_window().await;
    };
    let back = async || {
        until("the window closes", async || {
            (browser.window_count().await == 1).then_some(())
        })
        .await;
        browser.switch_to_first_window().await;
    };
    log_in().await;
    identity.deny(&browser).await;
    back().await;
    browser.enter_frame(FRAME).await;
    browser.wait_for_text("main", "was not allowed").await;
    browser.leave_frame().await;
    log_in().await;
    identity.log_in(&browser, "ada").await;
    identity.allow(&browser).await;
    back().await;
    until("the application hears it", async || {
        let heard = heard(&browser).await;
        heard.contains(&"success doors".to_owned()).then_some(())
    })
    .await;
    let all = project.get("/connections").await.json(200);
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
    browser.click("#jackfield-connect button").await;
    browser.wait_for_none("#jackfield-connect").await;
    let heard = heard(&browser).await;
    let exit = r#"exit {"connected":true}"#;
    assert_eq!(heard.last().map(String::as_str), Some(exit), "{heard:?}");
    for page in ["ready login", "ready connected"] {
        assert!(heard.iter().any(|one| one == page), "{page}: {heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preview_of_a_mapping_follows_what_is_chosen() {
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
    browser.goto(&format!("{at}/fields/{field}")).await;
    browser.click("input[name=remote][value=speaks]").await;
    browser.wait_for("#preview table").await;
    browser.choose("#step", "upper").await;
    browser.click("button[name=do][value=save]").await;
    browser.wait_for_text("main", "Your choice").await;
}
