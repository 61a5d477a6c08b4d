//! Two hosts on one PostgreSQL: they share the work, one goes on for the other, and whoever slept
//! past his lease writes nothing.

use std::time::{Duration, Instant};

use jackfield_tests::{
    Api, Backend, Server,
    faulty::{Fault, FaultyProvider},
    ledger::Reader,
    until, until_within,
};

use crate::{
    figures,
    stand::{self, LEASE, Stand, amid},
};

/// Pages that a host has written.
async fn pages(server: &Server) -> u64 {
    let metrics = Api::new(server.base_url()).get("/metrics").await;
    let lines = metrics.text.lines();
    let lines = lines.filter(|line| line.starts_with("jackfield_sync_pages_total"));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_share_the_work_and_one_that_slept_writes_nothing() {
    let provider = FaultyProvider::start(600).await;
    let server = stand::builder(Backend::Postgres, &provider).await;
    let mut stand = Stand::around(Backend::Postgres, provider, server.start().await).await;
    let mut second = stand.server.beside().await;
    // One run at a time for each connection: more of them, so that there is something to share.
    for customer in ["second", "third", "fourth"] {
        stand.connect(customer).await;
    }
    until("both hosts write pages", async || {
        let (first, second) = (pages(&stand.server).await, pages(&second).await);
        (first > 5 && second > 5).then_some(())
    })
    .await;
    let shared = (pages(&stand.server).await, pages(&second).await);
    second.stop();
    let lost = "the claim of a sync is lost";
    let stops = figures::kills().map_or(2, |kills| kills.div_ceil(20));
    for _ in 0..stops {
        let before = stand.server.log().matches(lost).count();
        // The provider stops it in the middle of a page, and answers.
        stand.provider.rule(&["GET /v1/people?"], 0, 1, Fault::Stop);
        until("it is stopped", async || {
            stand.provider.is_calm().then_some(())
        })
        .await;
        stand.provider.behave();
        let slept = Instant::now();
        let mut second = stand.server.beside().await;
        let past = slept + Duration::from_secs(LEASE.unsigned_abs() + 1);
        until("the other one goes on", async || {
            stand.provider.first_list_after(past)
        })
        .await;
        stand.server.signal("CONT");
        until("the one that slept notices", async || {
            (stand.server.log().matches(lost).count() > before).then_some(())
        })
        .await;
        second.stop();
    }
    stand.rest().await;
    stand.compare().await;
    println!(
        "| two hosts | Postgres | {} and {} pages | {stops} stopped past a lease, writes refused each time |",
        shared.0, shared.1
    );
    stand
        .figures
        .print("stopped past its lease", Backend::Postgres);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_host_goes_on_when_the_lease_ends() {
    let provider = FaultyProvider::start(2000).await;
    let server = stand::builder(Backend::Postgres, &provider).await;
    let mut stand = Stand::around(Backend::Postgres, provider, server.start().await).await;
    let mut second = stand.server.beside().await;
    amid(&stand, 20).await;
    let kills = figures::kills().map_or(3, |kills| kills.div_ceil(10));
    for _ in 0..kills {
        // The second one sleeps until it has no claim any more and the first one has them all.
        second.signal("STOP");
        let asleep = Instant::now() + Duration::from_secs(LEASE.unsigned_abs() + 1);
        until("the first host reads", async || {
            stand.provider.first_list_after(asleep)
        })
        .await;
        stand.server.kill();
        let mut reader = Reader::of_others(&stand.server).await;
        let sql = "SELECT (coalesce(max(lease_until), 0)
                       - extract(epoch FROM clock_timestamp()) * 1000)::bigint::text
                   FROM sync_state WHERE lease_owner IS NOT NULL";
        let rest: i64 = reader.texts(sql).await[0].parse().expect("milliseconds");
        let ends = Instant::now() + Duration::from_millis(u64::try_from(rest).unwrap_or(0));
        second.signal("CONT");
        let patience = Duration::from_secs(20);
        let first = until_within(patience, "the second host goes on", async || {
            stand.provider.first_list_after(ends)
        });
        stand.figures.recoveries.push(first.await - ends);
        stand.figures.kills += 1;
        stand.start_anew().await;
    }
    stand.rest().await;
    second.stop();
    stand.compare().await;
    stand.figures.print(
        "gone on by a second host after the lease",
        Backend::Postgres,
    );
}
