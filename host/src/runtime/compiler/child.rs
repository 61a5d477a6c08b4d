//! What the child process does: gives up what it does not need, reads, compiles, writes.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

use super::COMMAND;
use crate::runtime::{
    artifact::MAX_COMPONENT,
    engine::{self, Size},
};

/// The exit code where the compiler says no, and why on standard error.
pub(super) const REFUSED: i32 = 3;

/// How much less than others the child may compute when there is not enough for all.
const NICENESS: i32 = 10;

/// Compiles the component at standard input to machine code at standard output.
///
/// It does where the arguments ask for it, `jackfield compile-component CPU_SECONDS MEMORY_MIB`, and
/// answers none where they ask for something else. It has to be called before anything else is done
/// with the process, and is not for people.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut words = arguments.into_iter().skip(1);
    if words.next().as_deref() != Some(OsStr::new(COMMAND)) {
        return None;
    }
    let numbers: Vec<u64> = words
        .filter_map(|word| word.to_str()?.parse().ok())
        .collect();
    let &[cpu_seconds, memory_mib] = numbers.as_slice() else {
        return Some(failed("this command is the server's own", 2));
    };
    if let Err(error) = limit(cpu_seconds, memory_mib) {
        let text = format!("the limits of the compiler cannot be set: {error}");
        return Some(failed(&text, 1));
    }
    Some(match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped::Refused(text)) => failed(&text, REFUSED),
        Err(Stopped::Io(error)) => failed(&error.to_string(), 1),
    })
}

enum Stopped {
    Refused(String),
    Io(io::Error),
}

fn compile() -> Result<(), Stopped> {
    let mut component = Vec::new();
    io::stdin()
        .take(MAX_COMPONENT)
        .read_to_end(&mut component)
        .map_err(Stopped::Io)?;
    let refused = |error: wasmtime::Error| Stopped::Refused(format!("{error:#}"));
    let engine = engine::for_compiling(Size::of(&component)).map_err(refused)?;
    let code = engine.precompile_component(&component).map_err(refused)?;
    io::stdout().write_all(&code).map_err(Stopped::Io)
}

/// What the process may take from now on; it cannot raise it again.
#[cfg(unix)]
fn limit(cpu_seconds: u64, memory_mib: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, nice, setrlimit};

    let bytes = memory_mib.saturating_mul(1024 * 1024);
    let set = |resource, soft: u64, hard: u64| {
        let limit = Rlimit {
            current: Some(soft),
            maximum: Some(hard),
        };
        setrlimit(resource, limit)
    };
    set(Resource::Core, 0, 0)?;
    // The first is a signal that says what it is about; the second just kills.
    set(Resource::Cpu, cpu_seconds, cpu_seconds.saturating_add(1))?;
    set(Resource::As, bytes, bytes)?;
    set(Resource::Fsize, bytes, bytes)?;
    nice(NICENESS)?;
    Ok(())
}

#[cfg(not(unix))]
fn limit(_: u64, _: u64) -> io::Result<()> {
    Err(io::Error::other("this system has no limits for processes"))
}

fn failed(text: &str, code: i32) -> ExitCode {
    // Where nobody is there to read, nothing is left to do.
    io::stderr().write_all(text.as_bytes()).ok();
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
