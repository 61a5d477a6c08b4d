//! End customers in a real browser: every way to log in, what they do wrong, and what they do
//! twice. Logins by OAuth 2 are made at a certified provider.

use jackfield_tests::{
    Api, Backend, Browser, DemoProvider, Doors, Identity, Server,
    api::{http, text},
    browser::Key,
    doors, until,
};
use serde_json::{Value, json};

const NAME: &str = "#username";
const KEY: &str = "#api_key";
const SUBMIT: &str = "main form button[type=submit]";
const ALERT: &str = "main [role=alert], main .alert";

struct World {
    identity: Identity,
    server: Server,
    project: Api,
    _doors: Doors,
    _demo: DemoProvider,
}

impl World {
    async fn new() -> Self {
        Self::on(Backend::Sqlite).await
    }

    async fn on(backend: Backend) -> Self {
        let identity = Identity::start().await;
        let doors = Doors::start(&identity).await;
        let demo = DemoProvider::start(3).await;
        let builder = demo.known_to(Server::on(backend).await).with("demo-crm");
        let server = doors.known_to(builder, &identity).start().await;
        let project = server.project("Acme");
        project.active("doors").await;
        project.active("demo-crm").await;
        Self {
            identity,
            server,
            project,
            _doors: doors,
            _demo: demo,
        }
    }

    /// A new link for a new customer.
    async fn link(&self, what: Value) -> String {
        let origin = format!(
            "customer {}",
            self.project.get("/linked_users").await.text.len()
        );
        let mut body = json!({ "linked_user_origin_id": origin });
        for (key, value) in what.as_object().expect("it is an object") {
            body[key] = value.clone();
        }
        let link = self.project.post("/connect/links", &body).await.json(201);
        text(&link["url"])
    }

    /// A link to the one connector that has every login.
    async fn link_to_doors(&self) -> String {
        self.link(json!({ "connectors": ["doors"] })).await
    }

    async fn connections(&self) -> Vec<Value> {
        let all = self.project.get("/connections").await.json(200);
        all.as_array().expect("they are a list").clone()
    }

    async fn ids(&self) -> Vec<String> {
        let all = self.connections().await;
        all.iter().map(|one| text(&one["id_connection"])).collect()
    }

    async fn expect_connections(&self, count: usize) {
        let all = self.connections().await;
        assert_eq!(all.len(), count, "{all:?}");
        assert!(all.iter().all(|one| one["status"] == "valid"), "{all:?}");
    }
}

/// Goes to a link's page of the connector, at one of its logins.
async fn at_login(browser: &Browser, link: &str, scheme: &str) {
    browser
        .goto(&format!("{link}/connectors/doors?scheme={scheme}"))
        .await;
    browser.wait_for("h1").await;
}

async fn connected(browser: &Browser) {
    browser.wait_for_url("/connected").await;
    browser.wait_for_text("main", "Front door").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_finds_the_integration_and_logs_in_by_each_form() {
    let world = World::new().await;
    let browser = Browser::open().await;

    browser.goto(&world.link(json!({})).await).await;
    browser.wait_for_text("#found", "Demo CRM").await;
    browser.accessible("connect-list").await;
    browser.screenshot("connect-list").await;
    browser.fill("input[type=search]", "every way").await;
    let only_doors = async || {
        let found = browser.texts("#found a").await;
        (found.len() == 1 && found[0].contains("Doors")).then_some(())
    };
    until("the search finds one", only_doors).await;
    browser
        .fill("input[type=search]", "nothing of this name")
        .await;
    browser.wait_for_text("#found", "Nothing is called").await;
    browser.accessible("connect-list-nothing").await;
    browser.fill("input[type=search]", "doors").await;
    browser.click("#found a[href*='/connectors/doors']").await;
    browser.click_text("API key").await;
    browser.wait_for(KEY).await;
    browser.accessible("connect-login").await;
    browser.screenshot("connect-login").await;
    browser.fill(KEY, "a key that is wrong").await;
    browser.click(SUBMIT).await;
    browser.wait_for_text(ALERT, "does not accept").await;
    browser.accessible("connect-refused").await;
    browser.screenshot("connect-refused").await;
    assert_eq!(world.connections().await.len(), 0);
    browser.fill(KEY, doors::KEY).await;
    browser.click(SUBMIT).await;
    connected(&browser).await;
    browser.accessible("connect-connected").await;
    browser.screenshot("connect-connected").await;

    let logins: [(&str, &[(&str, &str)]); 3] = [
        (
            "login",
            &[(NAME, doors::NAME), ("#password", doors::PASSWORD)],
        ),
        ("token", &[("#access_token", doors::TOKEN)]),
        (
            "client",
            &[
                ("#client_id", "machine"),
                ("#client_secret", "machine-secret"),
            ],
        ),
    ];
    for (number, (scheme, fields)) in logins.into_iter().enumerate() {
        at_login(&browser, &world.link_to_doors().await, scheme).await;
        browser.accessible(&format!("connect-{scheme}")).await;
        for (css, value) in fields {
            browser.fill(css, value).await;
        }
        browser.click(SUBMIT).await;
        connected(&browser).await;
        world.expect_connections(number + 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_with_two_accounts_chooses_one() {
    let world = World::new().await;
    let browser = Browser::open().await;
    at_login(&browser, &world.link_to_doors().await, "key").await;
    browser.fill(KEY, doors::KEY_OF_TWO).await;
    browser.click(SUBMIT).await;
    browser.wait_for_url("/accounts/").await;
    browser.accessible("connect-accounts").await;
    browser.screenshot("connect-accounts").await;
    browser.click("input[name=account][value=back]").await;
    browser.click(SUBMIT).await;
    browser.wait_for_url("/connected").await;
    browser.wait_for_text("main", "Back door").await;
    world.expect_connections(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oauth_login_goes_through_a_window_of_its_own() {
    let world = World::new().await;
    let browser = Browser::open().await;
    let link = world.link_to_doors().await;

    // No is an answer, and not the last one.
    at_login(&browser, &link, "oauth").await;
    browser.accessible("connect-oauth").await;
    browser.click("a[data-popup]").await;
    browser.switch_to_new_window().await;
    world.identity.deny(&browser).await;
    back_in_first_window(&browser).await;
    browser.wait_for_text(ALERT, "was not allowed").await;
    browser.accessible("connect-denied").await;
    assert_eq!(world.connections().await.len(), 0);

    browser.click("a[data-popup]").await;
    browser.switch_to_new_window().await;
    world.identity.log_in(&browser, "ada").await;
    world.identity.allow(&browser).await;
    back_in_first_window(&browser).await;
    connected(&browser).await;
    world.expect_connections(1).await;
}

/// The window closes by itself, and the first one goes on.
async fn back_in_first_window(browser: &Browser) {
    until("the window closes", async || {
        (browser.window_count().await == 1).then_some(())
    })
    .await;
    browser.switch_to_first_window().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oauth_login_takes_the_whole_page_where_no_window_opens() {
    let world = World::on(Backend::Postgres).await;
    let browser = Browser::open().await;
    let link = world.link_to_doors().await;
    at_login(&browser, &link, "oauth").await;
    browser.evaluate("window.open = () => null").await;
    browser.click("a[data-popup]").await;
    world.identity.deny(&browser).await;
    browser.wait_for_text(ALERT, "was not allowed").await;
    browser.evaluate("window.open = () => null").await;
    browser.click("a[data-popup]").await;
    world.identity.log_in(&browser, "ada").await;
    world.identity.allow(&browser).await;
    connected(&browser).await;
    assert_eq!(browser.window_count().await, 1);
    world.expect_connections(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_played_again_changes_nothing() {
    let world = World::new().await;
    let browser = Browser::open().await;
    let link = world.link_to_doors().await;
    let start = http()
        .get(format!("{link}/oauth/doors?scheme=oauth"))
        .send()
        .await;
    let start = start.expect("the server answers");
    let header = |name: &str| start.headers()[name].to_str().expect("it is text");
    let (authorize, cookie) = (header("location"), header("set-cookie"));
    let state = url::Url::parse(authorize).expect("it is an address");
    let state = state.query_pairs().find(|(name, _)| name == "state");
    let state = state.expect("a login has a state").1.into_owned();

    // As if this browser had begun it: no other may finish it.
    browser.goto(&link).await;
    let pair = cookie.split(';').next().expect("a cookie has a name");
    let keep = format!("document.cookie = '{pair}; path=/'");
    browser.evaluate(&keep).await;
    browser.goto(authorize).await;
    world.identity.log_in(&browser, "ada").await;
    world.identity.allow(&browser).await;
    connected(&browser).await;
    let before = world.ids().await;
    // What the provider's own page loads and lacks is its business.
    browser.complaints().await;

    let callback = format!("{}/connections/oauth/callback", world.server.base_url());
    browser
        .goto(&format!("{callback}?code=made-up&state={state}"))
        .await;
    browser.wait_for_text("main", "finished already").await;
    browser.accessible("connect-replayed").await;
    browser.screenshot("connect-replayed").await;
    browser
        .goto(&format!("{callback}?code=made-up&state=made-up"))
        .await;
    browser.wait_for_text("main", "finished already").await;
    assert_eq!(world.ids().await, before);

    // Where the link is not used yet, the way back is to the login that was tried.
    at_login(&browser, &world.link_to_doors().await, "client").await;
    browser
        .goto(&format!("{callback}?code=made-up&state=made-up"))
        .await;
    browser.click("a[data-back-to-connect]").await;
    browser.wait_for("#client_secret").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_and_the_back_button_make_one_connection() {
    let world = World::new().await;
    let browser = Browser::open().await;
    let link = world.link_to_doors().await;
    at_login(&browser, &link, "key").await;
    browser.fill(KEY, doors::KEY).await;

    browser.new_tab().await;
    at_login(&browser, &link, "token").await;
    browser.fill("#access_token", doors::TOKEN).await;
    browser.click(SUBMIT).await;
    connected(&browser).await;
    let before = world.ids().await;

    // What was typed in the first tab comes too late.
    browser.switch_to_first_window().await;
    browser.click(SUBMIT).await;
    let ended = async || {
        let title = browser.text("h1").await;
        (title.contains("used already") || title.contains("is connected")).then_some(())
    };
    until("the first tab tells that it is over", ended).await;
    browser.accessible("connect-used").await;
    browser.screenshot("connect-used").await;
    assert_eq!(world.ids().await, before);

    // Back at the form, and once more: whether the browser kept the page or asked for it again.
    browser.switch_to_new_window().await;
    browser.back().await;
    browser.wait_for("#access_token").await;
    browser.fill("#access_token", doors::TOKEN).await;
    browser.click(SUBMIT).await;
    until("the form before makes nothing new", ended).await;
    assert_eq!(world.ids().await, before);
    browser.goto(&link).await;
    connected(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_open_nothing_say_why() {
    let world = World::new().await;
    let browser = Browser::open().await;
    let link = world
        .link(json!({ "connectors": ["doors"], "expires_in_seconds": 1 }))
        .await;
    until("the link expires", async || {
        browser.goto(&link).await;
        browser.text("h1").await.contains("expired").then_some(())
    })
    .await;
    browser.accessible("connect-expired").await;
    browser.screenshot("connect-expired").await;
    browser
        .goto(&format!("{}/connect/cl_made-up", world.server.base_url()))
        .await;
    browser.wait_for_text("h1", "opens nothing").await;
    browser.accessible("connect-unknown").await;
    assert_eq!(world.connections().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_needs_no_mouse_and_no_wide_screen() {
    let world = World::new().await;
    let browser = Browser::open().await;
    browser.phone().await;
    browser.goto(&world.link(json!({})).await).await;
    browser.tab_to("a[href*='/connectors/doors']").await;
    browser.press(Key::Return).await;
    browser.wait_for_url("/connectors/doors").await;
    browser.tab_to("a[href*='scheme=login']").await;
    browser.press(Key::Return).await;
    browser.wait_for(NAME).await;
    assert_eq!(browser.too_wide().await, Vec::<String>::new());
    browser.tab_to(NAME).await;
    browser.type_text(doors::NAME).await;
    browser.tab_to("#password").await;
    browser.type_text(doors::PASSWORD).await;
    browser.press(Key::Return).await;
    connected(&browser).await;
    assert_eq!(browser.too_wide().await, Vec::<String>::new());
    world.expect_connections(1).await;
}
