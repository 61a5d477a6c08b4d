//! `ticketing.attachment`: the files of issues. Their remote id is `issue:file`, because a file's own document does
//! not say where it belongs.

use jackfield_sdk::models::ticketing::Attachment;
use jackfield_sdk::{Document, Failure, FetchRequest, Fields, Page, RemoteRecord, http};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::custom;
use crate::walk::Walk;
use crate::wire::{self, joined, split};

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    if let Some(id) = &request.remote_id {
        #[derive(Deserialize)]
        struct Answer {
            attachment: Map<String, Value>,
        }
        let (issue, file) = split(id)?;
        let answer: Answer = http::get(&format!("{{api}}/attachments/{file}.json"))
            .send()?
            .json()?;
        return Ok(Page::one(part(issue, &answer.attachment)?.1));
    }
    let walk = Walk::read(request, request.limit, Some("attachments"))?;
    walk.parts(request.limit, |issue| {
        let mut parts = issue
            .attachments
            .iter()
            .map(|file| part(issue.id, file))
            .collect::<Result<Vec<_>, _>>()?;
        parts.sort_by_key(|(number, _)| *number);
        Ok(parts)
    })
}

/// The record of a file with its number: its document, with the id of the issue.
fn part(issue: u64, file: &Map<String, Value>) -> Result<(u64, RemoteRecord), Failure> {
    let number = file
        .get("id")
        .and_then(Value::as_u64)
        .ok_or_else(|| Failure::unexpected("a file has no id"))?;
    let created = file
        .get("created_on")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let mut document = file.clone();
    document.insert("issue".into(), json!({ "id": issue }));
    Ok((
        number,
        RemoteRecord::composed(joined(issue, number), &document)?.modified_at(created),
    ))
}

pub(crate) fn to_unified(
    document: Document<'_>,
    fields: Fields<'_>,
) -> Result<Attachment, Failure> {
    let file: wire::Attachment = document.read()?;
    Ok(Attachment {
        file_name: file.filename.into(),
        file_url: file.content_url.into(),
        uploader: file.author.map(|author| author.id.to_string()).into(),
        ticket_id: file.issue.id.to_string().into(),
        field_mappings: custom::read(document, fields)?,
        ..Attachment::default()
    })
}
