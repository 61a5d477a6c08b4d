//! Starts a real Redmine (Debian's package, see `tests/install-redmine`) for end-to-end tests.
//!
//! Every start has its own database, files and port, so that tests disturb neither each other nor a Redmine of the
//! machine. What is in it stands in [`seed`]. The first start on a machine prepares a template in the system's
//! temporary folder, which takes about half a minute; the others copy it and take as long as Redmine takes to boot.
//!
//! ```no_run
//! let redmine = real_redmine::RealRedmine::start();
//! let address = redmine.base_url();
//! ```

pub mod seed;
mod template;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

/// A Redmine that runs until this is dropped.
#[derive(Debug)]
pub struct RealRedmine {
    base_url: String,
    keys: Keys,
    process: Child,
    /// The server ends when this closes, also when the test process is killed.
    _lifeline: ChildStdin,
    site: TempDir,
}

#[derive(Debug, Deserialize)]
struct Keys {
    admin_key: String,
    member_key: String,
}

/// Slow machines boot Redmine in 20 s while something else is being built.
const PATIENCE: Duration = Duration::from_secs(120);

impl RealRedmine {
    /// Starts a Redmine and waits until it answers. Blocks: in an async test call it within `spawn_blocking`.
    ///
    /// # Panics
    /// Where Redmine is not installed or does not start; the message holds its log.
    pub fn start() -> Self {
        let template = template::prepare();
        let site = tempfile::Builder::new()
            .prefix("redmine-")
            .tempdir()
            .expect("the temporary folder is writable");
        template::copy(&template, site.path());
        template::configure(site.path());

        let script = site.path().join("server.rb");
        fs::write(&script, include_str!("server.rb")).expect("the site is writable");
        let port_file = site.path().join("port");
        let mut process = template::ruby(site.path())
            .arg(&script)
            .arg(&port_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(error_file(site.path())).expect("the site is writable"))
            .spawn()
            .expect("ruby is there where Redmine is");
        let lifeline = process.stdin.take().expect("it was asked for");
        let keys = fs::read(site.path().join("keys.json")).expect("the template has the keys");
        let mut redmine = Self {
            base_url: String::new(),
            keys: serde_json::from_slice(&keys).expect("the seed wrote both keys"),
            process,
            _lifeline: lifeline,
            site,
        };
        let port = redmine.wait_for_port(&port_file);
        redmine.base_url = format!("http://127.0.0.1:{port}");
        redmine
    }

    /// Where it answers, for example `http://127.0.0.1:40001`, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The API key of the administrator.
    pub fn admin_key(&self) -> &str {
        &self.keys.admin_key
    }

    /// The API key of Alice, who is a developer in the project Support and may not list users or groups.
    pub fn member_key(&self) -> &str {
        &self.keys.member_key
    }

    /// What Redmine has logged so far, for the message of a failed test.
    pub fn log(&self) -> String {
        let log =
            fs::read_to_string(self.site.path().join("log/production.log")).unwrap_or_default();
        let errors = fs::read_to_string(error_file(self.site.path())).unwrap_or_default();
        format!("{log}\n{errors}")
    }

    /// The server listens before it writes the file, so a request after this is answered.
    fn wait_for_port(&mut self, port_file: &Path) -> String {
        let start = Instant::now();
        loop {
            if let Ok(port) = fs::read_to_string(port_file) {
                return port;
            }
            let ended = self.process.try_wait().expect("it is our process");
            let waiting = start.elapsed() < PATIENCE;
            assert!(
                ended.is_none() && waiting,
                "Redmine does not start ({ended:?}):\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for RealRedmine {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn error_file(site: &Path) -> PathBuf {
    site.join("log/server.err")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::{RealRedmine, seed};

    #[test]
    fn two_run_beside_each_other_with_the_promised_data() {
        let one = RealRedmine::start();
        let other = RealRedmine::start();
        assert_ne!(one.base_url(), other.base_url());

        let issue = r#"{"issue":{"project_id":1,"subject":"One more"}}"#;
        let created = ask(&one, "POST", "/issues.json", one.admin_key(), issue);
        assert!(created.contains(" 201 "), "{created}");

        for (redmine, issues) in [(&one, seed::ISSUES + 1), (&other, seed::ISSUES)] {
            let list = ask(
                redmine,
                "GET",
                "/issues.json?status_id=*&limit=1",
                redmine.admin_key(),
                "",
            );
            assert!(
                list.contains(&format!("\"total_count\":{issues},")),
                "{list}"
            );
        }
        let closed = ask(
            &other,
            "GET",
            "/issues.json?status_id=closed&limit=1",
            other.admin_key(),
            "",
        );
        assert!(
            closed.contains(&format!("\"total_count\":{},", seed::CLOSED_ISSUES)),
            "{closed}"
        );
        let users = ask(&other, "GET", "/users.json?status=", other.admin_key(), "");
        assert!(
            users.contains(&format!("\"total_count\":{},", seed::USERS)),
            "{users}"
        );
        let refused = ask(&other, "GET", "/users.json", other.member_key(), "");
        assert!(refused.contains(" 403 "), "{refused}");
    }

    fn ask(redmine: &RealRedmine, method: &str, path: &str, key: &str, body: &str) -> String {
        let address = redmine.base_url().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-Redmine-API-Key: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
