use jackfield::{
    model::{CustomField, DataType, MappingRules, ObjectKind, ProjectId, StoredDocument, Upsert},
    store::{Error, NewCustomField},
};
use serde_json::{Value, json};

use crate::support::{MINUTE, READ, World, company, contact, present};

fn draft(kind: ObjectKind, slug: &str) -> NewCustomField {
    NewCustomField {
        kind,
        slug: slug.parse().unwrap(),
        description: "For people.".into(),
        data_type: DataType::String,
        default: Some(json!("none")),
        linked_users_map: true,
    }
}

fn rules(name: &str, default: Value) -> MappingRules {
    MappingRules {
        remote_fields: vec![name.into()],
        transforms: serde_json::from_value(json!([{"type": "trim"}])).unwrap(),
        default: Some(default).filter(|default| !default.is_null()),
    }
}

async fn define(world: &World, project: ProjectId, kind: ObjectKind, slug: &str) -> CustomField {
    let new = draft(kind, slug);
    world.store.create_custom_field(project, new).await.unwrap()
}

pub(crate) async fn a_definition_is_stored_changed_and_deleted(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let mut field = define(&world, project, contact(), "dish").await;
    define(&world, project, company(), "dish").await;
    let again = store
        .create_custom_field(project, draft(contact(), "dish"))
        .await;
    assert!(matches!(again, Err(Error::Conflict("slug"))), "{again:?}");
    let read = store.custom_field(project, field.id).await.unwrap();
    assert_eq!(read.as_ref(), Some(&field));
    assert_eq!(store.custom_fields(project).await.unwrap().len(), 2);
    field.data_type = DataType::Number;
    field.default = None;
    field.linked_users_map = false;
    assert!(store.change_custom_field(&field).await.unwrap());
    let read = store
        .custom_field(project, field.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((read.data_type, read.default), (DataType::Number, None));
    let user = world.linked_user(project).await.id;
    let connector = "demo-crm".parse().unwrap();
    store
        .create_mapping(
            project,
            field.id,
            &connector,
            Some(user),
            &rules("a", json!(null)),
        )
        .await
        .unwrap();
    assert!(store.delete_custom_field(project, field.id).await.unwrap());
    assert!(!store.delete_custom_field(project, field.id).await.unwrap());
    assert!(store.mappings(project).await.unwrap().is_empty());
}

pub(crate) async fn what_is_mapped_for_one_goes_before_what_is_mapped_for_all(world: World) {
    let store = &world.store;
    let mine = world.connection(&[contact(), company()]).await;
    let project = mine.project();
    let theirs = world.connection_in(project, &[contact()]).await;
    let field = define(&world, project, contact(), "dish").await;
    let connector = &mine.connection().connector;
    let user = mine.connection().linked_user;
    let everybody = store
        .create_mapping(
            project,
            field.id,
            connector,
            None,
            &rules("all", json!(null)),
        )
        .await
        .unwrap();
    for linked_user in [None, Some(user)] {
        let first = linked_user.is_some();
        let made = store
            .create_mapping(
                project,
                field.id,
                connector,
                linked_user,
                &rules("one", json!("x")),
            )
            .await;
        assert_eq!(made.is_ok(), first);
        let twice = store
            .create_mapping(
                project,
                field.id,
                connector,
                linked_user,
                &rules("two", json!(null)),
            )
            .await;
        assert!(
            matches!(twice, Err(Error::Conflict("mapping"))),
            "{twice:?}"
        );
    }
    let of = async |scope, kind| {
        let found = store.effective_mappings(scope, kind).await.unwrap();
        let one = found.get("dish").cloned();
        one.map(|one| (one.rules.remote_fields.concat(), one.rules.default))
    };
    assert_eq!(
        of(&mine, contact()).await,
        Some(("one".into(), Some(json!("x"))))
    );
    assert_eq!(
        of(&theirs, contact()).await,
        Some(("all".into(), Some(json!("none"))))
    );
    assert_eq!(of(&mine, company()).await, None);
    let changed = rules("other", json!(null));
    assert!(
        store
            .change_mapping(project, field.id, everybody.id, &changed)
            .await
            .unwrap()
    );
    assert_eq!(
        of(&theirs, contact()).await,
        Some(("other".into(), Some(json!("none"))))
    );
    let foreign = define(&world, project, contact(), "foreign").await;
    let other = "other-crm".parse().unwrap();
    store
        .create_mapping(project, foreign.id, &other, None, &changed)
        .await
        .unwrap();
    assert_eq!(
        store
            .effective_mappings(&mine, contact())
            .await
            .unwrap()
            .iter()
            .count(),
        1
    );
    assert!(
        store
            .delete_mapping(project, field.id, everybody.id)
            .await
            .unwrap()
    );
    assert!(
        !store
            .delete_mapping(project, field.id, everybody.id)
            .await
            .unwrap()
    );
    assert_eq!(of(&theirs, contact()).await, None);
}

pub(crate) async fn custom_fields_of_another_project_are_out_of_reach(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact()]).await;
    let stranger = world.connection(&[contact()]).await;
    let (project, other) = (scope.project(), stranger.project());
    let field = define(&world, project, contact(), "dish").await;
    let connector = &scope.connection().connector;
    let made = rules("a", json!(null));
    let mapping = store
        .create_mapping(project, field.id, connector, None, &made)
        .await
        .unwrap();
    assert!(store.custom_fields(other).await.unwrap().is_empty());
    assert!(store.custom_field(other, field.id).await.unwrap().is_none());
    assert!(store.mappings(other).await.unwrap().is_empty());
    assert!(store.mappings_of(other, field.id).await.unwrap().is_empty());
    assert!(
        !store
            .change_mapping(other, field.id, mapping.id, &made)
            .await
            .unwrap()
    );
    assert!(
        !store
            .delete_mapping(other, field.id, mapping.id)
            .await
            .unwrap()
    );
    assert!(!store.delete_custom_field(other, field.id).await.unwrap());
    let mut stolen = field.clone();
    stolen.project = other;
    assert!(!store.change_custom_field(&stolen).await.unwrap());
    let user = stranger.connection().linked_user;
    for (project, user) in [(other, None), (other, Some(user)), (project, Some(user))] {
        let refused = store
            .create_mapping(project, field.id, connector, user, &made)
            .await;
        assert!(matches!(refused, Err(Error::Missing(_))), "{refused:?}");
    }
    assert!(
        store
            .effective_mappings(&stranger, contact())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.mapped_objects(other).await.unwrap().is_empty());
    assert_eq!(store.mapped_objects(project).await.unwrap().len(), 1);
}

pub(crate) async fn objects_with_mappings_are_always_looked_at(world: World) {
    let store = &world.store;
    let mine = world.connection(&[contact(), company()]).await;
    let project = mine.project();
    let theirs = world.connection_in(project, &[contact()]).await;
    let connector = &mine.connection().connector;
    for (scope, kind) in [(&mine, contact()), (&mine, company()), (&theirs, contact())] {
        store.mark_unified(scope, kind, "v1").await.unwrap();
    }
    let found = async || {
        let found = store.unified_by_others(connector, "v1").await.unwrap();
        let of = |(scope, kind, mark): (jackfield::model::Scope, _, _)| {
            (scope.connection().id, kind, mark)
        };
        found.into_iter().map(of).collect::<Vec<_>>()
    };
    assert!(found().await.is_empty());
    let field = define(&world, project, contact(), "dish").await;
    assert!(found().await.is_empty(), "nothing is mapped yet");
    let user = Some(mine.connection().linked_user);
    let made = rules("a", json!(null));
    let mapping = store
        .create_mapping(project, field.id, connector, user, &made)
        .await
        .unwrap();
    assert_eq!(
        found().await,
        [(mine.connection().id, contact(), "v1".to_owned())]
    );
    let pass = store.begin_remap(&mine, contact(), "v1+r1", MINUTE).await;
    let pass = pass.unwrap().unwrap();
    assert!(store.finish_remap(&pass).await.unwrap());
    store
        .delete_mapping(project, field.id, mapping.id)
        .await
        .unwrap();
    assert_eq!(
        found().await,
        [(mine.connection().id, contact(), "v1+r1".to_owned())]
    );
}

pub(crate) async fn custom_values_are_read_in_pages(world: World) {
    let store = &world.store;
    let scope = world.connection(&[contact(), company()]).await;
    let custom = |remote_id: &str| {
        let mut upsert: Upsert = present(remote_id, "x");
        if let StoredDocument::Present { custom, .. } = &mut upsert.document {
            *custom = format!(r#"{{"dish":"{remote_id}"}}"#);
        }
        upsert
    };
    let page = [custom("1"), custom("2"), present("3", "y"), custom("4")];
    world.write(&scope, &page).await;
    store
        .apply_page(&scope, company(), &[custom("5")], READ)
        .await
        .unwrap();
    let first = store
        .custom_values(&scope, contact(), None, 2)
        .await
        .unwrap();
    let after = first.last().map(|one| one.record);
    let rest = store
        .custom_values(&scope, contact(), after, 2)
        .await
        .unwrap();
    let customs: Vec<_> = first
        .iter()
        .chain(&rest)
        .map(|one| one.custom.as_str())
        .collect();
    assert_eq!(
        customs,
        [r#"{"dish":"1"}"#, r#"{"dish":"2"}"#, r#"{"dish":"4"}"#]
    );
    let of_companies = store
        .custom_values(&scope, company(), None, 10)
        .await
        .unwrap();
    assert_eq!(of_companies.len(), 1);
}
