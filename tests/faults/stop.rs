//! Asked to stop under load: every answer that was begun is whole, and the work is given back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jackfield_tests::{Api, Backend, ledger::Reader};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    on_both_databases,
    stand::{Stand, amid},
    traffic::Traffic,
};

on_both_databases!(asked_to_stop_under_load_it_breaks_no_answer_and_gives_work_back);

/// Callers at the same time.
const CALLERS: usize = 8;

#[derive(Clone, Default)]
struct Counts {
    stop: Arc<AtomicBool>,
    whole: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
}

async fn asked_to_stop_under_load_it_breaks_no_answer_and_gives_work_back(backend: Backend) {
    let mut stand = Stand::new(backend, 500).await;
    stand.two_way().await;
    amid(&stand, 200).await;
    let mut traffic = Traffic::start(&stand.api, &stand.provider.demo, &stand.connection.id);
    let counts = Counts::default();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call(stand.api.closing(), counts.clone()));
    }
    jackfield_tests::until("there is load", async || {
        (counts.whole.load(Ordering::SeqCst) > 200).then_some(())
    })
    .await;
    let begin = Instant::now();
    stand.server.stop();
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(30), "it took {took:?} to stop");
    counts.stop.store(true, Ordering::SeqCst);
    while let Some(ended) = callers.join_next().await {
        ended.expect("no caller panics");
    }
    let broken = counts.broken.load(Ordering::SeqCst);
    println!(
        "| asked to stop | {backend:?} | {} whole answers | {broken} broken | {} refused | stopped after {} ms |",
        counts.whole.load(Ordering::SeqCst),
        counts.refused.load(Ordering::SeqCst),
        took.as_millis()
    );
    assert_eq!(broken, 0, "answers were broken");
    let mut reader = Reader::of(&stand.server).await;
    for (key, sync) in reader.ledger().await.syncs {
        assert_eq!(sync.lease_until, None, "{key:?} is not given back");
    }
    drop(reader);
    stand.start_again().await;
    traffic.moves_to(&stand.api);
    stand.end("stopped and started again", &mut traffic).await;
}

async fn call(api: Api, counts: Counts) {
    let mut turn = 0_usize;
    while !counts.stop.load(Ordering::SeqCst) {
        turn += 1;
        let answer = match turn % 3 {
            0 => {
                let body = json!({ "linked_user_origin_id": format!("{turn}"), "alias": "load" });
                api.try_send(Method::POST, "/linked_users", Some(&body))
                    .await
            }
            1 => {
                api.try_send(Method::GET, "/crm/contacts?limit=50", None)
                    .await
            }
            _ => {
                api.try_send(Method::GET, "/crm/contacts?live=true", None)
                    .await
            }
        };
        match answer {
            Ok(_) => counts.whole.fetch_add(1, Ordering::SeqCst),
            // Nobody listens any more.
            Err(error) if error.is_connect() => counts.refused.fetch_add(1, Ordering::SeqCst),
            Err(error) => {
                eprintln!("broken: {error:?}");
                counts.broken.fetch_add(1, Ordering::SeqCst)
            }
        };
    }
}
