//! Every folder in `plugins/` against `docs/connector-spec.md`: its shape, its fixtures, and its
//! component in the sandbox.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use jackfield::{
    author::{self, Candidate, Fixtures, Outcome},
    demo::{API_KEY, Collection, Demo, Options as DemoOptions},
    egress::{
        Authorization, AuthorizeError, Authorizer, BoxFuture, Downstream, Egress, Policy, Priority,
        Unlimited,
    },
    model::{Environment, Manifest, ObjectKind, Slug, SystemClock, Violation, money},
    runtime::{
        CallContext, CallError, Compiler, ConnectorVersion, Failure, FetchRequest, Options,
        PushAction, PushRequest, Runtime,
    },
};
use serde_json::{Map, Value, json};

#[test]
fn folders_have_the_same_shape() {
    for plugin in plugins() {
        let Plugin {
            name,
            folder,
            manifest,
            ..
        } = &plugin;
        assert_eq!(
            manifest.slug.as_str(),
            name,
            "the slug is the folder's name"
        );
        let cargo: toml::Table = read(&folder.join("Cargo.toml")).parse().expect("TOML");
        assert_eq!(cargo["package"]["name"].as_str(), Some(name.as_str()));
        assert_eq!(
            cargo["lib"]["crate-type"],
            toml::Value::from(vec!["cdylib", "rlib"]),
            "{name}"
        );
        let objects = manifest.objects.iter();
        let files = objects.map(|object| format!("{}.rs", object.kind.spec().object));
        for file in ["lib.rs".to_owned(), "wire.rs".to_owned()]
            .into_iter()
            .chain(files)
        {
            let path = folder.join("src").join(file);
            assert!(path.is_file(), "{} is missing", path.display());
        }
        assert!(
            manifest.icon.is_some() && manifest.licence.is_some() && !manifest.overview.is_empty(),
            "{name} lacks an icon, a licence or an overview"
        );
    }
}

#[tokio::test]
async fn components_do_what_the_specification_asks_for() {
    let mut wrong = String::new();
    for file in build() {
        let name = file.file_stem().expect("a name").to_string_lossy();
        let folder = plugins_folder().join(name.replace('_', "-"));
        let candidate = Candidate {
            bytes: fs::read(&file).expect("it was built"),
            path: file,
            fixtures: Fixtures::read(&folder.join("fixtures")).expect("good fixtures"),
            compiler: Compiler::InProcess,
        };
        let result = author::conformance(&candidate, &BTreeMap::new())
            .await
            .expect("a sandbox");
        // What is skipped was not looked at: most must have been.
        let (good, skipped) = (result.count(Outcome::Ok), result.count(Outcome::Skipped));
        if !result.ok || good < 3 * skipped {
            wrong.push_str(&result.to_string());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Checks a unified object as the host does: with its amounts of money in the form of the wire.
fn check(kind: ObjectKind, unified: &Value) -> Result<(), Vec<Violation>> {
    let mut unified = unified.clone();
    if let Some(object) = unified.as_object_mut() {
        money::to_wire(kind, object)?;
    }
    kind.validate_output(&unified)
}

#[tokio::test]
async fn the_demo_connector_reads_and_writes_all_that_the_demo_provider_has() {
    let demo = Demo::new(DemoOptions::default());
    let address = serve(&demo).await;
    let endpoints = BTreeMap::from([("api".to_owned(), format!("http://{address}"))]);
    let slug: Slug = "demo-crm".parse().expect("a slug");
    let sandbox = Sandbox::new(BTreeMap::from([(slug, endpoints)])).await;
    let version = sandbox.connector("demo-crm");
    let context = context();

    let accounts = version
        .authenticate(context.clone())
        .await
        .expect("the key is good");
    assert_eq!(accounts[0].remote_id, "demo-account");

    let collections = [
        ("crm.user", Collection::Users),
        ("crm.stage", Collection::Stages),
        ("crm.company", Collection::Companies),
        ("crm.contact", Collection::People),
        ("crm.deal", Collection::Deals),
        ("crm.note", Collection::Notes),
        ("crm.task", Collection::Tasks),
    ];
    for (object, collection) in collections {
        let kind = ObjectKind::parse(object).expect("an object");
        let mut request = fetch(object);
        let mut ids = BTreeSet::new();
        loop {
            let page = version
                .fetch_records(context.clone(), request.clone())
                .await;
            let page = page.expect("a page");
            let records: Vec<Map<String, Value>> =
                serde_json::from_str(&page.records).expect("an array of records");
            let documents: Vec<&Value> = records.iter().map(|record| &record["data"]).collect();
            let unified = version.unify(kind, json!(documents).to_string(), &[]).await;
            let unified: Vec<Value> =
                serde_json::from_str(&unified.expect("unified")).expect("an array");
            for (record, unified) in records.iter().zip(&unified) {
                assert!(
                    ids.insert(record["remote_id"].to_string()),
                    "{object} twice"
                );
                assert_eq!(check(kind, unified), Ok(()), "{object}");
            }
            match page.next_cursor {
                Some(cursor) => request.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(ids.len(), demo.count(collection), "{object}");
    }

    let kind = ObjectKind::parse("crm.contact").expect("an object");
    let push =
        async |action, remote_id: Option<&str>, version_seen: Option<&str>, unified: Value| {
            let data = version.desunify(kind, unified.to_string(), &[]).await?;
            let request = PushRequest {
                object: kind.name().to_owned(),
                action,
                remote_id: remote_id.map(ToOwned::to_owned),
                version: version_seen.map(ToOwned::to_owned),
                data,
                idempotency_key: "once".to_owned(),
            };
            let answer = version.push_record(context.clone(), request).await?;
            Ok::<Value, CallError>(serde_json::from_str(&answer).expect("a record"))
        };
    let person = json!({"first_name": "Ada", "last_name": "Byron"});
    let created = push(PushAction::Create, None, None, person.clone())
        .await
        .expect("created");
    assert_eq!(created["remote_id"], json!("10501"));
    let again = push(PushAction::Create, None, None, person)
        .await
        .expect("created");
    assert_eq!(again, created, "the same key makes one record");
    let renamed = json!({"first_name": "Augusta"});
    let updated = push(
        PushAction::Update,
        Some("10501"),
        Some("1"),
        renamed.clone(),
    )
    .await;
    assert_eq!(
        updated.expect("updated")["data"]["family_name"],
        json!("Byron")
    );
    let stale = push(PushAction::Update, Some("10501"), Some("1"), renamed).await;
    assert!(
        matches!(stale, Err(CallError::Failure(Failure::Conflict(_)))),
        "{stale:?}"
    );
    let mail = json!({"email_addresses": [{"email_address": "x@y", "email_address_type": null}]});
    let refused = push(PushAction::Update, Some("10501"), None, mail).await;
    let Err(CallError::Failure(Failure::Invalid { field, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(field.as_deref(), Some("email_addresses"));
    let deleted = push(PushAction::Delete, Some("10501"), None, json!({})).await;
    assert_eq!(deleted.expect("deleted")["deleted"], json!(true));
    demo.limit_next(1, 3);
    let limited = version
        .fetch_records(context.clone(), fetch("crm.user"))
        .await;
    let wait = Some(Duration::from_secs(3));
    assert!(matches!(limited, Err(CallError::Failure(Failure::RateLimited(told))) if told == wait));
}

/// A connector's folder.
struct Plugin {
    name: String,
    folder: PathBuf,
    manifest: Manifest,
}

fn plugins_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins")
}

fn plugins() -> Vec<Plugin> {
    // Those in other languages have tests of their own.
    let mut folders = entries(&plugins_folder());
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    let mut plugins: Vec<Plugin> = folders.into_iter().map(plugin).collect();
    plugins.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!plugins.is_empty());
    plugins
}

fn plugin(folder: PathBuf) -> Plugin {
    let name = folder
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let manifest = Manifest::parse(&read(&folder.join("connector.toml")))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    Plugin {
        name,
        folder,
        manifest,
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A runtime with every connector of `plugins/`, freshly built.
struct Sandbox {
    runtime: Runtime,
    _home: tempfile::TempDir,
}

impl Sandbox {
    async fn new(endpoints: BTreeMap<Slug, BTreeMap<String, String>>) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("plugins");
        fs::create_dir(&folder).expect("a folder");
        for file in build() {
            let name = file.file_name().expect("a name");
            fs::copy(&file, folder.join(name)).expect("a copy");
        }
        let options = Options {
            folders: vec![folder],
            cache_dir: home.path().join("cache"),
            compiler: Compiler::InProcess,
            poll: Duration::from_secs(2),
            max_memory_mib: 256,
            call_timeout: Duration::from_secs(30),
            cpu_timeout: Duration::from_secs(10),
            max_output: 64 << 20,
            exchange_timeout: Duration::from_secs(10),
            max_response: 16 << 20,
            max_transfer: 256 << 20,
            max_instances: 4,
            endpoints,
        };
        let loopback = "127.0.0.0/8".parse().expect("a network");
        let egress = Egress::new(Policy {
            allow_private: vec![loopback],
        })
        .expect("egress");
        let runtime = Runtime::new(options, egress, Arc::new(SystemClock)).expect("a runtime");
        runtime.scan().await;
        Self {
            runtime,
            _home: home,
        }
    }

    fn connector(&self, name: &str) -> Arc<ConnectorVersion> {
        let slug: Slug = name.parse().expect("a slug");
        self.runtime
            .active(&slug)
            .unwrap_or_else(|| panic!("{name}: {:?}", self.runtime.status(&slug)))
    }
}

/// Builds all connectors; answers the `.wasm` files.
fn build() -> Vec<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--locked",
        "--target",
        "wasm32-unknown-unknown",
        "--profile",
        "connector",
    ]);
    cargo.arg("--message-format=json-render-diagnostics");
    for plugin in plugins() {
        cargo.args(["--package", &plugin.name]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "the connectors cannot be built");
    let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| Some(PathBuf::from(file.as_str()?)))
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .collect()
}

/// Serves the demo provider until the test ends.
async fn serve(demo: &Demo) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = demo.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn context() -> CallContext {
    CallContext {
        id: "00000000-0000-4000-8000-000000000001".to_owned(),
        environment: Environment::Production,
        account: None,
        settings: BTreeMap::new(),
        authorizer: Arc::new(DemoKey),
        downstream: Downstream::default(),
        budget: Arc::new(Unlimited),
        priority: Priority::Interactive,
        usage: jackfield::model::Usage::default(),
        reason: None,
    }
}

fn fetch(object: &str) -> FetchRequest {
    FetchRequest {
        object: object.to_owned(),
        cursor: None,
        since: None,
        remote_id: None,
        limit: 50,
    }
}

/// The demo provider's key on every request.
struct DemoKey;

impl Authorizer for DemoKey {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        let authorization =
            Authorization::new(1).with_header("x-demo-key", &API_KEY.to_owned().into());
        Box::pin(async { Ok(Arc::new(authorization.expect("a header"))) })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async { Err(AuthorizeError::Dead("the key is refused".to_owned())) })
    }
}
