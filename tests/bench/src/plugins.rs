//! Connectors: built, loaded as the server does, and their code as a native process.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use jackfield::{
    egress::{Egress, Policy},
    model::{Slug, SystemClock},
    runtime::{Compiler, ConnectorVersion, Options, Runtime},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Arguments, Result};

/// The profile that connectors are built with.
const PROFILE: &str = "connector";

/// A runtime with connectors, configured as the server's is by default.
pub(crate) struct Plugins {
    pub(crate) runtime: Runtime,
    _cache: TempDir,
    _built: Option<TempDir>,
}

impl Plugins {
    /// Builds connectors unless their folder is given, and loads them. `endpoints` is where the
    /// demo provider is.
    pub(crate) async fn load(arguments: &Arguments, endpoint: Option<String>) -> Result<Self> {
        let (folder, built) = match &arguments.plugins {
            Some(folder) => (folder.clone(), None),
            None => {
                let folder = build_components()?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let cache = tempfile::tempdir()?;
        let endpoints = endpoint.map(|url| {
            let endpoints = BTreeMap::from([("api".to_owned(), url)]);
            Ok::<_, crate::Error>((slug("demo-crm")?, endpoints))
        });
        let runtime = Runtime::new(
            Options {
                folders: vec![folder],
                cache_dir: cache.path().join("connectors"),
                compiler: Compiler::InProcess,
                poll: Duration::from_secs(3600),
                max_memory_mib: 256,
                call_timeout: Duration::from_secs(120),
                cpu_timeout: Duration::from_secs(10),
                max_output: 16 * 1024 * 1024,
                exchange_timeout: Duration::from_secs(60),
                max_response: 32 * 1024 * 1024,
                max_transfer: 256 * 1024 * 1024,
                max_instances: 64,
                endpoints: endpoints.transpose()?.into_iter().collect(),
            },
            egress()?,
            Arc::new(SystemClock),
        )?;
        runtime.scan().await;
        Ok(Self {
            runtime,
            _cache: cache,
            _built: built,
        })
    }

    pub(crate) fn connector(&self, name: &str) -> Result<Arc<ConnectorVersion>> {
        let active = self.runtime.active(&slug(name)?);
        active.ok_or_else(|| {
            let statuses = self.runtime.catalogue();
            let errors: Vec<_> = statuses
                .iter()
                .filter_map(|one| one.last_error.as_ref())
                .collect();
            format!("{name} does not serve: {errors:?}").into()
        })
    }
}

/// A way out that reaches this machine.
pub(crate) fn egress() -> Result<Egress> {
    let policy = Policy {
        allow_private: vec!["127.0.0.0/8".parse()?],
    };
    Ok(Egress::new(policy)?)
}

pub(crate) fn slug(name: &str) -> Result<Slug> {
    Ok(name.parse()?)
}

fn build_components() -> Result<TempDir> {
    let arguments = [
        "-p",
        "demo-crm",
        "-p",
        "hubspot",
        "--target",
        "wasm32-unknown-unknown",
    ];
    let folder = tempfile::tempdir()?;
    for file in build(&arguments)? {
        if let Some(name) = file.file_name()
            && file
                .extension()
                .is_some_and(|extension| extension == "wasm")
        {
            std::fs::copy(&file, folder.path().join(name))?;
        }
    }
    Ok(folder)
}

/// The server's program: the one that the arguments name, else it is built.
pub(crate) fn program(arguments: &Arguments) -> Result<PathBuf> {
    if let Some(program) = &arguments.program {
        return Ok(program.clone());
    }
    let built = build_as("release", &["-p", "jackfield", "--bins"])?;
    let mut built = built.into_iter();
    let program = built.find(|file| file.file_stem().is_some_and(|name| name == "jackfield"));
    Ok(program.ok_or("cargo built no jackfield")?)
}

/// The demo connector's file: of the folder that the arguments name, else it is built.
pub(crate) fn demo_crm(arguments: &Arguments) -> Result<Vec<u8>> {
    let built = match &arguments.plugins {
        Some(_) => None,
        None => Some(build_components()?),
    };
    let built = built.as_ref().map(TempDir::path);
    let folder = built.or(arguments.plugins.as_deref());
    let folder = folder.ok_or("there are no connectors")?;
    let file = ["demo_crm.wasm", "demo-crm.wasm"]
        .iter()
        .find_map(|name| std::fs::read(folder.join(name)).ok());
    Ok(file.ok_or("there is no demo-crm.wasm")?)
}

/// Builds packages with the connectors' profile; the files that came of it.
fn build(arguments: &[&str]) -> Result<Vec<PathBuf>> {
    build_as(PROFILE, arguments)
}

/// The same with another profile.
fn build_as(profile: &str, arguments: &[&str]) -> Result<Vec<PathBuf>> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .args([
            "build",
            "--profile",
            profile,
            "--message-format",
            "json-render-diagnostics",
        ])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo build {arguments:?} failed").into());
    }
    let mut files = Vec::new();
    for line in output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let message: Value = serde_json::from_slice(line)?;
        let names = message["filenames"].as_array().into_iter().flatten();
        files.extend(names.filter_map(Value::as_str).map(PathBuf::from));
    }
    Ok(files)
}

/// The connectors' code in a process of its own; see `tests/bench/native`.
pub(crate) struct Native {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Native {
    pub(crate) fn start() -> Result<Self> {
        let name = format!("jackfield-bench-native{}", std::env::consts::EXE_SUFFIX);
        let files = build(&["-p", "jackfield-bench-native"])?;
        let program = files
            .into_iter()
            .find(|file| file.file_name().is_some_and(|file| file == name.as_str()))
            .ok_or("cargo built no jackfield-bench-native")?;
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("no pipe")?;
        let output = process.stdout.take().ok_or("no pipe")?;
        Ok(Self {
            process,
            input,
            output: BufReader::new(output),
        })
    }

    /// Unifies the same documents so many times: seconds for one, and the bytes of one answer.
    pub(crate) fn unify(
        &mut self,
        connector: &str,
        object: &str,
        records: &str,
        times: u32,
    ) -> Result<(f64, u64)> {
        let task =
            json!({ "connector": connector, "object": object, "records": records, "times": times });
        self.input.write_all(format!("{task}\n").as_bytes())?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(nanos)), Some(Ok(bytes))) => {
                let seconds = Duration::from_nanos(nanos).as_secs_f64();
                Ok((seconds / f64::from(times), bytes / u64::from(times)))
            }
            _ => Err("the native process ended".into()),
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        drop(ended);
    }
}
