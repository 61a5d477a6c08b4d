//! The wasmtime engines of the process, and the threads that move their epochs.
//!
//! There are two: functions that call each other are compiled into one where a component is small,
//! which is a connector written in Rust, and costs a large one gigabytes of the compiler's memory,
//! which is an interpreter with a connector in it. An engine takes only code that was compiled
//! either way, so the size decides which engine a component belongs to, and no store sees both.

use std::{thread, time::Duration};

use wasmtime::{
    Config, Enabled, Engine, Inlining, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::Linker,
};

use super::{LoadError, Options, bindings, call::State, limits::MAX_CORE_INSTANCES};

/// How often a running guest can be interrupted.
pub(super) const EPOCH: Duration = Duration::from_millis(5);

/// Bytes of a component that is not small any more.
const LARGE: usize = 3 * 1024 * 1024;

/// Places of instances that stay ready for the connectors that had them.
const WARM: u32 = 16;

/// Which engine a component belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Large,
}

impl Size {
    pub(super) const fn of(component: &[u8]) -> Self {
        if component.len() < LARGE {
            Self::Small
        } else {
            Self::Large
        }
    }
}

/// An engine, and everything that a connector may import in it.
pub(super) struct Kit {
    pub(super) engine: Engine,
    pub(super) linker: Linker<State>,
}

impl Kit {
    pub(super) fn new(options: &Options, size: Size) -> Result<Self, LoadError> {
        let engine = build(options, size)?;
        let linker = bindings::linker(&engine)?;
        Ok(Self { engine, linker })
    }
}

fn build(options: &Options, size: Size) -> Result<Engine, LoadError> {
    // Pooling reserves address space. Where a system refuses that much, connectors still run,
    // only with slower starts.
    let engine = Engine::new(&config(Some(pool(options)), size)).or_else(|error| {
        tracing::warn!(
            error = %error,
            "no address space for a pool of instances; each is allocated on demand"
        );
        Engine::new(&config(None, size)).map_err(LoadError::Engine)
    })?;
    let ticker = engine.weak();
    thread::Builder::new()
        .name("epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = ticker.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(EPOCH);
            }
        })
        .map_err(LoadError::Io)?;
    Ok(engine)
}

/// For a process that only compiles: what it makes runs in the engine of that size.
pub(super) fn for_compiling(size: Size) -> wasmtime::Result<Engine> {
    Engine::new(&config(None, size))
}

fn config(pool: Option<PoolingAllocationConfig>, size: Size) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(512 * 1024);
    config.async_stack_size(1024 * 1024);
    config.compiler_inlining(match size {
        Size::Small => Inlining::Yes,
        Size::Large => Inlining::No,
    });
    config.native_unwind_info(false);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    // Less of the language is less to attack.
    config.wasm_threads(false);
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

fn pool(options: &Options) -> PoolingAllocationConfig {
    let instances = options.max_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances);
    pool.total_core_instances(instances * MAX_CORE_INSTANCES);
    pool.total_memories(instances * 2);
    pool.total_tables(instances * 4);
    pool.total_stacks(instances);
    pool.max_memories_per_component(2);
    pool.max_core_instances_per_component(MAX_CORE_INSTANCES);
    pool.max_tables_per_component(4);
    pool.max_memory_size(options.max_memory_mib as usize * 1024 * 1024);
    pool.table_elements(20_000);
    pool.max_component_instance_size(4 * 1024 * 1024);
    pool.max_core_instance_size(4 * 1024 * 1024);
    // What a call dirtied is cleaned in place and stays mapped: unmapping and page faults were a
    // third of a small call. Where the kernel can tell which pages are dirty (Linux 6.7) only those
    // are touched; elsewhere all that stays is written each time, so it has to be little.
    let scan = PoolingAllocationConfig::is_pagemap_scan_available();
    pool.pagemap_scan(if scan { Enabled::Yes } else { Enabled::No });
    pool.linear_memory_keep_resident(if scan { 1024 * 1024 } else { 128 * 1024 });
    // Each place that is kept for the connector that had it last keeps that memory too: some are
    // enough for those that are called, and a hundred would be for those that only lie there.
    pool.max_unused_warm_slots(WARM.min(instances));
    pool.table_keep_resident(64 * 1024);
    pool.async_stack_keep_resident(64 * 1024);
    pool
}
