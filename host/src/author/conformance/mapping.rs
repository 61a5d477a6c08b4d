//! The two pure functions against the fixtures.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Bench, Check, Verdict};
use crate::{
    author::fixture::Mapping,
    model::{ObjectKind, ObjectSupport, PushOperation, Violation, money},
    runtime::{CallError, Failure},
};

const RECORD: &str = "Add a fixture with `documents`; `jackfield connector record` writes one.";

pub(super) async fn all(bench: &Bench<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let manifest = bench.lab.manifest();
    for object in &manifest.objects {
        let name = object.kind.name();
        checks.push(Check::of("fixtures", name, fixtures(bench, object)));
        checks.push(Check::of("unify", name, unify(bench, object.kind).await));
        checks.push(Check::of(
            "pure",
            name,
            same_twice(bench, object.kind).await,
        ));
        if writes(object) {
            checks.push(Check::of(
                "desunify",
                name,
                desunify(bench, object.kind).await,
            ));
            checks.push(Check::of(
                "round trip",
                name,
                round_trip(bench, object.kind).await,
            ));
        }
        checks.push(Check::of("coverage", name, coverage(bench, object).await));
    }
    let foreign = ObjectKind::all().find(|kind| manifest.object(*kind).is_none());
    if let Some(foreign) = foreign {
        let name = foreign.name();
        checks.push(Check::of(
            "foreign object",
            name,
            refuses(bench, foreign).await,
        ));
    }
    checks
}

/// Whether creating or updating it goes through `desunify`.
pub(in crate::author) fn writes(object: &ObjectSupport) -> bool {
    let mut push = object.push.iter();
    push.any(|operation| *operation != PushOperation::Delete)
}

/// Checks a unified object as the host does: with its amounts of money in the form of the wire.
pub(in crate::author) fn fits_schema(
    kind: ObjectKind,
    unified: &Map<String, Value>,
) -> Result<(), Vec<Violation>> {
    let mut unified = unified.clone();
    // Custom fields are a matter between host and connector; the schemas do not know them.
    unified.remove("field_mappings");
    money::to_wire(kind, &mut unified)?;
    kind.validate_output(&Value::Object(unified))
}

/// The first of what is wrong, in a sentence.
pub(in crate::author) fn sentence(violations: &[Violation]) -> String {
    violations
        .first()
        .map_or_else(String::new, ToString::to_string)
}

/// Whether the fixtures fit the schemas, and fill what the manifest says.
fn fixtures(bench: &Bench<'_>, object: &ObjectSupport) -> Verdict {
    let kind = object.kind;
    let mut filled = BTreeSet::new();
    let documents = bench.fixtures.documents(kind);
    for (place, case) in &documents {
        let Some(unified) = &case.unified else {
            continue;
        };
        let set = unified.iter().filter(|(_, value)| !value.is_null());
        filled.extend(set.map(|(field, _)| field.as_str()));
        if let Err(violations) = fits_schema(kind, unified) {
            return Verdict::failed(
                format!(
                    "{place}: unified does not fit the schema: {}",
                    sentence(&violations)
                ),
                format!(
                    "Correct it after wit/models/{}.json.",
                    kind.name().replace('.', "/")
                ),
            );
        }
    }
    filled.remove("field_mappings");
    let readable = |field: &&str| {
        let property = kind.spec().property(field);
        property.is_some_and(|known| !known.write_only)
    };
    let claimed: BTreeSet<&str> = object
        .fields
        .iter()
        .map(String::as_str)
        .filter(readable)
        .collect();
    if let Some(field) = claimed.difference(&filled).next() {
        return Verdict::failed(
            format!("connector.toml promises {field:?}, and no document of a fixture fills it"),
            format!("{RECORD} Or take it out of objects.\"{kind}\".fields in connector.toml."),
        );
    }
    if let Some(field) = filled.difference(&claimed).next() {
        return Verdict::failed(
            format!("a document fills {field:?}, which connector.toml does not promise"),
            format!("Add it to objects.\"{kind}\".fields in connector.toml."),
        );
    }
    let inputs = bench.fixtures.inputs(kind);
    if writes(object) && inputs.iter().all(|(_, case)| case.error.is_some()) {
        return Verdict::failed(
            "it is written, and no fixture has an input",
            "Add `inputs` to a fixture: a unified object and the document that is sent.",
        );
    }
    Verdict::ok(format!(
        "{} documents, {} inputs",
        documents.len(),
        inputs.len()
    ))
}

async fn unify(bench: &Bench<'_>, kind: ObjectKind) -> Verdict {
    let version = &bench.lab.version;
    let cases = bench.fixtures.documents(kind);
    match version.unify(kind, "[]".to_owned(), &[]).await {
        Ok(text) if serde_json::from_str::<Vec<Value>>(&text).is_ok_and(|list| list.is_empty()) => {
        }
        Ok(text) => {
            return Verdict::failed(
                format!("no documents become {text}"),
                "Answer one entry for each document: [] for [].",
            );
        }
        Err(error) => return Verdict::broken("unify of no documents", &error),
    }
    if cases.is_empty() {
        return Verdict::skipped("no fixture has a document of it", RECORD);
    }
    let mut documents = Vec::new();
    let mut expected: Vec<(String, Option<Map<String, Value>>)> = Vec::new();
    for (place, case) in &cases {
        let mut document = case.remote.clone().unwrap_or_default();
        // A provider may add fields at any time.
        if let Some(document) = document.as_object_mut() {
            document.insert("x_jackfield_unknown".into(), json!({ "deep": [1, null] }));
        }
        documents.push(document);
        let mut unified = case.unified.clone();
        if let Some(unified) = &mut unified {
            unified.remove("field_mappings");
        }
        expected.push((place.clone(), unified));
    }
    // One that makes no sense must not spoil its neighbours.
    documents.insert(1, json!("no document of any provider"));
    expected.insert(1, ("a document that is only a text".to_owned(), None));
    let entries = match version.unify(kind, json!(documents).to_string(), &[]).await {
        Ok(text) => match serde_json::from_str::<Vec<Value>>(&text) {
            Ok(entries) => entries,
            Err(error) => {
                return Verdict::failed(
                    format!("unify answers no JSON array: {error}"),
                    "Answer an array with one entry for each document.",
                );
            }
        },
        Err(error) => {
            return Verdict::failed(
                format!("documents with one among them that is only a text: {error}"),
                "Answer {\"error\": {\"message\": …}} for that one, and the others as ever.",
            );
        }
    };
    if entries.len() != documents.len() {
        return Verdict::failed(
            format!(
                "{} documents become {} entries",
                documents.len(),
                entries.len()
            ),
            "Answer one entry for each document, in order.",
        );
    }
    for (entry, (place, expected)) in entries.iter().zip(&expected) {
        if let Some(verdict) = differs(place, entry, expected.as_ref()) {
            return verdict;
        }
    }
    for (place, case) in cases.iter().filter(|(_, case)| !case.fields.is_empty()) {
        if let Some(verdict) = custom(bench, kind, place, case).await {
            return verdict;
        }
    }
    Verdict::ok(format!(
        "{} documents become what the fixtures say",
        cases.len()
    ))
}

/// A document with its custom fields.
async fn custom(
    bench: &Bench<'_>,
    kind: ObjectKind,
    place: &str,
    case: &Mapping,
) -> Option<Verdict> {
    let documents = json!([case.remote]).to_string();
    let answer = bench
        .lab
        .version
        .unify(kind, documents, &case.mappings())
        .await;
    let text = match answer {
        Ok(text) => text,
        Err(error) => return Some(Verdict::broken(place, &error)),
    };
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    differs(
        place,
        entries.first().unwrap_or(&Value::Null),
        case.unified.as_ref(),
    )
}

/// How an entry differs from what a fixture says; a refusal where it says nothing.
fn differs(place: &str, entry: &Value, expected: Option<&Map<String, Value>>) -> Option<Verdict> {
    let Some(expected) = expected else {
        let refused = entry
            .pointer("/error/message")
            .is_some_and(Value::is_string);
        return (!refused).then(|| {
            Verdict::failed(
                format!("{place} becomes {entry}"),
                "Answer {\"error\": {\"message\": …}} for a document that makes no sense.",
            )
        });
    };
    let found = entry.as_object();
    let nothing = Map::new();
    let field = first_difference(expected, found.unwrap_or(&nothing))?;
    let of = |map: Option<&Map<String, Value>>| {
        let value = map.and_then(|map| map.get(&field));
        value.map_or_else(|| "nothing".to_owned(), Value::to_string)
    };
    Some(Verdict::failed(
        format!(
            "{place}: {field} is {}, and the fixture says {}{}",
            of(found),
            of(Some(expected)),
            entry
                .pointer("/error/message")
                .map(|message| format!(" (refused: {message})"))
                .unwrap_or_default()
        ),
        "Correct unify, or the fixture where it is wrong.",
    ))
}

fn first_difference(one: &Map<String, Value>, other: &Map<String, Value>) -> Option<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let mut names = names.into_iter();
    names
        .find(|name| one.get(*name) != other.get(*name))
        .cloned()
}

/// Two fresh instances must answer the same bytes.
pub(in crate::author) async fn same_answers(
    version: &crate::runtime::ConnectorVersion,
    kind: ObjectKind,
    documents: &[Value],
) -> Result<bool, CallError> {
    let documents = json!(documents).to_string();
    let one = version.unify(kind, documents.clone(), &[]).await?;
    let other = version.unify(kind, documents, &[]).await?;
    Ok(one == other)
}

async fn same_twice(bench: &Bench<'_>, kind: ObjectKind) -> Verdict {
    let cases = bench.fixtures.documents(kind);
    let documents: Vec<Value> = cases
        .iter()
        .filter_map(|(_, case)| case.remote.clone())
        .collect();
    if documents.is_empty() {
        return Verdict::skipped("no fixture has a document of it", RECORD);
    }
    match same_answers(&bench.lab.version, kind, &documents).await {
        Ok(true) => Verdict::ok("two instances answer the same bytes"),
        Ok(false) => Verdict::failed(
            "two instances answer different bytes for the same documents",
            "Use maps that keep an order, and neither the time nor chance.",
        ),
        Err(error) => Verdict::broken("unify", &error),
    }
}

async fn desunify(bench: &Bench<'_>, kind: ObjectKind) -> Verdict {
    let version = &bench.lab.version;
    // What was not said must not be sent, least of all as null.
    match version.desunify(kind, "{}".to_owned(), &[]).await {
        Ok(text) if text.starts_with('{') && !text.contains("null") => {}
        Ok(text) => {
            return Verdict::failed(
                format!("an object without any field becomes {text}"),
                "Leave out what the application did not send; null clears a field at the provider.",
            );
        }
        Err(error) => return Verdict::broken("desunify of an object without any field", &error),
    }
    let cases = bench.fixtures.inputs(kind);
    for (place, case) in &cases {
        let unified = Value::Object(case.unified.clone().unwrap_or_default());
        let answer = version
            .desunify(kind, unified.to_string(), &case.mappings())
            .await;
        let verdict = match (&case.error, answer) {
            (None, Ok(text)) => {
                let found: Value = serde_json::from_str(&text).unwrap_or_default();
                let expected = case.remote.clone().unwrap_or_default();
                (found != expected).then(|| {
                    Verdict::failed(
                        format!("{place} becomes {found}, and the fixture says {expected}"),
                        "Correct desunify, or the fixture where it is wrong.",
                    )
                })
            }
            (Some(_), Err(CallError::Failure(Failure::Invalid { .. }))) => None,
            (Some(_), Ok(text)) => Some(Verdict::failed(
                format!("{place} becomes {text}, and the fixture says that it is refused"),
                "Answer the failure `invalid` with the field.",
            )),
            (_, Err(error)) => Some(Verdict::broken(place, &error)),
        };
        if let Some(verdict) = verdict {
            return verdict;
        }
    }
    Verdict::ok(format!(
        "{} inputs become what the fixtures say",
        cases.len()
    ))
}

/// Writing back what was read changes nothing.
async fn round_trip(bench: &Bench<'_>, kind: ObjectKind) -> Verdict {
    let version = &bench.lab.version;
    let unified_of = async |remote: &Value| -> Result<Map<String, Value>, CallError> {
        let text = version
            .unify(kind, json!([remote]).to_string(), &[])
            .await?;
        let entries: Vec<Map<String, Value>> = serde_json::from_str(&text).unwrap_or_default();
        Ok(entries.into_iter().next().unwrap_or_default())
    };
    let (mut passed, mut refused) = (0, String::new());
    let mut unseen = BTreeSet::new();
    for (place, case) in bench.fixtures.documents(kind) {
        let (Some(remote), None) = (&case.remote, &case.error) else {
            continue;
        };
        let before = match unified_of(remote).await {
            Ok(before) => before,
            Err(error) => return Verdict::broken(&place, &error),
        };
        let mut said = before.clone();
        said.retain(|_, value| !value.is_null());
        let sent = match version
            .desunify(kind, Value::Object(said).to_string(), &[])
            .await
        {
            Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
            Err(CallError::Failure(Failure::Invalid { field, message })) => {
                refused = format!("{place}: {}: {message}", field.unwrap_or_default());
                continue;
            }
            Err(error) => return Verdict::broken(&place, &error),
        };
        let mut after = remote.clone();
        merge(&mut after, &sent);
        let after = match unified_of(&after).await {
            Ok(after) => after,
            Err(error) => return Verdict::broken(&place, &error),
        };
        if let Some(field) = changed(&before, &after) {
            let of = |map: &Map<String, Value>| map.get(&field).cloned().unwrap_or_default();
            return Verdict::failed(
                format!(
                    "{place}: {field} is read as {}, and as {} after it was written back",
                    of(&before),
                    of(&after)
                ),
                "Let unify and desunify undo each other.",
            );
        }
        passed += 1;
        unseen.extend(gone(&before, &after));
    }
    match (passed, refused.is_empty()) {
        (0, true) => Verdict::skipped("no fixture has a document of it", RECORD),
        (0, false) => Verdict::skipped(
            format!("desunify refuses what unify answers: {refused}"),
            "Refuse only what the provider cannot keep.",
        ),
        (passed, _) if unseen.is_empty() => {
            Verdict::ok(format!("{passed} documents stay as they are"))
        }
        (passed, _) => Verdict::ok(format!(
            "{passed} documents stay as they are; not seen, for they are written in another form \
             than they are read: {}",
            Vec::from_iter(unseen).join(", ")
        )),
    }
}

fn empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Fields that have no value any more.
fn gone(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let fields = before.iter().filter(|(_, value)| !empty(value));
    let gone = fields.filter(|(name, _)| after.get(*name).is_none_or(empty));
    gone.map(|(name, _)| name.clone()).collect()
}

/// The first field that has another value now. One that has none any more is not told: many
/// providers take another form than they give.
fn changed(before: &Map<String, Value>, after: &Map<String, Value>) -> Option<String> {
    let mut fields = before.iter().filter(|(_, value)| !empty(value));
    let field = fields.find(|(name, value)| {
        let now = after.get(*name).filter(|now| !empty(now));
        now.is_some_and(|now| now != *value)
    });
    field.map(|(name, _)| name.clone())
}

/// What was sent, over what the provider had.
fn merge(document: &mut Value, sent: &Value) {
    match (document, sent) {
        (Value::Object(document), Value::Object(sent)) => {
            for (name, value) in sent {
                merge(document.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (document, sent) => *document = sent.clone(),
    }
}

/// Whether what the manifest promises to write reaches the provider.
async fn coverage(bench: &Bench<'_>, object: &ObjectSupport) -> Verdict {
    let coverage = match bench.lab.version.coverage().await {
        Ok(coverage) => coverage,
        Err(error) => return Verdict::broken("the fields cannot be counted", &error),
    };
    let fields = coverage
        .get(object.kind.name())
        .map_or(&[][..], Vec::as_slice);
    let writable = fields.iter().filter(|field| field.writable).count();
    match (writes(object), writable) {
        (true, 0) => Verdict::failed(
            "connector.toml promises to write it, and no field reaches what desunify answers",
            "Implement desunify, or take the operation out of connector.toml.",
        ),
        (false, 1..) => Verdict::failed(
            format!("desunify maps {writable} fields, and connector.toml promises no write"),
            "Promise `create` or `update`, or answer `unsupported`.",
        ),
        (_, writable) => {
            let all = fields.len();
            let read = object.fields.len();
            Verdict::ok(format!(
                "{read} of {all} fields are promised, {writable} can be written"
            ))
        }
    }
}

/// What it does not have must be refused in the one way that the host understands.
async fn refuses(bench: &Bench<'_>, kind: ObjectKind) -> Verdict {
    let version = &bench.lab.version;
    let answers = [
        ("unify", version.unify(kind, "[{}]".to_owned(), &[]).await),
        (
            "desunify",
            version.desunify(kind, "{}".to_owned(), &[]).await,
        ),
    ];
    for (function, answer) in answers {
        if !matches!(answer, Err(CallError::Failure(Failure::Unsupported(_)))) {
            let found = answer.unwrap_or_else(|error| error.to_string());
            return Verdict::failed(
                format!("{function} answers {found}"),
                "Answer the failure `unsupported` for an object that connector.toml does not name.",
            );
        }
    }
    Verdict::ok("is answered with unsupported")
}
