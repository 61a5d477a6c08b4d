//! What is written down of requests, and what never is.

use super::*;
use crate::model::{Exchange, ExchangeCause, ExchangeReason, Retry, SystemClock};

const SECRET: &str = "canary/token 123";
const BUSY: &str = "HTTP/1.1 503 canary\r\nX-Request-Id: canary%2Ftoken%20123\r\nX-Own: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 36\r\nConnection: close\r\n\r\n{\"echo\":\"canary\\u002ftoken 123!!!!\"}";

#[derive(Default)]
struct Kept {
    exchanges: Mutex<Vec<Exchange>>,
    bodies: bool,
}

impl ExchangeSink for Kept {
    fn wants_bodies(&self) -> bool {
        self.bodies
    }

    fn take(&self, exchange: Exchange) {
        self.exchanges.lock().unwrap().push(exchange);
    }
}

struct Known;

impl Authorizer for Known {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        let authorization = Authorization::new(1)
            .with_query("key", "short".into())
            .with_secret("token", SECRET.into());
        Box::pin(async { Ok(Arc::new(authorization)) })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        self.current()
    }
}

async fn kept(bodies: bool, authorized: bool, known: bool) -> Vec<Exchange> {
    let turn = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |mut stream| {
        let answer = [BUSY, OK][turn.fetch_add(1, Ordering::SeqCst).min(1)];
        async move { drop(stream.write_all(answer.as_bytes()).await) }
    })
    .await;
    let sink = Arc::new(Kept {
        bodies,
        ..Kept::default()
    });
    let egress = local();
    egress.written_down_by(Arc::clone(&sink) as Arc<dyn ExchangeSink>);
    let reason = ExchangeReason {
        connection: 7,
        cause: ExchangeCause::Sync,
        subject: None,
    };
    let retry = Retry::default();
    let sending = Sending {
        authorizer: authorized.then_some(&Known as &dyn Authorizer),
        retry: &retry,
        budget: &Unlimited,
        charges: &[],
        priority: Priority::Background,
        patience: PATIENCE,
        waits_out_limits: true,
        limits: LIMITS,
        deadline: Instant::now() + Duration::from_secs(60),
        first_wait: Duration::from_millis(1),
        observe: &|_| {},
        witness: Some(Witness {
            reason: &reason,
            authorizer: known.then_some(&Known as &dyn Authorizer),
        }),
        clock: &SystemClock,
    };
    let url =
        server.url("/people/canary%2Ftoken%20123?q=ada&access_token=abc&x=canary/token+123#f");
    let build = |authorization: Option<&Arc<Authorization>>| {
        let mut request = get(&url);
        request.method = Method::PUT;
        request.body = Some(format!("text with {SECRET} in it").into());
        for (name, value) in [("accept", "a/b"), ("x-token", SECRET), ("prefer", SECRET)] {
            let value = HeaderValue::from_static(value);
            request.headers.insert(HeaderName::from_static(name), value);
        }
        if let Some(authorization) = authorization {
            authorization.apply(&mut request);
        }
        Ok::<_, Error>(request)
    };
    egress.send_until_answered(&sending, build).await.unwrap();
    drop(egress);
    let exchanges = sink.exchanges.lock().unwrap().clone();
    assert!(
        !format!("{exchanges:?}").contains("canary"),
        "{exchanges:#?}"
    );
    exchanges
}

#[tokio::test]
async fn each_attempt_is_written_down_without_secrets() {
    for authorized in [true, false] {
        let exchanges = kept(false, authorized, true).await;
        let [first, second] = exchanges.as_slice() else {
            panic!("{exchanges:?}")
        };
        assert_eq!((first.attempt, first.status), (1, Some(503)));
        assert_eq!((second.attempt, second.status), (2, Some(200)));
        assert_eq!((second.bytes_out, second.bytes_in), (32, Some(36)));
        assert_eq!((&*first.method, first.reason.connection), ("PUT", 7));
        let (_, path) = first.url.split_once("/people").unwrap();
        let added = if authorized { "&key=[redacted]" } else { "" };
        let expected = format!("/[redacted]?q=ada&access_token=[redacted]&x=[redacted]{added}");
        assert_eq!(path, expected);
        assert_eq!(first.request_headers, "accept: a/b\nprefer: [redacted]\n");
        let headers = "x-request-id: [redacted]\ncontent-length: 0\n";
        assert_eq!(first.response_headers, headers);
        assert_eq!((&first.request_body, &second.response_body), (&None, &None));
    }
}

#[tokio::test]
async fn bodies_are_masked_as_a_whole() {
    let exchanges = kept(true, true, true).await;
    let body = exchanges[1].request_body.as_deref();
    assert_eq!(body, Some("text with [redacted] in it"));
    let body = exchanges[1].response_body.as_deref();
    assert_eq!(body, Some(r#"{"echo":"[redacted]!!!!"}"#));
    assert_eq!(exchanges[0].response_body, None);
}

#[tokio::test]
async fn where_nobody_knows_the_secrets_only_what_holds_none_is_kept() {
    let local = local();
    let server = Server::answering("HTTP/1.1 200 OK\r\nX-Request-Id: a\r\n\r\ncanary").await;
    let sink = Arc::new(Kept {
        bodies: true,
        ..Kept::default()
    });
    local.written_down_by(Arc::clone(&sink) as Arc<dyn ExchangeSink>);
    let reason = ExchangeReason {
        connection: 7,
        cause: ExchangeCause::Refresh,
        subject: None,
    };
    let now = crate::model::Timestamp::from_millis(5);
    let request = get(&server.url("/token?refresh=canary"));
    local
        .send_discreetly(request, &LIMITS, Some(&reason), now)
        .await
        .unwrap();
    let kept = sink.exchanges.lock().unwrap().clone();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].at, kept[0].url.as_str()),
        (now, &*server.url("/token"))
    );
    assert_eq!(kept[0].response_headers, "");
    assert!(!format!("{kept:?}").contains("canary"), "{kept:?}");
    // Nobody asked.
    let request = get(&server.url("/token"));
    local
        .send_discreetly(request, &LIMITS, None, now)
        .await
        .unwrap();
    assert_eq!(sink.exchanges.lock().unwrap().len(), 1);
}
