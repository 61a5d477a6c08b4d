use std::time::Duration;

use jackfield::model::{Cursor, Page, PageRequest, Record, Scope};

use crate::support::{START, World, contact, deleted, present, remote_ids};

pub(crate) fn request(limit: u32) -> PageRequest {
    PageRequest {
        cursor: None,
        limit,
        modified_after: None,
        include_deleted: false,
        remote_data: false,
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
