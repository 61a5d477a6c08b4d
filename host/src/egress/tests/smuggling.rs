//! Requests that would be read in two ways, names that change their mind, and answers whose heads
//! are too large.

use super::*;

#[tokio::test]
async fn no_caller_frames_a_message_or_speaks_to_the_next_hop() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let egress = local();
    for name in OWN_HEADERS {
        let mut request = get(&server.url("/"));
        request
            .headers
            .insert(name.clone(), HeaderValue::from_static("1"));
        let error = error(egress.send(request, &LIMITS).await);
        assert!(
            matches!(&error, Error::Invalid(text) if text.contains(name.as_str())),
            "{error:?}"
        );
    }
    // What would end a header or a head cannot even be written down as one.
    for value in [
        "a\r\nHost: b",
        "a\nb",
        "a\rb",
        "a\0b",
        "\r\n\r\nGET / HTTP/1.1",
    ] {
        assert!(HeaderValue::from_str(value).is_err(), "{value:?}");
    }
    for name in [
        "a b",
        "a:b",
        "a\r\nb",
        "",
        ":authority",
        "transfer-encoding ",
    ] {
        assert!(HeaderName::from_bytes(name.as_bytes()).is_err(), "{name:?}");
    }
    assert_eq!(server.connections(), 0);

    // One body, one length, one host: what the wire carries.
    let mut request = get(&server.url("/%0d%0aHost:%20evil/?a=b%0d%0ac"));
    request.method = Method::POST;
    request.body = Some(Bytes::from_static(b"GET /evil HTTP/1.1\r\n\r\n"));
    egress.send(request, &LIMITS).await.unwrap();
    let head = server.last().to_ascii_lowercase();
    for (name, times) in [
        ("\r\nhost:", 1),
        ("\r\ncontent-length: 22", 1),
        ("transfer-encoding", 0),
    ] {
        assert_eq!(head.matches(name).count(), times, "{name} in {head}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_each_time() {
    let server =
        Server::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .await;
    let policy = Policy {
        allow_private: vec!["127.0.0.1/32".parse().unwrap()],
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        let answer = if first { "127.0.0.1" } else { "127.0.0.2" };
        Box::pin(async move { Ok(vec![answer.parse().unwrap()]) })
    });
    let egress = Egress::with_lookup(policy, lookup).unwrap();
    let url = format!("http://rebind.example:{}/", server.port);
    // The address that was judged is the one that is called: one look-up for one connection.
    assert_eq!(egress.send(get(&url), &LIMITS).await.unwrap().status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let error = error(egress.send(get(&url), &LIMITS).await);
    assert!(
        matches!(&error, Error::Denied(text) if text.contains("127.0.0.2")),
        "{error:?}"
    );
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (2, 1));
}

#[tokio::test]
async fn heads_of_answers_are_small() {
    let many: String = (0..200)
        .map(|number| format!("X-{number}: 1\r\n"))
        .collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(80 * 1024));
    let endless = format!("X-Long: {}", "a".repeat(4 * 1024 * 1024));
    for head in [many, long, endless] {
        let server = Server::start(move |mut stream| {
            let answer = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n");
            async move {
                stream.write_all(answer.as_bytes()).await.ok();
            }
        })
        .await;
        let error = error(local().send(get(&server.url("/")), &LIMITS).await);
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    }
}

#[test]
fn what_is_no_address_is_no_url() {
    for text in [
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::ffff:127.0.0.1",
        "http://[::127.0.0.1.]/",
        "http://127.0.0.1.2/",
        "http://256.0.0.1/",
        "http://0x100000000/",
        "http://4294967296/",
        "http://127.0.0.08/",
        "http://127.0.0.0x/x:y",
        "http://1.2.3.4.5/",
        "http://127.0.0.1%00.example.com/",
        "http://127.0.0.1 .example.com/",
        "http://exa mple.com/",
        "http://xn--/",
        "https:///",
    ] {
        let parsed = Url::parse(text).ok().and_then(|url| {
            let host = url.host().map(|host| host.to_owned());
            host.filter(|host| !matches!(host, Host::Ipv4(address) if verdict(IpAddr::V4(*address), &[]).is_err()))
        });
        assert_eq!(parsed, None, "{text}");
    }
}
