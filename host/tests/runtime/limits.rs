//! What a connector may not do, each with a guest that does it: the call ends with the code of that
//! limit, and others do not notice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jackfield::runtime::{CallError, Failure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentTypeRef, Parser,
    Payload, Validator,
};

use crate::{
    calls::{GET, SEND, TELL_DENIAL},
    guest::{Guest, good},
    hostile,
    house::{House, context, slug},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_guest_is_stopped_with_the_code_of_its_limit() {
    for hostile in hostile::all() {
        let house = House::with(|options| {
            options.max_memory_mib = 64;
            // Floods of calls are stopped by their number, however slow this machine is.
            if hostile.code != "connector_cpu_limit" {
                options.cpu_timeout = Duration::from_secs(30);
            }
        });
        house.put("good.wasm", &good("good", "[1]").bytes());
        house.put("bad.wasm", &hostile.guest.bytes());
        house.runtime.scan().await;
        let name = hostile.name;
        let version = house
            .version("bad")
            .unwrap_or_else(|| panic!("{name}: {:?}", house.refusal("bad.wasm")));
        for _ in 0..2 {
            let answer = hostile.operation.call(&version, context()).await;
            let error = answer.expect_err(name);
            assert_eq!(error.code(), hostile.code, "{name}: {error}");
        }
        assert_eq!(house.unify("good").await.unwrap(), "[1]", "{name}");
        let status = house.status("bad");
        assert_eq!(status.versions[0].traps, 2, "{name}");
        assert_eq!(status.versions[0].running, 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_ends_at_its_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = calling(
        &listener,
        "(loop $again (call $get) (br $again)) unreachable",
        |options| {
            options.call_timeout = Duration::from_millis(300);
        },
    );
    house.runtime.scan().await;
    let version = house.version("bad").unwrap();
    // The provider never answers; the guest is told so in the end, and goes on.
    let error = version.authenticate(context()).await.unwrap_err();
    assert_eq!(error.code(), "connector_deadline");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_exchanges_so_many_bytes_with_its_provider() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flood = format!(
        "(local $left i32)
        (local.set $left (i32.const 50))
        (loop $again
          (call $get)
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br_if $again (local.get $left)))
        {TELL_DENIAL}"
    );
    let house = calling(&listener, &flood, |options| options.max_transfer = 4096);
    house.runtime.scan().await;
    let served = Arc::new(AtomicU32::new(0));
    let server = tokio::spawn(answer_a_kilobyte(listener, Arc::clone(&served)));
    let version = house.version("bad").unwrap();
    match version.authenticate(context()).await {
        Err(CallError::Failure(Failure::Unexpected(text))) => {
            assert_eq!(text, "one call may send and receive 4096 bytes");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(served.load(Ordering::Relaxed), 4);
    server.abort();
}

/// A house whose connector `bad` has its provider at the listener.
fn calling(
    listener: &TcpListener,
    authenticate: &str,
    change: impl FnOnce(&mut jackfield::runtime::Options),
) -> House {
    let address = format!("http://{}", listener.local_addr().expect("it listens"));
    let house = House::with(|options| {
        let api = [("api".to_owned(), address)].into();
        options.endpoints.insert(slug("bad"), api);
        change(options);
    });
    let guest = Guest {
        imports: SEND,
        functions: GET,
        authenticate: authenticate.to_owned(),
        ..good("bad", "")
    };
    house.put("bad.wasm", &guest.bytes());
    house
}

async fn answer_a_kilobyte(listener: TcpListener, served: Arc<AtomicU32>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            let mut request = Vec::new();
            while stream
                .read_buf(&mut request)
                .await
                .is_ok_and(|read| read > 0)
            {
                if !request.ends_with(b"\r\n\r\n") {
                    continue;
                }
                request.clear();
                served.fetch_add(1, Ordering::Relaxed);
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n";
                let answer = format!("{head}{}", "x".repeat(1024));
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connector_does_not_take_all_instances() {
    let house = Arc::new(House::with(|options| {
        options.cpu_timeout = Duration::from_secs(2);
    }));
    house.put("good.wasm", &good("good", "[1]").bytes());
    let endless = Guest {
        unify: "(loop $again (br $again)) unreachable",
        ..good("bad", "")
    };
    house.put("bad.wasm", &endless.bytes());
    house.runtime.scan().await;
    // As many as there are instances.
    let loops: Vec<_> = (0..8)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.unify("bad").await })
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(house.unify("good").await.unwrap(), "[1]");
    }
    assert!(
        loops.iter().all(|running| !running.is_finished()),
        "the good one waited for the bad one"
    );
    for running in loops {
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.code(), "connector_cpu_limit");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_that_go_away_leave_nothing_behind() {
    let house = Arc::new(House::new());
    // Long enough to be dropped in every state: before it begins, computing, on the lane, done.
    let busy = Guest {
        unify: "(local $left i32)
            (local.set $left (i32.const 3000000))
            (loop $again
              (local.set $left (i32.sub (local.get $left) (i32.const 1)))
              (br_if $again (local.get $left)))
            (i32.const 1024)",
        ..good("busy", "[1]")
    };
    house.put("busy.wasm", &busy.bytes());
    house.runtime.scan().await;
    for round in 0..1000 {
        let calling = Arc::clone(&house);
        let caller = tokio::spawn(async move { calling.unify("busy").await.map(drop) });
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        caller.abort();
        drop(caller.await);
    }
    // Every instance is free again.
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.unify("busy").await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "[1]");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_guest_writes_is_there_in_the_next_call() {
    let house = House::new();
    let counting = Guest {
        functions: "(global $calls (mut i32) (i32.const 0))",
        unify: "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store8 (i32.const 2049)
              (i32.add (i32.load8_u (i32.const 2049)) (global.get $calls)))
            (i32.const 1024)",
        ..good("counting", "[0]")
    };
    house.put("counting.wasm", &counting.bytes());
    house.runtime.scan().await;
    for _ in 0..50 {
        assert_eq!(house.unify("counting").await.unwrap(), "[1]");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_and_instances_have_an_end() {
    let component = jackfield::runtime::Artifact::read(&good("bad", "[1]").bytes())
        .expect("it is good")
        .component;
    for (bytes, sentence) in [
        (
            with_endless_handles(&component),
            "it holds more than 1000 handles",
        ),
        (with_instances(&component, 65), "instances"),
    ] {
        let house = House::new();
        house.put("good.wasm", &good("good", "[1]").bytes());
        house.put("bad.wasm", &bytes);
        house.runtime.scan().await;
        let error = house.refusal("bad.wasm").expect("it is refused");
        assert!(error.contains(sentence), "{error}");
        assert_eq!(house.unify("good").await.unwrap(), "[1]");
    }
}

/// The component with a resource of its own, and a module that makes handles of it until it is
/// stopped.
fn with_endless_handles(component: &[u8]) -> Vec<u8> {
    let module = wat::parse_str(
        r#"(module
            (import "" "new" (func $new (param i32) (result i32)))
            (func $start (loop $again (drop (call $new (i32.const 7))) (br $again)))
            (start $start))"#,
    )
    .expect("the text is WebAssembly");
    let counts = Counts::of(component);
    let mut bytes = component.to_vec();
    // A type: a resource that is an i32, without a destructor.
    section(&mut bytes, 7, &[&[1, 0x3f, 0x7f, 0x00]]);
    // A canonical function: resource.new of that type.
    section(&mut bytes, 8, &[&[1, 0x02], &leb(counts.types)]);
    section(&mut bytes, 1, &[&module]);
    // Two instances: the function under the name "new", and the module with it as its import.
    section(
        &mut bytes,
        2,
        &[
            &[2, 0x01, 1, 3],
            b"new",
            &[0x00],
            &leb(counts.functions),
            &[0x00],
            &leb(counts.modules),
            &[1, 0, 0x12],
            &leb(counts.instances),
        ],
    );
    bytes
}

/// The component with so many more instances of an empty module.
fn with_instances(component: &[u8], count: u8) -> Vec<u8> {
    let counts = Counts::of(component);
    let mut bytes = component.to_vec();
    section(&mut bytes, 1, &[b"\0asm\x01\0\0\0"]);
    let one = [&[0x00][..], &leb(counts.modules), &[0]].concat();
    section(&mut bytes, 2, &[&[count], &one.repeat(usize::from(count))]);
    bytes
}

/// How many things of each kind a component has: the number of the next one.
struct Counts {
    types: u32,
    functions: u32,
    modules: u32,
    instances: u32,
}

impl Counts {
    fn of(component: &[u8]) -> Self {
        let mut validator = Validator::new();
        let mut counts = Self {
            types: 0,
            functions: 0,
            modules: 0,
            instances: 0,
        };
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.expect("the component is good");
            match &payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    let module = matches!(payload, Payload::ModuleSection { .. });
                    counts.modules += u32::from(module && depth == 0);
                    depth += 1;
                }
                Payload::End(_) if depth > 0 => depth -= 1,
                Payload::End(_) => {
                    let types = validator.types(0).expect("the component is open");
                    counts.functions = types.function_count();
                }
                Payload::InstanceSection(instances) if depth == 0 => {
                    counts.instances += instances.count();
                }
                payload if depth == 0 => counts.types += types(payload),
                _ => {}
            }
            validator.payload(&payload).expect("the component is good");
        }
        counts
    }
}

/// How many types a section adds.
fn types(payload: &Payload<'_>) -> u32 {
    let is_type = |alias: &ComponentAlias<'_>| {
        matches!(
            alias,
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Type,
                ..
            } | ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Type,
                ..
            }
        )
    };
    let found = match payload {
        Payload::ComponentTypeSection(types) => types.count() as usize,
        Payload::ComponentAliasSection(aliases) => aliases
            .clone()
            .into_iter()
            .filter(|alias| alias.as_ref().is_ok_and(is_type))
            .count(),
        Payload::ComponentImportSection(imports) => imports
            .clone()
            .into_iter()
            .flatten()
            .filter(|import| matches!(import.ty, ComponentTypeRef::Type(_)))
            .count(),
        Payload::ComponentExportSection(exports) => exports
            .clone()
            .into_iter()
            .flatten()
            .filter(|export| export.kind == ComponentExternalKind::Type)
            .count(),
        _ => 0,
    };
    u32::try_from(found).expect("there are few types")
}

fn section(bytes: &mut Vec<u8>, id: u8, parts: &[&[u8]]) {
    let body = parts.concat();
    bytes.push(id);
    bytes.extend(leb(u32::try_from(body.len()).expect("sections are small")));
    bytes.extend(body);
}

/// LEB128.
fn leb(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
