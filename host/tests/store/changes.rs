//! Changes that wait for their provider: queued, claimed, pushed, merged with what is read.

use std::{collections::BTreeMap, time::Duration};

use jackfield::{
    model::{
        ChangeState, ErrorClass, Push, QueuedChange, RunError, Scope, StoredDocument, Timestamp,
        Upsert, conflict::Fields,
    },
    store::{ChangeFilter, ClaimedChange, Error, LocalWrite, Queued, WrittenBy},
};
use serde_json::{Value, json};

use crate::support::{LATER, MINUTE, World, contact, deleted, present};

/// A contact as the provider has it, changed by it at that time.
fn contact_at(id: &str, name: &str, at: Timestamp) -> Upsert {
    let unified = json!({ "first_name": name, "last_name": "Base" });
    Upsert {
        document: StoredDocument::Present {
            unified: jackfield::model::ObjectKind::parse("crm.contact")
                .map(|kind| kind.complete(unified.as_object().unwrap().clone()))
                .map(|complete| Value::Object(complete).to_string())
                .unwrap(),
            remote: json!({ "id": id, "n": name }).to_string(),
            custom: "{}".into(),
        },
        remote_modified_at: Some(at),
        remote_version: Some(format!("v{}", at.as_millis())),
        ..present(id, name)
    }
}

fn set(field: &str, value: &str) -> LocalWrite {
    LocalWrite::Set(Fields::from_iter([(field.to_owned(), json!(value))]))
}

/// The change that a write is part of.
pub(crate) fn queued(queued: Result<Queued, Error>) -> QueuedChange {
    match queued {
        Ok(Queued::Change(change)) => *change,
        other => panic!("not queued: {other:?}"),
    }
}

impl World {
    async fn edit(&self, scope: &Scope, id: &str, write: &LocalWrite) -> QueuedChange {
        let record = self.store.record_id(scope, contact(), id);
        let by = WrittenBy {
            actor: Some("key"),
            undo_of: None,
        };
        let queued = self
            .store
            .queue_change(scope, contact(), record, write, by)
            .await;
        self::queued(queued)
    }

    async fn shown(&self, scope: &Scope, id: &str) -> Value {
        let record = self.store.record_id(scope, contact(), id);
        let record = self
            .store
            .record(scope, contact(), record, false)
            .await
            .unwrap();
        record.map_or(Value::Null, |record| {
            serde_json::from_str(&record.unified).unwrap()
        })
    }

    async fn change_of(&self, scope: &Scope, change: &QueuedChange) -> QueuedChange {
        self.store
            .change(scope.project(), change.id)
            .await
            .unwrap()
            .unwrap()
            .1
    }
}

pub(crate) async fn an_edit_is_stored_at_once_and_those_that_follow_join_it(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &[contact_at("1", "Ada", world.clock_now())])
        .await;
    let first = world.edit(&scope, "1", &set("first_name", "Grace")).await;
    let second = world.edit(&scope, "1", &set("last_name", "Hopper")).await;
    // What is so already is no edit.
    let third = world.edit(&scope, "1", &set("last_name", "Hopper")).await;
    assert_eq!(third.revision, second.revision);
    assert_eq!(first.id, second.id);
    assert_eq!(second.state, ChangeState::Queued);
    let shown = world.shown(&scope, "1").await;
    assert_eq!(
        (&shown["first_name"], &shown["last_name"]),
        (&json!("Grace"), &json!("Hopper"))
    );
    let events = world.event_types(scope.project()).await;
    let updates = events.iter().filter(|kind| *kind == "crm.contact.updated");
    assert_eq!(updates.count(), 2);
    let by = WrittenBy::default();
    let nobody = world.store.record_id(&scope, contact(), "2");
    let none = world
        .store
        .queue_change(&scope, contact(), nobody, &LocalWrite::Delete, by)
        .await;
    assert!(matches!(none, Ok(Queued::NoRecord)));
    let other = world.connection(&[contact()]).await;
    assert!(
        world
            .store
            .change(other.project(), first.id)
            .await
            .unwrap()
            .is_none()
    );
    let filter = ChangeFilter {
        limit: 10,
        ..ChangeFilter::default()
    };
    assert!(
        world
            .store
            .changes(other.project(), &filter)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        world
            .store
            .changes(scope.project(), &filter)
            .await
            .unwrap()
            .len(),
        1
    );
}

pub(crate) async fn a_push_is_claimed_once_and_its_answer_is_no_news_afterwards(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &[contact_at("1", "Ada", world.clock_now())])
        .await;
    let change = world.edit(&scope, "1", &set("first_name", "Grace")).await;
    let other = world.another().await;
    let claims = world.store.claim_changes("a", MINUTE, 10).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert!(
        other
            .claim_changes("b", MINUTE, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let task = world.store.begin_push(&claims[0]).await.unwrap().unwrap();
    let Push::Update(fields) = &task.push else {
        panic!("{task:?}")
    };
    assert_eq!(
        fields,
        &Fields::from_iter([("first_name".to_owned(), json!("Grace"))])
    );
    assert_eq!(
        (task.remote_id.as_str(), task.version.is_some()),
        ("1", true)
    );

    // The process was paused past its lease; another one knows that it may have been sent.
    let store = &world.store;
    assert!(store.renew_push(&claims[0], Duration::ZERO).await.unwrap());
    let again = other.claim_changes("b", MINUTE, 10).await.unwrap();
    assert!(again[0].unsure);
    let repeated = other.begin_push(&again[0]).await.unwrap().unwrap();
    assert_eq!(repeated.idempotency_key, task.idempotency_key);
    let answer = contact_at("1", "Grace", world.clock_now());
    let late = world
        .store
        .finish_push(&claims[0], &task.push, &answer, None)
        .await;
    assert!(matches!(late, Err(Error::LeaseLost)));
    let state = other
        .finish_push(&again[0], &repeated.push, &answer, None)
        .await
        .unwrap();
    assert_eq!(state, ChangeState::Done);

    let events = world.event_types(scope.project()).await.len();
    let echo = world.write(&scope, &[answer]).await;
    assert_eq!((echo.unchanged, echo.updated), (1, 0));
    assert_eq!(world.event_types(scope.project()).await.len(), events);
    let done = world.change_of(&scope, &change).await;
    let pushed: BTreeMap<_, _> = done.pushed;
    assert_eq!(
        (&pushed["first_name"].from, &pushed["first_name"].to),
        (&json!("Ada"), &json!("Grace"))
    );
}

pub(crate) async fn a_long_queue_of_one_connection_keeps_no_other_waiting(world: World) {
    let long = world.connection(&[contact()]).await;
    let short = world.connection(&[contact()]).await;
    for (scope, ids) in [(&long, &["1", "2", "3"][..]), (&short, &["1"])] {
        for id in ids {
            let page = [contact_at(id, "Ada", world.clock_now())];
            world.write(scope, &page).await;
            world.edit(scope, id, &set("first_name", "Grace")).await;
            world.clock.advance(MINUTE);
        }
    }
    let claims = world.store.claim_changes("a", MINUTE, 2).await.unwrap();
    let of = |claim: &ClaimedChange| claim.scope.connection().id;
    let claimed: Vec<_> = claims.iter().map(of).collect();
    assert_eq!(claimed, [long.connection().id, short.connection().id]);
}

pub(crate) async fn a_page_is_merged_with_what_waits(world: World) {
    let scope = world.connection(&[contact()]).await;
    let start = world.clock_now();
    world
        .write(
            &scope,
            &[contact_at("1", "Ada", start), contact_at("2", "Ida", start)],
        )
        .await;
    world.clock.advance(MINUTE);
    let kept = world.edit(&scope, "1", &set("last_name", "Ours")).await;
    let beaten = world.edit(&scope, "2", &set("first_name", "Ours")).await;
    world.clock.advance(MINUTE);
    let later = world.clock_now();
    let page = [contact_at("1", "Eve", later), contact_at("2", "Eva", later)];
    let outcome = world.write(&scope, &page).await;
    assert_eq!((outcome.updated, outcome.conflicts), (2, 0));
    // Both changed another field: both stay.
    let shown = world.shown(&scope, "1").await;
    assert_eq!(
        (&shown["first_name"], &shown["last_name"]),
        (&json!("Eve"), &json!("Ours"))
    );
    assert_eq!(
        world.change_of(&scope, &kept).await.state,
        ChangeState::Queued
    );
    // Both changed one field: the last write wins, and what gave way can be looked up.
    assert_eq!(world.shown(&scope, "2").await["first_name"], "Eva");
    let beaten = world.change_of(&scope, &beaten).await;
    assert_eq!(beaten.state, ChangeState::Cancelled);
    assert_eq!(beaten.lost["first_name"].value, json!("Ours"));
    // The page once more changes nothing.
    assert_eq!(world.write(&scope, &page).await.unchanged, 2);
    // One that was read before what is known by now changes nothing either.
    world.write(&scope, &[contact_at("1", "Old", start)]).await;
    assert_eq!(world.shown(&scope, "1").await["first_name"], "Eve");
}

pub(crate) async fn what_the_provider_refuses_is_as_it_was(world: World) {
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &[contact_at("1", "Ada", world.clock_now())])
        .await;
    let change = world.edit(&scope, "1", &set("first_name", "")).await;
    let claims = world.store.claim_changes("a", MINUTE, 10).await.unwrap();
    let at = world.clock_now().plus(MINUTE);
    world
        .store
        .retry_push(
            &claims[0],
            &RunError::new(ErrorClass::Provider, "not now"),
            at,
            true,
        )
        .await
        .unwrap();
    assert!(
        world
            .store
            .claim_changes("a", MINUTE, 10)
            .await
            .unwrap()
            .is_empty()
    );
    world.clock.advance(MINUTE);
    let claims = world.store.claim_changes("a", MINUTE, 10).await.unwrap();
    assert_eq!(claims[0].change.attempt, 2);
    world
        .store
        .fail_push(
            &claims[0],
            &RunError::new(ErrorClass::Invalid, "must not be empty"),
        )
        .await
        .unwrap();
    let failed = world.change_of(&scope, &change).await;
    assert_eq!(
        (failed.state, failed.error.as_deref()),
        (ChangeState::Failed, Some("must not be empty"))
    );
    assert_eq!(failed.lost["first_name"].value, json!(""));
    assert_eq!(world.shown(&scope, "1").await["first_name"], "Ada");

    // After some time it goes; what waits stays, however old.
    world.clock.advance(MINUTE);
    let waits = world.edit(&scope, "1", &set("first_name", "Eve")).await;
    let (store, rest) = (&world.store, Duration::ZERO);
    let ended = failed.finished_at.unwrap();
    assert_eq!(store.prune_changes(ended, rest).await.unwrap(), 0);
    assert_eq!(store.prune_changes(LATER, rest).await.unwrap(), 1);
    let gone = store.change(scope.project(), change.id).await.unwrap();
    assert!(gone.is_none());
    assert_eq!(world.change_of(&scope, &waits).await.id, waits.id);

    let change = world.edit(&scope, "1", &LocalWrite::Delete).await;
    assert_eq!(world.shown(&scope, "1").await, Value::Null);
    assert!(world.store.cancel_change(&scope, change.id).await.unwrap());
    assert!(!world.store.cancel_change(&scope, change.id).await.unwrap());
    assert_eq!(world.shown(&scope, "1").await["first_name"], "Ada");
    // Deleted there, and nothing of ours in the way.
    assert_eq!(world.write(&scope, &[deleted("1")]).await.deleted, 1);
}
