//! End-to-end stories against the real program, each on SQLite and on PostgreSQL.
//!
//! `tests/run` builds and installs what they need.

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

mod access;
mod admin;
mod audit;
mod author;
mod board;
mod canary;
mod catalogue;
mod connect;
mod connect_browser;
mod connect_links;
mod connect_login;
mod consent;
mod contract;
mod crash;
mod custom_fields;
mod deletes;
mod dev;
mod diagnosis;
mod docs;
mod embedding;
mod history;
mod hot_reload;
mod hubspot;
mod inbound;
mod keys;
mod languages;
mod limits;
mod marketplace;
mod mcp;
mod oauth;
mod ops;
mod pages;
mod passthrough;
mod plugins;
mod portal_manage;
mod reads;
mod redmine;
mod sandbox;
mod schemathesis;
mod sdk;
mod sync_runs;
mod syncs;
mod tenancy;
mod two_way;
mod webhooks;
