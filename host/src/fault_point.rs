//! Places at which a test ends the process, as `kill -9` does.
//!
//! Only a build with the feature `fault-points` has them; in others the macro leaves nothing
//! behind. There the variable `FAULT_POINT=NAME:COUNT` says at which place, and which time that it
//! is reached, the process kills itself.

/// Marks a place: `fault_point!("page.answered")`.
macro_rules! fault_point {
    ($name:literal) => {
        #[cfg(feature = "fault-points")]
        $crate::fault_point::reached($name);
    };
}

/// Kills the process where this is the place and the time.
#[cfg(feature = "fault-points")]
pub(crate) fn reached(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static WANTED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let text = std::env::var_os("FAULT_POINT")?.into_string().ok()?;
        let (name, count) = text.rsplit_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    static REACHED: AtomicU64 = AtomicU64::new(0);

    let Some((wanted, count)) = &*WANTED else {
        return;
    };
    if wanted == name && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
        let killed =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        killed.expect("a process may kill itself");
    }
}
