//! The one wasmtime engine of the process, and the thread that moves its epoch.

use std::{thread, time::Duration};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::{LoadError, Options, limits::MAX_CORE_INSTANCES};

/// How often a running guest can be interrupted.
pub(super) const EPOCH: Duration = Duration::from_millis(5);

pub(super) fn build(options: &Options) -> Result<Engine, LoadError> {
    // Pooling reserves address space. Where a system refuses that much, connectors still run,
    // only with slower starts.
    let engine = Engine::new(&config(Some(pool(options)))).or_else(|error| {
        tracing::warn!(
            error = %error,
            "no address space for a pool of instances; each is allocated on demand"
        );
        Engine::new(&config(None)).map_err(LoadError::Engine)
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

/// For a process that only compiles: what it makes runs in the engine of [`build`].
pub(super) fn for_compiling() -> wasmtime::Result<Engine> {
    Engine::new(&config(None))
}

fn config(pool: Option<PoolingAllocationConfig>) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(512 * 1024);
    config.async_stack_size(1024 * 1024);
    config.compiler_inlining(wasmtime::Inlining::Yes);
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
    pool.table_keep_resident(64 * 1024);
    pool.async_stack_keep_resident(64 * 1024);
    pool
}
