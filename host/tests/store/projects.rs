use jackfield::{
    model::{Digest, Environment, ProjectId, SystemEntropy},
    store::Error,
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
