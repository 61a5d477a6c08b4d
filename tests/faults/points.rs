//! `kill -9` at every place where it could hurt: between two steps that belong together.
//!
//! What can be seen from outside, a request on its way or an answer, is killed by whoever is at the
//! other end. For the rest the program is built with the feature `fault-points`.

use std::time::Duration;

use jackfield_tests::{
    Backend,
    faulty::{Fault, FaultyProvider, Moment},
    receiver::Reply,
    until,
};

use crate::{
    figures::{self, Dice},
    on_both_databases,
    stand::{self, Stand, amid},
    traffic::Traffic,
};

on_both_databases!(
    killed_at_every_point_nothing_is_lost_or_doubled,
    killed_while_it_migrates_it_goes_on,
);

/// The program with places at which it kills itself.
pub(crate) const PROGRAM: &str = "jackfield-with-fault-points";

/// Where the process is killed.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A place in the program.
    Point(&'static str),
    /// While it stops in order.
    Stopping(&'static str),
    /// By the provider, at a request with this in its head.
    Provider(&'static str, Moment),
    /// By the receiver, before it answers.
    Receiver,
}

const PLACES: [Place; 28] = [
    Place::Point("sync.claiming"),
    Place::Point("sync.claimed"),
    Place::Provider("GET /v1/people?", Moment::Arrived),
    Place::Provider("GET /v1/people?", Moment::Answered),
    Place::Point("page.answered"),
    Place::Point("page.written"),
    Place::Point("page.committed"),
    Place::Point("change.queuing"),
    Place::Point("change.queued"),
    Place::Point("push.begun"),
    Place::Provider("PATCH /v1/people", Moment::Arrived),
    Place::Provider("PATCH /v1/people", Moment::Done),
    Place::Provider("PATCH /v1/companies", Moment::Done),
    Place::Provider("DELETE /v1/people", Moment::Done),
    Place::Provider("POST /v1/people", Moment::Arrived),
    Place::Provider("POST /v1/people", Moment::Done),
    Place::Point("push.answered"),
    Place::Point("push.committed"),
    Place::Point("write.answered"),
    Place::Point("delivery.planning"),
    Place::Point("delivery.claimed"),
    Place::Receiver,
    Place::Point("delivery.answered"),
    Place::Point("delivery.written"),
    Place::Point("commit.before"),
    Place::Point("commit.after"),
    Place::Stopping("shutdown.begun"),
    Place::Stopping("shutdown.drained"),
];

async fn killed_at_every_point_nothing_is_lost_or_doubled(backend: Backend) {
    let rounds = figures::kills().map_or(1, |kills| kills.div_ceil(20));
    let mut dice = Dice::new();
    let provider = FaultyProvider::start(300).await;
    let server = stand::builder(backend, &provider).await.program(PROGRAM);
    let mut stand = Stand::around(backend, provider, server.start().await).await;
    stand.two_way().await;
    amid(&stand, 300).await;
    let mut traffic = Traffic::start(&stand.api, &stand.provider.demo, &stand.connection.id);
    stand.kill().await;
    for round in 0..rounds {
        for place in PLACES {
            // The first round is the same every time; later ones meet each place elsewhere.
            let count = if round == 0 { 1 } else { dice.between(1, 12) };
            kill_at(&mut stand, &traffic, place, count).await;
        }
    }
    stand.start_again().await;
    traffic.moves_to(&stand.api);
    stand.end("killed at every point", &mut traffic).await;
}

async fn kill_at(stand: &mut Stand, traffic: &Traffic, place: Place, count: u64) {
    let what = format!("{place:?}, {count}");
    match place {
        Place::Point(name) => {
            let commits = if name.starts_with("commit") { 40 } else { 1 };
            stand.start_to_die_at(name, count * commits).await;
            traffic.moves_to(&stand.api);
        }
        Place::Stopping(name) => {
            stand.start_to_die_at(name, 1).await;
            traffic.moves_to(&stand.api);
            // With something to give back.
            tokio::time::sleep(Duration::from_millis(500)).await;
            stand.server.signal("TERM");
        }
        Place::Provider(head, moment) => {
            let before = u32::try_from(count - 1).expect("counts are small");
            stand.provider.rule(&[head], before, 1, Fault::Kill(moment));
            stand.start_anew().await;
            traffic.moves_to(&stand.api);
        }
        Place::Receiver => {
            stand.start_anew().await;
            traffic.moves_to(&stand.api);
            stand
                .receiver
                .usually(Reply::status(200).after(Duration::from_secs(1)));
            let came = stand.receiver.ids().len();
            until("a delivery comes", async || {
                (stand.receiver.ids().len() > came).then_some(())
            })
            .await;
            stand.server.signal("KILL");
            stand.receiver.usually(Reply::status(200));
        }
    }
    stand.killed(&what).await;
    stand.provider.behave();
}

async fn killed_while_it_migrates_it_goes_on(backend: Backend) {
    let provider = FaultyProvider::start(1).await;
    let server = stand::builder(backend, &provider).await.program(PROGRAM);
    let mut server = server.stopped();
    let mut kills = 0;
    for point in ["migration.begun:1", "migration.ran:1"] {
        server.set("FAULT_POINT", Some(point));
        server.spawn_again();
        assert_eq!(server.listens().await, None, "it was not killed at {point}");
        server.ended();
        kills += 1;
    }
    server.set("FAULT_POINT", None);
    let mut dice = Dice::new();
    for _ in 0..figures::kills().unwrap_or(3) {
        server.spawn_again();
        tokio::time::sleep(Duration::from_millis(dice.between(0, 300))).await;
        server.kill();
        kills += 1;
    }
    server.start_again().await;
    assert!(
        server
            .command_line(&["project", "create", "App"])
            .contains('-')
    );
    println!("| killed while it migrates | {backend:?} | {kills} kills |");
}

#[test]
fn releases_have_no_place_at_which_they_kill_themselves() {
    let says = |name: &str| {
        let program = jackfield_tests::connectors::target()
            .join("debug")
            .join(name);
        let bytes = std::fs::read(program).expect("tests/run builds it");
        memchr::memmem::find(&bytes, b"FAULT_POINT").is_some()
    };
    assert!(says(PROGRAM), "the test looks for the wrong thing");
    assert!(!says("jackfield"));
}
