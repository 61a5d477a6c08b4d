//! Pages for what an operator sets up: connectors, the marketplace, keys, OAuth apps, projects.

use std::fs;

use jackfield_tests::{
    Api, Backend, DemoProvider, Person, Server, api::http, api::text, connectors, demo::decide,
    registry::Registry, until, wasm,
};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

on_both_databases!(
    a_projects_own_app_logs_customers_in,
    keys_and_projects_are_made_changed_and_revoked,
    an_owner_decides_about_connectors,
    connectors_come_from_files_and_from_the_marketplace,
);

const SECRET: &str = "canary-own-app-secret-0123456789";

/// The path that begins so, out of a text.
fn path_of(text: &str, start: &str) -> String {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start} in {text}"));
    let token = rest.split(|one: char| !one.is_ascii_alphanumeric() && !matches!(one, '-' | '_'));
    format!("{start}{}", token.take(1).collect::<String>())
}

/// The value of a hidden field.
fn hidden(html: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let (_, rest) = html
        .split_once(&field)
        .unwrap_or_else(|| panic!("no {name} in {html}"));
    rest.split('"').take(1).collect()
}

async fn id_of(project: &Api) -> String {
    text(&project.get("/projects").await.json(200)[0]["id_project"])
}

async fn a_projects_own_app_logs_customers_in(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let url = |path: &str| format!("{}{path}", provider.base_url());
    // No app of the server's.
    let server = Server::on(backend)
        .await
        .endpoint("demo-crm", "api", provider.base_url())
        .oauth("demo-crm", "authorize_url", &url("/oauth/authorize"))
        .oauth("demo-crm", "token_url", &url("/oauth/token"))
        .with("demo-crm")
        .start()
        .await;
    let (project, other) = (server.project("App"), server.project("Other"));
    project.active("demo-crm").await;
    let owner = Person::owner_of(&server).await;
    let developer = owner.invite(&server, "developer").await;
    let viewer = owner.invite(&server, "viewer").await;
    let home = format!("/dashboard/{}/oauth-apps", id_of(&project).await);
    let form = format!("{home}/demo-crm/oauth?environment=production");

    let page = viewer.page(&home).await;
    for said in [
        ">none<",
        "/connections/oauth/callback",
        "DEMO_CRM_CRM_CLOUD_CLIENT_ID",
        "JACKFIELD_CONNECTORS__DEMO_CRM__OAUTH__CLIENT_SECRET",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let start = json!({ "connector": "demo-crm", "scheme": "oauth", "linked_user_origin_id": "customer-1" });
    let starts = async |api: &Api| api.post("/connections/oauth/start", &start).await;
    assert_eq!(
        starts(&project).await.json(501)["code"],
        "oauth_app_missing"
    );

    // What is typed is kept, and told where it is wrong; the secret is not said back.
    let id = jackfield::demo::CLIENT_ID;
    let right = jackfield::demo::CLIENT_SECRET;
    assert_eq!(
        viewer
            .post(&form, &[("client_id", id), ("client_secret", right)])
            .await
            .status,
        403
    );
    let wrong = developer
        .post(&form, &[("client_id", "a b"), ("client_secret", SECRET)])
        .await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.text.contains("white space")
            && wrong.text.contains("aria-invalid")
            && !wrong.text.contains(SECRET),
        "{}",
        wrong.text
    );
    let wrong = developer.post(&form, &[("client_id", id)]).await;
    assert!(
        wrong.status == 422 && wrong.text.contains("Type the secret"),
        "{}",
        wrong.text
    );
    developer
        .done(&form, &[("client_id", id), ("client_secret", right)])
        .await;
    assert!(viewer.page(&home).await.contains(">your own<"));

    let started = starts(&project).await.json(201);
    decide(&text(&started["authorize_url"]), "allow").await;
    let connections = project.get("/connections").await.json(200);
    assert_eq!(connections[0]["status"], "valid", "{connections}");
    starts(&other).await.expect(501);

    // The same through the API, which never shows the secret.
    let listed = project.get("/oauth-apps").await.json(200);
    assert_eq!(listed["data"][0]["client_id"], id);
    assert_eq!(listed["data"][0]["has_secret"], true);
    assert!(!listed.to_string().contains(right), "{listed}");
    assert_eq!(other.get("/oauth-apps").await.json(200)["data"], json!([]));
    let path = "/oauth-apps/demo-crm/oauth";
    let own = json!({ "client_id": "own", "client_secret": SECRET, "scopes": ["one"] });
    let put = async |api: &Api, path: &str, body: &Value| {
        api.send(reqwest::Method::PUT, path, Some(body)).await
    };
    let set = put(&other, path, &own).await.json(200);
    assert_eq!(
        (&set["client_id"], &set["scopes"]),
        (&json!("own"), &json!(["one"]))
    );
    let address = text(&starts(&other).await.json(201)["authorize_url"]);
    assert!(
        address.contains("client_id=own") && address.contains("scope=one"),
        "{address}"
    );
    let kept = put(&other, path, &json!({ "client_id": "own" }))
        .await
        .json(200);
    assert_eq!(
        (&kept["has_secret"], &kept["scopes"]),
        (&json!(true), &json!(null))
    );
    put(&other, path, &json!({ "client_id": "another" }))
        .await
        .expect(422);
    put(&other, "/oauth-apps/demo-crm/key", &own)
        .await
        .expect(422);
    put(&other, "/oauth-apps/nothing/oauth", &own)
        .await
        .expect(404);
    other.delete(path).await.expect(204);
    starts(&other).await.expect(501);

    // In the other environment there is no app; who logs in again stays where the connection is.
    let home = home.trim_end_matches("/oauth-apps");
    let switch = [("to", "sandbox"), ("back", "")];
    developer
        .done(&format!("{home}/environment"), &switch)
        .await;
    starts(&project).await.expect(501);
    let again = json!({
        "linked_user_origin_id": "customer-1", "connection_id": connections[0]["id_connection"],
    });
    let link = project.post("/connect/links", &again).await.json(201);
    let path = format!("{}/oauth/demo-crm?scheme=oauth", text(&link["url"]));
    let begun = Person::at(&server).get(&path).await;
    assert!(begun.leads_to().contains("/oauth/authorize"), "{begun:?}");

    // What was done is in the audit log, without the secret.
    let remove = form.replacen('?', "/remove?", 1);
    assert_eq!(viewer.post(&remove, &[]).await.status, 403);
    developer.done(&remove, &[]).await;
    starts(&project).await.expect(501);
    let log = server.operator().get("/audit-log").await.text;
    for action in ["oauth_app.set", "oauth_app.remove"] {
        assert!(log.contains(action), "{log}");
    }
    assert!(!log.contains(right) && !log.contains(SECRET), "{log}");

    // When the token has to be renewed, and cannot be, the diagnosis knows what was done before.
    provider.let_pass(30 * 24 * 3600);
    project
        .post("/sync/resync", &json!({ "vertical": "crm" }))
        .await
        .expect(201);
    let connection = text(&connections[0]["id_connection"]);
    let path = format!("/diagnosis/connections/{connection}");
    until("the app that is gone is told of", async || {
        let found = project.get(&path).await.json(200);
        let problems = found["problems"].as_array()?.clone();
        let mut changes = problems
            .iter()
            .filter_map(|problem| problem["preceding_changes"].as_array())
            .flatten();
        changes
            .any(|change| change["kind"] == "oauth_app")
            .then_some(())
    })
    .await;
}

async fn keys_and_projects_are_made_changed_and_revoked(backend: Backend) {
    let server = Server::on(backend).await.with("demo-crm").start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let owner = Person::owner_of(&server).await;
    let viewer = owner.invite(&server, "viewer").await;
    let home = format!("/dashboard/{}", id_of(&project).await);

    // A key is shown once, works, tells its last use, and stops to work.
    let keys = format!("{home}/api-keys");
    assert_eq!(viewer.post(&keys, &[("name", "x")]).await.status, 403);
    let wrong = owner.post(&keys, &[("name", " ")]).await;
    assert!(
        wrong.status == 422 && wrong.text.contains("Give it a name"),
        "{}",
        wrong.text
    );
    let made = owner.post(&keys, &[("name", "billing")]).await;
    assert_eq!(made.status, 200);
    let key = path_of(&made.text, "data-copy=\"jk_").replacen("data-copy=\"", "", 1);
    let page = owner.page(&keys).await;
    assert!(page.contains("billing") && !page.contains(&key), "{page}");
    assert!(page.contains("never"), "{page}");
    let api = server.anyone().with_key(&key);
    api.get("/connections").await.expect(200);
    assert!(!owner.page(&keys).await.contains(">never<"), "it was used");
    let revoke = path_of(&page, &format!("{keys}/"));
    owner.done(&format!("{revoke}/revoke"), &[]).await;
    let (old, new) = (
        project.get("/connections").await,
        api.get("/connections").await,
    );
    assert_eq!((old.status, new.status), (200, 401));
    assert!(owner.page(&keys).await.contains(">revoked<"));

    // What is no place in a list is not taken for its beginning.
    for list in [
        "connections?after=x",
        "connections?state=x",
        "linked-users?after=x",
        "events?after=x",
        "events?connection=x",
        "runs?after=x",
        "records?remote_id=a%00b",
        "linked-users?text=%00",
    ] {
        let answer = viewer.get(&format!("{home}/{list}")).await;
        assert_eq!(answer.status, 422, "{list}: {}", answer.text);
        assert!(answer.text.contains("This cannot be shown"), "{list}");
    }
    for log in ["after=x", "project=x"] {
        let answer = viewer.get(&format!("/dashboard/audit-log?{log}")).await;
        assert_eq!(answer.status, 422, "{log}: {}", answer.text);
    }

    // A project's name and environment, and how often it is read.
    let settings = format!("{home}/settings");
    let fields = [("name", "Größe & <b>"), ("environment", "sandbox")];
    assert_eq!(viewer.post(&settings, &fields).await.status, 403);
    owner.done(&settings, &fields).await;
    let page = viewer.page(&settings).await;
    assert!(
        page.contains("Größe &amp; &lt;b&gt;") && page.contains(">sandbox<"),
        "{page}"
    );
    assert_eq!(
        project.get("/projects").await.json(200)[0]["environment"],
        "sandbox"
    );
    the_environment_is_switched_where_it_is_shown(&home, &project, &owner, &viewer).await;
    let syncs = format!("{settings}/syncs");
    owner.done(&syncs, &[("crm", "300")]).await;
    let frequencies = project.get("/sync/pull_frequencies").await.json(200);
    assert_eq!(frequencies["crm"], 300);
    assert_eq!(owner.post(&syncs, &[("nothing", "300")]).await.status, 422);

    // How connect pages look, and where they may lead.
    let connect = format!("{settings}/connect");
    let fields = [
        ("brand", "Acme <i>"),
        ("color", "#1a237e"),
        ("origins", "https://app.example.com\nhttp://localhost:5173/"),
    ];
    assert_eq!(viewer.post(&connect, &fields).await.status, 403);
    owner.done(&connect, &fields).await;
    let png = b"\x89PNG\r\n\x1a\n rest";
    owner.upload(&format!("{connect}/logo"), png).await;
    let said = project.get("/connect/settings").await.json(200);
    assert_eq!(said["branding"]["name"], "Acme <i>", "{said}");
    assert_eq!(
        said["allowed_origins"],
        json!(["https://app.example.com", "http://localhost:5173"])
    );
    assert!(text(&said["branding"]["logo"]).starts_with("data:image/png;base64,"));
    let page = viewer.page(&connect).await;
    assert!(
        page.contains("fill=\"#1a237e\"") && page.contains("Acme &lt;i&gt;"),
        "{page}"
    );
    for (color, wrong) in [("#ffffff", true), ("#0b7285", false)] {
        let preview = format!("{connect}/preview");
        let seen = owner.post(&preview, &[("color", color)]).await;
        assert_eq!(
            seen.text.contains("class=\"error\""),
            wrong,
            "{}",
            seen.text
        );
        assert!(!seen.text.contains("<html"), "{}", seen.text);
    }
    let wrong = owner
        .post(&connect, &[("origins", "https://*.example.com")])
        .await;
    assert!(
        wrong.status == 422 && wrong.text.contains("aria-invalid"),
        "{}",
        wrong.text
    );
    let image = owner.upload(&format!("{connect}/logo"), b"<html>").await;
    assert_eq!(image.status, 422);

    let new = "/dashboard/new-project";
    assert_eq!(viewer.get(new).await.status, 403);
    assert!(owner.page(new).await.contains("Make the project"));
    let next = owner
        .done(new, &[("name", "Second"), ("environment", "sandbox")])
        .await;
    assert!(next.ends_with("/api-keys"), "{next}");
    assert!(owner.page(&next).await.contains("No API keys yet"));
}

/// The project is in sandbox before and after.
async fn the_environment_is_switched_where_it_is_shown(
    home: &str,
    project: &Api,
    owner: &Person,
    viewer: &Person,
) {
    let switch = format!("{home}/environment");
    let page = viewer.page(home).await;
    assert!(
        page.contains(">sandbox<") && !page.contains(&switch),
        "{page}"
    );
    let to = |to: &'static str, back: &'static str| [("to", to), ("back", back)];
    let refused = viewer.post(&switch, &to("production", "/dashboard")).await;
    assert_eq!(refused.status, 403);
    assert_eq!(owner.post(&switch, &to("test", "")).await.status, 422);

    // Who switches comes back to the very page.
    let runs = format!("{home}/runs?range=all&object=crm.contact");
    let page = owner.page(&runs).await;
    assert!(page.contains("Switch from sandbox to production"), "{page}");
    let back = hidden(&page, "back").replace("&amp;", "&");
    assert_eq!(back, runs);
    let fields = [("to", "production"), ("back", back.as_str())];
    assert_eq!(owner.done(&switch, &fields).await, runs);
    let page = owner.page(&runs).await;
    assert!(
        page.contains("The project is in production now.") && page.contains(">production<"),
        "{page}"
    );
    let told = project.get("/projects").await.json(200);
    assert_eq!(told[0]["environment"], "production");
    let away = to("sandbox", "https://evil.example");
    assert_eq!(owner.done(&switch, &away).await, "/dashboard");
    // Once more changes nothing.
    owner.done(&switch, &away).await;
    let log = project.get("/audit-log?action=project.change").await;
    let log = log.json(200);
    let entries = log["data"].as_array().expect("a list");
    let told: Vec<_> = entries
        .iter()
        .map(|entry| text(&entry["details"]["environment"]))
        .collect();
    assert_eq!(told, ["sandbox", "production", "sandbox"], "{log}");
    assert!(text(&entries[0]["actor"]).starts_with("operator:"), "{log}");
    // A page that answered a form cannot be asked for again: back to its section.
    let keys = format!("{home}/api-keys");
    let made = owner.post(&keys, &[("name", "other")]).await;
    assert_eq!(hidden(&made.text, "back"), keys);
}

fn first() -> Vec<u8> {
    fs::read(connectors::built("demo-crm")).expect("it is built")
}

fn version(number: &str, greedy: bool) -> Vec<u8> {
    wasm::with_manifest(&first(), |text| {
        let line = format!("version = \"{number}\"");
        let text = text.replacen("version = \"0.1.0\"", &line, 1);
        match greedy {
            true => text.replacen("\nhttp = [", "\nhttp = [\"https://more.example/\", ", 1),
            false => text,
        }
    })
}

async fn serves(api: &Api, version: &str) {
    until(&format!("{version} serves"), async || {
        let answer = api.get("/connectors/demo-crm").await;
        let status = (answer.status == 200).then(|| answer.json(200))?;
        (status["state"] == "active" && status["version"] == version).then_some(())
    })
    .await;
}

async fn an_owner_decides_about_connectors(backend: Backend) {
    let server = Server::on(backend).await.with("demo-crm").start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let owner = Person::owner_of(&server).await;
    let developer = owner.invite(&server, "developer").await;
    let here = "/dashboard/connectors/demo-crm";
    let list = developer.page("/dashboard/connectors").await;
    assert!(list.contains(here) && list.contains(">active<"), "{list}");
    let page = developer.page(here).await;
    for said in [
        "crm.contact",
        "What it may do",
        "Sends requests to",
        "0.1.0",
        "Live log",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("/disable"), "a developer decides nothing");
    assert_eq!(
        developer.get("/dashboard/connectors/nothing").await.status,
        404
    );

    // More is asked for: the difference is shown, refused, and granted later.
    server.drop_in("demo-crm.wasm", &version("0.2.0", true));
    let asks = async |version: &str| {
        let asks = format!("Version {version} asks for consent");
        until(&asks, async || {
            let page = owner.page(here).await;
            page.contains(&asks).then_some(page)
        })
        .await
    };
    let page = asks("0.2.0").await;
    assert!(
        page.contains("<ins>+ Sends requests to https://more.example/</ins>"),
        "{page}"
    );
    assert!(
        owner
            .page("/dashboard/connectors")
            .await
            .contains("update waits for consent")
    );
    assert_eq!(
        developer.post(&format!("{here}/refuse"), &[]).await.status,
        403
    );
    owner.done(&format!("{here}/refuse"), &[]).await;
    let page = owner.page(here).await;
    assert!(
        !page.contains("asks for consent") && page.contains("refused what it asks for"),
        "{page}"
    );
    serves(&project, "0.1.0").await;
    server.drop_in("demo-crm.wasm", &version("0.3.0", true));
    let hash = hidden(&asks("0.3.0").await, "permission_hash");
    let stale = [("permission_hash", "0".repeat(64))];
    let stale = stale
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    assert_eq!(
        owner.post(&format!("{here}/grant"), &stale).await.status,
        409
    );
    owner
        .done(&format!("{here}/grant"), &[("permission_hash", &hash)])
        .await;
    serves(&project, "0.3.0").await;

    owner
        .done(&format!("{here}/roll-back"), &[("to", "0.1.0")])
        .await;
    serves(&project, "0.1.0").await;
    assert!(owner.page(here).await.contains(">rolled back<"));
    owner.done(&format!("{here}/disable"), &[]).await;
    until("it is disabled", async || {
        let page = developer.page(here).await;
        page.contains(">disabled<").then_some(())
    })
    .await;
    owner.done(&format!("{here}/enable"), &[]).await;
    serves(&project, "0.1.0").await;

    let log = developer.page(&format!("{here}/log?level=warn")).await;
    assert!(
        log.contains("Nothing was logged yet") && log.contains("hx-get"),
        "{log}"
    );
    let lines = developer
        .page(&format!("{here}/log/lines?level=warn&after=7"))
        .await;
    assert!(
        lines.contains("after=7") && !lines.contains("<html"),
        "{lines}"
    );
}

async fn connectors_come_from_files_and_from_the_marketplace(backend: Backend) {
    let registry = Registry::start().await;
    let index = registry.reference("index:latest");
    let server = Server::on(backend)
        .await
        .set(
            "JACKFIELD_MARKETPLACE__DOCKER_CONFIG",
            &registry.docker_config(),
        )
        .set("JACKFIELD_MARKETPLACE__INDEXES", &index)
        .start()
        .await;
    let project = server.project("App");
    let owner = Person::owner_of(&server).await;
    let viewer = owner.invite(&server, "viewer").await;

    // From a file: looked at, consented to, installed.
    let upload = "/dashboard/install";
    assert_eq!(viewer.upload(upload, &first()).await.status, 403);
    let wrong = owner.upload(upload, b"no connector").await;
    assert!(
        wrong.status == 422 && wrong.text.contains("no connector"),
        "{}",
        wrong.text
    );
    let taken = owner.upload(upload, &first()).await;
    assert_eq!(taken.status, 303, "{}", taken.text);
    let page = owner.page(taken.leads_to()).await;
    assert!(
        page.contains("What it asks for") && page.contains(">unsigned<"),
        "{page}"
    );
    project.get("/connectors/demo-crm").await.expect(404);
    let install = format!("{}/install", taken.leads_to());
    let consent = hidden(&page, "consent");
    let other = "0".repeat(64);
    assert_eq!(
        owner
            .post(&install, &[("consent", other.as_str())])
            .await
            .status,
        422
    );
    // Consent to a file that was not looked at is none.
    let swapped = [("consent", consent.as_str()), ("digest", other.as_str())];
    let refused = owner.post(&install, &swapped).await;
    assert!(
        refused.status == 422 && refused.text.contains("another file"),
        "{}",
        refused.text
    );
    let digest = hidden(&page, "digest");
    let seen = [("consent", consent.as_str()), ("digest", digest.as_str())];
    owner.done(&install, &seen).await;
    serves(&project, "0.1.0").await;

    // From the marketplace: an update.
    let file = server.folder().join("next.wasm");
    fs::write(&file, version("0.2.0", true)).expect("the folder is writable");
    let repository = registry.reference("acme/demo-crm");
    let file = file.display().to_string();
    server.command_line(&["connector", "publish", &file, &repository]);
    server.command_line(&["connector", "index", &repository, "--to", &index]);
    let market = "/dashboard/marketplace";
    let page = until("the index is read", async || {
        let page = viewer.page(market).await;
        page.contains("update available").then_some(page)
    })
    .await;
    assert!(page.contains("https://more.example/"), "{page}");
    let none = viewer
        .page(&format!("{market}?vertical=hris&state=installed"))
        .await;
    assert!(none.contains("Nothing fits"), "{none}");
    let page = viewer.page(&format!("{market}/demo-crm")).await;
    assert!(
        page.contains(">new<") && !page.contains("Grant and install"),
        "{page}"
    );
    let page = owner.page(&format!("{market}/demo-crm")).await;
    let fields = [
        ("consent", hidden(&page, "consent")),
        ("digest", hidden(&page, "digest")),
        ("version", "0.2.0".to_owned()),
    ];
    let fields = fields
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let install = format!("{market}/demo-crm/install");
    assert_eq!(viewer.post(&install, &fields).await.status, 403);
    owner.done(&install, &fields).await;
    serves(&project, "0.2.0").await;

    // Back to the older file takes a word more. The API takes the file as it is.
    let taken = owner.upload(upload, &first()).await;
    let install = format!("{}/install", taken.leads_to());
    let refused = owner.post(&install, &seen).await;
    assert!(
        refused.status == 422 && refused.text.contains("It was not installed"),
        "{}",
        refused.text
    );
    owner
        .done(&install, &[seen[0], seen[1], ("allow_downgrade", "true")])
        .await;
    serves(&project, "0.1.0").await;
    let key = server.operator();
    let path = format!("{}/connectors/install?dry_run=true", server.base_url());
    let answer = http()
        .post(path)
        .header("x-api-key", key.key())
        .header(CONTENT_TYPE, "application/wasm")
        .body(version("0.4.0", false));
    let answer = answer.send().await.expect("the server answers");
    assert_eq!(answer.status(), 200);
    let offer = answer.text().await.expect("it is text");
    let offer: Value = serde_json::from_str(&offer).expect("it is JSON");
    assert_eq!(
        (&offer["version"], &offer["installed"]),
        (&json!("0.4.0"), &json!(false))
    );
}
