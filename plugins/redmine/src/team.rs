//! `ticketing.team`: groups, which only an administrator may list, all at once.

use jackfield_sdk::models::ticketing::Team;
use jackfield_sdk::page::Offset;
use jackfield_sdk::{Document, Failure, FetchRequest, Fields, Page, Raw, RemoteRecord, http};
use serde::Deserialize;

use crate::custom;
use crate::wire::Named;

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    if let Some(id) = &request.remote_id {
        #[derive(Deserialize)]
        struct Answer {
            group: Raw<Named>,
        }
        let answer: Answer = http::get(&format!("{{api}}/groups/{id}.json"))
            .send()?
            .json()?;
        return Ok(Page::one(record(answer.group)));
    }
    #[derive(Deserialize)]
    struct Answer {
        groups: Vec<Raw<Named>>,
    }
    let response = http::get("{api}/groups.json").accept(&[403]).send()?;
    if response.status == 403 {
        return Err(Failure::Forbidden(
            "Redmine lists groups to administrators only".into(),
        ));
    }
    let mut groups = response.json::<Answer>()?.groups;
    groups.sort_by_key(|group| group.id);
    slice(request, groups.into_iter().map(record).collect())
}

/// The requested page of a list that is there as a whole.
pub(crate) fn slice(request: &FetchRequest, records: Vec<RemoteRecord>) -> Result<Page, Failure> {
    let window = Offset::of(request, u32::MAX)?;
    let skip = usize::try_from(window.offset).map_err(Failure::unexpected)?;
    let take = usize::try_from(window.limit).map_err(Failure::unexpected)?;
    let total = records.len() as u64;
    let page: Vec<RemoteRecord> = records.into_iter().skip(skip).take(take).collect();
    let next = window.next(page.len(), Some(total));
    Ok(Page::new(page).next(next))
}

fn record(group: Raw<Named>) -> RemoteRecord {
    RemoteRecord::new(group.value.id, group.document)
}

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Team, Failure> {
    let group: Named = document.read()?;
    Ok(Team {
        name: group.name.into(),
        description: None.into(),
        field_mappings: custom::read(document, fields)?,
    })
}
