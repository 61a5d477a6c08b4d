//! What a guest may use up.

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::{call::State, engine::EPOCH};

/// Requests that one call may send.
pub(super) const MAX_REQUESTS: u32 = 200;
/// Lines that one call may log.
pub(super) const MAX_LOG_LINES: u32 = 100;
/// Bytes of a logged line.
pub(super) const MAX_LOG_LINE: usize = 2048;
/// Bytes of all arguments of one call of the host.
pub(super) const MAX_HOST_CALL: usize = 32 * 1024 * 1024;
/// Bytes of a cursor.
pub(super) const MAX_CURSOR: usize = 4096;

const MAX_TABLE: usize = 20_000;

/// Memory and tables of one instance.
pub(super) struct Limits {
    memory: usize,
    /// Whether the guest ran into the limit: tells a crash for lack of memory from others.
    pub(super) exceeded: bool,
}

impl Limits {
    pub(super) const fn new(memory_mib: u32) -> Self {
        Self {
            memory: memory_mib as usize * 1024 * 1024,
            exceeded: false,
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
        self.exceeded |= !granted;
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE)
    }

    fn instances(&self) -> usize {
        8
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
    store.set_epoch_deadline(1);
    let epochs = store.data().cpu.as_millis() / EPOCH.as_millis();
    let most = u64::try_from(epochs).unwrap_or(u64::MAX);
    store.epoch_deadline_callback(move |mut context| {
        let state = context.data_mut();
        state.ticks += 1;
        Ok(if state.ticks > most {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        })
    });
}
