//! A certified OpenID provider as a process: the npm package oidc-provider, which `tests/run`
//! installs. See `tests/tools/identity.mjs`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use crate::{Browser, connectors, server::Builder};

/// The client for connections. Its secret has `-secret` behind it.
pub const APP: &str = "app";
/// The client for the sign-in of operators.
pub const DASHBOARD: &str = "dashboard";
/// The client that logs in by itself.
pub const MACHINE: &str = "machine";

/// A provider of its own for a test. Anyone may log in there.
#[derive(Debug)]
pub struct Identity {
    process: Child,
    base_url: String,
}

impl Identity {
    /// Starts one.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Self {
        let starting = tokio::task::spawn_blocking(|| {
            let mut process = Command::new("node")
                .arg(connectors::repository().join("tests/tools/identity.mjs"))
                .arg(connectors::target().join("test-node"))
                // It ends when this is closed, even where the test is killed.
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("node is missing; tests/run installs it");
            let output = process.stdout.take().expect("it is piped");
            let mut line = String::new();
            let read = BufReader::new(output).read_line(&mut line);
            read.expect("its address is text");
            assert!(
                line.starts_with("http"),
                "oidc-provider does not start; tests/run installs it"
            );
            Self {
                process,
                base_url: line.trim_end().to_owned(),
            }
        });
        starting.await.expect("it starts")
    }

    /// Its address, without a slash at the end: the issuer.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Lets a connector's logins be made here.
    #[must_use]
    pub fn known_to(&self, server: Builder, slug: &str) -> Builder {
        let url = |path: &str| format!("{}{path}", self.base_url);
        server
            .oauth(slug, "authorize_url", &url("/auth"))
            .oauth(slug, "token_url", &url("/token"))
            .oauth(slug, "revoke_url", &url("/token/revocation"))
            .oauth(slug, "client_id", APP)
            .oauth(slug, "client_secret", "app-secret")
    }

    /// Types a name at the page of the login, which the browser shows.
    pub async fn log_in(&self, browser: &Browser, name: &str) {
        browser.fill("input[name=login]", name).await;
        browser.fill("input[name=password]", "any").await;
        browser.click("button.login-submit").await;
    }

    /// Says yes at the page of consent, which comes after the login.
    pub async fn allow(&self, browser: &Browser) {
        browser
            .click("input[value=consent] ~ button.login-submit")
            .await;
    }

    /// Says no, at the page of the login or of consent.
    pub async fn deny(&self, browser: &Browser) {
        browser.click("a[href$='/abort']").await;
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
