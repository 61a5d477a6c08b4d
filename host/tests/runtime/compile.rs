//! Compiling in a child process, and what is kept of it.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use jackfield::runtime::{CompileLimits, Compiler, ConnectorState};

use crate::{
    guest::{Guest, good},
    house::House,
};

fn child(limits: CompileLimits) -> Compiler {
    Compiler::Child {
        program: env!("CARGO_BIN_EXE_jackfield").into(),
        limits,
    }
}

fn house(compiler: Compiler) -> House {
    House::with(|options| options.compiler = compiler)
}

/// A function with so many values that live at the same time: a small file, and hours of work for
/// who assigns registers.
fn many_values(count: usize) -> Guest {
    let mut function = String::from("(func $bomb (param i64) (result i64) (local");
    function.push_str(&" i64".repeat(count));
    function.push(')');
    for local in 1..=count {
        write!(
            function,
            "(local.set {local} (i64.mul (local.get {}) (i64.add (local.get 0) (i64.const {local}))))",
            local - 1
        )
        .expect("text can be written");
    }
    for round in 0..20 {
        for local in 1..=count {
            let other = (local * 7 + round * 13) % count + 1;
            write!(
                function,
                "(local.set {local} (i64.add (local.get {local}) (local.get {other})))"
            )
            .expect("text can be written");
        }
    }
    function.push_str("(local.get 1))");
    Guest {
        functions: function.leak(),
        ..good("bomb", "[1]")
    }
}

/// One function of so many operations: memory for who compiles it.
fn many_operations(count: usize) -> Guest {
    let body = "(local.set 0 (i64.add (i64.load (i32.wrap_i64 (local.get 0))) (i64.const 7)))";
    let function = format!(
        "(func $bomb (param i64) (result i64) {} (local.get 0))",
        body.repeat(count)
    );
    Guest {
        functions: function.leak(),
        ..good("bomb", "[1]")
    }
}

/// What is said of a bomb, and that nothing else suffers.
async fn refusal(limits: CompileLimits, bomb: &Guest) -> String {
    let house = house(child(limits));
    house.put("good.wasm", &good("good", "[1]").bytes());
    house.runtime.scan().await;
    house.put("bomb.wasm", &bomb.bytes());
    house.settle().await;
    assert_eq!(
        house.unify("good").await.expect("the good one answers"),
        "[1]"
    );
    house.refusal("bomb.wasm").expect("it is refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_takes_too_much_computing_is_refused() {
    let limits = CompileLimits {
        cpu_seconds: 1,
        ..CompileLimits::default()
    };
    assert_eq!(
        refusal(limits, &many_values(2000)).await,
        "it cannot be compiled: compiling it takes more than 1 s of computing (runtime.compile_cpu_seconds)"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_takes_too_long_is_refused() {
    let limits = CompileLimits {
        wall_seconds: 1,
        ..CompileLimits::default()
    };
    assert_eq!(
        refusal(limits, &many_values(2000)).await,
        "it cannot be compiled: compiling it takes more than 1 s (runtime.compile_timeout_seconds)"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_takes_too_much_memory_is_refused() {
    let limits = CompileLimits {
        memory_mib: 256,
        ..CompileLimits::default()
    };
    assert_eq!(
        refusal(limits, &many_operations(100_000)).await,
        "it cannot be compiled: compiling it takes more than 256 MiB of memory (runtime.compile_memory_mib)"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_compiler_says_is_told() {
    // The runtime reads the outline only: what is wrong within a function is the compiler's to say.
    let mut bytes = good("bad", "[1]").bytes();
    let constant = bytes
        .windows(4)
        .position(|bytes| bytes == [0x41, 0x80, 0x08, 0x0b])
        .expect("the answer's place is a constant");
    bytes[constant] = 0x42;
    let house = house(child(CompileLimits::default()));
    house.put("bad.wasm", &bytes);
    house.settle().await;
    let error = house.refusal("bad.wasm").expect("it is refused");
    assert!(error.contains("type mismatch"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_compiler_gets_no_environment_and_an_empty_folder() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let spy = folder.path().join("spy");
    fs::write(&spy, "#!/bin/sh\n(env; pwd; ls -a) >&2\nexit 3\n").expect("the folder is ours");
    fs::set_permissions(&spy, fs::Permissions::from_mode(0o700)).expect("the file is ours");
    let house = house(Compiler::Child {
        program: spy,
        limits: CompileLimits::default(),
    });
    house.put("good.wasm", &good("good", "[1]").bytes());
    house.runtime.scan().await;
    let told = house
        .refusal("good.wasm")
        .expect("the spy compiles nothing");
    let told = told.trim_start_matches("it cannot be compiled: ");
    let mut words: Vec<&str> = told
        .split("; ")
        .map(|line| line.split('=').next().unwrap_or_default())
        .filter(|name| !["PWD", "SHLVL", "OLDPWD", "_", ".", ".."].contains(name))
        .collect();
    words.sort_unstable();
    let [empty, names @ ..] = words.as_slice() else {
        panic!("{told}");
    };
    assert!(empty.ends_with("/cache/empty"), "{told}");
    assert_eq!(names, ["MIMALLOC_ARENA_RESERVE", "RAYON_NUM_THREADS"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_compiler_a_file_waits_for_one() {
    let mut house = house(Compiler::Child {
        program: "/nowhere/jackfield".into(),
        limits: CompileLimits::default(),
    });
    house.put("good.wasm", &good("good", "[1]").bytes());
    house.runtime.scan().await;
    let error = house.refusal("good.wasm").expect("nobody compiles");
    assert!(error.contains("the compiler cannot be run"), "{error}");
    house.restart(|options| options.compiler = child(CompileLimits::default()));
    house.runtime.scan().await;
    assert_eq!(house.unify("good").await.unwrap(), "[1]");

    // What is compiled needs no compiler.
    house.restart(|options| {
        options.compiler = Compiler::Child {
            program: "/nowhere/jackfield".into(),
            limits: CompileLimits::default(),
        };
    });
    house.runtime.scan().await;
    assert_eq!(house.unify("good").await.unwrap(), "[1]");
}

/// The compiled files, by name.
fn compiled(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache).expect("the cache is there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .collect();
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compiled_file_that_is_not_ours_is_made_anew() {
    let mut house = house(Compiler::InProcess);
    house.put("acme.wasm", &good("acme", "[1]").bytes());
    house.put("other.wasm", &good("other", "[2]").bytes());
    house.runtime.scan().await;
    let cache = house.cache();
    let files = compiled(&cache);
    assert_eq!(files.len(), 2);
    assert_eq!(mode(&cache), 0o700);
    assert!(files.iter().all(|file| mode(file) == 0o600));
    assert_eq!(mode(&cache.join("key")), 0o600);

    let bytes: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let elsewhere = cache.join("elsewhere");
    fs::write(&elsewhere, &bytes[0]).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    let write = |content: &[u8]| {
        fs::remove_file(&files[0]).unwrap();
        fs::write(&files[0], content).unwrap();
        fs::set_permissions(&files[0], fs::Permissions::from_mode(0o600)).unwrap();
    };
    let mut edited = bytes[0].clone();
    edited[bytes[0].len() / 2] ^= 1;
    let spoils: [(&str, &dyn Fn()); 8] = [
        ("edited", &|| write(&edited)),
        ("cut", &|| write(&bytes[0][..bytes[0].len() - 1])),
        ("empty", &|| write(&[])),
        ("longer", &|| write(&[&bytes[0][..], &[0]].concat())),
        ("of another connector", &|| write(&bytes[1])),
        ("open to others", &|| {
            fs::set_permissions(&files[0], fs::Permissions::from_mode(0o622)).unwrap();
        }),
        ("a link", &|| {
            fs::remove_file(&files[0]).unwrap();
            symlink(&elsewhere, &files[0]).unwrap();
        }),
        ("under another key", &|| {
            fs::write(cache.join("key"), [7; 32]).unwrap();
        }),
    ];
    for (name, spoil) in spoils {
        spoil();
        house.restart(|_| {});
        house.runtime.scan().await;
        assert_eq!(house.unify("acme").await.unwrap(), "[1]", "{name}");
        assert_eq!(house.unify("other").await.unwrap(), "[2]", "{name}");
        let metadata = fs::symlink_metadata(&files[0]).expect("it was made anew");
        assert!(metadata.is_file() && mode(&files[0]) == 0o600, "{name}");
        if name != "under another key" {
            assert_eq!(fs::read(&files[0]).unwrap(), bytes[0], "{name}");
        }
    }
    assert_eq!(house.status("acme").state, ConnectorState::Active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_no_folder_for_compiled_code() {
    let mut house = house(Compiler::InProcess);
    let link = house.cache().with_file_name("link");
    symlink(house.cache(), &link).unwrap();
    let error = house
        .try_restart(|options| options.cache_dir = link)
        .expect_err("it is a link");
    assert!(error.to_string().contains("not a link"), "{error}");
}
