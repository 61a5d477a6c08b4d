//! The client against servers that misbehave.

mod sending;
mod smuggling;
mod tls;
mod witness;

use std::{
    io::{Read as _, Write as _},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

const LIMITS: Limits = Limits {
    total: Duration::from_secs(10),
    max_request_bytes: 1024,
    max_response_bytes: 64 * 1024,
};

fn short(total: Duration) -> Limits {
    Limits { total, ..LIMITS }
}

fn local() -> Egress {
    Egress::new(Policy {
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
    })
    .unwrap()
}

fn get(url: &str) -> Request {
    Request {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: None,
    }
}

/// A server on a free port that reads one request per connection, remembers it, and lets `answer`
/// do the rest.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start<Answer>(answer: impl Fn(TcpStream) -> Answer + Send + Sync + 'static) -> Self
    where
        Answer: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let requests = Arc::clone(&server.requests);
        let connections = Arc::clone(&server.connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let head = read_head(&mut stream).await;
                requests.lock().unwrap().push(head);
                tokio::spawn(answer(stream));
            }
        });
        server
    }

    async fn answering(text: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            stream.write_all(text.as_bytes()).await.ok();
            stream.shutdown().await.ok();
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn last(&self) -> String {
        self.requests.lock().unwrap().last().unwrap().clone()
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn error(outcome: Result<Response, Error>) -> Error {
    match outcome {
        Ok(response) => panic!("answered with {}", response.status),
        Err(error) => error,
    }
}

#[tokio::test]
async fn sends_and_answers() {
    let server =
        Server::answering("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nlater")
            .await;
    let mut request = get(&server.url("/a?b=c#d"));
    request
        .headers
        .insert("x-key", HeaderValue::from_static("v"));
    request
        .headers
        .insert("accept-encoding", HeaderValue::from_static("br"));
    let response = local().send(request, &LIMITS).await.unwrap();
    assert_eq!(response.status, 503);
    assert_eq!(response.headers["retry-after"], "7");
    assert_eq!(&response.body[..], b"later");
    let head = server.last();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-key: v\r\n") && head.contains("accept-encoding: gzip\r\n"));
    assert!(head.contains("user-agent: jackfield/"));
}

#[tokio::test]
async fn follows_no_redirect() {
    let trap = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let location = trap.url("/");
    let server = Server::start(move |mut stream| {
        let answer =
            format!("HTTP/1.1 307 Away\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        async move {
            stream.write_all(answer.as_bytes()).await.ok();
        }
    })
    .await;
    let response = local().send(get(&server.url("/")), &LIMITS).await.unwrap();
    assert_eq!(response.status, 307);
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn without_the_operators_word_nothing_local_is_reached() {
    let trap = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let egress = Egress::new(Policy::default()).unwrap();
    let port = trap.port;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "１２７.０.０.１",
        "localhost",
        "LOCALHOST",
    ] {
        for scheme in ["http", "https"] {
            let request = get(&format!("{scheme}://{host}:{port}/"));
            let error = error(egress.send(request, &LIMITS).await);
            let Error::Denied(message) = &error else {
                panic!("{scheme}://{host}: {error:?}");
            };
            assert!(message.contains("egress.allow_private"), "{message}");
        }
    }
    let error = error(egress.send(get("https://10.0.0.5/"), &LIMITS).await);
    assert_eq!(
        error.to_string(),
        "10.0.0.5 is a private address; an operator can allow it with egress.allow_private = [\"10.0.0.5/32\"]"
    );
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn one_forbidden_answer_among_good_ones_refuses_the_name() {
    let trap = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let allowed = Policy {
        allow_private: vec!["127.0.0.1/32".parse().unwrap()],
    };
    let answering = |answers: &'static [&'static str]| -> Lookup {
        Arc::new(move |_| {
            Box::pin(async move { Ok(answers.iter().map(|text| text.parse().unwrap()).collect()) })
        })
    };
    let url = format!("http://rebind.example:{}/", trap.port);
    for (answers, word) in [
        (&["127.0.0.1", "10.0.0.1"] as &'static [_], "10.0.0.1"),
        (&["10.0.0.1", "127.0.0.1"], "10.0.0.1"),
        (&["127.0.0.1", "::ffff:169.254.169.254"], "metadata"),
        (&["127.0.0.1", "93.184.216.34"], "not encrypted"),
    ] {
        let egress = Egress::with_lookup(allowed.clone(), answering(answers)).unwrap();
        let error = error(egress.send(get(&url), &LIMITS).await);
        assert!(
            matches!(&error, Error::Denied(message) if message.contains("rebind.example") && message.contains(word)),
            "{error:?}"
        );
    }
    assert_eq!(trap.connections(), 0);

    let egress = Egress::with_lookup(allowed.clone(), answering(&["127.0.0.1"])).unwrap();
    assert_eq!(egress.send(get(&url), &LIMITS).await.unwrap().status, 200);

    let egress = Egress::with_lookup(allowed, answering(&[])).unwrap();
    let error = error(egress.send(get(&url), &LIMITS).await);
    assert!(matches!(error, Error::NotConnected(_)), "{error:?}");
}

#[tokio::test]
async fn plain_http_needs_the_operators_word() {
    let egress = Egress::new(Policy::default()).unwrap();
    let error = error(egress.send(get("http://1.1.1.1/"), &LIMITS).await);
    assert_eq!(
        error.to_string(),
        "http:// to 1.1.1.1 is not encrypted; use https://, or an operator can allow it with egress.allow_private = [\"1.1.1.1/32\"]"
    );
}

#[tokio::test]
async fn refuses_requests_that_could_be_read_in_two_ways() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let egress = local();
    let mut bad = vec![
        get(&format!("http://user@127.0.0.1:{}/", server.port)),
        get(&format!("http://:pass@127.0.0.1:{}/", server.port)),
        get("ftp://127.0.0.1/"),
        get("file:///etc/passwd"),
        get("data:text/plain,hello"),
        get(&server.url(&"/a".repeat(10_000))),
    ];
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
    ] {
        let mut request = get(&server.url("/"));
        request
            .headers
            .insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        bad.push(request);
    }
    let mut large = get(&server.url("/"));
    large.body = Some(Bytes::from(vec![0; 1025]));
    bad.push(large);
    let mut many = get(&server.url("/"));
    for number in 0..101 {
        let name = HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
        many.headers.insert(name, HeaderValue::from_static("1"));
    }
    bad.push(many);
    for request in bad {
        let url = request.url.to_string();
        let error = error(egress.send(request, &LIMITS).await);
        assert!(matches!(error, Error::Invalid(_)), "{url}: {error:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn silent_and_dripping_servers_time_out() {
    let silent = Server::start(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let dripping = Server::start(|mut stream| async move {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).await.ok();
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        while stream.write_all(b"1\r\na\r\n").await.is_ok() {
            pace.tick().await;
        }
    })
    .await;
    for server in [silent, dripping] {
        let limits = short(Duration::from_millis(150));
        let outcome = local().send(get(&server.url("/")), &limits).await;
        assert_eq!(error(outcome), Error::Timeout);
    }
}

#[tokio::test]
async fn endless_and_announced_bodies_stop_at_the_cap() {
    let endless = Server::start(|mut stream| async move {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).await.ok();
        let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let announced =
        Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n").await;
    for server in [endless, announced] {
        let outcome = local().send(get(&server.url("/")), &LIMITS).await;
        assert_eq!(error(outcome), Error::TooLarge(64 * 1024));
    }
}

#[tokio::test]
async fn compressed_bodies_count_decompressed() {
    // 100 MiB of zeros in about 100 kB, and a small one that passes.
    let small = gzip(b"hello ".repeat(1000).as_slice());
    let mut bomb = gzip(&vec![0; 100 * 1024 * 1024]);
    assert!(bomb.len() < 200_000);
    bomb.truncate(60 * 1024);
    for (body, expected) in [(small, Ok(6000)), (bomb, Err(Error::TooLarge(64 * 1024)))] {
        let server = Server::start(move |mut stream| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let message = [head.as_bytes(), &body].concat();
            async move {
                stream.write_all(&message).await.ok();
            }
        })
        .await;
        let outcome = local().send(get(&server.url("/")), &LIMITS).await;
        assert_eq!(outcome.map(|response| response.body.len()), expected);
    }
}

/// Compressed by the system's own tool: no compressor is a dependency of ours.
fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(plain).unwrap());
        let mut out = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        child.wait().unwrap();
        out
    })
}

#[tokio::test]
async fn broken_connections_are_unreachable() {
    let half = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
    let reset = Server::start(|stream| async move {
        // Closing with no linger sends a reset.
        stream.set_zero_linger().ok();
        drop(stream);
    })
    .await;
    let closed = Server::start(|stream| async move { drop(stream) }).await;
    let no_http = Server::answering("SSH-2.0-OpenSSH\r\n\r\n").await;
    let many_headers = Server::start(|mut stream| async move {
        let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
        stream.write_all(head.as_bytes()).await.ok();
    })
    .await;
    let huge_header = Server::start(|mut stream| async move {
        let head = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(100_000));
        stream.write_all(head.as_bytes()).await.ok();
    })
    .await;
    for server in [half, reset, closed, no_http, many_headers, huge_header] {
        let request = get(&server.url("/?token=canary"));
        let error = error(local().send(request, &LIMITS).await);
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    for scheme in ["http", "https"] {
        let request = get(&format!("{scheme}://127.0.0.1:{port}/?token=canary"));
        let error = error(local().send(request, &LIMITS).await);
        assert_eq!(error.code(), "unreachable", "{error:?}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
