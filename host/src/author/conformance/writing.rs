//! Writing: what `push_record` answers to the writes that the fixtures have.

use serde_json::{Map, Value};

use super::{Bench, Check, Verdict, reading::Ids};
use crate::{
    model::{ObjectSupport, PushOperation},
    runtime::{CallError, PushAction, PushRequest},
};

pub(super) async fn all(bench: &Bench<'_>, read: &Ids) -> Vec<Check> {
    let mut checks = Vec::new();
    for object in &bench.lab.manifest().objects {
        let name = object.kind.name();
        let ids = ids(bench, object, read.get(name).map_or(&[][..], Vec::as_slice));
        for push in &object.push {
            let (check, verdict) = match push {
                PushOperation::Create => (
                    "create",
                    write(bench, object, PushAction::Create, vec![None]).await,
                ),
                PushOperation::Update => ("update", {
                    let ids = ids.iter().map(Some).collect();
                    write(bench, object, PushAction::Update, ids).await
                }),
                PushOperation::Delete => ("delete", delete(bench, object, &ids).await),
            };
            checks.push(Check::of(check, name, verdict));
        }
    }
    checks
}

/// Each input of the fixtures, until one is found whose requests they answer. Whether an input is for
/// a new record or one that is there, the fixtures do not say: the connector refuses what does not fit.
async fn write(
    bench: &Bench<'_>,
    object: &ObjectSupport,
    action: PushAction,
    ids: Vec<Option<&String>>,
) -> Verdict {
    let kind = object.kind;
    let (mut missing, mut refused) = (String::new(), String::new());
    for (place, case) in bench.fixtures.inputs(kind) {
        let (Some(remote), None) = (&case.remote, &case.error) else {
            continue;
        };
        for id in &ids {
            bench.stage.begin([], false);
            let request = request(object, action, id.map(String::as_str), remote.to_string());
            let answer = bench
                .lab
                .version
                .push_record(bench.lab.context(), request)
                .await;
            if let Some(unknown) = bench.stage.sent().unknown.first() {
                missing.clone_from(unknown);
                continue;
            }
            match answer {
                Ok(text) => return written(&text, id.map(String::as_str)),
                Err(error @ CallError::Failure(_)) => refused = format!("{place}: {error}"),
                Err(error) => return Verdict::broken(&place, &error),
            }
        }
    }
    if !missing.is_empty() {
        return unanswered(&missing);
    }
    if !refused.is_empty() {
        return Verdict::skipped(
            format!("no input of the fixtures is written; the last: {refused}"),
            "Add `inputs` to a fixture that go through, and the exchange that writes them.",
        );
    }
    Verdict::skipped(
        "no fixture has an input and a record of it",
        "Add `inputs` to a fixture, and the exchange that writes it.",
    )
}

async fn delete(bench: &Bench<'_>, object: &ObjectSupport, ids: &[String]) -> Verdict {
    let (mut missing, mut refused) = (String::new(), String::new());
    for id in ids {
        bench.stage.begin([], true);
        let request = request(object, PushAction::Delete, Some(id), "{}".to_owned());
        let answer = bench
            .lab
            .version
            .push_record(bench.lab.context(), request)
            .await;
        let sent = bench.stage.sent();
        if let Some(unknown) = sent.unknown.first() {
            missing.clone_from(unknown);
            continue;
        }
        let text = match answer {
            Ok(text) => text,
            Err(error @ CallError::Failure(_)) => {
                refused = error.to_string();
                continue;
            }
            Err(error) => return Verdict::broken("a delete", &error),
        };
        let record: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        let good = record.get("deleted") == Some(&Value::Bool(true))
            && record.get("remote_id").and_then(Value::as_str) == Some(id);
        if good && !sent.heard.is_empty() {
            return Verdict::ok(format!("{id} is deleted"));
        }
        return Verdict::failed(
            format!("{text} is answered after {} requests", sent.heard.len()),
            "Send the delete, and answer {\"remote_id\": …, \"deleted\": true}.",
        );
    }
    if !missing.is_empty() {
        return unanswered(&missing);
    }
    if !refused.is_empty() {
        return Verdict::failed(
            format!("a delete that the provider confirms becomes a failure: {refused}"),
            "Answer {\"remote_id\": …, \"deleted\": true}.",
        );
    }
    Verdict::skipped("no fixture has a record of it", "Record one.")
}

/// No fixture has the exchange of a write.
fn unanswered(request: &str) -> Verdict {
    Verdict::skipped(
        format!("no fixture answers {request}"),
        "Add this exchange to a fixture by hand, with what the provider answers: `record` only reads.",
    )
}

/// Ids that the fixtures have of an object: those of written records, and of documents.
fn ids(bench: &Bench<'_>, object: &ObjectSupport, read: &[String]) -> Vec<String> {
    let documents = bench.fixtures.documents(object.kind);
    let of_documents = documents.iter().filter_map(|(_, case)| {
        let id = case.remote.as_ref()?.get("id")?;
        Some(id.as_str().map_or_else(|| id.to_string(), str::to_owned))
    });
    let of_addresses = bench.fixtures.exchanges().filter_map(|exchange| {
        let writes = matches!(exchange.request.method.as_str(), "PATCH" | "PUT" | "DELETE");
        let path = exchange.request.url.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next()?;
        let last = last.split('.').next().unwrap_or(last);
        writes.then(|| last.to_owned())
    });
    let mut ids: Vec<String> = Vec::new();
    for id in read.iter().cloned().chain(of_addresses).chain(of_documents) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.truncate(30);
    ids
}

fn request(
    object: &ObjectSupport,
    action: PushAction,
    remote_id: Option<&str>,
    data: String,
) -> PushRequest {
    PushRequest {
        object: object.kind.name().to_owned(),
        action,
        remote_id: remote_id.map(str::to_owned),
        version: None,
        data,
        idempotency_key: "key-1".to_owned(),
    }
}

/// Whether what a write answers is the record as it is now.
fn written(text: &str, id: Option<&str>) -> Verdict {
    let record: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let told = record.get("remote_id").and_then(Value::as_str);
    if told.is_none_or(str::is_empty) || !record.get("data").is_some_and(Value::is_object) {
        return Verdict::failed(
            format!("the write answers {text}"),
            "Answer {\"remote_id\": text, \"data\": the provider's document as it is now}.",
        );
    }
    match (id, told) {
        (Some(id), Some(told)) if id != told => Verdict::failed(
            format!("the write of {id} answers the record {told}"),
            "Answer the record that was written.",
        ),
        _ => Verdict::ok("answers the record as it is now"),
    }
}
