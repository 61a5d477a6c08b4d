use std::collections::BTreeMap;

use jackfield::{
    model::Clock as _,
    store::{NEVER, SyncOutcome},
};

use crate::support::{MINUTE, World, contact};

pub(crate) async fn a_choice_plans_what_waits_and_can_be_taken_back(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let other = world.connection(&[contact()]).await;
    for _ in 0..2 {
        let claimed = store.claim_syncs("w", MINUTE, 1).await.unwrap();
        let next = world.clock.now().plus(MINUTE);
        let outcome = SyncOutcome::Completed { since: None };
        store.finish_sync(&claimed[0], outcome, next).await.unwrap();
    }
    let project = scope.project();
    let choose = async |seconds| {
        let choice = BTreeMap::from([(scope.connection().vertical.clone(), seconds)]);
        store.set_pull_frequencies(project, &choice).await.unwrap();
        assert_eq!(store.pull_frequencies(project).await.unwrap(), choice);
        assert_eq!(store.pull_frequency(&scope).await.unwrap(), Some(seconds));
        store.sync_states(&scope).await.unwrap()[0].next_run_at
    };
    assert_eq!(choose(0).await, NEVER);
    assert_eq!(choose(7200).await, world.clock.now().plus(MINUTE * 120));
    assert_eq!(store.pull_frequency(&other).await.unwrap(), None);
    let untouched = store.sync_states(&other).await.unwrap()[0].next_run_at;
    assert_eq!(untouched, world.clock.now().plus(MINUTE));
}
