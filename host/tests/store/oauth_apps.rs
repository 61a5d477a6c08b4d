use jackfield::{
    model::{AuditEntry, Environment, OAuthAppKey, ProjectId, SystemEntropy},
    store::{AuditFilter, Error, SealedKind, StoredOAuthApp},
};
use serde_json::json;

use crate::support::{MINUTE, START, World};

fn key(scheme: &str, environment: Environment) -> OAuthAppKey {
    OAuthAppKey {
        connector: "demo-crm".parse().unwrap(),
        scheme: scheme.to_owned(),
        environment,
    }
}

fn app(key: &OAuthAppKey, client_id: &str, secret: Option<&[u8]>) -> StoredOAuthApp {
    StoredOAuthApp {
        key: key.clone(),
        client_id: client_id.to_owned(),
        sealed_secret: secret.map(<[u8]>::to_vec),
        scopes: Some(vec!["people.read".to_owned()]),
        created_at: START,
        updated_at: START,
    }
}

fn entry(project: ProjectId, action: &str) -> AuditEntry {
    AuditEntry {
        at: START,
        project: Some(project),
        actor: "operator:1".to_owned(),
        action: action.to_owned(),
        subject: "demo-crm".to_owned(),
        details: json!({}),
    }
}

pub(crate) async fn an_app_is_set_changed_and_removed(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let [production, sandbox] =
        [Environment::Production, Environment::Sandbox].map(|one| key("oauth", one));
    let set = entry(project, "oauth_app.set");
    for (key, id) in [(&production, "live"), (&sandbox, "test")] {
        let app = app(key, id, Some(b"sealed"));
        store.put_oauth_app(project, &app, &set).await.unwrap();
    }
    world.clock.advance(MINUTE);
    let public = StoredOAuthApp {
        scopes: None,
        ..app(&production, "live-2", None)
    };
    store.put_oauth_app(project, &public, &set).await.unwrap();

    let read = store
        .oauth_app(project, &production)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.client_id, "live-2");
    assert_eq!((read.sealed_secret, read.scopes), (None, None));
    assert_eq!(
        (read.created_at, read.updated_at),
        (START, START.plus(MINUTE))
    );
    let all = store.oauth_apps(project).await.unwrap();
    let ids: Vec<_> = all.iter().map(|app| app.client_id.as_str()).collect();
    assert_eq!(ids, ["live-2", "test"]);
    assert_eq!(
        all[1].scopes.as_deref(),
        Some(&["people.read".to_owned()][..])
    );
    // A public client signs nothing.
    let signers = store
        .oauth_apps_of_connector(&production.connector, 10)
        .await
        .unwrap();
    assert_eq!(signers.len(), 1);
    assert_eq!(signers[0].0, project);

    let remove = entry(project, "oauth_app.remove");
    for expected in [true, false] {
        let removed = store.remove_oauth_app(project, &sandbox, &remove);
        assert_eq!(removed.await.unwrap(), expected);
    }
    let filter = AuditFilter {
        project: Some(project),
        limit: 10,
        ..AuditFilter::default()
    };
    let log = store.audit_log(&filter).await.unwrap();
    let actions: Vec<_> = log.iter().map(|row| row.entry.action.as_str()).collect();
    assert_eq!(actions.len(), 4);
    assert_eq!(
        actions
            .iter()
            .filter(|one| **one == "oauth_app.remove")
            .count(),
        1
    );
}

pub(crate) async fn apps_of_another_project_are_out_of_reach(world: World) {
    let store = &world.store;
    let (mine, theirs) = (world.project().await.id, world.project().await.id);
    let key = key("oauth", Environment::Production);
    let mut set = app(&key, "mine", Some(b"sealed"));
    store
        .put_oauth_app(mine, &set, &entry(mine, "oauth_app.set"))
        .await
        .unwrap();
    assert!(store.oauth_app(theirs, &key).await.unwrap().is_none());
    assert!(store.oauth_apps(theirs).await.unwrap().is_empty());
    let remove = entry(theirs, "oauth_app.remove");
    let removed = store.remove_oauth_app(theirs, &key, &remove).await;
    assert!(!removed.unwrap());
    set.client_id = "theirs".to_owned();
    store
        .put_oauth_app(theirs, &set, &entry(theirs, "oauth_app.set"))
        .await
        .unwrap();
    let read = store.oauth_app(mine, &key).await.unwrap().unwrap();
    assert_eq!(read.client_id, "mine");

    let nobody = ProjectId::generate(&SystemEntropy);
    let entry = entry(nobody, "oauth_app.set");
    let refused = store.put_oauth_app(nobody, &set, &entry).await;
    assert!(matches!(refused, Err(Error::Missing("project"))));
}

pub(crate) async fn secrets_of_apps_are_sealed_again(world: World) {
    let store = &world.store;
    let project = world.project().await.id;
    let key = key("oauth", Environment::Sandbox);
    let old = [1, 0, 0, 0, 7, b'o', b'l', b'd'];
    store
        .put_oauth_app(
            project,
            &app(&key, "id", Some(&old)),
            &entry(project, "set"),
        )
        .await
        .unwrap();
    assert!(
        store
            .sealed_under()
            .await
            .unwrap()
            .contains(&([0, 0, 0, 7], 1))
    );
    let (kind, header) = (SealedKind::OAuthApp, [1, 0, 0, 0, 8]);
    let mut found = store
        .sealed_values(kind, &kind.start(), &header, 10)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    let value = found.remove(0);
    assert_eq!(value.project, project.to_string());
    assert_eq!(value.subject, key.to_string());
    let again = [&header[..], b"new"].concat();
    let count = store.reseal(kind, &[(value, again.clone())]).await.unwrap();
    assert_eq!(count, 1);
    let read = store.oauth_app(project, &key).await.unwrap().unwrap();
    assert_eq!(read.sealed_secret, Some(again));
}
