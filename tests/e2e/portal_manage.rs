//! What customers do after they connected: the page of a connection, its settings and mappings; and
//! the script that shows these pages within another application.

use std::{fs, process::Command};

use jackfield_tests::{
    Api, Backend, DemoProvider, Server,
    api::{http, text},
    connectors, until,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

on_both_databases!(
    customers_look_after_their_connection,
    settings_are_changed_and_checked,
    customers_map_what_they_may,
);

struct World {
    provider: Option<DemoProvider>,
    project: Api,
    /// With the connection's token.
    api: Api,
    user: String,
    connection: String,
    /// The address of a connect link of that user.
    link: String,
    server: Server,
}

/// What a form or a link led to.
struct Shown {
    status: StatusCode,
    location: String,
    text: String,
}

impl World {
    async fn on(backend: Backend) -> Self {
        let provider = DemoProvider::start(20).await;
        let server = provider
            .known_to(Server::on(backend).await)
            .with("demo-crm")
            .start()
            .await;
        let project = server.project("Acme Books");
        project.active("demo-crm").await;
        let user = project.linked_user("customer-17").await;
        let body = json!({
            "linked_user_id": user, "connector": "demo-crm", "scheme": "key",
            "fields": { "api_key": "demo-key" },
        });
        let connection = project.post("/connections", &body).await.connection();
        let api = project.with_token(&connection.token);
        api.synced("crm").await;
        let link = link_for(&project, "customer-17").await;
        Self {
            provider: Some(provider),
            project,
            api,
            user,
            connection: connection.id,
            link,
            server,
        }
    }

    /// The address of a page of the connection.
    fn page(&self, path: &str) -> String {
        format!("{}/connections/{}{path}", self.link, self.connection)
    }

    async fn see(&self, url: &str) -> Shown {
        self.send(http().get(url)).await
    }

    async fn submit(&self, url: &str, fields: &[(&str, &str)]) -> Shown {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let body = form.extend_pairs(fields).finish();
        let request = http().post(url).body(body);
        let kind = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", kind)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Shown {
        let answer = request.send().await.expect("the server answers");
        let location = answer.headers().get("location");
        Shown {
            status: answer.status(),
            location: location
                .map_or_else(String::new, |to| to.to_str().unwrap_or_default().to_owned()),
            text: answer.text().await.expect("the answer is text"),
        }
    }

    async fn settings(&self) -> Value {
        let path = format!("/connections/{}", self.connection);
        self.project.get(&path).await.json(200)["settings"].clone()
    }
}

async fn link_for(project: &Api, origin: &str) -> String {
    let body = json!({ "linked_user_origin_id": origin });
    text(&project.post("/connect/links", &body).await.json(201)["url"])
}

impl Shown {
    fn says(&self, status: u16, words: &[&str]) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "no {word:?} in {}", self.text);
        }
    }

    fn leads_to(&self, part: &str) {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        assert!(self.location.contains(part), "{}", self.location);
    }
}

async fn customers_look_after_their_connection(backend: Backend) {
    let world = World::on(backend).await;
    let page = world.see(&world.page("")).await;
    page.says(
        200,
        &[
            "Demo CRM",
            "Acme Books",
            "Contacts",
            "Up to date",
            "Sync now",
            "Disconnect",
        ],
    );

    world
        .submit(&world.page("/pause"), &[])
        .await
        .leads_to("done=paused");
    let paused = |states: &[Value]| states.iter().all(|state| state["status"] == "paused");
    let states = async || {
        let path = format!("/syncs?connection_id={}", world.connection);
        let page = world.project.get(&path).await.json(200);
        page["data"].as_array().cloned().unwrap_or_default()
    };
    assert!(paused(&states().await), "{:?}", states().await);
    world
        .see(&world.page("?done=paused"))
        .await
        .says(200, &["Resume", "Paused: nothing is read"]);
    world
        .submit(&world.page("/resume"), &[])
        .await
        .leads_to("done=resumed");
    assert!(!paused(&states().await));
    world
        .submit(&world.page("/sync"), &[])
        .await
        .leads_to("done=synced");
    let done = ["sync.pause", "sync.resume", "sync.run"];
    world.project.is_audited("linked_user:", &done).await;
    until("all is read once more", async || {
        let runs = world.project.get("/sync-runs?limit=200").await.json(200);
        let asked = runs["data"].as_array()?.iter();
        let done = asked.filter(|run| run["trigger"] == "manual" && run["status"] == "completed");
        (done.count() >= states().await.len()).then_some(())
    })
    .await;
    world
        .see(&world.page("/syncs"))
        .await
        .says(200, &["Contacts", "Last read"]);

    // In another language, with another user's link, and with a link for something else.
    world
        .see(&world.page("?lang=de"))
        .await
        .says(200, &["Trennen"]);
    let other = link_for(&world.project, "customer-18").await;
    let foreign = format!("{other}/connections/{}", world.connection);
    world.see(&foreign).await.says(404, &["not here"]);
    world
        .submit(&format!("{foreign}/disconnect"), &[])
        .await
        .says(404, &[]);
    world
        .see(&format!("{}/connections/none", world.link))
        .await
        .says(404, &[]);

    // Asking ends nothing.
    world
        .see(&world.page("/disconnect"))
        .await
        .says(200, &["loses its access", "Keep it"]);
    let path = format!("/connections/{}", world.connection);
    world.project.get(&path).await.expect(200);
    let ended = world.submit(&world.page("/disconnect"), &[]).await;
    ended.says(200, &["is disconnected", "disconnected&quot;"]);
    let finish = format!("{}/finish", world.link);
    assert!(!world.see(&finish).await.text.contains("status=connected"));
    world.project.get(&path).await.expect(404);
    world.see(&world.page("")).await.says(404, &[]);
    let events = world.project.events("connection.deleted").await;
    assert_eq!(events.len(), 1, "of {}", world.user);
}

async fn settings_are_changed_and_checked(backend: Backend) {
    let mut world = World::on(backend).await;
    let path = format!("/connections/{}/settings/owner/choices", world.connection);
    let choices = world.project.get(&path).await.json(200)["choices"].clone();
    let (value, label) = (text(&choices[0]["value"]), text(&choices[0]["label"]));
    assert_ne!(value, label);
    let unknown = path.replace("/owner/", "/colour/");
    let refused = world.project.get(&unknown).await.json(422);
    assert_eq!(refused["code"], "invalid_setting", "{refused}");

    // The page offers what the provider has, and takes nothing else.
    world
        .see(&world.page("/settings"))
        .await
        .says(200, &["Owner of new records", &label]);
    let wrong = world
        .submit(&world.page("/settings"), &[("owner", "nobody")])
        .await;
    wrong.says(422, &["aria-invalid", "Owner of new records"]);
    assert_eq!(world.settings().await["owner"], Value::Null);
    let saved = world
        .submit(&world.page("/settings"), &[("owner", &value)])
        .await;
    saved.leads_to("done=saved");
    assert_eq!(world.settings().await["owner"], value.as_str());
    world
        .see(&world.page("?done=saved"))
        .await
        .says(200, &["The settings were saved"]);

    // It has an effect: what is created has that owner.
    let body = json!({ "name": "Chairs", "description": "Twelve of them", "amount": 1200 });
    let deal = world
        .api
        .post("/crm/deals?remote_data=true", &body)
        .await
        .json(201);
    assert_eq!(deal["remote_data"]["owner"].to_string(), value, "{deal}");

    // The same through the API, all mistakes at once.
    let path = format!("/connections/{}", world.connection);
    let changed = world
        .project
        .patch(&path, &json!({ "settings": { "owner": null } }))
        .await;
    assert_eq!(changed.json(200)["settings"].get("owner"), None);
    let body = json!({ "settings": { "owner": "nobody", "colour": "red", "contact_fields": "x" } });
    let refused = world.project.patch(&path, &body).await.json(422);
    let places: Vec<&str> = refused["violations"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["path"].as_str())
        .collect();
    assert_eq!(
        places,
        [
            "/settings/colour",
            "/settings/contact_fields",
            "/settings/owner"
        ],
        "{refused}"
    );
    world
        .project
        .patch(&path, &json!({ "setting": {} }))
        .await
        .expect(422);

    world
        .submit(&world.page("/settings"), &[("owner", &value)])
        .await
        .leads_to("done=saved");
    // Whoever has the link cannot make the provider answer without end.
    let mut loads = 0;
    let limited = loop {
        let shown = world.see(&world.page("/settings")).await;
        if shown.text.contains("asked too often") {
            break shown;
        }
        loads += 1;
        assert!(loads < 300, "nothing limits them");
    };
    limited.says(200, &["Try again", &value]);

    // A provider that does not answer: what is chosen stays, and one can try again.
    drop(world.provider.take());
    let shown = world.see(&world.page("/settings")).await;
    shown.says(200, &["Try again", &value]);
}

async fn customers_map_what_they_may(backend: Backend) {
    let world = World::on(backend).await;
    let define = async |slug: &str, own: bool| {
        let body = json!({
            "object": "crm.contact", "slug": slug, "data_type": "string",
            "description": format!("About {slug}."), "linked_users_map": own,
        });
        text(&world.project.post("/custom_fields", &body).await.json(201)["id"])
    };
    let hidden = define("secret_score", false).await;
    let field = define("tongue", true).await;
    let list = world.see(&world.page("/fields")).await;
    list.says(200, &["tongue", "About tongue.", "Not mapped"]);
    assert!(!list.text.contains("secret_score"), "{}", list.text);
    world
        .see(&world.page(&format!("/fields/{hidden}")))
        .await
        .leads_to("/fields");
    world
        .see(&world.page("/settings"))
        .await
        .says(200, &["Fields of your contacts", "0 of 1"]);

    // The provider's fields with samples; a preview; nothing saved yet.
    let at = world.page(&format!("/fields/{field}"));
    world
        .see(&at)
        .await
        .says(200, &["speaks", "type=\"radio\"", "Choose a field"]);
    let none = world.see(&format!("{at}?q=zzzz")).await;
    none.says(200, &["No field fits"]);
    let tried = world
        .see(&format!(
            "{at}/preview?remote=speaks&step=upper&words=&otherwise="
        ))
        .await;
    tried.says(200, &["<table", "There", "Here"]);
    world
        .submit(
            &at,
            &[("remote", "speaks"), ("step", ""), ("words", "no sign")],
        )
        .await
        .says(422, &["equals sign"]);
    world
        .submit(&at, &[("step", "upper")])
        .await
        .says(422, &["Choose one of the fields"]);
    world
        .see(&world.page("/fields"))
        .await
        .says(200, &["Not mapped"]);

    // Saved for this user alone, before what holds for all.
    let body = json!({ "connector": "demo-crm", "remote_fields": ["speaks"] });
    let path = format!("/custom_fields/{field}/mappings");
    world.project.post(&path, &body).await.expect(201);
    world
        .see(&world.page("/fields"))
        .await
        .says(200, &["Preset"]);
    let typed = [
        ("remote", "speaks"),
        ("step", "upper"),
        ("otherwise", "NONE"),
    ];
    world.submit(&at, &typed).await.leads_to("done=saved");
    let mappings = world.project.get(&path).await.json(200);
    let own = mappings.as_array().into_iter().flatten();
    let own: Vec<_> = own
        .filter(|one| one["linked_user_id"] == world.user.as_str())
        .collect();
    assert_eq!(own.len(), 1, "{mappings}");
    assert_eq!(
        own[0]["transforms"],
        json!([{ "type": "case", "to": "upper" }])
    );
    until("records have the value", async || {
        let contacts = world.api.all("/crm/contacts?remote_data=true").await;
        let right = |contact: &Value| {
            let expected = contact["remote_data"]["extra"]["speaks"].as_str();
            let expected = expected.map_or_else(|| "NONE".to_owned(), str::to_uppercase);
            contact["field_mappings"]["tongue"] == expected.as_str()
        };
        contacts.iter().all(right).then_some(())
    })
    .await;
    world
        .see(&at)
        .await
        .says(200, &["checked", "NONE", "Take my mapping away"]);
    world
        .submit(&format!("{at}/reset"), &[])
        .await
        .leads_to("done=reset");
    world
        .see(&world.page("/fields"))
        .await
        .says(200, &["Preset"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_is_served_to_every_page_with_its_types() {
    let world = World::on(Backend::Sqlite).await;
    let base = world.server.base_url();
    let answer = http()
        .get(format!("{base}/connect.js"))
        .send()
        .await
        .expect("it answers");
    for (name, value) in [
        ("content-type", "text/javascript; charset=utf-8"),
        ("access-control-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cache-control", "public, max-age=3600"),
    ] {
        assert_eq!(answer.headers()[name], value, "{name}");
    }
    let etag = answer.headers()["etag"].clone();
    let script = answer.text().await.expect("it is text");
    assert!(script.len() <= 10 * 1024, "{} bytes", script.len());
    let again = http()
        .get(format!("{base}/connect.js"))
        .header("if-none-match", etag);
    assert_eq!(again.send().await.expect("it answers").status(), 304);

    // What an application writes in TypeScript compiles, and what is wrong does not.
    let types = world.see(&format!("{base}/connect.d.ts")).await;
    types.says(200, &["interface JackfieldOptions"]);
    let folder = tempfile::tempdir().expect("there is room");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("the folder is writable");
    };
    write("connect.d.ts", &types.text);
    let good = r#"
        import "./connect.js";
        const overlay = Jackfield.connect({
          link: "https://jackfield.example.com/connect/cl_x",
          onSuccess: ({ connectionId, connector }) => console.log(connectionId.length, connector.length),
          onExit: ({ connected, reason }) => { const was: boolean = connected; console.log(was, reason === "expired"); },
          onEvent: (event) => { if (event.type === "refused") console.log(event.origin.length); else if (event.type === "closed") console.log(event.reason === "used"); },
        });
        overlay.close();
        window.Jackfield.connect({ link: "x" }).close();
    "#;
    write("good.ts", good);
    write("bad.ts", &good.replace("link: \"x\"", "url: \"x\""));
    let compile = |name: &str| {
        let tool = connectors::target().join("test-node/node_modules/.bin/tsc");
        let options = [
            "--strict", "--noEmit", "--target", "es2022", "--module", "nodenext",
        ];
        let ran = Command::new(tool)
            .args(options)
            .arg(name)
            .current_dir(folder.path())
            .output();
        ran.expect("tests/run installs TypeScript")
    };
    let compiled = compile("good.ts");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stdout)
    );
    let refused = compile("bad.ts");
    assert!(
        String::from_utf8_lossy(&refused.stdout).contains("'url' does not exist"),
        "{refused:?}"
    );
}
