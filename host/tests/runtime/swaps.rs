//! Files that come, change and go while calls run.

use std::{
    fs,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jackfield::runtime::{ConnectorState, VersionState};
use tokio_util::sync::CancellationToken;

use crate::{
    guest::good,
    house::{House, contact, slug},
};

/// Calls the connector without a pause until told to stop; how many calls there were. Every one
/// must find a version and get an answer.
fn callers(house: &House, name: &str, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<u64>> {
    (0..3)
        .map(|_| {
            let runtime = house.runtime.clone();
            let name = slug(name);
            let stop = Arc::clone(stop);
            tokio::spawn(async move {
                let calls = AtomicU64::new(0);
                while !stop.load(Ordering::Relaxed) {
                    let version = runtime.active(&name).expect("one version always serves");
                    let answer = version.unify(contact(), "[{}]".to_owned(), &[]).await;
                    answer.expect("no call fails while versions are swapped");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                calls.into_inner()
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_under_load_fail_no_call() {
    let house = House::new();
    house.put("acme.wasm", &good("acme", "[0]").bytes());
    house.runtime.scan().await;
    let stop = Arc::new(AtomicBool::new(false));
    let callers = callers(&house, "acme", &stop);
    for version in 1..=100 {
        let answer = format!("[{version}]");
        house.put("acme.wasm", &good("acme", &answer).bytes());
        house.settle().await;
        assert_eq!(house.unify("acme").await.unwrap(), answer);
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    assert_eq!(*house.runtime.swaps().borrow(), 101);
    let versions = house.status("acme").versions;
    assert_eq!(versions[0].state, VersionState::Active);
    assert!(
        versions[1..]
            .iter()
            .all(|version| version.state == VersionState::Retired)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_notices_files_by_itself() {
    let house = House::new();
    let stop = CancellationToken::new();
    let watching = tokio::spawn(house.runtime.clone().watch(stop.clone()));
    house.put("acme.wasm", &good("acme", "[1]").bytes());
    house
        .wait_for_swap(|house| house.version("acme").is_some())
        .await;
    let first = house.version("acme").unwrap().digest();
    assert_eq!(house.unify("acme").await.unwrap(), "[1]");
    house.put("acme.wasm", &good("acme", "[2]").bytes());
    house
        .wait_for_swap(|house| {
            house
                .version("acme")
                .is_some_and(|version| version.digest() != first)
        })
        .await;
    assert_eq!(house.unify("acme").await.unwrap(), "[2]");
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_runs_ends_with_the_version_it_began_with() {
    let house = House::new();
    house.put("acme.wasm", &good("acme", "[1]").bytes());
    house.runtime.scan().await;
    let old = house.version("acme").unwrap();
    house.put("acme.wasm", &good("acme", "[2]").bytes());
    house.settle().await;
    let answer = old.unify(contact(), "[{}]".to_owned(), &[]).await.unwrap();
    assert_eq!(answer, "[1]");
    assert_eq!(house.unify("acme").await.unwrap(), "[2]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_may_come_back() {
    let house = House::new();
    for answer in ["[1]", "[2]", "[1]"] {
        house.put("acme.wasm", &good("acme", answer).bytes());
        house.settle().await;
        assert_eq!(house.unify("acme").await.unwrap(), answer);
    }
    let versions = house.status("acme").versions;
    let states: Vec<_> = versions.iter().map(|version| version.state).collect();
    let retired = VersionState::Retired;
    assert_eq!(states, [VersionState::Active, retired, retired]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_written_file_is_not_loaded() {
    let house = House::new();
    let bytes = good("acme", "[1]").bytes();
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let mut file = fs::File::create(house.path("acme.wasm")).unwrap();
    file.write_all(first).unwrap();
    assert!(house.runtime.look().await, "a new file is not trusted yet");
    file.write_all(rest).unwrap();
    drop(file);
    assert!(house.runtime.look().await, "it has changed since");
    assert!(house.runtime.catalogue().is_empty());
    assert!(!house.runtime.look().await);
    assert_eq!(house.unify("acme").await.unwrap(), "[1]");
    assert_eq!(house.status("acme").last_error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_file_retires_its_connector() {
    let house = House::new();
    house.put("acme.wasm", &good("acme", "[1]").bytes());
    house.put("other.wasm", &good("other", "[1]").bytes());
    house.runtime.scan().await;
    let running = house.version("acme").unwrap();
    house.remove("acme.wasm");
    house.settle().await;
    assert!(house.version("acme").is_none());
    assert_eq!(house.status("acme").state, ConnectorState::Retired);
    assert!(running.unify(contact(), "[]".to_owned(), &[]).await.is_ok());
    assert_eq!(house.unify("other").await.unwrap(), "[1]");

    house.put("acme.wasm", &good("acme", "[2]").bytes());
    house.settle().await;
    assert_eq!(house.unify("acme").await.unwrap(), "[2]");
    assert_eq!(house.status("acme").state, ConnectorState::Active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_file_with_a_slug_keeps_it_until_it_is_gone() {
    let house = House::new();
    house.put("acme.wasm", &good("acme", "[1]").bytes());
    house.runtime.scan().await;
    house.put("another.wasm", &good("acme", "[2]").bytes());
    house.settle().await;
    let error = house.refusal("another.wasm").unwrap();
    assert_eq!(error, "another file has the slug acme already: acme.wasm");
    assert_eq!(house.unify("acme").await.unwrap(), "[1]");

    house.remove("acme.wasm");
    house.settle().await;
    assert_eq!(house.unify("acme").await.unwrap(), "[2]");
    assert_eq!(house.refusal("another.wasm"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_file_goes_on_serving() {
    let house = House::new();
    house.put("acme-1.wasm", &good("acme", "[1]").bytes());
    house.runtime.scan().await;
    let stop = Arc::new(AtomicBool::new(false));
    let callers = callers(&house, "acme", &stop);
    house.rename("acme-1.wasm", "acme-2.wasm");
    house.settle().await;
    assert_eq!(house.status("acme").file, "acme-2.wasm");
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(house.unify("acme").await.unwrap(), "[1]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_may_become_another_connector() {
    let house = House::new();
    house.put("plugin.wasm", &good("acme", "[1]").bytes());
    house.runtime.scan().await;
    house.put("plugin.wasm", &good("other", "[2]").bytes());
    house.settle().await;
    assert!(house.version("acme").is_none());
    assert_eq!(house.status("acme").state, ConnectorState::Retired);
    assert_eq!(house.unify("other").await.unwrap(), "[2]");
}
