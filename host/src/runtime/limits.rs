//! What a guest may use up.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};

use super::{CallError, call::State, engine::EPOCH};

/// Requests that one call may send.
pub(super) const MAX_REQUESTS: u32 = 200;
/// Lines that one call may log.
pub(super) const MAX_LOG_LINES: u32 = 100;
/// Bytes of a logged line.
pub(super) const MAX_LOG_LINE: usize = 2048;
/// Bytes of all arguments of one call of the host, and of what a call answers.
pub(super) const MAX_HOST_CALL: usize = 32 * 1024 * 1024;
/// How often one call may call the host. What the host does for a guest is not interrupted, nor
/// counted as the guest's computing.
pub(super) const MAX_HOST_CALLS: u32 = 100_000;
/// Bytes of the arguments of all calls of the host in one call.
pub(super) const MAX_HOST_BYTES: usize = 256 * 1024 * 1024;
/// What a signature with a private key costs, in bytes of arguments: about a millisecond.
pub(super) const SIGNATURE: usize = 64 * 1024;
/// Accounts that one login may reach.
pub(super) const MAX_ACCOUNTS: usize = 1000;
/// Bytes of a cursor.
pub(super) const MAX_CURSOR: usize = 4096;

/// Core instances within one component: Rust makes one or two, Python about fifty.
pub(super) const MAX_CORE_INSTANCES: u32 = 64;
/// Entries of a table.
pub(super) const MAX_TABLE: usize = 20_000;
/// Things that a guest may have handles of at the same time.
const MAX_HANDLES: usize = 1000;

/// What a guest wanted too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    Memory,
    Tables,
    HostCalls,
    HostBytes,
}

/// Memory and tables of one instance.
pub(super) struct Limits {
    memory: usize,
    /// The most memory that an instance of the connector had, bytes.
    peak: Arc<AtomicU64>,
    /// The limit that the guest ran into: tells a crash for lack of memory from others.
    pub(super) exceeded: Option<Exceeded>,
}

impl Limits {
    pub(super) const fn new(memory_mib: u32, peak: Arc<AtomicU64>) -> Self {
        Self {
            memory: memory_mib as usize * 1024 * 1024,
            peak,
            exceeded: None,
        }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory;
        if granted {
            self.peak.fetch_max(desired as u64, Ordering::Relaxed);
        } else {
            self.exceeded = Some(Exceeded::Memory);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= MAX_TABLE;
        if !granted {
            self.exceeded = Some(Exceeded::Tables);
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        8
    }

    fn memories(&self) -> usize {
        2
    }
}

/// Puts the limits on a store.
///
/// The epoch is looked at only while the guest computes, so what is counted is computing, not
/// waiting for a provider; the time of the whole call is the caller's business.
pub(super) fn apply(store: &mut Store<State>) {
    store.limiter(|state| &mut state.limits);
    store.set_hostcall_fuel(MAX_HOST_CALL);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    let epochs = store.data().cpu.as_millis() / EPOCH.as_millis();
    let most = u64::try_from(epochs).unwrap_or(u64::MAX);
    store.epoch_deadline_callback(move |mut context| {
        let state = context.data_mut();
        let ticks = state.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(if ticks > most {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        })
    });
}

/// Which limit, if any, a trap came from.
pub(super) fn explain(error: &wasmtime::Error, state: &State, memory_mib: u32) -> CallError {
    if let Some(name) = state.impure {
        return CallError::Impure(name);
    }
    let trap = error.downcast_ref::<Trap>();
    match trap {
        Some(Trap::Interrupt) => return CallError::Cpu(state.cpu),
        Some(Trap::StackOverflow) => return CallError::Stack,
        _ => {}
    }
    match state.limits.exceeded {
        Some(Exceeded::Memory) => return CallError::Memory(memory_mib),
        Some(Exceeded::Tables) => return CallError::Tables(MAX_TABLE),
        Some(Exceeded::HostCalls) => return CallError::HostCalls(MAX_HOST_CALLS),
        Some(Exceeded::HostBytes) => return CallError::HostBytes(MAX_HOST_BYTES),
        None => {}
    }
    let text = trap.map_or_else(|| format!("{error:#}"), ToString::to_string);
    // wasmtime has no types for these two; tests know if its words change.
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return CallError::Passed(MAX_HOST_CALL);
    }
    if text.contains("store handle limit exceeded") {
        return CallError::Handles(MAX_HANDLES);
    }
    CallError::Trap(text.chars().take(1000).collect())
}
