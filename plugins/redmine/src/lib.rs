//! Redmine: issues, comments, projects and people, by the REST API of Redmine 5.
//!
//! Issues, and what hangs on them, are walked in the order of their last change (`walk`), so that a list that
//! changes under way loses nothing. Redmine answers writes without a body; every write reads the record again.

mod attachment;
mod collection;
mod comment;
mod custom;
mod lookup;
mod refusal;
mod tag;
mod team;
mod ticket;
mod user;
mod walk;
mod wire;

use jackfield_sdk::models::ticketing::{Attachment, Collection, Comment, Tag, Team, Ticket, User};
use jackfield_sdk::{
    Account, Connection, Connector, Document, Failure, FetchRequest, Fields, Json, Page,
    PushRequest, RemoteRecord,
};

/// The connector.
#[derive(Debug)]
pub struct Redmine;

impl Connector for Redmine {
    fn authenticate(_connection: &Connection) -> Result<Vec<Account>, Failure> {
        let me = user::current()?;
        Ok(vec![Account::new(me.id).named(me.full_name())])
    }

    fn fetch_records(_connection: &Connection, request: &FetchRequest) -> Result<Page, Failure> {
        if request.cursor.is_none() && request.remote_id.is_none() {
            // A Redmine that is open to the public answers a revoked key with what anybody may see. Taken for the
            // whole, that would look as if everything else had been deleted.
            user::current()?;
        }
        match request.object.as_str() {
            Attachment::KIND => attachment::fetch(request),
            Collection::KIND => collection::fetch(request),
            Comment::KIND => comment::fetch(request),
            Tag::KIND => tag::fetch(request),
            Team::KIND => team::fetch(request),
            Ticket::KIND => ticket::fetch(request),
            User::KIND => user::fetch(request),
            object => Err(Failure::unsupported(format!("does not read {object}"))),
        }
    }

    fn push_record(
        _connection: &Connection,
        request: &PushRequest,
    ) -> Result<RemoteRecord, Failure> {
        match request.object.as_str() {
            Comment::KIND => comment::push(request),
            Ticket::KIND => ticket::push(request),
            object => Err(Failure::unsupported(format!("does not write {object}"))),
        }
    }

    fn unify(object: &str, document: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        match object {
            Attachment::KIND => attachment::to_unified(document, fields).map(Json::from),
            Collection::KIND => collection::to_unified(document, fields).map(Json::from),
            Comment::KIND => comment::to_unified(document, fields).map(Json::from),
            Tag::KIND => tag::to_unified(document, fields).map(Json::from),
            Team::KIND => team::to_unified(document, fields).map(Json::from),
            Ticket::KIND => ticket::to_unified(document, fields).map(Json::from),
            User::KIND => user::to_unified(document, fields).map(Json::from),
            object => Err(Failure::unsupported(format!("does not read {object}"))),
        }
    }

    fn desunify(object: &str, unified: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        match object {
            Comment::KIND => comment::from_unified(unified.read()?).map(Json::from),
            Ticket::KIND => ticket::from_unified(unified.read()?, fields).map(Json::from),
            object => Err(Failure::unsupported(format!("does not write {object}"))),
        }
    }
}

jackfield_sdk::export_connector!(
    Redmine,
    manifest = "connector.toml",
    samples = [
        "fixtures/mappings.json",
        "fixtures/fields_the_recordings_leave_empty.json"
    ]
);

#[cfg(test)]
mod tests;
