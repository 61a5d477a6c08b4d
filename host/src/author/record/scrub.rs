//! Takes out of a recording what does not belong into a file that is published.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use crate::egress::Authorization;

/// Values under such names are credentials, whoever they belong to.
const CREDENTIALS: [&str; 10] = [
    "authorization",
    "cookie",
    "password",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "session",
];
/// Names that end like a credential's and say how to go on.
const NO_CREDENTIALS: [&str; 5] = ["next", "page", "sync", "cursor", "continuation"];
const GIVEN: [&str; 8] = [
    "Ada", "Grace", "Alan", "Edith", "Karen", "Omar", "Noor", "Jun",
];
const FAMILY: [&str; 8] = [
    "Byron", "Harper", "Mason", "Clarke", "Spencer", "Sabbagh", "Rahman", "Tanaka",
];
/// Words by which the names of persons are known.
const NAMES_OF_PERSONS: [&str; 9] = [
    "firstname",
    "givenname",
    "lastname",
    "familyname",
    "surname",
    "fullname",
    "displayname",
    "nickname",
    "middlename",
];

/// Shorter names stand in too much that is none.
const SHORTEST: usize = 3;

/// Replaces the same text by the same text, throughout a recording.
///
/// What is personal is known by the keys that it stands under. A provider may have keys of its own
/// for it, so everything is [`Self::learn`]ed first, also what the documents become: their keys
/// are the unified API's.
pub(super) struct Scrubber {
    authorization: Arc<Authorization>,
    personal: bool,
    invented: BTreeMap<String, String>,
}

impl Scrubber {
    pub(super) const fn new(authorization: Arc<Authorization>, personal: bool) -> Self {
        Self {
            authorization,
            personal,
            invented: BTreeMap::new(),
        }
    }

    /// Looks for persons in a document, which [`Self::value`] and [`Self::text`] then find wherever
    /// else they are named.
    pub(super) fn learn(&mut self, document: &Value) {
        self.value(&mut document.clone());
    }

    /// A text outside of JSON: an address, a header.
    pub(super) fn text(&mut self, text: &mut String) {
        *text = self.authorization.masks().text(text);
        if self.personal {
            let without_mail = self.without_mail(text);
            *text = self.without_known(&without_mail);
        }
    }

    /// A document.
    pub(super) fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(list) => list.iter_mut().for_each(|one| self.value(one)),
            Value::Object(map) => {
                let person = map.keys().any(|key| plain(key).contains("mail"));
                for (key, value) in map.iter_mut() {
                    self.entry(&plain(key), person, value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn entry(&mut self, key: &str, person: bool, value: &mut Value) {
        let Value::String(text) = value else {
            self.value(value);
            return;
        };
        let is_credential = CREDENTIALS.iter().any(|word| key.contains(&plain(word)))
            && !NO_CREDENTIALS.iter().any(|word| key.contains(word));
        if is_credential && !text.is_empty() {
            "[redacted]".clone_into(text);
            return;
        }
        let is_name = NAMES_OF_PERSONS.iter().any(|word| key.ends_with(word));
        let is_phone = ["phone", "mobile", "fax"]
            .iter()
            .any(|word| key.contains(word));
        if self.personal && !text.is_empty() && (is_name || (key == "name" && person)) {
            let family = ["last", "family", "sur"]
                .iter()
                .any(|word| key.contains(word));
            *text = self.invent(text, |number| {
                let of =
                    |list: &[&str; 8]| list.get(number % 8).copied().unwrap_or_default().to_owned();
                match (
                    family,
                    key.contains("full") || key.contains("display") || key == "name",
                ) {
                    (_, true) => format!("{} {}", of(&GIVEN), of(&FAMILY)),
                    (true, false) => of(&FAMILY),
                    (false, false) => of(&GIVEN),
                }
            });
        } else if self.personal && is_phone && text.chars().filter(char::is_ascii_digit).count() > 4
        {
            // A range that Ofcom keeps for drama.
            *text = self.invent(text, |number| format!("+44207946{:04}", number % 1000));
        } else {
            self.text(text);
        }
    }

    /// Every mail address in a text becomes an invented one.
    fn without_mail(&mut self, text: &str) -> String {
        let edge = |letter: char| letter.is_whitespace() || "<>\"'(),;:=&?/".contains(letter);
        let mut found = Vec::new();
        for word in text.split(edge) {
            let address = word.replace("%40", "@");
            let looks_right = address.split_once('@').is_some_and(|(name, host)| {
                !name.is_empty() && host.contains('.') && !host.ends_with('.')
            });
            if looks_right && !address.ends_with("example.com") {
                found.push((word.to_owned(), address));
            }
        }
        let mut text = text.to_owned();
        for (word, address) in found {
            let invented = self.invent(&address, |number| format!("person{number}@example.com"));
            let invented = if word.contains("%40") {
                invented.replace('@', "%40")
            } else {
                invented
            };
            text = text.replace(&word, &invented);
        }
        text
    }

    /// Every text that is known, where it stands as a word, becomes what was invented for it.
    fn without_known(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let (mut before, mut rest) = (None, text);
        while let Some(letter) = rest.chars().next() {
            let known = match before {
                Some(before) if char::is_alphanumeric(before) => None,
                _ => self.known_at(rest),
            };
            let length = if let Some((known, invented)) = known {
                clean.push_str(invented);
                known.len()
            } else {
                clean.push(letter);
                letter.len_utf8()
            };
            let (taken, after) = rest.split_at(length);
            (before, rest) = (taken.chars().next_back(), after);
        }
        clean
    }

    /// The longest known text that a text begins with, and what was invented for it.
    fn known_at(&self, text: &str) -> Option<(&String, &String)> {
        let begins = |known: &str| {
            let rest = text.strip_prefix(known);
            rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        self.invented
            .iter()
            .filter(|(known, _)| known.chars().count() >= SHORTEST && begins(known))
            .max_by_key(|(known, _)| known.len())
    }

    fn invent(&mut self, text: &str, make: impl FnOnce(usize) -> String) -> String {
        if let Some(known) = self.invented.get(text) {
            return known.clone();
        }
        let made = make(self.invented.len() + 1);
        self.invented.insert(text.to_owned(), made.clone());
        made
    }
}

/// `Access-Token` and `accessToken` in one spelling.
fn plain(key: &str) -> String {
    key.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_go_always_and_persons_where_it_is_asked_for() {
        let secret = || {
            let one = Authorization::new(1).with_secret("api_key", "s3cr3t-key".to_owned().into());
            Arc::new(one)
        };
        let recorded = json!({
            "id": 7,
            "access_token": "abc",
            "next_page_token": "go-on",
            "echo": "your key is s3cr3t-key",
            "email": "Olga@Acme.io",
            "name": "Olga Petrov",
            "first_name": "Olga",
            "mobilePhone": "+1 (555) 010-9999",
            "notes": "write to olga@acme.io or Olga@Acme.io",
            "company": { "name": "Acme" }
        });
        let mut plain = recorded.clone();
        Scrubber::new(secret(), false).value(&mut plain);
        assert_eq!(plain["access_token"], "[redacted]");
        assert_eq!(plain["next_page_token"], "go-on");
        assert_eq!(plain["echo"], "your key is [redacted]");
        assert_eq!(plain["email"], "Olga@Acme.io");

        let mut scrubbed = recorded;
        Scrubber::new(secret(), true).value(&mut scrubbed);
        let text = scrubbed.to_string();
        for personal in ["Olga", "olga", "Petrov", "555", "s3cr3t"] {
            assert!(!text.contains(personal), "{personal}: {text}");
        }
        assert_eq!(scrubbed["company"]["name"], "Acme");
        let mail = scrubbed["email"].as_str().unwrap();
        assert!(
            scrubbed["notes"].as_str().unwrap().ends_with(mail),
            "{text}"
        );
    }

    #[test]
    fn what_a_document_becomes_shows_persons_under_any_key() {
        let mut scrubber = Scrubber::new(Arc::new(Authorization::new(1)), true);
        scrubber.learn(&json!({ "first_name": "Olga", "last_name": "Petrov", "title": "Dr" }));
        let mut remote = json!({
            "vorname": "Olga",
            "anrede": "Dear Olga Petrov, Olgas and Petrovs, from Olga.",
            "stage": "Dr"
        });
        scrubber.value(&mut remote);
        let first = remote["vorname"].as_str().unwrap();
        assert_ne!(first, "Olga");
        let greeting = remote["anrede"].as_str().unwrap();
        assert!(
            greeting.starts_with(&format!("Dear {first} ")),
            "{greeting}"
        );
        assert!(
            greeting.ends_with(&format!(", Olgas and Petrovs, from {first}.")),
            "{greeting}"
        );
        assert_eq!(remote["stage"], "Dr");
    }
}
