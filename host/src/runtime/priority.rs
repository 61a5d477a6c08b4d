//! How the system is told that a thread's work is less urgent than that of others.

use std::io;

/// How much less such a thread may compute when there is not enough for all: about a tenth.
#[cfg(unix)]
const NICENESS: i32 = 10;
/// How long it may compute at once: longer than the few milliseconds of any other thread. Linux
/// (from 6.12 on) lets a thread that wakes up interrupt one with a longer slice at once, and others
/// at the end of theirs.
#[cfg(target_os = "linux")]
const SLICE: std::time::Duration = std::time::Duration::from_millis(50);

/// From now on this thread makes way for others.
///
/// # Errors
/// The system does not let it be.
#[cfg(unix)]
pub(super) fn make_way() -> io::Result<()> {
    let niceness = rustix::process::nice(NICENESS)?;
    // Where the kernel knows nothing of it, or may not be asked, the rest has to do.
    #[cfg(target_os = "linux")]
    if let Err(error) = in_long_slices(niceness) {
        tracing::debug!(error = %error, "calls that compute for long are in no long slices");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
    Ok(())
}

/// There is nothing to tell.
#[cfg(not(unix))]
pub(super) fn make_way() -> io::Result<()> {
    Ok(())
}

/// See `sched_setattr(2)`. `SCHED_BATCH` interrupts nobody when it wakes up.
#[cfg(target_os = "linux")]
fn in_long_slices(niceness: i32) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_BATCH as u32,
        sched_flags: 0,
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: SLICE.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    let this_thread = 0;
    let flags = 0;
    #[expect(unsafe_code, reason = "no safe crate has this call")]
    // SAFETY: the kernel reads as many bytes of the structure as it says that it has, which lives
    // until the call is over, and keeps nothing of it.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            this_thread,
            &raw const attributes,
            flags,
        )
    };
    match answer {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
