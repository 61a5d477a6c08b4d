//! `jackfield dev`: what a newcomer sees first, and what a connector's author works with.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use jackfield_tests::{
    Api, Person,
    api::text,
    connectors::{self, Workspace},
    server, until, until_within,
};
use serde_json::Value;
use tempfile::TempDir;

/// A development server; it ends with this.
struct Dev {
    process: Child,
    folder: TempDir,
}

impl Dev {
    fn start(plugins: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("jackfield-dev-")
            .tempdir()
            .expect("a folder can be made");
        let output = File::create(folder.path().join("output")).expect("the folder is writable");
        let errors = output.try_clone().expect("a file can be cloned");
        // Builds of a connector share their target folder, so that only the first one takes long.
        let builds = connectors::target().join("test-dev");
        let environment =
            BTreeMap::from([("CARGO_TARGET_DIR".to_owned(), builds.display().to_string())]);
        let process = server::command(&environment)
            .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("data"))
            .arg("--plugins")
            .arg(plugins)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("the program starts");
        Self { process, folder }
    }

    async fn ready(&self) -> Value {
        let file = self.folder.path().join("data/dev.json");
        let ready = until_within(
            Duration::from_secs(600),
            "dev.json is written",
            async || serde_json::from_str(&fs::read_to_string(&file).ok()?).ok(),
        );
        let ready = ready.await;
        let mode = fs::metadata(file)
            .expect("it was read")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "it has a key in it");
        ready
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            use std::io::Write as _;
            drop(
                std::io::stderr()
                    .write_all(format!("--- jackfield dev ---\n{}\n", self.output()).as_bytes()),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_commands_work_as_printed() {
    let plugins = tempfile::tempdir().expect("a folder can be made");
    fs::copy(
        connectors::built("demo-crm"),
        plugins.path().join("demo-crm.wasm"),
    )
    .expect("the folder is writable");
    let dev = Dev::start(plugins.path());
    let ready = dev.ready().await;
    for key in [
        "base_url",
        "api_key",
        "project_id",
        "linked_user_id",
        "demo_provider_url",
        "dashboard_url",
    ] {
        assert!(!text(&ready[key]).is_empty(), "{key}: {ready}");
    }
    a_second_one_leaves_the_folder_alone(&dev, plugins.path());
    the_dashboard_opens_without_typing(&dev, &text(&ready["dashboard_url"])).await;
    let commands = until("three commands are printed", async || {
        let output = dev.output();
        let lines: Vec<String> = curl_commands(&output);
        (lines.len() >= 3).then_some(lines)
    })
    .await;
    for command in &commands {
        let output = Command::new("bash")
            .args(["-c", command])
            .output()
            .expect("bash and curl are there");
        let body = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{command}: {body}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!body.contains("statusCode"), "{command}: {body}");
    }
    let api = Api::new(&text(&ready["base_url"])).with_key(&text(&ready["api_key"]));
    let api = api.with_token(&text(&ready["connections"]["demo-crm"]));
    api.synced("crm").await;
    // The provider's 500, and the one that the second command made.
    assert_eq!(api.all("/crm/contacts").await.len(), 501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_source_is_built_and_swapped() {
    let workspace = Workspace::with_connectors(&["demo-crm"]);
    let dev = Dev::start(&workspace.plugins());
    let ready = dev.ready().await;
    let api = Api::new(&text(&ready["base_url"])).with_key(&text(&ready["api_key"]));
    let api = api.with_token(&text(&ready["connections"]["demo-crm"]));
    api.synced("crm").await;
    let contact = api.all("/crm/contacts").await.remove(0);
    let path = format!("/crm/contacts/{}", text(&contact["id"]));

    connectors::swap_names(&workspace);
    until_within(
        Duration::from_secs(300),
        "the new mapping shows",
        async || {
            let again = api.get(&path).await.json(200);
            (again["first_name"] == contact["last_name"]).then_some(())
        },
    )
    .await;
    let status = api.get("/connectors/demo-crm").await.json(200);
    assert_eq!(
        status["versions"].as_array().map(Vec::len),
        Some(2),
        "{status}"
    );

    // A mistake in the source takes nothing down.
    workspace.edit(
        "demo-crm",
        "src/contact.rs",
        "use crate::wire::Person;",
        "use crate::wire::Nobody;",
    );
    until_within(
        Duration::from_secs(300),
        "the mistake is told",
        async || dev.output().contains("Nobody").then_some(()),
    )
    .await;
    assert_eq!(
        api.get(&path).await.json(200)["first_name"],
        contact["last_name"]
    );
}

fn a_second_one_leaves_the_folder_alone(dev: &Dev, plugins: &Path) {
    let data = dev.folder.path().join("data");
    let second = server::command(&BTreeMap::new())
        .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .arg("--plugins")
        .arg(plugins)
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success(), "{said}");
    assert!(
        said.contains("another `jackfield dev` uses the folder"),
        "{said}"
    );
}

async fn the_dashboard_opens_without_typing(dev: &Dev, link: &str) {
    until("the dashboard's address is printed", async || {
        dev.output().contains(link).then_some(())
    })
    .await;
    // As often as one likes, as long as it runs; and only with the whole link.
    for _ in 0..2 {
        let browser = Person::with_base(link);
        let answer = browser.get(link).await;
        assert_eq!((answer.status, answer.leads_to()), (303, "/dashboard"));
        let account = browser.get("/dashboard/account").await;
        assert!(account.text.contains("dev@localhost"), "{}", account.text);
    }
    let guessed = link.replacen("/sign-in/", "/sign-in/x", 1);
    assert_eq!(Person::with_base(link).get(&guessed).await.status, 404);
}

/// The printed commands; one that goes over several lines has a backslash at the end of each.
fn curl_commands(output: &str) -> Vec<String> {
    let joined = output.replace("\\\n", " ");
    let lines = joined
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl "));
    lines
        .map(|line| line.replacen("curl ", "curl --silent --show-error ", 1))
        .collect()
}
