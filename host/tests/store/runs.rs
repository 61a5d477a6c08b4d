//! The sync log: counted with what it counts, one row for each execution.

use std::time::Duration;

use jackfield::{
    model::{
        Clock as _, ErrorClass, Estimate, EstimateSource, FailedRecord, Run, RunBy, RunDirection,
        RunEnd, RunError, RunStatus, Scope, SyncFailure, Trigger, Upsert, conflict::Fields,
    },
    store::{
        Checkpoint, ClaimedSync, Error, FailureFilter, LocalWrite, RunFilter, Source, SyncOutcome,
        Way, WrittenBy,
    },
};
use serde_json::json;

use crate::support::{LATER, MINUTE, START, World, company, contact, present};

const ALL: RunFilter = RunFilter {
    connection: None,
    kind: None,
    status: None,
    direction: None,
    trigger: None,
    since: None,
    before: None,
    limit: 100,
};
const COMPLETED: SyncOutcome = SyncOutcome::Completed { since: Some(START) };

fn failing(remote_id: &str, reason: &str) -> FailedRecord {
    FailedRecord {
        remote_id: remote_id.into(),
        reason: reason.into(),
        remote: format!(r#"{{"id":"{remote_id}"}}"#),
        remote_version: Some("1".into()),
        remote_modified_at: Some(START),
    }
}

fn failed(class: ErrorClass) -> SyncOutcome {
    SyncOutcome::Failed {
        error: RunError::new(class, "it did not work"),
    }
}

impl World {
    /// The one sync that is due, claimed for no time at all.
    async fn one_due(&self) -> ClaimedSync {
        let mut claimed = self
            .store
            .claim_syncs("worker", Duration::ZERO, 10)
            .await
            .unwrap();
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    async fn read_page(
        &self,
        claimed: &mut ClaimedSync,
        upserts: &[Upsert],
        failures: &[FailedRecord],
        total: Option<u64>,
    ) -> Result<(), Error> {
        let checkpoint = Checkpoint {
            claimed,
            cursor: Some("next"),
            run_started_at: START,
            full: true,
            way: Way::default(),
            as_of: LATER,
            failures,
            total,
        };
        let scope = claimed.scope.clone();
        self.store
            .apply_page(&scope, claimed.kind, upserts, Source::Sync(&checkpoint))
            .await?;
        claimed.state.pages += 1;
        claimed.state.run_started_at = Some(START);
        Ok(())
    }

    async fn finish(&self, claimed: &ClaimedSync, outcome: SyncOutcome) {
        self.clock.advance(Duration::from_millis(1));
        let next = self.clock.now();
        assert!(
            self.store
                .finish_sync(claimed, outcome, next)
                .await
                .unwrap()
        );
    }

    async fn log(&self, scope: &Scope) -> Vec<Run> {
        self.store.runs(scope.project(), &ALL).await.unwrap()
    }

    async fn failing(&self, scope: &Scope) -> Vec<SyncFailure> {
        let filter = FailureFilter {
            limit: 100,
            ..FailureFilter::default()
        };
        self.store.failures(scope.project(), &filter).await.unwrap()
    }
}

pub(crate) async fn pages_are_counted_in_their_own_transaction(world: World) {
    let scope = world.connection(&[contact()]).await;
    let mut claimed = world.one_due().await;
    let log = world.log(&scope).await;
    assert_eq!((log.len(), log[0].id), (1, claimed.run));
    assert_eq!(
        (log[0].status, log[0].trigger, log[0].direction),
        (RunStatus::Running, Trigger::Initial, RunDirection::Inbound)
    );
    assert_eq!((log[0].full, &log[0].by), (None, &None));

    let by = RunBy {
        version: "1.2.3".into(),
        digest: "abc".into(),
    };
    claimed.usage.by(by.clone());
    claimed.usage.exchanged(1000, None);
    let upserts = [present("1", "Ada"), present("2", "Grace")];
    let failures = [failing("3", "/first_name: is a number")];
    world
        .read_page(&mut claimed, &upserts, &failures, None)
        .await
        .unwrap();
    let run = world.log(&scope).await.remove(0);
    assert_eq!((run.full, run.by, run.pages), (Some(true), Some(by), 1));
    let counts = run.counts;
    assert_eq!((counts.read, counts.created, counts.failed), (3, 2, 1));
    assert_eq!((counts.requests, counts.bytes), (1, 1000));
    assert_eq!(claimed.usage.used().requests, 0, "written down once");

    // A page that is not committed is not counted, and what it used is counted with the next.
    let thief = world.one_due().await;
    claimed.usage.exchanged(10, None);
    let lost = world
        .read_page(&mut claimed, &[present("4", "Alan")], &failures, None)
        .await;
    assert!(matches!(lost, Err(Error::LeaseLost)), "{lost:?}");
    let same = world.log(&scope).await.remove(0);
    assert_eq!((same.counts, same.pages), (counts, 1));
    assert_eq!(claimed.usage.used().requests, 1);

    thief.usage.exchanged(5, None);
    world.finish(&thief, COMPLETED).await;
    let run = world.log(&scope).await.remove(0);
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!((run.counts.requests, run.counts.bytes), (2, 1005));
    assert_eq!(run.finished_at, Some(world.clock.now()));
    assert_eq!(run.counts.read, 3);
}

pub(crate) async fn a_run_goes_on_over_turns_crashes_and_failures(world: World) {
    let scope = world.connection(&[contact()]).await;
    let mut claimed = world.one_due().await;
    let run = claimed.run;
    world.read_page(&mut claimed, &[], &[], None).await.unwrap();
    world.store.release_sync(&claimed).await.unwrap();
    // A turn is no attempt.
    let mut claimed = world.one_due().await;
    assert_eq!(claimed.run, run);
    assert_eq!(world.log(&scope).await[0].attempts, 1);
    world.read_page(&mut claimed, &[], &[], None).await.unwrap();
    // The process is gone; a crash is one.
    let claimed = world.one_due().await;
    assert_eq!(claimed.run, run);
    assert_eq!(world.log(&scope).await[0].attempts, 2);
    world
        .finish(&claimed, failed(ErrorClass::RateLimited))
        .await;
    let log = world.log(&scope).await;
    let retrying = &log[0];
    assert_eq!(retrying.status, RunStatus::Retrying);
    assert_eq!(
        (retrying.next_attempt_at, retrying.finished_at),
        (Some(world.clock.now()), None)
    );
    let error = RunError::new(ErrorClass::RateLimited, "it did not work");
    assert_eq!(retrying.error.as_ref(), Some(&error));

    world.clock.advance(MINUTE);
    let claimed = world.one_due().await;
    assert_eq!(claimed.run, run);
    world.finish(&claimed, failed(ErrorClass::Network)).await;
    let claimed = world.one_due().await;
    world.finish(&claimed, COMPLETED).await;
    let log = world.log(&scope).await;
    assert_eq!(log.len(), 1, "one run");
    let run = &log[0];
    assert_eq!((run.status, run.attempts), (RunStatus::Completed, 4));
    assert_eq!((&run.error, run.next_attempt_at), (&None, None));
    assert_eq!(run.errors[&ErrorClass::RateLimited], 1);
    assert_eq!(run.errors[&ErrorClass::Network], 1);
    assert_eq!(
        (run.started_at, run.finished_at),
        (START, Some(world.clock.now()))
    );

    let next = world.one_due().await;
    assert_ne!(next.run, run.id, "the next run is another");
    let state = world.store.sync_states(&scope).await.unwrap().remove(0);
    assert_eq!(state.run, Some(next.run));
    let by_id = [run.id, next.run];
    let runs = world.store.runs_by_id(scope.project(), &by_id).await;
    assert_eq!(runs.unwrap().len(), 2);
}

pub(crate) async fn what_was_given_up_is_gone_on_with_by_another_run(world: World) {
    let scope = world.connection(&[contact()]).await;
    let mut claimed = world.one_due().await;
    world.read_page(&mut claimed, &[], &[], None).await.unwrap();
    let error = RunError::new(ErrorClass::Auth, "the login is dead");
    let restart = false;
    world
        .finish(&claimed, SyncOutcome::GivenUp { error, restart })
        .await;
    let next = world.one_due().await;
    let error = RunError::new(ErrorClass::Other, "killed");
    world
        .finish(&next, SyncOutcome::Interrupted { error })
        .await;
    let log = world.log(&scope).await;
    let told: Vec<_> = log.iter().map(|run| (run.status, run.resumed)).collect();
    assert_eq!(
        told,
        [(RunStatus::Interrupted, true), (RunStatus::Failed, false)]
    );
    let events = world.store.events(scope.project(), 1, 1).await.unwrap();
    let data: serde_json::Value = serde_json::from_str(&events[0].event.data).unwrap();
    assert_eq!(data["run_id"], json!(next.run));
    assert_eq!(
        (&data["error_class"], &data["given_up"]),
        (&json!("other"), &json!(true))
    );
    let told = data["customer_message"].as_str().unwrap();
    assert!(told.contains("contacts of your account \"Acme"), "{told}");
    // The next one begins anew. A guard stops it, and a person lets it be.
    let claimed = world.one_due().await;
    assert!(claimed.state.run_started_at.is_none());
    let guarded = RunEnd {
        status: RunStatus::Stopped,
        error: Some(RunError::new(ErrorClass::Guard, "it would delete half")),
    };
    assert!(world.store.finish_run(claimed.run, &guarded).await.unwrap());
    let run = world.log(&scope).await.remove(0);
    assert_eq!((run.status, run.resumed), (RunStatus::Stopped, false));
    assert!(run.finished_at.is_some());
    let confirmed = RunEnd {
        status: RunStatus::Completed,
        error: None,
    };
    assert!(
        world
            .store
            .finish_run(claimed.run, &confirmed)
            .await
            .unwrap()
    );
    let run = world.log(&scope).await.remove(0);
    assert_eq!((run.status, run.error), (RunStatus::Completed, None));
}

pub(crate) async fn how_much_there_is_comes_from_the_provider_or_the_last_full_run(world: World) {
    let scope = world.connection(&[contact()]).await;
    let mut first = world.one_due().await;
    let upserts = [present("1", "Ada"), present("2", "Grace")];
    world
        .read_page(&mut first, &upserts, &[], None)
        .await
        .unwrap();
    assert_eq!(world.log(&scope).await[0].estimate, None);
    world.finish(&first, COMPLETED).await;

    let mut second = world.one_due().await;
    world
        .read_page(&mut second, &upserts, &[], None)
        .await
        .unwrap();
    let last = Estimate {
        records: 2,
        source: EstimateSource::LastFullRun,
    };
    assert_eq!(world.log(&scope).await[0].estimate, Some(last));
    world
        .read_page(&mut second, &[], &[], Some(7))
        .await
        .unwrap();
    let told = Estimate {
        records: 7,
        source: EstimateSource::Provider,
    };
    assert_eq!(world.log(&scope).await[0].estimate, Some(told));
}

pub(crate) async fn the_log_is_filtered_paged_and_of_one_project(world: World) {
    let scope = world.connection(&[contact(), company()]).await;
    for class in [ErrorClass::Forbidden, ErrorClass::Contract] {
        let claimed = world.one_due().await;
        let error = RunError::new(class, "no");
        let next = START.plus(10 * MINUTE);
        let outcome = SyncOutcome::GivenUp {
            error,
            restart: true,
        };
        world
            .store
            .finish_sync(&claimed, outcome, next)
            .await
            .unwrap();
        world.clock.advance(MINUTE);
    }
    let other = world.connection(&[contact()]).await;
    let foreign = world.one_due().await;
    let log = world.log(&scope).await;
    assert_eq!(log.len(), 2);
    let store = &world.store;
    let some = async |filter: RunFilter| {
        let runs = store.runs(scope.project(), &filter).await.unwrap();
        runs.into_iter().map(|run| run.kind).collect::<Vec<_>>()
    };
    let number = Some(scope.connection().number);
    let both = [company(), contact()];
    assert_eq!(
        some(RunFilter {
            connection: number,
            ..ALL
        })
        .await,
        both
    );
    assert_eq!(
        some(RunFilter {
            kind: Some(contact()),
            ..ALL
        })
        .await,
        [contact()]
    );
    assert_eq!(
        some(RunFilter {
            status: Some(RunStatus::Failed),
            ..ALL
        })
        .await,
        both
    );
    assert_eq!(
        some(RunFilter {
            status: Some(RunStatus::Running),
            ..ALL
        })
        .await,
        []
    );
    assert_eq!(
        some(RunFilter {
            direction: Some(RunDirection::Outbound),
            ..ALL
        })
        .await,
        []
    );
    assert_eq!(
        some(RunFilter {
            trigger: Some(Trigger::Initial),
            ..ALL
        })
        .await,
        both
    );
    assert_eq!(
        some(RunFilter {
            trigger: Some(Trigger::Manual),
            ..ALL
        })
        .await,
        []
    );
    let since = Some(START.plus(MINUTE));
    assert_eq!(some(RunFilter { since, ..ALL }).await, [company()]);
    assert_eq!(some(RunFilter { limit: 1, ..ALL }).await, [company()]);
    let before = Some(log[0].id);
    assert_eq!(some(RunFilter { before, ..ALL }).await, [contact()]);

    assert_eq!(world.log(&other).await.len(), 1);
    assert_eq!(store.run(scope.project(), foreign.run).await.unwrap(), None);
    let runs = store.runs_by_id(scope.project(), &[foreign.run]).await;
    assert!(runs.unwrap().is_empty());
    let run = store.run(other.project(), foreign.run).await.unwrap();
    assert_eq!(run.map(|run| run.connection), Some(other.connection().id));
}

pub(crate) async fn a_failing_record_is_kept_until_it_can_be_unified(world: World) {
    let scope = world.connection(&[contact()]).await;
    let mut claimed = world.one_due().await;
    let twice = [
        failing("1", "no"),
        failing("1", "still no"),
        failing("2", "no"),
    ];
    world
        .read_page(&mut claimed, &[], &twice, None)
        .await
        .unwrap();
    let kept = world.failing(&scope).await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    let one = kept.iter().find(|one| one.record.remote_id == "1").unwrap();
    assert_eq!((one.record.reason.as_str(), one.count), ("still no", 1));
    assert_eq!(
        (one.run, one.record.remote.as_str()),
        (Some(claimed.run), r#"{"id":"1"}"#)
    );

    world.clock.advance(MINUTE);
    world
        .read_page(&mut claimed, &[], &twice[..1], None)
        .await
        .unwrap();
    let again = world.store.failure(scope.project(), one.id).await.unwrap();
    let again = again.unwrap();
    assert_eq!((again.count, again.record.reason.as_str()), (2, "no"));
    assert_eq!(
        (again.first_seen_at, again.last_seen_at),
        (START, START.plus(MINUTE))
    );
    let other = world.connection(&[]).await;
    let nobodys = world.store.failure(other.project(), one.id).await.unwrap();
    assert_eq!(nobodys, None);

    // Whatever writes the record, it is not failing any more.
    world.write(&scope, &[present("1", "Ada")]).await;
    let left = world.failing(&scope).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].record.remote_id, "2");
    world
        .read_page(&mut claimed, &[present("2", "Grace")], &[], None)
        .await
        .unwrap();
    assert_eq!(world.failing(&scope).await, []);
    let alone = [failing("3", "read alone")];
    world
        .store
        .keep_failures(&scope, contact(), &alone)
        .await
        .unwrap();
    assert_eq!(world.failing(&scope).await[0].run, None);
}

pub(crate) async fn pushes_one_soon_after_the_other_are_one_run(world: World) {
    let scope = world.connection(&[contact()]).await;
    let people = [
        present("1", "Ada"),
        present("2", "Grace"),
        present("3", "Alan"),
    ];
    world.write(&scope, &people).await;
    let queue = async |id: &str| {
        let record = world.store.record_id(&scope, contact(), id);
        let fields = Fields::from_iter([("first_name".to_owned(), json!("Other"))]);
        let write = LocalWrite::Set(fields);
        let by = WrittenBy::default();
        let queued = world
            .store
            .queue_change(&scope, contact(), record, &write, by);
        crate::changes::queued(queued.await);
    };
    let claim = async || world.store.claim_changes("a", MINUTE, 1).await.unwrap();
    let outbound = async || {
        let filter = RunFilter {
            direction: Some(RunDirection::Outbound),
            ..ALL
        };
        world.store.runs(scope.project(), &filter).await.unwrap()
    };
    queue("1").await;
    queue("2").await;
    let first = claim().await.remove(0);
    let second = claim().await.remove(0);
    assert_eq!(first.change.run, second.change.run);
    let task = world.store.begin_push(&first).await.unwrap().unwrap();
    first.usage.exchanged(100, None);
    let echo = present(&task.remote_id, "Other");
    world
        .store
        .finish_push(&first, &task.push, &echo, None)
        .await
        .unwrap();
    let error = RunError::new(ErrorClass::Invalid, "it is too long");
    world.store.fail_push(&second, &error).await.unwrap();
    let run = outbound().await.remove(0);
    assert_eq!(
        (run.status, run.trigger),
        (RunStatus::Running, Trigger::Change)
    );
    let counts = run.counts;
    assert_eq!((counts.pushed, counts.updated, counts.failed), (1, 1, 1));
    assert_eq!((counts.requests, counts.bytes), (1, 100));

    world.clock.advance(Duration::from_secs(3));
    assert!(claim().await.is_empty());
    let run = outbound().await.remove(0);
    assert_eq!((run.status, run.error), (RunStatus::Failed, Some(error)));
    queue("3").await;
    let third = claim().await.remove(0);
    assert_ne!(third.change.run, first.change.run);
    // What is being pushed keeps its run from ending.
    world.clock.advance(Duration::from_secs(3));
    assert!(claim().await.is_empty());
    assert_eq!(outbound().await[0].status, RunStatus::Running);
    assert_eq!(outbound().await.len(), 2);
}

pub(crate) async fn a_cancelled_run_writes_no_more_and_the_next_goes_on(world: World) {
    const HOUR: Duration = Duration::from_secs(3600);
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let mut claimed = world.one_due().await;
    let (first, second) = ([present("1", "Ada")], [present("2", "Grace")]);
    world
        .read_page(&mut claimed, &first, &[], None)
        .await
        .unwrap();
    let run = world.log(&scope).await.remove(0);
    assert!(store.cancel_run(&scope, &run, HOUR).await.unwrap());

    // Whoever works on it writes no more.
    let late = world.read_page(&mut claimed, &second, &[], None).await;
    assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
    let finished = store.finish_sync(&claimed, COMPLETED, START).await;
    assert!(!finished.unwrap());
    assert!(!store.cancel_run(&scope, &run, HOUR).await.unwrap(), "over");
    let run = world.log(&scope).await.remove(0);
    assert_eq!(
        (run.status, run.finished_at, run.counts.created),
        (RunStatus::Cancelled, Some(START), 1)
    );
    let state = store.sync_states(&scope).await.unwrap().remove(0);
    assert_eq!(state.cursor.as_deref(), Some("next"));
    assert_eq!((state.next_run_at, state.attempt), (START.plus(HOUR), 0));
    assert_eq!(state.status(), "cancelled");
    let due = store.claim_syncs("worker", HOUR, 10).await.unwrap();
    assert!(due.is_empty(), "the schedule says when it is due");

    // The next run goes on after the last page, and is cancelled while it waits to be tried again.
    world.clock.advance(HOUR);
    let next = world.one_due().await;
    assert_eq!(next.state.cursor.as_deref(), Some("next"));
    world.finish(&next, failed(ErrorClass::Network)).await;
    let run = world.log(&scope).await.remove(0);
    assert_eq!((run.status, run.resumed), (RunStatus::Retrying, true));
    assert!(store.cancel_run(&scope, &run, HOUR).await.unwrap());
    let run = world.log(&scope).await.remove(0);
    assert_eq!(
        (run.status, run.next_attempt_at),
        (RunStatus::Cancelled, None)
    );
    let asked = store.request_run(&scope, contact(), Trigger::Manual, false);
    asked.await.unwrap();
    assert_ne!(world.one_due().await.run, run.id, "what is asked for runs");
}

pub(crate) async fn a_deleted_connection_ends_its_runs(world: World) {
    let scope = world.connection(&[contact()]).await;
    let mut claimed = world.one_due().await;
    let failures = [failing("1", "no")];
    world
        .read_page(&mut claimed, &[], &failures, None)
        .await
        .unwrap();
    world.store.delete_connection(&scope).await.unwrap();
    let run = world.log(&scope).await.remove(0);
    assert_eq!(
        (run.status, run.finished_at),
        (RunStatus::Cancelled, Some(START))
    );
    assert_eq!(world.failing(&scope).await, []);
}

pub(crate) async fn old_runs_and_failures_go(world: World) {
    let scope = world.connection(&[contact()]).await;
    let mut claimed = world.one_due().await;
    let failures = [failing("1", "no")];
    world
        .read_page(&mut claimed, &[], &failures, None)
        .await
        .unwrap();
    world.finish(&claimed, COMPLETED).await;
    world.clock.advance(MINUTE);
    let open = world.one_due().await;
    let prune = async |before| {
        let rest = Duration::ZERO;
        world.store.prune_runs(before, rest).await.unwrap()
    };
    assert_eq!(prune(START).await, 0);
    assert_eq!(prune(START.plus(10 * MINUTE)).await, 2);
    let log = world.log(&scope).await;
    assert_eq!(
        (log.len(), log[0].id),
        (1, open.run),
        "what is at work stays"
    );
    assert_eq!(world.failing(&scope).await, []);
}
