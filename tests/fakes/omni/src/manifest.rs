//! The connector's manifest, which follows from the schemas.

use std::fmt::Write as _;

use jackfield::model::{ObjectKind, Operation};

const HEAD: &str = r#"# Follows from wit/models; `just omni` writes it anew.
slug = "omni"
name = "Omni"
version = "0.1.0"
description = "Serves every object of every vertical, for tests."
licence = "Apache-2.0"
source = "https://github.com/jackfield/jackfield"

# A name that does not exist: tests say where the provider is.
[endpoints.api]
production = "http://omni.jackfield.localhost"

[auth.key]
type = "api_key"
title = "API key"
in = "header"
name = "X-Omni-Key"

[permissions]
http = ["http://omni.jackfield.localhost/v1/"]
"#;

/// The text of `connector.toml`: all objects with all that the unified API offers of them.
///
/// # Panics
/// Never: a string takes all.
#[must_use]
pub fn manifest() -> String {
    let mut text = HEAD.to_owned();
    for kind in ObjectKind::all() {
        let spec = kind.spec();
        let mut operations = vec!["\"read\""];
        let writes = [
            (Operation::Create, "\"create\""),
            (Operation::Update, "\"update\""),
            (Operation::Delete, "\"delete\""),
        ];
        let offered = writes.iter().filter(|(write, _)| spec.offers(*write));
        operations.extend(offered.map(|(_, word)| *word));
        let fields: Vec<_> = spec
            .properties
            .iter()
            .map(|field| format!("\n    \"{}\",", field.name))
            .collect();
        write!(
            text,
            "\n[objects.\"{kind}\"]\noperations = [{}]\nfields = [{}\n]\nincremental = true\n",
            operations.join(", "),
            fields.concat()
        )
        .expect("a string takes all");
    }
    text
}
