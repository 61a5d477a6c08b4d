//! What several operations share: problems, parameters, headers, schemas.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    http::{
        error::{Code, Error},
        operation::Parameter,
    },
    model::{Timestamp, Violation},
};

#[derive(Debug, Default)]
pub(super) struct Components {
    pub(super) schemas: Map<String, Value>,
    responses: Map<String, Value>,
    parameters: Map<String, Value>,
    /// Codes for which there is an example.
    codes: HashMap<&'static str, Code>,
}

impl Components {
    /// Adds a schema by its name.
    ///
    /// # Panics
    /// There is another of the same name: a type that differs between request and answer, or two
    /// types. A unit test makes the document, so that is found before a release.
    pub(super) fn schema(&mut self, name: String, schema: Value) {
        if let Some(other) = self.schemas.get(&name) {
            assert_eq!(
                other, &schema,
                "two schemas are called {name}: give one of the types #[schemars(rename = \"…\")]"
            );
        }
        self.schemas.insert(name, schema);
    }

    /// A reference to `described`, or itself where another parameter has its name.
    pub(super) fn parameter(&mut self, parameter: &Parameter, described: Value) -> Value {
        // A component's name takes no brackets.
        let name = parameter.name.replace('[', ".").replace(']', "");
        let name = format!("{}.{name}", parameter.place.as_str());
        let known = self.parameters.entry(name.as_str());
        if *known.or_insert_with(|| described.clone()) == described {
            json!({"$ref": format!("#/components/parameters/{name}")})
        } else {
            described
        }
    }

    /// A reference to the answer that is a problem with one of `codes`.
    pub(super) fn problem(&mut self, status: StatusCode, codes: &[Code], keyed: bool) -> Value {
        let mut names: Vec<_> = codes.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        let suffix = if keyed { "" } else { ".open" };
        let name = format!("{}.{}{suffix}", status.as_str(), names.join("."));
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        if self.responses.contains_key(&name) {
            return reference;
        }
        let mut examples = Map::new();
        let mut lines = Vec::new();
        for code in codes {
            self.codes.insert(code.name(), *code);
            let example = format!("#/components/examples/{}", code.name());
            examples.insert(code.name().to_owned(), json!({"$ref": example}));
            lines.push(format!(
                "* `{}`: {}. {}",
                code.name(),
                code.title(),
                code.help()
            ));
        }
        let mut headers = headers(keyed);
        if matches!(status.as_u16(), 429 | 503 | 507) {
            let reference = json!({"$ref": "#/components/headers/Retry-After"});
            headers.insert("Retry-After".to_owned(), reference);
        }
        let response = json!({
            "description": lines.join("\n"),
            "headers": headers,
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }},
        });
        self.responses.insert(name, response);
        reference
    }

    pub(super) fn finish(mut self) -> Value {
        self.schemas.insert("Problem".to_owned(), problem_schema());
        let mut examples = Map::new();
        for (name, code) in self.codes {
            let example = json!({"summary": code.title(), "value": problem_example(code)});
            examples.insert(name.to_owned(), example);
        }
        json!({
            "schemas": self.schemas,
            "responses": self.responses,
            "parameters": self.parameters,
            "examples": examples,
            "headers": shared_headers(),
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey", "in": "header", "name": "x-api-key",
                    "description": "The API key of a project. `jackfield api-key create` makes one.",
                },
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "The API key in `Authorization: Bearer`.",
                },
                "connectionToken": {
                    "type": "apiKey", "in": "header", "name": "x-connection-token",
                    "description": "The token of a connection; `GET /connections` lists them.",
                },
            },
        })
    }
}

/// References to the headers that an answer has.
pub(super) fn headers(keyed: bool) -> Map<String, Value> {
    let mut names = vec!["x-request-id"];
    if keyed {
        names.extend(["RateLimit-Policy", "RateLimit"]);
    }
    let references = names.into_iter().map(|name| {
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        (name.to_owned(), reference)
    });
    references.collect()
}

fn shared_headers() -> Value {
    json!({
        "x-request-id": {
            "description": "The id of the request: the caller's own where it sent one, else a new one. It finds the request in the server's log.",
            "required": true,
            "schema": {"type": "string"},
        },
        "RateLimit-Policy": {
            "description": "The server's own limit for the project, where the operator set one: requests (`q`) in seconds (`w`).",
            "schema": {"type": "string", "examples": ["\"project\";q=600;w=60"]},
        },
        "RateLimit": {
            "description": "How many requests remain (`r`), and the seconds until the whole limit is there again (`t`).",
            "schema": {"type": "string", "examples": ["\"project\";r=599;t=1"]},
        },
        "Retry-After": {
            "description": "Seconds after which it makes sense to try again.",
            "schema": {"type": "integer", "minimum": 0, "examples": [5]},
        },
    })
}

/// The body that `Error::render` writes.
fn problem_schema() -> Value {
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    let text = |description: &str| json!({"type": "string", "description": description});
    let status = |description: &str| json!({"type": "integer", "minimum": 400, "maximum": 599, "description": description});
    json!({
        "type": "object",
        "description": "An error: RFC 9457, and the four keys that the published contract has in every error.",
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Where the kind of error is explained."},
            "title": text("What the code means, in a few words."),
            "status": status("The status of the answer."),
            "detail": text("What happened here, in a sentence."),
            "code": {"type": "string", "enum": codes, "description": "The kind of error; stable."},
            "help": text("What to do about it."),
            "request_id": text("Finds the request in the server's log."),
            "violations": {
                "type": "array",
                "description": "What is wrong with the input, where that is known.",
                "items": {
                    "type": "object",
                    "properties": {
                        "path": text("JSON Pointer into the body; a parameter's name where it is in none."),
                        "message": text("What is wrong."),
                    },
                    "required": ["path", "message"],
                    "additionalProperties": false,
                },
            },
            "statusCode": status("The same as `status`."),
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "path": text("The path of the request."),
            "message": text("The same as `detail`."),
        },
        "required": ["type", "title", "status", "detail", "code", "help", "request_id", "statusCode", "timestamp", "path", "message"],
        "additionalProperties": false,
    })
}

fn problem_example(code: Code) -> Value {
    let mut error = Error::new(code, format!("{}.", code.title()));
    if matches!(code, Code::ValidationFailed | Code::InvalidSetting) {
        error = error.with_violations(vec![Violation {
            path: "/name".to_owned(),
            message: "is missing".to_owned(),
        }]);
    }
    let now = Timestamp::parse("2026-01-31T08:00:00Z").expect("it is a time");
    error.body("/crm/contacts", "0f8fad5bd9cb469fa165", now)
}
