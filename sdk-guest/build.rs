//! Turns the schemas under `wit/models/` into the Rust types of `models`.
//!
//! One schema file becomes one struct; a new object needs no code here. A vertical is generated only where the
//! connector asks for it by a feature, since all of them together would slow every connector's build.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

fn main() {
    let schemas = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"))
        .join("../wit/models");
    println!("cargo::rerun-if-changed={}", schemas.display());
    let mut out = String::from("// Generated from wit/models.\n");
    common(&read(&schemas.join("common.json")), &mut out);
    for folder in sorted(&schemas).into_iter().filter(|path| path.is_dir()) {
        let vertical = file_name(&folder);
        let mut structs = String::new();
        let feature = format!("CARGO_FEATURE_{}", vertical.to_uppercase());
        if std::env::var_os(feature).is_some() {
            for file in sorted(&folder) {
                object(&read(&file), &mut structs);
            }
        }
        // The compiler names the feature to whoever uses a module that is not there.
        writeln!(
            out,
            "/// Objects of the vertical `{vertical}`.\n#[cfg(feature = {vertical:?})]\npub mod {vertical} {{\n{structs}}}"
        )
        .expect("a string takes all");
    }
    currencies(&read(&schemas.join("currencies.json")), &mut out);
    println!("cargo::rustc-check-cfg=cfg(numbers)");
    if out.contains(NUMBER) {
        println!("cargo::rustc-cfg=numbers");
    }
    let target = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&target).join("models.rs"), out).expect("OUT_DIR can be written");
}

/// The shared parts. Nullable properties are always written out, the others only where they are known.
fn common(schema: &Value, out: &mut String) {
    let mut structs = String::new();
    let mut names = Vec::new();
    for (key, definition) in map(schema, "$defs") {
        let name = pascal(key);
        let mut fields = String::new();
        for (property, description) in map(definition, "properties") {
            let mut nested = String::new();
            let rust = rust_type(description, &name, property, &mut nested);
            structs.push_str(&nested);
            let skip = if nullable(description) {
                ""
            } else {
                "#[serde(skip_serializing_if = \"Option::is_none\")]\n"
            };
            writeln!(
                fields,
                "{}{skip}pub {}: Option<{rust}>,",
                docs(description),
                identifier(property)
            )
            .expect("a string takes all");
        }
        writeln!(
            structs,
            "{}{DERIVE}pub struct {name} {{\n{fields}}}",
            docs(definition)
        )
        .expect("a string takes all");
        names.push(name);
    }
    writeln!(
        out,
        "/// Parts that several objects share.\npub mod common {{\n{structs}}}\npub use common::{{{}}};",
        names.join(", ")
    )
    .expect("a string takes all");
}

/// Which currencies do not have two places behind the point.
fn currencies(table: &Value, out: &mut String) {
    out.push_str("pub(crate) const EXPONENTS: &[(&str, u32)] = &[");
    for (exponent, codes) in map(table, "exponents") {
        for code in codes.as_array().expect("a list of codes") {
            write!(out, "({code}, {exponent}),").expect("a string takes all");
        }
    }
    out.push_str("];\n");
}

/// One unified object.
fn object(schema: &Value, out: &mut String) {
    let kind = schema["title"].as_str().expect("a schema has a title");
    let (_, object) = kind.split_once('.').expect("a title is vertical.object");
    let name = pascal(object);
    structure(schema, &name, true, out);
    writeln!(out, "impl {name} {{\n/// The object's kind, as it stands in requests and manifests.\npub const KIND: &'static str = {kind:?};\n}}")
        .expect("a string takes all");
}

fn structure(schema: &Value, name: &str, with_custom_fields: bool, out: &mut String) {
    let mut nested = String::new();
    let mut fields = String::new();
    for (property, description) in map(schema, "properties") {
        let rust = rust_type(description, name, property, &mut nested);
        let number = if rust == "f64" { NUMBER } else { "" };
        writeln!(
            fields,
            "{}#[serde(skip_serializing_if = \"crate::Field::is_absent\"{number})]\npub {}: crate::Field<{rust}>,",
            docs(description),
            identifier(property)
        )
        .expect("a string takes all");
    }
    if with_custom_fields {
        fields.push_str(
            "/// Values of custom fields, by the slug under which the application knows them.\n\
             #[serde(skip_serializing_if = \"serde_json::Map::is_empty\")]\n\
             pub field_mappings: serde_json::Map<String, serde_json::Value>,\n",
        );
    }
    writeln!(
        out,
        "{nested}{}{DERIVE}pub struct {name} {{\n{fields}}}",
        docs(schema)
    )
    .expect("a string takes all");
}

/// How a number is written. What does it is there where a chosen object has one.
const NUMBER: &str = ", serialize_with = \"crate::field::number\"";
const DERIVE: &str = "#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]\n#[serde(default)]\n";

/// The Rust type of a property of `owner`; an object inside becomes a struct of its own in `out`, called after the
/// owner and the object's title, or else the property's name.
fn rust_type(property: &Value, owner: &str, name: &str, out: &mut String) -> String {
    // `anyOf` of a shared part and null.
    let reference = property["$ref"].as_str();
    if let Some(reference) = reference.or_else(|| property["anyOf"][0]["$ref"].as_str()) {
        let definition = reference
            .rsplit('/')
            .next()
            .expect("a reference has a last part");
        return format!("crate::models::common::{}", pascal(definition));
    }
    let kind = match &property["type"] {
        Value::String(kind) => Some(kind.as_str()),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        _ => None,
    };
    match kind {
        _ if property["x-money"].is_object() => "crate::Decimal".into(),
        Some("string") => "String".into(),
        Some("number") => "f64".into(),
        Some("integer") => "i64".into(),
        Some("boolean") => "bool".into(),
        Some("array") => format!("Vec<{}>", rust_type(&property["items"], owner, name, out)),
        Some("object") if property["properties"].is_object() => {
            let name = property["title"].as_str().unwrap_or(name);
            let name = format!("{owner}{}", pascal(name));
            structure(property, &name, false, out);
            name
        }
        Some("object") => "serde_json::Map<String, serde_json::Value>".into(),
        _ => "serde_json::Value".into(),
    }
}

/// The description as a doc comment, with what the schema advises.
fn docs(schema: &Value) -> String {
    let mut text = format!(
        "/// {}\n",
        schema["description"]
            .as_str()
            .unwrap_or("An item of a list.")
    );
    let mut more = |line: String| {
        text.push_str("///\n/// ");
        text.push_str(&line);
        text.push('\n');
    };
    if let Some(values) = schema["x-suggested"]
        .as_array()
        .or_else(|| schema["enum"].as_array())
    {
        let listed: Vec<String> = values
            .iter()
            .take(6)
            .map(|value| format!("`{value}`"))
            .collect();
        let rest = if values.len() > 6 { " and so on" } else { "" };
        more(format!("Values: {}{rest}.", listed.join(", ")));
    }
    if let Some(kind) = schema["x-reference"].as_str() {
        more(format!("Remote id of a `{kind}`."));
    }
    if let Some(kind) = schema["items"]["x-reference"].as_str() {
        more(format!("Remote ids of `{kind}`."));
    }
    text
}

fn nullable(property: &Value) -> bool {
    property["type"]
        .as_array()
        .is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"))
}

fn identifier(property: &str) -> String {
    match property {
        "abstract" | "as" | "async" | "await" | "become" | "box" | "break" | "const"
        | "continue" | "do" | "dyn" | "else" | "enum" | "extern" | "false" | "final" | "fn"
        | "for" | "gen" | "if" | "impl" | "in" | "let" | "loop" | "macro" | "match" | "mod"
        | "move" | "mut" | "override" | "priv" | "pub" | "ref" | "return" | "static" | "struct"
        | "trait" | "true" | "try" | "type" | "typeof" | "unsafe" | "unsized" | "use"
        | "virtual" | "where" | "while" | "yield" => {
            format!("r#{property}")
        }
        _ => property.into(),
    }
}

fn pascal(name: &str) -> String {
    name.split(['_', '-', '.'])
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(letters).collect()
            })
        })
        .collect()
}

fn map<'a>(schema: &'a Value, key: &str) -> &'a Map<String, Value> {
    schema[key]
        .as_object()
        .unwrap_or_else(|| panic!("a schema has {key}: {schema}"))
}

fn read(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .expect("a folder has a name")
        .to_string_lossy()
        .into_owned()
}
