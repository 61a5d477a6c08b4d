use std::time::Duration;

use jackfield::{
    model::{ObjectKind, Scope},
    store::{ClaimedNotice, NoticeOutcome, Store},
};

use crate::support::{MINUTE, World, company, contact};

/// Leases go by the database's clock, which no test can move.
const LEASES_END: &str = "UPDATE inbound_notice SET lease_until = 1";

async fn queue(store: &Store, notices: &[(&Scope, ObjectKind, Option<&str>)]) {
    let notices: Vec<_> = notices
        .iter()
        .map(|(scope, kind, id)| ((*scope).clone(), *kind, id.map(ToOwned::to_owned)))
        .collect();
    store.queue_notices(&notices).await.unwrap();
}

async fn claim(store: &Store) -> Vec<ClaimedNotice> {
    store.claim_notices(MINUTE, 100).await.unwrap()
}

fn told(claimed: &[ClaimedNotice]) -> Vec<(ObjectKind, Option<&str>)> {
    let mut all: Vec<_> = claimed
        .iter()
        .map(|notice| (notice.kind, notice.remote_id.as_deref()))
        .collect();
    all.sort_by_key(|(kind, id)| (kind.name(), *id));
    all
}

fn retry(world: &World, wait: Duration) -> NoticeOutcome {
    NoticeOutcome::Retry {
        at: world.clock_now().plus(wait),
        error: "down\0now".into(),
    }
}

pub(crate) async fn a_record_that_waits_waits_once(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let other = world.connection(&[contact()]).await;
    let one = (&scope, contact(), Some("1"));
    queue(store, &[one, one, (&scope, company(), Some("1"))]).await;
    queue(store, &[one, (&scope, contact(), None)]).await;
    queue(store, &[(&other, contact(), Some("1"))]).await;
    let claimed = claim(store).await;
    let of = |scope: &Scope| -> Vec<ClaimedNotice> {
        let id = scope.connection().id;
        let its = claimed
            .iter()
            .filter(|notice| notice.scope.connection().id == id);
        its.cloned().collect()
    };
    assert_eq!(
        told(&of(&scope)),
        [
            (company(), Some("1")),
            (contact(), None),
            (contact(), Some("1"))
        ]
    );
    assert_eq!(told(&of(&other)), [(contact(), Some("1"))]);
    assert_eq!(of(&other)[0].scope.project(), other.project());
    for notice in &claimed {
        store
            .finish_notice(notice, &NoticeOutcome::Done)
            .await
            .unwrap();
    }
    world.clock.advance(2 * MINUTE);
    assert!(claim(store).await.is_empty(), "what was read is over");
}

pub(crate) async fn a_claimed_notice_is_one_workers_until_its_lease_ends(world: World) {
    let store = &world.store;
    let other = world.another().await;
    let scope = world.connection(&[contact()]).await;
    queue(store, &[(&scope, contact(), Some("1"))]).await;
    let first = claim(store).await.remove(0);
    assert_eq!(first.attempt, 1);
    assert!(claim(&other).await.is_empty());
    world.tamper(LEASES_END).await;
    let second = claim(&other).await.remove(0);
    assert_eq!(second.attempt, 2);
    // The first worker is not dead, only slow: it ends nothing that is another's.
    let outcomes = [
        NoticeOutcome::Done,
        retry(&world, Duration::ZERO),
        NoticeOutcome::Dead {
            error: "late".into(),
        },
    ];
    for outcome in &outcomes {
        store.finish_notice(&first, outcome).await.unwrap();
        assert!(claim(store).await.is_empty(), "{outcome:?}");
    }
    world.tamper(LEASES_END).await;
    let third = claim(store).await.remove(0);
    assert_eq!(third.attempt, 3);
    store
        .finish_notice(&third, &NoticeOutcome::Done)
        .await
        .unwrap();
    world.tamper(LEASES_END).await;
    assert!(claim(store).await.is_empty());
}

pub(crate) async fn a_change_during_a_read_makes_it_due_again(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let one = (&scope, contact(), Some("1"));
    let outcomes = [
        NoticeOutcome::Done,
        retry(&world, 60 * MINUTE),
        NoticeOutcome::Dead {
            error: "gone".into(),
        },
    ];
    queue(store, &[one]).await;
    for outcome in &outcomes {
        let reading = claim(store).await.remove(0);
        queue(store, &[one]).await;
        assert!(claim(store).await.is_empty(), "it is being read");
        store.finish_notice(&reading, outcome).await.unwrap();
    }
    let again = claim(store).await.remove(0);
    assert_eq!(again.attempt, 1, "a new change is tried from the start");
}

pub(crate) async fn what_failed_waits_and_what_is_given_up_goes(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let one = (&scope, contact(), Some("1"));
    queue(store, &[one]).await;
    let failed = claim(store).await.remove(0);
    store
        .finish_notice(&failed, &retry(&world, 5 * MINUTE))
        .await
        .unwrap();
    world.clock.advance(4 * MINUTE);
    assert!(claim(store).await.is_empty());
    world.clock.advance(MINUTE);
    let failed = claim(store).await.remove(0);
    assert_eq!(failed.attempt, 2);
    let dead = NoticeOutcome::Dead {
        error: "no more".into(),
    };
    store.finish_notice(&failed, &dead).await.unwrap();
    world.clock.advance(60 * MINUTE);
    assert!(claim(store).await.is_empty());
    assert_eq!(store.forget_notices().await.unwrap(), 0);

    // Another change brings it back.
    queue(store, &[one]).await;
    let back = claim(store).await.remove(0);
    assert_eq!(back.attempt, 1);
    store.finish_notice(&back, &dead).await.unwrap();
    world.clock.advance(8 * 24 * 60 * MINUTE);
    assert_eq!(store.forget_notices().await.unwrap(), 1);
    assert_eq!(store.forget_notices().await.unwrap(), 0);
}

pub(crate) async fn connections_of_an_account_are_found_whoevers_they_are(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let other = world.connection(&[contact()]).await;
    let connector = scope.connection().connector.clone();
    let ids = |found: Vec<Scope>| -> Vec<_> {
        found
            .iter()
            .map(|scope| (scope.project(), scope.connection().id))
            .collect()
    };
    let both = [&scope, &other].map(|scope| (scope.project(), scope.connection().id));
    let found = store.connections_of_account(&connector, "account-1").await;
    assert_eq!(ids(found.unwrap()), both);
    let found = store.connections_of_account(&connector, "account-2").await;
    assert!(found.unwrap().is_empty());
    let foreign = "other".parse().unwrap();
    let found = store.connections_of_account(&foreign, "account-1").await;
    assert!(found.unwrap().is_empty());
    let id = scope.connection().id;
    let found = store.inbound_connection(&connector, id).await.unwrap();
    assert_eq!(found.map(|scope| scope.project()), Some(scope.project()));
    let found = store.inbound_connection(&foreign, id).await.unwrap();
    assert!(found.is_none(), "of another connector");

    queue(store, &[(&scope, contact(), Some("1"))]).await;
    store.delete_connection(&scope).await.unwrap();
    let found = store.connections_of_account(&connector, "account-1").await;
    assert_eq!(ids(found.unwrap()), both[1..]);
    let found = store.inbound_connection(&connector, id).await.unwrap();
    assert!(found.is_none());
    assert!(claim(store).await.is_empty());
    assert_eq!(store.forget_notices().await.unwrap(), 1);
}

pub(crate) async fn a_connections_secret_is_made_once_until_replaced(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let other = world.connection(&[contact()]).await;
    assert_eq!(store.inbound_secret(&scope).await.unwrap(), None);
    let put = async |scope: &Scope, text: &str, replace| {
        let sealed = text.as_bytes().to_vec();
        let kept = store.put_inbound_secret(scope, sealed, replace).await;
        String::from_utf8(kept.unwrap()).unwrap()
    };
    assert_eq!(put(&scope, "first", false).await, "first");
    assert_eq!(put(&scope, "second", false).await, "first");
    assert_eq!(put(&other, "other", false).await, "other");
    assert_eq!(put(&scope, "third", true).await, "third");
    let kept = store.inbound_secret(&scope).await.unwrap();
    assert_eq!(kept.as_deref(), Some(&b"third"[..]));
}
