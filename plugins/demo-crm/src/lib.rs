//! The demo CRM that `jackfield dev` serves: the connector to copy from.
//!
//! All collections of the provider work alike, so reading and writing is here, once for all; each object has a
//! file with its two mapping functions. `wire` has the provider's own shapes.

mod choices;
mod company;
mod contact;
mod deal;
mod discovery;
mod note;
mod parts;
mod stage;
mod task;
mod user;
mod webhook;
mod wire;

use jackfield_sdk::http::{self, Request, Response};
use jackfield_sdk::models::crm::{Company, Contact, Deal, Note, Stage, Task, User};
use jackfield_sdk::{
    Account, Connection, Connector, Document, Failure, FetchRequest, Fields, Json, Page,
    PushAction, PushRequest, Raw, RemoteRecord,
};

/// The connector.
#[derive(Debug)]
pub struct DemoCrm;

/// The provider refuses larger pages.
const LARGEST_PAGE: u32 = 100;
/// The provider's field, and the setting that fills it in what is created.
const OWNER: &str = "owner";

impl Connector for DemoCrm {
    fn authenticate(_connection: &Connection) -> Result<Vec<Account>, Failure> {
        let me: wire::Me = http::get("{api}/v1/me").send()?.json()?;
        Ok(vec![Account::new(me.account_id).named(me.account_name)])
    }

    fn fetch_records(_connection: &Connection, request: &FetchRequest) -> Result<Page, Failure> {
        let collection = Collection::of(&request.object)?;
        if let Some(id) = &request.remote_id {
            let answer = http::get(collection.url).path(id).send()?;
            return Ok(Page::one(record(answer.json()?)));
        }
        let answer: wire::List = http::get(collection.url)
            .query("page_size", request.limit.clamp(1, LARGEST_PAGE))
            .query_opt("updated_since", request.since.as_deref())
            .query_opt("page_token", request.cursor.as_deref())
            .send()?
            .json()?;
        Ok(Page::new(answer.items.into_iter().map(record))
            .next(answer.next_page_token)
            .total(answer.total))
    }

    fn push_record(
        connection: &Connection,
        request: &PushRequest,
    ) -> Result<RemoteRecord, Failure> {
        let collection = Collection::of(&request.object)?;
        let body = |to: Request| to.body("application/json", request.data.as_str());
        match request.action {
            PushAction::Create => {
                let create =
                    http::post(collection.url).header("idempotency-key", &request.idempotency_key);
                let owned = choices::with_owner(request.data.as_str(), connection, &collection)?;
                let create = match &owned {
                    Some(data) => create.body("application/json", data.as_str()),
                    None => body(create),
                };
                Ok(record(collection.write(create)?.json()?))
            }
            PushAction::Update => {
                let update =
                    unless_changed(http::patch(collection.url).path(request.id()?), request);
                Ok(record(collection.write(body(update))?.json()?))
            }
            PushAction::Delete => {
                let id = request.id()?;
                collection.write(unless_changed(
                    http::delete(collection.url).path(id),
                    request,
                ))?;
                Ok(RemoteRecord::deleted(id))
            }
        }
    }

    fn unify(object: &str, document: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        match object {
            Company::KIND => company::to_unified(document, fields).map(Json::from),
            Contact::KIND => contact::to_unified(document, fields).map(Json::from),
            Deal::KIND => deal::to_unified(document, fields).map(Json::from),
            Note::KIND => note::to_unified(document).map(Json::from),
            Stage::KIND => stage::to_unified(document).map(Json::from),
            Task::KIND => task::to_unified(document).map(Json::from),
            User::KIND => user::to_unified(document).map(Json::from),
            object => Err(Failure::unsupported(format!("does not read {object}"))),
        }
    }

    fn desunify(object: &str, unified: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        match object {
            Company::KIND => company::from_unified(unified.read()?, fields).map(Json::from),
            Contact::KIND => contact::from_unified(unified.read()?, fields).map(Json::from),
            Deal::KIND => deal::from_unified(unified.read()?, fields).map(Json::from),
            Note::KIND => note::from_unified(unified.read()?).map(Json::from),
            Task::KIND => task::from_unified(unified.read()?).map(Json::from),
            object => Err(Failure::unsupported(format!("does not write {object}"))),
        }
    }
}

/// Where an object is at the provider.
struct Collection {
    url: &'static str,
    /// Pairs of the provider's name of a field and the unified one.
    names: &'static [(&'static str, &'static str)],
}

impl Collection {
    fn of(object: &str) -> Result<Self, Failure> {
        let (url, names) = match object {
            Company::KIND => ("{api}/v1/companies", company::NAMES),
            Contact::KIND => ("{api}/v1/people", contact::NAMES),
            Deal::KIND => ("{api}/v1/deals", deal::NAMES),
            Note::KIND => ("{api}/v1/notes", note::NAMES),
            Stage::KIND => ("{api}/v1/stages", stage::NAMES),
            Task::KIND => ("{api}/v1/tasks", task::NAMES),
            User::KIND => ("{api}/v1/users", user::NAMES),
            object => return Err(Failure::unsupported(format!("does not know {object}"))),
        };
        Ok(Self { url, names })
    }

    /// Sends a write. Where the provider names a field that it refuses, the failure names the unified one.
    fn write(&self, request: Request) -> Result<Response, Failure> {
        let response = request.accept(&[422]).send()?;
        if response.status != 422 {
            return Ok(response);
        }
        let wire::Refusal { error } = response.json()?;
        let known = |field: &str| self.names.iter().find(|(remote, _)| *remote == field);
        Err(match error.field.as_deref().and_then(known) {
            Some((_, unified)) => Failure::invalid_field(unified, error.message),
            None => Failure::invalid(error.message),
        })
    }
}

/// Lets the provider refuse the write where the record is not as it was when the host saw it last.
fn unless_changed(request: Request, push: &PushRequest) -> Request {
    match &push.version {
        Some(version) => request.header("if-match", format!("\"{version}\"")),
        None => request,
    }
}

/// The provider's document stays as it is; only what the host must know is read from it here.
fn record(
    Raw {
        document,
        value: key,
    }: Raw<wire::Key>,
) -> RemoteRecord {
    let record = if key.deleted {
        RemoteRecord::deleted(key.id)
    } else {
        RemoteRecord::new(key.id, document)
    };
    record
        .modified_at(key.updated_on)
        .version(key.version.to_string())
}

jackfield_sdk::export_connector!(
    DemoCrm,
    manifest = "connector.toml",
    samples = [
        "fixtures/company.json",
        "fixtures/contact.json",
        "fixtures/deal.json",
        "fixtures/lookups.json",
        "fixtures/note.json",
        "fixtures/task.json",
    ],
    webhooks,
    discovery,
    choices
);

#[cfg(test)]
mod tests;
