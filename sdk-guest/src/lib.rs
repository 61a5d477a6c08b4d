//! Everything that the author of a Jackfield connector depends on.
//!
//! A connector is a type with five functions, of which it implements what its manifest promises. This one reads
//! and creates the contacts of a small provider:
//!
//! ```
//! use jackfield_sdk::models::crm::Contact;
//! use jackfield_sdk::models::Email;
//! use jackfield_sdk::page::PageNumber;
//! use jackfield_sdk::{
//!     Account, Connection, Connector, Document, Failure, FetchRequest, Field, Fields, Json, Page, PushAction,
//!     PushRequest, Raw, RemoteRecord, http,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! struct Example;
//!
//! impl Connector for Example {
//!     fn authenticate(_connection: &Connection) -> Result<Vec<Account>, Failure> {
//!         let me: Company = http::get("{api}/v1/company").send()?.json()?;
//!         Ok(vec![Account::new(me.id).named(me.name)])
//!     }
//!
//!     fn fetch_records(_connection: &Connection, request: &FetchRequest) -> Result<Page, Failure> {
//!         if let Some(id) = &request.remote_id {
//!             return Ok(Page::one(record(http::get("{api}/v1/people").path(id).send()?.json()?)));
//!         }
//!         let page = PageNumber::of(request, 100)?;
//!         let answer: People = http::get("{api}/v1/people")
//!             .query("page", page.number)
//!             .query("size", page.size)
//!             .query_opt("changed_since", request.since.as_deref())
//!             .send()?
//!             .json()?;
//!         let next = page.next_after(answer.people.len());
//!         Ok(Page::new(answer.people.into_iter().map(record)).next(next))
//!     }
//!
//!     fn push_record(_connection: &Connection, request: &PushRequest) -> Result<RemoteRecord, Failure> {
//!         match request.action {
//!             PushAction::Create => {
//!                 let answer = http::post("{api}/v1/people")
//!                     .header("idempotency-key", &request.idempotency_key)
//!                     .body("application/json", request.data.as_str())
//!                     .send()?;
//!                 Ok(record(answer.json()?))
//!             }
//!             PushAction::Update | PushAction::Delete => Err(Failure::unsupported("people are only created")),
//!         }
//!     }
//!
//!     fn unify(object: &str, document: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
//!         match object {
//!             Contact::KIND => {
//!                 let contact = to_unified(document.read()?);
//!                 Ok(Contact { field_mappings: fields.read(document, "")?, ..contact }.into())
//!             }
//!             _ => Err(Failure::unsupported(object)),
//!         }
//!     }
//!
//!     fn desunify(object: &str, unified: Document<'_>, _fields: Fields<'_>) -> Result<Json, Failure> {
//!         match object {
//!             Contact::KIND => Ok(from_unified(unified.read()?).into()),
//!             _ => Err(Failure::unsupported(object)),
//!         }
//!     }
//! }
//!
//! /// The provider's document stays as it is; only what the host must know is read from it here.
//! fn record(Raw { document, value: key }: Raw<Key>) -> RemoteRecord {
//!     RemoteRecord::new(key.id, document).modified_at(key.changed_at)
//! }
//!
//! fn to_unified(person: Person) -> Contact {
//!     let email = person.email.map(|address| {
//!         vec![Email { email_address: Some(address), email_address_type: Some("WORK".into()), owner_type: None }]
//!     });
//!     Contact {
//!         first_name: person.first.into(),
//!         last_name: person.last.into(),
//!         email_addresses: email.into(),
//!         user_id: person.owner.map(|id| id.to_string()).into(),
//!         ..Contact::default()
//!     }
//! }
//!
//! /// What the application did not send stays absent.
//! fn from_unified(contact: Contact) -> PersonInput {
//!     PersonInput { first: contact.first_name, last: contact.last_name }
//! }
//!
//! #[derive(Deserialize)]
//! struct Company { id: u64, name: String }
//!
//! #[derive(Deserialize)]
//! struct People { people: Vec<Raw<Key>> }
//!
//! #[derive(Deserialize)]
//! struct Key { id: u64, changed_at: String }
//!
//! #[derive(Deserialize)]
//! struct Person { first: Option<String>, last: Option<String>, email: Option<String>, owner: Option<u64> }
//!
//! #[derive(Serialize)]
//! struct PersonInput {
//!     #[serde(skip_serializing_if = "Field::is_absent")]
//!     first: Field<String>,
//!     #[serde(skip_serializing_if = "Field::is_absent")]
//!     last: Field<String>,
//! }
//!
//! // jackfield_sdk::export_connector!(Example, manifest = "connector.toml");
//!
//! use jackfield_sdk::testing::{self, Playback};
//! use serde_json::json;
//!
//! let playback = Playback::of(json!([{
//!     "request": { "method": "GET", "url": "{api}/v1/people?page=1&size=100" },
//!     "response": { "body": { "people": [{ "id": 7, "changed_at": "2026-03-02T09:00:00Z", "first": "Ada" }] } }
//! }]));
//! let page = playback.run(|| Example::fetch_records(&testing::connection(&[]), &testing::fetch("crm.contact"))).unwrap();
//! assert_eq!(page.records[0].remote_id, "7");
//! assert_eq!(page.next_cursor, None);
//!
//! let sent = testing::desunify::<Example>("crm.contact", &json!({ "first_name": "Ada" }), &[]).unwrap();
//! assert_eq!(sent, json!({ "first": "Ada" }));
//! let unified = testing::unify::<Example>("crm.contact", &[json!({ "first": "Ada", "owner": 3 })], &[]).unwrap();
//! assert_eq!(unified[0]["user_id"], "3");
//! assert_eq!(unified[0]["last_name"], json!(null));
//! ```
//!
//! The models of each vertical come with a feature of that name:
//! `jackfield-sdk = { ..., features = ["crm"] }`.
//!
//! `cargo build --target wasm32-unknown-unknown --profile connector` makes the file that the host loads.
#![warn(missing_docs)]

#[doc(hidden)]
pub mod bindings;
pub mod choices;
mod connector;
mod decimal;
pub mod discovery;
mod document;
mod export;
mod failure;
mod field;
mod host;
pub mod http;
pub mod log;
pub mod models;
pub mod page;
pub mod secrets;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod webhooks;

pub use bindings::jackfield::connector::types::{
    Account, Connection, Environment, Failure, FetchRequest, FieldMapping, Invalid, PushAction,
    PushRequest, Setting,
};
pub use choices::Choices;
pub use connector::Connector;
pub use decimal::{Decimal, ParseDecimalError};
pub use discovery::Discovery;
pub use document::{Document, Fields, Json, Raw};
pub use field::Field;
pub use page::{Page, RemoteRecord};
pub use webhooks::Webhooks;
