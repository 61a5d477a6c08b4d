//! `ticketing.collection`: projects.

use jackfield_sdk::models::ticketing::Collection;
use jackfield_sdk::page::Offset;
use jackfield_sdk::{Document, Failure, FetchRequest, Fields, Page, Raw, RemoteRecord, http};
use serde::Deserialize;

use crate::custom;
use crate::wire::{Project, Projects};

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    if let Some(id) = &request.remote_id {
        #[derive(Deserialize)]
        struct Answer {
            project: Raw<Project>,
        }
        let answer: Answer = http::get(&format!("{{api}}/projects/{id}.json"))
            .send()?
            .json()?;
        return Ok(Page::one(record(answer.project)));
    }
    let offset = Offset::of(request, 100)?;
    let answer = list(offset, None)?;
    let next = offset.next(answer.projects.len(), Some(answer.total_count));
    Ok(Page::new(answer.projects.into_iter().map(record))
        .next(next)
        .total(answer.total_count))
}

/// A page of the projects that the user may see.
pub(crate) fn list(offset: Offset, include: Option<&str>) -> Result<Projects, Failure> {
    http::get("{api}/projects.json")
        .query_opt("include", include)
        .query("offset", offset.offset)
        .query("limit", offset.limit)
        .send()?
        .json()
}

fn record(project: Raw<Project>) -> RemoteRecord {
    RemoteRecord::new(project.value.id, project.document).modified_at(project.value.updated_on)
}

pub(crate) fn to_unified(
    document: Document<'_>,
    fields: Fields<'_>,
) -> Result<Collection, Failure> {
    let project: Project = document.read()?;
    Ok(Collection {
        name: project.name.into(),
        description: project.description.into(),
        collection_type: "PROJECT".into(),
        field_mappings: custom::read(document, fields)?,
    })
}
