//! What end-to-end tests share: the real server as a process, a client for it, its databases, the
//! demo provider, files that are no connectors, and browsers.

pub mod api;
pub mod browser;
pub mod canary;
pub mod connectors;
pub mod database;
pub mod demo;
pub mod doors;
pub mod echo;
pub mod faulty;
pub mod identity;
pub mod ledger;
pub mod person;
pub mod receiver;
pub mod registry;
pub mod server;
pub mod snippets;
pub mod wait;
pub mod wasm;

pub use api::{Answer, Api, Connection};
pub use browser::Browser;
pub use database::Backend;
pub use demo::DemoProvider;
pub use doors::Doors;
pub use faulty::FaultyProvider;
pub use identity::Identity;
pub use person::Person;
pub use server::Server;
pub use wait::{until, until_within};

/// A variable of the tests' own environment.
pub fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)
        .and_then(|value| value.into_string().ok())
        .filter(|value| !value.is_empty())
}
