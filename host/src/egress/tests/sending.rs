//! What follows from answers: what is sent again, when, and what is not.

use super::*;
use crate::model::{Meaning, Retry, SystemClock};

/// Long enough for any exchange with this machine.
const MINUTE: Duration = Duration::from_secs(60);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const LIMITED: &str = "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const EXPIRED: &str = "HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const RESET: &str = "";

/// A server that gives these answers in turn, and the last one for ever.
async fn script(answers: &'static [&'static str]) -> Server {
    let turn = Arc::new(AtomicUsize::new(0));
    Server::start(move |mut stream| {
        let turn = turn.fetch_add(1, Ordering::SeqCst);
        let answer = answers.get(turn).or_else(|| answers.last()).copied();
        async move {
            match answer {
                Some(RESET) | None => drop(stream.set_zero_linger()),
                Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
            }
        }
    })
    .await
}

/// What a budget was told.
#[derive(Default)]
struct Told {
    /// What it answers to the next requests, in turn; then it lets everything through.
    refusals: Mutex<Vec<Duration>>,
    taken: AtomicUsize,
    blocked: Mutex<Vec<Duration>>,
}

impl Budget for Told {
    fn take<'a>(
        &'a self,
        _: &'a [Charge<'a>],
        _: Priority,
    ) -> BoxFuture<'a, Result<(), Exhausted>> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        let refusal = self.refusals.lock().unwrap().pop();
        let bucket = "all".to_owned();
        Box::pin(std::future::ready(match refusal {
            Some(wait) => Err(Exhausted { bucket, wait }),
            None => Ok(()),
        }))
    }

    fn correct<'a>(&'a self, _: &'a Charge<'a>, _: crate::model::Said) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn block<'a>(&'a self, _: &'a [Charge<'a>], wait: Duration) -> BoxFuture<'a, ()> {
        self.blocked.lock().unwrap().push(wait);
        Box::pin(std::future::ready(()))
    }
}

/// Credentials that can be refreshed once.
#[derive(Default)]
struct Once(AtomicUsize);

impl Authorizer for Once {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async { Ok(bearer("first", 1)) })
    }

    fn refreshed(
        &self,
        rejected: i64,
    ) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(bearer("second", rejected + 1)) })
    }
}

fn bearer(token: &str, generation: i64) -> Arc<Authorization> {
    let value = format!("Bearer {token}").into();
    let authorization = Authorization::new(generation).with_header("authorization", &value);
    Arc::new(authorization.unwrap())
}

/// A request on its way, to be changed by a test.
struct Trial {
    method: Method,
    headers: Vec<(&'static str, &'static str)>,
    retry: Retry,
    budget: Told,
    authorizer: Once,
    deadline: Duration,
    waits_out_limits: bool,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            method: Method::GET,
            headers: Vec::new(),
            retry: Retry::default(),
            budget: Told::default(),
            authorizer: Once::default(),
            deadline: MINUTE,
            waits_out_limits: true,
        }
    }
}

impl Trial {
    fn of(method: Method, headers: &[(&'static str, &'static str)]) -> Self {
        Self {
            method,
            headers: headers.to_vec(),
            ..Self::default()
        }
    }

    fn with_rules(rules: serde_json::Value) -> Self {
        Self {
            retry: serde_json::from_value(rules).unwrap(),
            ..Self::default()
        }
    }

    async fn send(&self, url: &str) -> Result<Sent, SendingError<Error>> {
        let sending = Sending {
            authorizer: Some(&self.authorizer),
            retry: &self.retry,
            budget: &self.budget,
            charges: &[Charge::UNCOUNTED],
            priority: Priority::Background,
            patience: PATIENCE,
            waits_out_limits: self.waits_out_limits,
            limits: LIMITS,
            deadline: Instant::now() + self.deadline,
            first_wait: Duration::from_millis(1),
            observe: &|_| {},
            witness: None,
            clock: &SystemClock,
        };
        let build = |authorization: Option<&Arc<Authorization>>| {
            let mut request = get(url);
            request.method = self.method.clone();
            for (name, value) in &self.headers {
                let (name, value) = (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
                request.headers.insert(name, value);
            }
            authorization.unwrap().apply(&mut request);
            Ok::<_, Error>(request)
        };
        local().send_until_answered(&sending, build).await
    }

    /// The status of the answer, and how many requests there were.
    async fn outcome(&self, answers: &'static [&'static str]) -> (Option<u16>, usize) {
        let server = script(answers).await;
        let sent = self.send(&server.url("/")).await;
        (sent.ok().map(|sent| sent.status()), server.connections())
    }
}

#[tokio::test]
async fn a_provider_that_stumbles_is_asked_three_times() {
    let trial = Trial::default();
    assert_eq!(trial.outcome(&[BUSY, BUSY, OK]).await, (Some(200), 3));
    assert_eq!(trial.outcome(&[RESET, BUSY, OK]).await, (Some(200), 3));
    assert_eq!(trial.outcome(&[BUSY]).await, (Some(503), 3));
    assert_eq!(trial.outcome(&[RESET]).await, (None, 3));
    let refused = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let refused: &'static [_] = Box::leak(Box::new([refused]));
    assert_eq!(trial.outcome(refused).await, (Some(400), 1));
    assert_eq!(
        trial.budget.taken.load(Ordering::SeqCst),
        13,
        "each takes a token"
    );
}

#[tokio::test]
async fn only_what_does_no_harm_twice_is_sent_twice() {
    let keyed = [("idempotency-key", "k")];
    let matched = [("if-match", "\"1\"")];
    for (trial, sent) in [
        (Trial::of(Method::POST, &[]), 1),
        (Trial::of(Method::PATCH, &[]), 1),
        (Trial::of(Method::PUT, &matched), 1),
        (Trial::of(Method::DELETE, &matched), 1),
        (Trial::of(Method::POST, &[("paypal-request-id", "k")]), 1),
        (Trial::of(Method::POST, &keyed), 3),
        (Trial::of(Method::PATCH, &keyed), 3),
        (Trial::of(Method::PUT, &[]), 3),
        (Trial::of(Method::DELETE, &[]), 3),
    ] {
        let (method, headers) = (&trial.method, &trial.headers);
        assert_eq!(trial.outcome(&[BUSY]).await.1, sent, "{method} {headers:?}");
        assert_eq!(
            trial.outcome(&[RESET]).await.1,
            sent,
            "{method} {headers:?}"
        );
    }
    let mut own = Trial::of(Method::POST, &[("paypal-request-id", "k")]);
    own.retry.idempotency_headers = vec!["paypal-request-id".to_owned()];
    assert_eq!(own.outcome(&[BUSY, OK]).await, (Some(200), 2));

    // What surely never arrived does no harm either.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", free.local_addr().unwrap());
    drop(free);
    let post = Trial::of(Method::POST, &[]);
    let failed = post.send(&url).await;
    assert!(matches!(
        failed,
        Err(SendingError::Exchange(Error::NotConnected(_)))
    ));
    assert_eq!(post.budget.taken.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_limit_is_waited_out_where_that_is_short_and_told_to_all() {
    const SOON: &str =
        "HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const LATE: &str =
        "HTTP/1.1 429 Slow\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let blocked = |trial: &Trial| trial.budget.blocked.lock().unwrap().clone();
    // The provider did nothing, so a POST is sent again too.
    let post = Trial::of(Method::POST, &[]);
    assert_eq!(post.outcome(&[SOON, LIMITED, OK]).await, (Some(200), 3));
    assert_eq!(blocked(&post).len(), 2);

    let late = Trial::default();
    let server = script(&[LATE]).await;
    let sent = late.send(&server.url("/")).await.unwrap();
    assert_eq!((sent.status(), server.connections()), (429, 1));
    assert_eq!(sent.wait, Some(Duration::from_secs(30)));
    assert_eq!(blocked(&late), [Duration::from_secs(30)]);

    let left = Trial {
        waits_out_limits: false,
        ..Trial::default()
    };
    assert_eq!(left.outcome(&[LIMITED]).await, (Some(429), 1));
    assert_eq!(
        blocked(&left),
        [Duration::from_secs(5)],
        "nobody said how long"
    );
}

#[tokio::test]
async fn what_hides_in_other_statuses_is_found() {
    const HIDDEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 58\r\nConnection: close\r\n\r\n\
         {\"ok\":false,\"error\":\"ratelimited\",\"retry_after\":60      }\r\n";
    const DOWN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 17\r\nConnection: close\r\n\r\n\
         {\"error\":\"fatal\"}";
    const STALE: &str =
        "HTTP/1.1 403 No\r\nX-Reason: expired\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let rules = || {
        Trial::with_rules(serde_json::json!({ "rules": [
            { "status": [200], "json": "/error", "equals": "ratelimited", "meaning": "rate_limited", "wait_json": "/retry_after" },
            { "status": [200], "json": "/error", "equals": "fatal", "meaning": "unavailable" },
            { "status": [403], "header": "x-reason", "equals": "expired", "meaning": "token_expired" },
        ] }))
    };
    let trial = rules();
    let server = script(&[HIDDEN]).await;
    let sent = trial.send(&server.url("/")).await.unwrap();
    assert_eq!((sent.status(), sent.response.status), (429, 200));
    assert_eq!(sent.wait, Some(MINUTE));
    assert_eq!(trial.outcome(&[DOWN, DOWN, OK]).await, (Some(200), 3));
    assert_eq!(trial.outcome(&[DOWN]).await, (Some(503), 3));

    let trial = rules();
    assert_eq!(trial.outcome(&[STALE, OK]).await, (Some(200), 2));
    assert_eq!(trial.outcome(&[STALE]).await, (Some(401), 2));
    assert_eq!(trial.authorizer.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn credentials_are_refreshed_once_and_count_as_no_attempt() {
    let trial = Trial::default();
    let server = script(&[EXPIRED, BUSY, BUSY, OK]).await;
    let sent = trial.send(&server.url("/")).await.unwrap();
    assert_eq!((sent.status(), server.connections()), (200, 4));
    assert!(server.last().contains("authorization: Bearer second"));
    assert_eq!(trial.authorizer.0.load(Ordering::SeqCst), 1);

    let trial = Trial::default();
    let server = script(&[EXPIRED]).await;
    let sent = trial.send(&server.url("/")).await.unwrap();
    assert_eq!((sent.status(), server.connections()), (401, 2));
    assert_eq!(sent.meaning, Some(Meaning::TokenExpired));
}

#[tokio::test]
async fn nothing_is_tried_past_the_deadline() {
    const WAIT: &str =
        "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let trial = Trial {
        deadline: Duration::from_millis(900),
        ..Trial::default()
    };
    assert_eq!(trial.outcome(&[WAIT, OK]).await, (Some(503), 1));
    let silent = Server::start(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let trial = Trial {
        deadline: Duration::from_millis(100),
        ..Trial::default()
    };
    let failed = trial.send(&silent.url("/")).await;
    assert!(matches!(
        failed,
        Err(SendingError::Exchange(Error::Timeout))
    ));
    assert_eq!(silent.connections(), 1);
}

#[tokio::test]
async fn a_budget_lets_through_or_says_when() {
    let trial = Trial::default();
    *trial.budget.refusals.lock().unwrap() = vec![Duration::from_millis(1); 3];
    assert_eq!(trial.outcome(&[OK]).await, (Some(200), 1));
    assert_eq!(trial.budget.taken.load(Ordering::SeqCst), 4);

    let trial = Trial::default();
    *trial.budget.refusals.lock().unwrap() = vec![MINUTE];
    let server = script(&[OK]).await;
    let Err(SendingError::Exhausted(exhausted)) = trial.send(&server.url("/")).await else {
        panic!("it was sent");
    };
    assert_eq!((exhausted.bucket.as_str(), exhausted.wait), ("all", MINUTE));
    assert_eq!(server.connections(), 0);
}
