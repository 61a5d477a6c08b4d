use std::collections::HashSet;

use jackfield::{
    model::{ConnectionStatus, Scope},
    store::{Checkpoint, ClaimedSync, Error, SyncOutcome, SyncState},
};

use crate::support::{MINUTE, START, World, company, contact, kind, present};

impl World {
    async fn claim(&self) -> ClaimedSync {
        let mut claimed = self.store.claim_syncs("worker", MINUTE, 10).await.unwrap();
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    async fn state(&self, scope: &Scope) -> SyncState {
        self.store.sync_states(scope).await.unwrap().remove(0)
    }
}

fn checkpoint(claimed: &ClaimedSync) -> Checkpoint<'_> {
    Checkpoint {
        claimed,
        cursor: Some("page 2"),
        run_started_at: START,
    }
}

const COMPLETED: SyncOutcome = SyncOutcome::Completed { since: Some(START) };

pub(crate) async fn a_claim_takes_one_object_of_a_connection(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact(), company()]).await;
    let first = world.claim().await;
    assert_eq!((first.kind, first.state.attempt), (contact(), 1));
    assert_eq!(first.scope.connection().id, scope.connection().id);
    assert!(
        store
            .claim_syncs("worker", MINUTE, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .finish_sync(&first, COMPLETED, START.plus(10 * MINUTE))
            .await
            .unwrap()
    );
    assert_eq!(world.claim().await.kind, company());
}

pub(crate) async fn two_instances_share_the_work(world: World) {
    let project = world.project().await.id;
    for _ in 0..30 {
        world.connection_in(project, &[contact(), company()]).await;
    }
    let another = world.another().await;
    let claiming: Vec<_> = (0..12)
        .map(|number| {
            let store = if number % 2 == 0 {
                world.store.clone()
            } else {
                another.clone()
            };
            tokio::spawn(async move { store.claim_syncs("worker", MINUTE, 5).await.unwrap() })
        })
        .collect();
    let mut claimed = Vec::new();
    for task in claiming {
        let some = task.await.unwrap();
        assert!(some.len() <= 5);
        claimed.extend(some);
    }
    // What stepped aside for another is still there.
    claimed.extend(
        world
            .store
            .claim_syncs("worker", MINUTE, 100)
            .await
            .unwrap(),
    );
    let connections: HashSet<_> = claimed
        .iter()
        .map(|claim| claim.scope.connection().id)
        .collect();
    assert_eq!((claimed.len(), connections.len()), (30, 30));
    assert!(claimed.iter().all(|claim| claim.kind == contact()));
    another.close().await;
}

pub(crate) async fn a_page_under_a_lost_lease_is_rolled_back(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let slow = world.claim().await;
    world.clock.advance(MINUTE);
    let fast = world.claim().await;
    assert_eq!((fast.fence, fast.state.attempt), (slow.fence + 1, 2));

    let page = [present("1", "Ada")];
    let error = store
        .apply_page(&scope, contact(), &page, Some(&checkpoint(&slow)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error:?}");
    assert!(!store.renew_sync(&slow, MINUTE).await.unwrap());
    assert!(!store.finish_sync(&slow, COMPLETED, START).await.unwrap());
    let request = crate::lists::request(10);
    assert!(
        store
            .list_records(&scope, contact(), &request)
            .await
            .unwrap()
            .data
            .is_empty()
    );
    assert_eq!(
        world.event_types(scope.project()).await,
        ["connection.created"]
    );

    store
        .apply_page(&scope, contact(), &page, Some(&checkpoint(&fast)))
        .await
        .unwrap();
    assert_eq!(world.state(&scope).await.cursor.as_deref(), Some("page 2"));
    store.delete_connection(&scope).await.unwrap();
    let error = store
        .apply_page(&scope, contact(), &page, Some(&checkpoint(&fast)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error:?}");
}

pub(crate) async fn a_lease_is_renewed_until_it_is_lost(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let claimed = world.claim().await;
    world.clock.advance(MINUTE / 2);
    assert!(store.renew_sync(&claimed, MINUTE).await.unwrap());
    world.clock.advance(MINUTE / 2);
    assert!(
        store
            .claim_syncs("other", MINUTE, 10)
            .await
            .unwrap()
            .is_empty()
    );
    world.clock.advance(MINUTE / 2);
    // Over, but nobody wanted it: still good.
    store
        .apply_page(
            &scope,
            contact(),
            &[present("1", "Ada")],
            Some(&checkpoint(&claimed)),
        )
        .await
        .unwrap();
    assert!(store.renew_sync(&claimed, MINUTE).await.unwrap());
    assert!(store.finish_sync(&claimed, COMPLETED, START).await.unwrap());
    assert!(!store.renew_sync(&claimed, MINUTE).await.unwrap());
    assert!(!store.finish_sync(&claimed, COMPLETED, START).await.unwrap());
}

pub(crate) async fn a_completed_run_clears_its_cursor(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let claimed = world.claim().await;
    assert_eq!(
        world.state(&scope).await.last_status.as_deref(),
        Some("running")
    );
    let page = [present("1", "Ada"), present("2", "Bob")];
    store
        .apply_page(&scope, contact(), &page, Some(&checkpoint(&claimed)))
        .await
        .unwrap();
    let next = START.plus(10 * MINUTE);
    store.finish_sync(&claimed, COMPLETED, next).await.unwrap();
    let state = world.state(&scope).await;
    assert_eq!(
        state,
        SyncState {
            kind: contact(),
            cursor: None,
            since: Some(START),
            full_done: true,
            run_started_at: None,
            next_run_at: next,
            attempt: 0,
            records_read: 2,
            pages: 1,
            last_status: Some("completed".into()),
            last_error: None,
            last_finished_at: Some(START),
        }
    );
    assert!(
        store
            .claim_syncs("worker", MINUTE, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let events = store.events(scope.project(), 1, 1).await.unwrap();
    assert_eq!(events[0].event.kind.0, "sync.completed");
    let data: serde_json::Value = serde_json::from_str(&events[0].event.data).unwrap();
    assert_eq!(
        (&data["object"], &data["records_read"]),
        (&"crm.contact".into(), &2.into())
    );
    world.clock.advance(10 * MINUTE);
    let again = world.claim().await;
    assert_eq!(
        (
            again.state.records_read,
            again.state.pages,
            again.state.since
        ),
        (0, 0, Some(START))
    );
}

pub(crate) async fn a_failed_run_keeps_its_cursor(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let claimed = world.claim().await;
    store
        .apply_page(
            &scope,
            contact(),
            &[present("1", "Ada")],
            Some(&checkpoint(&claimed)),
        )
        .await
        .unwrap();
    let failed = SyncOutcome::Failed {
        error: format!("the provider\0 said no{}", "!".repeat(5000)),
    };
    store
        .finish_sync(&claimed, failed, START.plus(MINUTE))
        .await
        .unwrap();
    let state = world.state(&scope).await;
    assert_eq!(
        (state.cursor.as_deref(), state.run_started_at),
        (Some("page 2"), Some(START))
    );
    assert_eq!(
        (state.attempt, state.last_status.as_deref()),
        (1, Some("failed"))
    );
    let error = state.last_error.unwrap();
    assert!(error.starts_with("the provider said no!") && error.len() == 2000);
    world.clock.advance(MINUTE);
    let again = world.claim().await;
    assert_eq!(
        (again.state.cursor.as_deref(), again.state.attempt),
        (Some("page 2"), 2)
    );
    assert_eq!((again.state.records_read, again.state.pages), (1, 1));
    assert!(
        world
            .event_types(scope.project())
            .await
            .contains(&"sync.failed".to_owned())
    );
}

pub(crate) async fn a_request_during_a_run_repeats_it(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact(), company()]).await;
    let claimed = world.claim().await;
    assert_eq!(
        store
            .request_sync(&scope, Some(&[contact(), kind("crm.deal")]))
            .await
            .unwrap(),
        1
    );
    let later = START.plus(10 * MINUTE);
    store.finish_sync(&claimed, COMPLETED, later).await.unwrap();
    assert_eq!(world.state(&scope).await.next_run_at, START);
    for _ in 0..2 {
        let claimed = world.claim().await;
        store.finish_sync(&claimed, COMPLETED, later).await.unwrap();
    }
    assert!(
        store
            .claim_syncs("worker", MINUTE, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.request_sync(&scope, None).await.unwrap(), 2);
    world.claim().await;
}

pub(crate) async fn dead_and_deleted_connections_are_not_claimed(world: World) {
    let store = &world.store;
    let (dead, gone) = (
        world.connection(&[contact()]).await,
        world.connection(&[contact()]).await,
    );
    store
        .set_connection_status(&dead, ConnectionStatus::NeedsReconnect, "revoked")
        .await
        .unwrap();
    store.delete_connection(&gone).await.unwrap();
    assert!(
        store
            .claim_syncs("worker", MINUTE, 10)
            .await
            .unwrap()
            .is_empty()
    );
    store
        .set_connection_status(&dead, ConnectionStatus::Valid, "")
        .await
        .unwrap();
    assert_eq!(
        world.claim().await.scope.connection().id,
        dead.connection().id
    );
}

pub(crate) async fn new_objects_are_added_to_the_syncs(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let claimed = world.claim().await;
    store
        .finish_sync(&claimed, COMPLETED, START.plus(10 * MINUTE))
        .await
        .unwrap();
    for _ in 0..2 {
        store
            .ensure_syncs(&scope, &[company(), contact()])
            .await
            .unwrap();
    }
    let kinds: Vec<_> = store
        .sync_states(&scope)
        .await
        .unwrap()
        .iter()
        .map(|state| state.kind)
        .collect();
    assert_eq!(kinds, [company(), contact()]);
    assert_eq!(world.claim().await.kind, company());
}
