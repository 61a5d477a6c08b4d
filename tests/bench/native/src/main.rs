//! The limit of the mapping benchmark: what connectors do in the sandbox, done natively.
//!
//! It is a process of its own so that it can have the connectors' profile (one unit, optimised as
//! a whole); the benchmark's process could not, for there the profile is the host's. It reads
//! lines of JSON, each a [`Task`], and answers each with a line: how many nanoseconds the task
//! took, and the sum of the lengths of its answers, so that both sides can be seen to do the same.

use std::io::{BufRead as _, Write as _};
use std::time::Instant;

use jackfield_sdk::bindings::exports::jackfield::connector::connector::Guest;
use serde::Deserialize;

/// As the host has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Unify the same documents so many times.
#[derive(Deserialize)]
struct Task {
    connector: String,
    object: String,
    /// A JSON array, as text.
    records: String,
    times: u32,
}

fn main() -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let task: Task = serde_json::from_str(&line?)?;
        let unify = match task.connector.as_str() {
            "demo-crm" => <demo_crm::DemoCrm as Guest>::unify,
            "hubspot" => <hubspot::HubSpot as Guest>::unify,
            other => return Err(std::io::Error::other(format!("no connector {other}"))),
        };
        let mut bytes = 0;
        let started = Instant::now();
        for _ in 0..task.times {
            let answer = unify(task.object.clone(), task.records.clone(), Vec::new());
            bytes += answer
                .map_err(|failure| std::io::Error::other(format!("{failure:?}")))?
                .len();
        }
        writeln!(output, "{} {bytes}", started.elapsed().as_nanos())?;
        output.flush()?;
    }
    Ok(())
}
