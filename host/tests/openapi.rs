//! The OpenAPI document: valid, whole, and the one that is committed.

use std::{collections::HashMap, fs, path::Path};

use jackfield::http::openapi_text;
use serde_json::{Map, Value};

const RENEW: &str = "cargo run -p jackfield -- openapi > docs/openapi.json";

fn document() -> Value {
    serde_json::from_str(&openapi_text()).expect("it is JSON")
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().expect("there are paths");
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("a path has methods");
        methods.iter().map(move |(method, operation)| {
            let operation = operation.as_object().expect("a method is described");
            (format!("{method} {path}"), operation)
        })
    })
}

#[test]
fn the_committed_document_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let committed = fs::read_to_string(file).unwrap_or_default();
    assert!(
        committed == openapi_text(),
        "docs/openapi.json is not what the program makes; renew it: {RENEW}"
    );
}

#[test]
fn it_is_a_document_of_openapi_3_1() {
    let schema: Value = serde_json::from_str(include_str!("openapi/schema-3.1.json")).unwrap();
    let validator = jsonschema::options().build(&schema).unwrap();
    let document = document();
    let errors: Vec<_> = validator
        .iter_errors(&document)
        .take(10)
        .map(|error| format!("{}: {}", error.instance_path(), error.masked()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value, missing: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    match inner.as_str().filter(|_| key == "$ref") {
                        Some(target) => {
                            let pointer = target.strip_prefix('#');
                            if pointer
                                .and_then(|pointer| document.pointer(pointer))
                                .is_none()
                            {
                                missing.push(target.to_owned());
                            }
                        }
                        None => walk(inner, document, missing),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, document, missing)),
            _ => {}
        }
    }
    let document = document();
    let mut missing = Vec::new();
    walk(&document, &document, &mut missing);
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_operation_is_described() {
    let document = document();
    let tags: Vec<_> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let mut problems = Vec::new();
    let mut ids = HashMap::new();
    for (place, operation) in operations(&document) {
        let text = |key: &str| {
            operation
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if let Some(other) = ids.insert(text("operationId").to_owned(), place.clone()) {
            problems.push(format!("{place} and {other} have the same operationId"));
        }
        if text("operationId").is_empty() {
            problems.push(format!("{place} has no operationId"));
        }
        if !text("summary").ends_with('.') {
            problems.push(format!("{place}: the summary is no sentence"));
        }
        if !tags.contains(&&operation["tags"][0]) {
            problems.push(format!(
                "{place}: the tag {} is not declared",
                operation["tags"][0]
            ));
        }
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let described: Vec<&Value> = parameters
            .into_iter()
            .flatten()
            .map(|one| match one["$ref"].as_str() {
                Some(target) => document
                    .pointer(target.trim_start_matches('#'))
                    .expect("it resolves"),
                None => one,
            })
            .filter(|one| one["in"] == "path")
            .map(|one| &one["name"])
            .collect();
        let parts = place.split('/').filter_map(|part| part.strip_prefix('{'));
        let parts: Vec<_> = parts.map(|part| part.trim_end_matches('}')).collect();
        if parts.len() != described.len()
            || !parts
                .iter()
                .all(|part| described.iter().any(|name| *name == part))
        {
            problems.push(format!("{place}: described are {described:?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let mut validators = HashMap::new();
    let mut problems = Vec::new();
    for (place, operation) in operations(&document) {
        let bodies = operation.get("requestBody").into_iter();
        let answers = operation["responses"].as_object().unwrap().values();
        for holder in bodies.chain(answers) {
            let content = holder.get("content").and_then(Value::as_object);
            for media in content.into_iter().flat_map(Map::values) {
                let (Some(schema), Some(example)) = (media.get("schema"), media.get("example"))
                else {
                    continue;
                };
                let validator = validators.entry(schema.to_string()).or_insert_with(|| {
                    let mut whole = schema.clone();
                    whole["components"] = document["components"].clone();
                    jsonschema::draft202012::options()
                        .should_validate_formats(true)
                        .build(&whole)
                        .unwrap()
                });
                if let Some(error) = validator.iter_errors(example).next() {
                    problems.push(format!("{place}: {}: {error}", error.instance_path()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
