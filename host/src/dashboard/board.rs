//! What the sections about syncs and records share: filters of lists, and words with their tone.

use std::str::FromStr;

use maud::{Markup, html};
use serde_json::Value;

use super::desk::ProjectDesk;
use crate::{
    model::{Connection, ConnectionId, ConnectionStatus, ObjectKind, RunStatus, Scope, Timestamp},
    store::{NEVER, SyncState},
    web::{
        self,
        parts::{self, Choice, Tone},
    },
};

/// Entries of a list on one page.
pub(super) const PAGE: u32 = 50;

/// The connection that a list is narrowed to; an empty text narrows nothing.
pub(super) async fn connection(desk: &ProjectDesk, id: &str) -> Result<Option<Scope>, web::Error> {
    if id.is_empty() {
        return Ok(None);
    }
    let found = match id.parse::<ConnectionId>() {
        Ok(id) => desk.services.store.scope_by_id(desk.project.id, id).await?,
        Err(_) => None,
    };
    let missing = || {
        let id: String = id.chars().take(80).collect();
        web::Error::not_found(format!("This project has no connection “{id}”."))
    };
    found.map(Some).ok_or_else(missing)
}

/// The object that a list is narrowed to.
pub(super) fn object(name: &str) -> Result<Option<ObjectKind>, web::Error> {
    word(name, "object", ObjectKind::parse)
}

/// One of a filter's words; an empty text narrows nothing.
pub(super) fn word<T>(
    text: &str,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, web::Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let unknown = || {
        let text: String = text.chars().take(80).collect();
        web::Error::bad_address(format!("There is no {what} “{text}”."))
    };
    parse(text).map(Some).ok_or_else(unknown)
}

/// What is said of where a page of a list begins.
pub(super) const PLACE: &str = "place in this list";

/// Where a page of a list begins; an empty text is the first one.
pub(super) fn place<T: FromStr>(text: &str) -> Result<Option<T>, web::Error> {
    word(text, PLACE, |text| text.parse().ok())
}

/// When a sync runs next, in a word or two.
pub(super) fn next_run(state: &SyncState, connection: &Connection, now: Timestamp) -> Markup {
    let words = if state.paused {
        "when it is resumed"
    } else if connection.status == ConnectionStatus::NeedsReconnect {
        "after a new login"
    } else if state.next_run_at >= NEVER {
        "when asked"
    } else if state.next_run_at <= now {
        "now"
    } else {
        return parts::time(state.next_run_at);
    };
    html! { span.muted { (words) } }
}

/// A field of a filter with a choice for each word, and one for all.
pub(super) fn choice(
    id: &str,
    label: &str,
    all: &str,
    words: impl Iterator<Item = (String, String)>,
    chosen: &str,
) -> Markup {
    let mut choices = vec![Choice::new("", all)];
    choices.extend(words.map(|(value, label)| Choice::new(value, label)));
    parts::field(
        id,
        label,
        "",
        None,
        &parts::select(id, &choices, chosen, false),
    )
}

/// A field of a filter for the id of a connection.
pub(super) fn connection_field(id: &str) -> Markup {
    let input = parts::input("connection", "text", id, false, false);
    parts::field("connection", "Connection id", "", None, &input)
}

/// All objects, for a [`choice`].
pub(super) fn objects() -> impl Iterator<Item = (String, String)> {
    ObjectKind::all().map(|kind| (kind.name().to_owned(), kind.name().to_owned()))
}

/// The connectors of this server, for a [`choice`].
pub(super) fn connectors(desk: &ProjectDesk) -> impl Iterator<Item = (String, String)> + use<> {
    let known = desk.services.runtime.catalogue().into_iter();
    known
        .filter_map(|connector| connector.slug)
        .map(|slug| (slug.clone(), slug))
}

/// Words of an enum, for a [`choice`].
pub(super) fn words<'a>(
    words: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (String, String)> {
    words.map(|word| (word.to_owned(), plain(word)))
}

/// A word of the API as people write it.
pub(super) fn plain(word: &str) -> String {
    word.replace('_', " ")
}

/// How a run stands.
pub(super) fn status(status: RunStatus) -> Markup {
    let tone = match status {
        RunStatus::Running => Tone::Info,
        RunStatus::Completed => Tone::Good,
        RunStatus::Failed | RunStatus::Interrupted => Tone::Bad,
        RunStatus::Retrying | RunStatus::Stopped => Tone::Warn,
        RunStatus::Cancelled => Tone::Neutral,
    };
    parts::badge(tone, status.as_str())
}

/// A moment, or a dash.
pub(super) fn moment(at: Option<Timestamp>) -> Markup {
    match at {
        Some(at) => parts::time(at),
        None => html! { "–" },
    }
}

/// The first characters of an id, which tell people enough.
pub(super) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A text up to a length, with an ellipsis where it was longer.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most).collect();
    cut.push('…');
    cut
}

/// A document as it may be shown: values under names that promise secrets are covered.
///
/// What a provider repeats of a connection's own credentials was masked before it was stored; this
/// is for whatever else people keep in their provider.
pub(super) fn covered(value: &Value) -> Value {
    const NAMES: [&str; 7] = [
        "password",
        "secret",
        "token",
        "api_key",
        "apikey",
        "authorization",
        "private_key",
    ];
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let lower = name.to_lowercase();
                let is_secret = NAMES.iter().any(|secret| lower.contains(secret));
                let value = match value {
                    Value::Null => Value::Null,
                    _ if is_secret => Value::from("•••"),
                    other => covered(other),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(list) => list.iter().map(covered).collect(),
        other => other.clone(),
    }
}

/// A value in one line: texts as they are, all else as JSON.
pub(super) fn line(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_under_names_of_secrets_are_covered() {
        let document = json!({
            "name": "Ada", "apiToken": "abc", "list": [{"Password": "x", "n": 1}], "secret": null,
            "tokens": ["abc"], "secrets": {"a": "b"},
        });
        assert_eq!(
            covered(&document),
            json!({
                "name": "Ada", "apiToken": "•••", "list": [{"Password": "•••", "n": 1}],
                "secret": null, "tokens": "•••", "secrets": "•••",
            })
        );
    }
}
