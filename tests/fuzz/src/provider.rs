//! Documents of providers, as connectors' own code takes them.

use jackfield_sdk::bindings::exports::jackfield::connector::connector::Guest;
use serde_json::Value;

type Unify = fn(
    String,
    String,
    Vec<jackfield_sdk::bindings::jackfield::connector::types::FieldMapping>,
) -> Result<String, jackfield_sdk::Failure>;

/// Connectors, and an object of theirs.
const MAPPINGS: [(Unify, &str); 6] = [
    (<demo_crm::DemoCrm as Guest>::unify, "crm.contact"),
    (<demo_crm::DemoCrm as Guest>::unify, "crm.deal"),
    (<hubspot::HubSpot as Guest>::unify, "crm.contact"),
    (<hubspot::HubSpot as Guest>::unify, "crm.engagement"),
    (<redmine::Redmine as Guest>::unify, "ticketing.ticket"),
    (<redmine::Redmine as Guest>::unify, "ticketing.comment"),
];

/// A provider's document after a byte that chooses the connector: `unify` gives one answer for
/// it, whatever it is.
///
/// # Panics
/// A promise is broken.
pub fn provider_json(data: &[u8]) {
    let Some((choice, document)) = data.split_first() else {
        return;
    };
    let Ok(document) = serde_json::from_slice::<Value>(document) else {
        return;
    };
    let (unify, object) = MAPPINGS[usize::from(*choice) % MAPPINGS.len()];
    let page = Value::Array(vec![document]).to_string();
    let answer = match unify(object.to_owned(), page, Vec::new()) {
        Ok(answer) => answer,
        Err(failure) => panic!("{object}: one document fails a page: {failure:?}"),
    };
    let answer: Value = serde_json::from_str(&answer).expect("the answer is JSON");
    assert_eq!(
        answer.as_array().map(Vec::len),
        Some(1),
        "{object}: not one answer for one document"
    );
}
