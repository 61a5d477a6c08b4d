//! Faults: the real program is killed, stopped and starved, its provider misbehaves, its database
//! goes away. Afterwards three ledgers are compared: what the provider has, what the database has,
//! and what the receiver of webhooks got.
//!
//! `tests/run` runs short variants; `just faults KILLS` runs longer ones and prints their figures.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures are what a longer run is for"
)]

mod compare;
mod database;
mod disk;
mod figures;
mod hosts;
mod install;
mod keys;
mod kills;
mod matrix;
mod points;
mod refresh;
mod stand;
mod stop;
mod traffic;

/// Makes a test of each story on each database.
macro_rules! on_both_databases {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                Box::pin(super::$story(jackfield_tests::Backend::Sqlite)).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                Box::pin(super::$story(jackfield_tests::Backend::Postgres)).await;
            })*
        }
    };
}
use on_both_databases;
