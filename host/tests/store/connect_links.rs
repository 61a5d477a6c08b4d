use jackfield::{
    model::{
        Branding, Clock as _, ConnectLink, ConnectSettings, ConnectionId, Digest, LINK_TAKEN,
        LinkState, LinkedUser, NewConnectLink, SystemEntropy, WebOrigin,
    },
    store::Error,
};

use crate::support::{MINUTE, START, World};

fn what(user: &LinkedUser) -> NewConnectLink {
    NewConnectLink {
        linked_user: user.id,
        connectors: vec!["hubspot".parse().unwrap()],
        vertical: Some("crm".into()),
        return_url: Some("https://app.example/done?x=1".parse().unwrap()),
        language: Some("de".into()),
        connection: None,
        email: Some("a@example.com".into()),
    }
}

async fn link(world: &World, user: &LinkedUser, token: &str) -> ConnectLink {
    let made = world.store.create_connect_link(
        user.project,
        what(user),
        Digest::of(token),
        START.plus(MINUTE),
    );
    made.await.unwrap()
}

pub(crate) async fn a_link_is_kept_found_listed_and_revoked(world: World) {
    let store = &world.store;
    let (project, stranger) = (world.project().await.id, world.project().await.id);
    let user = store
        .create_linked_user(project, "42", "Ada")
        .await
        .unwrap();
    let first = link(&world, &user, "one").await;
    let second = link(&world, &user, "two").await;
    let found = store
        .connect_link_by_token(&Digest::of("one"))
        .await
        .unwrap();
    assert_eq!(found.as_ref(), Some(&first));
    assert_eq!(first.what, what(&user));
    assert!(
        store
            .connect_link_by_token(&Digest::of("x"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .connect_link(stranger, first.id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(!store.revoke_connect_link(stranger, first.id).await.unwrap());

    let all = store.connect_links(project, None, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    let last = all.last().unwrap().id;
    let newest = all.first().unwrap().id;
    assert_eq!(
        store
            .connect_links(project, Some(newest), 10)
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(
        store
            .connect_links(project, Some(last), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .connect_links(stranger, None, 10)
            .await
            .unwrap()
            .is_empty()
    );

    assert!(store.revoke_connect_link(project, second.id).await.unwrap());
    assert!(!store.revoke_connect_link(project, second.id).await.unwrap());
    let revoked = store
        .connect_link(project, second.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(revoked.state(START), LinkState::Revoked);
    let theirs = NewConnectLink {
        linked_user: user.id,
        ..what(&user)
    };
    let refused = store.create_connect_link(stranger, theirs, Digest::of("z"), START);
    assert!(matches!(refused.await, Err(Error::Missing("linked user"))));
}

pub(crate) async fn of_two_who_use_a_link_one_gets_it(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let user = store
        .create_linked_user(project, "42", "Ada")
        .await
        .unwrap();
    let link = link(&world, &user, "one").await;
    let tries = (0..10).map(|_| {
        let store = store.clone();
        let id = link.id;
        tokio::spawn(async move { store.take_connect_link(project, id, None).await.unwrap() })
    });
    let mut taken = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        taken.extend(one.await.unwrap());
    }
    let [taken] = taken[..] else {
        panic!("{} took it", taken.len());
    };
    let take = async |again| {
        store
            .take_connect_link(project, link.id, again)
            .await
            .unwrap()
    };
    let state = async || {
        let link = store.connect_link(project, link.id).await.unwrap().unwrap();
        let now = world.clock.now();
        (link.state(now), link.what.connection)
    };

    // It came to nothing: the link is as it was. Then it makes its connection, and serves for it.
    store.settle_connect_link(taken, None).await.unwrap();
    assert_eq!(state().await, (LinkState::Open, None));
    let taken = take(None).await.unwrap();
    let made = ConnectionId::generate(&SystemEntropy);
    store.settle_connect_link(taken, Some(made)).await.unwrap();
    assert_eq!(state().await, (LinkState::Used, Some(made)));
    let other = ConnectionId::generate(&SystemEntropy);
    assert!(take(None).await.is_none());
    assert!(take(Some(other)).await.is_none());
    // Logging in again that comes to nothing leaves it used.
    let again = take(Some(made)).await.unwrap();
    store.settle_connect_link(again, None).await.unwrap();
    assert_eq!(state().await, (LinkState::Used, Some(made)));
    world.clock.advance(MINUTE);
    assert!(take(Some(made)).await.is_none());
}

pub(crate) async fn a_link_whose_login_broke_off_is_open_again(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let user = store
        .create_linked_user(project, "42", "Ada")
        .await
        .unwrap();
    let end = START.plus(MINUTE * 10);
    let link = store
        .create_connect_link(project, what(&user), Digest::of("one"), end)
        .await
        .unwrap();
    let take = async || {
        let taken = store.take_connect_link(project, link.id, None).await;
        taken.unwrap().is_some()
    };
    assert!(take().await);
    assert!(!take().await);
    world.clock.advance(LINK_TAKEN);
    let left = store.connect_link(project, link.id).await.unwrap().unwrap();
    assert_eq!(left.state(world.clock.now()), LinkState::Open);
    assert!(take().await);
}

pub(crate) async fn a_login_waits_for_its_links_choice_only(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let user = store
        .create_linked_user(project, "42", "Ada")
        .await
        .unwrap();
    let (one, two) = (
        link(&world, &user, "one").await,
        link(&world, &user, "two").await,
    );
    let hash = Digest::of("choice");
    store
        .put_pending_login(
            &hash,
            project,
            one.id,
            b"sealed".to_vec(),
            START.plus(MINUTE),
        )
        .await
        .unwrap();
    let found = store.pending_login(project, one.id, &hash).await.unwrap();
    assert_eq!(found.as_deref(), Some(b"sealed".as_slice()));
    assert!(
        store
            .pending_login(project, two.id, &hash)
            .await
            .unwrap()
            .is_none()
    );
    store.forget_pending_logins(project, two.id).await.unwrap();
    assert!(
        store
            .pending_login(project, one.id, &hash)
            .await
            .unwrap()
            .is_some()
    );
    world.clock.advance(MINUTE);
    assert!(
        store
            .pending_login(project, one.id, &hash)
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn a_project_says_how_its_pages_are(world: World) {
    let store = &world.store;
    let (project, stranger) = (world.project().await.id, world.project().await.id);
    let nothing = ConnectSettings::default();
    assert_eq!(store.connect_settings(project).await.unwrap(), nothing);
    let settings = ConnectSettings {
        allowed_origins: vec![WebOrigin::parse("https://app.example").unwrap()],
        branding: Branding::parse(Some("Acme"), None, Some("#0b7285")).unwrap(),
    };
    store
        .set_connect_settings(project, &settings)
        .await
        .unwrap();
    assert_eq!(store.connect_settings(project).await.unwrap(), settings);
    assert_eq!(store.connect_settings(stranger).await.unwrap(), nothing);
    store.set_connect_settings(project, &nothing).await.unwrap();
    assert_eq!(store.connect_settings(project).await.unwrap(), nothing);
}
