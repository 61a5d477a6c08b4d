//! HubSpot: the CRM API v3, with associations of v4.

mod associations;
mod company;
mod contact;
mod deal;
mod discovery;
mod draft;
mod engagement;
mod note;
mod object;
mod read;
mod search;
mod stage;
mod task;
#[cfg(test)]
mod tests;
mod user;
mod value;
mod webhook;
mod wire;
mod write;

use jackfield_sdk::models::crm::{Company, Contact, Deal, Engagement, Note, Stage, Task, User};
use jackfield_sdk::{
    Account, Connection, Connector, Document, Failure, FetchRequest, Fields, Json, Page,
    PushRequest, RemoteRecord, http,
};

use crate::object::Object;

/// The connector.
#[derive(Debug)]
pub struct HubSpot;

impl Connector for HubSpot {
    fn authenticate(_: &Connection) -> Result<Vec<Account>, Failure> {
        let details: wire::AccountDetails =
            http::get("{api}/account-info/v3/details").send()?.json()?;
        let name = format!(
            "HubSpot {} ({})",
            details.portal_id,
            details.account_type.to_lowercase()
        );
        Ok(vec![Account::new(details.portal_id).named(name)])
    }

    fn fetch_records(connection: &Connection, request: &FetchRequest) -> Result<Page, Failure> {
        match request.object.as_str() {
            User::KIND => user::fetch(request),
            Stage::KIND => stage::fetch(request),
            Engagement::KIND => engagement::fetch(connection, request),
            kind => read::fetch(connection, request, &[object(kind)?]),
        }
    }

    fn push_record(
        connection: &Connection,
        request: &PushRequest,
    ) -> Result<RemoteRecord, Failure> {
        match request.object.as_str() {
            Deal::KIND => deal::push(connection, request),
            Engagement::KIND => engagement::push(connection, request),
            kind => write::push(connection, request, object(kind)?),
        }
    }

    fn unify(object: &str, document: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        Ok(match object {
            Company::KIND => company::to_unified(document, fields)?.into(),
            Contact::KIND => contact::to_unified(document, fields)?.into(),
            Deal::KIND => deal::to_unified(document, fields)?.into(),
            Engagement::KIND => engagement::to_unified(document, fields)?.into(),
            Note::KIND => note::to_unified(document, fields)?.into(),
            Stage::KIND => stage::to_unified(document)?.into(),
            Task::KIND => task::to_unified(document, fields)?.into(),
            User::KIND => user::to_unified(document)?.into(),
            _ => return Err(unknown(object)),
        })
    }

    fn desunify(object: &str, unified: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        Ok(match object {
            Company::KIND => company::from_unified(unified.read()?, fields)?.into(),
            Contact::KIND => contact::from_unified(unified.read()?, fields)?.into(),
            Deal::KIND => deal::from_unified(unified.read()?, fields)?.into(),
            Engagement::KIND => engagement::from_unified(&unified.read()?, fields)?.into(),
            Note::KIND => note::from_unified(unified.read()?, fields)?.into(),
            Task::KIND => task::from_unified(unified.read()?, fields)?.into(),
            _ => return Err(unknown(object)),
        })
    }
}

/// HubSpot's object behind a unified one, where there is exactly one.
fn object(kind: &str) -> Result<&'static Object, Failure> {
    match kind {
        Company::KIND => Ok(&company::OBJECT),
        Contact::KIND => Ok(&contact::OBJECT),
        Deal::KIND => Ok(&deal::OBJECT),
        Note::KIND => Ok(&note::OBJECT),
        Task::KIND => Ok(&task::OBJECT),
        _ => Err(unknown(kind)),
    }
}

fn unknown(kind: &str) -> Failure {
    Failure::unsupported(format!("HubSpot has no {kind} here"))
}

jackfield_sdk::export_connector!(
    HubSpot,
    manifest = "connector.toml",
    samples = [
        "fixtures/company.json",
        "fixtures/contact.json",
        "fixtures/deal.json",
        "fixtures/engagement.json",
        "fixtures/note.json",
        "fixtures/stage.json",
        "fixtures/task.json",
        "fixtures/user.json",
    ],
    webhooks,
    discovery
);
