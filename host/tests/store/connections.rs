use std::collections::BTreeMap;

use jackfield::{
    model::{AuditEntry, Clock as _, ConnectionStatus, Digest},
    store::{Backend, Error, RefreshLease},
};
use sqlx::Connection as _;

use crate::support::{MINUTE, READ, START, World, company, contact, new_connection, present};

pub(crate) async fn a_connection_is_stored_whole(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let user = world.linked_user(project).await;
    let (mut new, token) = (new_connection(&user), Digest::of("token"));
    new.account_name = Some("Acme\0 Incorporated".to_owned());
    let expires = Some(START.plus(MINUTE));
    let scope = store
        .create_connection(
            project,
            new.clone(),
            token,
            b"t".to_vec(),
            b"c".to_vec(),
            expires,
            &[contact(), company()],
        )
        .await
        .unwrap();

    let name = scope.connection().account_name.as_deref();
    assert_eq!(name, Some("Acme Incorporated"), "no text has a NUL");
    for found in [
        store
            .scope_by_token(project, &token)
            .await
            .unwrap()
            .unwrap(),
        store.scope_by_id(project, new.id).await.unwrap().unwrap(),
        store
            .find_connection(project, user.id, &new.connector, "crm", Some("account-1"))
            .await
            .unwrap()
            .unwrap(),
    ] {
        assert_eq!(
            format!("{:?}", found.connection()),
            format!("{:?}", scope.connection())
        );
    }
    let listed = store.connections(project).await.unwrap();
    assert_eq!((listed.len(), listed[0].1.as_slice()), (1, b"t".as_slice()));
    let credentials = store.credentials(&scope).await.unwrap().unwrap();
    assert_eq!(
        (credentials.sealed.as_slice(), credentials.generation),
        (b"c".as_slice(), 1)
    );
    assert_eq!(credentials.expires_at, expires);
    let kinds: Vec<_> = store
        .sync_states(&scope)
        .await
        .unwrap()
        .into_iter()
        .map(|state| state.kind)
        .collect();
    assert_eq!(kinds, [contact(), company()]);
    let events = store.events(project, 1, 10).await.unwrap();
    assert_eq!(events[0].event.kind.0, "connection.created");
    assert_eq!(events[0].event.connection, Some(new.id));
    assert_eq!(events[0].connector.as_ref(), Some(&new.connector));
    assert_eq!(events[0].linked_user, Some(user.id));
    assert!(
        events[0].event.data.contains(&new.id.to_string()),
        "{}",
        events[0].event.data
    );
}

pub(crate) async fn the_same_account_is_connected_once(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let user = world.linked_user(project).await;
    for account in [None, Some("a"), Some("b")] {
        let make = |token: &str| {
            let mut new = new_connection(&user);
            new.account = account.map(str::to_owned);
            store.create_connection(
                project,
                new,
                Digest::of(format!("{account:?}{token}")),
                vec![],
                vec![],
                None,
                &[],
            )
        };
        let scope = make("1").await.unwrap();
        let error = make("2").await.unwrap_err();
        assert!(matches!(error, Error::Conflict("account")), "{error:?}");
        let connector = &scope.connection().connector;
        let found = store
            .find_connection(project, user.id, connector, "crm", account)
            .await
            .unwrap();
        assert_eq!(found.unwrap().connection().id, scope.connection().id);
        store.delete_connection(&scope).await.unwrap();
        make("3").await.unwrap();
    }
    let stranger = world.linked_user(world.project().await.id).await;
    let error = store
        .create_connection(
            project,
            new_connection(&stranger),
            Digest::of("x"),
            vec![],
            vec![],
            None,
            &[],
        )
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing("linked user")), "{error:?}");
}

pub(crate) async fn settings_change_where_they_are_still_the_same(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let audit = |project| AuditEntry {
        at: world.clock.now(),
        project: Some(project),
        actor: "linked_user:one".into(),
        action: "connection.settings".into(),
        subject: scope.connection().id.to_string(),
        details: serde_json::json!({ "settings": ["locale"] }),
    };
    let entry = audit(scope.project());
    let german = BTreeMap::from([("locale".to_owned(), "de".to_owned())]);
    let change = store.change_settings(&scope, &german, &entry);
    assert!(change.await.unwrap());
    let french = BTreeMap::from([("locale".to_owned(), "fr".to_owned())]);
    let late = store.change_settings(&scope, &french, &entry);
    assert!(!late.await.unwrap(), "somebody else was faster");

    let user = scope.connection().linked_user;
    let all = store.connections_of(scope.project(), user).await.unwrap();
    let [only] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(only.connection().settings, german);
    let other = world.project().await.id;
    let none = store.connections_of(other, user).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    store.delete_connection(only).await.unwrap();
    assert!(!store.change_settings(only, &french, &entry).await.unwrap());
    let none = store.connections_of(scope.project(), user).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
}

pub(crate) async fn a_login_again_makes_it_valid(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    store
        .set_connection_status(&scope, ConnectionStatus::NeedsReconnect, "revoked")
        .await
        .unwrap();
    let lease = store.lease_refresh(&scope, 1, "old", MINUTE).await.unwrap();
    assert_eq!(lease, RefreshLease::Acquired);
    let settings = BTreeMap::from([("locale".to_owned(), "de".to_owned())]);
    store
        .replace_credentials(&scope, "token", &settings, b"new".to_vec(), None)
        .await
        .unwrap();

    let found = store
        .scope_by_id(scope.project(), scope.connection().id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.connection().status, ConnectionStatus::Valid);
    assert_eq!(
        (
            found.connection().scheme.as_str(),
            &found.connection().settings
        ),
        ("token", &settings)
    );
    let credentials = store.credentials(&scope).await.unwrap().unwrap();
    assert_eq!(
        (credentials.sealed.as_slice(), credentials.generation),
        (b"new".as_slice(), 2)
    );
    assert!(
        !store
            .store_refreshed(&scope, 1, "old", b"stale".to_vec(), None)
            .await
            .unwrap()
    );
    assert_eq!(store.claim_syncs("a", MINUTE, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_dead_connection_is_announced_once(world: World) {
    let scope = world.connection(&[]).await;
    for (status, reason, changed) in [
        (ConnectionStatus::Valid, "", false),
        (
            ConnectionStatus::NeedsReconnect,
            "the person\0 revoked it",
            true,
        ),
        (ConnectionStatus::NeedsReconnect, "still", false),
        (ConnectionStatus::Valid, "", true),
    ] {
        assert_eq!(
            world
                .store
                .set_connection_status(&scope, status, reason)
                .await
                .unwrap(),
            changed
        );
    }
    assert_eq!(
        world.event_types(scope.project()).await,
        ["connection.created", "connection.needs_reconnect"]
    );
}

pub(crate) async fn a_deleted_connection_is_gone(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let user = world.linked_user(project).await;
    let token = Digest::of("token");
    let scope = store
        .create_connection(
            project,
            new_connection(&user),
            token,
            b"t".to_vec(),
            b"c".to_vec(),
            None,
            &[contact()],
        )
        .await
        .unwrap();
    store.delete_connection(&scope).await.unwrap();
    store.delete_connection(&scope).await.unwrap();

    assert!(
        store
            .scope_by_token(project, &token)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .scope_by_id(project, scope.connection().id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(store.connections(project).await.unwrap().is_empty());
    assert!(store.credentials(&scope).await.unwrap().is_none());
    assert!(store.sync_states(&scope).await.unwrap().is_empty());
    assert!(store.claim_syncs("a", MINUTE, 10).await.unwrap().is_empty());
    let lease = store.lease_refresh(&scope, 1, "a", MINUTE).await.unwrap();
    assert_eq!(lease, RefreshLease::Superseded);
    let error = store
        .apply_page(&scope, contact(), &[present("1", "Ada")], READ)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing("connection")), "{error:?}");
    let error = store.ensure_syncs(&scope, &[contact()]).await.unwrap_err();
    assert!(matches!(error, Error::Missing("connection")), "{error:?}");
    let settings = BTreeMap::new();
    let error = store
        .replace_credentials(&scope, "x", &settings, vec![], None)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing("connection")), "{error:?}");
    assert_eq!(
        world.event_types(project).await,
        ["connection.created", "connection.deleted"]
    );
}

pub(crate) async fn another_project_reaches_nothing(world: World) {
    let store = &world.store;
    let mine = world.project().await.id;
    let user = world.linked_user(mine).await;
    let (new, token) = (new_connection(&user), Digest::of("token"));
    let scope = store
        .create_connection(
            mine,
            new.clone(),
            token,
            b"t".to_vec(),
            b"c".to_vec(),
            None,
            &[contact()],
        )
        .await
        .unwrap();
    world.write(&scope, &[present("1", "Ada")]).await;
    let id = store.record_id(&scope, contact(), "1");

    let theirs = world.connection(&[contact()]).await;
    let other = theirs.project();
    assert!(store.linked_user(other, user.id).await.unwrap().is_none());
    assert!(
        store
            .linked_user_by_origin(other, &user.origin_id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .linked_users(other)
            .await
            .unwrap()
            .iter()
            .all(|found| found.id != user.id)
    );
    assert!(store.scope_by_token(other, &token).await.unwrap().is_none());
    let (own_key, foreign_key) = (Digest::of("own key"), Digest::of("foreign key"));
    let own = store
        .create_api_key(mine, "own", own_key, "jk_")
        .await
        .unwrap();
    store
        .create_api_key(other, "foreign", foreign_key, "jk_")
        .await
        .unwrap();
    for (key, expected) in [
        (own_key, true),
        (foreign_key, false),
        (Digest::of("no"), false),
    ] {
        let found = store.scope_by_key_and_token(&key, &token).await.unwrap();
        assert_eq!(found.is_some(), expected);
    }
    store.revoke_api_key(mine, own).await.unwrap();
    let revoked = store
        .scope_by_key_and_token(&own_key, &token)
        .await
        .unwrap();
    assert!(revoked.is_none());
    assert!(store.scope_by_id(other, new.id).await.unwrap().is_none());
    assert!(
        store
            .find_connection(other, user.id, &new.connector, "crm", Some("account-1"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .connections(other)
            .await
            .unwrap()
            .iter()
            .all(|(found, _)| found.id != new.id)
    );
    assert!(
        store
            .events(other, 1, 100)
            .await
            .unwrap()
            .iter()
            .all(|row| row.event.connection != Some(new.id))
    );

    // A scope of theirs with an id of mine, and the right connection with the wrong object.
    assert!(
        store
            .record(&theirs, contact(), id, true)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .record(&scope, company(), id, true)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .remote_ids(&theirs, contact(), &[id])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .remote_ids(&scope, company(), &[id])
            .await
            .unwrap()
            .is_empty()
    );
    let request = crate::lists::request(10);
    assert!(
        store
            .list_records(&theirs, contact(), &request)
            .await
            .unwrap()
            .data
            .is_empty()
    );
    assert!(
        store
            .list_records(&scope, company(), &request)
            .await
            .unwrap()
            .data
            .is_empty()
    );
    assert_ne!(store.record_id(&theirs, contact(), "1"), id);
    world.write(&theirs, &[crate::support::deleted("1")]).await;
    assert!(
        store
            .record(&scope, contact(), id, false)
            .await
            .unwrap()
            .is_some()
    );
    store.request_sync(&theirs, None).await.unwrap();
    store.delete_connection(&theirs).await.unwrap();
    assert!(store.scope_by_id(mine, new.id).await.unwrap().is_some());
    assert!(store.credentials(&scope).await.unwrap().is_some());
    assert_eq!(store.sync_states(&scope).await.unwrap().len(), 1);
}

/// A transaction that writes about a connection makes sure of its row, by a foreign key, at any
/// time until it ends. One that deletes must not keep it waiting: it may wait for it in turn.
pub(crate) async fn a_connection_is_deleted_beside_who_refers_to_it(world: World) {
    if world.store.backend() == Backend::Sqlite {
        // There is one writer.
        return;
    }
    let scope = world.connection(&[contact()]).await;
    let mut other = sqlx::PgConnection::connect(&world.url).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM connection FOR KEY SHARE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let deleted = world.store.delete_connection(&scope);
    tokio::time::timeout(MINUTE, deleted)
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
}
