use std::time::Duration;

use jackfield::{model::Digest, store::RefreshLease};

use crate::support::{MINUTE, START, World};

pub(crate) async fn of_fifty_one_may_refresh(world: World) {
    let scope = world.connection(&[]).await;
    let another = world.another().await;
    let until = START.plus(MINUTE);
    let asking: Vec<_> = (0..50)
        .map(|number| {
            let store = if number % 2 == 0 {
                world.store.clone()
            } else {
                another.clone()
            };
            let scope = scope.clone();
            tokio::spawn(async move {
                let owner = format!("task {number}");
                (
                    store
                        .lease_refresh(&scope, 1, &owner, MINUTE)
                        .await
                        .unwrap(),
                    owner,
                )
            })
        })
        .collect();
    let mut winners = Vec::new();
    for task in asking {
        match task.await.unwrap() {
            (RefreshLease::Acquired, owner) => winners.push(owner),
            (lease, _) => assert_eq!(lease, RefreshLease::Busy),
        }
    }
    assert_eq!(winners.len(), 1);
    assert!(
        world
            .store
            .store_refreshed(&scope, 1, &winners[0], b"new".to_vec(), Some(until))
            .await
            .unwrap()
    );
    let lease = another
        .lease_refresh(&scope, 1, "late", MINUTE)
        .await
        .unwrap();
    assert_eq!(lease, RefreshLease::Superseded);
    let credentials = another.credentials(&scope).await.unwrap().unwrap();
    assert_eq!(
        (credentials.sealed.as_slice(), credentials.generation),
        (b"new".as_slice(), 2)
    );
    another.close().await;
}

pub(crate) async fn a_refresh_lease_runs_out(world: World) {
    let store = &world.store;
    let scope = world.connection(&[]).await;
    let lease = async |owner: &str, length| {
        let lease = store.lease_refresh(&scope, 1, owner, length).await;
        lease.unwrap()
    };
    assert_eq!(lease("a", MINUTE).await, RefreshLease::Acquired);
    assert_eq!(lease("a", MINUTE).await, RefreshLease::Busy);
    // The time is the database's: a host whose clock is an hour ahead takes nothing for over.
    world.clock.advance(60 * MINUTE);
    assert_eq!(lease("b", MINUTE).await, RefreshLease::Busy);
    store.release_refresh(&scope, "b").await.unwrap();
    assert_eq!(lease("b", MINUTE).await, RefreshLease::Busy);
    store.release_refresh(&scope, "a").await.unwrap();
    assert_eq!(lease("b", Duration::ZERO).await, RefreshLease::Acquired);
    assert_eq!(lease("c", MINUTE).await, RefreshLease::Acquired);
}

pub(crate) async fn a_lost_refresh_lease_stores_nothing(world: World) {
    let store = &world.store;
    let scope = world.connection(&[]).await;
    for (owner, length) in [("slow", Duration::ZERO), ("fast", MINUTE)] {
        let lease = store.lease_refresh(&scope, 1, owner, length).await;
        assert_eq!(lease.unwrap(), RefreshLease::Acquired);
    }
    assert!(
        !store
            .store_refreshed(&scope, 1, "slow", b"slow".to_vec(), None)
            .await
            .unwrap()
    );
    assert!(
        store
            .store_refreshed(&scope, 1, "fast", b"fast".to_vec(), None)
            .await
            .unwrap()
    );
    assert!(
        !store
            .store_refreshed(&scope, 1, "fast", b"twice".to_vec(), None)
            .await
            .unwrap()
    );
    assert_eq!(
        store.credentials(&scope).await.unwrap().unwrap().sealed,
        b"fast"
    );
}

pub(crate) async fn an_oauth_state_is_taken_once(world: World) {
    let project = world.project().await.id;
    let hash = Digest::of("state");
    world
        .store
        .put_oauth_state(hash, project, b"verifier".to_vec(), START.plus(MINUTE))
        .await
        .unwrap();
    let taking: Vec<_> = (0..20)
        .map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move { store.take_oauth_state(&hash).await.unwrap() })
        })
        .collect();
    let mut taken = Vec::new();
    for task in taking {
        taken.extend(task.await.unwrap());
    }
    assert_eq!(taken, [(project, b"verifier".to_vec())]);
    assert!(
        world
            .store
            .take_oauth_state(&Digest::of("other"))
            .await
            .unwrap()
            .is_none()
    );
}

pub(crate) async fn an_oauth_state_runs_out(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let (old, new) = (Digest::of("old"), Digest::of("new"));
    store
        .put_oauth_state(old, project, b"old".to_vec(), START.plus(MINUTE))
        .await
        .unwrap();
    world.clock.advance(MINUTE);
    assert!(store.take_oauth_state(&old).await.unwrap().is_none());
    store
        .put_oauth_state(old, project, b"old".to_vec(), START.plus(MINUTE))
        .await
        .unwrap();
    // Clears the other away, or its name would be taken.
    store
        .put_oauth_state(new, project, b"new".to_vec(), START.plus(3 * MINUTE))
        .await
        .unwrap();
    store
        .put_oauth_state(old, project, b"again".to_vec(), START.plus(3 * MINUTE))
        .await
        .unwrap();
    assert_eq!(
        store.take_oauth_state(&old).await.unwrap().unwrap().1,
        b"again"
    );
}
