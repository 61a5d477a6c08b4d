//! Turns components into machine code, in a process that may not take much.
//!
//! The size of a component says nothing about what compiling it costs: 400 KiB can keep a processor
//! busy for minutes, or fill gigabytes. So a child process compiles, with an end of computing time,
//! of memory and of waiting, with an empty environment and in an empty folder. What goes wrong there
//! ends there.

mod child;

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::NamedTempFile;
use tokio::process::Command;
use wasmtime::Engine;

use super::cache;

pub use child::run as compile_in_child;

/// Name of the hidden command of the program, see [`compile_in_child`].
const COMMAND: &str = "compile-component";

/// Threads of a child. More would compile large components sooner, and take the processors away
/// from those who wait for answers.
const THREADS: usize = 2;
/// The most bytes of what a child says before it ends.
const MAX_REPORT: u64 = 4096;

/// What compiling one component may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Seconds of computing, over all threads; `runtime.compile_cpu_seconds`.
    pub cpu_seconds: u64,
    /// Address space, MiB; `runtime.compile_memory_mib`.
    pub memory_mib: u64,
    /// Seconds until it is over, whatever it does; `runtime.compile_timeout_seconds`.
    pub wall_seconds: u64,
}

impl Default for CompileLimits {
    /// What `config.default.toml` says.
    fn default() -> Self {
        Self {
            cpu_seconds: 60,
            memory_mib: 1536,
            wall_seconds: 600,
        }
    }
}

/// Who compiles.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// A child process with limits.
    Child {
        /// The program: it must be this version of `jackfield`.
        program: PathBuf,
        /// What it may cost.
        limits: CompileLimits,
    },
    /// This process, without limits: for tests and benchmarks that compile only what they made.
    InProcess,
}

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It computed for too long.
    #[error("compiling it takes more than {0} s of computing (runtime.compile_cpu_seconds)")]
    Cpu(u64),
    /// It wanted too much memory.
    #[error("compiling it takes more than {0} MiB of memory (runtime.compile_memory_mib)")]
    Memory(u64),
    /// It was not over in time.
    #[error("compiling it takes more than {0} s (runtime.compile_timeout_seconds)")]
    Wall(u64),
    /// The compiler says no.
    #[error("{0}")]
    Refused(String),
    /// The compiler broke.
    #[error("the compiler crashed: {0}")]
    Crashed(String),
    /// The child cannot be started, or a file not be written: nothing is wrong with the component.
    #[error("the compiler cannot be run: {0}")]
    Io(#[from] io::Error),
}

impl Compiler {
    /// A child process of the program that runs now.
    #[must_use]
    pub fn this_program(limits: CompileLimits) -> Self {
        // The link leads to the very file that runs, though another version may lie there by now.
        let linux = PathBuf::from("/proc/self/exe");
        let program = if linux.exists() {
            linux
        } else {
            std::env::current_exe().unwrap_or_else(|_| PathBuf::from("jackfield"))
        };
        Self::Child { program, limits }
    }

    /// The machine code of a component, in a file of its own in `folder`.
    pub(super) async fn compile(
        &self,
        engine: &Engine,
        folder: &Path,
        component: Vec<u8>,
    ) -> Result<NamedTempFile, CompileError> {
        match self {
            Self::Child { program, limits } => in_child(program, *limits, folder, &component).await,
            Self::InProcess => {
                let (engine, folder) = (engine.clone(), folder.to_owned());
                let work = move || {
                    let code = engine
                        .precompile_component(&component)
                        .map_err(|error| CompileError::Refused(format!("{error:#}")))?;
                    let mut file = NamedTempFile::new_in(folder)?;
                    file.write_all(&code)?;
                    Ok(file)
                };
                tokio::task::spawn_blocking(work)
                    .await
                    .unwrap_or_else(|error| Err(CompileError::Crashed(error.to_string())))
            }
        }
    }
}

/// Files instead of pipes: nobody has to read and write at the same time, and what the child writes
/// stays out of this process's memory.
async fn in_child(
    program: &Path,
    limits: CompileLimits,
    folder: &Path,
    component: &[u8],
) -> Result<NamedTempFile, CompileError> {
    let mut input = tempfile::tempfile_in(folder)?;
    input.write_all(component)?;
    input.rewind()?;
    let code = NamedTempFile::new_in(folder)?;
    let report = tempfile::tempfile_in(folder)?;
    let mut command = Command::new(program);
    #[cfg(unix)]
    command.arg0("jackfield");
    let mut process = command
        .arg(COMMAND)
        .arg(limits.cpu_seconds.to_string())
        .arg(limits.memory_mib.to_string())
        .env_clear()
        .env("RAYON_NUM_THREADS", THREADS.to_string())
        // The allocator would reserve a gigabyte at once, and that counts.
        .env("MIMALLOC_ARENA_RESERVE", "32MiB")
        .current_dir(empty_folder(folder)?)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(code.as_file().try_clone()?))
        .stderr(Stdio::from(report.try_clone()?))
        .kill_on_drop(true)
        .spawn()?;
    let patience = Duration::from_secs(limits.wall_seconds);
    let Ok(ended) = tokio::time::timeout(patience, process.wait()).await else {
        process.kill().await?;
        return Err(CompileError::Wall(limits.wall_seconds));
    };
    let status = ended?;
    if status.success() {
        return Ok(code);
    }
    Err(meaning(status, &said(report)?, limits))
}

/// A child that could open files by name finds none.
fn empty_folder(folder: &Path) -> io::Result<PathBuf> {
    let empty = folder.join("empty");
    match fs::create_dir(&empty) {
        Ok(()) => cache::make_private(&empty)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(empty)
}

fn said(mut report: File) -> io::Result<String> {
    report.rewind()?;
    let mut bytes = Vec::new();
    report.take(MAX_REPORT).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let printable = |character: &char| !character.is_control() || *character == '\n';
    let text: String = text.trim().chars().filter(printable).collect();
    Ok(text.replace('\n', "; "))
}

fn meaning(status: ExitStatus, said: &str, limits: CompileLimits) -> CompileError {
    let out_of_memory = [
        "memory allocation of",
        "out of memory",
        "Cannot allocate memory",
    ];
    if out_of_memory.iter().any(|words| said.contains(words)) {
        return CompileError::Memory(limits.memory_mib);
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;

        use rustix::process::Signal;

        let signal = status.signal().unwrap_or_default();
        if signal == Signal::XCPU.as_raw() {
            return CompileError::Cpu(limits.cpu_seconds);
        }
        if signal == Signal::XFSZ.as_raw() {
            return CompileError::Memory(limits.memory_mib);
        }
    }
    if status.code() == Some(child::REFUSED) {
        return CompileError::Refused(said.to_owned());
    }
    CompileError::Crashed(format!("{said} ({status})").trim().to_owned())
}
