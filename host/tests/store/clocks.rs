//! Hosts of one database whose clocks are an hour behind, right, and an hour ahead.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jackfield::{
    model::{
        Clock as _, Digest, ManualClock, NewWebhook, Schedule, SyncConfig, SystemEntropy, WebhookId,
    },
    store::{KeyOwner, KeyState, Store, SyncOutcome, planned},
};

use crate::support::{MINUTE, START, World, contact, present};

const HOUR: Duration = Duration::from_secs(3600);

impl World {
    async fn host(&self, clock: ManualClock) -> (Store, ManualClock) {
        let (clocks, entropy) = (Arc::new(clock.clone()), Arc::new(SystemEntropy));
        let store = Store::open(&self.url, clocks, entropy).await;
        (store.unwrap(), clock)
    }

    /// Behind, right, ahead.
    async fn hosts(&self) -> [(Store, ManualClock); 3] {
        [
            self.host(ManualClock::new(START.minus(HOUR))).await,
            self.host(ManualClock::new(START)).await,
            self.host(ManualClock::new(START.plus(HOUR))).await,
        ]
    }
}

pub(crate) async fn leases_hold_whatever_the_clocks_of_hosts_say(world: World) {
    let scope = world.connection(&[contact()]).await;
    let hosts = world.hosts().await;
    let [_, (right, _), (ahead, _)] = &hosts;

    let owner = || KeyOwner::connection(&scope);
    let request = Digest::of("request");
    let claimed = right.claim_key(owner(), "key", &request, MINUTE).await;
    assert!(matches!(claimed.unwrap(), KeyState::Claimed(_)));
    for (host, _) in &hosts {
        let state = host.claim_key(owner(), "key", &request, MINUTE).await;
        assert!(matches!(state.unwrap(), KeyState::Busy));
    }
    world
        .tamper("UPDATE idempotency SET claimed_until = 1")
        .await;
    let (behind, _) = &hosts[0];
    let state = behind.claim_key(owner(), "key", &request, MINUTE).await;
    assert!(matches!(state.unwrap(), KeyState::Claimed(_)));

    let new = NewWebhook {
        id: WebhookId::generate(&SystemEntropy),
        url: "https://app.example.com/".into(),
        description: String::new(),
        scopes: vec!["*".parse().unwrap()],
        sealed_secret: b"sealed".to_vec(),
    };
    right.create_webhook(scope.project(), new).await.unwrap();
    world.write(&scope, &[present("1", "Ada")]).await;
    while right.fan_out(Duration::ZERO).await.unwrap().deliveries == 0 {}
    let claim = async |host: &Store| {
        let due = host.due_webhooks().await.unwrap();
        let wanted: Vec<_> = due.into_iter().map(|one| (Arc::new(one), 10)).collect();
        let claimed = host.claim_deliveries("host", MINUTE, &wanted).await;
        claimed.unwrap().len()
    };
    assert_eq!(claim(right).await, 1);
    assert_eq!(claim(ahead).await, 0, "for it the lease ended an hour ago");
    world
        .tamper("UPDATE webhook_delivery SET lease_until = 1")
        .await;
    assert_eq!(claim(ahead).await, 1);
    for (host, _) in hosts {
        host.close().await;
    }
}

pub(crate) async fn three_hosts_make_sixty_runs_in_an_hour(world: World) {
    let scope = world.connection(&[contact()]).await;
    let hosts = world.hosts().await;
    let schedule = Schedule::Cron {
        expression: "* * * * *".into(),
        time_zone: "UTC".into(),
    };
    let config = SyncConfig {
        schedule: Some(schedule.clone()),
        ..SyncConfig::default()
    };
    let completed = SyncOutcome::Completed { since: None };
    let [_, _, (ahead, clock)] = &hosts;
    let first = ahead.claim_syncs("ahead", MINUTE, 1).await.unwrap();
    let next = planned(&schedule, clock.now());
    ahead
        .finish_sync(&first[0], completed.clone(), next)
        .await
        .unwrap();
    ahead
        .set_sync_config(&scope, contact(), &config, Some(next))
        .await
        .unwrap();
    let mut slots = Vec::new();
    for minute in 0..60 {
        for (_, clock) in &hosts {
            clock.advance(MINUTE);
        }
        // Each in its turn is the first to look, and each looks twice.
        for turn in 0..6 {
            let (host, _) = &hosts[(minute + turn) % 3];
            let claimed = host.claim_syncs("host", MINUTE, 5).await.unwrap();
            for claim in claimed {
                slots.push(claim.state.next_run_at);
                // Whoever ends the run plans the next one by a clock of its own.
                let (other, clock) = &hosts[(minute + turn + 1) % 3];
                let next = planned(&schedule, clock.now().max(claim.state.next_run_at));
                other
                    .finish_sync(&claim, completed.clone(), next)
                    .await
                    .unwrap();
            }
        }
    }
    let distinct: BTreeSet<_> = slots.iter().collect();
    assert_eq!((slots.len(), distinct.len()), (60, 60), "{slots:?}");
    for (host, _) in hosts {
        host.close().await;
    }
}
