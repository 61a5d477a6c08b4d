//! The real program as a process.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Api, Backend, connectors, database::Database, variable};

/// Seals credentials in tests, and nowhere else.
const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// `jackfield serve` with a folder, a database and connectors of its own.
#[derive(Debug)]
pub struct Server {
    process: Option<Child>,
    base_url: String,
    environment: BTreeMap<String, String>,
    program: PathBuf,
    folder: TempDir,
    /// How much of the log is of earlier processes.
    seen: usize,
    /// None where another server's is used.
    _database: Option<Database>,
}

/// What a server is to be like.
#[derive(Debug)]
pub struct Builder {
    environment: BTreeMap<String, String>,
    program: PathBuf,
    folder: TempDir,
    database: Database,
}

impl Server {
    /// Begins one; [`Builder::start`] ends it.
    pub async fn on(backend: Backend) -> Builder {
        let folder = tempfile::Builder::new()
            .prefix("jackfield-")
            .tempdir()
            .expect("a folder can be made");
        let database = Database::create(backend, folder.path()).await;
        Self::with(folder, database)
    }

    /// The same with a folder and a database that were made for it.
    ///
    /// # Panics
    /// The folder cannot be written.
    pub fn with(folder: TempDir, database: Database) -> Builder {
        fs::create_dir(folder.path().join("plugins")).expect("the folder is writable");
        let builder = Builder {
            environment: BTreeMap::new(),
            program: program("jackfield"),
            folder,
            database,
        };
        let path = |name: &str| builder.folder.path().join(name).display().to_string();
        let variables = [
            ("JACKFIELD_LISTEN", "127.0.0.1:0".to_owned()),
            ("JACKFIELD_DATABASE_URL", builder.database.url().to_owned()),
            ("JACKFIELD_PLUGINS_DIR", path("plugins")),
            ("JACKFIELD_DATA_DIR", path("data")),
            ("JACKFIELD_ENCRYPTION_KEY", ENCRYPTION_KEY.to_owned()),
            ("JACKFIELD_EGRESS__ALLOW_PRIVATE", "127.0.0.0/8".to_owned()),
        ];
        variables
            .into_iter()
            .fold(builder, |builder, (name, value)| builder.set(name, &value))
    }

    /// Its address, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// A client without a key.
    pub fn anyone(&self) -> Api {
        Api::new(&self.base_url)
    }

    /// A client for a new project, with a key made on the command line.
    pub fn project(&self, name: &str) -> Api {
        let id = self.new_project(name);
        self.anyone().with_key(&self.new_key(&id))
    }

    /// Makes a project on the command line; answers its id.
    pub fn new_project(&self, name: &str) -> String {
        let output = self.command_line(&["project", "create", name]);
        let id = words(&output).find(|word| word.len() == 36 && word.matches('-').count() == 4);
        id.unwrap_or_else(|| panic!("no project's id: {output}"))
            .to_owned()
    }

    /// Makes an API key on the command line.
    pub fn new_key(&self, project: &str) -> String {
        let output = self.command_line(&["api-key", "create", "--project", project]);
        let key = words(&output).find(|word| word.starts_with("jk_"));
        key.unwrap_or_else(|| panic!("no key: {output}")).to_owned()
    }

    /// A client with an operator's key, made on the command line.
    pub fn operator(&self) -> Api {
        let output = self.command_line(&["api-key", "create", "--operator"]);
        let key = words(&output).find(|word| word.starts_with("jo_"));
        let key = key.unwrap_or_else(|| panic!("no key: {output}"));
        self.anyone().with_key(key)
    }

    /// What `jackfield` with these arguments says when it fails.
    ///
    /// # Panics
    /// It does not fail.
    pub fn refused_command(&self, arguments: &[&str]) -> String {
        let output = command_of(&self.program, &self.environment)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        assert!(!output.status.success(), "jackfield {arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// What `jackfield` with these arguments prints.
    ///
    /// # Panics
    /// It fails.
    pub fn command_line(&self, arguments: &[&str]) -> String {
        let output = command_of(&self.program, &self.environment)
            .args(arguments)
            .output()
            .expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "jackfield {arguments:?}: {text}{errors}"
        );
        text
    }

    /// What `jackfield` with these arguments prints when this is piped into it.
    ///
    /// # Panics
    /// It fails.
    pub fn command_line_with(&self, arguments: &[&str], input: &str) -> String {
        let mut process = command_of(&self.program, &self.environment)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut pipe = process.stdin.take().expect("it is piped");
        pipe.write_all(input.as_bytes()).expect("it reads");
        drop(pipe);
        let output = process.wait_with_output().expect("it ends");
        assert!(output.status.success(), "jackfield {arguments:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The folder of connectors.
    pub fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// Puts a file into the folder of connectors in one step, as `mv` does.
    pub fn drop_in(&self, name: &str, bytes: &[u8]) {
        let hidden = self.plugins().join(format!(".{name}"));
        fs::write(&hidden, bytes).expect("the folder is writable");
        fs::rename(hidden, self.plugins().join(name)).expect("the folder is writable");
    }

    /// Copies a connector into the folder.
    pub fn plug_in(&self, slug: &str) {
        fs::copy(
            connectors::built(slug),
            self.plugins().join(format!("{slug}.wasm")),
        )
        .expect("the folder is writable");
    }

    /// Ends the process at once, as `kill -9` does.
    ///
    /// # Panics
    /// It is not running.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.kill().expect("the process is ours");
        process.wait().expect("the process is ours");
    }

    /// The memory that it has, KiB.
    ///
    /// # Panics
    /// It is not running.
    pub fn resident_kib(&self) -> u64 {
        let process = self.process.as_ref().expect("the server runs");
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()))
            .expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .expect("the system tells a process's memory")
    }

    /// Asks the process to stop, as a service manager does, and waits until it has.
    ///
    /// # Panics
    /// It is not running, or ends as if it had failed.
    pub fn stop(&mut self) {
        self.signal("TERM");
        let mut process = self.process.take().expect("the server runs");
        let ended = process.wait().expect("the process is ours");
        assert!(ended.success(), "{ended}");
    }

    /// Another process on the same database, with the same connectors. Its database goes with the
    /// first one.
    pub async fn beside(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("jackfield-").tempdir();
        let folder = folder.expect("a folder can be made");
        let mut environment = self.environment.clone();
        let data = folder.path().join("data").display().to_string();
        environment.insert("JACKFIELD_DATA_DIR".to_owned(), data);
        let mut server = Self {
            process: None,
            base_url: String::new(),
            environment,
            program: self.program.clone(),
            folder,
            seen: 0,
            _database: None,
        };
        server.run().await;
        server
    }

    /// Sets a variable of its environment from its next start on; none takes it away.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.environment.insert(name.to_owned(), value.to_owned()),
            None => self.environment.remove(name),
        };
    }

    /// The number of the process.
    ///
    /// # Panics
    /// It is not running.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("the server runs").id()
    }

    /// Sends a signal: `TERM`, `STOP`, `CONT`, `KILL`.
    ///
    /// # Panics
    /// It is not running.
    pub fn signal(&self, name: &str) {
        let process = self.process_id().to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// How the process ended, once it has ended by itself.
    ///
    /// # Panics
    /// It is not running.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let process = self.process.as_mut().expect("the server runs");
        let ended = process.try_wait().expect("the process is ours");
        if ended.is_some() {
            self.process = None;
        }
        ended
    }

    /// Its folder: data, connectors, log and, for SQLite, the database.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of its database.
    pub fn database_url(&self) -> &str {
        let url = self.environment.get("JACKFIELD_DATABASE_URL");
        url.expect("every server has a database")
    }

    /// Starts it again with the same folder and database, perhaps on another port.
    pub async fn start_again(&mut self) {
        self.run().await;
    }

    /// Starts it again and does not wait for it to listen: it may end before.
    pub fn spawn_again(&mut self) {
        self.spawn();
    }

    /// What it has logged so far, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    async fn run(&mut self) {
        self.spawn();
        let address = self.listens().await;
        assert!(address.is_some(), "the server ended before it listened");
    }

    /// Waits until it listens; none where the process ended before.
    pub async fn listens(&mut self) -> Option<String> {
        let start = Instant::now();
        loop {
            let log = self.log();
            if let Some(address) = listening(log.get(self.seen..).unwrap_or_default()) {
                self.base_url = format!("http://{address}");
                return Some(self.base_url.clone());
            }
            let process = self.process.as_mut().expect("the server runs");
            if process.try_wait().expect("the process is ours").is_some() {
                return None;
            }
            assert!(start.elapsed().as_secs() < 60, "the server does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn spawn(&mut self) {
        self.seen = self.log().len();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the folder is writable");
        let output = log.try_clone().expect("a file can be cloned");
        let process = command_of(&self.program, &self.environment)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.process = Some(process);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
        if std::thread::panicking() {
            let log = format!("--- log of the server ---\n{}\n", self.log());
            drop(std::io::stderr().write_all(log.as_bytes()));
        }
    }
}

impl Builder {
    /// Sets a variable of its environment.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Says where an endpoint of a connector really is.
    #[must_use]
    pub fn endpoint(self, slug: &str, endpoint: &str, url: &str) -> Self {
        let name = format!(
            "JACKFIELD_CONNECTORS__{}__ENDPOINTS__{}",
            in_capitals(slug),
            in_capitals(endpoint)
        );
        self.set(&name, url)
    }

    /// Sets a key of a connector's OAuth app.
    #[must_use]
    pub fn oauth(self, slug: &str, key: &str, value: &str) -> Self {
        let name = format!(
            "JACKFIELD_CONNECTORS__{}__OAUTH__{}",
            in_capitals(slug),
            in_capitals(key)
        );
        self.set(&name, value)
    }

    /// Copies a connector into its folder.
    #[must_use]
    pub fn with(self, slug: &str) -> Self {
        let file = self
            .folder
            .path()
            .join("plugins")
            .join(format!("{slug}.wasm"));
        fs::copy(connectors::built(slug), file).expect("the folder is writable");
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// It does not; its log is printed.
    pub async fn start(self) -> Server {
        let mut server = self.stopped();
        server.run().await;
        server
    }

    /// One that is not started.
    #[must_use]
    pub fn stopped(self) -> Server {
        let Self {
            environment,
            program,
            folder,
            database,
        } = self;
        Server {
            process: None,
            base_url: String::new(),
            environment,
            program,
            folder,
            seen: 0,
            _database: Some(database),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Takes a program that lies elsewhere.
    #[must_use]
    pub fn program_file(self, file: &Path) -> Self {
        Self {
            program: file.to_owned(),
            ..self
        }
    }

    /// Takes another program than `jackfield` of those that `tests/run` builds.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn program(self, name: &str) -> Self {
        Self {
            program: program(name),
            ..self
        }
    }
}

/// `jackfield` with nothing in its environment but this and what every program needs.
pub fn command(environment: &BTreeMap<String, String>) -> Command {
    command_of(&program("jackfield"), environment)
}

fn command_of(program: &Path, environment: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(environment);
    for name in [
        "PATH",
        "HOME",
        "TMPDIR",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
    ] {
        command.envs(variable(name).map(|value| (name, value)));
    }
    command
}

/// A program, which cargo builds beside the tests.
fn program(name: &str) -> PathBuf {
    let program = connectors::profile().join(name);
    assert!(
        Path::new(&program).is_file(),
        "{} is missing; tests/run builds it",
        program.display()
    );
    program
}

fn in_capitals(text: &str) -> String {
    text.to_uppercase().replace('-', "_")
}

/// The address in a line of the log that says "listening".
pub fn listening(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("listening"))?;
    let start = line.find("127.0.0.1:")?;
    let address = line.get(start..)?;
    let end =
        address.find(|letter: char| !(letter.is_ascii_digit() || letter == '.' || letter == ':'));
    address
        .get(..end.unwrap_or(address.len()))
        .map(|address| address.trim_end_matches('.').to_owned())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '-'))
}
