use std::time::Duration;

use jackfield::store::{Outcome, RequestBucket, RequestTally};

use crate::support::{MINUTE, START, World};

pub(crate) async fn requests_are_counted_by_minute_and_project(world: World) {
    let store = &world.store;
    let (ours, theirs) = (world.project().await.id, world.project().await.id);
    let tally = RequestTally::default();
    let half = START.plus(Duration::from_secs(30));
    tally.count(Some(ours), START, Outcome::of(200));
    tally.count(Some(ours), half, Outcome::of(302));
    store.add_request_counts(&tally).await.unwrap();
    // What is written twice is added, not replaced.
    tally.count(Some(ours), half, Outcome::of(201));
    tally.count(Some(ours), START.plus(2 * MINUTE), Outcome::of(404));
    tally.count(Some(theirs), START, Outcome::of(503));
    tally.count(None, START, Outcome::of(401));
    store.add_request_counts(&tally).await.unwrap();
    store.add_request_counts(&tally).await.unwrap();

    let until = START.plus(3 * MINUTE);
    let bucket = |from, served, refused, failed| RequestBucket {
        from,
        served,
        refused,
        failed,
    };
    let counts = |project, size| store.request_counts(project, START, until, size);
    assert_eq!(
        counts(Some(ours), MINUTE).await.unwrap(),
        [
            bucket(START, 3, 0, 0),
            bucket(START.plus(MINUTE), 0, 0, 0),
            bucket(START.plus(2 * MINUTE), 0, 1, 0),
        ]
    );
    let hour = 60 * MINUTE;
    let [theirs] = counts(Some(theirs), hour).await.unwrap()[..] else {
        panic!("three minutes lie in one hour");
    };
    assert_eq!(theirs, bucket(START, 0, 0, 1));
    assert_eq!(counts(None, hour).await.unwrap(), [bucket(START, 3, 2, 1)]);

    let pruned = store.prune_request_counts(START.plus(MINUTE), Duration::ZERO);
    assert_eq!(pruned.await.unwrap(), 3);
    assert_eq!(counts(None, hour).await.unwrap(), [bucket(START, 0, 1, 0)]);
}

pub(crate) async fn counts_that_cannot_be_written_stay_counted(world: World) {
    let project = world.project().await.id;
    let tally = RequestTally::default();
    tally.count(Some(project), START, Outcome::Served);
    let another = world.another().await;
    world.store.close().await;
    assert!(world.store.add_request_counts(&tally).await.is_err());
    tally.count(Some(project), START, Outcome::Served);
    another.add_request_counts(&tally).await.unwrap();
    let counts = another.request_counts(Some(project), START, START.plus(MINUTE), MINUTE);
    assert_eq!(counts.await.unwrap()[0].served, 2);
}
