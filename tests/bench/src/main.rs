//! Benchmarks. Each measures Jackfield and a limit in the same run, in turns, and prints the ratio.
//!
//! ```text
//! cargo run --release -p jackfield-bench -- unify    mapping in the sandbox / the same code native
//! cargo run --release -p jackfield-bench -- call     the smallest call / wasmtime's smallest
//! cargo run --release -p jackfield-bench -- list     lists through the server / a bare handler
//! cargo run --release -p jackfield-bench -- sync     syncs into a database / a native loop
//! cargo run --release -p jackfield-bench -- webhooks events delivered to a local receiver
//! cargo run --release -p jackfield-bench -- start    the server's start with a hundred connectors
//! cargo run --release -p jackfield-bench -- pages    the dashboard's first paint in Chromium
//! cargo run --release -p jackfield-bench -- sandbox  hostile connectors, and what others notice
//! ```
//!
//! Absolute numbers belong to the machine and to what else runs on it; the ratios travel better.

mod database;
#[path = "../../../host/tests/runtime/guest.rs"]
mod guest;
#[path = "../../../host/tests/runtime/hostile.rs"]
mod hostile;
mod list;
mod load;
mod mapping;
mod measure;
mod pages;
mod people;
mod plugins;
mod provider;
mod sandbox;
mod start;
mod sync;
mod webhooks;

use std::path::PathBuf;

use tokio::runtime::Builder;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Error> = std::result::Result<T, E>;

const USAGE: &str = "\
usage: jackfield-bench unify|call|list|sync|webhooks|start|pages|sandbox [OPTION...]
  --rounds N         how often the two sides take turns (unify, call: 15; list, sync: 7; webhooks: 3; start: 5; sandbox: 25)
  --sizes N,N,...    unify: records in a call; list, sync: records stored or read; webhooks: events; start: connectors; pages: runs
  --page N           sync: records on the provider's page (100)
  --plugins FOLDER   connectors that are built already; otherwise they are built first
  --program FILE     start, pages: the server; otherwise it is built first
  --postgres URL     sync, webhooks: a server that may be used for tests (JACKFIELD_TEST_POSTGRES_URL)";

/// What to measure, and how.
struct Arguments {
    benchmark: String,
    rounds: Option<usize>,
    sizes: Option<Vec<usize>>,
    page: usize,
    plugins: Option<PathBuf>,
    program: Option<PathBuf>,
    postgres: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    // The server's own runtime: a worker for each processor.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    match arguments.benchmark.as_str() {
        "unify" => mapping::unify(&runtime, &arguments),
        "call" => mapping::call(&runtime, &arguments),
        "list" => list::list(&runtime, &arguments),
        "sync" => sync::sync(&runtime, &arguments),
        "webhooks" => webhooks::webhooks(&runtime, &arguments),
        "start" => start::start(&arguments),
        "pages" => pages::pages(&runtime, &arguments),
        "sandbox" => sandbox::sandbox(&runtime, &arguments),
        other => Err(format!("there is no benchmark {other:?}\n{USAGE}").into()),
    }
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self {
            benchmark: words.next().ok_or(USAGE)?,
            rounds: None,
            sizes: None,
            page: 100,
            plugins: None,
            program: None,
            postgres: postgres_from_environment(),
        };
        while let Some(option) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            match option.as_str() {
                "--rounds" => arguments.rounds = Some(value.parse()?),
                "--sizes" => {
                    let sizes: Result<Vec<usize>, _> = value.split(',').map(str::parse).collect();
                    arguments.sizes = Some(sizes?);
                }
                "--page" => arguments.page = value.parse()?,
                "--plugins" => arguments.plugins = Some(value.into()),
                "--program" => arguments.program = Some(value.into()),
                "--postgres" => arguments.postgres = Some(value),
                _ => return Err(format!("there is no option {option}\n{USAGE}").into()),
            }
        }
        Ok(arguments)
    }

    fn sizes(&self, default: &[usize]) -> Vec<usize> {
        self.sizes.clone().unwrap_or_else(|| default.to_vec())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the variable of the tests, not one of the server's configuration"
)]
fn postgres_from_environment() -> Option<String> {
    std::env::var("JACKFIELD_TEST_POSTGRES_URL").ok()
}
