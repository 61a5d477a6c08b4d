//! Where in `connector.toml` a mistake is, and what may have been meant.

use toml::de::{DeTable, DeValue};

use super::ManifestError;
use crate::model::nearest;

/// A mistake for the person who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl ManifestError {
    /// The place of the mistake in the text of the manifest.
    #[must_use]
    pub fn mistake(&self, text: &str) -> Mistake {
        match self {
            Self::TooLarge(_) => Mistake {
                line: 0,
                key: String::new(),
                message: self.to_string(),
            },
            Self::Value { key, message } => Mistake {
                line: line_of_key(text, key),
                key: key.clone(),
                message: message.clone(),
            },
            Self::Syntax(error) => {
                let span = error.span().unwrap_or_default();
                let at = text.get(span.clone()).unwrap_or_default();
                let message = error.message();
                // Of an unknown word the span is the value's.
                let is_key = !message.starts_with("unknown variant")
                    && at
                        .chars()
                        .all(|letter| letter.is_alphanumeric() || "_-.\"".contains(letter));
                let key = if is_key { at } else { "" };
                Mistake {
                    line: line_at(text, span.start),
                    key: key.to_owned(),
                    message: format!("{message}{}", suggestion(message)),
                }
            }
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    before.matches('\n').count() + 1
}

/// The line where a key stands, or the nearest table around it.
fn line_of_key(text: &str, key: &str) -> usize {
    let Ok(root) = DeTable::parse(text) else {
        return 0;
    };
    let mut table = Some(root.get_ref());
    let mut offset = None;
    let mut segments = segments(key).into_iter().peekable();
    while let (Some(here), Some(segment)) = (table, segments.next()) {
        let Some((name, value)) = here.get_key_value(segment.as_str()) else {
            break;
        };
        offset = Some(name.span().start);
        table = match value.get_ref() {
            DeValue::Table(table) => Some(table),
            // Of a list of tables the one with that id, or that number.
            DeValue::Array(list) => {
                let wanted = segments.next().unwrap_or_default();
                let of_id = |(index, one): (usize, &toml::Spanned<DeValue<'_>>)| {
                    let id = one.get_ref().get("id").and_then(|id| id.get_ref().as_str());
                    id == Some(wanted.as_str()) || index.to_string() == wanted
                };
                let found = list.iter().enumerate().find(|one| of_id(*one));
                if let Some((_, one)) = found {
                    offset = Some(one.span().start);
                }
                found.and_then(|(_, one)| one.get_ref().as_table())
            }
            _ => None,
        };
    }
    offset.map_or(0, |offset| line_at(text, offset))
}

/// `objects."crm.contact".fields` in its three parts.
fn segments(key: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut quoted = false;
    for letter in key.chars() {
        match letter {
            '"' => quoted = !quoted,
            '.' if !quoted => segments.push(String::new()),
            letter => {
                if let Some(last) = segments.last_mut() {
                    last.push(letter);
                }
            }
        }
    }
    segments
}

/// The parser lists what it expected; the nearest of it is what was meant.
fn suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let Some(word) = quoted.next().filter(|_| unknown) else {
        return String::new();
    };
    nearest(word, quoted)
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::model::Manifest;

    const GOOD: &str = r#"slug = "acme"
name = "Acme"
version = "0.1.0"
description = "x"

[endpoints.api]
production = "https://api.example.com"

[auth.token]
type = "bearer"
title = "Token"

[[settings]]
id = "locale"
type = "text"
title = "Locale"

[objects."crm.contact"]
operations = ["read"]
fields = ["first_name"]

[permissions]
http = ["https://api.example.com/"]
"#;

    #[test]
    fn mistakes_have_a_line_a_key_and_what_was_meant() {
        Manifest::parse(GOOD).unwrap();
        for (from, to, line, key, told) in [
            (
                "operations = ",
                "operatons = ",
                19,
                "operatons",
                "did you mean `operations`?",
            ),
            (
                "[\"read\"]",
                "[\"red\"]",
                19,
                "objects.\"crm.contact\".operations",
                "did you mean \"read\"?",
            ),
            (
                "first_name\"]",
                "firstname\"]",
                20,
                "objects.\"crm.contact\".fields",
                "did you mean \"first_name\"?",
            ),
            (
                "objects.\"crm.contact\"",
                "objects.\"crm.contacts\"",
                18,
                "objects.\"crm.contacts\"",
                "did you mean \"crm.contact\"?",
            ),
            ("\"bearer\"", "\"bearr\"", 10, "", "did you mean `bearer`?"),
            (
                "type = \"text\"",
                "type = \"select\"",
                13,
                "settings.locale.options",
                "a select needs them",
            ),
            (
                "title = \"Token\"",
                "title = \"\"",
                11,
                "auth.token.title",
                "is empty",
            ),
            ("name = \"Acme\"", "name = Acme", 2, "", ""),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let text = GOOD.replacen(from, to, 1);
            let mistake = Manifest::parse(&text).unwrap_err().mistake(&text);
            assert!(mistake.message.contains(told), "{mistake:?}");
            if told.is_empty() {
                assert_eq!(mistake.line, line, "{mistake:?}");
            } else {
                assert_eq!(
                    (mistake.line, mistake.key.as_str()),
                    (line, key),
                    "{mistake:?}"
                );
            }
        }
    }
}
