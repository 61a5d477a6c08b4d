//! Requests in the provider's own form.

use std::time::Duration;

use jackfield_tests::{
    Answer, Api, Backend, DemoProvider, Server,
    api::{http, text},
    demo::decide,
    echo::Echo,
    until, until_within,
};
use serde_json::{Value, json};

on_both_databases!(
    every_method_and_form_reaches_the_provider,
    what_a_429_put_off_survives_a_kill,
);

const KEY: &str = "demo-key";
const MIB: u64 = 1024 * 1024;

struct World {
    provider: DemoProvider,
    echo: Echo,
    server: Server,
    project: Api,
    api: Api,
    token: String,
}

async fn world(backend: Backend) -> World {
    let echo = Echo::default();
    let provider = DemoProvider::start_beside(3, echo.router()).await;
    let builder = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    let server = builder
        .set("JACKFIELD_LOG__FILTER", "info,jackfield=trace")
        .start()
        .await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": KEY }))
        .await;
    World {
        provider,
        echo,
        server,
        api: project.with_token(&connection.token),
        project,
        token: connection.token,
    }
}

impl World {
    async fn pass(&self, body: Value) -> Answer {
        self.api.post("/passthrough", &body).await
    }

    /// What the provider was sent.
    async fn echoed(&self, body: Value) -> Value {
        let answer = self.pass(body).await.json(200);
        assert_eq!(answer["status"], 200, "{answer}");
        answer["data"].clone()
    }

    fn raw(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/passthrough/raw{path}", self.server.base_url());
        http()
            .request(method, url)
            .header("x-api-key", self.api.key())
            .header("x-connection-token", &self.token)
    }
}

async fn every_method_and_form_reaches_the_provider(backend: Backend) {
    let world = world(backend).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let said = world
            .echoed(json!({ "method": method, "path": "/v1/echo/a?b=c" }))
            .await;
        assert_eq!(
            (&said["method"], &said["path"], &said["query"]),
            (&json!(method), &json!("/v1/echo/a"), &json!("b=c"))
        );
    }
    let head = world
        .pass(json!({ "method": "HEAD", "path": "v1/echo" }))
        .await
        .json(200);
    assert_eq!(
        (&head["status"], &head["data"]),
        (&json!(200), &Value::Null)
    );

    // As the published client sends it.
    let said = world
        .echoed(json!({
            "method": "GET", "path": "/v1/echo", "data": {}, "headers": {},
            "request_format": {}, "overrideBaseUrl": {},
        }))
        .await;
    assert_eq!(said["body"], json!([]));

    let answer = world
        .pass(json!({
            "method": "POST", "path": "/v1/echo", "data": { "a": [1, "ü"] },
            "headers": { "X-Own": "yes", "Accept-Language": "de" }, "query": { "q": ["1", "a b"] },
        }))
        .await;
    for (name, value) in [("limit", "100"), ("remaining", "41"), ("reset", "9")] {
        let header = &answer.headers[&format!("x-downstream-ratelimit-{name}")];
        assert_eq!(header, value);
    }
    let answer = answer.json(200);
    assert_eq!(answer["statusText"], "OK");
    assert_eq!(answer["headers"]["x-page"], "1");
    assert_eq!(answer["headers"]["set-cookie"], Value::Null);
    let said = &answer["data"];
    assert_eq!(said["headers"]["x-own"], "yes");
    assert_eq!(said["headers"]["content-type"], "application/json");
    assert_eq!(said["query"], "q=1&q=a+b");
    assert_eq!(
        serde_json::from_slice::<Value>(&sent(said)).expect("it is JSON"),
        json!({ "a": [1, "ü"] })
    );
    // The provider said its credential back; the application does not see it.
    assert_eq!(said["headers"]["x-[redacted]"], "[redacted]");
    assert_eq!(said["headers"]["x-api-key"], Value::Null);

    let said = world
        .echoed(json!({
            "method": "POST", "path": "/v1/echo", "request_format": "FORM",
            "data": { "name": "A & B" },
        }))
        .await;
    assert_eq!(sent(&said), b"name=A+%26+B");
    let said = world
        .echoed(json!({
            "method": "PUT", "path": "/v1/echo", "request_format": "BINARY",
            "data": { "base64": "AP8NCg==" }, "headers": { "content-type": "image/x-own" },
        }))
        .await;
    assert_eq!(sent(&said), [0, 0xff, b'\r', b'\n']);
    assert_eq!(said["headers"]["content-type"], "image/x-own");
    let said = world
        .echoed(json!({
            "method": "POST", "path": "/v1/echo", "request_format": "MULTIPART",
            "data": [
                { "name": "title", "data": "/etc/passwd" },
                { "name": "file", "data": "AP8NCg==", "encoding": "base64", "file_name": "a.bin",
                  "content_type": "image/x-own" },
            ],
        }))
        .await;
    let kind = text(&said["headers"]["content-type"]);
    let boundary = kind
        .strip_prefix("multipart/form-data; boundary=")
        .expect("a multipart body");
    let expected = [
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n/etc/passwd\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: image/x-own\r\n\r\n").as_bytes(),
        &[0, 0xff, b'\r', b'\n'],
        format!("\r\n--{boundary}--\r\n").as_bytes(),
    ]
    .concat();
    assert_eq!(sent(&said), expected);

    // Redirects are the provider's answer, and bytes come as they are.
    let away = world
        .pass(json!({ "method": "GET", "path": "/v1/away" }))
        .await
        .json(200);
    assert_eq!(away["status"], 302);
    let bytes = world
        .pass(json!({ "method": "GET", "path": "/v1/large/3" }))
        .await
        .json(200);
    // Three zeros are UTF-8.
    assert_eq!(bytes["data"], "\0\0\0");
    let missing = world
        .pass(json!({ "method": "GET", "path": "/v1/nothing/1" }))
        .await
        .json(200);
    assert_eq!(missing["status"], 404);

    let log = world.server.log();
    assert!(!log.contains(KEY), "the log has the credential");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_the_connectors_permissions() {
    let world = world(Backend::Sqlite).await;
    world.api.synced("crm").await;
    let before = world.provider.demo.requests();
    let outside = [
        json!({ "path": "/v1/../oauth/token" }),
        json!({ "path": "/v1/%2e%2e/oauth/token" }),
        json!({ "path": "/v1/%2e%2e%2foauth/token" }),
        json!({ "path": "/v1/..%5coauth/token" }),
        json!({ "path": "/v1\\..\\oauth" }),
        json!({ "path": "/v10/echo" }),
        json!({ "path": "//elsewhere.example/v1/" }),
        json!({ "path": "https://elsewhere.example/v1/" }),
        json!({ "path": "http://demo.jackfield.localhost@elsewhere.example/v1/" }),
        json!({ "path": "http://user:secret@demo.jackfield.localhost/v1/" }),
        json!({ "path": "{other}/v1/" }),
        json!({ "path": "latest/meta-data", "overrideBaseUrl": "http://169.254.169.254" }),
        json!({ "path": "v1/echo", "overrideBaseUrl": "http://127.0.0.1:1" }),
        json!({ "path": "v1/echo", "overrideBaseUrl": "file:///etc" }),
        json!({ "path": ".elsewhere.example/v1/", "overrideBaseUrl": "http://demo.jackfield.localhost" }),
    ];
    for mut body in outside {
        let given = body.to_string();
        body["method"] = json!("GET");
        let refused = world.pass(body).await.json(403);
        assert_eq!(refused["code"], "passthrough_denied", "{given}");
        assert!(
            text(&refused["detail"]).contains("http://demo.jackfield.localhost/v1/"),
            "{given}: {refused}"
        );
    }
    for path in [
        "/v1/../oauth/token",
        "//elsewhere.example/v1/",
        "/%7Bother%7D/x",
    ] {
        // Written by hand: the client would tidy the path.
        let status = raw_status(&world, path).await;
        assert_eq!(status, 403, "{path}");
    }
    for header in [
        "authorization",
        "Cookie",
        "Host",
        "Connection",
        "X-Forwarded-For",
        "via",
        "x-connection-token",
        "a b",
    ] {
        let body = json!({ "method": "GET", "path": "/v1/echo", "headers": { header: "x" } });
        let refused = world.pass(body).await.json(422);
        assert_eq!(
            refused["violations"][0]["path"],
            format!("/headers/{header}")
        );
    }
    for body in [
        json!({ "method": "TRACE", "path": "/v1/echo" }),
        json!({ "method": "GET" }),
        json!({ "method": "POST", "path": "/v1/echo", "data": "x", "request_format": "XML" }),
        json!({ "method": "POST", "path": "/v1/echo", "data": "?", "request_format": "BINARY" }),
        json!({ "method": "GET", "path": "/v1/echo", "other": 1 }),
    ] {
        world.pass(body).await.expect(422);
    }
    // Within the permissions, an absolute URL and a base are as good as a path.
    for body in [
        json!({ "path": "http://demo.jackfield.localhost/v1/echo" }),
        json!({ "path": "echo", "overrideBaseUrl": "http://demo.jackfield.localhost/v1" }),
        json!({ "path": "{api}/v1/echo" }),
    ] {
        let mut body = body;
        body["method"] = json!("GET");
        world.echoed(body).await;
    }
    assert_eq!(
        world.provider.demo.requests(),
        before,
        "the provider was not asked"
    );
    let without = world.project.post("/passthrough", &json!({})).await;
    without.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_flow_both_ways() {
    let world = world(Backend::Sqlite).await;
    // The first exchange pays for what stays.
    world
        .raw(reqwest::Method::GET, "/v1/large/1000000")
        .send()
        .await
        .expect("an answer");
    let before = world.server.resident_kib();
    let size = 200 * MIB;

    let mut answer = world
        .raw(reqwest::Method::GET, &format!("/v1/large/{size}"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.content_length(), Some(size));
    assert_eq!(answer.headers()["content-type"], "application/zip");
    assert_eq!(answer.headers()["x-downstream-status"], "200");
    let (mut read, mut most) = (0, 0);
    while let Some(piece) = answer.chunk().await.expect("the body goes on") {
        read += piece.len() as u64;
        most = most.max(world.server.resident_kib());
    }
    assert_eq!(read, size);
    grew_little("down", before, most);

    let file = tempfile::tempfile().expect("a file can be made");
    file.set_len(size).expect("the file can grow");
    let sending = world
        .raw(reqwest::Method::PUT, "/v1/take")
        .header("content-type", "application/zip")
        .body(reqwest::Body::from(tokio::fs::File::from_std(file)))
        .send();
    let sending = tokio::spawn(sending);
    let mut most = 0;
    while !sending.is_finished() {
        most = most.max(world.server.resident_kib());
        tokio::task::yield_now().await;
    }
    let answer = sending.await.expect("it ends").expect("an answer");
    let taken: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    assert_eq!(taken, json!({ "bytes": size, "sum": 0 }));
    grew_little("up", before, most);

    // Who goes away ends the exchange with the provider.
    let mut answer = world
        .raw(reqwest::Method::GET, "/v1/endless")
        .send()
        .await
        .expect("an answer");
    answer.chunk().await.expect("a piece");
    assert_eq!(world.echo.flowing(), 1);
    drop(answer);
    until("the provider is let go", async || {
        (world.echo.flowing() == 0).then_some(())
    })
    .await;

    // What the caller sends to us stays with us, and what the provider sends does not act for us.
    let answer = world
        .raw(reqwest::Method::POST, "/v1/echo?x=%20")
        .header("if-match", "\"3\"")
        .header("range", "bytes=0-9")
        .header("cookie", "a=b")
        .header("x-forwarded-for", "10.0.0.1")
        .body("abc")
        .send()
        .await
        .expect("an answer");
    assert!(!answer.headers().contains_key("set-cookie"));
    assert_eq!(answer.headers()["x-downstream-ratelimit-remaining"], "41");
    let said: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    assert_eq!(said["query"], "x=%20");
    let stars = "*".repeat(KEY.len());
    assert_eq!(said["headers"][format!("x-{stars}")], stars);
    assert_eq!(
        (&said["headers"]["if-match"], &said["headers"]["range"]),
        (&json!("\"3\""), &json!("bytes=0-9"))
    );
    assert_eq!(sent(&said), b"abc");
    for name in [
        "x-api-key",
        "x-connection-token",
        "cookie",
        "x-forwarded-for",
    ] {
        assert_eq!(said["headers"][name], Value::Null, "{name}");
    }
    let answer = world
        .raw(reqwest::Method::GET, "/v1/away")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 302);
    assert!(!answer.headers().contains_key("location"));
    assert_eq!(
        answer.headers()["x-downstream-location"],
        "http://elsewhere.example/collect"
    );
    let answer = world
        .raw(reqwest::Method::HEAD, "/v1/large/12345")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["content-length"], "12345");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_limits() {
    let echo = Echo::default();
    let provider = DemoProvider::start_beside(1, echo.router()).await;
    let builder = provider
        .known_to(Server::on(Backend::Sqlite).await)
        .with("demo-crm");
    let server = builder
        .set("JACKFIELD_PASSTHROUGH__MAX_STREAM_MIB", "1")
        .set("JACKFIELD_PASSTHROUGH__IDLE_SECONDS", "1")
        .start()
        .await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let connection = project
        .connect("demo-crm", "key", json!({ "api_key": KEY }))
        .await;
    let request = |method, path: &str| {
        http()
            .request(
                method,
                format!("{}/passthrough/raw{path}", server.base_url()),
            )
            .header("x-api-key", project.key())
            .header("x-connection-token", &connection.token)
    };
    // Announced, it is refused at once; unannounced, it is broken off.
    let status = |answer: Result<reqwest::Response, reqwest::Error>| {
        answer.map(|answer| answer.status().as_u16())
    };
    let down = request(reqwest::Method::GET, &format!("/v1/large/{}", 2 * MIB));
    assert_eq!(status(down.send().await).expect("an answer"), 502);
    let up = request(reqwest::Method::POST, "/v1/take").body(vec![0; 2 * 1024 * 1024]);
    assert_eq!(status(up.send().await).expect("an answer"), 413);
    let mut answer = request(reqwest::Method::GET, "/v1/endless")
        .send()
        .await
        .expect("an answer");
    let mut read = 0;
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(piece)) => read += piece.len() as u64,
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && read <= MIB, "{broken} {read}");

    // A caller who stops sending does not hold the provider for ever.
    let address = server.base_url().trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(address)
        .await
        .expect("it listens");
    let head = format!(
        "PUT /passthrough/raw/v1/take HTTP/1.1\r\nhost: {address}\r\nx-api-key: {}\r\nx-connection-token: {}\r\ncontent-length: 100000\r\n\r\nabc",
        project.key(),
        connection.token
    );
    tokio::io::AsyncWriteExt::write_all(&mut socket, head.as_bytes())
        .await
        .expect("it reads");
    let mut line = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut socket, &mut line)
        .await
        .expect("an answer");
    assert_eq!(&line, b"HTTP/1.1 503");
}

async fn what_a_429_put_off_survives_a_kill(backend: Backend) {
    let mut world = world(backend).await;
    world.echo.limit_next(3);
    let body = json!({ "method": "POST", "path": "/v1/limited", "data": { "customer": "canary-customer" } });
    let answer = world.pass(body).await;
    assert!(answer.headers.contains_key("retry-after"));
    let queued = answer.json(200);
    assert_eq!(queued["statusCode"], 200);
    let path = text(&queued["status_url"]);
    assert_eq!(path, format!("/passthrough/{}", text(&queued["retryId"])));
    let pending = world.project.get(&path).await.json(200);
    assert_eq!(pending["state"], "pending", "{pending}");
    assert!(pending["next_attempt_at"].is_string());

    world.server.kill();
    world.server.start_again().await;
    let project = world.server.anyone().with_key(world.project.key());
    let patience = Duration::from_secs(60);
    let done = until_within(patience, "the request is sent again", async || {
        let state = project.get(&path).await.json(200);
        (state["state"] != "pending").then_some(state)
    })
    .await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(
        (&done["status"], &done["statusText"]),
        (&json!(201), &json!("Created"))
    );
    assert_eq!(
        done["data"],
        json!({ "got": { "customer": "canary-customer" } })
    );
    assert_eq!(world.echo.asked(), 4);

    // Nobody else learns of it.
    let other = world.server.project("Other");
    for path in [
        &*path,
        "/passthrough/00000000-0000-4000-8000-000000000000",
        "/passthrough/x",
    ] {
        assert_eq!(other.get(path).await.json(404)["code"], "retry_not_found");
    }
    assert!(!world.server.log().contains("canary-customer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_refreshed_when_the_provider_refuses_them() {
    let provider = DemoProvider::start(3).await;
    let server = provider
        .known_to(Server::on(Backend::Sqlite).await)
        .with("demo-crm")
        .start()
        .await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let body = json!({ "connector": "demo-crm", "scheme": "oauth", "linked_user_origin_id": "customer-1" });
    let started = project
        .post("/connections/oauth/start", &body)
        .await
        .json(201);
    decide(&text(&started["authorize_url"]), "allow").await;
    let connections = project.get("/connections").await.json(200);
    let token = text(&connections[0]["connection_token"]);
    let api = project.with_token(&token);
    api.synced("crm").await;

    provider.let_pass(2 * 3600);
    let people = json!({ "method": "GET", "path": "/v1/people" });
    let answer = api.post("/passthrough", &people).await.json(200);
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(answer["data"]["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(provider.refreshes(), 1);

    provider.let_pass(2 * 3600);
    let url = format!("{}/passthrough/raw/v1/people", server.base_url());
    let stream = || {
        http()
            .get(&url)
            .header("x-api-key", project.key())
            .header("x-connection-token", &token)
    };
    assert_eq!(stream().send().await.expect("an answer").status(), 200);
    assert_eq!(provider.refreshes(), 2);

    // Credentials that are dead are the provider's word, and the connection knows.
    provider.demo.forget_tokens();
    let answer = api.post("/passthrough", &people).await.json(200);
    assert_eq!(answer["status"], 401, "{answer}");
    let connections = project.get("/connections").await.json(200);
    assert_eq!(connections[0]["status"], "needs_reconnect");
}

/// The bytes of a request's body, from what the provider says of it.
fn sent(said: &Value) -> Vec<u8> {
    let bytes = said["body"].as_array().expect("the body is said back");
    bytes
        .iter()
        .filter_map(|byte| byte.as_u64()?.try_into().ok())
        .collect()
}

fn grew_little(way: &str, before: u64, most: u64) {
    let grown = most.saturating_sub(before);
    assert!(grown < 50 * 1024, "{way}: the server grew by {grown} KiB");
}

async fn raw_status(world: &World, path: &str) -> u16 {
    let address = world.server.base_url().trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(address)
        .await
        .expect("it listens");
    let head = format!(
        "GET /passthrough/raw{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-api-key: {}\r\nx-connection-token: {}\r\n\r\n",
        world.api.key(),
        world.token
    );
    tokio::io::AsyncWriteExt::write_all(&mut socket, head.as_bytes())
        .await
        .expect("it reads");
    let mut line = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut socket, &mut line)
        .await
        .expect("an answer");
    let line = String::from_utf8_lossy(&line);
    line.get(9..12)
        .and_then(|status| status.parse().ok())
        .expect("a status")
}
