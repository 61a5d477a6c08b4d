use std::sync::Arc;

use jackfield::{
    model::{Origin, RecordId, Scope, UnifiedBy, ValueSource},
    store::{Error, Remap, RemapPass},
};

use crate::support::{MINUTE, READ, World, company, contact, deleted, present};

impl World {
    /// A pass over contacts that something else than `mark` unified.
    async fn pass(&self, scope: &Scope, mark: &str) -> RemapPass {
        let store = &self.store;
        store.mark_unified(scope, contact(), "v1").await.unwrap();
        let pass = store.begin_remap(scope, contact(), mark, MINUTE).await;
        pass.unwrap().unwrap()
    }

    async fn apply(&self, pass: &mut RemapPass, remaps: &[Remap]) -> Result<u64, Error> {
        let last = remaps.last().unwrap().id;
        let origin = Origin::unified(ValueSource::Reunify, &by("v2"));
        let seen = remaps.len() as u64;
        let store = &self.store;
        store
            .apply_remaps(pass, remaps, (last, seen), &origin)
            .await
    }
}

fn by(mark: &str) -> Arc<UnifiedBy> {
    Arc::new(UnifiedBy {
        mark: mark.into(),
        version: "1.0.0".into(),
        digest: format!("digest of {mark}"),
        mappings: None,
    })
}

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
    let mut pass = world.pass(&scope, "v2").await;
    let remaps = [
        remap(id("1"), &document("1"), r#"{"first_name":"X"}"#),
        remap(id("2"), &document("2"), r#"{"first_name":"X"}"#),
        remap(id("3"), &document("3"), r#"{"first_name":"x"}"#),
        remap(id("4"), &document("4"), r#"{"first_name":"X"}"#),
    ];
    let changed = world.apply(&mut pass, &remaps).await.unwrap();
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
    let mut others = world.pass(&theirs, "v2").await;
    assert_eq!(world.apply(&mut others, &foreign).await.unwrap(), 0);
    store.delete_connection(&scope).await.unwrap();
    let error = world.apply(&mut pass, &foreign).await.unwrap_err();
    assert!(matches!(error, Error::Missing("connection")), "{error:?}");
}

pub(crate) async fn a_pass_goes_on_where_it_was_and_shows_how_far_it_is(world: World) {
    let scope = world.connection(&[contact()]).await;
    let page = ["1", "2", "3", "4"].map(|id| present(id, "x"));
    world.write(&scope, &page).await;
    let id = |remote_id| world.store.record_id(&scope, contact(), remote_id);
    let document = |id| format!(r#"{{"id":"{id}","n":"x"}}"#);
    let made = |name| remap(id(name), &document(name), r#"{"first_name":"X"}"#);
    let mut pass = world.pass(&scope, "v2").await;
    world.apply(&mut pass, &[made("1")]).await.unwrap();
    let progress = async || {
        let under_way = world.store.remaps_under_way(scope.project()).await;
        let place = (scope.connection().number, contact());
        under_way.unwrap().get(&place).copied()
    };
    assert_eq!(progress().await, Some((1, 4)));
    let other = world.another().await;
    let taken = other.begin_remap(&scope, contact(), "v2", MINUTE).await;
    assert!(taken.unwrap().is_none(), "somebody is at it");

    // Its process ends without a word; another takes it over, and what comes late is refused.
    world.tamper("UPDATE sync_state SET remap_until = 0").await;
    let mut again = world.pass(&scope, "v2").await;
    assert_eq!((again.after, again.done), (Some(id("1")), 1));
    let late = world.apply(&mut pass, &[made("2")]).await.unwrap_err();
    assert!(matches!(late, Error::LeaseLost), "{late:?}");
    let rest = ["2", "3", "4"].map(made);
    assert_eq!(world.apply(&mut again, &rest).await.unwrap(), 3);
    assert_eq!(progress().await, Some((4, 4)));
    assert!(!world.store.finish_remap(&pass).await.unwrap());
    assert!(world.store.finish_remap(&again).await.unwrap());
    assert_eq!(progress().await, None);
    let found = world.store.begin_remap(&scope, contact(), "v2", MINUTE);
    assert!(found.await.unwrap().is_none(), "nothing is left to be done");

    // Towards something else it begins at the first record.
    let pass = world.pass(&scope, "v3").await;
    assert_eq!((pass.after, pass.done), (None, 0));
}

pub(crate) async fn what_is_written_by_another_version_during_a_pass_voids_it(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    world.write(&scope, &[present("1", "x")]).await;
    let mut pass = world.pass(&scope, "v2").await;
    let write = async |mark| {
        let origin = Origin::unified(ValueSource::Sync, &by(mark));
        let page = [present(mark, "x")];
        let written = store.apply_page_from(&scope, contact(), &page, READ, &origin);
        written.await.unwrap().mixed
    };
    assert!(write("v2").await, "documents of v1 are beside it");
    let done = remap(
        store.record_id(&scope, contact(), "1"),
        r#"{"id":"1","n":"x"}"#,
        r#"{"first_name":"X"}"#,
    );
    let remaps = [done];
    assert_eq!(world.apply(&mut pass, &remaps).await.unwrap(), 1);
    assert!(write("v1").await);
    let void = world.apply(&mut pass, &remaps).await.unwrap_err();
    assert!(matches!(void, Error::LeaseLost), "{void:?}");
    assert!(!store.finish_remap(&pass).await.unwrap());
    let connector = &scope.connection().connector;
    for digest in ["v1", "v2"] {
        let found = store.unified_by_others(connector, digest).await.unwrap();
        assert_eq!(found.len(), 1, "{digest}");
    }
    store.release_remap(&pass).await.unwrap();
    world
        .tamper("UPDATE sync_state SET remap_until = NULL")
        .await;
    let pass = world.pass(&scope, "v2").await;
    assert_eq!((pass.after, pass.done), (None, 0));
    assert!(store.finish_remap(&pass).await.unwrap());
    assert!(!write("v2").await);
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
    for mark in ["v1", "v2"] {
        store.mark_unified(&scope, contact(), mark).await.unwrap();
    }
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
    let pass = store.begin_remap(&scope, contact(), "v2", MINUTE).await;
    let pass = pass.unwrap().unwrap();
    assert!(store.finish_remap(&pass).await.unwrap());
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
