//! Every object of every vertical, with every operation that the table of objects gives it, and
//! every operation of Panora's published Python SDK.

use std::{collections::BTreeMap, process::Command};

use fake_omni::{KEY, Omni, sample};
use jackfield::model::{ObjectKind, Operation, Unknown};
use jackfield_tests::{Api, Backend, Server, connectors, variable};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

on_both_databases!(
    every_operation_of_every_object_works,
    every_operation_of_the_published_sdk_works,
    a_refused_request_leaves_its_socket_usable,
);

/// More than a page of two, so that lists have an end that is not their beginning.
const PER_OBJECT: usize = 3;

/// What the contract has and this server does not offer, and how it says so: searching the
/// meaning of texts, passwords of a dashboard, and a key that makes projects.
const NOT_OFFERED: [(&str, u16); 3] = [("query", 501), ("signIn", 501), ("createProject", 403)];

struct Stage {
    provider: Omni,
    server: Server,
    project: Api,
    api: Api,
    token: String,
}

impl Stage {
    async fn new(backend: Backend) -> Self {
        let provider = Omni::start(PER_OBJECT).await;
        let server = Server::on(backend)
            .await
            .endpoint("omni", "api", &provider.base_url)
            .with("omni")
            .start()
            .await;
        let project = server.project("App");
        project.active("omni").await;
        let connection = project
            .connect("omni", "key", json!({ "api_key": KEY }))
            .await;
        let api = project.with_token(&connection.token);
        let verticals: BTreeMap<_, _> = ObjectKind::all()
            .map(|kind| (kind.spec().vertical.as_str(), ()))
            .collect();
        for vertical in verticals.keys() {
            api.synced(vertical).await;
        }
        Self {
            provider,
            server,
            project,
            api,
            token: connection.token,
        }
    }

    /// The id of the first record of each object.
    async fn first_ids(&self) -> BTreeMap<ObjectKind, Value> {
        let mut ids = BTreeMap::new();
        for kind in ObjectKind::all() {
            let path = format!("{}?limit=1", path(kind));
            let page = self.api.get(&path).await.json(200);
            ids.insert(kind, page["data"][0]["id"].clone());
        }
        ids
    }
}

async fn every_operation_of_every_object_works(backend: Backend) {
    let stage = Stage::new(backend).await;
    let ids = stage.first_ids().await;
    let mut operations = 0;
    for kind in ObjectKind::all() {
        operations += kind.spec().operations.len();
        reads(&stage.api, kind).await;
        if kind.spec().offers(Operation::Create) {
            writes(&stage, kind, &body(kind, &ids)).await;
        } else {
            let answer = stage.api.post(&path(kind), &json!({})).await;
            answer.expect(405);
        }
    }
    assert!(operations > 370, "{operations} operations");
}

async fn reads(api: &Api, kind: ObjectKind) {
    let path = path(kind);
    let records = api.all(&path).await;
    assert_eq!(records.len(), PER_OBJECT, "{path}");
    for record in &records {
        for property in &kind.spec().properties {
            let there = record.get(&property.name).is_some();
            let expected = !property.write_only && property.unknown != Unknown::Absent;
            assert!(there || !expected, "{kind} has no {}", property.name);
        }
    }
    let first = api.get(&format!("{path}?limit=2")).await.json(200);
    let next = first["next_cursor"].as_str().expect("there is more");
    let rest = format!("{path}?limit=2&cursor={next}");
    let rest = api.get(&rest).await.json(200);
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(PER_OBJECT - 2));
    assert_eq!(rest["next_cursor"], Value::Null);

    let id = records[0]["id"].as_str().expect("a record has an id");
    let one = api.get(&format!("{path}/{id}")).await.json(200);
    assert_eq!(one, records[0], "{kind}");
    let document = format!("{path}/{id}?remote_data=true");
    let one = api.get(&document).await.json(200);
    assert!(one["remote_data"]["rev"].is_number(), "{kind}: {one}");
    let nobody = format!("{path}/00000000-0000-8000-8000-000000000000");
    api.get(&nobody).await.expect(404);
}

async fn writes(stage: &Stage, kind: ObjectKind, body: &Map<String, Value>) {
    let Stage { api, provider, .. } = stage;
    let path = path(kind);
    let created = api.post(&path, &json!(body)).await.json(201);
    same(kind, body, &created);
    assert_eq!(provider.count(kind), PER_OBJECT + 1, "{kind}");
    let one = format!("{path}/{}", created["id"].as_str().expect("an id"));
    same(kind, body, &api.get(&one).await.json(200));

    for (name, _) in body {
        let wrong = Map::from_iter([(name.clone(), json!([[{ "wrong": [] }]]))]);
        let wrong: Map<_, _> = body.clone().into_iter().chain(wrong).collect();
        let refused = api.post(&path, &json!(wrong)).await;
        refused.expect(422);
        assert!(
            refused.text.contains(name),
            "{kind} {name}: {}",
            refused.text
        );
        if kind.spec().offers(Operation::Update) {
            let wrong = json!({ name: [[{ "wrong": [] }]] });
            api.patch(&one, &wrong).await.expect(422);
        }
    }
    let unknown = json!({ "no_such_field": 1 });
    api.post(&path, &unknown).await.expect(422);
    if kind.spec().offers(Operation::Update) {
        api.patch(&one, &unknown).await.expect(422);
    }
    api.post(&path, &json!([])).await.expect(422);
    let required = kind.spec().schema["required"].as_array().cloned();
    for name in required.iter().flatten().filter_map(Value::as_str) {
        let mut without = body.clone();
        without.remove(name);
        api.post(&path, &json!(without)).await.expect(422);
    }
    assert_eq!(provider.count(kind), PER_OBJECT + 1, "{kind}");

    if kind.spec().offers(Operation::Update) {
        for (name, value) in body {
            let change = Map::from_iter([(name.clone(), value.clone())]);
            let changed = api.patch(&one, &json!(change)).await.json(200);
            same(kind, body, &changed);
        }
    } else {
        api.patch(&one, &json!(body)).await.expect(405);
    }
    if kind.spec().offers(Operation::Delete) {
        api.delete(&one).await.expect(204);
        api.get(&one).await.expect(404);
        assert_eq!(provider.count(kind), PER_OBJECT, "{kind}");
    } else {
        api.delete(&one).await.expect(405);
    }
}

/// What an application sends to create a record that refers to records that there are.
fn body(kind: ObjectKind, ids: &BTreeMap<ObjectKind, Value>) -> Map<String, Value> {
    let reference = |target: ObjectKind| ids.get(&target).cloned().unwrap_or(Value::Null);
    let mut body = sample(kind, PER_OBJECT + 1, &reference);
    let fields = &kind.spec().schema["properties"];
    body.retain(|name, _| fields[name]["readOnly"] != true);
    body
}

/// Whether an answer says everything that was sent.
fn same(kind: ObjectKind, sent: &Map<String, Value>, answer: &Value) {
    for property in &kind.spec().properties {
        let Some(value) = sent.get(&property.name).filter(|_| !property.write_only) else {
            continue;
        };
        let found = &answer[&property.name];
        let equal = match (value.as_f64(), found.as_f64()) {
            (Some(value), Some(found)) => (value - found).abs() < 1e-9,
            _ => value == found,
        };
        assert!(equal, "{kind} {}: {value} became {found}", property.name);
    }
}

fn path(kind: ObjectKind) -> String {
    let spec = kind.spec();
    format!("/{}/{}", spec.vertical, spec.plural)
}

async fn every_operation_of_the_published_sdk_works(backend: Backend) {
    let stage = Stage::new(backend).await;
    let ids = stage.first_ids().await;
    let bodies: BTreeMap<String, Value> = ObjectKind::all()
        .filter(|kind| kind.spec().offers(Operation::Create))
        .map(|kind| {
            let name = format!("{}.{}", kind.spec().vertical, kind.spec().plural);
            (name, json!(body(kind, &ids)))
        })
        .collect();
    stage.provider.refuse(1);
    let python = variable("JACKFIELD_TEST_PYTHON").map_or_else(
        || connectors::target().join("test-python/bin/python"),
        Into::into,
    );
    let mut command = Command::new(python);
    command
        .arg(connectors::repository().join("tests/e2e/contract.py"))
        .args([stage.server.base_url(), stage.project.key(), &stage.token])
        .arg(json!(bodies).to_string());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("it does not panic").expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");

    let contract = words(&told["contract"]);
    assert_eq!(contract.len(), 235, "operations of the contract");
    let mut wrong = Vec::new();
    let mut worked = Vec::new();
    for operation in contract {
        let result = &told["operations"][&operation];
        let expected = NOT_OFFERED.iter().find(|(name, _)| *name == operation);
        match (result, expected) {
            (Value::Null, _) => wrong.push(format!("{operation}: was not called")),
            (result, None) if result["error"].is_null() => worked.push(operation),
            (result, Some((_, status))) if result["status"] == *status => {}
            (result, _) => wrong.push(format!("{operation}: {result}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} worked: {worked:?}\n{} did not:\n{}",
        worked.len(),
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(worked.len(), 235 - NOT_OFFERED.len(), "{worked:?}");
    for (object, count) in told["counts"].as_object().into_iter().flatten() {
        assert_eq!(*count, PER_OBJECT, "records of {object} over all pages");
    }
}

fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words
        .filter_map(|word| word.as_str().map(ToOwned::to_owned))
        .collect()
}

async fn a_refused_request_leaves_its_socket_usable(backend: Backend) {
    let server = Server::on(backend).await.start().await;
    let address = server.base_url().trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    let head = format!("POST /nowhere HTTP/1.1\r\nhost: {address}\r\ncontent-length: 2\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("it reads");
    // Time enough for an answer that does not wait for the body.
    for _ in 0..5 {
        server.anyone().get("/health").await.expect(200);
    }
    let rest = format!("{{}}GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(rest.as_bytes()).await.expect("it reads");
    let mut answers = String::new();
    let read = socket.read_to_string(&mut answers).await;
    read.expect("it answers");
    assert!(answers.starts_with("HTTP/1.1 404"), "{answers}");
    assert!(answers.contains("HTTP/1.1 200"), "{answers}");
}
