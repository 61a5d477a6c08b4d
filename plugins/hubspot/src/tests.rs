//! Reading and writing against fixtures, and the mapping of every object.

use jackfield_sdk::testing::{self, Playback};
use jackfield_sdk::{Connection, Connector as _, Failure, FetchRequest, PushRequest, RemoteRecord};
use serde_json::{Value, json};

use crate::HubSpot;

fn connection() -> Connection {
    testing::connection(&[])
}

/// Every page from the first to the last; fails where the cursor does not end.
fn pages(fixture: &str, request: &FetchRequest) -> Vec<Vec<RemoteRecord>> {
    Playback::file(format!("fixtures/{fixture}.json")).run(|| {
        let (mut pages, mut request) = (Vec::new(), request.clone());
        loop {
            let page = HubSpot::fetch_records(&connection(), &request).unwrap();
            pages.push(page.records);
            assert!(pages.len() < 100, "the pages do not end");
            match page.next_cursor {
                Some(cursor) => request.cursor = Some(cursor),
                None => return pages,
            }
        }
    })
}

fn ids(pages: &[Vec<RemoteRecord>]) -> Vec<Vec<&str>> {
    pages
        .iter()
        .map(|page| {
            page.iter()
                .map(|record| record.remote_id.as_str())
                .collect()
        })
        .collect()
}

fn push(fixture: &str, request: &PushRequest) -> RemoteRecord {
    Playback::file(format!("fixtures/{fixture}.json"))
        .run(|| HubSpot::push_record(&connection(), request))
        .unwrap()
}

fn data(record: &RemoteRecord) -> Value {
    serde_json::from_str(record.data.as_ref().unwrap().get()).unwrap()
}

/// What an application's object becomes on its way to HubSpot.
fn draft(object: &str, unified: &Value, fields: &[(&str, &str)]) -> Value {
    testing::desunify::<HubSpot>(object, unified, fields).unwrap()
}

#[test]
fn every_object_is_mapped_both_ways() {
    testing::check_mappings::<HubSpot>("fixtures");
}

#[test]
fn the_account_is_the_portal() {
    let accounts = Playback::file("fixtures/account.json")
        .run(|| HubSpot::authenticate(&connection()))
        .unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0].remote_id, "62515");
    assert_eq!(
        accounts[0].display_name.as_deref(),
        Some("HubSpot 62515 (standard)")
    );
}

#[test]
fn a_first_pass_lists_page_after_page() {
    let contacts = pages("contact", &testing::fetch("crm.contact"));
    assert_eq!(ids(&contacts), [vec!["151"], vec!["152"]]);
    assert_eq!(
        contacts[0][0].modified_at.as_deref(),
        Some("2026-03-05T10:30:00.250Z")
    );
    assert_eq!(
        data(&contacts[0][0])["properties"]["email"],
        "ada@example.com"
    );
    for (fixture, object, id) in [
        ("company", "crm.company", "501"),
        ("deal", "crm.deal", "301"),
        ("note", "crm.note", "701"),
        ("task", "crm.task", "801"),
        ("user", "crm.user", "41001"),
        ("stage", "crm.stage", "7719002"),
    ] {
        assert_eq!(
            ids(&pages(fixture, &testing::fetch(object)))[0][0],
            id,
            "{object}"
        );
    }
    assert_eq!(
        ids(&pages("user", &testing::fetch("crm.user"))),
        [["41001"], ["41002"]]
    );
    assert_eq!(
        ids(&pages("stage", &testing::fetch("crm.stage"))),
        [["7719002", "closedwon", "appointmentscheduled"]]
    );
}

#[test]
fn engagements_are_three_objects_with_ids_of_their_own() {
    let found = pages("engagement", &testing::fetch("crm.engagement"));
    assert_eq!(
        ids(&found),
        [
            vec!["calls:901"],
            vec!["meetings:901"],
            vec![],
            vec!["emails:901", "emails:902"]
        ]
    );
}

#[test]
fn an_incremental_pass_searches_without_positions() {
    let request = FetchRequest {
        since: Some("2026-03-02T09:00:00.000Z".to_owned()),
        limit: 2,
        ..testing::fetch("crm.deal")
    };
    let found = pages("incremental", &request);
    assert_eq!(
        ids(&found),
        [
            vec!["301", "302"],
            vec!["302", "304"],
            vec!["302", "303"],
            vec!["304"],
            vec![]
        ]
    );
    // The same form as in a list, so that the mapping need not know.
    let unified =
        testing::unify::<HubSpot>("crm.deal", &[data(&found[0][0]), data(&found[0][1])], &[])
            .unwrap();
    assert_eq!(
        (&unified[0]["company_id"], &unified[1]["company_id"]),
        (&json!("501"), &Value::Null)
    );
    let links = &data(&found[0][0])["associations"]["companies"]["results"];
    let kinds: Vec<&Value> = links
        .as_array()
        .unwrap()
        .iter()
        .map(|link| &link["type"])
        .collect();
    assert_eq!(
        kinds,
        [
            "deal_to_company_unlabeled",
            "key_partner",
            "deal_to_company",
            "deal_to_company_unlabeled"
        ]
    );
}

#[test]
fn one_record_is_read_by_its_id() {
    let one = |object: &str, id: &str| FetchRequest {
        remote_id: Some(id.to_owned()),
        ..testing::fetch(object)
    };
    let connection = testing::connection(&[("properties", "tier, hubspot_owner_id")]);
    Playback::file("fixtures/one.json").run(|| {
        for (object, id) in [
            ("crm.contact", "151"),
            ("crm.engagement", "emails:901"),
            ("crm.user", "41001"),
            ("crm.stage", "closedwon"),
        ] {
            let page = HubSpot::fetch_records(&connection, &one(object, id)).unwrap();
            assert_eq!(
                (page.records[0].remote_id.as_str(), page.records.len()),
                (id, 1),
                "{object}"
            );
            assert_eq!(page.next_cursor, None);
        }
        let strange = HubSpot::fetch_records(&connection, &one("crm.engagement", "901"));
        assert!(matches!(strange, Err(Failure::NotFound(_))), "{strange:?}");
    });
}

#[test]
fn a_deal_is_created_with_its_pipeline_and_company() {
    let unified =
        json!({"name": "New", "description": null, "stage_id": "7719002", "company_id": "501"});
    let record = push(
        "create",
        &testing::create("crm.deal", &draft("crm.deal", &unified, &[])),
    );
    assert_eq!(record.remote_id, "303");
    let stored = testing::unify::<HubSpot>("crm.deal", &[data(&record)], &[]).unwrap();
    assert_eq!(
        (&stored[0]["stage_id"], &stored[0]["company_id"]),
        (&json!("7719002"), &json!("501"))
    );
    assert_eq!(stored[0]["amount"], Value::Null);

    let bare = draft("crm.deal", &json!({"name": "New"}), &[]);
    assert_eq!(
        push("create_default", &testing::create("crm.deal", &bare)).remote_id,
        "304"
    );
}

#[test]
fn an_email_is_created_with_what_hubspot_demands() {
    let unified =
        json!({"type": "EMAIL", "subject": "Offer", "contacts": ["151"], "direction": null});
    let record = push(
        "create_email",
        &testing::create("crm.engagement", &draft("crm.engagement", &unified, &[])),
    );
    assert_eq!(record.remote_id, "emails:905");
    let stored = testing::unify::<HubSpot>("crm.engagement", &[data(&record)], &[]).unwrap();
    assert_eq!(
        (&stored[0]["type"], &stored[0]["contacts"]),
        (&json!("EMAIL"), &json!(["151"]))
    );
}

#[test]
fn an_update_changes_properties_and_associations() {
    let unified = json!({"name": "Renamed", "company_id": "503", "field_mappings": {"customer_tier": "gold"}});
    let fields = [("customer_tier", "tier")];
    let record = push(
        "update",
        &testing::update("crm.deal", "301", &draft("crm.deal", &unified, &fields)),
    );
    let stored = testing::unify::<HubSpot>("crm.deal", &[data(&record)], &fields).unwrap();
    assert_eq!(
        (&stored[0]["name"], &stored[0]["company_id"]),
        (&json!("Renamed"), &json!("503"))
    );
    assert_eq!(stored[0]["field_mappings"]["customer_tier"], "gold");
}

#[test]
fn an_update_of_an_engagement_needs_no_type() {
    let unified = draft("crm.engagement", &json!({"subject": "New subject"}), &[]);
    let record = push(
        "update_call",
        &testing::update("crm.engagement", "calls:901", &unified),
    );
    assert_eq!(record.remote_id, "calls:901");

    let refuse = |unified: Value| {
        let request = testing::update(
            "crm.engagement",
            "calls:901",
            &draft("crm.engagement", &unified, &[]),
        );
        Playback::empty()
            .run(|| HubSpot::push_record(&connection(), &request))
            .unwrap_err()
    };
    let message = "an engagement cannot change its type";
    assert_eq!(
        refuse(json!({"type": "EMAIL"})),
        Failure::invalid_field("type", message)
    );
    let message = "the end of a call can only be written together with start_at";
    let end = json!({"end_time": "2026-03-02T09:00:00.000Z"});
    assert_eq!(refuse(end), Failure::invalid_field("end_time", message));
}

#[test]
fn a_delete_archives() {
    Playback::file("fixtures/delete.json").run(|| {
        for (object, id) in [("crm.engagement", "meetings:901"), ("crm.contact", "151")] {
            let record = HubSpot::push_record(&connection(), &testing::delete(object, id)).unwrap();
            assert!(
                record.deleted && record.remote_id == id && record.data.is_none(),
                "{record:?}"
            );
        }
    });
}

#[test]
fn refusals_are_told_apart() {
    let fetch =
        |request: FetchRequest| HubSpot::fetch_records(&connection(), &request).unwrap_err();
    let push = |request: PushRequest| HubSpot::push_record(&connection(), &request).unwrap_err();
    Playback::file("fixtures/errors.json").run(|| {
        let failure = HubSpot::authenticate(&connection()).unwrap_err();
        assert!(matches!(&failure, Failure::Unauthorized(text) if text.contains("expired 7 second(s) ago")), "{failure:?}");
        let failure = fetch(testing::fetch("crm.contact"));
        assert!(matches!(&failure, Failure::Forbidden(text) if text.contains("required scopes")), "{failure:?}");
        assert_eq!(fetch(testing::fetch("crm.company")), Failure::RateLimited(Some(9)));
        assert!(matches!(fetch(testing::fetch("crm.task")), Failure::Unavailable(_)));
        let gone = FetchRequest { remote_id: Some("999".to_owned()), ..testing::fetch("crm.contact") };
        assert!(matches!(fetch(gone), Failure::NotFound(_)));
        let contact = draft("crm.contact", &json!({"first_name": "Ada"}), &[]);
        let failure = push(testing::create("crm.contact", &contact));
        assert!(matches!(&failure, Failure::Conflict(text) if text.contains("Existing ID: 151")), "{failure:?}");
        let failure = push(testing::update("crm.contact", "151", &contact));
        assert!(matches!(&failure, Failure::Invalid(invalid) if invalid.message.contains("nope")), "{failure:?}");
        let deal = draft("crm.deal", &json!({"stage_id": "unknown"}), &[]);
        let failure = push(testing::update("crm.deal", "301", &deal));
        assert!(matches!(&failure, Failure::Invalid(invalid) if invalid.field.as_deref() == Some("stage_id")), "{failure:?}");
    });
    let strange = FetchRequest {
        cursor: Some("elsewhere".to_owned()),
        ..testing::fetch("crm.contact")
    };
    assert!(matches!(fetch(strange), Failure::Invalid(_)));
    assert!(matches!(
        fetch(testing::fetch("crm.lead")),
        Failure::Unsupported(_)
    ));
    assert!(matches!(
        push(testing::delete("crm.stage", "1")),
        Failure::Unsupported(_)
    ));
}

#[test]
fn webhooks_are_verified_and_read() {
    use jackfield_sdk::secrets;
    use jackfield_sdk::webhooks::{Change, Incoming, Rejection, Webhooks as _};

    let body = json!([
        { "subscriptionType": "contact.creation", "portalId": 7, "objectId": 21, "eventId": 1 },
        { "subscriptionType": "contact.merge", "portalId": 7, "objectId": 21, "primaryObjectId": 21, "mergedObjectIds": [22] },
        { "subscriptionType": "object.deletion", "objectTypeId": "0-3", "portalId": 7, "objectId": 33 },
        { "subscriptionType": "ticket.creation", "portalId": 7, "objectId": 44 },
    ])
    .to_string();
    let time = "1767225600000";
    let url = "https://jackfield.example/inbound/hubspot?a=b%3Ac";
    let playback = Playback::empty().secrets(&["client_secret"]);
    let signed = format!("POSThttps://jackfield.example/inbound/hubspot?a=b:c{body}{time}");
    let sum = playback
        .run(|| secrets::hmac_sha256("client_secret", signed.as_bytes()))
        .unwrap();
    let signature = base64(&sum);
    let receive = |received_at: &str, signature: &str, body: &str| {
        let headers = [
            ("X-HubSpot-Signature-v3", signature),
            ("X-HubSpot-Request-Timestamp", time),
        ];
        let request = Incoming {
            url: url.to_owned(),
            ..testing::incoming(received_at, &headers, body.as_bytes())
        };
        playback.run(|| HubSpot::receive(&request))
    };
    let receipt = receive("2026-01-01T00:05:00Z", &signature, &body).unwrap();
    let told: Vec<_> = receipt
        .notices
        .iter()
        .map(|notice| {
            assert_eq!(notice.account.as_deref(), Some("7"));
            let id = notice.remote_id.as_deref().unwrap();
            (notice.object.as_str(), id, notice.change)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("crm.contact", "21", Change::Created),
            ("crm.contact", "21", Change::Updated),
            ("crm.contact", "22", Change::Updated),
            ("crm.deal", "33", Change::Deleted),
        ]
    );
    for (at, signature, body) in [
        ("2026-01-01T00:05:01Z", signature.as_str(), body.as_str()),
        ("2026-01-01T00:00:00Z", signature.as_str(), "[]"),
        ("2026-01-01T00:00:00Z", "AAAA", body.as_str()),
    ] {
        let refused = receive(at, signature, body);
        assert!(matches!(refused, Err(Rejection::Forged(_))), "{refused:?}");
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for index in 0..3 {
            bits = (bits << 8) | u32::from(chunk.get(index).copied().unwrap_or_default());
        }
        for index in 0..=chunk.len() {
            let letter = (bits >> (18 - 6 * index)) & 63;
            text.push(char::from(LETTERS[usize::try_from(letter).unwrap()]));
        }
    }
    text
}

#[test]
fn properties_are_discovered() {
    use jackfield_sdk::Discovery as _;
    use jackfield_sdk::discovery::{DataType, RemoteField};

    let fields = Playback::file("fixtures/properties.json")
        .run(|| HubSpot::remote_fields(&connection(), "crm.contact"))
        .unwrap();
    let expected = [
        RemoteField {
            label: "Size of shirt".into(),
            custom: true,
            options: vec!["s".into()],
            ..RemoteField::new("shirt_size")
        },
        RemoteField {
            label: "Number of notes".into(),
            data_type: DataType::Number,
            writable: false,
            ..RemoteField::new("num_notes")
        },
    ];
    assert_eq!(fields, expected);
}
