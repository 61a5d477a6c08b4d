//! `crm.user`: HubSpot's owners. Their ids are what `hubspot_owner_id` holds.

use jackfield_sdk::models::crm::User;
use jackfield_sdk::{Document, Failure, FetchRequest, Field, Page, Raw, RemoteRecord, http};

use crate::value::text;
use crate::wire;

/// As many owners as HubSpot gives at once.
const MOST: u32 = 500;

pub(crate) fn to_unified(document: Document<'_>) -> Result<User, Failure> {
    let owner: wire::Owner = document.read()?;
    let email = text(owner.email.into());
    let names = [owner.first_name, owner.last_name]
        .into_iter()
        .flatten()
        .filter(|name| !name.is_empty());
    let name = names.collect::<Vec<_>>().join(" ");
    Ok(User {
        // Somebody who was invited and never logged in has an address only.
        name: if name.is_empty() {
            email.clone()
        } else {
            Field::Value(name)
        },
        email,
        field_mappings: serde_json::Map::new(),
    })
}

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    if let Some(id) = &request.remote_id {
        let owner: Raw<wire::Key> = http::get("{api}/crm/v3/owners")
            .path(id)
            .query("idProperty", "id")
            .send()?
            .json()?;
        return Ok(Page::one(record(owner)));
    }
    let answer: wire::Results<wire::Key> = http::get("{api}/crm/v3/owners")
        .query("limit", request.limit.clamp(1, MOST))
        .query_opt("after", request.cursor.as_deref())
        .send()?
        .json()?;
    let next = answer.next().map(str::to_owned);
    Ok(Page::new(answer.results.into_iter().map(record)).next(next))
}

fn record(owner: Raw<wire::Key>) -> RemoteRecord {
    let Raw {
        document,
        value: key,
    } = owner;
    RemoteRecord::new(key.id, document)
        .modified_at(key.updated_at)
        .gone(key.archived)
}
