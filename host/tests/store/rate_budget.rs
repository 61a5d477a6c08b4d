use std::time::Duration;

use jackfield::{
    model::{Ask, BudgetScope, ErrorClass, Said, WindowRule},
    store::BudgetKey,
};

use crate::support::{MINUTE, World, contact};

const HOUR: Duration = Duration::from_secs(3600);
const RULE: WindowRule = WindowRule {
    requests: 100,
    length: HOUR,
    reserve_percent: 20,
};

const fn ask(interactive: bool, want: u64) -> Ask {
    Ask {
        interactive,
        want,
        give_back: None,
    }
}

pub(crate) async fn two_hosts_take_no_more_than_there_is(world: World) {
    let scope = world.connection(&[]).await;
    let key = BudgetKey::new(&scope, BudgetScope::Connection, "all");
    // Their clocks disagree; the database's counts.
    let another = world.another().await;
    world.clock.advance(2 * HOUR);
    let asking: Vec<_> = (0..60)
        .map(|number| {
            let store = if number % 2 == 0 {
                world.store.clone()
            } else {
                another.clone()
            };
            let key = key.clone();
            tokio::spawn(async move { store.lease_budget(&key, &RULE, &ask(false, 3)).await })
        })
        .collect();
    let mut taken = 0;
    for task in asking {
        taken += task.await.unwrap().unwrap().granted.tokens;
    }
    assert_eq!(taken, 80, "the rest is for those who wait");
    let refused = another.lease_budget(&key, &RULE, &ask(false, 1)).await;
    let refused = refused.unwrap();
    assert_eq!(refused.granted.tokens, 0);
    assert!(refused.granted.wait > HOUR - MINUTE && refused.granted.wait <= HOUR);
    let waiting = world.store.lease_budget(&key, &RULE, &ask(true, 30)).await;
    assert_eq!(waiting.unwrap().granted.tokens, 20);

    // What was not used comes back; what the provider says is believed.
    let give_back = Some((5, refused.window.ends_at));
    let again = Ask {
        give_back,
        ..ask(true, 30)
    };
    let again = another.lease_budget(&key, &RULE, &again).await.unwrap();
    assert_eq!(again.granted.tokens, 5);
    let said = Said {
        limit: Some(250),
        remaining: Some(40),
        reset: None,
    };
    let (window, _) = another.correct_budget(&key, &RULE, &said).await.unwrap();
    assert_eq!((window.limit, window.used), (250, 210));
    let (window, now) = world.store.budget(&key).await.unwrap();
    assert_eq!(window.unwrap().remaining(now), 40);
    another.close().await;
}

pub(crate) async fn a_block_is_everybodys_and_ends(world: World) {
    let scope = world.connection(&[]).await;
    let store = &world.store;
    let key = BudgetKey::new(&scope, BudgetScope::Connection, "all");
    store.block_budget(&key, Some(&RULE), HOUR).await.unwrap();
    let another = world.another().await;
    let refused = another.lease_budget(&key, &RULE, &ask(true, 1)).await;
    let granted = refused.unwrap().granted;
    assert_eq!(granted.tokens, 0);
    assert!(granted.wait > HOUR - MINUTE, "{:?}", granted.wait);
    let (window, now) = another.budget(&key).await.unwrap();
    assert!(window.unwrap().blocked(now).is_some());

    let short = BudgetKey::new(&scope, BudgetScope::Connection, "");
    assert_eq!(another.budget(&short).await.unwrap().0, None);
    store
        .block_budget(&short, None, Duration::ZERO)
        .await
        .unwrap();
    let (window, now) = another.budget(&short).await.unwrap();
    assert_eq!(window.unwrap().blocked(now), None);
    another.close().await;
}

pub(crate) async fn who_shares_a_bucket_is_the_manifests_choice(world: World) {
    let (one, two) = (world.connection(&[]).await, world.connection(&[]).await);
    let take = async |scope, sharing| {
        let key = BudgetKey::new(scope, sharing, "all");
        let leased = world.store.lease_budget(&key, &RULE, &ask(true, 1)).await;
        leased.unwrap().window.used
    };
    for scope in [&one, &two] {
        assert_eq!(take(scope, BudgetScope::Connection).await, 1);
    }
    assert_eq!(take(&one, BudgetScope::App).await, 1);
    assert_eq!(take(&two, BudgetScope::App).await, 2);
    // Both are the same account at the provider.
    assert_eq!(one.connection().account, two.connection().account);
    assert_eq!(take(&one, BudgetScope::Account).await, 1);
    assert_eq!(take(&two, BudgetScope::Account).await, 2);
}

pub(crate) async fn a_sync_that_waits_has_not_failed(world: World) {
    let scope = world.connection(&[contact()]).await;
    let store = &world.store;
    let claimed = async || {
        let claimed = store.claim_syncs("host", MINUTE, 1).await.unwrap();
        claimed.into_iter().next()
    };
    let first = claimed().await.unwrap();
    let until = world.clock_now().plus(HOUR);
    assert!(store.postpone_sync(&first, until, "later").await.unwrap());
    let state = store.sync_states(&scope).await.unwrap().remove(0);
    assert_eq!((state.status(), state.attempt), ("rate_limited", 0));
    assert_eq!(state.next_run_at, until);
    assert_eq!(state.last_error.as_deref(), Some("later"));
    let run = store.run(scope.project(), first.run).await.unwrap();
    let run = run.unwrap();
    assert_eq!(run.next_attempt_at, Some(until));
    assert_eq!(
        run.error.map(|error| error.class),
        Some(ErrorClass::RateLimited)
    );
    assert!(claimed().await.is_none());
    assert!(
        !store.postpone_sync(&first, until, "late").await.unwrap(),
        "its claim is over"
    );
    world.clock.advance(HOUR);
    let again = claimed().await.unwrap();
    assert_eq!((again.state.attempt, again.state.status()), (1, "running"));
}
