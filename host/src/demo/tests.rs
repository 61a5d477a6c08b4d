use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};

use super::*;
use crate::model::{Digest, ManualClock, Timestamp};

const REDIRECT: &str = "http://127.0.0.1:9/callback?kept=1";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-standard";

struct Provider {
    demo: Demo,
    clock: ManualClock,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn items(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["items"].as_array().unwrap().clone()
    }

    fn next(&self) -> Option<String> {
        Some(self.json()["next_page_token"].as_str()?.to_owned())
    }

    fn header(&self, name: HeaderName) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Provider {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::parse("2026-01-01T00:00:00Z").unwrap());
        let demo = Demo::new(Options {
            clock: Arc::new(clock.clone()),
            ..Options::default()
        });
        Self { demo, clock }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.demo.router().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        assert!(headers["x-demo"].to_str().unwrap().contains("demo"));
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer {
            status,
            headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-demo-key", API_KEY);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }

    async fn get_with_token(&self, token: &str) -> Answer {
        let request = Request::get("/v1/me").header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }

    async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        let client = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        self.form("/oauth/token", &[&client, fields].concat()).await
    }

    /// The redirect after the person has decided.
    async fn decide(&self, decision: &str) -> Url {
        let challenge = challenge();
        let mut fields = asked(&challenge);
        fields.push(("decision", decision));
        let answer = self.form("/oauth/authorize", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        answer.header(header::LOCATION).parse().unwrap()
    }

    async fn exchange(&self, code: &str, verifier: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ])
        .await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Digest::of(VERIFIER).as_bytes())
}

fn asked(challenge: &str) -> Vec<(&str, &str)> {
    vec![
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT),
        ("scope", "crm.read crm.write"),
        ("state", "a&b"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ]
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    let (_, value) = url.query_pairs().find(|(known, _)| known == name)?;
    Some(value.into_owned())
}

#[tokio::test]
async fn the_first_records_are_believable_and_always_the_same() {
    let provider = Provider::new();
    let counts = Collection::ALL.map(|collection| provider.demo.count(collection));
    assert_eq!(counts, [8, 6, 60, 500, 120, 150, 80]);
    let person = provider.get("/v1/people/10001").await;
    assert_eq!(person.header(header::ETAG), "\"2\"");
    let person = person.json();
    assert!(person["given_name"].as_str().unwrap().len() > 1);
    assert!(person["mail"].as_str().unwrap().ends_with(".example"));
    assert!(person["organisation"].as_u64().unwrap() >= 3001);
    for collection in Collection::ALL {
        let again = Demo::new(Options::default());
        let id = collection.first_id() + 5;
        assert_eq!(
            again.record(collection, id),
            provider.demo.record(collection, id)
        );
    }
    assert_eq!(
        provider.get("/v1/me").await.json()["account_id"],
        json!(ACCOUNT)
    );
}

#[tokio::test]
async fn every_first_record_would_be_accepted_by_the_api() {
    let provider = Provider::new();
    let mails: Vec<Value> = (10_001..10_501)
        .map(|id| provider.demo.record(Collection::People, id).unwrap()["mail"].clone())
        .collect();
    for (index, mail) in mails.iter().enumerate() {
        let text = mail.as_str().unwrap();
        assert!(text.is_ascii() && !mails[..index].contains(mail), "{text}");
    }
    for collection in Collection::ALL {
        let (records, ..) = provider.demo.book().list(collection, None, None, 500);
        for mut record in records {
            let fields = record.as_object_mut().unwrap();
            fields.retain(|name, _| collection.field(name).is_some());
            provider.demo.add(collection, record).unwrap();
        }
    }
}

#[tokio::test]
async fn pages_hold_every_record_once_in_order_of_change() {
    let provider = Provider::new();
    let mut people: Vec<Value> = Vec::new();
    let mut path = "/v1/people?page_size=70".to_owned();
    loop {
        let page = provider.get(&path).await;
        people.extend(page.items());
        let Some(token) = page.next() else { break };
        path = format!("/v1/people?page_size=70&page_token={token}");
    }
    assert_eq!(people.len(), 500);
    let order: Vec<(&str, u64)> = people
        .iter()
        .map(|person| {
            (
                person["updated_on"].as_str().unwrap(),
                person["id"].as_u64().unwrap(),
            )
        })
        .collect();
    assert!(order.is_sorted());
    for query in [
        "page_size=101",
        "page_size=0",
        "page_token=x",
        "updated_since=yesterday",
    ] {
        let answer = provider.get(&format!("/v1/people?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        let field = answer.json()["error"]["field"].clone();
        assert!(query.starts_with(field.as_str().unwrap()));
    }
}

#[tokio::test]
async fn only_lists_since_a_time_tell_of_deleted_records() {
    let provider = Provider::new();
    let Provider { demo, clock } = &provider;
    demo.change(Collection::People, 10_007, json!({})).unwrap();
    clock.advance(Duration::from_secs(60));
    demo.delete(Collection::People, 10_003).unwrap();
    let all = provider
        .get("/v1/people?updated_since=2026-01-01T00:00:00Z&page_size=1")
        .await;
    assert_eq!(all.items()[0]["id"], json!(10_007));
    let token = all.next().unwrap();
    let rest = provider
        .get(&format!("/v1/people?page_token={token}"))
        .await
        .items();
    assert_eq!(
        json!(rest),
        json!([{"id": 10_003, "version": 2, "updated_on": "2026-01-01T00:01:00.000Z", "deleted": true}])
    );
    assert!(
        provider
            .get("/v1/people?updated_since=2026-01-01T00:01:00.001Z")
            .await
            .items()
            .is_empty()
    );
    assert_eq!(demo.count(Collection::People), 499);
    assert_eq!(provider.get("/v1/people/10003").await.status, 404);
}

#[tokio::test]
async fn records_are_made_changed_and_deleted() {
    let provider = Provider::new();
    let made = provider
        .call(
            "POST",
            "/v1/people",
            json!({"given_name": "Ada", "family_name": "Byron", "organisation": 3001, "extra": {"vip": true}}),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header(header::ETAG), "\"1\"");
    assert_eq!(made.json()["id"], json!(10_501));
    let changed = provider
        .call_with(
            "PATCH",
            "/v1/people/10501",
            json!({"organisation": null, "extra": {"size": 3}}),
            &[("if-match", "\"1\"")],
        )
        .await
        .json();
    assert_eq!(changed["organisation"], Value::Null);
    assert_eq!(changed["given_name"], json!("Ada"));
    assert_eq!(changed["extra"], json!({"vip": true, "size": 3}));
    for method in ["PATCH", "DELETE"] {
        let late = provider
            .call_with(
                method,
                "/v1/people/10501",
                json!({}),
                &[("if-match", "\"1\"")],
            )
            .await;
        assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    }
    let gone = provider
        .call("DELETE", "/v1/people/10501", Value::Null)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    for id in ["10501", "1", "me"] {
        let path = format!("/v1/people/{id}");
        assert_eq!(provider.call("PATCH", &path, json!({})).await.status, 404);
    }
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_record() {
    let provider = Provider::new();
    let key = [("idempotency-key", "k1")];
    let body = json!({"text": "Twice sent."});
    let first = provider
        .call_with("POST", "/v1/notes", body.clone(), &key)
        .await;
    let second = provider.call_with("POST", "/v1/notes", body, &key).await;
    assert_eq!(first.text, second.text);
    assert_eq!(provider.demo.count(Collection::Notes), 151);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let provider = Provider::new();
    let check = async |collection: &str, body: Value, field: &str, message: &str| {
        let answer = provider
            .call("POST", &format!("/v1/{collection}"), body)
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let expected = json!({"error": {"field": field, "message": message}});
        assert_eq!(answer.json(), expected);
    };
    check("people", json!([]), "body", "must be a JSON object").await;
    check(
        "people",
        json!({"given_name": "A"}),
        "family_name",
        "is required",
    )
    .await;
    check("people", json!({"name": "A"}), "name", "is not a field").await;
    check(
        "people",
        json!({"given_name": ""}),
        "given_name",
        "must not be empty",
    )
    .await;
    check(
        "people",
        json!({"mail": "nobody"}),
        "mail",
        "must be a mail address",
    )
    .await;
    check(
        "people",
        json!({"organisation": 5}),
        "organisation",
        "names a record of companies that does not exist",
    )
    .await;
    check(
        "people",
        json!({"address": {"planet": "Mars"}}),
        "address",
        "has no part planet",
    )
    .await;
    check(
        "deals",
        json!({"amount_cents": 1.5}),
        "amount_cents",
        "must be a whole number that is not negative",
    )
    .await;
    check(
        "tasks",
        json!({"due_on": "2026-02-30"}),
        "due_on",
        "must be a day such as 2026-03-31",
    )
    .await;
    check(
        "deals",
        json!({"extra": {"a": []}}),
        "extra",
        "may hold texts, numbers, true and false only",
    )
    .await;
    let status = async |method: &str, path: &str| {
        provider.call(method, path, json!({})).await.status.as_u16()
    };
    assert_eq!(status("POST", "/v1/stages").await, 405);
    assert_eq!(status("GET", "/v1/planets").await, 404);
    assert_eq!(status("GET", "/v1/people/1/2").await, 404);
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_by_its_owner_only() {
    let provider = Provider::new();
    let challenge = challenge();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(asked(&challenge))
        .finish();
    let page = provider.get(&format!("/oauth/authorize?{query}")).await;
    assert!(page.text.contains(NOTICE) && page.text.contains(r#"value="a&amp;b""#));

    let back = provider.decide("allow").await;
    assert!(back.as_str().starts_with(REDIRECT));
    assert_eq!(parameter(&back, "state").as_deref(), Some("a&b"));
    let code = parameter(&back, "code").unwrap();
    let stolen = provider.exchange(&code, "another verifier").await;
    assert_eq!(stolen.json()["error"], json!("invalid_grant"));
    let again = provider.exchange(&code, VERIFIER).await;
    assert_eq!(again.json()["error"], json!("invalid_grant"));

    let back = provider.decide("allow").await;
    let tokens = provider
        .exchange(&parameter(&back, "code").unwrap(), VERIFIER)
        .await
        .json();
    assert_eq!(tokens["expires_in"], json!(3600));
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(provider.get_with_token(access).await.status, 200);
    provider.clock.advance(Duration::from_secs(3600));
    let late = provider.get_with_token(access).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    assert_eq!(late.header(header::WWW_AUTHENTICATE), "Bearer");
}

#[tokio::test]
async fn a_person_may_say_no_and_a_strange_request_gets_no_code() {
    let provider = Provider::new();
    let back = provider.decide("deny").await;
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "code"), None);
    let challenge = challenge();
    let check = async |name: &str, value: &'static str| {
        let mut fields = asked(&challenge);
        fields.retain(|(known, _)| *known != name);
        fields.extend([(name, value), ("decision", "allow")]);
        let answer = provider.form("/oauth/authorize", &fields).await;
        let back = answer.headers.get(header::LOCATION)?.to_str().unwrap();
        parameter(&back.parse().unwrap(), "error")
    };
    assert_eq!(check("client_id", "someone-else").await, None);
    assert_eq!(check("redirect_uri", "javascript:alert(1)").await, None);
    let error = check("code_challenge_method", "plain").await;
    assert_eq!(error.as_deref(), Some("invalid_request"));
    let error = check("scope", "everything").await;
    assert_eq!(error.as_deref(), Some("invalid_scope"));
    let wrong = [("client_id", CLIENT_ID), ("client_secret", "guessed")];
    let answer = provider.form("/oauth/token", &wrong).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_grant() {
    let provider = Provider::new();
    let back = provider.decide("allow").await;
    let code = parameter(&back, "code").unwrap();
    let first = provider.exchange(&code, VERIFIER).await.json();
    let first = first["refresh_token"].as_str().unwrap();
    let second = provider.refresh(first).await.json();
    let access = second["access_token"].as_str().unwrap();
    assert_eq!(provider.get_with_token(access).await.status, 200);
    assert_eq!(provider.refresh(first).await.status, 400);
    assert_eq!(provider.get_with_token(access).await.status, 401);
    let second = second["refresh_token"].as_str().unwrap();
    assert_eq!(provider.refresh(second).await.status, 400);
}

#[tokio::test]
async fn client_credentials_carry_scopes_and_can_be_revoked() {
    let provider = Provider::new();
    let basic = "Basic ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ=";
    let request = Request::post("/oauth/token")
        .header("authorization", basic)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("grant_type=client_credentials&scope=crm.read"))
        .unwrap();
    let tokens = provider.send(request).await.json();
    assert_eq!(tokens.get("refresh_token"), None);
    let access = tokens["access_token"].as_str().unwrap();
    let request = Request::delete("/v1/people/10001")
        .header("authorization", format!("Bearer {access}"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(provider.send(request).await.status, StatusCode::FORBIDDEN);
    let revoked = [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("token", access),
    ];
    assert_eq!(provider.form("/oauth/revoke", &revoked).await.status, 200);
    assert_eq!(provider.get_with_token(access).await.status, 401);
}

#[tokio::test]
async fn it_breaks_on_demand() {
    let provider = Provider::new();
    provider.demo.limit_next(1, 7);
    provider.demo.fail_next(1);
    let limited = provider.get("/v1/me").await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.header(header::RETRY_AFTER), "7");
    assert_eq!(provider.get("/v1/me").await.status, 500);
    assert_eq!(provider.get("/v1/me").await.status, 200);
    assert_eq!(provider.demo.requests(), 3);
}

#[tokio::test]
async fn the_welcome_page_says_what_it_is() {
    let provider = Provider::new();
    let request = Request::get("/")
        .header("host", "127.0.0.1:4010")
        .body(Body::empty())
        .unwrap();
    let page = provider.send(request).await;
    for expected in [NOTICE, API_KEY, "http://127.0.0.1:4010/v1/people", "500"] {
        assert!(page.text.contains(expected), "{expected}");
    }
}
