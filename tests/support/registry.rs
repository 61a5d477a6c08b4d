//! Debian's `docker-registry` as a process: a real registry for OCI artifacts.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{api::http, connectors, until};

/// Who may use the registry.
pub const USER: &str = "test";
/// His password.
pub const PASSWORD: &str = "secret";
/// The password as htpasswd has it (bcrypt).
const HASH: &str = "$2b$04$rx3AHpGTRQ6FNKIUiGS0rOOpRoO9560s7X4gqrYvisK6aES0v7eFG";

/// A registry that wants a login.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    folder: TempDir,
    host: String,
}

impl Registry {
    /// Starts one with nothing in it.
    ///
    /// # Panics
    /// The program is not there; `tests/run` installs it.
    pub async fn start() -> Self {
        let program = connectors::target().join("test-registry/usr/bin/docker-registry");
        assert!(
            program.is_file(),
            "{} is missing; tests/run installs it",
            program.display()
        );
        let folder = tempfile::Builder::new()
            .prefix("registry-")
            .tempdir()
            .expect("a folder can be made");
        let free = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
        let host = free.local_addr().expect("it is bound").to_string();
        drop(free);
        let process = spawn(&program, folder.path(), &host);
        let registry = Self {
            process,
            folder,
            host,
        };
        let url = format!("http://{}/v2/", registry.host);
        until("the registry listens", async || {
            let answer = http().get(&url).send().await.ok()?;
            (answer.status().as_u16() == 401).then_some(())
        })
        .await;
        registry
    }

    /// `oci+http://…` of a repository.
    pub fn reference(&self, repository: &str) -> String {
        format!("oci+http://{}/{repository}", self.host)
    }

    /// A file with the login, as `docker login` writes it.
    ///
    /// # Panics
    /// The folder is not writable.
    pub fn docker_config(&self) -> String {
        // test:secret
        let text = format!(
            "{{\"auths\":{{\"{}\":{{\"auth\":\"dGVzdDpzZWNyZXQ=\"}}}}}}",
            self.host
        );
        let path = self.folder.path().join("docker.json");
        fs::write(&path, text).expect("the folder is writable");
        path.display().to_string()
    }

    /// Changes every stored file that holds these bytes.
    ///
    /// # Panics
    /// There is none.
    pub fn tamper(&self, bytes: &[u8]) {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut changed = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("it is readable").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read(&path).is_ok_and(|there| there == bytes) {
                    let mut other = bytes.to_vec();
                    *other.last_mut().expect("it is not empty") ^= 1;
                    fs::write(&path, other).expect("it is writable");
                    changed += 1;
                }
            }
        }
        assert!(changed > 0, "the registry has no such blob");
    }
}

fn spawn(program: &Path, folder: &Path, host: &str) -> Child {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::write(folder.join("htpasswd"), format!("{USER}:{HASH}\n")).expect("it is writable");
    let config = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: \"{host}\" }}\nauth: {{ htpasswd: {{ realm: test, path: {} }} }}\n",
        path("data"),
        path("htpasswd"),
    );
    fs::write(folder.join("config.yml"), config).expect("it is writable");
    Command::new(program)
        .args(["serve", &path("config.yml")])
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
