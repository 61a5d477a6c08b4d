use jackfield::{
    model::{AuditEntry, Digest, Environment, ProjectId, SystemEntropy},
    store::{AuditFilter, Error},
};

use crate::support::{MINUTE, World};

pub(crate) async fn api_keys_open_their_project_until_revoked(world: World) {
    let store = &world.store;
    let project = store
        .create_project("Größe", Environment::Sandbox)
        .await
        .unwrap();
    let hash = Digest::of("key");
    let key = store
        .create_api_key(project.id, "server", hash, "jk_…abcd")
        .await
        .unwrap();

    let (found_key, found) = store.project_by_api_key(&hash).await.unwrap().unwrap();
    assert_eq!((found_key, found.id), (key, project.id));
    assert_eq!(
        (found.name.as_str(), found.environment),
        ("Größe", Environment::Sandbox)
    );
    assert_eq!(found.created_at, project.created_at);
    assert!(
        store
            .project_by_api_key(&Digest::of("other"))
            .await
            .unwrap()
            .is_none()
    );

    let stranger = world.project().await.id;
    assert!(!store.revoke_api_key(stranger, key).await.unwrap());
    assert!(store.revoke_api_key(project.id, key).await.unwrap());
    assert!(!store.revoke_api_key(project.id, key).await.unwrap());
    assert!(store.project_by_api_key(&hash).await.unwrap().is_none());
}

pub(crate) async fn projects_are_listed_for_the_operator(world: World) {
    let first = world.project().await.id;
    world.clock.advance(MINUTE);
    let second = world.project().await.id;
    let listed: Vec<_> = world
        .store
        .projects()
        .await
        .unwrap()
        .into_iter()
        .map(|project| project.id)
        .collect();
    assert_eq!(listed, [first, second]);
}

pub(crate) async fn linked_users_are_unique_in_their_project(world: World) {
    let store = &world.store;
    let (first, second) = (world.project().await.id, world.project().await.id);
    let user = store.create_linked_user(first, "42", "Ada").await.unwrap();
    let error = store
        .create_linked_user(first, "42", "Other")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Conflict("origin_id")), "{error:?}");
    let other = store.create_linked_user(second, "42", "Bob").await.unwrap();

    assert_eq!(
        store
            .linked_user(first, user.id)
            .await
            .unwrap()
            .unwrap()
            .alias,
        "Ada"
    );
    assert!(store.linked_user(first, other.id).await.unwrap().is_none());
    assert_eq!(
        store
            .linked_user_by_origin(second, "42")
            .await
            .unwrap()
            .unwrap()
            .id,
        other.id
    );
    assert_eq!(store.linked_users(first).await.unwrap().len(), 1);
}

pub(crate) async fn nothing_is_made_in_a_project_that_is_not_there(world: World) {
    let nobody = ProjectId::generate(&SystemEntropy);
    assert!(world.store.project(nobody).await.unwrap().is_none());
    let error = world
        .store
        .create_linked_user(nobody, "1", "x")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing("project")), "{error:?}");
    let error = world
        .store
        .create_api_key(nobody, "x", Digest::of("x"), "x")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing("project")), "{error:?}");
}

pub(crate) async fn the_null_character_is_refused(world: World) {
    let project = world.project().await.id;
    let error = world
        .store
        .create_linked_user(project, "a\0b", "x")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NullCharacter), "{error:?}");
}

pub(crate) async fn keys_tell_when_they_were_used(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let [first, second] = ["first", "second"].map(Digest::of);
    let old = store
        .create_api_key(project, "old", first, "jk_…1111")
        .await
        .unwrap();
    world.clock.advance(MINUTE);
    store
        .create_api_key(project, "new", second, "jk_…2222")
        .await
        .unwrap();
    let used = async || {
        let keys = store.api_keys(project).await.unwrap();
        let named = |name| keys.iter().find(|key| key.name == name).unwrap().clone();
        (named("old").last_used_at, named("new").last_used_at)
    };
    assert_eq!(used().await, (None, None));
    let at = world.clock_now();
    store.api_key_used(&first).await.unwrap();
    assert_eq!(used().await, (Some(at), None));
    // Within a minute nothing is written, by this process.
    world.clock.advance(MINUTE / 2);
    store.api_key_used(&first).await.unwrap();
    assert_eq!(used().await, (Some(at), None));
    world.clock.advance(MINUTE);
    store.api_key_used(&first).await.unwrap();
    assert_eq!(used().await, (Some(world.clock_now()), None));

    assert!(store.revoke_api_key(project, old).await.unwrap());
    let keys = store.api_keys(project).await.unwrap();
    let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["new", "old"]);
    assert_eq!(keys[1].revoked_at, Some(world.clock_now()));
    assert_eq!(keys[0].hint, "jk_…2222");
    let other = world.project().await.id;
    assert!(store.api_keys(other).await.unwrap().is_empty());
}

pub(crate) async fn a_project_is_renamed(world: World) {
    let store = &world.store;
    let scope = world.connection(&[]).await;
    let project = scope.project();
    let entry = AuditEntry {
        at: world.clock_now(),
        project: Some(project),
        actor: "operator:1".to_owned(),
        action: "project.change".to_owned(),
        subject: project.to_string(),
        details: serde_json::json!({}),
    };
    let changed = store.change_project(project, "Renamed", Environment::Sandbox, &entry);
    assert!(changed.await.unwrap());
    let read = store.project(project).await.unwrap().unwrap();
    assert_eq!(read.name, "Renamed");
    assert_eq!(read.environment, Environment::Sandbox);
    let filter = AuditFilter {
        project: Some(project),
        action: Some("project.change".to_owned()),
        limit: 10,
        ..AuditFilter::default()
    };
    assert_eq!(store.audit_log(&filter).await.unwrap().len(), 1);
    let nobody = ProjectId::generate(&SystemEntropy);
    let changed = store.change_project(nobody, "Nobody", Environment::Sandbox, &entry);
    assert!(!changed.await.unwrap());
    assert_eq!(store.audit_log(&filter).await.unwrap().len(), 1);
}
