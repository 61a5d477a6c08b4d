use jackfield::{
    model::RecordId,
    store::{Error, Remap},
};

use crate::support::{READ, World, company, contact, deleted, present};

fn remap(id: RecordId, remote: &str, unified: &str) -> Remap {
    Remap {
        id,
        remote: remote.into(),
        unified: unified.into(),
        custom: "{}".into(),
    }
}

pub(crate) async fn documents_are_read_in_pages_and_end_with_their_object(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let other = world.connection(&[contact()]).await;
    for scope in [&scope, &other] {
        let page = ["1", "2", "a", "b", "gone"].map(|id| present(id, "x"));
        world.write(scope, &page).await;
        store
            .apply_page(scope, company(), &page, READ)
            .await
            .unwrap();
    }
    world.write(&scope, &[deleted("gone")]).await;
    let mut read = Vec::new();
    loop {
        let after = read.last().map(|(id, _)| *id);
        let page = store
            .remote_documents(&scope, contact(), after, 3)
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    let mut ids = ["1", "2", "a", "b"].map(|id| store.record_id(&scope, contact(), id));
    ids.sort();
    assert_eq!(read.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    assert!(read.iter().all(|(_, remote)| remote.contains(r#""n":"x""#)));
}

pub(crate) async fn a_remap_is_written_where_its_document_still_stands(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &["1", "2", "3", "4"].map(|id| present(id, "x")))
        .await;
    let id = |remote_id| store.record_id(&scope, contact(), remote_id);
    let document = |id| format!(r#"{{"id":"{id}","n":"x"}}"#);
    world
        .write(&scope, &[present("2", "newer"), deleted("4")])
        .await;
    let before = world.event_types(scope.project()).await.len();
    let changed = store
        .apply_remaps(
            &scope,
            contact(),
            &[
                remap(id("1"), &document("1"), r#"{"first_name":"X"}"#),
                remap(id("2"), &document("2"), r#"{"first_name":"X"}"#),
                remap(id("3"), &document("3"), r#"{"first_name":"x"}"#),
                remap(id("4"), &document("4"), r#"{"first_name":"X"}"#),
            ],
        )
        .await
        .unwrap();
    assert_eq!(changed, 1);
    let record = store
        .record(&scope, contact(), id("1"), false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.unified, r#"{"first_name":"X"}"#);
    assert!(record.modified_at > record.created_at);
    let newer = store
        .record(&scope, contact(), id("2"), false)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(newer.unified, r#"{"first_name":"newer"}"#);
    let events = world.event_types(scope.project()).await;
    assert_eq!(events[before..], ["crm.contact.updated"]);
    // Ids of another connection are not reached.
    let theirs = world.connection(&[contact()]).await;
    let foreign = [remap(id("1"), &document("1"), r#"{"first_name":"Y"}"#)];
    assert_eq!(
        store
            .apply_remaps(&theirs, contact(), &foreign)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .apply_remaps(&scope, company(), &foreign)
            .await
            .unwrap(),
        0
    );
    store.delete_connection(&scope).await.unwrap();
    let error = store
        .apply_remaps(&scope, contact(), &foreign)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing("connection")), "{error:?}");
}

pub(crate) async fn objects_unified_by_another_version_are_found(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact(), company()]).await;
    let connector = &scope.connection().connector;
    assert!(
        store
            .unified_by_others(connector, "v1")
            .await
            .unwrap()
            .is_empty()
    );
    store
        .mark_unified(&scope, contact(), "v1", true)
        .await
        .unwrap();
    store
        .mark_unified(&scope, contact(), "v2", true)
        .await
        .unwrap();
    assert!(
        store
            .unified_by_others(connector, "v1")
            .await
            .unwrap()
            .is_empty()
    );
    let found = store.unified_by_others(connector, "v2").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].0.connection().id, found[0].1, &*found[0].2),
        (scope.connection().id, contact(), "v1")
    );
    store
        .mark_unified(&scope, contact(), "v2", false)
        .await
        .unwrap();
    assert!(
        store
            .unified_by_others(connector, "v2")
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .unified_by_others(&"other".parse().unwrap(), "v3")
            .await
            .unwrap()
            .is_empty()
    );
}
