//! A PostgreSQL that ends in the middle of everything and comes back.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use jackfield_tests::{Backend, Server, connectors, database::Database, faulty::FaultyProvider};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    figures,
    stand::{self, Stand, amid},
    traffic::Traffic,
};

/// After this time nothing may fail any more.
const HEALED: Duration = Duration::from_secs(5);

/// A PostgreSQL of its own.
struct Cluster(TempDir);

impl Cluster {
    fn start() -> (Self, String) {
        let state = tempfile::tempdir().expect("a folder can be made");
        let cluster = Self(state);
        let url = cluster.run("start");
        (cluster, url.trim().to_owned())
    }

    fn run(&self, what: &str) -> String {
        let output = Command::new(connectors::repository().join("tests/postgres"))
            .arg(what)
            .env("JACKFIELD_TEST_POSTGRES_STATE", self.0.path().join("state"))
            .output()
            .expect("bash is there");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/postgres {what}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.run("stop");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_ends_and_comes_back_stops_nothing_for_long() {
    // Last to go: the server's database is dropped there.
    let (cluster, url) = Cluster::start();
    let folder = tempfile::Builder::new().prefix("jackfield-").tempdir();
    let database = Database::create_at(url).await;
    let provider = FaultyProvider::start(300).await;
    let builder = Server::with(folder.expect("a folder can be made"), database);
    let server = stand::hurried(provider.known_to(builder)).start().await;
    let process = server.process_id();
    let mut stand = Stand::around(Backend::Postgres, provider, server).await;
    stand.two_way().await;
    amid(&stand, 100).await;
    let mut traffic = Traffic::start(&stand.api, &stand.provider.demo, &stand.connection.id);
    let restarts = figures::kills().map_or(3, |kills| kills.div_ceil(10));
    let mut calls = 0_u32;
    for restart in 0..restarts {
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.run("restart");
        let up = Instant::now();
        let mut failed = None;
        for turn in 0.. {
            if up.elapsed() > HEALED + Duration::from_secs(2) {
                break;
            }
            let origin = format!("{restart}-{turn}");
            let body = json!({ "linked_user_origin_id": origin, "alias": "load" });
            let write = stand
                .api
                .try_send(Method::POST, "/linked_users", Some(&body));
            let read = stand
                .api
                .try_send(Method::GET, "/crm/contacts?limit=1", None);
            for answer in [write.await, read.await] {
                calls += 1;
                let answer = answer.expect("the server answers");
                assert_ne!(answer.status, 500, "{}", answer.text);
                if answer.status > 500 {
                    failed = Some(up.elapsed());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let healed = failed.unwrap_or_default();
        assert!(
            healed < HEALED,
            "still failing {healed:?} after PostgreSQL was back"
        );
        stand.figures.recoveries.push(healed);
        stand.figures.kills += 1;
    }
    assert_eq!(stand.server.process_id(), process);
    println!("| PostgreSQL restarted | Postgres | {restarts} times | {calls} calls |");
    stand
        .end(
            "PostgreSQL restarted (recovery: last error after it was back)",
            &mut traffic,
        )
        .await;
    drop(stand);
    drop(cluster);
}
