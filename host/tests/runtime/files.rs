//! Files that are no connectors: each is refused with a sentence, and everything else goes on.

use jackfield::runtime::{Artifact, ConnectorState};

use crate::{
    guest::{Guest, good, manifest, with_manifest},
    house::House,
};

/// A name, the bytes of a file, and what the sentence must say.
fn bad_files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let victim = good("victim", "[2]");
    let file = |guest: Guest| guest.bytes();
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    let component = |text: &str| {
        with_manifest(
            wat::parse_str(text).expect("the text is WebAssembly"),
            &manifest("victim", 16),
        )
    };
    let made = Artifact::read(&victim.bytes())
        .expect("it is good")
        .component;
    let endless = "(func $endless (loop $again (br $again))) (start $endless)";
    vec![
        ("nothing", Vec::new(), "not a WebAssembly file"),
        (
            "random bytes",
            (0_u32..5000)
                .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect(),
            "not a WebAssembly file",
        ),
        ("only the magic number", b"\0asm".to_vec(), "not"),
        ("truncated module", cut(victim.bytes()), "not valid"),
        ("truncated component", cut(made), "not valid"),
        (
            "module without contract",
            wat::parse_str("(module)").expect("it is WebAssembly"),
            "without the connector contract",
        ),
        ("no manifest", victim.module(), "has no manifest"),
        (
            "two manifests",
            with_manifest(victim.bytes(), &manifest("victim", 16)),
            "has 2 manifests",
        ),
        (
            "broken manifest",
            with_manifest(victim.module(), "slug = 7"),
            "connector.toml",
        ),
        (
            "unknown key",
            with_manifest(
                victim.module(),
                &format!("colour = 1\n{}", manifest("victim", 16)),
            ),
            "colour",
        ),
        (
            "manifest that is not text",
            {
                let mut bytes = with_manifest(victim.module(), "x");
                *bytes.last_mut().expect("it is not empty") = 0xff;
                bytes
            },
            "not UTF-8",
        ),
        (
            "foreign import",
            component(
                r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "f" (func)))))"#,
            ),
            "it imports wasi:cli/environment@0.2.0, which no connector gets",
        ),
        (
            "import of a name that only looks like ours",
            component(
                r#"(component (import "jackfield:connector/files@0.1.0" (instance (export "f" (func)))))"#,
            ),
            "which no connector gets",
        ),
        (
            "no export",
            component("(component)"),
            "does not export jackfield:connector/connector",
        ),
        (
            "other types",
            component(
                r#"(component (instance $empty) (export "jackfield:connector/connector@0.1.0" (instance $empty)))"#,
            ),
            "does not match the contract",
        ),
        (
            "endless start",
            file(Guest {
                functions: endless,
                ..victim.clone()
            }),
            "a test call failed: the connector was stopped after",
        ),
        (
            "crash at the start",
            file(Guest {
                functions: "(func $crash unreachable) (start $crash)",
                ..victim.clone()
            }),
            "a test call failed: the connector crashed",
        ),
        (
            "4 GiB of memory",
            file(Guest {
                memory: "65536",
                ..victim.clone()
            }),
            "memory",
        ),
        (
            "more memory than its own limit",
            file(Guest {
                memory: "300",
                ..victim.clone()
            }),
            "memory",
        ),
        (
            "more memory than the operator gives",
            file(Guest {
                manifest: manifest("victim", 64),
                ..victim
            }),
            "the operator gives at most 32",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_is_refused_with_a_sentence_and_the_older_version_serves() {
    let house = House::new();
    house.put("good.wasm", &good("good", "[1]").bytes());
    house.put("victim.wasm", &good("victim", "[1]").bytes());
    house.runtime.scan().await;
    for (name, bytes, sentence) in bad_files() {
        house.put("victim.wasm", &bytes);
        house.put("new.wasm", &bytes);
        house.settle().await;

        let status = house.status("victim");
        let error = status
            .last_error
            .unwrap_or_else(|| panic!("{name} was taken"));
        assert!(error.contains(sentence), "{name}: {error}");
        assert_eq!(status.state, ConnectorState::Active, "{name}");
        assert_eq!(house.unify("victim").await.unwrap(), "[1]", "{name}");
        let error = house.refusal("new.wasm").unwrap_or_default();
        assert!(error.contains(sentence), "{name}: {error}");
        assert_eq!(house.unify("good").await.unwrap(), "[1]", "{name}");
    }
    house.remove("new.wasm");
    house.put("victim.wasm", &good("victim", "[2]").bytes());
    house.settle().await;
    assert_eq!(house.unify("victim").await.unwrap(), "[2]");
    assert_eq!(house.status("victim").last_error, None);
    assert_eq!(house.refusal("new.wasm"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_larger_than_any_connector_is_not_even_read() {
    let house = House::new();
    let file = std::fs::File::create(house.path("large.wasm")).unwrap();
    // Takes no space, and would take all memory.
    file.set_len(1 << 40).unwrap();
    house.runtime.scan().await;
    let error = house.refusal("large.wasm").unwrap();
    assert!(
        error.contains("the file has 1099511627776 bytes"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_finished_file_is_left_alone() {
    let house = House::new();
    let bytes = good("good", "[1]").bytes();
    for name in [".hidden.wasm", "good.wasm.part", "good.txt"] {
        std::fs::write(house.path(name), &bytes).unwrap();
    }
    std::fs::create_dir(house.path("folder.wasm")).unwrap();
    house.runtime.scan().await;
    house.settle().await;
    assert!(house.runtime.catalogue().is_empty());
}
