//! Checks of the two mapping functions against fixtures.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::fixture::{self, Mapping};
use crate::bindings::exports::jackfield::connector::connector::Guest;
use crate::{Connector, Failure, FieldMapping};

/// Checks every entry of `documents` and `inputs` in the fixtures of a folder.
///
/// # Panics
/// With all the differences, where there are any; also where the folder has no such entry.
pub fn check_mappings<C: Connector>(folder: impl AsRef<Path>) {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (file, fixture) in fixture::read_all(folder.as_ref()) {
        let documents = fixture.documents.iter().map(|case| ("documents", case));
        let inputs = fixture.inputs.iter().map(|case| ("inputs", case));
        for (index, (part, case)) in documents.enumerate().chain(inputs.enumerate()) {
            checked += 1;
            let (expected, found) = if part == "documents" {
                check_document::<C>(case)
            } else {
                check_input::<C>(case)
            };
            if expected != found {
                wrong.push(format!(
                    "{file}, {part}[{index}]:\nexpected {expected:#}\nfound    {found:#}"
                ));
            }
        }
    }
    assert!(
        checked > 0,
        "no fixture in {} has documents or inputs",
        folder.as_ref().display()
    );
    assert!(
        wrong.is_empty(),
        "{} of {checked} mappings differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Unifies documents as the host would, one entry per document.
///
/// # Errors
/// What the connector answers for the whole call.
pub fn unify<C: Connector>(
    object: &str,
    documents: &[Value],
    fields: &[(&str, &str)],
) -> Result<Vec<Value>, Failure> {
    let fields = fields
        .iter()
        .map(|(slug, remote)| mapping(slug, remote))
        .collect();
    let answer = <C as Guest>::unify(object.to_owned(), json!(documents).to_string(), fields)?;
    Ok(serde_json::from_str(&answer).expect("unify answers a JSON array"))
}

/// Turns a unified object into the provider's input document.
///
/// # Errors
/// What the connector answers.
pub fn desunify<C: Connector>(
    object: &str,
    unified: &Value,
    fields: &[(&str, &str)],
) -> Result<Value, Failure> {
    let fields = fields
        .iter()
        .map(|(slug, remote)| mapping(slug, remote))
        .collect();
    let answer = <C as Guest>::desunify(object.to_owned(), unified.to_string(), fields)?;
    Ok(serde_json::from_str(&answer).expect("desunify answers JSON"))
}

fn check_document<C: Connector>(case: &Mapping) -> (Value, Value) {
    let remote = case.remote.clone().expect("a document has `remote`");
    let found = unify::<C>(&case.object, &[remote], &pairs(&case.fields)).map_or_else(
        |failure| json!({ "error": failure.message() }),
        |mut entries| {
            let entry = entries.remove(0);
            match entry.pointer("/error/message") {
                Some(message) => json!({ "error": message }),
                None => entry,
            }
        },
    );
    (expected(case, case.unified.as_ref()), found)
}

fn check_input<C: Connector>(case: &Mapping) -> (Value, Value) {
    let unified = case.unified.as_ref().expect("an input has `unified`");
    let found = desunify::<C>(&case.object, unified, &pairs(&case.fields))
        .unwrap_or_else(|failure| json!({ "error": failure.message() }));
    (expected(case, case.remote.as_ref()), found)
}

fn expected(case: &Mapping, result: Option<&Value>) -> Value {
    case.error.as_ref().map_or_else(
        || {
            result
                .cloned()
                .expect("a mapping has a result or an `error`")
        },
        |error| json!({ "error": error }),
    )
}

fn pairs(fields: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    fields
        .iter()
        .map(|(slug, remote)| (slug.as_str(), remote.as_str()))
        .collect()
}

fn mapping(slug: &str, remote_field: &str) -> FieldMapping {
    FieldMapping {
        slug: slug.to_owned(),
        remote_field: remote_field.to_owned(),
    }
}
