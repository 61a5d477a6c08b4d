//! Where in `connector.toml` a mistake is, and what may have been meant.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::ManifestError;
use crate::model::{ObjectKind, nearest};

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
                let key = key_at(text, &span);
                Mistake {
                    line: line_at(text, span.start),
                    message: plainly(error.message(), &key),
                    key,
                }
            }
        }
    }
}

/// The key at a place, or whose value is there: the innermost one. Empty where the file is no TOML.
fn key_at(text: &str, place: &Range<usize>) -> String {
    let mut found = (usize::MAX, String::new());
    if let Ok(root) = DeTable::parse(text) {
        innermost(root.get_ref(), "", place, &mut found);
    }
    found.1
}

fn innermost(table: &DeTable<'_>, above: &str, place: &Range<usize>, found: &mut (usize, String)) {
    for (name, value) in table {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        let name_span = name.span();
        let name = name.get_ref();
        let step = match name.chars().all(plain) {
            true => name.to_string(),
            false => format!("{name:?}"),
        };
        let key = match above {
            "" => step,
            above => format!("{above}.{step}"),
        };
        for span in [name_span, value.span()] {
            let holds = span.start <= place.start && place.end <= span.end;
            if holds && span.len() < found.0 {
                *found = (span.len(), key.clone());
            }
        }
        let below: Vec<&DeValue<'_>> = match value.get_ref() {
            DeValue::Array(list) => list.iter().map(toml::Spanned::get_ref).collect(),
            other => vec![other],
        };
        for table in below.into_iter().filter_map(DeValue::as_table) {
            innermost(table, &key, place, found);
        }
    }
}

/// What the parser says, for somebody who does not know its words.
fn plainly(message: &str, key: &str) -> String {
    if let Some((found, wanted)) = message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        return format!("must be {}, and is {}", kind(wanted), kind(found));
    }
    if let Some(missing) = message.strip_prefix("missing field ") {
        return format!("lacks {missing}");
    }
    if message.contains("version number") {
        return "must be a version like \"1.0.0\"".to_owned();
    }
    // TOML takes every dot for a step.
    if let Some((vertical, object)) = key
        .strip_prefix("objects.")
        .and_then(|rest| rest.split_once('.'))
        && ObjectKind::parse(&format!("{vertical}.{object}")).is_some()
    {
        return format!("needs quotes: [objects.\"{vertical}.{object}\"]");
    }
    format!("{message}{}", suggestion(message))
}

/// A kind of value, as the parser calls it.
fn kind(word: &str) -> &str {
    match word {
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "a table",
        "a string" => "text in quotes",
        "a boolean" => "true or false",
        "semver version" => "a version like \"1.0.0\"",
        word if word.starts_with("struct ") => "a table",
        word if word.starts_with("string ") => "text",
        word if word.starts_with("boolean ") => "true or false",
        word if word.starts_with("integer ") || word.starts_with("floating point ") => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        other => other,
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
                "objects.\"crm.contact\".operatons",
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
            (
                "\"bearer\"",
                "\"bearr\"",
                10,
                "auth.token.type",
                "did you mean `bearer`?",
            ),
            (
                "[\"read\"]",
                "\"read\"",
                19,
                "objects.\"crm.contact\".operations",
                "must be a list, and is text",
            ),
            (
                "\"0.1.0\"",
                "\"1.0\"",
                3,
                "version",
                "must be a version like \"1.0.0\"",
            ),
            (
                "\"0.1.0\"",
                "1",
                3,
                "version",
                "must be a version like \"1.0.0\", and is a number",
            ),
            (
                "objects.\"crm.contact\"",
                "objects.crm.contact",
                18,
                "objects.crm.contact",
                "needs quotes: [objects.\"crm.contact\"]",
            ),
            ("title = \"Token\"", "", 9, "auth.token", "lacks `title`"),
            (
                "https://api.example.com\"\n",
                "localhost:4790\"\n",
                7,
                "endpoints.api.production",
                "must be an address like",
            ),
            (
                "operations = ",
                "look_back = 60\noperations = ",
                19,
                "objects.\"crm.contact\".look_back",
                "needs incremental = true",
            ),
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
