use jackfield::{
    model::{Digest, Scope},
    store::{KeyClaim, KeyOwner, KeyState, REMEMBERED, Store},
};

use crate::support::{MINUTE, World, contact};

async fn claim(store: &Store, scope: &Scope, key: &str, request: &str) -> KeyState {
    let owner = KeyOwner::connection(scope);
    let fingerprint = Digest::of(request);
    let state = store.claim_key(owner, key, &fingerprint, MINUTE);
    state.await.unwrap()
}

impl World {
    async fn claimed(&self, scope: &Scope, key: &str, request: &str) -> KeyClaim {
        match claim(&self.store, scope, key, request).await {
            KeyState::Claimed(claim) => claim,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn a_key_is_claimed_once_and_answered_ever_after(world: World) {
    let scope = world.connection(&[contact()]).await;
    let other = world.another().await;
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..10 {
        let store = if number % 2 == 0 {
            &world.store
        } else {
            &other
        };
        let (store, scope) = (store.clone(), scope.clone());
        tries.spawn(async move { claim(&store, &scope, "k", "create").await });
    }
    let mut claims = Vec::new();
    for state in tries.join_all().await {
        match state {
            KeyState::Claimed(claim) => claims.push(claim),
            KeyState::Busy => {}
            state => panic!("{state:?}"),
        }
    }
    assert_eq!(claims.len(), 1);
    world.store.keep_answer(&claims[0], "{}").await.unwrap();
    let again = claim(&other, &scope, "k", "create").await;
    assert!(matches!(again, KeyState::Answered(kept) if kept == "{}"));
    other.close().await;
}

pub(crate) async fn a_key_that_came_to_no_end_is_claimed_again_with_the_same_provider_key(
    world: World,
) {
    let scope = world.connection(&[contact()]).await;
    let first = world.claimed(&scope, "k", "create").await;
    assert!(matches!(
        claim(&world.store, &scope, "k", "create").await,
        KeyState::Busy
    ));
    let ended = "UPDATE idempotency SET claimed_until = 1";
    world.tamper(ended).await;
    let second = world.claimed(&scope, "k", "create").await;
    assert_eq!(second.provider_key, first.provider_key);
    // The first wakes up too late.
    world.store.keep_answer(&first, "late").await.unwrap();
    world.store.release_key(&first, true).await.unwrap();
    assert!(matches!(
        claim(&world.store, &scope, "k", "create").await,
        KeyState::Busy
    ));
    // Forgetting is for keys that were never told to a provider; the first may have told it.
    world.store.release_key(&second, true).await.unwrap();
    let third = world.claimed(&scope, "k", "create").await;
    assert_eq!(third.provider_key, first.provider_key);

    let fresh = world.claimed(&scope, "fresh", "create").await;
    world.store.release_key(&fresh, true).await.unwrap();
    let corrected = world.claimed(&scope, "fresh", "another body").await;
    assert_ne!(corrected.provider_key, fresh.provider_key);
}

pub(crate) async fn keys_belong_to_their_connection_and_request(world: World) {
    let scope = world.connection(&[contact()]).await;
    let other = world.connection(&[contact()]).await;
    let first = world.claimed(&scope, "k", "create").await;
    assert!(matches!(
        claim(&world.store, &scope, "k", "another body").await,
        KeyState::Other
    ));
    let second = world.claimed(&other, "k", "create").await;
    assert_ne!(first.provider_key, second.provider_key);
    world.claimed(&scope, "l", "create").await;
    world.store.keep_answer(&first, "{}").await.unwrap();
    assert!(matches!(
        claim(&world.store, &scope, "k", "another body").await,
        KeyState::Other
    ));
}

pub(crate) async fn keys_are_forgotten_after_a_day(world: World) {
    let scope = world.connection(&[contact()]).await;
    let first = world.claimed(&scope, "k", "create").await;
    world.store.keep_answer(&first, "{}").await.unwrap();
    world.clock.advance(REMEMBERED - MINUTE);
    assert!(matches!(
        claim(&world.store, &scope, "k", "create").await,
        KeyState::Answered(_)
    ));
    world.clock.advance(MINUTE);
    let again = world.claimed(&scope, "k", "another body").await;
    assert_ne!(again.provider_key, first.provider_key);
}
