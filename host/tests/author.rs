//! What an author does, from nothing to a served record.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on what it did not expect"
)]

#[path = "runtime/guest.rs"]
mod guest;

use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::Arc, time::Duration};

use axum::{Json, Router, routing::get};
use jackfield::{
    author::{self, Auth, Candidate, Error, Fixtures, Level, NewOptions, Outcome},
    egress::{
        Authorization, AuthorizeError, Authorizer, BoxFuture, Downstream, Egress, Policy, Priority,
        Unlimited,
    },
    model::{Environment, Manifest, ObjectKind, SystemClock},
    runtime::{CallContext, Compiler, FetchRequest, Options, PushAction, PushRequest, Runtime},
};
use serde_json::{Value, json};

fn sdk() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk-guest")
}

fn options(dir: &Path) -> NewOptions {
    NewOptions {
        dir: Some(dir.to_owned()),
        sdk: Some(sdk()),
        ..NewOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_connector_builds_validates_and_serves_a_record_without_edits() {
    let folder = tempfile::tempdir().unwrap();
    // Two of them have the same name, and some can only be read.
    let objects = ["crm.contact", "crm.stage", "crm.user", "ticketing.user"];
    let options = NewOptions {
        objects: objects.map(str::to_owned).to_vec(),
        ..options(&folder.path().join("acme-crm"))
    };
    let crate_dir = author::new("acme-crm", &options).unwrap();

    let tests = Command::new("cargo")
        .arg("test")
        .current_dir(&crate_dir)
        .status()
        .unwrap();
    assert!(tests.success(), "its own tests pass");

    let out = folder.path().join("plugins");
    let built = author::build(&crate_dir, &out, &|_| {}).await.unwrap();
    assert_eq!(built.path, out.join("acme-crm.wasm"));
    assert_eq!(built.bytes, fs::metadata(&built.path).unwrap().len());
    let left: Vec<_> = fs::read_dir(&out).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing unfinished is left");
    let again = author::build(&crate_dir, &out, &|_| {}).await.unwrap();
    assert_eq!(again.digest, built.digest);

    let report = author::validate_path(&crate_dir, None, Compiler::InProcess, &|_| {})
        .await
        .unwrap();
    assert!(report.ok && report.problems.is_empty(), "{report}");
    let inspection = author::inspect(&built.path).unwrap();
    assert_eq!(inspection.digest, built.digest);
    let text = inspection.to_string();
    assert!(
        text.contains("crm.contact     read create (incremental): first_name"),
        "{text}"
    );
    assert!(text.contains("optional\n  none"), "{text}");
    let json = serde_json::to_value(&inspection).unwrap();
    assert_eq!(json["slug"], "acme-crm");
    for (index, object) in objects.iter().enumerate() {
        assert_eq!(json["objects"][index]["object"], *object);
    }

    serve(&out).await;
}

/// Reads and creates through the built component, with its endpoint at a local server.
async fn serve(plugins: &Path) {
    let person = json!({ "id": 1, "changed_at": "2026-01-05T09:00:00Z", "first_name": "Ada" });
    let people = json!({ "items": [person] });
    let provider = Router::new()
        .route(
            "/v1/me",
            get(|| async { Json(json!({ "id": 7, "name": "Acme" })) }),
        )
        .route(
            "/v1/contacts",
            get(|| async { Json(people) }).post(|Json(sent): Json<Value>| async {
                let mut sent = sent;
                sent["id"] = json!(2);
                Json(sent)
            }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async { axum::serve(listener, provider).await });

    let cache = tempfile::tempdir().unwrap();
    let api = BTreeMap::from([("api".to_owned(), address)]);
    let limits = Options {
        folders: vec![plugins.to_owned()],
        cache_dir: cache.path().to_owned(),
        compiler: Compiler::InProcess,
        poll: Duration::from_secs(1),
        max_memory_mib: 64,
        call_timeout: Duration::from_secs(20),
        exchange_timeout: Duration::from_secs(10),
        cpu_timeout: Duration::from_secs(5),
        max_output: 1024 * 1024,
        max_response: 1024 * 1024,
        max_transfer: 16 << 20,
        max_instances: 4,
        endpoints: [("acme-crm".parse().unwrap(), api)].into(),
    };
    let policy = Policy {
        allow_private: vec!["127.0.0.1/32".parse().unwrap()],
    };
    let runtime =
        Runtime::new(limits, Egress::new(policy).unwrap(), Arc::new(SystemClock)).unwrap();
    runtime.scan().await;
    let version = runtime.active(&"acme-crm".parse().unwrap()).unwrap();
    let contact = ObjectKind::parse("crm.contact").unwrap();

    let accounts = version.authenticate(context()).await.unwrap();
    assert_eq!(accounts[0].remote_id, "7");
    let request = FetchRequest {
        object: "crm.contact".to_owned(),
        cursor: None,
        since: None,
        remote_id: None,
        limit: 100,
    };
    let page = version.fetch_records(context(), request).await.unwrap();
    let records: Vec<Value> = serde_json::from_str(&page.records).unwrap();
    assert_eq!(records[0]["remote_id"], "1");
    let documents = json!([records[0]["data"]]).to_string();
    let unified: Value =
        serde_json::from_str(&version.unify(contact, documents, &[]).await.unwrap()).unwrap();
    assert_eq!(unified, json!([{ "first_name": "Ada", "last_name": null }]));

    let draft = json!({ "first_name": "Grace" }).to_string();
    let data = version.desunify(contact, draft, &[]).await.unwrap();
    let request = PushRequest {
        object: "crm.contact".to_owned(),
        action: PushAction::Create,
        remote_id: None,
        version: None,
        data,
        idempotency_key: "k".to_owned(),
    };
    let created = version.push_record(context(), request).await.unwrap();
    let created: Value = serde_json::from_str(&created).unwrap();
    assert_eq!(created["remote_id"], "2");
    assert_eq!(created["data"]["first_name"], "Grace");
    server.abort();
}

fn context() -> CallContext {
    CallContext {
        id: "00000000-0000-4000-8000-000000000001".to_owned(),
        environment: Environment::Production,
        account: None,
        settings: BTreeMap::new(),
        authorizer: Arc::new(Nobody),
        downstream: Downstream::default(),
        budget: Arc::new(Unlimited),
        priority: Priority::Interactive,
        usage: jackfield::model::Usage::default(),
        reason: None,
    }
}

struct Nobody;

impl Authorizer for Nobody {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async { Ok(Arc::new(Authorization::new(0))) })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        self.current()
    }
}

#[test]
fn every_login_and_every_object_makes_a_good_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut check = |change: &dyn Fn(&mut NewOptions)| {
        number += 1;
        let mut options = options(&folder.path().join(number.to_string()));
        change(&mut options);
        let dir = author::new("acme", &options).unwrap();
        let manifest = fs::read_to_string(dir.join("connector.toml")).unwrap();
        let manifest = Manifest::parse(&manifest).unwrap();
        let object = manifest.objects[0].kind.spec();
        let source = fs::read_to_string(dir.join(format!("src/{}.rs", object.object))).unwrap();
        assert!(!source.contains('@'), "{source}");
        let fixture = dir.join(format!("fixtures/{}.json", object.plural));
        serde_json::from_str::<Value>(&fs::read_to_string(fixture).unwrap()).unwrap();
        manifest
    };
    for auth in Auth::ALL {
        let manifest = check(&|options| options.auth = auth);
        assert_eq!(
            manifest.auth[0].type_name(),
            auth.name().replace('-', "_").as_str()
        );
    }
    for kind in ObjectKind::all() {
        let manifest = check(&|options| options.objects = vec![kind.name().to_owned()]);
        assert_eq!(manifest.objects[0].kind, kind);
    }
}

#[test]
fn a_new_connector_needs_a_name_an_object_a_place_and_the_sdk() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("acme");
    let good = options(&dir);
    let refused = |name: &str, options: &NewOptions| author::new(name, options).unwrap_err();
    assert!(matches!(refused("Acme CRM", &good), Error::Name(_)));
    let object = NewOptions {
        objects: vec!["crm.spaceship".to_owned()],
        ..good.clone()
    };
    let error = refused("acme", &object).to_string();
    assert!(
        error.contains("crm.spaceship") && error.contains("crm.contact"),
        "{error}"
    );
    let sdk = NewOptions {
        sdk: Some(folder.path().to_owned()),
        ..good.clone()
    };
    assert!(matches!(refused("acme", &sdk), Error::NotTheSdk(_)));
    assert!(!dir.exists(), "a refusal leaves nothing behind");
    author::new("acme", &good).unwrap();
    assert!(matches!(refused("acme", &good), Error::Exists(_)));
}

async fn validated(path: &Path) -> Result<author::Report, Error> {
    author::validate_path(path, None, Compiler::InProcess, &|_| {}).await
}

#[tokio::test]
async fn a_bad_file_is_reported_with_a_key_and_something_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.wasm");
    fs::write(&file, "not at all").unwrap();
    let report = validated(&file).await.unwrap();
    assert!(!report.ok);
    assert_eq!(report.problems[0].level, Level::Error);
    assert_eq!(report.problems[0].key, "file");
    assert!(
        report.to_string().contains("jackfield connector build"),
        "{report}"
    );
    assert!(matches!(author::inspect(&file), Err(Error::Refused(..))));
    let missing = folder.path().join("missing.wasm");
    assert!(matches!(validated(&missing).await, Err(Error::Read(..))));
    let built = author::build(folder.path(), folder.path(), &|_| {}).await;
    assert!(matches!(built, Err(Error::NotACrate { .. })));
}

#[tokio::test]
async fn a_connector_that_does_not_do_what_it_says_is_told_what_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = json!({
        "description": "People",
        "source": "constructed",
        "documents": [{
            "object": "crm.contact",
            "remote": { "given_name": "Ada" },
            "unified": { "first_name": "Ada" },
        }],
    });
    fs::write(folder.path().join("people.json"), fixture.to_string()).unwrap();
    let failed = async |answer: &str| {
        let candidate = Candidate {
            path: "bad.wasm".into(),
            bytes: guest::good("bad", answer).bytes(),
            fixtures: Fixtures::read(folder.path()).unwrap(),
            compiler: Compiler::InProcess,
        };
        let result = author::conformance(&candidate, &BTreeMap::new())
            .await
            .unwrap();
        assert!(!result.ok, "{result}");
        let checks = result.checks.into_iter();
        checks
            .filter(|check| check.outcome == Outcome::Failed)
            .inspect(|check| assert!(!check.fix.is_empty(), "{check:?}"))
            .map(|check| format!("{} {}: {}", check.name, check.subject, check.detail))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let one = failed(r#"[{"first_name":"Ada"}]"#).await;
    for told in [
        "unify crm.contact: no documents become",
        "account : authenticate answers no account",
        "foreign object accounting.account: unify answers",
        "401 crm.contact: is taken for a page",
    ] {
        assert!(one.contains(told), "{told}: {one}");
    }
    let none = failed("[]").await;
    assert!(
        none.contains("unify crm.contact: 2 documents become 0 entries"),
        "{none}"
    );
}
