use std::time::Duration;

use jackfield::{
    model::{ConflictPolicy, Direction, FailedRecord, PassState, Scope, SyncConfig, Upsert},
    store::{
        Checkpoint, ClaimedSync, Error, LocalWrite, Missing, Pass, Source, SyncOutcome, Way,
        WrittenBy,
    },
};

use crate::changes::queued;
use crate::support::{MINUTE, START, World, contact, deleted, present};

/// A connection with three contacts that a first run has read: 1, 2 and 3.
async fn read_once(world: &World) -> Scope {
    let scope = world.connection(&[contact()]).await;
    let claimed = claim(world).await;
    world
        .store
        .begin_pass(&claimed, world.clock_now(), false)
        .await
        .unwrap();
    let all = ["1", "2", "3"].map(|id| present(id, "Ada"));
    page(world, &claimed, &all, &[], None).await;
    assert!(world.store.passes(&claimed).await.unwrap().is_empty());
    finish(world, &claimed).await;
    world.clock.advance(MINUTE);
    scope
}

async fn claim(world: &World) -> ClaimedSync {
    let mut claimed = world.store.claim_syncs("host", MINUTE, 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

async fn finish(world: &World, claimed: &ClaimedSync) {
    let outcome = SyncOutcome::Completed { since: Some(START) };
    let now = world.clock_now();
    assert!(
        world
            .store
            .finish_sync(claimed, outcome, now)
            .await
            .unwrap()
    );
}

/// A run begins that looks what is missing.
async fn begin(world: &World) -> ClaimedSync {
    let claimed = claim(world).await;
    let now = world.clock_now();
    world.store.begin_pass(&claimed, now, true).await.unwrap();
    claimed
}

async fn page(
    world: &World,
    claimed: &ClaimedSync,
    upserts: &[Upsert],
    unreadable: &[&str],
    cursor: Option<&str>,
) {
    let failures: Vec<FailedRecord> = unreadable
        .iter()
        .map(|id| FailedRecord {
            remote_id: (*id).to_owned(),
            reason: "no name".to_owned(),
            remote: "{}".to_owned(),
            remote_version: None,
            remote_modified_at: None,
        })
        .collect();
    let checkpoint = Checkpoint {
        claimed,
        cursor,
        run_started_at: START,
        full: true,
        way: Way::default(),
        as_of: world.store.reading(&claimed.scope).await.unwrap(),
        failures: &failures,
        total: None,
    };
    world
        .store
        .apply_page(
            &claimed.scope,
            contact(),
            upserts,
            Source::Sync(&checkpoint),
        )
        .await
        .unwrap();
}

async fn only_pass(world: &World, claimed: &ClaimedSync) -> Pass {
    let mut passes = world.store.passes(claimed).await.unwrap();
    assert_eq!(passes.len(), 1, "{passes:?}");
    passes.remove(0)
}

async fn missed(world: &World, claimed: &ClaimedSync, pass: &Pass) -> Missing {
    let before = pass.run_started_at;
    world
        .store
        .missing(&claimed.scope, contact(), pass, before)
        .await
        .unwrap()
}

fn names(world: &World, scope: &Scope, found: &Missing) -> Vec<&'static str> {
    let known = ["1", "2", "3", "4", "mail@example.com"];
    let of = |id| {
        known
            .into_iter()
            .find(|name| world.store.record_id(scope, contact(), name) == id)
    };
    found.ids.iter().map(|id| of(*id).unwrap()).collect()
}

async fn there(world: &World, scope: &Scope) -> usize {
    let request = crate::lists::request(100);
    let list = world.store.list_records(scope, contact(), &request);
    list.await.unwrap().data.len()
}

pub(crate) async fn a_pass_misses_what_nobody_has_seen(world: World) {
    let scope = read_once(&world).await;
    let claimed = begin(&world).await;
    // Written by an application while the pass is at work, and one that cannot be read.
    world
        .write(
            &scope,
            &[present("mail@example.com", "Bob"), present("4", "Eve")],
        )
        .await;
    page(&world, &claimed, &[present("1", "Ada")], &["3"], Some("2")).await;
    let pass = only_pass(&world, &claimed).await;
    assert_eq!(pass.state, PassState::Reading);
    page(&world, &claimed, &[], &[], None).await;
    let pass = only_pass(&world, &claimed).await;
    assert_eq!(pass.state, PassState::Read);

    let found = missed(&world, &claimed, &pass).await;
    assert_eq!(names(&world, &scope, &found), ["2"]);
    assert_eq!((found.stored, found.kept.len()), (5, 0));
    // One that came a moment before the pass may not be shown yet.
    let fresh = world
        .store
        .missing(&scope, contact(), &pass, START)
        .await
        .unwrap();
    assert!(fresh.ids.is_empty());

    let batch = found.batches().next().unwrap();
    let outcome = world
        .store
        .delete_missing(&claimed, &pass, &found, batch)
        .await
        .unwrap();
    assert_eq!(outcome.deleted, 1);
    assert_eq!(there(&world, &scope).await, 4);
    let again = missed(&world, &claimed, &pass).await;
    assert!(again.ids.is_empty());
    world.store.end_pass(&claimed, &pass, &[]).await.unwrap();
    assert!(world.store.passes(&claimed).await.unwrap().is_empty());
    let types = world.event_types(scope.project()).await;
    let gone = types.iter().filter(|one| *one == "crm.contact.deleted");
    assert_eq!(gone.count(), 1);
}

pub(crate) async fn what_is_written_after_the_comparison_stays(world: World) {
    let scope = read_once(&world).await;
    let claimed = begin(&world).await;
    page(&world, &claimed, &[present("1", "Ada")], &[], None).await;
    let pass = only_pass(&world, &claimed).await;
    let found = missed(&world, &claimed, &pass).await;
    assert_eq!(names(&world, &scope, &found), ["2", "3"]);
    // A notice tells of one; another is deleted by an application.
    world
        .write(&scope, &[present("2", "Ada"), deleted("3")])
        .await;
    let outcome = world
        .store
        .delete_missing(&claimed, &pass, &found, &found.ids)
        .await
        .unwrap();
    assert_eq!(outcome.deleted, 0);
    assert_eq!(there(&world, &scope).await, 2);
}

pub(crate) async fn a_host_that_lost_its_claim_deletes_nothing(world: World) {
    let scope = read_once(&world).await;
    let mut slow = world
        .store
        .claim_syncs("slow", Duration::ZERO, 10)
        .await
        .unwrap();
    let slow = slow.remove(0);
    let now = world.clock_now();
    world.store.begin_pass(&slow, now, true).await.unwrap();
    page(&world, &slow, &[present("1", "Ada")], &[], None).await;
    let pass = only_pass(&world, &slow).await;
    let found = missed(&world, &slow, &pass).await;

    // Another host goes on with the same pass.
    let fast = claim(&world).await;
    assert_eq!(only_pass(&world, &fast).await, pass);
    let store = &world.store;
    let lost = [
        store.begin_pass(&slow, now, true).await.map(drop),
        store
            .settle_pass(&slow, &pass, &found, false)
            .await
            .map(drop),
        store
            .delete_missing(&slow, &pass, &found, &found.ids)
            .await
            .map(drop),
        store.end_pass(&slow, &pass, &[]).await.map(drop),
    ];
    for answer in lost {
        assert!(matches!(answer, Err(Error::LeaseLost)), "{answer:?}");
    }
    assert_eq!(there(&world, &scope).await, 3);
    let found = missed(&world, &fast, &pass).await;
    store
        .settle_pass(&fast, &pass, &found, false)
        .await
        .unwrap();
    store
        .delete_missing(&fast, &pass, &found, &found.ids)
        .await
        .unwrap();
    store.end_pass(&fast, &pass, &[]).await.unwrap();
    assert_eq!(there(&world, &scope).await, 1);
}

pub(crate) async fn a_question_waits_while_runs_go_on(world: World) {
    let scope = read_once(&world).await;
    let store = &world.store;
    let claimed = begin(&world).await;
    page(&world, &claimed, &[present("1", "Ada")], &[], None).await;
    let pass = only_pass(&world, &claimed).await;
    let found = missed(&world, &claimed, &pass).await;
    let asked = store
        .settle_pass(&claimed, &pass, &found, true)
        .await
        .unwrap();
    assert_eq!((asked.missing, asked.stored), (2, 3));
    let outcome = SyncOutcome::Stopped {
        since: Some(START),
        question: asked,
    };
    assert!(
        store
            .finish_sync(&claimed, outcome, world.clock_now())
            .await
            .unwrap()
    );
    let state = store.sync_states(&scope).await.unwrap().remove(0);
    assert_eq!((state.status(), state.question), ("stopped", Some(asked)));
    assert_eq!(state.runs_since_full, 0);
    let types = world.event_types(scope.project()).await;
    assert_eq!(types.last().map(String::as_str), Some("sync.stopped"));
    let listed = |status| jackfield::store::SyncFilter {
        status: Some(status),
        ..Default::default()
    };
    let stopped = store
        .syncs(scope.project(), listed("stopped"), 10)
        .await
        .unwrap()
        .0;
    assert_eq!(stopped.len(), 1);
    assert!(
        store
            .syncs(scope.project(), listed("completed"), 10)
            .await
            .unwrap()
            .0
            .is_empty()
    );

    // A run that asks for changes only sees one of them again.
    let claimed = claim(&world).await;
    store
        .begin_pass(&claimed, world.clock_now(), false)
        .await
        .unwrap();
    world.write(&scope, &[present("2", "Ada")]).await;
    finish(&world, &claimed).await;
    assert!(
        store
            .answer_question(&scope, contact(), true)
            .await
            .unwrap()
    );
    assert!(
        !store
            .answer_question(&scope, contact(), true)
            .await
            .unwrap()
    );
    assert_eq!(
        store.sync_states(&scope).await.unwrap().remove(0).question,
        None
    );
    let claimed = claim_again(&world).await;
    let pass = only_pass(&world, &claimed).await;
    assert_eq!(pass.state, PassState::Deleting);
    let found = missed(&world, &claimed, &pass).await;
    assert_eq!(names(&world, &scope, &found), ["3"]);
}

async fn claim_again(world: &World) -> ClaimedSync {
    world.clock.advance(MINUTE);
    claim(world).await
}

pub(crate) async fn a_newer_pass_answers_an_older_question(world: World) {
    let scope = read_once(&world).await;
    let store = &world.store;
    let claimed = begin(&world).await;
    page(&world, &claimed, &[], &[], None).await;
    let pass = only_pass(&world, &claimed).await;
    let found = missed(&world, &claimed, &pass).await;
    store
        .settle_pass(&claimed, &pass, &found, true)
        .await
        .unwrap();
    finish(&world, &claimed).await;

    world.clock.advance(MINUTE);
    let claimed = begin(&world).await;
    let all = ["1", "2", "3"].map(|id| present(id, "Ada"));
    page(&world, &claimed, &all, &[], None).await;
    let passes = store.passes(&claimed).await.unwrap();
    let states: Vec<_> = passes.iter().map(|pass| pass.state).collect();
    assert_eq!(states, [PassState::Stopped, PassState::Read]);
    let found = missed(&world, &claimed, &passes[1]).await;
    assert!(found.ids.is_empty());
    store
        .settle_pass(&claimed, &passes[1], &found, false)
        .await
        .unwrap();
    store.end_pass(&claimed, &passes[1], &[]).await.unwrap();
    assert!(store.passes(&claimed).await.unwrap().is_empty());
    assert_eq!(there(&world, &scope).await, 3);
}

pub(crate) async fn what_somebody_keeps_is_missed_again_once_it_was_seen(world: World) {
    let scope = read_once(&world).await;
    let store = &world.store;
    let claimed = begin(&world).await;
    page(&world, &claimed, &[present("1", "Ada")], &[], None).await;
    let pass = only_pass(&world, &claimed).await;
    let found = missed(&world, &claimed, &pass).await;
    store.end_pass(&claimed, &pass, &found.ids).await.unwrap();
    finish(&world, &claimed).await;

    for (seen, missing, kept) in [
        (&["1", "2"][..], &[][..], 1),
        (&["1"], &["2"], 1),
        (&["1", "2", "3"], &[], 0),
        (&["1", "2"], &["3"], 0),
    ] {
        let claimed = {
            world.clock.advance(MINUTE);
            begin(&world).await
        };
        let seen: Vec<_> = seen.iter().map(|id| present(id, "Ada")).collect();
        page(&world, &claimed, &seen, &[], None).await;
        let pass = only_pass(&world, &claimed).await;
        let found = missed(&world, &claimed, &pass).await;
        assert_eq!(names(&world, &scope, &found), missing);
        assert_eq!((found.kept.len(), found.stored), (kept, 3));
        store.end_pass(&claimed, &pass, &found.kept).await.unwrap();
        finish(&world, &claimed).await;
    }
}

pub(crate) async fn a_missing_record_with_a_change_under_way_is_reconciled(world: World) {
    let scope = read_once(&world).await;
    let store = &world.store;
    let config = SyncConfig {
        direction: Direction::Bidirectional,
        conflicts: ConflictPolicy::Manual,
        ..SyncConfig::default()
    };
    store
        .set_sync_config(&scope, contact(), &config, None)
        .await
        .unwrap();
    let id = store.record_id(&scope, contact(), "2");
    let fields = serde_json::json!({ "first_name": "Grace" });
    let edit = LocalWrite::Set(fields.as_object().unwrap().clone().into_iter().collect());
    let change = store.queue_change(&scope, contact(), id, &edit, WrittenBy::default());
    let change = queued(change.await);

    let claimed = begin(&world).await;
    page(
        &world,
        &claimed,
        &[present("1", "Ada"), present("3", "Ada")],
        &[],
        None,
    )
    .await;
    let pass = only_pass(&world, &claimed).await;
    let found = missed(&world, &claimed, &pass).await;
    assert_eq!(found.ids, [id]);
    let outcome = store
        .delete_missing(&claimed, &pass, &found, &found.ids)
        .await
        .unwrap();
    assert_eq!((outcome.deleted, outcome.conflicts), (0, 1));
    let (_, change) = store
        .change(scope.project(), change.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(change.state, jackfield::model::ChangeState::Conflict);
    assert_eq!(there(&world, &scope).await, 3);
}

pub(crate) async fn a_new_run_forgets_an_unfinished_pass(world: World) {
    let scope = read_once(&world).await;
    let store = &world.store;
    let claimed = begin(&world).await;
    page(
        &world,
        &claimed,
        &[present("1", "Ada"), present("2", "Ada")],
        &[],
        Some("2"),
    )
    .await;
    let outcome = SyncOutcome::GivenUp {
        error: jackfield::model::RunError::new(jackfield::model::ErrorClass::Other, "no luck"),
        restart: true,
    };
    store
        .finish_sync(&claimed, outcome, world.clock_now())
        .await
        .unwrap();
    world.clock.advance(MINUTE);
    let claimed = begin(&world).await;
    page(&world, &claimed, &[present("3", "Ada")], &[], None).await;
    let pass = only_pass(&world, &claimed).await;
    let found = missed(&world, &claimed, &pass).await;
    assert_eq!(names(&world, &scope, &found), ["1", "2"]);
    store.delete_connection(&scope).await.unwrap();
    assert!(store.passes(&claimed).await.unwrap().is_empty());
}

pub(crate) async fn many_records_are_compared_in_parts(world: World) {
    let scope = world.connection(&[contact()]).await;
    let claimed = claim(&world).await;
    store_many(&world, &claimed, 0..12_000).await;
    finish(&world, &claimed).await;
    world.clock.advance(MINUTE);
    let claimed = begin(&world).await;
    store_many(&world, &claimed, 700..11_000).await;
    page(&world, &claimed, &[], &[], None).await;
    let pass = only_pass(&world, &claimed).await;
    let found = missed(&world, &claimed, &pass).await;
    assert_eq!((found.ids.len(), found.stored), (1_700, 12_000));
    let mut gone = 0;
    for batch in found.batches() {
        let store = &world.store;
        let outcome = store.delete_missing(&claimed, &pass, &found, batch).await;
        gone += outcome.unwrap().deleted;
    }
    assert_eq!(gone, 1_700);
    let left = missed(&world, &claimed, &pass).await;
    assert_eq!((left.ids.len(), left.stored), (0, 10_300));
    let _ = scope;
}

async fn store_many(world: &World, claimed: &ClaimedSync, ids: std::ops::Range<u32>) {
    let ids: Vec<u32> = ids.collect();
    for part in ids.chunks(1000) {
        let records: Vec<_> = part
            .iter()
            .map(|id| present(&id.to_string(), "Ada"))
            .collect();
        page(world, claimed, &records, &[], Some("next")).await;
    }
}
