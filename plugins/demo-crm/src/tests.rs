use jackfield_sdk::choices::Choice;
use jackfield_sdk::testing::{self, Playback};
use jackfield_sdk::{Choices as _, Connector as _, Failure, FetchRequest, PushRequest};
use serde_json::{Value, json};

use super::DemoCrm;

#[test]
fn mappings_are_as_the_fixtures_say() {
    testing::check_mappings::<DemoCrm>("fixtures");
}

#[test]
fn the_account_is_found() {
    let accounts = Playback::file("fixtures/account.json")
        .run(|| DemoCrm::authenticate(&testing::connection(&[])))
        .unwrap();
    assert_eq!(accounts[0].remote_id, "demo-account");
    assert_eq!(accounts[0].display_name.as_deref(), Some("Demo CRM"));
}

#[test]
fn pages_follow_each_other_and_tell_of_deleted_records() {
    Playback::file("fixtures/pages.json").run(|| {
        let first = FetchRequest {
            since: Some("2026-01-01T00:00:00.000Z".into()),
            limit: 500,
            ..testing::fetch("crm.contact")
        };
        let page = fetch(&first);
        assert_eq!(page.records[0].remote_id, "10001");
        assert_eq!(page.records[0].version.as_deref(), Some("2"));
        let document: Value =
            serde_json::from_str(page.records[0].data.as_ref().unwrap().get()).unwrap();
        assert_eq!(document["job_title"], "Buyer", "the document stays whole");

        let second = FetchRequest {
            cursor: page.next_cursor,
            ..first
        };
        let page = fetch(&second);
        assert!(page.records[0].deleted && page.records[0].data.is_none());
        assert_eq!(page.next_cursor, None);
    });
}

#[test]
fn one_record_is_read_by_its_id() {
    let one = FetchRequest {
        remote_id: Some("3001".into()),
        ..testing::fetch("crm.company")
    };
    let page = Playback::file("fixtures/one.json").run(|| fetch(&one));
    assert_eq!(page.records.len(), 1);
}

#[test]
fn writes_carry_the_key_and_the_version() {
    Playback::file("fixtures/writes.json").run(|| {
        let created = push(&testing::create(
            "crm.contact",
            &json!({ "given_name": "Ada" }),
        ))
        .unwrap();
        assert_eq!(created.remote_id, "10501");
        let update = testing::update("crm.contact", "10501", &json!({ "phone": null }));
        let updated = push(&PushRequest {
            version: Some("1".into()),
            ..update
        });
        assert_eq!(updated.unwrap().version.as_deref(), Some("2"));
        let deleted = push(&testing::delete("crm.contact", "10501")).unwrap();
        assert!(deleted.deleted);
    });
}

#[test]
fn users_can_be_chosen_as_owners_and_then_own_what_is_created() {
    let connection = testing::connection(&[("owner", "1003")]);
    Playback::file("fixtures/owners.json").run(|| {
        assert_eq!(
            DemoCrm::setting_choices(&connection, "owner").unwrap(),
            [Choice::new("1001", "Zoe Ng"), Choice::new("1003", "1003")]
        );
        for data in [
            json!({ "title": "Chairs" }),
            json!({ "title": "Desks", "owner": 1001 }),
        ] {
            let create = testing::create("crm.deal", &data);
            DemoCrm::push_record(&connection, &create).unwrap();
        }
    });
    assert!(matches!(
        DemoCrm::setting_choices(&connection, "colour"),
        Err(Failure::Unsupported(_))
    ));
}

#[test]
fn refusals_name_the_unified_field() {
    Playback::file("fixtures/refusals.json").run(|| {
        let create = testing::create("crm.contact", &json!({ "mail": "nobody" }));
        assert_eq!(
            push(&create).unwrap_err(),
            Failure::invalid_field("email_addresses", "must be a mail address")
        );
        let update = testing::update("crm.deal", "50001", &json!({}));
        let stale = PushRequest {
            version: Some("1".into()),
            ..update
        };
        assert!(matches!(push(&stale), Err(Failure::Conflict(_))));
        let gone = testing::delete("crm.note", "1");
        assert!(matches!(push(&gone), Err(Failure::NotFound(_))));
        let limited = testing::delete("crm.task", "1");
        assert_eq!(push(&limited).unwrap_err(), Failure::RateLimited(Some(7)));
    });
}

fn fetch(request: &FetchRequest) -> super::Page {
    DemoCrm::fetch_records(&testing::connection(&[]), request).unwrap()
}

fn push(request: &PushRequest) -> Result<super::RemoteRecord, Failure> {
    DemoCrm::push_record(&testing::connection(&[]), request)
}
