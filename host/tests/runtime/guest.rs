//! Connectors made of WebAssembly text.

use std::path::Path;

use wit_component::StringEncoding;
use wit_parser::Resolve;

const TEMPLATE: &str = include_str!("../fixtures/guest.wat");

/// A connector. What is not said does nothing bad: `unify` answers `answer`.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) manifest: String,
    pub(crate) imports: &'static str,
    pub(crate) memory: &'static str,
    pub(crate) realloc: &'static str,
    pub(crate) functions: &'static str,
    pub(crate) authenticate: String,
    pub(crate) fetch: &'static str,
    pub(crate) unify: &'static str,
    pub(crate) answer: String,
}

/// A good connector of that slug, whose `unify` answers `answer`.
pub(crate) fn good(slug: &str, answer: &str) -> Guest {
    Guest {
        manifest: manifest(slug, 16),
        imports: "",
        memory: "3",
        realloc: "",
        functions: "",
        authenticate: "(i32.const 1152)".to_owned(),
        fetch: "(i32.const 1088)",
        unify: "(i32.const 1024)",
        answer: answer.to_owned(),
    }
}

/// A manifest with a memory limit, MiB.
pub(crate) fn manifest(slug: &str, memory_mib: u32) -> String {
    format!(
        r#"
slug = "{slug}"
name = "Test"
version = "1.0.0"
description = "For tests."
[endpoints.api]
production = "https://api.example.com"
[auth.token]
type = "bearer"
title = "Token"
[objects."crm.contact"]
operations = ["read"]
fields = ["first_name"]
[permissions]
http = ["https://api.example.com/"]
memory_mib = {memory_mib}
"#
    )
}

impl Guest {
    /// The file, as `cargo build` would leave it: a core module that carries its component type
    /// and its manifest.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        with_manifest(self.module(), &self.manifest)
    }

    /// The same without a manifest.
    pub(crate) fn module(&self) -> Vec<u8> {
        let length = u32::try_from(self.answer.len()).expect("answers are small");
        let text = [
            ("imports", self.imports),
            ("memory", self.memory),
            ("realloc", self.realloc),
            ("functions", self.functions),
            ("authenticate", &self.authenticate),
            ("fetch", self.fetch),
            ("unify", self.unify),
            ("length", &escaped(&length.to_le_bytes())),
            ("answer", &escaped(self.answer.as_bytes())),
        ]
        .iter()
        .fold(TEMPLATE.to_owned(), |text, (name, value)| {
            text.replace(&format!("@{name}@"), value)
        });
        let mut module = wat::parse_str(text).expect("the text is WebAssembly");
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("wit"))
            .find(|folder| folder.join("connector.wit").is_file())
            .expect("the crate lies in the repository");
        let (package, _) = resolve.push_dir(wit).expect("wit/ can be read");
        let mut embed = |name: &str| {
            let world = resolve
                .select_world(&[package], Some(name))
                .expect("the world is there");
            let utf8 = StringEncoding::UTF8;
            wit_component::embed_component_metadata(&mut module, &resolve, world, utf8)
                .expect("the world can be embedded");
        };
        embed("connector-plugin");
        if self.functions.contains("/webhooks@0.1.0#receive") {
            embed("webhooks-plugin");
        }
        module
    }
}

/// The bytes with one more section, the manifest. Core modules and components have the same form
/// of it.
pub(crate) fn with_manifest(mut wasm: Vec<u8>, manifest: &str) -> Vec<u8> {
    let name = "jackfield:manifest";
    let mut section = number(name.len());
    section.extend(name.bytes());
    section.extend(manifest.bytes());
    wasm.push(0);
    wasm.extend(number(section.len()));
    wasm.extend(section);
    wasm
}

/// LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
