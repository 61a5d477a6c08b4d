use std::time::Duration;

use jackfield::{
    model::{Cursor, Filters, Page, PageRequest, Record, Scope, StoredDocument, Upsert},
    store::Backend,
};
use serde_json::{Value, json};

use crate::support::{START, World, contact, deleted, present, remote_ids};

pub(crate) fn request(limit: u32) -> PageRequest {
    PageRequest {
        cursor: None,
        limit,
        ..PageRequest::default()
    }
}

impl World {
    async fn list(&self, scope: &Scope, request: &PageRequest) -> Page<Record> {
        self.store
            .list_records(scope, contact(), request)
            .await
            .unwrap()
    }

    async fn page(&self, scope: &Scope, limit: u32, cursor: Option<Cursor>) -> Page<Record> {
        self.list(
            scope,
            &PageRequest {
                cursor,
                ..request(limit)
            },
        )
        .await
    }
}

pub(crate) async fn pages_lead_to_the_end_and_back(world: World) {
    let scope = world.connection(&[contact()]).await;
    // Ties: four and then three with the same time, ids not in the order of writing.
    world
        .write(&scope, &["3", "1", "4", "2"].map(|id| present(id, "x")))
        .await;
    world
        .write(&scope, &["7", "5", "6"].map(|id| present(id, "x")))
        .await;

    let first = world.page(&scope, 3, None).await;
    assert_eq!(remote_ids(&first.data), ["1", "2", "3"]);
    assert!(first.previous.is_none() && first.data[0].remote.is_none());
    let second = world.page(&scope, 3, first.next).await;
    assert_eq!(remote_ids(&second.data), ["4", "5", "6"]);
    let third = world.page(&scope, 3, second.next).await;
    assert_eq!(remote_ids(&third.data), ["7"]);
    assert!(third.next.is_none());

    let back = world.page(&scope, 3, third.previous).await;
    assert_eq!(remote_ids(&back.data), ["4", "5", "6"]);
    assert_eq!(back.next, second.next);
    let back = world.page(&scope, 3, back.previous).await;
    assert_eq!(remote_ids(&back.data), ["1", "2", "3"]);
    assert!(back.previous.is_none());
    assert_eq!(
        remote_ids(&world.page(&scope, 3, back.next).await.data),
        ["4", "5", "6"]
    );

    let whole = world.page(&scope, 7, None).await;
    assert!(whole.next.is_none() && whole.previous.is_none());
    let with_remote = PageRequest {
        remote_data: true,
        ..request(1)
    };
    let page = world.list(&scope, &with_remote).await;
    assert_eq!(
        page.data[0].remote.as_deref(),
        Some(r#"{"id":"1","n":"x"}"#)
    );
}

pub(crate) async fn pages_hold_while_records_change(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(
            &scope,
            &["1", "2", "3", "4", "5"].map(|id| present(id, "x")),
        )
        .await;
    let first = world.page(&scope, 2, None).await;
    // The record beside the cursor moves to the end, one behind it goes, one is new.
    world
        .write(
            &scope,
            &[present("2", "y"), deleted("4"), present("6", "x")],
        )
        .await;
    let second = world.page(&scope, 2, first.next).await;
    assert_eq!(remote_ids(&second.data), ["3", "5"]);
    let third = world.page(&scope, 2, second.next).await;
    assert_eq!(remote_ids(&third.data), ["2", "6"]);
    assert!(third.next.is_none());
    let back = world.page(&scope, 2, second.previous).await;
    assert_eq!(remote_ids(&back.data), ["1"]);
}

pub(crate) async fn deleted_records_are_hidden_unless_asked_for(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &["1", "2", "3"].map(|id| present(id, "x")))
        .await;
    world.write(&scope, &[deleted("2")]).await;
    let page = world.page(&scope, 10, None).await;
    assert_eq!(remote_ids(&page.data), ["1", "3"]);
    let page = world
        .list(
            &scope,
            &PageRequest {
                include_deleted: true,
                ..request(10)
            },
        )
        .await;
    assert_eq!(remote_ids(&page.data), ["1", "3", "2"]);
    assert_eq!(page.data[2].deleted_at, Some(page.data[2].modified_at));
    // A hidden record makes no next page.
    let page = world.page(&scope, 2, None).await;
    assert!(page.next.is_none());
}

pub(crate) async fn modified_after_bounds_both_directions(world: World) {
    let scope = world.connection(&[contact()]).await;
    for id in ["1", "2", "3", "4"] {
        world.write(&scope, &[present(id, "x")]).await;
        world.clock.advance(Duration::from_secs(1));
    }
    let after = |cursor| PageRequest {
        cursor,
        modified_after: Some(START),
        ..request(2)
    };
    let first = world.list(&scope, &after(None)).await;
    assert_eq!(remote_ids(&first.data), ["2", "3"]);
    assert!(first.previous.is_none());
    let second = world.list(&scope, &after(first.next)).await;
    assert_eq!(remote_ids(&second.data), ["4"]);
    let back = world.list(&scope, &after(second.previous)).await;
    assert_eq!(remote_ids(&back.data), ["2", "3"]);
    assert!(back.previous.is_none());
}

pub(crate) async fn an_empty_page_still_leads_back(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &["1", "2", "3"].map(|id| present(id, "x")))
        .await;
    let first = world.page(&scope, 2, None).await;
    let last = world.page(&scope, 2, first.next).await;
    world.write(&scope, &[deleted("3")]).await;
    let empty = world.page(&scope, 2, first.next).await;
    assert!(empty.data.is_empty() && empty.next.is_none());
    assert_eq!(
        remote_ids(&world.page(&scope, 2, empty.previous).await.data),
        ["1", "2"]
    );
    world
        .write(&scope, &[deleted("1"), deleted("2"), present("3", "x")])
        .await;
    let empty = world.page(&scope, 2, last.previous).await;
    assert!(empty.data.is_empty() && empty.previous.is_none());
    assert_eq!(
        remote_ids(&world.page(&scope, 2, empty.next).await.data),
        ["3"]
    );
}

pub(crate) async fn one_record_is_read_by_its_id(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.write(&scope, &[present("a/ü", "Ada")]).await;
    let id = world.store.record_id(&scope, contact(), "a/ü");
    let read = |remote| world.store.record(&scope, contact(), id, remote);
    let record = read(false).await.unwrap().unwrap();
    assert_eq!(
        (record.id, record.remote_id.as_str(), record.remote),
        (id, "a/ü", None)
    );
    assert!(read(true).await.unwrap().unwrap().remote.is_some());
    let unknown = world.store.record_id(&scope, contact(), "unknown");
    assert!(
        world
            .store
            .record(&scope, contact(), unknown, false)
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn remote_ids_are_looked_up_in_bulk(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &["1", "two", "3"].map(|id| present(id, "x")))
        .await;
    world.write(&scope, &[deleted("3")]).await;
    let ids = ["1", "two", "3", "4"].map(|id| world.store.record_id(&scope, contact(), id));
    let found = world
        .store
        .remote_ids(&scope, contact(), &ids)
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[&ids[1]], "two");
    assert!(
        world
            .store
            .remote_ids(&scope, contact(), &[])
            .await
            .unwrap()
            .is_empty()
    );
}

fn document(remote_id: &str, unified: &Value) -> Upsert {
    Upsert {
        document: StoredDocument::Present {
            unified: unified.to_string(),
            remote: "{}".into(),
            custom: "{}".into(),
        },
        ..present(remote_id, "")
    }
}

fn filtered(limit: u32, fields: &Value) -> PageRequest {
    let filters = Filters {
        remote_id: None,
        fields: fields.as_object().unwrap().clone(),
    };
    PageRequest {
        filters,
        ..request(limit)
    }
}

pub(crate) async fn created_after_hides_what_was_there_before(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.write(&scope, &[present("1", "x")]).await;
    world.clock.advance(Duration::from_secs(1));
    world
        .write(&scope, &[present("1", "y"), present("2", "x")])
        .await;
    world.clock.advance(Duration::from_secs(1));
    world.write(&scope, &[present("3", "x")]).await;
    let after = |cursor| PageRequest {
        cursor,
        created_after: Some(START),
        ..request(1)
    };
    let first = world.list(&scope, &after(None)).await;
    assert_eq!(remote_ids(&first.data), ["2"]);
    assert!(first.previous.is_none());
    let second = world.list(&scope, &after(first.next)).await;
    assert_eq!(remote_ids(&second.data), ["3"]);
    assert!(second.next.is_none());
    let back = world.list(&scope, &after(second.previous)).await;
    assert_eq!(remote_ids(&back.data), ["2"]);
    assert!(back.previous.is_none() && back.next.is_some());
}

pub(crate) async fn filters_compare_texts_numbers_and_booleans(world: World) {
    let scope = world.connection(&[contact()]).await;
    let odd = "a \"quoted\" b\\c \u{1} \u{1f600} ü/";
    world
        .write(
            &scope,
            &[
                document("1", &json!({"name": "Ada", "size": 1, "open": true})),
                document("2", &json!({"name": "Ada", "size": 2.5, "open": false})),
                document("3", &json!({"name": odd, "size": 1.0, "open": null})),
                document("4", &json!({"name": "ada", "size": null})),
                document("5", &json!({"name": "1", "size": 1e300, "nul": "a\u{0}b"})),
                document("6", &json!({"name": "true"})),
            ],
        )
        .await;
    for (fields, found) in [
        (json!({"name": "Ada"}), vec!["1", "2"]),
        (json!({"name": odd}), vec!["3"]),
        (json!({"name": "1"}), vec!["5"]),
        (json!({"name": "true"}), vec!["6"]),
        (json!({"size": 1}), vec!["1", "3"]),
        (json!({"size": 2.50}), vec!["2"]),
        (json!({"size": 1e300}), vec!["5"]),
        (json!({"open": true}), vec!["1"]),
        (json!({"open": false}), vec!["2"]),
        (json!({"name": "Ada", "size": 2.5}), vec!["2"]),
        (json!({"name": "Ada", "size": 3}), vec![]),
        (json!({"nobody": "Ada"}), vec![]),
    ] {
        let page = world.list(&scope, &filtered(10, &fields)).await;
        assert_eq!(remote_ids(&page.data), found, "{fields}");
        assert!(page.next.is_none() && page.previous.is_none());
    }
}

pub(crate) async fn filtered_pages_lead_to_the_end_and_back(world: World) {
    let scope = world.connection(&[contact()]).await;
    let page: Vec<Upsert> = (0..30)
        .map(|number| document(&number.to_string(), &json!({"third": number % 3 == 0})))
        .collect();
    world.write(&scope, &page).await;
    let third = |cursor| PageRequest {
        cursor,
        ..filtered(4, &json!({"third": true}))
    };
    let first = world.list(&scope, &third(None)).await;
    assert_eq!(remote_ids(&first.data), ["0", "3", "6", "9"]);
    assert!(first.previous.is_none());
    let second = world.list(&scope, &third(first.next)).await;
    assert_eq!(remote_ids(&second.data), ["12", "15", "18", "21"]);
    let last = world.list(&scope, &third(second.next)).await;
    assert_eq!(remote_ids(&last.data), ["24", "27"]);
    assert!(last.next.is_none());
    let back = world.list(&scope, &third(last.previous)).await;
    assert_eq!(remote_ids(&back.data), remote_ids(&second.data));
    let back = world.list(&scope, &third(back.previous)).await;
    assert_eq!(remote_ids(&back.data), remote_ids(&first.data));
    assert!(back.previous.is_none() && back.next.is_some());
}

pub(crate) async fn a_remote_id_is_looked_up(world: World) {
    let scope = world.connection(&[contact()]).await;
    let other = world.connection(&[contact()]).await;
    world
        .write(&scope, &["1", "2", "3"].map(|id| present(id, "x")))
        .await;
    world.write(&scope, &[deleted("3")]).await;
    let by = |remote_id: &str, fields: Value| PageRequest {
        filters: Filters {
            remote_id: Some(remote_id.into()),
            fields: fields.as_object().unwrap().clone(),
        },
        ..request(10)
    };
    let found = world.list(&scope, &by("2", json!({}))).await;
    assert_eq!(remote_ids(&found.data), ["2"]);
    assert!(found.next.is_none() && found.previous.is_none());
    let also = by("2", json!({"first_name": "x"}));
    assert_eq!(world.list(&scope, &also).await.data.len(), 1);
    let but = by("2", json!({"first_name": "y"}));
    assert!(world.list(&scope, &but).await.data.is_empty());
    for (scope, remote_id) in [(&scope, "3"), (&scope, "4"), (&other, "2")] {
        let page = world.list(scope, &by(remote_id, json!({}))).await;
        assert!(page.data.is_empty(), "{remote_id}");
    }
}

pub(crate) async fn several_records_are_read_by_their_ids(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &["1", "2", "3"].map(|id| present(id, "x")))
        .await;
    world.write(&scope, &[deleted("3")]).await;
    let ids = ["1", "2", "3", "4"].map(|id| world.store.record_id(&scope, contact(), id));
    let read = world.store.records(&scope, contact(), &ids, true).await;
    let read = read.unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read[&ids[1]].remote_id, "2");
    assert!(read[&ids[1]].remote.is_some());
    let gone = world.store.remote_id(&scope, contact(), ids[2]).await;
    assert_eq!(gone.unwrap().as_deref(), Some("3"));
    let never = world.store.remote_id(&scope, contact(), ids[3]).await;
    assert_eq!(never.unwrap(), None);
}

/// Whatever the page, the database goes to its place in the index and reads on from there.
pub(crate) async fn every_page_is_a_walk_along_the_index(world: World) {
    let scope = world.connection(&[contact()]).await;
    let page: Vec<Upsert> = (0..2_000)
        .map(|number| document(&number.to_string(), &json!({"size": number})))
        .collect();
    for page in page.chunks(100) {
        world.write(&scope, page).await;
    }
    world.tamper("ANALYZE").await;
    let middle = world.page(&scope, 1_000, None).await;
    let forward = middle.next.unwrap();
    let backward = Cursor {
        backward: true,
        ..forward
    };
    for cursor in [None, Some(forward), Some(backward)] {
        for fields in [json!({}), json!({"size": 7})] {
            let request = PageRequest {
                cursor,
                created_after: Some(START),
                ..filtered(50, &fields)
            };
            let plan = world.store.explain_list(&scope, contact(), &request).await;
            let plan = plan.unwrap().join("\n");
            let (walk, bound) = match world.store.backend() {
                Backend::Sqlite => (
                    "record USING INDEX record_by_change (connection=? AND object=? AND ",
                    "(modified_at,id)>(?,?) AND (modified_at,id)<(?,?)",
                ),
                Backend::Postgres => (
                    "using record_by_change on record",
                    "(ROW(modified_at, id) > ",
                ),
            };
            assert_eq!(plan.matches(walk).count(), 2, "{plan}");
            assert!(plan.contains(bound), "{plan}");
            for slow in ["Sort", "TEMP B-TREE", "SCAN record", "Seq Scan"] {
                assert!(!plan.contains(slow), "{slow}:\n{plan}");
            }
        }
    }
}
