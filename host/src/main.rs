//! The program: arguments in, exit code out.

use std::process::ExitCode;

// A sandboxed mapper is paced by the host's allocations too: with the system's allocator native
// code was slower than the sandbox.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A process that compiles a stranger's code does nothing else, not even start threads.
    match jackfield::runtime::compile_in_child(std::env::args_os()) {
        Some(code) => code,
        None => serve(),
    }
}

#[tokio::main]
async fn serve() -> ExitCode {
    jackfield::cli::run(std::env::args_os()).await
}
