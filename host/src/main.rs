//! The program: arguments in, exit code out.

use std::process::ExitCode;

// A sandboxed mapper is paced by the host's allocations too: with the system's allocator native
// code was slower than the sandbox.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    jackfield::cli::run(std::env::args_os()).await
}
