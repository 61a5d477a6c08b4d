//! Nobody sees what belongs to another project, on no operation that the document has.

use std::collections::BTreeMap;

use fake_omni::{KEY, Omni, remote_id, sample};
use jackfield::model::{ObjectKind, Operation};
use jackfield_tests::{
    Answer, Api, Backend, Server,
    api::{encode, text},
    receiver::Receiver,
    until,
};
use reqwest::Method;
use serde_json::{Value, json};

on_both_databases!(no_operation_tells_of_another_project);

const UNKNOWN_KEY: &str = "jk_000000000000000000000000000000000000";
const UNKNOWN_TOKEN: &str = "ct_000000000000000000000000000000000000";
/// In every name that the first project chooses.
const SECRET: &str = "zaphod";
const PER_OBJECT: usize = 2;

/// The operation with an id that answers 501 to its own project: the connector `omni` has no
/// webhooks.
const NOT_SUPPORTED: &str = "retrieveConnectionWebhook";
/// Its connector has no such setting.
const NO_CHOICES: &str = "listSettingChoices";

/// The operation with an id that answers no JSON, but events until a run is over.
const STREAMED: &str = "watchSyncRun";

/// A project with a thing of every kind that has an id.
struct Tenant {
    api: Api,
    project: String,
    user: String,
    connection: String,
    token: String,
    webhook: String,
    delivery: String,
    field: String,
    mapping: String,
    retry: String,
    run: String,
    exchange: String,
    failure: String,
    change: String,
    conflict: String,
    link: String,
    records: BTreeMap<ObjectKind, String>,
    /// What nobody else may read: ids, secrets and names.
    secrets: Vec<String>,
    _receiver: Receiver,
}

impl Tenant {
    async fn new(server: &Server, provider: &Omni, name: &str) -> Self {
        let id = server.new_project(name);
        let api = server.anyone().with_key(&server.new_key(&id));
        api.active("omni").await;
        let user = api.linked_user(&format!("{name}-customer")).await;
        let body = json!({
            "connector": "omni", "scheme": "key", "linked_user_id": user,
            "fields": { "api_key": KEY },
        });
        let connection = api.post("/connections", &body).await.connection();
        let with_token = api.with_token(&connection.token);
        let mut records = BTreeMap::new();
        for kind in ObjectKind::all() {
            let spec = kind.spec();
            with_token.synced(&spec.vertical).await;
            let page = with_token.get(&list(kind)).await.json(200);
            records.insert(kind, text(&page["data"][0]["id"]));
        }

        let receiver = Receiver::start().await;
        let url = format!("{}/{name}", receiver.url());
        let body = json!({ "url": url, "scope": ["*"], "description": name });
        let webhook = api.post("/webhooks", &body).await.json(201);
        let secret = text(&webhook["secret"]);
        let webhook = text(&webhook["id_webhook_endpoint"]);
        let test = format!("/webhooks/{webhook}/test");
        let test = api.post(&test, &json!({})).await;
        assert!(test.status < 300, "{}", test.text);
        let deliveries = format!("/webhooks/{webhook}/deliveries?state=delivered");
        let delivery = until("the test is delivered", async || {
            let page = api.get(&deliveries).await.json(200);
            page["data"][0]["id"].as_str().map(ToOwned::to_owned)
        });
        let delivery = delivery.await;

        let body = json!({
            "object": "crm.contact", "slug": format!("{name}_field"), "data_type": "string",
        });
        let field = text(&api.post("/custom_fields", &body).await.json(201)["id"]);
        let body = json!({ "connector": "omni", "remote_fields": [format!("{name}_remote")] });
        let mappings = format!("/custom_fields/{field}/mappings");
        let mapping = text(&api.post(&mappings, &body).await.json(201)["id"]);

        provider.refuse(1);
        let body = json!({ "method": "GET", "path": "v1/limited" });
        let queued = with_token.post("/passthrough", &body).await.json(200);
        let retry = text(&queued["retryId"]);
        let path = format!("/passthrough/{retry}");
        until("the request is sent again", async || {
            let retried = api.get(&path).await.json(200);
            (retried["state"] == "done").then_some(())
        })
        .await;

        let kind = ObjectKind::parse("crm.company").expect("it is an object");
        let sync = format!("/connections/{}/syncs/{kind}", connection.id);
        let both_ways = json!({ "direction": "bidirectional", "conflicts": "manual" });
        api.patch(&sync, &both_ways).await.json(200);
        // Both projects have the same account, so what they set there is no secret.
        let mark: String = id.chars().take(8).collect();
        let records_of = with_token.all(&list(kind)).await;
        let edit = async |number: usize| {
            let remote = remote_id(kind, number);
            let mut all = records_of.iter();
            let record = all.find(|record| record["remote_id"] == remote.as_str());
            let path = format!(
                "{}/{}",
                list(kind),
                text(&record.expect("it is there")["id"])
            );
            let body = json!({ "name": format!("Ours {mark}") });
            let headers = with_token.patch(&path, &body).await.headers;
            let change = headers.get("x-jackfield-change").expect("it is queued");
            change.to_str().expect("it is an id").to_owned()
        };
        let change = edit(1).await;
        let path = format!("/changes/{change}");
        let run = until("a change is pushed", async || {
            let change = api.get(&path).await.json(200);
            (change["state"] == "done").then(|| text(&change["run_id"]))
        })
        .await;
        provider.refuse_changes(true);
        edit(2).await;
        provider.set(kind, 2, "name", json!(format!("Theirs {mark}")));
        with_token.resync("crm").await;
        let conflict = until("both sides changed a record", async || {
            let page = api.get("/conflicts").await.json(200);
            page["data"][0]["id"].as_str().map(ToOwned::to_owned)
        })
        .await;
        provider.refuse_changes(false);
        let path = format!("/sync-runs/{run}");
        until("the run is over", async || {
            let run = api.get(&path).await.json(200);
            run["finished_at"].as_str().map(drop)
        })
        .await;

        let kind = ObjectKind::parse("crm.note").expect("it is an object");
        provider.set(kind, 2, "content", json!(["no", "text"]));
        with_token.resync("crm").await;
        let failure = until("a record fails", async || {
            let page = api.get("/sync-failures").await.json(200);
            page["data"][0]["id"].as_str().map(ToOwned::to_owned)
        })
        .await;

        let path = format!("/connections/{}/exchanges", connection.id);
        let exchange = until("a request to the provider is in the log", async || {
            let page = api.get(&path).await.json(200);
            page["data"][0]["id"].as_str().map(ToOwned::to_owned)
        })
        .await;

        let body = json!({ "linked_user_id": user });
        let link = text(&api.post("/connect/links", &body).await.json(201)["id"]);

        let mut secrets = vec![api.key().to_owned(), secret];
        secrets.extend([&id, &user, &connection.id, &connection.token].map(Clone::clone));
        secrets.extend([&webhook, &delivery, &field, &mapping, &retry].map(Clone::clone));
        secrets.extend([&run, &failure, &change, &conflict, &link, &exchange].map(Clone::clone));
        secrets.extend(records.values().cloned());
        assert!(
            secrets.iter().all(|secret| secret.len() > 20),
            "{secrets:?}"
        );
        secrets.push(name.to_owned());
        Self {
            project: id,
            user,
            connection: connection.id,
            token: connection.token,
            webhook,
            delivery,
            field,
            mapping,
            retry,
            run,
            exchange,
            failure,
            change,
            conflict,
            link,
            records,
            secrets,
            api,
            _receiver: receiver,
        }
    }

    /// What stands for a parameter of a path, and whether it belongs to this project.
    ///
    /// # Panics
    /// Nobody said what: an operation is new, and its parameter has to be told here.
    fn parameter(&self, path: &str, name: &str) -> (String, bool) {
        let first = path.split('/').nth(1).unwrap_or_default();
        let own = match (first, name) {
            ("connections", "id") => &self.connection,
            ("connections", "exchange_id") => &self.exchange,
            ("connections", "setting") => return ("owner".into(), false),
            ("oauth-apps", "connector") => return ("omni".into(), false),
            ("oauth-apps", "scheme") => return ("oauth".into(), false),
            ("connections", "object") => return ("crm.contact".into(), false),
            ("linked_users", "id") => &self.user,
            ("webhooks", "id") => &self.webhook,
            ("webhooks", "delivery_id") => &self.delivery,
            ("custom_fields", "id") => &self.field,
            ("custom_fields", "mapping_id") => &self.mapping,
            ("passthrough", "retryId") => &self.retry,
            ("sync-runs", "id") => &self.run,
            ("sync-failures", "id") => &self.failure,
            ("changes", "id") => &self.change,
            ("conflicts", "id") => &self.conflict,
            ("connect" | "magic_links", "id") => &self.link,
            ("connectors" | "marketplace", "slug") | ("inbound", "connector") => {
                return ("omni".into(), false);
            }
            ("inbound", "rest") => return (self.connection.clone(), false),
            ("passthrough", "path") => return ("v1/me".into(), false),
            ("sync", "vertical") => return ("crm".into(), false),
            ("errors", "code") => return ("record_not_found".into(), false),
            ("docs", "file") => return ("nothing.js".into(), false),
            ("records", "id") => &self.records[&contact()],
            ("diagnosis", "id") => match path.split('/').nth(2) {
                Some("runs") => &self.run,
                Some("deliveries") => &self.delivery,
                _ => &self.connection,
            },
            (_, "id") => match kind_of(path) {
                Some(kind) => &self.records[&kind],
                None => panic!("{path}: say whose id this is"),
            },
            _ => panic!("{path}: say what stands for `{name}`"),
        };
        (own.clone(), true)
    }
}

fn contact() -> ObjectKind {
    ObjectKind::parse("crm.contact").expect("it is an object")
}

/// The object whose records stand at a path of the document.
fn kind_of(path: &str) -> Option<ObjectKind> {
    let mut parts = path.split('/').skip(1);
    ObjectKind::from_path(parts.next()?, parts.next()?)
}

fn list(kind: ObjectKind) -> String {
    let spec = kind.spec();
    format!("/{}/{}", spec.vertical, spec.plural)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Key,
    /// A key, and a token where one connection is meant.
    KeyAndPerhapsToken,
    KeyAndToken,
}

/// An operation of the document with the ids of one project.
struct Route {
    id: String,
    method: Method,
    path: String,
    body: Option<Value>,
    needs: Needs,
    /// Whether it names something that belongs to the project.
    names_own: bool,
}

impl Route {
    fn new(document: &Value, path: &str, method: &str, tenant: &Tenant) -> Self {
        let operation = &document["paths"][path][method];
        let id = text(&operation["operationId"]);
        let security = operation["security"]
            .as_array()
            .expect("it says what it needs");
        let with_token = |one: &&Value| one.get("connectionToken").is_some();
        let needs = match security.iter().filter(with_token).count() {
            _ if security.is_empty() => Needs::Nothing,
            0 => Needs::Key,
            tokens if tokens == security.len() => Needs::KeyAndToken,
            _ => Needs::KeyAndPerhapsToken,
        };
        let mut names_own = false;
        let mut filled = path.to_owned();
        while let Some((before, rest)) = filled.split_once('{') {
            let (name, after) = rest.split_once('}').expect("a parameter ends");
            let (value, own) = tenant.parameter(path, name);
            names_own |= own;
            filled = format!("{before}{value}{after}");
        }
        let mut query = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = match parameter["$ref"].as_str() {
                Some(target) => {
                    let name = target.trim_start_matches("#/components/parameters/");
                    &document["components"]["parameters"][name]
                }
                None => parameter,
            };
            if parameter["in"] != "query" {
                continue;
            }
            let name = text(&parameter["name"]);
            let value = match name.as_str() {
                "remoteId" => {
                    names_own = true;
                    format!("{SECRET}-customer")
                }
                "remote_data" | "include_deleted" => "true".to_owned(),
                "object" if path.ends_with("remote_fields") => "crm.contact".to_owned(),
                "state" if path.ends_with("callback") => "{}".to_owned(),
                "limit" => "200".to_owned(),
                // The record of another as where a page starts.
                "after" => tenant
                    .records
                    .values()
                    .next_back()
                    .cloned()
                    .unwrap_or_default(),
                _ => continue,
            };
            query.push(format!("{name}={}", encode(&value)));
        }
        if !query.is_empty() {
            filled = format!("{filled}?{}", query.join("&"));
        }
        let body = operation.get("requestBody").map(|body| {
            // A body of an object is looked at before the record: nothing is wrong with no change.
            let example = &body["content"]["application/json"]["example"];
            match kind_of(path) {
                None if example.is_object() => example.clone(),
                _ => json!({}),
            }
        });
        Self {
            id,
            method: Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"),
            path: filled,
            body,
            needs,
            names_own,
        }
    }

    async fn send(&self, api: &Api) -> Answer {
        api.send(self.method.clone(), &self.path, self.body.as_ref())
            .await
    }
}

/// Every operation of the document, with the ids of `tenant`.
fn routes(document: &Value, tenant: &Tenant) -> Vec<Route> {
    let paths = document["paths"].as_object().expect("it has paths");
    let methods = |path: &Value| {
        let methods = path.as_object().expect("it has methods").keys();
        methods.cloned().collect::<Vec<_>>()
    };
    paths
        .iter()
        .flat_map(|(path, item)| methods(item).into_iter().map(move |method| (path, method)))
        .filter(|(_, method)| method != "parameters")
        .map(|(path, method)| Route::new(document, path, &method, tenant))
        .collect()
}

#[expect(clippy::print_stdout, reason = "the figures of the run")]
async fn no_operation_tells_of_another_project(backend: Backend) {
    let provider = Omni::start(PER_OBJECT).await;
    let server = Server::on(backend)
        .await
        .set("JACKFIELD_HTTP__RATE_LIMIT", "0")
        .endpoint("omni", "api", &provider.base_url)
        .with("omni")
        .start()
        .await;
    let mut one = Tenant::new(&server, &provider, SECRET).await;
    let other = Tenant::new(&server, &provider, "trillian").await;
    own_record(&provider, &mut one).await;

    let document = server.anyone().get("/openapi.json").await.json(200);
    let routes = routes(&document, &one);
    let before = readable(&routes, &one).await;
    let mut requests = 0;
    for route in &routes {
        requests += attack(&server, route, &one, &other).await;
    }
    // Nothing of the first was touched.
    assert_eq!(readable(&routes, &one).await, before);
    references_are_not_followed(&one, &other).await;
    assert_eq!(readable(&routes, &one).await, before);
    println!("{requests} requests for {} operations", routes.len());
}

/// Gives the project a record that no other has. Both read the same account: what is gone there
/// cannot reach the other by its own reads.
async fn own_record(provider: &Omni, tenant: &mut Tenant) {
    let kind = ObjectKind::parse("crm.contact").expect("it is an object");
    let mut body = sample(kind, PER_OBJECT + 1, &|_| Value::Null);
    body.retain(|name, value| name.contains("name") && !value.is_null());
    for value in body.values_mut() {
        *value = format!("{SECRET} the contact").into();
    }
    let api = tenant.api.with_token(&tenant.token);
    let answer = api.post("/crm/contacts", &json!(body)).await;
    let request = answer.headers["x-request-id"].clone();
    let created = answer.json(201);
    // The log of requests is written beside them, and is among what the project reads.
    let log = format!("/connections/{}/exchanges", tenant.connection);
    until("the request is in the log", async || {
        let page = api.get(&log).await.json(200);
        let newest = page["data"][0]["subject"].as_str()?;
        (newest.as_bytes() == request.as_bytes()).then_some(())
    })
    .await;
    provider.forget(kind, &text(&created["remote_id"]));
    let id = text(&created["id"]);
    tenant.secrets.push(id.clone());
    tenant.records.insert(kind, id);
}

/// All that the project reads of what it has, which shows that it is there.
async fn readable(routes: &[Route], tenant: &Tenant) -> BTreeMap<String, Value> {
    let api = tenant.api.with_token(&tenant.token);
    let mut all = BTreeMap::new();
    let of_one = |route: &&Route| route.method == Method::GET && route.names_own;
    for route in routes.iter().filter(of_one) {
        let answer = route.send(&api).await;
        if route.id == NOT_SUPPORTED {
            answer.expect(501);
        } else if route.id == NO_CHOICES {
            answer.expect(422);
        } else if route.id == STREAMED {
            answer.expect(200);
            all.insert(route.path.clone(), json!(answer.text));
        } else {
            all.insert(route.path.clone(), answer.json(200));
        }
    }
    let own = ["connections", "webhooks", "custom_fields", "passthrough"];
    for name in own {
        let is_there = all
            .keys()
            .any(|path| path.starts_with(&format!("/{name}/")));
        assert!(is_there, "{name}");
    }
    let objects = ObjectKind::all().filter(|kind| kind.spec().offers(Operation::Get));
    assert!(all.len() >= objects.count() + 7, "{:?}", all.keys());
    all
}

/// Tries an operation with the ids of `one` and every key and token that are not enough; answers
/// how many requests that were.
async fn attack(server: &Server, route: &Route, one: &Tenant, other: &Tenant) -> usize {
    let anyone = server.anyone();
    if route.needs == Needs::Nothing {
        for api in [anyone.clone(), other.api.with_token(&other.token)] {
            route.send(&api).await.keeps_silent_about(one);
        }
        return 2;
    }
    let no_key = [
        anyone.clone(),
        anyone.with_key(UNKNOWN_KEY),
        anyone.with_key("Robert'); DROP TABLE project;--"),
        anyone.with_token(&one.token),
        anyone.with_key(UNKNOWN_KEY).with_token(&one.token),
        // A token is no key.
        anyone.with_key(&one.token).with_token(&one.token),
    ];
    let mut requests = no_key.len();
    for api in no_key {
        route.send(&api).await.refused(one, &[401]);
    }
    if matches!(route.needs, Needs::KeyAndToken) {
        route.send(&one.api).await.refused(one, &[401]);
        requests += 1;
    }
    if matches!(route.needs, Needs::KeyAndToken | Needs::KeyAndPerhapsToken) {
        for token in [UNKNOWN_TOKEN, &other.token] {
            let answer = route.send(&one.api.with_token(token)).await;
            answer.refused(one, &[401]);
        }
        let answer = route.send(&other.api.with_token(&one.token)).await;
        answer.refused(one, &[401]);
        requests += 3;
    }
    // With rights of its own, the other project still gets nothing of the first.
    for api in [other.api.clone(), other.api.with_token(&other.token)] {
        let answer = route.send(&api).await;
        match (route.names_own, route.needs) {
            (true, Needs::KeyAndToken) => answer.refused(one, &[401, 404]),
            (true, _) => answer.refused(one, &[404]),
            (false, _) => answer.keeps_silent_about(one),
        }
    }
    requests + 2
}

/// Ids of another project in bodies and in the state of a login.
async fn references_are_not_followed(one: &Tenant, other: &Tenant) {
    let api = other.api.with_token(&other.token);
    let kind = ObjectKind::parse("crm.user").expect("it is an object");
    let key = json!({ "api_key": KEY });
    let mappings = format!("/custom_fields/{}/mappings", other.field);
    let attempts = [
        (
            "/crm/contacts",
            json!({ "first_name": "Ada", "last_name": "King", "user_id": one.records[&kind] }),
        ),
        (
            "/connections",
            json!({ "connector": "omni", "scheme": "key", "linked_user_id": one.user, "fields": key }),
        ),
        (
            mappings.as_str(),
            json!({ "connector": "omni", "linked_user_id": one.user, "remote_fields": ["a"] }),
        ),
        (
            "/field_mappings/map",
            json!({ "attributeId": one.field, "source_custom_field_id": "a", "source_provider": "omni" }),
        ),
        (
            "/field_mappings/map",
            json!({
                "attributeId": other.field, "source_custom_field_id": "a",
                "source_provider": "omni", "linked_user_id": one.user,
            }),
        ),
    ];
    for (path, body) in attempts {
        let mut answer = api.post(path, &body).await;
        answer.request.push_str(&body.to_string());
        answer.refused(one, &[404, 422]);
    }
    let resync = json!({ "linkedUserId": one.user });
    let none = other.api.post("/sync/resync", &resync).await;
    none.keeps_silent_about(one);
    assert_eq!(none.json(201)["syncs"], 0);

    for (user, project) in [(&one.user, None), (&other.user, Some(&one.project))] {
        let state = json!({
            "projectId": project, "linkedUserId": user, "providerName": "omni", "vertical": "crm",
        });
        let path = format!(
            "/connections/apikey/callback?state={}",
            encode(&state.to_string())
        );
        let answer = other.api.post(&path, &key).await;
        if project.is_some() {
            answer.refused(one, &[401, 403, 404]);
        } else {
            // An id that is none of its own counts as the integrator's own name for a new one.
            assert_ne!(answer.json(201)["id_linked_user"], one.user.as_str());
        }
    }
}

trait Judged {
    fn refused(&self, owner: &Tenant, statuses: &[u16]);
    fn keeps_silent_about(&self, owner: &Tenant);
}

impl Judged for Answer {
    #[track_caller]
    fn refused(&self, owner: &Tenant, statuses: &[u16]) {
        // What nobody is offered is no secret.
        let known = statuses.contains(&self.status) || self.status == 501;
        assert!(known, "{}: {} {}", self.request, self.status, self.text);
        self.keeps_silent_about(owner);
    }

    #[track_caller]
    fn keeps_silent_about(&self, owner: &Tenant) {
        // What the request names itself may be said back.
        let others = owner
            .secrets
            .iter()
            .filter(|one| !self.request.contains(*one));
        for text in others {
            let tells = self.text.contains(text)
                || self
                    .headers
                    .values()
                    .any(|value| String::from_utf8_lossy(value.as_bytes()).contains(text));
            assert!(!tells, "{} tells {text}: {}", self.request, self.text);
        }
    }
}
