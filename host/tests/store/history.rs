use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jackfield::{
    model::{
        Origin, RecordId, Scope, StoredDocument, SyncConfig, UnifiedBy, Upsert, ValueSource,
        Written,
    },
    store::{FieldOrigin, HistoryEntry, LocalWrite, RecordPlace, WrittenBy},
};
use serde_json::{Map, json};

use crate::changes::queued;
use crate::support::{READ, World, contact, deleted, present};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl World {
    async fn place(&self, scope: &Scope, id: RecordId) -> RecordPlace {
        let place = self.store.record_place(scope.project(), id).await;
        place.unwrap().unwrap()
    }

    async fn history(&self, scope: &Scope, remote_id: &str) -> Vec<HistoryEntry> {
        let id = self.store.record_id(scope, contact(), remote_id);
        let place = self.place(scope, id).await;
        self.store.history(&place, None, 100).await.unwrap()
    }

    async fn field(&self, scope: &Scope, remote_id: &str, field: &str) -> FieldOrigin {
        let id = self.store.record_id(scope, contact(), remote_id);
        let place = self.place(scope, id).await;
        let fields = self.store.provenance(&place).await.unwrap();
        let mut fields = fields.into_iter().filter(|one| one.field == field);
        fields.next().unwrap()
    }

    async fn write_from(&self, scope: &Scope, origin: &Origin, page: &[Upsert]) {
        let store = &self.store;
        let written = store.apply_page_from(scope, contact(), page, READ, origin);
        written.await.unwrap();
    }
}

fn version(number: u32) -> Arc<UnifiedBy> {
    Arc::new(UnifiedBy {
        mark: format!("v{number}"),
        version: format!("{number}.0.0"),
        digest: format!("digest {number}"),
        mappings: Some(r#"{"dish":{"remote_fields":["food"]}}"#.into()),
    })
}

fn person(remote_id: &str, first: &str, last: &str, dish: &str) -> Upsert {
    let mut upsert = present(remote_id, first);
    if let StoredDocument::Present {
        unified, custom, ..
    } = &mut upsert.document
    {
        *unified = json!({ "first_name": first, "last_name": last }).to_string();
        *custom = json!({ "dish": dish }).to_string();
    }
    upsert
}

pub(crate) async fn each_field_knows_where_it_came_from(world: World) {
    let scope = world.connection(&[contact()]).await;
    let read = Origin::unified(ValueSource::Sync, &version(1));
    let page = [person("1", "Ada", "L", "soup"), person("2", "Bo", "M", "")];
    world.write_from(&scope, &read, &page).await;
    let created = world.clock_now();
    let first = world.field(&scope, "1", "first_name").await;
    assert_eq!(first.at, created);
    let origin = first.origin.unwrap();
    assert_eq!(origin.source, ValueSource::Sync);
    let expected = ("1.0.0".to_owned(), "digest 1".to_owned());
    assert_eq!(origin.version, Some(expected));

    world.clock.advance(DAY);
    let again = Origin::unified(ValueSource::Webhook, &version(2));
    let changed = person("1", "Ada", "L", "pie");
    world
        .write_from(&scope, &again, std::slice::from_ref(&changed))
        .await;
    // Read once more without a difference: nothing is told anew.
    world.clock.advance(DAY);
    world.write_from(&scope, &read, &[changed]).await;
    let dish = world.field(&scope, "1", "field_mappings.dish").await;
    assert_eq!(dish.at, created.plus(DAY));
    let origin = dish.origin.unwrap();
    assert_eq!(origin.source, ValueSource::Webhook);
    assert_eq!(origin.version.unwrap().0, "2.0.0");
    assert_eq!(origin.mappings["dish"]["remote_fields"], json!(["food"]));
    let first = world.field(&scope, "1", "first_name").await;
    assert_eq!(
        (first.at, first.origin.unwrap().source),
        (created, ValueSource::Sync)
    );
    let other = world.field(&scope, "2", "field_mappings.dish").await;
    assert_eq!(other.at, created);

    // Records from before that was written down say that nothing is known.
    world
        .tamper("UPDATE record SET origin = NULL, fields_from = NULL")
        .await;
    assert!(
        world
            .field(&scope, "1", "first_name")
            .await
            .origin
            .is_none()
    );
}

pub(crate) async fn what_changed_is_told_for_a_while(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    world
        .write(&scope, &[present("1", "Ada"), present("2", "Bo")])
        .await;
    assert!(world.history(&scope, "1").await.is_empty());
    world.clock.advance(DAY);
    world.write(&scope, &[present("1", "Grace")]).await;
    world.clock.advance(DAY);
    world.write(&scope, &[deleted("1")]).await;
    world.clock.advance(DAY);
    world.write(&scope, &[present("1", "Grace")]).await;
    let entries = world.history(&scope, "1").await;
    let actions: Vec<&str> = entries.iter().map(|one| one.action.as_str()).collect();
    assert_eq!(actions, ["restored", "deleted", "updated"]);
    assert!(entries[0].fields.is_empty());
    assert_eq!(
        entries[2].fields["first_name"],
        (json!("Ada"), json!("Grace"))
    );
    let id = store.record_id(&scope, contact(), "1");
    let place = world.place(&scope, id).await;
    let first = store.history(&place, None, 1).await.unwrap();
    let rest = store
        .history(&place, Some(first[0].place), 5)
        .await
        .unwrap();
    let rest: Vec<_> = rest.iter().map(|one| one.place).collect();
    assert_eq!(rest, [entries[1].place, entries[2].place]);
    assert!(world.history(&scope, "2").await.is_empty());

    // Thirty days are the default; what is known of fields stays.
    let updated = world.field(&scope, "1", "first_name").await;
    world.clock.advance(DAY * 28 + DAY / 2);
    assert_eq!(world.history(&scope, "1").await.len(), 2);
    assert_eq!(store.prune_history(Duration::ZERO).await.unwrap(), 1);
    world.clock.advance(DAY * 10);
    assert_eq!(store.prune_history(Duration::ZERO).await.unwrap(), 2);
    let still = world.field(&scope, "1", "first_name").await;
    assert_eq!((still.at, still.origin), (updated.at, updated.origin));

    let off = SyncConfig {
        history_days: 0,
        ..SyncConfig::default()
    };
    world.write(&scope, &[present("1", "Bea")]).await;
    assert_eq!(world.history(&scope, "1").await.len(), 1);
    store
        .set_sync_config(&scope, contact(), &off, None)
        .await
        .unwrap();
    assert!(world.history(&scope, "1").await.is_empty(), "at once");
    world.write(&scope, &[present("2", "Cy")]).await;
    let on = SyncConfig::default();
    store
        .set_sync_config(&scope, contact(), &on, None)
        .await
        .unwrap();
    assert!(world.history(&scope, "2").await.is_empty());
    let origin = world.field(&scope, "2", "first_name").await;
    assert!(origin.at >= world.clock_now());
}

pub(crate) async fn a_change_of_ours_is_told_from_the_answer_to_it(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let answer = |fields: &[&str]| Origin {
        written: Some(Written {
            fields: fields.iter().map(|one| (*one).to_owned()).collect(),
            actor: Some("key".into()),
        }),
        ..Origin::unified(ValueSource::Answer, &version(1))
    };
    let created = answer(&["first_name"]);
    world
        .write_from(&scope, &created, &[person("1", "Ada", "L", "")])
        .await;
    let source = async |field| {
        let origin = world.field(&scope, "1", field).await.origin.unwrap();
        (origin.source, origin.actor, origin.version.is_some())
    };
    let ours = (ValueSource::Write, Some("key".to_owned()), false);
    let theirs = (ValueSource::Answer, None, true);
    assert_eq!(source("first_name").await, ours);
    assert_eq!(source("last_name").await, theirs);
    let written = answer(&["last_name", "first_name"]);
    world
        .write_from(&scope, &written, &[person("1", "Ada", "Ll", "x")])
        .await;
    assert_eq!(source("last_name").await, ours);
    assert_eq!(source("field_mappings.dish").await, theirs);
    let entries = world.history(&scope, "1").await;
    assert_eq!(entries.len(), 2);
    let fields: BTreeSet<&String> = entries.iter().flat_map(|one| one.fields.keys()).collect();
    assert_eq!(fields.len(), 2);

    let write = LocalWrite::Set(Map::from_iter([("first_name".to_owned(), json!("Bea"))]));
    let id = store.record_id(&scope, contact(), "1");
    let by = WrittenBy {
        actor: Some("other key"),
        undo_of: None,
    };
    let change = store.queue_change(&scope, contact(), id, &write, by).await;
    let change = queued(change);
    let field = world.field(&scope, "1", "first_name").await;
    assert_eq!(field.change, Some(change.id));
    assert_eq!(field.origin.unwrap().actor.as_deref(), Some("other key"));
    assert!(store.cancel_change(&scope, change.id).await.unwrap());
    let entry = &world.history(&scope, "1").await[0];
    assert_eq!(entry.origin.source, ValueSource::GivenUp);
    assert_eq!(entry.fields["first_name"], (json!("Bea"), json!("Ada")));
}

pub(crate) async fn another_project_learns_nothing(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.write(&scope, &[present("1", "Ada")]).await;
    world.write(&scope, &[present("1", "Bo")]).await;
    let id = world.store.record_id(&scope, contact(), "1");
    let other = world.project().await.id;
    assert!(world.store.record_place(other, id).await.unwrap().is_none());
}

pub(crate) async fn the_history_of_a_deleted_connection_goes(world: World) {
    let store = &world.store;
    let (mine, theirs) = (
        world.connection(&[contact()]).await,
        world.connection(&[contact()]).await,
    );
    for name in ["Ada", "Bo"] {
        let page: Vec<Upsert> = (0..3000).map(|id| present(&id.to_string(), name)).collect();
        world.write(&mine, &page).await;
        world.write(&theirs, &page[..3]).await;
    }
    store.delete_connection(&mine).await.unwrap();
    let id = store.record_id(&mine, contact(), "1");
    assert!(
        store
            .record_place(mine.project(), id)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        store.prune_history(Duration::ZERO).await.unwrap(),
        0,
        "gone already"
    );
    assert_eq!(world.history(&theirs, "1").await.len(), 1);
}
