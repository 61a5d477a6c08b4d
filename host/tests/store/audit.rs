use std::time::Duration;

use jackfield::{
    model::{AuditEntry, Digest, ProjectId},
    store::AuditFilter,
};
use serde_json::json;

use crate::support::{MINUTE, World, contact};

fn entry(world: &World, project: Option<ProjectId>, subject: &str) -> AuditEntry {
    AuditEntry {
        at: world.clock_now(),
        project,
        actor: "cli".to_owned(),
        action: "connector.grant".to_owned(),
        subject: subject.to_owned(),
        details: json!({ "why": "a test" }),
    }
}

pub(crate) async fn entries_are_listed_by_project_in_pages(world: World) {
    let store = &world.store;
    let (ours, theirs) = (world.project().await.id, world.project().await.id);
    let mut written = Vec::new();
    for number in 0..5 {
        for project in [Some(ours), Some(theirs), None] {
            world.clock.advance(Duration::from_millis(1));
            let entry = entry(&world, project, &format!("subject-{number}"));
            store.audit(&entry).await.unwrap();
            written.push(entry);
        }
    }
    written.reverse();
    let all = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    let rows = store.audit_log(&all).await.unwrap();
    let entries: Vec<AuditEntry> = rows.into_iter().map(|row| row.entry).collect();
    assert_eq!(entries, written);

    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let filter = AuditFilter {
            project: Some(ours),
            before,
            limit: 2,
            ..AuditFilter::default()
        };
        let page = store.audit_log(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        before = Some(last.id);
        seen.extend(page.into_iter().map(|row| row.entry.subject));
    }
    let subjects = [
        "subject-4",
        "subject-3",
        "subject-2",
        "subject-1",
        "subject-0",
    ];
    assert_eq!(seen, subjects);

    let filter = AuditFilter {
        action: Some("connector.grant".to_owned()),
        subject: Some("subject-3".to_owned()),
        limit: 100,
        ..AuditFilter::default()
    };
    assert_eq!(store.audit_log(&filter).await.unwrap().len(), 3);
    // No text has a NUL, and PostgreSQL takes none.
    let filter = AuditFilter {
        subject: Some("subject-3\0".to_owned()),
        ..filter
    };
    assert_eq!(store.audit_log(&filter).await.unwrap().len(), 3);
}

pub(crate) async fn old_entries_are_removed(world: World) {
    let store = &world.store;
    store.audit(&entry(&world, None, "old")).await.unwrap();
    world.clock.advance(MINUTE);
    let moment = world.clock_now();
    store.audit(&entry(&world, None, "new")).await.unwrap();
    let pruned = store.prune_audit_log(moment, Duration::ZERO).await.unwrap();
    assert_eq!(pruned, 1);
    let filter = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    let left = store.audit_log(&filter).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].entry.subject, "new");
}

pub(crate) async fn connections_leave_their_marks(world: World) {
    let scope = world.connection(&[contact()]).await;
    let connection = scope.connection();
    let filter = AuditFilter {
        project: Some(connection.project),
        limit: 10,
        ..AuditFilter::default()
    };
    let rows = world.store.audit_log(&filter).await.unwrap();
    assert_eq!(rows.len(), 1);
    let entry = &rows[0].entry;
    assert_eq!(entry.action, "connection.create");
    assert_eq!(entry.subject, connection.id.to_string());
    assert_eq!(
        entry.actor,
        format!("linked_user:{}", connection.linked_user)
    );
}

pub(crate) async fn operators_keys_work_until_they_are_revoked(world: World) {
    let store = &world.store;
    let hash = Digest::of("operator");
    let id = store
        .create_operator_key("me", hash, "jo_…abcd")
        .await
        .unwrap();
    assert_eq!(store.operator_key(&hash).await.unwrap(), Some(id));
    // It opens no project.
    assert!(store.project_by_api_key(&hash).await.unwrap().is_none());
    assert!(store.revoke_operator_key(id).await.unwrap());
    assert!(!store.revoke_operator_key(id).await.unwrap());
    assert_eq!(store.operator_key(&hash).await.unwrap(), None);
}
