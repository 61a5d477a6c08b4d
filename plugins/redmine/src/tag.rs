//! `ticketing.tag`: Redmine has none, so trackers (`tracker:1`) and the projects' categories (`category:7`) are
//! offered as tags.

use jackfield_sdk::models::ticketing::Tag;
use jackfield_sdk::page::Offset;
use jackfield_sdk::{Document, Failure, FetchRequest, Fields, Page, Raw, RemoteRecord, http};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::wire::{Named, Project};
use crate::{collection, custom};

/// Which page of projects stands next, and how many of its tags are done.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Position {
    projects: u64,
    done: usize,
}

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    if let Some(id) = &request.remote_id {
        return Ok(Page::one(one(id)?));
    }
    let cursor = request.cursor.as_deref();
    let position: Position = cursor
        .map_or_else(|| Ok(Position::default()), serde_json::from_str)
        .map_err(|_| Failure::invalid("not a cursor of this connector"))?;
    let offset = Offset {
        offset: position.projects,
        limit: 100,
    };

    let answer = collection::list(offset, Some("issue_categories"))?;
    let mut tags = Vec::new();
    if position.projects == 0 {
        tags.extend(trackers()?.into_iter().map(tracker));
    }
    for project in &answer.projects {
        for named in &project.issue_categories {
            tags.push(category(named, project)?);
        }
    }
    let limit = usize::try_from(request.limit.max(1)).map_err(Failure::unexpected)?;
    let reached = position.done + limit;
    let next = if reached < tags.len() {
        Some(Position {
            done: reached,
            ..position
        })
    } else {
        let next = offset.next(answer.projects.len(), Some(answer.total_count));
        next.and_then(|projects| projects.parse().ok())
            .map(|projects| Position { projects, done: 0 })
    };
    let next = next
        .map(|next| serde_json::to_string(&next))
        .transpose()
        .map_err(Failure::unexpected)?;
    Ok(Page::new(tags.into_iter().skip(position.done).take(limit)).next(next))
}

fn one(id: &str) -> Result<RemoteRecord, Failure> {
    let missing = || Failure::NotFound(format!("{id:?} is no tag"));
    let (kind, number) = id.split_once(':').ok_or_else(missing)?;
    let number: u64 = number.parse().map_err(|_| missing())?;
    match kind {
        "tracker" => trackers()?
            .into_iter()
            .find(|tracker| tracker.id == number)
            .map(tracker)
            .ok_or_else(missing),
        "category" => {
            #[derive(Deserialize)]
            struct Answer {
                issue_category: Category,
            }
            #[derive(Deserialize)]
            struct Category {
                id: u64,
                name: String,
                project: Named,
            }
            let address = format!("{{api}}/issue_categories/{number}.json");
            let Category { id, name, project } =
                http::get(&address).send()?.json::<Answer>()?.issue_category;
            document(id, &name, project.id, &project.name)
        }
        _ => Err(missing()),
    }
}

fn trackers() -> Result<Vec<Raw<Named>>, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        trackers: Vec<Raw<Named>>,
    }
    Ok(http::get("{api}/trackers.json")
        .send()?
        .json::<Answer>()?
        .trackers)
}

fn tracker(tracker: Raw<Named>) -> RemoteRecord {
    RemoteRecord::new(format!("tracker:{}", tracker.value.id), tracker.document)
}

fn category(category: &Named, project: &Project) -> Result<RemoteRecord, Failure> {
    document(category.id, &category.name, project.id, &project.name)
}

/// The same document from a list of projects and from a category's own address.
fn document(
    id: u64,
    name: &str,
    project: u64,
    project_name: &str,
) -> Result<RemoteRecord, Failure> {
    let document =
        json!({ "id": id, "name": name, "project": { "id": project, "name": project_name } });
    RemoteRecord::composed(format!("category:{id}"), &document)
}

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Tag, Failure> {
    let tag: Named = document.read()?;
    Ok(Tag {
        name: tag.name.into(),
        field_mappings: custom::read(document, fields)?,
    })
}
