//! Connect links and their pages: made over the API, opened by an end customer with every kind of
//! login, and over when they are used, too old or taken back.

use jackfield::demo::{CLIENT_ID, CLIENT_SECRET};
use jackfield_tests::{
    Answer, Api, Backend, DemoProvider, Identity, Server,
    api::{http, text},
    doors::{Doors, KEY, KEY_OF_TWO, NAME, PASSWORD, TOKEN},
    until,
};
use reqwest::Method;
use serde_json::{Value, json};

on_both_databases!(
    links_are_made_for_what_makes_sense_and_end,
    every_form_of_a_manifest_connects,
    one_of_several_accounts_is_chosen,
    a_connection_is_logged_in_again_by_its_own_account_only,
    credentials_are_not_guessed_through_a_link,
);

const ORIGIN: &str = "https://app.example";

/// A page as a browser without JavaScript asks for it.
pub(crate) async fn page(url: &str) -> Answer {
    Api::new("").get(url).await
}

/// A form that is sent.
async fn submit(url: &str, fields: &[(&str, &str)]) -> Answer {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let response = http()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(form.extend_pairs(fields).finish())
        .send()
        .await
        .expect("the server answers");
    Answer {
        request: format!("POST {url}"),
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.expect("it is text"),
    }
}

async fn allow_origin(project: &Api) {
    let body = json!({
        "allowed_origins": [ORIGIN],
        "branding": { "name": "Acme", "primary_color": "#1a237e" },
    });
    let put = project
        .send(Method::PUT, "/connect/settings", Some(&body))
        .await;
    assert_eq!(put.json(200)["branding"]["name"], "Acme");
}

/// A link for customer-1 with more said, and its address.
pub(crate) async fn link(project: &Api, more: Value) -> (String, String) {
    let mut body = json!({ "linked_user_origin_id": "customer-1" });
    let all = body.as_object_mut().expect("it is an object");
    all.extend(more.as_object().cloned().expect("it is an object"));
    let made = project.post("/connect/links", &body).await.json(201);
    (text(&made["id"]), text(&made["url"]))
}

/// Where an answer leads, as a whole address.
pub(crate) fn next(server: &Server, answer: &Answer) -> String {
    answer.expect(303);
    let location = answer.location();
    match location.strip_prefix('/') {
        Some(path) => format!("{}/{path}", server.base_url()),
        None => location,
    }
}

pub(crate) fn says(answer: &Answer, status: u16, sentence: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let text = answer.text.replace("&#39;", "'");
    assert!(text.contains(sentence), "{sentence:?} in {text}");
}

/// Whose pages may show it in a frame.
fn framed_by(answer: &Answer, ancestors: &str) {
    let policy = answer.headers["content-security-policy"].to_str();
    let policy = policy.expect("it is text");
    let (_, found) = policy.split_once("frame-ancestors ").expect("it is said");
    assert_eq!(found, ancestors);
    assert!(!answer.headers.contains_key("x-frame-options"));
}

async fn links_are_made_for_what_makes_sense_and_end(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    let server = server.start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let user = project.linked_user("customer-1").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
        .await;

    for (body, status, about) in [
        (json!({}), 422, "linked_user_id"),
        (
            json!({ "linked_user_id": user, "linked_user_origin_id": "x" }),
            422,
            "exactly one",
        ),
        (
            json!({ "linked_user_id": user, "expires_in_seconds": 0 }),
            422,
            "expires_in_seconds",
        ),
        (
            json!({ "linked_user_id": user, "expires_in_seconds": 604_801 }),
            422,
            "7 days",
        ),
        (
            json!({ "linked_user_id": user, "language": "tlh" }),
            422,
            "en, de, fr",
        ),
        (
            json!({ "linked_user_id": user, "connectors": ["nothing"] }),
            404,
            "nothing",
        ),
        (
            json!({ "linked_user_id": user, "connectors": ["demo-crm"], "vertical": "ats" }),
            422,
            "crm",
        ),
        (
            json!({ "linked_user_id": user, "return_url": "https://app.example/" }),
            422,
            "allowed origins",
        ),
        (
            json!({ "linked_user_id": user, "return_url": "javascript:alert(1)" }),
            400,
            "http",
        ),
        (
            json!({ "linked_user_id": user, "connection_id": "nothing" }),
            404,
            "nothing",
        ),
        (
            json!({ "linked_user_id": user, "connection_id": connection.id }),
            422,
            "another linked user",
        ),
        (json!({ "linked_user_id": user, "wrong": 1 }), 422, "wrong"),
    ] {
        let refused = project.post("/connect/links", &body).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.text);
        assert!(refused.text.contains(about), "{body}: {}", refused.text);
    }
    for (settings, about) in [
        (
            json!({ "allowed_origins": ["https://*.example.com"] }),
            "allowed_origins/0",
        ),
        (
            json!({ "branding": { "logo": "https://cdn.example/logo.png" } }),
            "branding/logo",
        ),
        (
            json!({ "branding": { "primary_color": "#ffff00" } }),
            "3 to 1",
        ),
    ] {
        let put = project
            .send(Method::PUT, "/connect/settings", Some(&settings))
            .await;
        assert!(put.json(422)["violations"][0]["path"].is_string());
        assert!(put.text.contains(about), "{}", put.text);
    }
    allow_origin(&project).await;
    // What is not named stays.
    for part in [
        json!({ "allowed_origins": [ORIGIN] }),
        json!({ "branding": { "name": "Acme" } }),
        json!({}),
    ] {
        let put = project
            .send(Method::PUT, "/connect/settings", Some(&part))
            .await;
        let settings = put.json(200);
        assert_eq!(settings["allowed_origins"], json!([ORIGIN]), "{part}");
        assert_eq!(settings["branding"]["name"], "Acme", "{part}");
    }
    allow_origin(&project).await;

    let more = json!({ "connectors": ["demo-crm"], "return_url": "https://app.example/done?x=1" });
    let (id, url) = link(&project, more).await;
    assert!(
        url.starts_with(&format!("{}/connect/cl_", server.base_url())),
        "{url}"
    );
    let shown = project.get(&format!("/connect/links/{id}")).await;
    assert_eq!(shown.json(200)["state"], "open");
    let token = url.rsplit('/').next().expect("it has a token");
    assert!(!shown.text.contains(token), "the token is told once");
    let second = link(&project, json!({})).await.0;
    let first_page = project.get("/connect/links?limit=1").await.json(200);
    assert_eq!(first_page["data"][0]["id"], second.as_str());
    let cursor = text(&first_page["next_cursor"]);
    let last_page = project
        .get(&format!("/connect/links?limit=1&cursor={cursor}"))
        .await;
    let last_page = last_page.json(200);
    assert_eq!(last_page["data"][0]["id"], id.as_str());
    assert_eq!(last_page["next_cursor"], Value::Null);

    // Another project's keys reach nothing of it.
    let stranger = server.project("Other");
    for path in ["/connect/links", "/magic_links"] {
        stranger.get(&format!("{path}/{id}")).await.expect(404);
        assert!(!stranger.get(path).await.text.contains(&id));
    }
    stranger
        .delete(&format!("/connect/links/{id}"))
        .await
        .expect(404);
    let body = json!({ "linked_user_origin_id": "x", "connection_id": connection.id });
    let refused = stranger.post("/connect/links", &body).await;
    assert!(
        refused.json(404)["detail"]
            .to_string()
            .contains("no connection")
    );

    // The page: its language, its looks, and who may frame it.
    let shown = page(&format!("{url}?lang=de")).await;
    let shown = page(&next(&server, &shown)).await;
    says(&shown, 200, "Demo CRM verbinden");
    says(&shown, 200, "Lesen: Benutzer, Phasen, Firmen, Kontakte");
    assert!(shown.text.contains("<html lang=\"de\""), "{}", shown.text);
    assert!(shown.text.contains("light-dark(#1a237e,"), "{}", shown.text);
    assert!(shown.text.contains("Acme"));
    let policy = shown.headers["content-security-policy"]
        .to_str()
        .expect("it is text");
    assert!(
        policy.contains(&format!("frame-ancestors 'self' {ORIGIN}")),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(shown.headers["referrer-policy"], "same-origin");

    // The contract's magic links.
    let body =
        json!({ "linked_user_origin_id": "customer-2", "email": "a@example.com", "alias": "A" });
    let magic = project.post("/magic_links", &body).await.json(201);
    assert_eq!(
        (&magic["status"], &magic["email"]),
        (&json!("generated"), &json!("a@example.com"))
    );
    let path = format!("/magic_links/{}", text(&magic["id_invite_link"]));
    let again = project.get(&path).await.json(200);
    assert_eq!(again["id_linked_user"], magic["id_linked_user"]);
    assert_eq!(again.get("url"), None);
    let opened = page(&text(&magic["url"])).await;
    assert!(opened.status < 400, "{}", opened.text);

    // Taken back, too old, unknown: a sentence each.
    project
        .delete(&format!("/connect/links/{id}"))
        .await
        .expect(204);
    project
        .delete(&format!("/connect/links/{id}"))
        .await
        .expect(204);
    assert_eq!(
        project.get(&format!("/connect/links/{id}")).await.json(200)["state"],
        "revoked"
    );
    let taken_back = page(&url).await;
    says(&taken_back, 410, "taken back");
    framed_by(&taken_back, &format!("'self' {ORIGIN}"));
    says(
        &submit(
            &format!("{url}/connectors/demo-crm"),
            &[("scheme", "key"), ("api_key", "demo-key")],
        )
        .await,
        410,
        "taken back",
    );
    let (short, short_url) = link(&project, json!({ "expires_in_seconds": 1 })).await;
    let path = format!("/connect/links/{short}");
    until("the link is too old", async || {
        let link = project.get(&path).await.json(200);
        (link["state"] == "expired").then_some(())
    })
    .await;
    // Who may show an open link may show why there is none; nobody owns a link that is unknown.
    let expired = page(&short_url).await;
    says(&expired, 410, "has expired");
    framed_by(&expired, &format!("'self' {ORIGIN}"));
    let unknown = page(&short_url.replace("cl_", "cl_x")).await;
    says(&unknown, 404, "opens nothing");
    framed_by(&unknown, "'self' *");
    for secret in [ORIGIN, "Acme", "<form", "<button"] {
        assert!(!unknown.text.contains(secret), "{}", unknown.text);
    }
    says(
        &page(&format!(
            "{}/connect/problem?code=state_invalid",
            server.base_url()
        ))
        .await,
        400,
        "finished already",
    );
}

async fn every_form_of_a_manifest_connects(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let identity = Identity::start().await;
    let doors = Doors::start(&identity).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    let server = doors.known_to(server, &identity).start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    project.active("doors").await;
    allow_origin(&project).await;

    // The list, and its search.
    let (_, url) = link(&project, json!({})).await;
    let list = page(&url).await;
    says(&list, 200, "Demo CRM");
    says(&list, 200, "Every way to log in");
    let found = page(&format!("{url}?q=DOORS")).await;
    assert!(!found.text.contains("Demo CRM"), "{}", found.text);
    says(
        &page(&format!("{url}?q=%3Cb%3E")).await,
        200,
        "Nothing is called “&lt;b&gt;”",
    );
    let about = page(&format!("{url}/connectors/doors")).await;
    says(&about, 200, "a login of <strong>every</strong> scheme");
    says(&about, 200, "Read your users.");
    says(
        &page(&format!("{url}/connectors/nothing")).await,
        404,
        "not available here",
    );

    for (connector, scheme, right, wrong) in [
        (
            "doors",
            "key",
            vec![("api_key", KEY)],
            vec![("api_key", "wrong")],
        ),
        (
            "doors",
            "login",
            vec![("username", NAME), ("password", PASSWORD)],
            vec![("username", NAME), ("password", "wrong")],
        ),
        (
            "doors",
            "token",
            vec![("access_token", TOKEN)],
            vec![("access_token", "wrong")],
        ),
        (
            "demo-crm",
            "client",
            vec![("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)],
            vec![("client_id", CLIENT_ID), ("client_secret", "wrong")],
        ),
        (
            "demo-crm",
            "key",
            vec![("api_key", "demo-key")],
            vec![("api_key", "wrong")],
        ),
    ] {
        let customer = format!("{connector}-{scheme}");
        let more = json!({ "linked_user_origin_id": customer, "return_url": "https://app.example/done?x=1" });
        let (id, url) = link(&project, more).await;
        let form = format!("{url}/connectors/{connector}");
        let shown = page(&format!("{form}?scheme={scheme}")).await;
        for (name, _) in &right {
            says(&shown, 200, &format!("name=\"{name}\""));
        }
        // Nothing typed, and the wrong thing typed: a sentence, and the form with the rest.
        let refused = submit(&form, &[("scheme", scheme)]).await;
        says(&refused, 422, "is needed.");
        assert!(
            refused.text.contains("aria-invalid=\"true\""),
            "{}",
            refused.text
        );
        let mut fields = vec![("scheme", scheme)];
        fields.extend(&wrong);
        let refused = submit(&form, &fields).await;
        assert_eq!(refused.status, 422, "{customer}: {}", refused.text);
        assert!(refused.text.contains("Not connected"), "{}", refused.text);
        assert!(
            !refused.text.contains("value=\"wrong\""),
            "a secret is filled in"
        );
        assert_eq!(
            project.get(&format!("/connect/links/{id}")).await.json(200)["state"],
            "open"
        );

        let mut fields = vec![("scheme", scheme)];
        fields.extend(&right);
        let connected = submit(&form, &fields).await;
        let connected = page(&next(&server, &connected)).await;
        says(&connected, 200, "Back to Acme");
        let used = project.get(&format!("/connect/links/{id}")).await.json(200);
        assert_eq!(used["state"], "used", "{used}");
        let connection = text(&used["connection_id"]);
        let finished = page(&format!("{url}/finish")).await;
        let back = next(&server, &finished);
        assert_eq!(
            back,
            format!("https://app.example/done?x=1&connection_id={connection}&status=connected")
        );
        assert!(
            !connected.text.contains("ct_"),
            "a connection token is shown"
        );
        let stored = project
            .get(&format!("/connections/{connection}"))
            .await
            .json(200);
        assert_eq!(
            (&stored["scheme"], &stored["provider_slug"]),
            (&json!(scheme), &json!(connector))
        );

        // A used link makes no other connection, and still leads to its own.
        let other = if connector == "doors" {
            "demo-crm"
        } else {
            "doors"
        };
        says(
            &page(&format!("{url}/connectors/{other}")).await,
            409,
            "used already",
        );
        assert_eq!(next(&server, &page(&url).await), format!("{url}/connected"));
    }
    assert_eq!(
        project
            .get("/connections")
            .await
            .json(200)
            .as_array()
            .map(Vec::len),
        Some(5)
    );

    // What a provider's trouble is called.
    let (_, url) = link(&project, json!({ "linked_user_origin_id": "late" })).await;
    let form = format!("{url}/connectors/demo-crm");
    let fields = [("scheme", "key"), ("api_key", "demo-key")];
    provider.demo.fail_next(20);
    says(
        &submit(&form, &fields).await,
        503,
        "cannot be reached at the moment",
    );
    provider.demo.fail_next(0);
    provider.demo.limit_next(20, 600);
    says(&submit(&form, &fields).await, 429, "asks to wait");
    provider.demo.limit_next(0, 0);
    // Another site cannot send the form.
    let forged = http()
        .post(&form)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "cross-site")
        .header("origin", "https://evil.example")
        .body("scheme=key&api_key=demo-key")
        .send()
        .await
        .expect("the server answers");
    assert_eq!(forged.status(), 403);
}

async fn one_of_several_accounts_is_chosen(backend: Backend) {
    let identity = Identity::start().await;
    let doors = Doors::start(&identity).await;
    let server = doors.known_to(Server::on(backend).await, &identity);
    let server = server.start().await;
    let project = server.project("App");
    project.active("doors").await;

    let (id, url) = link(&project, json!({})).await;
    let form = format!("{url}/connectors/doors");
    let asked = submit(&form, &[("scheme", "key"), ("api_key", KEY_OF_TWO)]).await;
    let choice = next(&server, &asked);
    assert!(
        choice.starts_with(&format!("{url}/accounts/cc_")),
        "{choice}"
    );
    let shown = page(&choice).await;
    says(&shown, 200, "Front door");
    says(&shown, 200, "Back door");
    assert_eq!(project.get("/connections").await.json(200), json!([]));
    says(
        &submit(&choice, &[]).await,
        422,
        "Choose one of the accounts",
    );
    says(
        &submit(&choice, &[("account", "cellar")]).await,
        422,
        "Choose one of the accounts",
    );
    // The choice belongs to its link.
    let (_, other) = link(&project, json!({})).await;
    let stolen = choice.replace(&url, &other);
    says(&page(&stolen).await, 410, "took too long");

    let chosen = submit(&choice, &[("account", "back")]).await;
    assert_eq!(next(&server, &chosen), format!("{url}/connected"));
    let link = project.get(&format!("/connect/links/{id}")).await.json(200);
    let path = format!("/connections/{}", text(&link["connection_id"]));
    assert_eq!(project.get(&path).await.json(200)["account"], "back");
    // The back button, and another tab.
    assert_eq!(
        next(&server, &page(&choice).await),
        format!("{url}/connected")
    );

    // Over the API the first is kept unless one is named, and all are told.
    let mut body = json!({
        "connector": "doors", "scheme": "key", "linked_user_origin_id": "customer-9",
        "fields": { "api_key": KEY_OF_TWO },
    });
    let first = project.post("/connections", &body).await.json(201);
    assert_eq!(first["account"], "front");
    assert_eq!(
        first["accounts"][1],
        json!({ "account": "back", "account_name": "Back door" })
    );
    body["account"] = json!("back");
    let second = project.post("/connections", &body).await.json(201);
    assert_eq!(second["account"], "back");
    assert_ne!(first["id_connection"], second["id_connection"]);
    body["account"] = json!("cellar");
    let refused = project.post("/connections", &body).await.json(422);
    assert!(
        refused["detail"].to_string().contains("Back door"),
        "{refused}"
    );
}

async fn a_connection_is_logged_in_again_by_its_own_account_only(backend: Backend) {
    let identity = Identity::start().await;
    let doors = Doors::start(&identity).await;
    let server = doors.known_to(Server::on(backend).await, &identity);
    let server = server.start().await;
    let project = server.project("App");
    project.active("doors").await;
    let mut body = json!({
        "connector": "doors", "scheme": "key", "linked_user_origin_id": "customer-1", "account": "back",
        "fields": { "api_key": KEY_OF_TWO, "greeting": "Moin" },
    });
    let connection = project.post("/connections", &body).await.json(201);
    let id = text(&connection["id_connection"]);

    let made = project
        .post("/connect/links", &json!({ "connection_id": id }))
        .await;
    let url = text(&made.json(201)["url"]);
    let shown = page(&next(&server, &page(&url).await)).await;
    says(&shown, 200, "Use the same account as before: Back door");
    let form = format!("{url}/connectors/doors");
    let other = submit(&form, &[("scheme", "key"), ("api_key", KEY)]).await;
    says(&other, 422, "log in as Back door");
    let again = submit(&form, &[("scheme", "key"), ("api_key", KEY_OF_TWO)]).await;
    assert_eq!(next(&server, &again), format!("{url}/connected"));
    let same = project.get(&format!("/connections/{id}")).await.json(200);
    assert_eq!(same["connection_token"], connection["connection_token"]);
    assert_eq!(same["settings"]["greeting"], "Moin", "{same}");
    assert_eq!(
        project
            .get("/connections")
            .await
            .json(200)
            .as_array()
            .map(Vec::len),
        Some(1)
    );

    // A connection that is gone cannot be logged in again.
    body["linked_user_origin_id"] = json!("customer-2");
    let gone = text(&project.post("/connections", &body).await.json(201)["id_connection"]);
    let more = json!({ "connection_id": gone, "linked_user_origin_id": "customer-2" });
    let (_, url) = link(&project, more).await;
    project
        .delete(&format!("/connections/{gone}"))
        .await
        .expect(204);
    let refused = submit(
        &format!("{url}/connectors/doors"),
        &[("scheme", "key"), ("api_key", KEY_OF_TWO)],
    )
    .await;
    says(&refused, 409, "This link");
}

async fn credentials_are_not_guessed_through_a_link(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    let server = server.start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let (_, url) = link(&project, json!({})).await;
    let form = format!("{url}/connectors/demo-crm");
    let send = async |key: &str| submit(&form, &[("scheme", "key"), ("api_key", key)]).await;
    for number in 0..10 {
        let refused = send(&format!("guess-{number}")).await;
        says(&refused, 422, "does not accept what was typed");
    }
    // Not the right one either, until its time has come.
    says(&send("demo-key").await, 429, "too many attempts");
    let (_, other) = link(&project, json!({})).await;
    let form = format!("{other}/connectors/demo-crm");
    let right = [("scheme", "key"), ("api_key", "demo-key")];
    submit(&form, &right).await.expect(303);
}
