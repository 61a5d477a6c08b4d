use std::{collections::HashSet, time::Duration};

use jackfield::{
    model::{
        ConnectionStatus, ErrorClass, Run, RunError, RunId, RunStatus, Schedule, Scope, SyncConfig,
        Timestamp, Trigger,
    },
    store::{
        Checkpoint, ClaimedSync, Error, Renewal, Source, SyncFilter, SyncOutcome, SyncState, Way,
        planned,
    },
};

use crate::support::{LATER, MINUTE, START, World, company, contact, kind, present};

impl World {
    async fn claim(&self) -> ClaimedSync {
        self.claim_for(MINUTE).await
    }

    async fn claim_for(&self, lease: Duration) -> ClaimedSync {
        let mut claimed = self.store.claim_syncs("worker", lease, 10).await.unwrap();
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    async fn nothing_is_due(&self) {
        let claimed = self.store.claim_syncs("worker", MINUTE, 10).await.unwrap();
        assert!(claimed.is_empty(), "{claimed:?}");
    }

    async fn run(&self, scope: &Scope, run: RunId) -> Run {
        let run = self.store.run(scope.project(), run).await.unwrap();
        run.unwrap()
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
        full: true,
        way: Way::default(),
        as_of: LATER,
        failures: &[],
        total: None,
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
    let slow = world.claim_for(Duration::ZERO).await;
    let fast = world.claim().await;
    assert_eq!((fast.fence, fast.state.attempt), (slow.fence + 1, 2));

    let page = [present("1", "Ada")];
    let error = store
        .apply_page(&scope, contact(), &page, Source::Sync(&checkpoint(&slow)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error:?}");
    assert_eq!(
        store.renew_sync(&slow, MINUTE).await.unwrap(),
        Renewal::Lost
    );
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
        .apply_page(&scope, contact(), &page, Source::Sync(&checkpoint(&fast)))
        .await
        .unwrap();
    assert_eq!(world.state(&scope).await.cursor.as_deref(), Some("page 2"));
    store.delete_connection(&scope).await.unwrap();
    let error = store
        .apply_page(&scope, contact(), &page, Source::Sync(&checkpoint(&fast)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error:?}");
}

pub(crate) async fn a_lease_is_renewed_until_it_is_lost(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let claimed = world.claim_for(Duration::ZERO).await;
    assert_eq!(
        store.renew_sync(&claimed, MINUTE).await.unwrap(),
        Renewal::Held
    );
    // The host's clock says that it is long over; the database's does not.
    world.clock.advance(1000 * MINUTE);
    world.nothing_is_due().await;
    store.renew_sync(&claimed, Duration::ZERO).await.unwrap();
    // Over, but nobody wanted it: still good.
    store
        .apply_page(
            &scope,
            contact(),
            &[present("1", "Ada")],
            Source::Sync(&checkpoint(&claimed)),
        )
        .await
        .unwrap();
    assert_eq!(
        store.renew_sync(&claimed, MINUTE).await.unwrap(),
        Renewal::Held
    );
    assert!(store.finish_sync(&claimed, COMPLETED, START).await.unwrap());
    assert_eq!(
        store.renew_sync(&claimed, MINUTE).await.unwrap(),
        Renewal::Lost
    );
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
        .apply_page(
            &scope,
            contact(),
            &page,
            Source::Sync(&checkpoint(&claimed)),
        )
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
            paused: false,
            run_full: false,
            full_next: false,
            runs_since_full: 0,
            trigger: Trigger::Schedule,
            given_up_at: None,
            lap: None,
            query: None,
            question: None,
            config: SyncConfig::default(),
            run: Some(claimed.run),
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
            Source::Sync(&checkpoint(&claimed)),
        )
        .await
        .unwrap();
    let failed = SyncOutcome::Failed {
        error: RunError::new(
            ErrorClass::Provider,
            format!("the provider\0 said no{}", "!".repeat(5000)),
        ),
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

pub(crate) async fn projects_take_turns_and_what_is_asked_for_goes_first(world: World) {
    let store = &world.store;
    let (large, small) = (world.project().await.id, world.project().await.id);
    let mut backfill = Vec::new();
    for _ in 0..8 {
        backfill.push(world.connection_in(large, &[contact()]).await);
    }
    world.clock.advance(MINUTE);
    let late = world.connection_in(small, &[contact(), company()]).await;
    let asked = &backfill[5];
    store.request_sync(asked, None).await.unwrap();

    let claimed = store.claim_syncs("worker", MINUTE, 3).await.unwrap();
    let projects: Vec<_> = claimed.iter().map(|claim| claim.scope.project()).collect();
    assert_eq!(projects.iter().filter(|id| **id == small).count(), 1);
    let connections: Vec<_> = claimed
        .iter()
        .map(|claim| claim.scope.connection().id)
        .collect();
    assert_eq!(connections[0], asked.connection().id);

    // What is at work counts, on whatever host: the project with less of it is next.
    let ended = claimed
        .iter()
        .find(|claim| claim.scope.project() == small)
        .unwrap();
    let later = world.clock_now().plus(10 * MINUTE);
    store.finish_sync(ended, COMPLETED, later).await.unwrap();
    let another = world.another().await;
    let next = another.claim_syncs("other", MINUTE, 1).await.unwrap();
    assert_eq!(next[0].scope.connection().id, late.connection().id);
    assert_eq!(next[0].kind, company());
    another.close().await;
}

pub(crate) async fn a_claim_that_is_given_back_goes_on_at_once(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let claimed = world.claim().await;
    let page = [present("1", "Ada")];
    store
        .apply_page(
            &scope,
            contact(),
            &page,
            Source::Sync(&checkpoint(&claimed)),
        )
        .await
        .unwrap();
    store.release_sync(&claimed).await.unwrap();
    let again = world.claim().await;
    assert_eq!(again.state.cursor.as_deref(), Some("page 2"));
    assert_eq!((again.state.attempt, again.state.run_full), (1, true));

    // All of a process at once; what it has on the way comes too late.
    assert_eq!(store.release_syncs_of("worker").await.unwrap(), 1);
    let error = store
        .apply_page(&scope, contact(), &page, Source::Sync(&checkpoint(&again)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error:?}");
    assert_eq!(world.claim().await.fence, again.fence + 2);
}

pub(crate) async fn a_paused_sync_is_left_alone_until_it_is_resumed(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let claimed = world.claim().await;
    store.pause_sync(&scope, contact()).await.unwrap();
    assert_eq!(
        store.renew_sync(&claimed, MINUTE).await.unwrap(),
        Renewal::Paused
    );
    let page = [present("1", "Ada")];
    store
        .apply_page(
            &scope,
            contact(),
            &page,
            Source::Sync(&checkpoint(&claimed)),
        )
        .await
        .unwrap();
    store.release_sync(&claimed).await.unwrap();
    store.request_sync(&scope, None).await.unwrap();
    world.nothing_is_due().await;
    assert!(world.state(&scope).await.paused);
    // Its run is over, and another one reads what is left.
    let over = world.run(&scope, claimed.run).await;
    assert_eq!(over.status, RunStatus::Cancelled);
    assert!(over.finished_at.is_some());

    store.resume_sync(&scope, contact()).await.unwrap();
    let again = world.claim().await;
    assert_eq!(again.state.cursor.as_deref(), Some("page 2"));
    assert_ne!(again.run, claimed.run);
    let rest = world.run(&scope, again.run).await;
    assert_eq!((rest.status, rest.resumed), (RunStatus::Running, true));

    // Resumed before its holder saw the pause, the same run goes on; one that fails while it is
    // paused is not tried again.
    store.pause_sync(&scope, contact()).await.unwrap();
    store.resume_sync(&scope, contact()).await.unwrap();
    let same = world.run(&scope, again.run).await;
    assert_eq!((same.status, same.finished_at), (RunStatus::Running, None));
    store.pause_sync(&scope, contact()).await.unwrap();
    let error = RunError::new(ErrorClass::Network, "no answer");
    let failed = SyncOutcome::Failed { error };
    let ended = store.finish_sync(&again, failed, world.clock_now());
    assert!(ended.await.unwrap());
    let over = world.run(&scope, again.run).await;
    assert_eq!(
        (over.status, over.next_attempt_at),
        (RunStatus::Cancelled, None)
    );
    let error = store.pause_sync(&scope, company()).await.unwrap_err();
    assert!(matches!(error, Error::Missing("sync")), "{error:?}");
}

fn every_minute() -> SyncConfig {
    SyncConfig {
        schedule: Some(Schedule::Cron {
            expression: "* * * * *".into(),
            time_zone: "UTC".into(),
        }),
        full_every: None,
        ..SyncConfig::default()
    }
}

pub(crate) async fn a_slot_of_a_schedule_makes_one_run(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let config = every_minute();
    let schedule = config.schedule.clone().unwrap();
    let slot = planned(&schedule, START);
    assert_eq!(slot, START.plus(MINUTE));
    let first = world.claim().await;
    store.finish_sync(&first, COMPLETED, slot).await.unwrap();
    store
        .set_sync_config(&scope, contact(), &config, Some(slot))
        .await
        .unwrap();
    world.nothing_is_due().await;

    world.clock.advance(MINUTE);
    let run = world.claim().await;
    assert_eq!((run.state.next_run_at, &run.state.config), (slot, &config));
    assert_eq!(run.state.trigger, Trigger::Schedule);
    // A host whose clock is behind plans the same slot again: it makes no second run.
    store.finish_sync(&run, COMPLETED, slot).await.unwrap();
    world.nothing_is_due().await;
    let state = world.state(&scope).await;
    assert_eq!(state.next_run_at, START.plus(2 * MINUTE));
    assert_eq!(state.last_status.as_deref(), Some("completed"));

    // A run that was cut short goes on in its own slot.
    world.clock.advance(MINUTE);
    let cut = world.claim_for(Duration::ZERO).await;
    let again = world.claim().await;
    assert_eq!((again.fence, again.state.attempt), (cut.fence + 1, 2));
}

pub(crate) async fn a_run_that_is_given_up_waits_for_the_schedule(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let page = [present("1", "Ada")];
    let mut next = START;
    for (restart, cursor) in [(false, Some("page 2")), (true, None)] {
        let claimed = world.claim().await;
        store
            .apply_page(
                &scope,
                contact(),
                &page,
                Source::Sync(&checkpoint(&claimed)),
            )
            .await
            .unwrap();
        let outcome = SyncOutcome::GivenUp {
            error: RunError::new(ErrorClass::Forbidden, "gone for good"),
            restart,
        };
        next = next.plus(10 * MINUTE);
        store.finish_sync(&claimed, outcome, next).await.unwrap();
        let state = world.state(&scope).await;
        assert_eq!(state.cursor.as_deref(), cursor);
        assert_eq!((state.next_run_at, state.attempt), (next, 0));
        assert_eq!(
            state.full_next, restart,
            "what read everything still has to"
        );
        assert_eq!(state.last_error.as_deref(), Some("gone for good"));
        assert!(state.given_up_at.is_some());
        world.nothing_is_due().await;
        world.clock.advance(10 * MINUTE);
    }
    store
        .request_run(&scope, contact(), Trigger::Manual, false)
        .await
        .unwrap();
    assert_eq!(world.state(&scope).await.given_up_at, None);
}

pub(crate) async fn syncs_of_a_project_are_listed_in_pages(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let mut scopes = Vec::new();
    for _ in 0..3 {
        scopes.push(world.connection_in(project, &[contact(), company()]).await);
    }
    world.connection(&[contact()]).await;
    let (mut filter, mut seen) = (SyncFilter::default(), 0);
    loop {
        let (page, more) = store.syncs(project, filter, 4).await.unwrap();
        seen += page.len();
        let Some(more) = more else { break };
        filter.after = more;
    }
    assert_eq!(seen, 6);
    let filter = SyncFilter {
        connection: Some(scopes[1].connection().id),
        object: Some(company()),
        status: Some("waiting"),
        after: (0, 0),
    };
    let (page, more) = store.syncs(project, filter, 4).await.unwrap();
    assert_eq!((page.len(), more), (1, None));
    assert_eq!(page[0].0.id, scopes[1].connection().id);
    assert_eq!(page[0].1.kind, company());
    let paused = SyncFilter {
        status: Some("paused"),
        ..filter
    };
    assert!(store.syncs(project, paused, 4).await.unwrap().0.is_empty());
    store.pause_sync(&scopes[1], company()).await.unwrap();
    let (page, _) = store.syncs(project, paused, 4).await.unwrap();
    assert_eq!((page.len(), page[0].1.status()), (1, "paused"));
    let missing = store
        .set_sync_config(&scopes[0], kind("crm.deal"), &every_minute(), None)
        .await
        .unwrap_err();
    assert!(matches!(missing, Error::Missing("sync")), "{missing:?}");
    let never: Timestamp = planned(&Schedule::Manual {}, START);
    assert_eq!(never, jackfield::store::NEVER);
}
