//! Events become deliveries, deliveries are tried, and what came of them is kept.

use std::{sync::Arc, time::Duration};

use jackfield::{
    model::{
        Attempt, Cause, DeliveryState, NewWebhook, ProjectId, Scope, SystemEntropy, Webhook,
        WebhookChange, WebhookId,
    },
    store::{Backend, ClaimedDelivery, DeliveryFilter, FinishedDelivery, Store, Verdict},
};
use sqlx::Connection as _;

use crate::support::{MINUTE, World, contact, present};

/// Leases go by the database's clock.
const LEASES_END: &str = "UPDATE webhook_delivery SET lease_until = 1";
const LEASE: Duration = Duration::from_secs(60);
const FIVE_DAYS: Duration = Duration::from_hours(120);

async fn endpoint(world: &World, project: ProjectId, scope: &str) -> Webhook {
    let new = NewWebhook {
        id: WebhookId::generate(&SystemEntropy),
        url: "https://app.example.com/".into(),
        description: String::new(),
        scopes: vec![scope.parse().unwrap()],
        sealed_secret: b"sealed".to_vec(),
    };
    world.store.create_webhook(project, new).await.unwrap()
}

/// Hands out everything that there is.
async fn fan_out(store: &Store) -> u64 {
    let mut deliveries = 0;
    loop {
        let done = store.fan_out(Duration::ZERO).await.unwrap();
        deliveries += done.deliveries;
        if done.waiting {
            tokio::time::sleep(Duration::from_millis(10)).await;
        } else if !done.more && done.deliveries == 0 {
            return deliveries;
        }
    }
}

async fn claim(store: &Store, most: u32) -> Vec<ClaimedDelivery> {
    let due = store.due_webhooks().await.unwrap();
    let wanted: Vec<_> = due.into_iter().map(|one| (Arc::new(one), most)).collect();
    store
        .claim_deliveries("test", LEASE, &wanted)
        .await
        .unwrap()
}

fn ended(claimed: &ClaimedDelivery, verdict: Verdict) -> FinishedDelivery {
    FinishedDelivery {
        id: claimed.id,
        fence: claimed.fence,
        verdict,
        attempt: Attempt {
            number: claimed.attempt,
            cause: claimed.cause,
            at: claimed.event.event.created_at,
            status: Some(200),
            error: None,
            duration_ms: 3,
            response: "ok\0".into(),
        },
    }
}

async fn write(world: &World, scope: &Scope, ids: std::ops::Range<u32>) {
    let upserts: Vec<_> = ids.map(|id| present(&id.to_string(), "Ada")).collect();
    world.write(scope, &upserts).await;
}

async fn states(world: &World, webhook: &Webhook) -> Vec<DeliveryState> {
    let filter = DeliveryFilter {
        limit: 100,
        ..DeliveryFilter::default()
    };
    let page = world.store.deliveries(webhook, &filter).await.unwrap();
    page.data.iter().map(|one| one.state).collect()
}

pub(crate) async fn endpoints_get_what_they_want_from_now_on(world: World) {
    let scope = world.connection(&[contact()]).await;
    write(&world, &scope, 0..3).await;
    let contacts = endpoint(&world, scope.project(), "crm.contact.*").await;
    let all = endpoint(&world, scope.project(), "*").await;
    let deals = endpoint(&world, scope.project(), "crm.deal.*").await;
    let other = world.project().await;
    let foreign = endpoint(&world, other.id, "*").await;
    write(&world, &scope, 3..5).await;
    assert_eq!(fan_out(&world.store).await, 4);
    assert_eq!(states(&world, &contacts).await.len(), 2);
    assert_eq!(states(&world, &all).await.len(), 2);
    assert!(states(&world, &deals).await.is_empty());
    assert!(states(&world, &foreign).await.is_empty());
    assert_eq!(fan_out(&world.store).await, 0, "nothing twice");
}

pub(crate) async fn a_claim_that_is_never_finished_is_due_again(world: World) {
    let scope = world.connection(&[contact()]).await;
    let webhook = endpoint(&world, scope.project(), "*").await;
    write(&world, &scope, 0..2).await;
    fan_out(&world.store).await;
    let first = claim(&world.store, 10).await;
    assert_eq!(first.len(), 2);
    assert!(claim(&world.store, 10).await.is_empty());
    world.tamper(LEASES_END).await;
    let second = claim(&world.store, 1).await;
    assert_eq!((second.len(), second[0].attempt), (1, 2));
    // The first holder wakes up: his claim on that delivery is lost, the other still good.
    let late: Vec<_> = first
        .iter()
        .map(|one| ended(one, Verdict::Delivered))
        .collect();
    world
        .store
        .finish_deliveries(&late, FIVE_DAYS)
        .await
        .unwrap();
    let mut after = states(&world, &webhook).await;
    after.sort_by_key(|state| state.as_str());
    assert_eq!(after, [DeliveryState::Delivered, DeliveryState::Pending]);
    let done = ended(&second[0], Verdict::Delivered);
    world
        .store
        .finish_deliveries(&[done], FIVE_DAYS)
        .await
        .unwrap();
    let (delivery, attempts) = world
        .store
        .delivery(&webhook, second[0].id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(delivery.state, DeliveryState::Delivered);
    assert_eq!((delivery.attempts, attempts.len()), (2, 2));
}

pub(crate) async fn a_dead_delivery_is_brought_back_by_hand(world: World) {
    let scope = world.connection(&[contact()]).await;
    let webhook = endpoint(&world, scope.project(), "*").await;
    write(&world, &scope, 0..3).await;
    fan_out(&world.store).await;
    let dead: Vec<_> = claim(&world.store, 10)
        .await
        .iter()
        .map(|one| ended(one, Verdict::Dead))
        .collect();
    world
        .store
        .finish_deliveries(&dead, FIVE_DAYS)
        .await
        .unwrap();
    assert_eq!(states(&world, &webhook).await, [DeliveryState::Dead; 3]);
    assert!(world.store.redeliver(&webhook, dead[0].id).await.unwrap());
    let again = claim(&world.store, 10).await;
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].tries, again[0].attempt), (1, 2));
    assert_eq!(again[0].cause, Cause::Manual);
    let start = crate::support::START;
    let rest = world
        .store
        .redeliver_range(&webhook, start, start.plus(MINUTE), &[DeliveryState::Dead])
        .await
        .unwrap();
    assert_eq!((rest, claim(&world.store, 10).await.len()), (2, 2));
}

pub(crate) async fn a_receiver_that_is_gone_or_fails_for_days_is_disabled(world: World) {
    let scope = world.connection(&[contact()]).await;
    let webhook = endpoint(&world, scope.project(), "crm.*").await;
    write(&world, &scope, 0..3).await;
    fan_out(&world.store).await;
    let claimed = claim(&world.store, 1).await;
    let retry = ended(&claimed[0], Verdict::Retry(world.clock_now()));
    let none = world.store.finish_deliveries(&[retry], FIVE_DAYS).await;
    assert!(none.unwrap().is_empty());
    world.clock.advance(FIVE_DAYS);
    let claimed = claim(&world.store, 1).await;
    let retry = ended(&claimed[0], Verdict::Retry(world.clock_now()));
    let disabled = world.store.finish_deliveries(&[retry], FIVE_DAYS).await;
    assert_eq!(disabled.unwrap().len(), 1);
    let found = world.store.webhook(scope.project(), webhook.id).await;
    let found = found.unwrap().unwrap();
    assert!(!found.active && found.disabled_reason.unwrap().contains("5 days"));
    let types = world.event_types(scope.project()).await;
    assert!(types.contains(&"webhook_endpoint.disabled".to_owned()));
    assert!(world.store.due_webhooks().await.unwrap().is_empty());
    assert_eq!(world.store.cancel_disabled().await.unwrap(), 3);
    let on = WebhookChange {
        active: Some(true),
        ..WebhookChange::default()
    };
    let found = world
        .store
        .change_webhook(scope.project(), webhook.id, on)
        .await;
    assert_eq!(found.unwrap().unwrap().disabled_reason, None);
}

pub(crate) async fn deliveries_are_listed_in_pages_to_the_end_and_back(world: World) {
    let scope = world.connection(&[contact()]).await;
    let webhook = endpoint(&world, scope.project(), "*").await;
    write(&world, &scope, 0..5).await;
    fan_out(&world.store).await;
    let page = async |cursor| {
        let filter = DeliveryFilter {
            cursor,
            limit: 2,
            state: Some(DeliveryState::Pending),
            kind: Some("crm.contact.created".into()),
        };
        world.store.deliveries(&webhook, &filter).await.unwrap()
    };
    let first = page(None).await;
    assert!(first.previous.is_none());
    let second = page(first.next).await;
    let third = page(second.next).await;
    assert_eq!((third.data.len(), third.next), (1, None));
    let back = page(third.previous).await;
    assert_eq!(back.data[0].id, second.data[0].id);
    let back = page(back.previous).await;
    assert_eq!((back.data[0].id, back.previous), (first.data[0].id, None));
}

pub(crate) async fn what_is_past_its_keeping_time_goes(world: World) {
    let scope = world.connection(&[contact()]).await;
    let webhook = endpoint(&world, scope.project(), "*").await;
    write(&world, &scope, 0..3).await;
    fan_out(&world.store).await;
    world.clock.advance(MINUTE);
    let before = world.clock_now();
    let events = world
        .store
        .prune_events(before, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(
        events.events, 1,
        "connection.created came before the endpoint"
    );
    write(&world, &scope, 3..4).await;
    fan_out(&world.store).await;
    let pruned = world.store.prune_deliveries(before, Duration::ZERO).await;
    assert_eq!(pruned.unwrap().deliveries, 3);
    let events = world
        .store
        .prune_events(before, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(
        (events.events, states(&world, &webhook).await.len()),
        (3, 1)
    );
    let deleted = world
        .store
        .delete_webhook(scope.project(), webhook.id)
        .await;
    assert!(deleted.unwrap().is_some());
    let pruned = world.store.prune_deliveries(before, Duration::ZERO).await;
    assert_eq!(pruned.unwrap().deliveries, 1);
}

/// On PostgreSQL events become visible in another order than their numbers have.
pub(crate) async fn an_event_of_a_slow_transaction_is_not_passed_by(world: World) {
    if world.store.backend() == Backend::Sqlite {
        // There is one writer: the order is the same by construction.
        return;
    }
    let scope = world.connection(&[contact()]).await;
    let webhook = endpoint(&world, scope.project(), "*").await;
    fan_out(&world.store).await;
    let mut slow = sqlx::PgConnection::connect(&world.url).await.unwrap();
    let mut tx = slow.begin().await.unwrap();
    for sql in [
        "UPDATE connection SET written_at = written_at",
        "INSERT INTO event (id, project, type, data, created_at)
         SELECT '00000000-0000-4000-8000-000000000001', id, 'crm.contact.created', '{}', 0
         FROM project",
    ] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    // A later number, visible first.
    let other = world.connection_in(scope.project(), &[]).await;
    let done = world.store.fan_out(Duration::ZERO).await.unwrap();
    assert!(done.waiting && done.deliveries == 0, "{done:?}");
    tx.commit().await.unwrap();
    assert_eq!(fan_out(&world.store).await, 2);
    assert_eq!(states(&world, &webhook).await.len(), 2);
    drop(other);
}
