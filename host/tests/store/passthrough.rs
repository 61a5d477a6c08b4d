//! Passed-through requests that wait to be sent again.

use std::time::Duration;

use jackfield::model::{Clock as _, RetryId, SystemEntropy};

use crate::support::{MINUTE, World, contact};

pub(crate) async fn a_waiting_request_is_claimed_by_one(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let id = RetryId::generate(&SystemEntropy);
    let due = world.clock.now().plus(MINUTE);
    store
        .put_retry(&scope, id, b"sealed".to_vec(), due)
        .await
        .unwrap();
    assert!(store.claim_retries(MINUTE, 8).await.unwrap().is_empty());
    let row = store.retry(scope.project(), id).await.unwrap().unwrap();
    assert_eq!((row.attempt, row.next_at, row.result), (0, due, None));

    world.clock.advance(MINUTE);
    let other = world.another().await;
    let (one, two) = tokio::join!(
        store.claim_retries(MINUTE, 8),
        other.claim_retries(MINUTE, 8)
    );
    let mut claimed = one.unwrap();
    claimed.extend(two.unwrap());
    assert_eq!(claimed.len(), 1, "one of two gets it");
    let first = claimed.remove(0);
    assert_eq!((first.attempt, &*first.request), (1, &b"sealed"[..]));
    assert_eq!(first.scope.connection().id, scope.connection().id);

    // Whoever claimed it died: after the lease it is claimed again, and the first has lost it.
    assert!(store.claim_retries(MINUTE, 8).await.unwrap().is_empty());
    world
        .tamper("UPDATE passthrough_retry SET lease_until = 0")
        .await;
    let second = other.claim_retries(MINUTE, 8).await.unwrap().remove(0);
    assert_eq!(second.attempt, 2);
    assert!(!store.postpone_retry(&first, due).await.unwrap());
    assert!(!store.finish_retry(&first, b"late".to_vec()).await.unwrap());
    let later = world.clock.now().plus(MINUTE);
    assert!(other.postpone_retry(&second, later).await.unwrap());
    assert!(store.claim_retries(MINUTE, 8).await.unwrap().is_empty());

    world.clock.advance(MINUTE);
    let third = store.claim_retries(MINUTE, 8).await.unwrap().remove(0);
    assert!(store.finish_retry(&third, b"end".to_vec()).await.unwrap());
    world.clock.advance(MINUTE);
    assert!(store.claim_retries(MINUTE, 8).await.unwrap().is_empty());
    let row = store.retry(scope.project(), id).await.unwrap().unwrap();
    assert_eq!(row.result.as_deref(), Some(&b"end"[..]));
    other.close().await;
}

pub(crate) async fn what_ended_is_forgotten_in_time(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let gone = world.connection(&[contact()]).await;
    let stranger = world.connection(&[contact()]).await;
    let now = world.clock.now();
    let (first, second, lost) = (new(), new(), new());
    for (scope, id) in [(&scope, first), (&scope, second)] {
        let request = b"sealed".to_vec();
        store.put_retry(scope, id, request, now).await.unwrap();
    }
    let claimed = store.claim_retries(MINUTE, 1).await.unwrap().remove(0);
    store.finish_retry(&claimed, b"end".to_vec()).await.unwrap();
    let request = b"sealed".to_vec();
    store.put_retry(&gone, lost, request, now).await.unwrap();
    let foreign = store.retry(stranger.project(), first).await.unwrap();
    assert!(foreign.is_none(), "only the own project sees it");

    store.delete_connection(&gone).await.unwrap();
    assert!(store.retry(gone.project(), lost).await.unwrap().is_none());
    let due = store.claim_retries(MINUTE, 8).await.unwrap();
    assert_eq!(due.len(), 1, "the other of the first connection");
    assert_eq!(due[0].scope.connection().id, scope.connection().id);
    let day = Duration::from_secs(24 * 3600);
    let before = world.clock.now().minus(day);
    let deleted = store.prune_retries(before).await.unwrap();
    assert_eq!(deleted, 1, "that of the deleted connection");
    world.clock.advance(day + MINUTE);
    let before = world.clock.now().minus(day);
    assert_eq!(store.prune_retries(before).await.unwrap(), 1);
    assert!(
        store
            .retry(scope.project(), claimed.id)
            .await
            .unwrap()
            .is_none()
    );
    let waits = if claimed.id == first { second } else { first };
    assert!(store.retry(scope.project(), waits).await.unwrap().is_some());
}

fn new() -> RetryId {
    RetryId::generate(&SystemEntropy)
}
