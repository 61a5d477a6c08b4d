//! The array loop of `unify` and the checks of mappings, through a small connector.

use jackfield_sdk::models::crm::{Contact, Deal};
use jackfield_sdk::testing::{self, check_mappings};
use jackfield_sdk::{
    Account, Connection, Connector, Document, Failure, Field, Fields, Json, PushAction,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

struct Example;

impl Connector for Example {
    fn authenticate(_connection: &Connection) -> Result<Vec<Account>, Failure> {
        Ok(vec![Account::new(1)])
    }

    fn unify(object: &str, document: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        match object {
            Contact::KIND => {
                let person: Person = document.read()?;
                let contact = Contact {
                    first_name: person.first.into(),
                    last_name: person.last.into(),
                    field_mappings: fields.read(document, "")?,
                    ..Contact::default()
                };
                Ok(contact.into())
            }
            _ => Err(Failure::unsupported(object)),
        }
    }

    fn desunify(object: &str, unified: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        match object {
            Contact::KIND => {
                let contact: Contact = unified.read()?;
                let mut person: Map<String, Value> = fields.to_remote(&contact.field_mappings);
                if !contact.first_name.is_absent() {
                    person.insert("first".into(), json!(contact.first_name));
                }
                Ok(person.into())
            }
            Deal::KIND => Err(Failure::invalid_field("amount", "deals have no price here")),
            _ => Err(Failure::unsupported(object)),
        }
    }
}

#[derive(Deserialize)]
struct Person {
    first: String,
    last: Option<String>,
}

#[test]
fn mappings_match_the_fixtures() {
    check_mappings::<Example>("tests/fixtures");
}

#[test]
fn a_bad_document_spoils_only_its_own_entry() {
    let documents = [
        json!({ "first": "Ada" }),
        json!({ "first": 7 }),
        json!({ "first": "Grace", "last": "Hopper" }),
    ];
    let unified = testing::unify::<Example>("crm.contact", &documents, &[]).unwrap();
    assert_eq!(unified.len(), 3);
    assert_eq!(
        unified[0],
        json!({ "first_name": "Ada", "last_name": null })
    );
    assert!(
        unified[1]["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("invalid type: integer `7`")
    );
    assert_eq!(unified[2]["last_name"], "Hopper");
}

#[test]
fn what_is_not_offered_is_unsupported() {
    let documents = [json!({ "first": "Ada" })];
    let failure = testing::unify::<Example>("crm.user", &documents, &[]).unwrap_err();
    assert_eq!(failure, Failure::Unsupported("crm.user".into()));
    let failure =
        Example::fetch_records(&testing::connection(&[]), &testing::fetch("crm.user")).unwrap_err();
    assert_eq!(
        failure,
        Failure::Unsupported("this connector does not read crm.user".into())
    );
}

#[test]
fn requests_and_settings_are_read() {
    let request = testing::update("crm.contact", "7", &json!({ "first": "Ada", "last": null }));
    assert_eq!(
        (request.id().unwrap(), request.action),
        ("7", PushAction::Update)
    );
    assert_eq!(
        request.read::<Map<String, Value>>().unwrap()["first"],
        "Ada"
    );
    assert!(testing::create("crm.contact", &json!({})).id().is_err());
    let connection = testing::connection(&[("region", "eu"), ("empty", "")]);
    assert_eq!(
        (connection.setting("region"), connection.setting("empty")),
        (Some("eu"), None)
    );
    assert_eq!(Field::<u8>::from(None), Field::Null);
}
