//! The fake keeps the rules that HubSpot documents.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::state::State;
use crate::{FakeHubSpot, Options, server};

struct Client {
    state: server::Shared,
    token: String,
}

impl Client {
    fn new(options: Options) -> Self {
        let token = options.private_app_token.clone();
        Self {
            state: Arc::new(Mutex::new(State::new(options))),
            token,
        }
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .unwrap();
        self.answer(request).await
    }

    async fn form(&self, body: &str) -> (StatusCode, Value) {
        let request = Request::post("/oauth/v1/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.answer(request).await
    }

    async fn answer(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = server::router(Arc::clone(&self.state))
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn lists_page_by_after_and_name_what_was_asked_for() {
    let client = Client::new(Options {
        contacts: 3,
        ..Options::default()
    });
    let (_, first) = client
        .send(
            "GET",
            "/crm/v3/objects/contacts?limit=2&properties=phone,mobilephone,nope",
            None,
        )
        .await;
    assert_eq!(ids(&first), ["1001", "1002"]);
    assert_eq!(first["results"][0]["properties"]["phone"], "+442070000000");
    assert_eq!(
        first["results"][0]["properties"].get("mobilephone"),
        Some(&Value::Null)
    );
    assert_eq!(first["results"][0]["properties"].get("nope"), None);
    assert_eq!(first["results"][0]["updatedAt"], "2024-01-01T00:00:00.000Z");
    let after = first["paging"]["next"]["after"].as_str().unwrap();
    let (_, last) = client
        .send(
            "GET",
            &format!("/crm/v3/objects/contacts?limit=2&after={after}"),
            None,
        )
        .await;
    assert_eq!((ids(&last), last.get("paging")), (vec!["1003"], None));
    assert_eq!(
        client
            .send("GET", "/crm/v3/objects/contacts?limit=101", None)
            .await
            .0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn writes_are_checked_as_documented() {
    let client = Client::new(Options::default());
    let contacts = "/crm/v3/objects/contacts";
    let create =
        |properties: Value| client.send("POST", contacts, Some(json!({"properties": properties})));
    let (status, created) = create(json!({"email": "New@Example.com", "firstname": "New"})).await;
    assert_eq!(
        (status, &created["properties"]["email"]),
        (StatusCode::CREATED, &json!("new@example.com"))
    );
    let (status, taken) = create(json!({"email": "new@example.com"})).await;
    assert_eq!(
        (status, &taken["message"]),
        (
            StatusCode::CONFLICT,
            &json!("Contact already exists. Existing ID: 1011")
        )
    );
    let (status, unknown) = create(json!({"email": "b@example.com", "nope": "1"})).await;
    assert_eq!(
        (status, &unknown["category"]),
        (StatusCode::BAD_REQUEST, &json!("VALIDATION_ERROR"))
    );
    assert!(
        unknown["message"]
            .as_str()
            .unwrap()
            .contains("PROPERTY_DOESNT_EXIST")
    );
    assert_eq!(
        create(json!({"phone": "1"})).await.0,
        StatusCode::BAD_REQUEST
    );

    let path = format!("{contacts}/1011");
    let (_, patched) = client
        .send(
            "PATCH",
            &path,
            Some(json!({"properties": {"firstname": ""}})),
        )
        .await;
    assert_eq!(patched["properties"]["firstname"], Value::Null);
    assert!(patched["updatedAt"].as_str() > created["updatedAt"].as_str());
    assert_eq!(
        client.send("DELETE", &path, None).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        client.send("GET", &path, None).await.0,
        StatusCode::NOT_FOUND
    );
    let (_, archived) = client
        .send("GET", &format!("{contacts}?archived=true"), None)
        .await;
    assert_eq!(ids(&archived), ["1011"]);

    let deal = json!({"properties": {"dealname": "x", "dealstage": "7719002"}});
    assert_eq!(
        client
            .send("POST", "/crm/v3/objects/deals", Some(deal))
            .await
            .0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn searches_filter_sort_and_end_at_ten_thousand() {
    let client = Client::new(Options {
        contacts: 10_050,
        ..Options::default()
    });
    let search = |body: Value| client.send("POST", "/crm/v3/objects/contacts/search", Some(body));
    let since = json!([{"filters": [{"propertyName": "lastmodifieddate", "operator": "GTE", "value": "1704067260000"}]}]);
    let sorts = json!([{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}]);
    let (_, page) = search(json!({"filterGroups": since, "sorts": sorts, "limit": 2})).await;
    assert_eq!(
        (ids(&page), &page["total"]),
        (vec!["1002", "1003"], &json!(10_049))
    );
    assert_eq!(page["paging"]["next"]["after"], "2");
    let (status, _) = search(json!({"limit": 100, "after": "9900"})).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = search(json!({"limit": 100, "after": "9901"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        search(json!({"limit": 201})).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        search(json!({"sorts": [sorts[0], sorts[0]]})).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn associations_show_in_both_versions() {
    let client = Client::new(Options {
        companies: 2,
        contacts: 1,
        deals: 1,
        ..Options::default()
    });
    let (_, deal) = client
        .send(
            "GET",
            "/crm/v3/objects/deals/1001?associations=companies,contacts",
            None,
        )
        .await;
    let types: Vec<&Value> = deal["associations"]["companies"]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| &link["type"])
        .collect();
    assert_eq!(types, ["deal_to_company", "deal_to_company_unlabeled"]);
    let inputs = json!({"inputs": [{"id": "1001"}, {"id": "77"}]});
    let (status, batch) = client
        .send(
            "POST",
            "/crm/v4/associations/deals/companies/batch/read",
            Some(inputs),
        )
        .await;
    assert_eq!(
        (status, &batch["numErrors"]),
        (StatusCode::MULTI_STATUS, &json!(1))
    );
    assert_eq!(batch["results"][0]["to"][0]["toObjectId"], 1001);
    assert_eq!(
        batch["results"][0]["to"][0]["associationTypes"][0]["label"],
        "Primary"
    );

    let primary = json!([{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 5}]);
    let path = "/crm/v4/objects/deals/1001/associations/companies";
    assert_eq!(
        client
            .send("PUT", &format!("{path}/1002"), Some(primary))
            .await
            .0,
        StatusCode::CREATED
    );
    let (_, deal) = client
        .send(
            "GET",
            "/crm/v3/objects/deals/1001?associations=companies",
            None,
        )
        .await;
    let links = deal["associations"]["companies"]["results"]
        .as_array()
        .unwrap();
    let primary: Vec<&Value> = links
        .iter()
        .filter(|link| link["type"] == "deal_to_company")
        .collect();
    assert_eq!(primary.len(), 1, "there is one primary company: {links:?}");
    assert_eq!(primary[0]["id"], "1002");
    assert_eq!(
        client.send("DELETE", &format!("{path}/1001"), None).await.0,
        StatusCode::NO_CONTENT
    );
    let (_, deal) = client
        .send(
            "GET",
            "/crm/v3/objects/deals/1001?associations=companies",
            None,
        )
        .await;
    assert!(
        deal["associations"]["companies"]["results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|link| link["id"] == "1002")
    );
}

#[tokio::test]
async fn the_login_gives_tokens_that_expire_and_are_refreshed() {
    let mut client = Client::new(Options::default());
    let request = Request::get(
        "/oauth/authorize?client_id=fake-client-id&redirect_uri=http%3A%2F%2Flocalhost%2Fback%3Fx%3D1&scope=oauth&state=s%261",
    );
    let response = server::router(Arc::clone(&client.state))
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(
        response.headers()[header::LOCATION],
        "http://localhost/back?x=1&code=fake-code-1&state=s%261"
    );

    let app = "client_id=fake-client-id&client_secret=fake-client-secret";
    let redirect = "redirect_uri=http%3A%2F%2Flocalhost%2Fback%3Fx%3D1";
    let code = format!("grant_type=authorization_code&code=fake-code-1&{redirect}&{app}");
    let (_, tokens) = client.form(&code).await;
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"]),
        (&json!("bearer"), &json!(1800))
    );
    assert_eq!(client.form(&code).await.1["status"], "BAD_AUTH_CODE");

    client.token = tokens["access_token"].as_str().unwrap().to_owned();
    let (status, details) = client.send("GET", "/account-info/v3/details", None).await;
    assert_eq!(
        (status, &details["portalId"]),
        (StatusCode::OK, &json!(62_515))
    );
    crate::state::lock(&client.state).expire_access_tokens();
    let (status, refused) = client.send("GET", "/account-info/v3/details", None).await;
    assert_eq!(
        (status, &refused["category"]),
        (StatusCode::UNAUTHORIZED, &json!("EXPIRED_AUTHENTICATION"))
    );

    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (_, renewed) = client
        .form(&format!(
            "grant_type=refresh_token&refresh_token={refresh}&{app}"
        ))
        .await;
    assert_eq!(renewed["refresh_token"], refresh);
    client.token = renewed["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        client.send("GET", "/account-info/v3/details", None).await.0,
        StatusCode::OK
    );
    let (status, _) = client
        .form(&format!(
            "grant_type=refresh_token&refresh_token=other&{app}"
        ))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn failures_come_on_demand_and_requests_are_counted() {
    let client = Client::new(Options {
        owners: 3,
        ..Options::default()
    });
    crate::state::lock(&client.state).fail_next(1, 429, Some(3));
    let (status, limited) = client.send("GET", "/crm/v3/owners?limit=2", None).await;
    assert_eq!(
        (status, &limited["errorType"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("RATE_LIMIT"))
    );
    let (_, owners) = client.send("GET", "/crm/v3/owners?limit=2", None).await;
    assert_eq!(
        (ids(&owners), &owners["paging"]["next"]["after"]),
        (vec!["41001", "41002"], &json!("2"))
    );
    assert_eq!(crate::state::lock(&client.state).seen.len(), 2);
    let (_, pipelines) = client.send("GET", "/crm/v3/pipelines/deals", None).await;
    assert_eq!(
        pipelines["results"][0]["stages"][0]["id"],
        "appointmentscheduled"
    );
}

#[test]
fn a_started_fake_listens_until_it_is_dropped() {
    let fake = FakeHubSpot::start(Options {
        contacts: 2,
        ..Options::default()
    });
    let address = fake.base_url().strip_prefix("http://").unwrap().to_owned();
    drop(std::net::TcpStream::connect(&address).unwrap());
    assert!(fake.update("contacts", 1001, &[("firstname", Some("Changed"))]));
    let records = fake.records("contacts");
    assert!(records[0].modified > records[1].modified);
    drop(fake);
    assert!(std::net::TcpStream::connect(&address).is_err());
}
