//! The connector against recorded answers of Redmine 5.0.4. What the server holds is described in `seed.rs` of the
//! crate `real-redmine`; the fixtures were recorded from a fresh one, except where they say `constructed`.

use jackfield_sdk::testing::{
    Playback, check_mappings, connection, create, delete, desunify, fetch, unify, update,
};
use jackfield_sdk::{Connector, Failure, FetchRequest, Page, RemoteRecord};
use serde_json::{Value, json};

use super::Redmine;

const TICKET: &str = "ticketing.ticket";
const COMMENT: &str = "ticketing.comment";

fn play<T>(name: &str, work: impl FnOnce() -> T) -> T {
    Playback::file(format!("fixtures/{name}.json")).run(work)
}

fn read(request: &FetchRequest) -> Result<Page, Failure> {
    Redmine::fetch_records(&connection(&[]), request)
}

fn one(object: &str, id: &str) -> Result<RemoteRecord, Failure> {
    let page = read(&FetchRequest {
        remote_id: Some(id.into()),
        ..fetch(object)
    })?;
    assert_eq!((page.records.len(), &page.next_cursor), (1, &None));
    Ok(page.records.into_iter().next().unwrap())
}

/// The ids of each page, from first to last.
fn walk(mut request: FetchRequest, pages: usize) -> Vec<Vec<String>> {
    let mut seen = Vec::new();
    while seen.len() < pages {
        let page = read(&request).unwrap();
        assert!(
            page.records.len() <= request.limit as usize,
            "a page is larger than asked for"
        );
        seen.push(
            page.records
                .into_iter()
                .map(|record| record.remote_id)
                .collect(),
        );
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    seen
}

fn data(record: &RemoteRecord) -> Value {
    serde_json::from_str(record.data.as_ref().unwrap().get()).unwrap()
}

fn unified(object: &str, record: &RemoteRecord) -> Value {
    unify::<Redmine>(object, &[data(record)], &[])
        .unwrap()
        .remove(0)
}

/// Writes a unified object as the host would, `desunify` first.
fn write(object: &str, id: Option<&str>, unified: &Value) -> Result<RemoteRecord, Failure> {
    write_with(object, id, unified, &[])
}

fn write_with(
    object: &str,
    id: Option<&str>,
    unified: &Value,
    fields: &[(&str, &str)],
) -> Result<RemoteRecord, Failure> {
    let input = desunify::<Redmine>(object, unified, fields)?;
    let request = id.map_or_else(|| create(object, &input), |id| update(object, id, &input));
    Redmine::push_record(&connection(&[]), &request)
}

fn erase(object: &str, id: &str) -> RemoteRecord {
    Redmine::push_record(&connection(&[]), &delete(object, id)).unwrap()
}

fn field_of(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Invalid(invalid) => invalid.field.as_deref(),
        _ => None,
    }
}

#[test]
fn mappings() {
    check_mappings::<Redmine>("fixtures");
}

#[test]
fn account() {
    let accounts = play("account", || Redmine::authenticate(&connection(&[]))).unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!(
        (
            accounts[0].remote_id.as_str(),
            accounts[0].display_name.as_deref()
        ),
        ("1", Some("Redmine Admin"))
    );
}

#[test]
fn public_server_with_a_revoked_key() {
    let failure = play("public_server_with_a_revoked_key", || {
        read(&fetch("ticketing.collection"))
    })
    .unwrap_err();
    assert!(matches!(failure, Failure::Unauthorized(_)), "{failure:?}");
}

#[test]
fn tickets_of_one_second_over_pages_while_one_changes() {
    let pages = play("tickets_of_one_second_over_pages_while_one_changes", || {
        let since = Some("2026-01-07T01:00:00.000Z".to_owned());
        let first = FetchRequest {
            since,
            limit: 3,
            ..fetch(TICKET)
        };
        let page = read(&first).unwrap();
        assert_eq!(
            page.records[0].modified_at.as_deref(),
            Some("2026-01-07T01:00:00Z")
        );
        // What is done already moves to the end of the list, and all behind it move up.
        write(TICKET, Some("42"), &json!({ "name": "Changed under way" })).unwrap();
        let rest = FetchRequest {
            cursor: page.next_cursor,
            ..first
        };
        [
            vec![
                page.records
                    .into_iter()
                    .map(|record| record.remote_id)
                    .collect(),
            ],
            walk(rest, 3),
        ]
        .concat()
    });
    assert_eq!(
        pages,
        [
            ["41", "42", "43"],
            ["41", "43", "44"],
            ["45", "46", "47"],
            ["48", "49", "50"]
        ]
    );
}

#[test]
fn tickets_end() {
    let pages = play("tickets_end", || {
        walk(
            FetchRequest {
                since: Some("2026-01-10T14:00:00Z".into()),
                limit: 4,
                ..fetch(TICKET)
            },
            9,
        )
    });
    assert_eq!(pages, [vec!["126", "127", "128", "129"], vec!["130"]]);
}

#[test]
fn ticket() {
    let record = play("ticket", || one(TICKET, "1")).unwrap();
    assert_eq!(
        unified(TICKET, &record),
        json!({
            "name": "Issue number 1", "status": "OPEN",
            "description": "What happened in case 1: *bold*, \"quoted\", naïve façade, 日本語",
            "due_date": null, "type": "Feature", "parent_ticket": null, "collections": ["1"],
            "tags": ["tracker:2", "category:1"], "completed_at": null, "priority": "LOW", "assigned_to": ["5"],
            "attachments": ["1:1"]
        })
    );
}

#[test]
fn ticket_that_is_not_there() {
    let failure = play("ticket_that_is_not_there", || one(TICKET, "9999")).unwrap_err();
    assert!(matches!(failure, Failure::NotFound(_)), "{failure:?}");
}

#[test]
fn ticket_created_closed_with_a_comment() {
    let record = play("ticket_created_closed_with_a_comment", || {
        let ticket = json!({
            "name": "Printer", "description": "It burns", "status": "CLOSED", "priority": "HIGH", "type": "BUG",
            "collections": ["1"], "tags": ["Billing"], "assigned_to": ["6"], "parent_ticket": "8",
            "due_date": "2027-03-01T12:00:00.000Z",
            "comment": { "body": "Put out", "is_private": true },
            "field_mappings": { "severity": "S1", "progress": 50 }
        });
        let record = write_with(
            TICKET,
            None,
            &ticket,
            &[("severity", "Severity"), ("progress", "done_ratio")],
        )
        .unwrap();
        let comments = read(&FetchRequest {
            since: record.modified_at.clone(),
            ..fetch(COMMENT)
        })
        .unwrap();
        let comment = unified(COMMENT, comments.records.last().unwrap());
        assert_eq!(
            (&comment["body"], &comment["is_private"]),
            (&json!("Put out"), &json!(true))
        );
        record
    });
    let fields = [("severity", "cf_1"), ("progress", "done_ratio")];
    let mut ticket = unify::<Redmine>(TICKET, &[data(&record)], &fields)
        .unwrap()
        .remove(0);
    assert!(ticket["completed_at"].take().is_string());
    assert_eq!(
        ticket,
        json!({
            "name": "Printer", "status": "CLOSED", "description": "It burns", "due_date": "2027-03-01T00:00:00.000Z",
            "type": "BUG", "parent_ticket": "8", "collections": ["1"], "tags": ["tracker:1", "category:1"],
            "completed_at": null, "priority": "HIGH", "assigned_to": ["6"], "attachments": [],
            "field_mappings": { "severity": "S1", "progress": 50 }
        })
    );
}

#[test]
fn ticket_refused() {
    play("ticket_refused", || {
        let refuse = |id, ticket: Value| write(TICKET, id, &ticket).unwrap_err();
        let failure = refuse(
            None,
            json!({ "name": "", "description": "x", "collections": ["1"] }),
        );
        assert_eq!(
            (field_of(&failure), failure.message().as_str()),
            (Some("name"), "name: Subject cannot be blank")
        );
        let failure = refuse(
            None,
            json!({ "name": "x", "collections": ["1"], "assigned_to": ["77"] }),
        );
        assert_eq!(field_of(&failure), Some("assigned_to"));
        let failure = refuse(None, json!({ "name": "x", "collections": ["99"] }));
        assert_eq!(field_of(&failure), Some("collections"));
        let failure = refuse(
            None,
            json!({ "name": "x", "collections": ["1"], "type": "TASK" }),
        );
        assert_eq!(
            failure.message(),
            "type: Redmine has no tracker TASK, only Bug, Feature, Support"
        );
        let failure = refuse(Some("2"), json!({ "parent_ticket": "2" }));
        assert_eq!(field_of(&failure), Some("parent_ticket"));
        // Issue 5 is part of it and open.
        let failure = refuse(
            Some("1"),
            json!({ "name": "Not even this", "status": "CLOSED" }),
        );
        assert_eq!(
            failure.message(),
            "status: the issue cannot become CLOSED now; Redmine allows New, In Progress, Resolved, Feedback"
        );
        assert_eq!(
            data(&one(TICKET, "1").unwrap())["subject"],
            "Issue number 1"
        );
    });
    let failure =
        Playback::empty().run(|| write(TICKET, None, &json!({ "name": "x" })).unwrap_err());
    assert_eq!(field_of(&failure), Some("collections"));
}

#[test]
fn ticket_updated() {
    play("ticket_updated", || {
        // Number 3 is "Urgent" already, which is HIGH: it stays.
        let change = json!({
            "status": "IN_PROGRESS", "priority": "HIGH", "assigned_to": [], "tags": ["tracker:3"],
            "field_mappings": { "severity": "S5" }
        });
        let record = write_with(TICKET, Some("3"), &change, &[("severity", "Severity")]).unwrap();
        let document = data(&record);
        assert_eq!(document["status"]["name"], "In Progress");
        assert_eq!(document["priority"]["name"], "Urgent");
        assert_eq!(document["tracker"]["id"], 3);
        assert_eq!(
            document["subject"], "Issue number 3",
            "what is not said stays"
        );
        assert_eq!(
            (document.get("assigned_to"), document.get("category")),
            (None, None)
        );
        assert_eq!(document["custom_fields"][0]["value"], "S5");

        let record = write(
            TICKET,
            Some("3"),
            &json!({ "priority": "LOW", "due_date": null }),
        )
        .unwrap();
        assert_eq!(data(&record)["priority"]["name"], "Low");
    });
}

#[test]
fn ticket_deleted_twice() {
    play("ticket_deleted_twice", || {
        assert!(erase(TICKET, "9").deleted);
        assert!(erase(TICKET, "9").deleted);
        assert!(matches!(one(TICKET, "9"), Err(Failure::NotFound(_))));
    });
}

#[test]
fn comments_over_pages() {
    let pages = play("comments_over_pages", || {
        walk(
            FetchRequest {
                limit: 3,
                ..fetch(COMMENT)
            },
            2,
        )
    });
    assert_eq!(pages, [["1:2", "1:3", "4:4"], ["4:5", "7:6", "7:7"]]);
}

#[test]
fn comment_written_changed_deleted() {
    play("comment_written_changed_deleted", || {
        let comment = json!({ "body": "Line one\nline two", "ticket_id": "6", "is_private": true });
        let record = write(COMMENT, None, &comment).unwrap();
        assert_eq!(
            unified(COMMENT, &record),
            json!({
                "body": "Line one\nline two", "is_private": true, "creator_type": "USER", "ticket_id": "6",
                "user_id": "1", "attachments": []
            })
        );
        let id = record.remote_id;
        let changed = write(
            COMMENT,
            Some(&id),
            &json!({ "body": "Shorter", "is_private": false }),
        )
        .unwrap();
        assert_eq!(changed.remote_id, id);
        assert_eq!(
            (&data(&changed)["notes"], &data(&changed)["private_notes"]),
            (&json!("Shorter"), &json!(false))
        );
        assert!(erase(COMMENT, &id).deleted);
        assert!(erase(COMMENT, &id).deleted);
        assert!(matches!(one(COMMENT, &id), Err(Failure::NotFound(_))));
    });
    let failure = Playback::empty()
        .run(|| write(COMMENT, None, &json!({ "body": " ", "ticket_id": "6" })).unwrap_err());
    assert_eq!(field_of(&failure), Some("body"));
    assert!(matches!(
        Playback::empty().run(|| one(COMMENT, "12")),
        Err(Failure::NotFound(_))
    ));
}

#[test]
fn member_may_not_write_in_private() {
    let comment = json!({ "body": "Psst", "ticket_id": "8", "is_private": true });
    let failure = play("member_may_not_write_in_private", || {
        let failure = write(COMMENT, None, &comment).unwrap_err();
        let comments = read(&FetchRequest {
            since: Some("2026-01-10T18:00:00Z".into()),
            ..fetch(COMMENT)
        });
        assert!(
            comments.unwrap().records.is_empty(),
            "something was written"
        );
        failure
    });
    assert!(matches!(failure, Failure::Forbidden(_)), "{failure:?}");
}

#[test]
fn member_writes_in_private() {
    let comment = json!({ "body": "Psst", "ticket_id": "8", "is_private": true });
    let record = play("member_writes_in_private", || {
        write(COMMENT, None, &comment)
    })
    .unwrap();
    assert_eq!(unified(COMMENT, &record)["is_private"], true);
}

#[test]
fn users() {
    let pages = play("users", || {
        let pages = walk(
            FetchRequest {
                limit: 3,
                ..fetch("ticketing.user")
            },
            9,
        );
        let alice = one("ticketing.user", "5").unwrap();
        assert!(
            data(&alice).get("api_key").is_none(),
            "the key of a user was kept"
        );
        assert_eq!(
            unified("ticketing.user", &alice),
            json!({ "name": "Alice Archer", "email_address": "alice@example.com" })
        );
        pages
    });
    assert_eq!(pages, [vec!["1", "5", "6"], vec!["7"]]);
}

#[test]
fn member_sees_members_for_users() {
    let pages = play("member_sees_members_for_users", || {
        assert!(matches!(
            read(&fetch("ticketing.team")),
            Err(Failure::Forbidden(_))
        ));
        walk(
            FetchRequest {
                limit: 1,
                ..fetch("ticketing.user")
            },
            9,
        )
    });
    assert_eq!(pages, [["5"], ["6"]]);
}

#[test]
fn lists() {
    play("lists", || {
        let of = |object, limit| {
            walk(
                FetchRequest {
                    limit,
                    ..fetch(object)
                },
                9,
            )
        };
        assert_eq!(of("ticketing.collection", 2), [vec!["1", "2"], vec!["3"]]);
        assert_eq!(of("ticketing.team", 1), [["8"]]);
        let tags = of("ticketing.tag", 4);
        assert_eq!(
            tags,
            [
                vec!["tracker:1", "tracker:2", "tracker:3", "category:1"],
                vec!["category:2", "category:3"]
            ]
        );
        assert_eq!(
            walk(
                FetchRequest {
                    limit: 2,
                    ..fetch("ticketing.attachment")
                },
                1
            ),
            [["1:1"]]
        );
    });
}

#[test]
fn single_records() {
    play("single_records", || {
        let named = |object: &str, id: &str| unified(object, &one(object, id).unwrap());
        assert_eq!(
            named("ticketing.collection", "1"),
            json!({ "name": "Support", "description": "Everything about support", "collection_type": "PROJECT" })
        );
        assert_eq!(
            named("ticketing.team", "8"),
            json!({ "name": "Support team", "description": null })
        );
        assert_eq!(
            named("ticketing.tag", "tracker:1"),
            json!({ "name": "Bug" })
        );
        assert_eq!(
            named("ticketing.tag", "category:3"),
            json!({ "name": "Layout" })
        );
        assert_eq!(named(COMMENT, "1:3")["body"], "Second note on 1");
        assert_eq!(
            named("ticketing.attachment", "1:1"),
            json!({
                "file_name": "screen.txt", "uploader": "6", "ticket_id": "1",
                "file_url": "https://redmine.example.com/attachments/download/1/screen.txt"
            })
        );
    });
}
