use std::{collections::HashSet, time::Duration};

use jackfield::{
    model::{Change, StoredDocument, Timestamp, Upsert},
    store::{Error, Source},
};

use crate::{
    lists::request,
    support::{READ, START, World, company, contact, deleted, present, remote_ids},
};

pub(crate) async fn each_change_is_told_from_the_others(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(
            &scope,
            &[
                present("1", "Ada"),
                present("2", "Bob"),
                present("3", "Cyd"),
            ],
        )
        .await;
    let outcome = world
        .write(
            &scope,
            &[
                deleted("3"),
                present("2", "Bea"),
                present("1", "Ada"),
                present("4", "Dan"),
                deleted("9"),
            ],
        )
        .await;
    assert_eq!(
        outcome.changes,
        [
            Change::Deleted,
            Change::Updated,
            Change::Unchanged,
            Change::Created,
            Change::Unchanged
        ]
    );
    assert_eq!(
        (
            outcome.created,
            outcome.updated,
            outcome.deleted,
            outcome.unchanged
        ),
        (1, 1, 1, 2)
    );
    let again = world.write(&scope, &[deleted("3")]).await;
    assert_eq!(again.changes, [Change::Unchanged]);
    let custom = Upsert {
        document: StoredDocument::Present {
            unified: r#"{"first_name":"Ada"}"#.into(),
            remote: "{}".into(),
            custom: r#"{"tier":"gold"}"#.into(),
        },
        ..present("1", "Ada")
    };
    assert_eq!(
        world.write(&scope, &[custom]).await.changes,
        [Change::Updated]
    );
    // The same ids of another object are other records.
    let outcome = world
        .store
        .apply_page(&scope, company(), &[present("1", "Ada")], READ)
        .await
        .unwrap();
    assert_eq!(outcome.changes, [Change::Created]);
    assert_eq!(world.write(&scope, &[]).await.changes, []);
}

pub(crate) async fn a_change_of_the_providers_document_alone_is_silent(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.write(&scope, &[present("1", "Ada")]).await;
    let id = world.store.record_id(&scope, contact(), "1");
    let before = world
        .store
        .record(&scope, contact(), id, true)
        .await
        .unwrap()
        .unwrap();
    world.clock.advance(Duration::from_secs(1));
    let changed = Upsert {
        document: StoredDocument::Present {
            unified: before.unified.clone(),
            remote: r#"{"id":"1","visits":7}"#.into(),
            custom: "{}".into(),
        },
        remote_version: Some("v2".into()),
        remote_modified_at: Some(START),
        ..present("1", "Ada")
    };
    assert_eq!(
        world.write(&scope, &[changed]).await.changes,
        [Change::Unchanged]
    );
    let after = world
        .store
        .record(&scope, contact(), id, true)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(after.remote.as_deref(), Some(r#"{"id":"1","visits":7}"#));
    assert_eq!(after.remote_version.as_deref(), Some("v2"));
    assert_eq!(after.modified_at, before.modified_at);
    assert_eq!(
        world.event_types(scope.project()).await,
        ["connection.created", "crm.contact.created"]
    );
}

pub(crate) async fn a_deleted_record_may_come_back(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.write(&scope, &[present("1", "Ada")]).await;
    let id = world.store.record_id(&scope, contact(), "1");
    let first = world
        .store
        .record(&scope, contact(), id, false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(world.write(&scope, &[deleted("1")]).await.deleted, 1);
    assert!(
        world
            .store
            .record(&scope, contact(), id, false)
            .await
            .unwrap()
            .is_none()
    );
    // With the very same values: still a creation for whoever saw it go.
    assert_eq!(
        world.write(&scope, &[present("1", "Ada")]).await.changes,
        [Change::Created]
    );
    let back = world
        .store
        .record(&scope, contact(), id, false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((back.created_at, back.deleted_at), (first.created_at, None));
    assert!(back.modified_at > first.modified_at);
}

pub(crate) async fn the_last_of_two_with_one_id_wins(world: World) {
    let scope = world.connection(&[contact()]).await;
    let outcome = world
        .write(
            &scope,
            &[
                present("1", "Old"),
                present("2", "Bob"),
                present("1", "New"),
            ],
        )
        .await;
    assert_eq!(
        outcome.changes,
        [Change::Unchanged, Change::Created, Change::Created]
    );
    let id = world.store.record_id(&scope, contact(), "1");
    let record = world
        .store
        .record(&scope, contact(), id, false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.unified, r#"{"first_name":"New"}"#);
}

pub(crate) async fn events_carry_the_record(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.write(&scope, &[present("1", "Ada")]).await;
    world.clock.advance(Duration::from_secs(1));
    world.write(&scope, &[present("1", "Eve")]).await;
    world.clock.advance(Duration::from_secs(1));
    world.write(&scope, &[deleted("1")]).await;
    let rows = world.store.events(scope.project(), 1, 3).await.unwrap();
    let told: Vec<(String, serde_json::Value)> = rows
        .iter()
        .map(|row| {
            (
                row.event.kind.0.clone(),
                serde_json::from_str(&row.event.data).unwrap(),
            )
        })
        .collect();
    let types: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        types,
        [
            "crm.contact.deleted",
            "crm.contact.updated",
            "crm.contact.created"
        ]
    );
    let id = world.store.record_id(&scope, contact(), "1").to_string();
    assert!(
        told.iter()
            .all(|(_, data)| data["id"] == id.as_str() && data["remote_id"] == "1")
    );
    let names: Vec<_> = told
        .iter()
        .map(|(_, data)| data["first_name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Eve", "Eve", "Ada"]);
    assert_eq!(told[0].1["deleted_at"], told[0].1["modified_at"]);
    assert_eq!(told[1].1["created_at"], told[2].1["created_at"]);
    // The second page of a list of events goes on where the first ended.
    let second = world.store.events(scope.project(), 2, 3).await.unwrap();
    assert_eq!(second[0].event.kind.0, "connection.created");
    assert_eq!(second.len(), 1);
}

pub(crate) async fn times_go_forward_while_the_clock_stands(world: World) {
    let scope = world.connection(&[contact()]).await;
    for number in 0..5 {
        world
            .write(&scope, &[present(&number.to_string(), "x")])
            .await;
    }
    let page = world
        .store
        .list_records(&scope, contact(), &request(10))
        .await
        .unwrap();
    let times: Vec<Timestamp> = page.data.iter().map(|record| record.modified_at).collect();
    assert!(
        times.is_sorted_by(|earlier, later| earlier < later),
        "{times:?}"
    );
}

pub(crate) async fn a_large_page_is_written_at_once(world: World) {
    let scope = world.connection(&[contact()]).await;
    let upserts: Vec<Upsert> = (0..1000)
        .map(|number| present(&format!("c{number}"), "Ada"))
        .collect();
    let outcome = world.write(&scope, &upserts).await;
    assert_eq!((outcome.created, outcome.changes.len()), (1000, 1000));
    let again = world.write(&scope, &upserts).await;
    assert_eq!(again.unchanged, 1000);
    let ids: Vec<_> = upserts
        .iter()
        .map(|upsert| world.store.record_id(&scope, contact(), &upsert.remote_id))
        .collect();
    assert_eq!(
        world
            .store
            .remote_ids(&scope, contact(), &ids)
            .await
            .unwrap()
            .len(),
        1000
    );
    let events = world.event_types(scope.project()).await;
    assert_eq!(
        events
            .iter()
            .filter(|kind| *kind == "crm.contact.created")
            .count(),
        1000
    );
}

pub(crate) async fn concurrent_writers_of_a_connection_take_turns(world: World) {
    let scope = world.connection(&[contact()]).await;
    let another = world.another().await;
    let writing: Vec<_> = (0..20)
        .map(|number: u32| {
            let store = if number.is_multiple_of(2) {
                world.store.clone()
            } else {
                another.clone()
            };
            let scope = scope.clone();
            tokio::spawn(async move {
                let upserts = [
                    present("shared", &format!("writer {number}")),
                    present(&number.to_string(), "x"),
                ];
                store
                    .apply_page(&scope, contact(), &upserts, READ)
                    .await
                    .unwrap()
                    .changes[0]
            })
        })
        .collect();
    let mut created = 0;
    for task in writing {
        created += u32::from(task.await.unwrap() == Change::Created);
    }
    assert_eq!(
        created, 1,
        "the shared record is created once and then updated"
    );
    let page = world
        .store
        .list_records(&scope, contact(), &request(100))
        .await
        .unwrap();
    assert_eq!(page.data.len(), 21);
    // Two records at most share a time: those of one writer.
    let times: HashSet<_> = page.data.iter().map(|record| record.modified_at).collect();
    assert_eq!(times.len(), 20);
    another.close().await;
}

pub(crate) async fn a_bad_text_rolls_the_page_back(world: World) {
    let scope = world.connection(&[contact()]).await;
    let error = world
        .store
        .apply_page(
            &scope,
            contact(),
            &[present("1", "Ada"), present("a\0b", "Bob")],
            READ,
        )
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NullCharacter), "{error:?}");
    let page = world
        .store
        .list_records(&scope, contact(), &request(10))
        .await
        .unwrap();
    assert_eq!(remote_ids(&page.data), Vec::<&str>::new());
    assert_eq!(
        world.event_types(scope.project()).await,
        ["connection.created"]
    );
    // Escaped, as JSON has it, it is a text like any other.
    assert_eq!(
        world
            .write(&scope, &[present("1", r"a\u0000b")])
            .await
            .created,
        1
    );
}

pub(crate) async fn a_page_that_a_write_has_overtaken_does_not_undo_it(world: World) {
    let scope = world.connection(&[contact()]).await;
    let page = [
        present("1", "Ada"),
        present("2", "Bob"),
        present("3", "Cyd"),
    ];
    world.write(&scope, &page).await;

    // A page is on its way while an application changes one record and deletes another.
    let as_of = world.store.reading(&scope).await.unwrap();
    let written = [present("1", "Eve"), deleted("2")];
    let write = world
        .store
        .apply_page(&scope, contact(), &written, Source::Write);
    write.await.unwrap();
    let late = [
        present("1", "Ada"),
        present("2", "Bob"),
        present("3", "Dee"),
    ];
    let late = world
        .store
        .apply_page(&scope, contact(), &late, Source::Read(as_of));
    let expected = [Change::Unchanged, Change::Unchanged, Change::Updated];
    assert_eq!(late.await.unwrap().changes, expected);

    // What was read since is as good as ever.
    let as_of = world.store.reading(&scope).await.unwrap();
    let page = [present("1", "Ada"), present("2", "Bob")];
    let read = world
        .store
        .apply_page(&scope, contact(), &page, Source::Read(as_of));
    assert_eq!(
        read.await.unwrap().changes,
        [Change::Updated, Change::Created]
    );
}
