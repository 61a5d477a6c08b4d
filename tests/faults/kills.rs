//! `kill -9` at any moment, with traffic on both sides.

use std::time::Duration;

use jackfield_tests::Backend;

use crate::{
    figures::{self, Dice},
    on_both_databases,
    stand::{Stand, amid},
    traffic::Traffic,
};

on_both_databases!(killed_at_random_nothing_is_lost_or_doubled);

async fn killed_at_random_nothing_is_lost_or_doubled(backend: Backend) {
    let kills = figures::kills().unwrap_or(10);
    let people = 200 + kills as usize * 10;
    let mut dice = Dice::new();
    let mut stand = Stand::new(backend, people).await;
    stand.two_way().await;
    amid(&stand, 20).await;
    let mut traffic = Traffic::start(&stand.api, &stand.provider.demo, &stand.connection.id);
    for _ in 0..kills {
        let wait = dice.between(0, 900);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        stand.kill().await;
        stand.start_again().await;
        traffic.moves_to(&stand.api);
    }
    stand.end("killed at random", &mut traffic).await;
}
