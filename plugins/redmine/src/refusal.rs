//! What Redmine says when it refuses a write.

use jackfield_sdk::http::Request;
use jackfield_sdk::{Failure, Invalid};
use serde::Deserialize;

/// Sends a write; 422 becomes `invalid` with Redmine's sentences and, where one can be told, the unified field.
pub(crate) fn send(request: Request) -> Result<jackfield_sdk::http::Response, Failure> {
    let response = request.accept(&[422]).send()?;
    if response.status != 422 {
        return Ok(response);
    }
    let Ok(refusal) = response.json::<Refusal>() else {
        return Err(response.failure());
    };
    let field = refusal
        .errors
        .iter()
        .find_map(|error| field(error))
        .map(str::to_owned);
    Err(Failure::Invalid(Invalid {
        field,
        message: refusal.errors.join("; "),
    }))
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

/// Sentences begin with the label of the field. They are in the language of the user: in any other than English
/// they pass without a field.
fn field(error: &str) -> Option<&'static str> {
    const LABELS: [(&str, &str); 10] = [
        ("Subject ", "name"),
        ("Description ", "description"),
        ("Project ", "collections"),
        ("Assignee ", "assigned_to"),
        ("Parent task ", "parent_ticket"),
        ("Due date ", "due_date"),
        ("Priority ", "priority"),
        ("Tracker ", "type"),
        ("Status ", "status"),
        ("Category ", "tags"),
    ];
    LABELS
        .iter()
        .find(|(label, _)| error.starts_with(label))
        .map(|(_, field)| *field)
}
