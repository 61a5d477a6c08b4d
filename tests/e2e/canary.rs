//! Secrets of every kind go through everything, beside a provider that says back all it knows.
//! Afterwards they are looked for in all that is kept, written or answered.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use jackfield::demo::{API_KEY, CLIENT_ID, CLIENT_SECRET, Demo, Options};
use jackfield_tests::{
    Api, Backend, Server,
    api::text,
    canary::{Canaries, spellings},
    demo::decide,
    ledger::Reader,
    until,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

on_both_databases!(secrets_are_found_nowhere);

const OUR_API_KEY: &str = "our api key";
const CONNECTION_TOKEN: &str = "connection token";
const ENCRYPTION_KEY: &str = "c0ffee0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d";
const PROVIDERS_KEY: &str = "canary/api+key&0123456789";
const APP_SECRET: &str = "canary-client-secret-0123456789";
const OWN_APP_SECRET: &str = "canary-own-app-secret-0123456789";
/// No secret: what is looked for to see that looking works.
const PLANTED: &str = "planted-canary/0123456789";

/// A provider that puts every secret of whoever asks into everything it says. What one customer
/// sent is told to no other: a provider that does that has lost them itself.
#[derive(Clone, Default)]
struct Hostile(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// By login: `key` or `oauth`.
    secrets: Mutex<BTreeSet<(&'static str, String)>>,
    fails: AtomicBool,
    refuses_tokens: AtomicBool,
}

impl Hostile {
    async fn start(&self) -> String {
        let demo = Demo::new(Options {
            people: 3,
            ..Options::default()
        });
        let layer = middleware::from_fn_with_state(self.clone(), betray);
        let app: Router = demo.router().layer(layer);
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    fn learn(&self, login: &'static str, secret: &str) {
        let mut secrets = self
            .0
            .secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        secrets.insert((login, secret.to_owned()));
    }

    fn known(&self) -> BTreeSet<(&'static str, String)> {
        let secrets = self.0.secrets.lock();
        secrets.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn known_of(&self, login: &str) -> Vec<String> {
        let all = self.known().into_iter().filter(|(of, _)| *of == login);
        all.map(|(_, secret)| secret).collect()
    }

    /// All that it knows of a login, in all spellings.
    fn said(&self, login: &str) -> String {
        let known = self.known_of(login);
        let all = known.iter().flat_map(|secret| spellings(secret));
        all.map(|(_, spelling)| spelling)
            .collect::<Vec<_>>()
            .join(" | ")
    }
}

async fn betray(State(hostile): State<Hostile>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    // The demo provider has one key and one app's secret; here they have other names.
    let mut body = String::from_utf8_lossy(&body).into_owned();
    if parts
        .headers
        .get("x-demo-key")
        .is_some_and(|key| key == PROVIDERS_KEY)
    {
        hostile.learn("key", PROVIDERS_KEY);
        parts
            .headers
            .insert("x-demo-key", HeaderValue::from_static(API_KEY));
    }
    let path = parts.uri.path().to_owned();
    let by_token = parts.headers.contains_key(header::AUTHORIZATION) || path == "/oauth/token";
    let login = if by_token { "oauth" } else { "key" };
    if path == "/oauth/token" {
        assert!(
            body.contains(APP_SECRET),
            "the app's secret is sent: {body}"
        );
        hostile.learn("oauth", APP_SECRET);
        body = body.replace(APP_SECRET, CLIENT_SECRET);
        if hostile.0.refuses_tokens.load(Ordering::SeqCst) {
            let error =
                json!({ "error": "invalid_grant", "error_description": hostile.said(login) });
            return (axum::http::StatusCode::BAD_REQUEST, axum::Json(error)).into_response();
        }
    }
    if path.starts_with("/v1/hostile")
        || (hostile.0.fails.load(Ordering::SeqCst) && path.starts_with("/v1/"))
    {
        let status = match path.ends_with("200") {
            true => 200,
            // Then the server asks for another token, and is refused that too.
            false if by_token && hostile.0.refuses_tokens.load(Ordering::SeqCst) => 401,
            false => 422,
        };
        let said = json!({ "message": hostile.said(login), "error": hostile.said(login) });
        let mut response = axum::Json(said).into_response();
        *response.status_mut() = axum::http::StatusCode::from_u16(status).expect("a status");
        return betrayed(&hostile, login, response);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (mut head, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 22).await.unwrap_or_default();
    let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else {
        return Response::from_parts(head, Body::from(bytes));
    };
    for name in ["access_token", "refresh_token"] {
        if let Some(token) = value[name].as_str() {
            hostile.learn("oauth", token);
        }
    }
    if path.starts_with("/v1/") {
        taint(&mut value, &hostile.said(login));
    }
    head.headers.remove(header::CONTENT_LENGTH);
    let response = Response::from_parts(head, Body::from(value.to_string()));
    if path.starts_with("/v1/") {
        betrayed(&hostile, login, response)
    } else {
        response
    }
}

/// Puts the text into every person's free fields.
fn taint(value: &mut Value, said: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| taint(item, said)),
        Value::Object(object) => {
            object.values_mut().for_each(|item| taint(item, said));
            if object.contains_key("family_name") {
                object.insert("extra".to_owned(), json!({ "said": said }));
                object.insert("family_name".to_owned(), json!(said));
            }
        }
        _ => {}
    }
}

fn betrayed(hostile: &Hostile, login: &str, mut response: Response) -> Response {
    for (index, secret) in hostile.known_of(login).iter().enumerate() {
        let name = header::HeaderName::from_bytes(format!("x-echo-{index}").as_bytes());
        let value = HeaderValue::from_str(secret);
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// An application that answers its webhooks with the secret that they are signed with.
async fn receiver(secret: Arc<Mutex<String>>) -> String {
    let answer = move |request: Request| {
        let secret = Arc::clone(&secret);
        async move {
            let body = to_bytes(request.into_body(), 1 << 20)
                .await
                .unwrap_or_default();
            let secret = secret
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let said = format!("{secret} {}", String::from_utf8_lossy(&body));
            (axum::http::StatusCode::INTERNAL_SERVER_ERROR, said)
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let app = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/hook")
}

async fn secrets_are_found_nowhere(backend: Backend) {
    let hostile = Hostile::default();
    let provider = hostile.start().await;
    let url = |path: &str| format!("{provider}{path}");
    let mut server = Server::on(backend)
        .await
        .endpoint("demo-crm", "api", &provider)
        .oauth("demo-crm", "authorize_url", &url("/oauth/authorize"))
        .oauth("demo-crm", "token_url", &url("/oauth/token"))
        .oauth("demo-crm", "revoke_url", &url("/oauth/revoke"))
        .oauth("demo-crm", "client_id", CLIENT_ID)
        .oauth("demo-crm", "client_secret", APP_SECRET)
        .set("JACKFIELD_ENCRYPTION_KEY", ENCRYPTION_KEY)
        // Of people's data even the bodies, of secrets nothing.
        .set("JACKFIELD_EXCHANGE_LOG__BODIES", "true")
        .set(
            "JACKFIELD_LOG__FILTER",
            "trace,wasmtime=warn,cranelift=warn,regalloc2=warn,wasmparser=warn",
        )
        .with("demo-crm")
        .start()
        .await;
    let mut canaries = Canaries::default();
    canaries.add("encryption key", ENCRYPTION_KEY);
    canaries.add("provider's key", PROVIDERS_KEY);
    canaries.add("app's secret", APP_SECRET);
    let project = server.project("App");
    canaries.add(OUR_API_KEY, project.key());
    project.active("demo-crm").await;

    // An OAuth app of the project's own.
    let own =
        json!({ "environment": "sandbox", "client_id": "own", "client_secret": OWN_APP_SECRET });
    let path = "/oauth-apps/demo-crm/oauth";
    project
        .send(reqwest::Method::PUT, path, Some(&own))
        .await
        .expect(200);
    canaries.add("own app's secret", OWN_APP_SECRET);

    // A webhook, whose receiver says back the secret.
    let told = Arc::<Mutex<String>>::default();
    let hook =
        json!({ "url": receiver(Arc::clone(&told)).await, "description": "", "scope": ["*"] });
    let made = project.post("/webhooks", &hook).await.json(201);
    let secret = text(&made["secret"]);
    canaries.add("webhook secret", &secret);
    *told.lock().unwrap_or_else(PoisonError::into_inner) = secret;

    // Two logins, both read.
    let by_key = project
        .connect("demo-crm", "key", json!({ "api_key": PROVIDERS_KEY }))
        .await;
    canaries.add("connection token by key", &by_key.token);
    let start = json!({ "connector": "demo-crm", "scheme": "oauth", "linked_user_origin_id": "customer-1" });
    let started = project
        .post("/connections/oauth/start", &start)
        .await
        .json(201);
    decide(&text(&started["authorize_url"]), "allow").await;
    let by_key = project.with_token(&by_key.token);
    let connections = project.get("/connections").await.json(200);
    let rows = connections.as_array().expect("connections are an array");
    let oauth = rows
        .iter()
        .find(|row| row["token_type"] == "oauth2")
        .expect("it is connected");
    canaries.add(
        "connection token by oauth",
        &text(&oauth["connection_token"]),
    );
    let by_oauth = project.with_token(&text(&oauth["connection_token"]));
    for api in [&by_key, &by_oauth] {
        api.synced("crm").await;
        use_everything(api).await;
    }
    // The provider refuses to refresh, and says why in its own way.
    hostile.0.refuses_tokens.store(true, Ordering::SeqCst);
    hostile.0.fails.store(true, Ordering::SeqCst);
    for api in [&by_key, &by_oauth] {
        api.post("/sync/resync", &json!({ "vertical": "crm" }))
            .await;
        api.post(
            "/crm/contacts",
            &json!({ "first_name": "Ada", "last_name": "King" }),
        )
        .await;
    }
    until("syncs failed, and a login too", async || {
        let runs = project.get("/sync-runs?status=failed").await.text;
        let connections = project.get("/connections").await.text;
        let both = runs.contains("[redacted]") && connections.contains("needs_reconnect");
        both.then_some(())
    })
    .await;
    let hook = text(&made["id_webhook_endpoint"]);
    until("the receiver's answers are kept", async || {
        let path = format!("/webhooks/{hook}/deliveries");
        for delivery in ids(&project.get(&path).await.json(200)) {
            let delivery = project.get(&format!("{path}/{delivery}")).await;
            if delivery.text.contains("[redacted]") {
                return Some(());
            }
        }
        None
    })
    .await;

    for (index, (_, secret)) in hostile.known().iter().enumerate() {
        canaries.add(&format!("seen by the provider, {index}"), secret);
    }
    assert!(canaries.count() >= 9, "{canaries:?}");
    let mut found = in_answers(&canaries, &[&project, &by_key, &by_oauth]).await;
    let metrics = project.get("/metrics").await;
    found.extend(canaries.in_bytes(metrics.text.as_bytes()));
    // A database that somebody took, the log and all files.
    server.stop();
    let dump = Reader::of(&server).await.dump().await;
    found.extend(canaries.in_bytes(dump.as_bytes()));
    found.extend(canaries.in_files(server.folder()));
    assert!(found.is_empty(), "{found:#?}");

    // What is there is found, in the database and in the log, however it is spelled.
    let mut planted = Canaries::default();
    planted.add("planted", PLANTED);
    let mut seen = planted.in_bytes(dump.as_bytes());
    seen.extend(planted.in_files(server.folder()));
    let in_database = |what: &String| !what.ends_with("/log");
    assert!(seen.iter().any(in_database), "{seen:?}");
    assert!(seen.iter().any(|what| what.ends_with("/log")), "{seen:?}");
    for how in ["as it is", "url-encoded", "hexadecimal", "base64"] {
        assert!(
            seen.iter().any(|what| what.contains(how)),
            "{how}: {seen:?}"
        );
    }
}

/// What an application does, with what it plants.
async fn use_everything(api: &Api) {
    for (_, spelled) in spellings(PLANTED) {
        let company = json!({ "name": spelled });
        api.post("/crm/companies", &company).await.expect(201);
    }
    let person = json!({ "first_name": "Ada", "last_name": "King" });
    let made = api.post("/crm/contacts", &person).await.json(201);
    let path = format!("/crm/contacts/{}", text(&made["id"]));
    api.patch(&path, &json!({ "first_name": "Augusta" })).await;
    let path = format!(
        "/v1/hostile/200?of={}",
        jackfield_tests::api::encode(PLANTED)
    );
    for path in ["/v1/people", "/v1/hostile/200", "/v1/hostile/422", &path] {
        let body = json!({ "method": "GET", "path": path, "headers": { "x-own": PLANTED } });
        let answer = api.post("/passthrough", &body).await;
        assert!(answer.text.contains("[redacted]"), "{}", answer.text);
    }
    // The path is in the log.
    let body = json!({ "method": "GET", "path": format!("/v1/hostile/{PLANTED}") });
    api.post("/passthrough", &body).await;
    api.get("/crm/contacts?live=true&remote_data=true").await;
}

/// The ids of what a list has.
fn ids(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().or(list.as_array());
    let id = |row: &Value| {
        let names = [
            "id",
            "id_connection",
            "id_webhook_endpoint",
            "id_linked_user",
        ];
        names
            .iter()
            .find_map(|name| row[*name].as_str().map(str::to_owned))
    };
    rows.into_iter().flatten().filter_map(id).collect()
}

/// Everything that can be asked.
async fn in_answers(canaries: &Canaries, callers: &[&Api]) -> Vec<String> {
    let document = callers[0].get("/openapi.json").await.json(200);
    let paths = document["paths"].as_object().expect("there are paths");
    let plain = paths.iter().filter(|(path, operations)| {
        operations.get("get").is_some() && (!path.contains('{') || path.starts_with("/passthrough"))
    });
    let mut asked: Vec<String> = plain.map(|(path, _)| path.clone()).collect();
    asked.extend([
        "/crm/contacts?remote_data=true&limit=50".to_owned(),
        "/events?limit=100".to_owned(),
    ]);
    asked.retain(|path| !path.contains('{'));
    for path in [
        "/passthrough/raw/v1/hostile/200",
        "/passthrough/raw/v1/people",
    ] {
        asked.push(path.to_owned());
    }
    for (list, detail) in [
        (
            "/sync-runs",
            &["/sync-runs/{}", "/sync-runs/{}/failures"][..],
        ),
        (
            "/connections",
            &["/connections/{}", "/connections/{}/exchanges?limit=200"],
        ),
        ("/webhooks", &["/webhooks/{}", "/webhooks/{}/deliveries"]),
        (
            "/crm/contacts",
            &[
                "/crm/contacts/{}?remote_data=true",
                "/records/{}/history",
                "/records/{}/provenance",
            ],
        ),
        ("/linked_users", &["/linked_users/{}"]),
        ("/changes", &["/changes/{}"]),
    ] {
        for caller in callers {
            let listed = caller.get(list).await;
            let value = serde_json::from_str(&listed.text).unwrap_or_default();
            for id in ids(&value) {
                asked.extend(detail.iter().map(|path| path.replace("{}", &id)));
            }
        }
    }
    let mut found = Vec::new();
    for path in asked.iter().collect::<BTreeSet<_>>() {
        // The list of connections is where an application finds the tokens of its customers.
        let canaries = if path.starts_with("/connections") {
            canaries.without(CONNECTION_TOKEN)
        } else {
            canaries.clone()
        };
        for caller in callers {
            let answer = caller.get(path).await;
            let mut here = canaries.in_bytes(answer.text.as_bytes());
            for (name, value) in &answer.headers {
                here.extend(canaries.in_bytes(format!("{name}: {value:?}").as_bytes()));
            }
            found.extend(here.into_iter().map(|what| format!("{what} in GET {path}")));
        }
    }
    found
}
