//! `unify`: pages of records through the sandbox against the same code native. `call`: what a call
//! costs before anything is mapped.

use std::{sync::Arc, time::Instant};

use jackfield::{model::ObjectKind, runtime::ConnectorVersion};
use tokio::runtime::Runtime;
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Linker, Module, PoolingAllocationConfig, Store,
};

use crate::{
    Arguments, Result,
    measure::{self, rounds, say, say_load, say_verdict, times},
    people,
    plugins::{Native, Plugins},
};

const OBJECT: &str = "crm.contact";
const ROUNDS: usize = 15;

/// Mapping time, ours by native.
const UNIFY_TARGET: f64 = 1.7;
/// Seconds of the smallest call.
const CALL_TARGET: f64 = 30e-6;

pub(crate) fn unify(runtime: &Runtime, arguments: &Arguments) -> Result<()> {
    let plugins = runtime.block_on(Plugins::load(arguments, None))?;
    let mut native = Native::start()?;
    say_load();
    say(format_args!(
        "unify: a page of {OBJECT} as JSON text through the sandbox / the same Rust code native"
    ));
    say(format_args!(
        "       (connectors' profile, mimalloc); one call, least and median of the rounds"
    ));
    say(
        "connector  records    KiB |  native µs      |  sandbox µs     |  ratio        | ns a record",
    );
    let mut verdicts = Vec::new();
    for name in ["demo-crm", "hubspot"] {
        let connector = plugins.connector(name)?;
        for size in arguments.sizes(&[1, 10, 100, 1000]) {
            let documents = if name == "hubspot" {
                people::hubspot(size)?
            } else {
                people::demo(size)?
            };
            let records = serde_json::to_string(&documents)?;
            let (once, _) = native.unify(name, OBJECT, &records, 10)?;
            let repeat = times(once);
            let comparison = rounds(arguments.rounds.unwrap_or(ROUNDS), || {
                let (limit, expected) = native.unify(name, OBJECT, &records, repeat)?;
                let (ours, bytes) = runtime.block_on(in_sandbox(
                    Arc::clone(&connector),
                    records.clone(),
                    repeat,
                ))?;
                if bytes != expected {
                    return Err(
                        format!("native answered {expected} bytes, the sandbox {bytes}").into(),
                    );
                }
                Ok((limit, ours))
            })?;
            let (limit, ours, ratio) = (comparison.limit(), comparison.ours(), comparison.ratios());
            let each = |seconds: f64| seconds * 1e9 / size as f64;
            say(format_args!(
                "{name:<10} {size:>7} {:>6.1} | {:>7.1} {:>7.1} | {:>7.1} {:>7.1} | {:>6.2} {:>6.2} | {:>5.0} {:>5.0}",
                records.len() as f64 / 1024.0,
                limit.0 * 1e6,
                limit.1 * 1e6,
                ours.0 * 1e6,
                ours.1 * 1e6,
                ratio.0,
                ratio.1,
                each(limit.0),
                each(ours.0),
            ));
            if size >= 100 {
                verdicts.push((format!("{name}, {size} records"), ratio.1));
            }
        }
    }
    for (what, ratio) in verdicts {
        say_verdict(&what, ratio, UNIFY_TARGET, false);
    }
    say_load();
    Ok(())
}

pub(crate) fn call(runtime: &Runtime, arguments: &Arguments) -> Result<()> {
    let plugins = runtime.block_on(Plugins::load(arguments, None))?;
    let smallest = Arc::new(Smallest::new()?);
    say_load();
    say(
        "call: unify of an empty array, a fresh instance each / wasmtime alone: a fresh instance of a",
    );
    say("      module that answers a number, from a pool; and a task that does nothing, for scale");
    let repeat = 5000;
    let task = rounds(arguments.rounds.unwrap_or(ROUNDS), || {
        let empty = runtime.block_on(on_worker(async move || {
            let started = Instant::now();
            for _ in 0..repeat {
                tokio::spawn(async {}).await?;
            }
            Ok(started.elapsed().as_secs_f64() / f64::from(repeat))
        }))?;
        Ok((empty, empty))
    })?;
    say(format_args!(
        "an empty task      {:>6.2} µs, median {:.2}",
        task.ours().0 * 1e6,
        task.ours().1 * 1e6
    ));
    for name in ["demo-crm", "hubspot"] {
        let connector = plugins.connector(name)?;
        let comparison = rounds(arguments.rounds.unwrap_or(ROUNDS), || {
            let smallest = Arc::clone(&smallest);
            let limit = runtime.block_on(on_worker(async move || smallest.run(repeat)))?;
            let (ours, _) =
                runtime.block_on(in_sandbox(Arc::clone(&connector), "[]".to_owned(), repeat))?;
            Ok((limit, ours))
        })?;
        let (limit, ours, ratio) = (comparison.limit(), comparison.ours(), comparison.ratios());
        say(format_args!(
            "wasmtime alone     {:>6.2} µs, median {:.2}",
            limit.0 * 1e6,
            limit.1 * 1e6
        ));
        say(format_args!(
            "{name:<10}         {:>6.2} µs, median {:.2}; ratio {:.1}, median {:.1}",
            ours.0 * 1e6,
            ours.1 * 1e6,
            ratio.0,
            ratio.1
        ));
        say_verdict(
            &format!("{name}, µs"),
            ours.1 * 1e6,
            CALL_TARGET * 1e6,
            false,
        );
    }
    say_load();
    Ok(())
}

/// Seconds of one call, and bytes of one answer.
async fn in_sandbox(
    connector: Arc<ConnectorVersion>,
    records: String,
    times: u32,
) -> Result<(f64, u64)> {
    on_worker(async move || {
        let kind = ObjectKind::parse(OBJECT).ok_or("no such object")?;
        let mut bytes = 0;
        let started = Instant::now();
        for _ in 0..times {
            bytes += connector.unify(kind, records.clone(), &[]).await?.len() as u64;
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok((seconds / f64::from(times), bytes / u64::from(times)))
    })
    .await
}

/// On one of the runtime's workers, where the server's requests are.
async fn on_worker<T, F>(work: impl FnOnce() -> F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    tokio::spawn(work()).await?
}

/// The least that wasmtime does for a call: instances from a pool, deadlines on, nothing else.
struct Smallest {
    engine: Engine,
    module: wasmtime::InstancePre<()>,
}

impl Smallest {
    /// `(module (memory 1) (func (export "f") (result i32) i32.const 7))`
    const MODULE: &[u8] = &[
        0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // \0asm, version 1
        0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f, // types: () -> i32
        0x03, 0x02, 0x01, 0x00, // functions: the first type
        0x05, 0x03, 0x01, 0x00, 0x01, // memories: one page and more
        0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00, // exports: f
        0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x07, 0x0b, // code: i32.const 7
    ];

    fn new() -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(
            PoolingAllocationConfig::new(),
        ));
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, Self::MODULE)?;
        let module = Linker::new(&engine).instantiate_pre(&module)?;
        Ok(Self { engine, module })
    }

    fn run(&self, times: u32) -> Result<f64> {
        let started = Instant::now();
        for _ in 0..times {
            let mut store = Store::new(&self.engine, ());
            store.set_epoch_deadline(1);
            let instance = self.module.instantiate(&mut store)?;
            let answer = instance
                .get_typed_func::<(), i32>(&mut store, "f")?
                .call(&mut store, ())?;
            measure::keep(answer);
        }
        Ok(started.elapsed().as_secs_f64() / f64::from(times))
    }
}
