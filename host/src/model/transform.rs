//! Transforms: small steps from a provider's value to the value of a custom field, and back where
//! there is a way back.

mod back;
mod date;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// One step of a mapping. A null passes every step untouched, and steps on single values are done
/// for each element of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// Takes white space off both ends.
    Trim {},
    /// Changes the case of letters.
    Case {
        /// Which.
        to: Case,
    },
    /// Puts one text in the place of another, everywhere.
    Replace {
        /// The text that is looked for; not empty.
        find: String,
        /// What stands there afterwards.
        with: String,
    },
    /// Reads a text as a number: `1 234,5` with a decimal comma, `1,234.5` with a point.
    ToNumber {
        /// What stands before the fraction. The other one, spaces and apostrophes separate groups.
        #[serde(default, skip_serializing_if = "is_usual")]
        decimal: DecimalSign,
    },
    /// Writes a number, a boolean or (as JSON) a list or an object as text.
    ToString {},
    /// Reads words as true and false, in any case.
    ToBoolean {
        /// Words for true; `true`, `yes`, `y`, `on` and `1` where there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        true_words: Vec<String>,
        /// Words for false; `false`, `no`, `n`, `off` and `0` where there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        false_words: Vec<String>,
    },
    /// Reads a text or a number as a date or a moment.
    ToDate {
        /// Formats to try in turn: those of `strftime` (`%d.%m.%Y`), `unix` or `unix_ms`; ISO 8601
        /// where there are none. What has no offset is taken as UTC.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        formats: Vec<String>,
        /// What comes out.
        #[serde(default, skip_serializing_if = "is_usual")]
        output: DateOutput,
    },
    /// Joins several remote fields, or the elements of a list, to one text. Empty ones are left
    /// out.
    Concatenate {
        /// What stands between them.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        separator: String,
    },
    /// Cuts a text into a list.
    Split {
        /// Where it is cut; not empty.
        separator: String,
        /// The piece that is kept, from 0, from the end where negative; the whole list where there
        /// is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<i64>,
    },
    /// Looks a value up in a table.
    Lookup {
        /// From the value as text to what it means.
        table: BTreeMap<String, Value>,
        /// For values that are not in the table; without it they have no result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallback: Option<Value>,
    },
    /// Fills a text: `{field}` is a remote field of the mapping, `{value}` what the step before
    /// made, `{{` a brace.
    Template {
        /// The text.
        template: String,
    },
}

/// A case of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TransformCase")]
pub enum Case {
    /// ALL LARGE.
    Upper,
    /// all small.
    Lower,
    /// Each Word With A Large One In Front.
    Title,
}

/// The sign before a number's fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TransformDecimalSign")]
pub enum DecimalSign {
    /// `1.5`.
    #[default]
    #[serde(rename = ".")]
    Point,
    /// `1,5`.
    #[serde(rename = ",")]
    Comma,
}

/// What [`Transform::ToDate`] makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TransformDateOutput")]
pub enum DateOutput {
    /// `2026-01-31`, the day as it is written.
    #[default]
    Date,
    /// `2026-01-31T08:00:00.000Z`.
    Datetime,
}

pub(super) const TRUE_WORDS: &[&str] = &["true", "yes", "y", "on", "1"];
pub(super) const FALSE_WORDS: &[&str] = &["false", "no", "n", "off", "0"];

/// The values of a mapping's remote fields, by their names.
pub type Sources = BTreeMap<String, Value>;

impl Transform {
    /// Its name in a mapping.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Trim {} => "trim",
            Self::Case { .. } => "case",
            Self::Replace { .. } => "replace",
            Self::ToNumber { .. } => "to_number",
            Self::ToString {} => "to_string",
            Self::ToBoolean { .. } => "to_boolean",
            Self::ToDate { .. } => "to_date",
            Self::Concatenate { .. } => "concatenate",
            Self::Split { .. } => "split",
            Self::Lookup { .. } => "lookup",
            Self::Template { .. } => "template",
        }
    }

    /// Whether it makes one value of several remote fields.
    #[must_use]
    pub const fn combines(&self) -> bool {
        matches!(self, Self::Concatenate { .. } | Self::Template { .. })
    }

    /// Checks what the type alone does not: `fields` are the remote fields of the mapping.
    ///
    /// # Errors
    /// The part that is wrong and a sentence.
    pub fn check(&self, fields: &[String]) -> Result<(), (&'static str, String)> {
        match self {
            Self::Replace { find, .. } if find.is_empty() => {
                Err(("find", "must not be empty".to_owned()))
            }
            Self::Split { separator, .. } if separator.is_empty() => {
                Err(("separator", "must not be empty".to_owned()))
            }
            Self::Lookup { table, .. } if table.is_empty() => {
                Err(("table", "must have an entry".to_owned()))
            }
            Self::ToBoolean {
                true_words,
                false_words,
            } => {
                let folded = |words: &[String]| words.iter().map(|word| fold(word)).collect();
                let (yes, no): (Vec<String>, Vec<String>) =
                    (folded(true_words), folded(false_words));
                match yes.iter().find(|word| no.contains(word)) {
                    Some(word) => {
                        Err(("false_words", format!("has {word:?}, which means true too")))
                    }
                    None => Ok(()),
                }
            }
            Self::ToDate { formats, .. } => match formats.iter().find_map(|one| date::check(one)) {
                Some(problem) => Err(("formats", problem)),
                None => Ok(()),
            },
            Self::Template { template } => {
                let parts = parts(template).map_err(|problem| ("template", problem))?;
                for part in parts {
                    if let Part::Field(name) = part
                        && name != "value"
                        && !fields.iter().any(|field| field == name)
                    {
                        return Err((
                            "template",
                            format!(
                                "has {{{name}}}, which is neither one of the remote fields of this mapping nor {{value}}"
                            ),
                        ));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The step from the provider's side to ours.
    ///
    /// # Errors
    /// The value cannot be converted: a sentence.
    pub fn apply(&self, value: Value, sources: &Sources) -> Result<Value, String> {
        match (self, value) {
            (Self::Template { template }, value) => fill(template, &value, sources),
            (_, Value::Null) => Ok(Value::Null),
            (Self::Concatenate { separator }, Value::Array(items)) => {
                let pieces: Vec<String> = items
                    .iter()
                    .filter(|item| !is_empty(item))
                    .map(text)
                    .collect::<Result<_, _>>()?;
                if pieces.is_empty() {
                    return Ok(Value::Null);
                }
                Ok(Value::String(pieces.join(separator)))
            }
            (Self::Concatenate { .. }, value) => text(&value).map(Value::String),
            (Self::ToString {}, value @ (Value::Array(_) | Value::Object(_))) => {
                Ok(Value::String(value.to_string()))
            }
            (Self::Split { separator, index }, value) => {
                let text = text(&value)?;
                let mut pieces: Vec<&str> = text.split(separator.as_str()).collect();
                let Some(index) = *index else {
                    let pieces = pieces.drain(..).map(Value::from);
                    return Ok(pieces.collect());
                };
                let count = pieces.len();
                let place =
                    usize::try_from(index.unsigned_abs())
                        .ok()
                        .and_then(|places| match index {
                            ..0 => count.checked_sub(places),
                            _ => Some(places),
                        });
                match place.and_then(|place| pieces.get(place)) {
                    Some(piece) => Ok(Value::from(*piece)),
                    None => Err(format!("there is no piece {index} among {count}")),
                }
            }
            (_, Value::Array(items)) => items
                .into_iter()
                .map(|item| self.apply(item, sources))
                .collect(),
            (_, value) => self.apply_to_one(&value),
        }
    }

    fn apply_to_one(&self, value: &Value) -> Result<Value, String> {
        let text = text(value)?;
        Ok(match self {
            Self::Trim {} => Value::from(text.trim()),
            Self::Case { to: Case::Upper } => Value::from(text.to_uppercase()),
            Self::Case { to: Case::Lower } => Value::from(text.to_lowercase()),
            Self::Case { to: Case::Title } => Value::from(title(&text)),
            Self::Replace { find, with } => Value::from(text.replace(find, with)),
            Self::ToNumber { .. } if value.is_number() => value.clone(),
            Self::ToNumber { decimal } => match number(&text, *decimal) {
                Some(number) => Value::Number(number),
                None => return Err(format!("{} is no number", shown(&text))),
            },
            Self::ToBoolean { .. } if value.is_boolean() => value.clone(),
            Self::ToBoolean {
                true_words,
                false_words,
            } => {
                let word = fold(&text);
                let among = |words: &[String], usual: &[&str]| match words {
                    [] => usual.contains(&word.as_str()),
                    words => words.iter().any(|one| fold(one) == word),
                };
                if among(true_words, TRUE_WORDS) {
                    Value::Bool(true)
                } else if among(false_words, FALSE_WORDS) {
                    Value::Bool(false)
                } else {
                    return Err(format!("{} means neither true nor false", shown(&text)));
                }
            }
            Self::ToDate { formats, output } => Value::from(date::read(&text, formats, *output)?),
            Self::Lookup { table, fallback } => match (table.get(&text), fallback) {
                (Some(found), _) => found.clone(),
                (None, Some(fallback)) => fallback.clone(),
                (None, None) => return Err(format!("{} is not in the table", shown(&text))),
            },
            Self::ToString {}
            | Self::Concatenate { .. }
            | Self::Split { .. }
            | Self::Template { .. } => Value::from(text),
        })
    }
}

/// For fields that need not be written.
fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Null, or a text without characters.
pub(super) fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// A text, a number or a boolean as text.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Err("null is no text".to_owned()),
        Value::Array(_) => Err("a list is no text".to_owned()),
        Value::Object(_) => Err("an object is no text".to_owned()),
    }
}

/// A value in a message: in quotes and not long.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

fn fold(word: &str) -> String {
    word.trim().to_lowercase()
}

fn title(text: &str) -> String {
    let mut in_word = false;
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if in_word {
            out.extend(letter.to_lowercase());
        } else {
            out.extend(letter.to_uppercase());
        }
        in_word = letter.is_alphanumeric() || (in_word && matches!(letter, '\'' | '’'));
    }
    out
}

/// Whole numbers stay whole; what is too large or not finite is none.
pub(super) fn number(text: &str, decimal: DecimalSign) -> Option<Number> {
    let (point, group) = match decimal {
        DecimalSign::Point => ('.', ','),
        DecimalSign::Comma => (',', '.'),
    };
    let mut plain = String::with_capacity(text.len());
    for letter in text.trim().chars() {
        if letter == point {
            plain.push('.');
        } else if letter != group && letter != '\'' && letter != '’' && !letter.is_whitespace() {
            plain.push(letter);
        }
    }
    let plain = plain.strip_prefix('+').unwrap_or(&plain);
    if !plain.contains(|letter: char| letter.is_ascii_digit())
        || plain.contains(|letter: char| letter.is_alphabetic() && !matches!(letter, 'e' | 'E'))
    {
        return None;
    }
    if let Ok(whole) = plain.parse::<i64>() {
        return Some(whole.into());
    }
    Number::from_f64(plain.parse().ok()?)
}

/// A piece of a template.
enum Part<'template> {
    Text(&'template str),
    Field(&'template str),
}

fn parts(template: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        parts.push(Part::Text(before));
        if let Some(after) = brace.strip_prefix("{{") {
            parts.push(Part::Text("{"));
            rest = after;
        } else if let Some(after) = brace.strip_prefix("}}") {
            parts.push(Part::Text("}"));
            rest = after;
        } else if let Some((name, after)) = brace
            .strip_prefix('{')
            .and_then(|name| name.split_once('}'))
        {
            parts.push(Part::Field(name));
            rest = after;
        } else {
            return Err(
                "has a brace that is not closed; a brace itself is written twice".to_owned(),
            );
        }
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// Null where every field of the template is empty.
fn fill(template: &str, value: &Value, sources: &Sources) -> Result<Value, String> {
    let mut out = String::new();
    let (mut fields, mut filled) = (0, 0);
    for part in parts(template)? {
        let name = match part {
            Part::Text(text) => {
                out.push_str(text);
                continue;
            }
            Part::Field(name) => name,
        };
        fields += 1;
        let found = match name {
            "value" if !sources.contains_key("value") => value,
            name => sources.get(name).unwrap_or(&Value::Null),
        };
        if !is_empty(found) {
            filled += 1;
            match text(found) {
                Ok(text) => out.push_str(&text),
                Err(_) => out.push_str(&found.to_string()),
            }
        }
    }
    if fields > 0 && filled == 0 {
        return Ok(Value::Null);
    }
    Ok(Value::String(out))
}

#[cfg(test)]
mod tests;
