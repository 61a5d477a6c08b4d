//! Secrets are used and never read: another slot than the manifest names is denied and told of,
//! and what a provider says back is masked.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jackfield::{
    egress::{Authorization, AuthorizeError, Authorizer, BoxFuture},
    runtime::{CallContext, CallError, Failure},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{
    guest::{Guest, good, manifest},
    house::{House, context, slug},
};

const TOKEN: &str = "canary-token/1+2";

/// Credentials with two slots, and the names that were denied.
#[derive(Default)]
struct Slots(Mutex<Vec<String>>);

impl Authorizer for Slots {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async {
            let authorization = Authorization::new(1)
                .with_header("authorization", &format!("Bearer {TOKEN}").into())
                .expect("it can stand in a header");
            let authorization = authorization.with_secret("access_token", TOKEN.into());
            Ok(Arc::new(
                authorization.with_secret("other_slot", "canary-other".into()),
            ))
        })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        self.current()
    }

    fn denied<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, ()> {
        self.0
            .lock()
            .expect("nobody panics")
            .push(secret.to_owned());
        Box::pin(async {})
    }
}

fn with_one_slot() -> String {
    manifest("bad", 16).replace(
        "[permissions]",
        "[permissions]\nsecrets = [\"access_token\"]",
    )
}

async fn authenticate(house: &House, guest: &Guest) -> (Result<(), CallError>, Vec<String>) {
    house.put("bad.wasm", &guest.bytes());
    house.runtime.scan().await;
    let refusal = house.refusal("bad.wasm");
    let version = house
        .version("bad")
        .unwrap_or_else(|| panic!("refused: {refusal:?}"));
    let slots = Arc::new(Slots::default());
    let call = CallContext {
        authorizer: Arc::<Slots>::clone(&slots),
        ..context()
    };
    let answer = version.authenticate(call).await.map(drop);
    let denied = slots.0.lock().expect("nobody panics").clone();
    (answer, denied)
}

const HMAC: &str = r#"(import "jackfield:connector/secrets@0.1.0" "hmac-sha256"
    (func $hmac (param i32 i32 i32 i32 i32)))"#;
const SEND: &str = r#"(import "jackfield:connector/http@0.1.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
/// `GET {api}/x`; at 4106 the name of a header, at 4112 that of a secret.
const NAMES: &str = r#"(data (i32.const 4096) "GET{api}/xx-slotother_slot")"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_the_manifest_does_not_name_is_denied() {
    // `err(denied)` is 1 and 0; whatever else came is a crash.
    let signing = |name: &str| Guest {
        manifest: with_one_slot(),
        imports: HMAC,
        authenticate: format!(
            "(call $hmac (i32.const 2048) (i32.const {}) (i32.const 2048) (i32.const 4)
               (i32.const 8192))
             (if (i32.or (i32.ne (i32.load8_u (i32.const 8192)) (i32.const 1))
                   (i32.load8_u (i32.const 8196))) (then unreachable))
             (i32.const 1152)",
            name.len()
        ),
        ..good("bad", name)
    };
    let other = "00000000-0000-4000-8000-000000000002/access_token";
    for name in [
        "other_slot",
        other,
        "",
        "ACCESS_TOKEN",
        "access_token ",
        "refresh_token",
    ] {
        let (answer, denied) = authenticate(&House::new(), &signing(name)).await;
        assert!(answer.is_ok(), "{name}: {answer:?}");
        assert_eq!(denied, [name]);
    }
    // The guest's test for a denial fails where there is none.
    let (answer, denied) = authenticate(&House::new(), &signing("access_token")).await;
    assert!(matches!(answer, Err(CallError::Trap(_))), "{answer:?}");
    assert!(denied.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_with_another_slot_is_denied_before_anything_is_sent() {
    let guest = Guest {
        manifest: with_one_slot(),
        imports: SEND,
        functions: NAMES,
        authenticate: "
            (i32.store (i32.const 12288) (i32.const 4106)) (i32.store (i32.const 12292) (i32.const 6))
            (i32.store (i32.const 12296) (i32.const 12320)) (i32.store (i32.const 12300) (i32.const 1))
            (i32.store8 (i32.const 12320) (i32.const 1))
            (i32.store (i32.const 12324) (i32.const 4112)) (i32.store (i32.const 12328) (i32.const 10))
            (call $send (i32.const 4096) (i32.const 3) (i32.const 4099) (i32.const 7)
              (i32.const 12288) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
              (i32.const 8192))
            (if (i32.or (i32.ne (i32.load8_u (i32.const 8192)) (i32.const 1))
                  (i32.load8_u (i32.const 8200))) (then unreachable))
            (i32.const 1152)"
            .to_owned(),
        ..good("bad", "")
    };
    let (answer, denied) = authenticate(&House::new(), &guest).await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(denied, ["other_slot"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_says_back_is_masked_for_the_guest() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = format!("http://{}", listener.local_addr().expect("it has one"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n")
                && stream.read_line(&mut head).await.is_ok_and(|n| n > 0)
            {}
            let body = format!("raw {TOKEN} base64 {} all {head}", STANDARD.encode(TOKEN));
            let answer = format!(
                "HTTP/1.1 200 OK\r\nX-Echo: {TOKEN}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    // Tells the body as the text of a failure. The first asks with the credentials, the second
    // without: a provider knows them all the same.
    for authenticated in [1, 0] {
        let guest = Guest {
            manifest: with_one_slot(),
            imports: SEND,
            functions: NAMES,
            authenticate: format!(
                "(call $send (i32.const 4096) (i32.const 3) (i32.const 4099) (i32.const 7)
                   (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                   (i32.const {authenticated}) (i32.const 8192))
                 (if (i32.load8_u (i32.const 8192)) (then unreachable))
                 (i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1028) (i32.const 8))
                 (i32.store (i32.const 1032) (i32.load (i32.const 8212)))
                 (i32.store (i32.const 1036) (i32.load (i32.const 8216)))
                 (i32.const 1024)"
            ),
            ..good("bad", "")
        };
        let house = House::with(|options| {
            let api = [("api".to_owned(), address.clone())].into();
            options.endpoints.insert(slug("bad"), api);
        });
        let (answer, _) = authenticate(&house, &guest).await;
        let Err(CallError::Failure(Failure::Unexpected(text))) = answer else {
            panic!("{answer:?}");
        };
        assert!(
            text.starts_with("raw [redacted] base64 [redacted] all GET"),
            "{text}"
        );
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(
            text.contains("Bearer [redacted]") || text.contains("authorization"),
            authenticated == 1,
            "{text}"
        );
    }
}
