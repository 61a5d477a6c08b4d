//! chromedriver as a process, and the session in it.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{self, Child, Stdio},
    sync::OnceLock,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

use crate::until;

/// One chromedriver with one Chromium.
#[derive(Debug)]
pub(super) struct Driver {
    process: Child,
    port: u16,
    session: OnceLock<String>,
    folder: TempDir,
}

/// A command that `WebDriver` does not have, and chromedriver has.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) path: &'static str,
    pub(super) body: Value,
}

impl WebDriverCompatibleCommand for Command {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Driver {
    pub(super) async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("chromium-").tempdir();
        let folder = folder.expect("a folder can be made");
        let log = folder.path().join("log");
        let output = File::create(&log).expect("the folder is writable");
        let process = process::Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stderr(output.try_clone().expect("a file can be cloned"))
            .stdout(output)
            .spawn()
            .expect("chromedriver is missing; tests/run installs it");
        let port = until("chromedriver listens", async || {
            let log = fs::read_to_string(&log).ok()?;
            let (_, after) = log.split_once("started successfully on port ")?;
            after.split_once('.')?.0.parse().ok()
        })
        .await;
        Self {
            process,
            port,
            session: OnceLock::new(),
            folder,
        }
    }

    pub(super) async fn client(&self) -> Client {
        let profile = self.folder.path().join("profile");
        let arguments = [
            "--headless=new".to_owned(),
            // Its own sandbox needs what containers do not give; it sees the tests' pages alone.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--lang=en-GB".to_owned(),
            "--window-size=1280,900".to_owned(),
            // It is to ask nobody but the tests' servers.
            "--disable-background-networking".to_owned(),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
                .to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {
                "args": arguments,
                "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false },
            },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is written as an object");
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        let session = client.session_id().await.ok().flatten();
        let session = session.expect("a session has an id");
        self.session.set(session).expect("there is one session");
        client
    }

    /// Ends Chromium, which outlives a chromedriver that is killed.
    fn end_session(&self, session: &str) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let request = format!(
            "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes())?;
        // The first byte comes when it has ended.
        stream.read_exact(&mut [0])
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(session) = self.session.get() {
            drop(self.end_session(session));
        }
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
