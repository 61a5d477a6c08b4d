//! What has to hold between the ledgers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jackfield::{
    demo::Collection,
    model::{Clock as _, SystemClock, Timestamp},
};
use jackfield_tests::{
    FaultyProvider,
    api::text,
    ledger::{Ledger, Sync},
};
use serde_json::Value;

use crate::stand::LEASE;

/// Objects and where the demo provider keeps them.
pub(crate) const OBJECTS: [(&str, Collection); 7] = [
    ("crm.user", Collection::Users),
    ("crm.stage", Collection::Stages),
    ("crm.company", Collection::Companies),
    ("crm.contact", Collection::People),
    ("crm.deal", Collection::Deals),
    ("crm.note", Collection::Notes),
    ("crm.task", Collection::Tasks),
];

/// What should not be.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
}

/// How the database may have moved on between two looks, whoever was killed meanwhile.
pub(crate) async fn steps(before: &Ledger, after: &Ledger, provider: &FaultyProvider) {
    for (key, rows) in &after.records {
        assert_eq!(rows.len(), 1, "{key:?} is there more than once");
    }
    let old: HashSet<&str> = after.events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(old.len(), after.events.len(), "two events have one id");
    for event in &before.events {
        assert!(old.contains(event.id.as_str()), "{event:?} is gone");
    }
    one_event_for_each_change(after);
    for (key, sync) in &after.syncs {
        if let Some(was) = before.syncs.get(key) {
            goes_on(was, sync, key);
        }
        nothing_is_passed_over(key, sync, after, provider).await;
    }
}

/// Cursors go forward.
fn goes_on(before: &Sync, after: &Sync, key: &(String, String)) {
    assert!(after.fence >= before.fence, "{key:?}: the fence went back");
    assert!(after.since >= before.since, "{key:?}: `since` went back");
    assert!(after.full_done || !before.full_done, "{key:?}");
    let same_run = after.run_started_at.is_some() && after.run_started_at == before.run_started_at;
    if let (true, Some(was), Some(is)) = (same_run, &before.cursor, &after.cursor) {
        assert!(
            position(is) >= position(was),
            "{key:?}: the cursor went back"
        );
    }
}

/// What lies before a cursor is there, as the provider has it.
async fn nothing_is_passed_over(
    (connection, object): &(String, String),
    sync: &Sync,
    ledger: &Ledger,
    provider: &FaultyProvider,
) {
    let Some((_, collection)) = OBJECTS.iter().find(|(name, _)| name == object) else {
        return;
    };
    let cursor = sync.cursor.as_deref().map(position);
    // A later run's cursor says nothing about what only a full one reads; `since` does.
    let end = match (sync.since, cursor) {
        (since, Some((time, _))) => since.max(Some(time)),
        (since, None) => since,
    };
    let Some(end) = end else {
        return;
    };
    for document in provider.documents(*collection).await {
        let updated = Timestamp::parse(&text(&document["updated_on"])).expect("a time");
        // A record that changed in the very millisecond of the last one of a page may follow it.
        if updated.as_millis() >= end {
            continue;
        }
        let id = document["id"].to_string();
        let key = (connection.clone(), object.clone(), id);
        let row = ledger.records.get(&key).and_then(|rows| rows.first());
        let version = row.map(|row| row.version.as_str());
        assert_eq!(
            version,
            Some(document["version"].to_string().as_str()),
            "the cursor of {object} is at {end}, past {document}"
        );
    }
}

/// The time and the id of a page token of the demo provider.
fn position(cursor: &str) -> (i64, u64) {
    let bytes = URL_SAFE_NO_PAD
        .decode(cursor)
        .expect("a token of the demo provider");
    let text = String::from_utf8(bytes).expect("a token is text");
    let mut parts = text.split('.');
    let mut next = || parts.next().expect("a token has three parts");
    (
        next().parse().expect("a time"),
        next().parse().expect("an id"),
    )
}

/// No change was announced twice: each event of a record tells something else than the one before.
fn one_event_for_each_change(ledger: &Ledger) {
    let mut last: HashMap<String, (&str, Value)> = HashMap::new();
    for event in &ledger.events {
        let kind = event.kind.rsplit('.').next().unwrap_or_default();
        if !event.kind.starts_with("crm.") || kind == "completed" {
            continue;
        }
        let mut data = event.data.clone();
        let id = text(&data["id"]);
        if let Some(data) = data.as_object_mut() {
            data.remove("modified_at");
        }
        let before = last.insert(id.clone(), (kind, data.clone()));
        let fits = match (before, kind) {
            (None, "created") | (Some(("deleted", _)), "created") => true,
            (Some(("created" | "updated", was)), "updated") => was != data,
            (Some(("created" | "updated", _)), "deleted") => true,
            _ => false,
        };
        assert!(fits, "{event:?} after {:?}", last.get(&id));
    }
}

/// Nothing is claimed for longer than a lease.
pub(crate) fn leases(ledger: &Ledger) {
    let latest = SystemClock.now().as_millis() + LEASE * 1000;
    for (key, sync) in &ledger.syncs {
        assert!(sync.lease_until <= Some(latest), "{key:?}: {sync:?}");
    }
}

/// Every record exactly once, with its last payload.
pub(crate) async fn provider_and_database(provider: &FaultyProvider, ledger: &Ledger) -> Problems {
    let mut problems = Problems::default();
    let connections: BTreeSet<&str> = ledger.syncs.keys().map(|key| key.0.as_str()).collect();
    let mut alive: BTreeMap<(&str, &str, &str), &Value> = BTreeMap::new();
    for ((connection, object, remote_id), rows) in &ledger.records {
        for row in rows.iter().filter(|row| !row.deleted) {
            let key = (connection.as_str(), object.as_str(), remote_id.as_str());
            if alive.insert(key, &row.remote).is_some() {
                problems.doubled.push(format!("{key:?}"));
            }
            if object == "crm.contact" && row.unified["first_name"] != row.remote["given_name"] {
                problems.lost.push(format!("a field of {key:?}: {row:?}"));
            }
        }
    }
    let mut seen = HashSet::new();
    for (object, collection) in OBJECTS {
        for document in provider.documents(collection).await {
            let id = document["id"].to_string();
            for connection in &connections {
                let key = (connection.to_owned(), object, id.as_str());
                let stored = alive.get(&key).copied();
                if stored != Some(&document) {
                    let problem = format!("{key:?}: {document} is stored as {stored:?}");
                    problems.lost.push(problem);
                }
                seen.insert((connection.to_owned(), object, id.clone()));
            }
        }
    }
    for (connection, object, id) in alive.keys() {
        if !seen.contains(&(*connection, *object, (*id).to_owned())) {
            let problem = format!("{object} {id} of {connection} is not at the provider");
            problems.doubled.push(problem);
        }
    }
    problems
}
