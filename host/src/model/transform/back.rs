//! The way back: from the value of a custom field to what the provider is sent.

use serde_json::Value;

use super::{DecimalSign, FALSE_WORDS, TRUE_WORDS, Transform, date, shown, text};

impl Transform {
    /// Why nothing can be written through this step; none where something can.
    #[must_use]
    pub const fn one_way(&self) -> Option<&'static str> {
        match self {
            Self::Split { .. } => {
                Some("it splits a text, and the pieces that it leaves away are not known")
            }
            Self::Concatenate { .. } => {
                Some("it joins several values, and where one ends and the next begins is not known")
            }
            Self::Template { .. } => Some("it fills a template, which cannot be read back"),
            Self::Replace { .. } => {
                Some("it replaces parts of a text, which cannot be told from others")
            }
            _ => None,
        }
    }

    /// The step back: what the provider has to hold so that `apply` makes `value` of it. Trim and
    /// case change nothing on the way back. A null is a null on both sides.
    ///
    /// # Errors
    /// There is no way back for this step or this value: a sentence.
    pub fn invert(&self, value: Value) -> Result<Value, String> {
        if let Some(reason) = self.one_way() {
            return Err(reason.to_owned());
        }
        match (self, value) {
            (_, Value::Null) => Ok(Value::Null),
            // A list could have been the whole value or one of a table; texts cannot.
            (Self::Lookup { .. }, value) => self.look_back(&value),
            (_, Value::Array(items)) => items.into_iter().map(|item| self.invert(item)).collect(),
            (Self::ToNumber { decimal }, value) => {
                let number = text(&value)?;
                Ok(Value::String(match decimal {
                    DecimalSign::Point => number,
                    DecimalSign::Comma => number.replace('.', ","),
                }))
            }
            (Self::ToString {}, Value::String(text)) => {
                // What `to_string` would write exactly so was a number or a boolean.
                match serde_json::from_str::<Value>(&text) {
                    Ok(parsed @ (Value::Number(_) | Value::Bool(_)))
                        if written(&parsed) == text =>
                    {
                        Ok(parsed)
                    }
                    _ => Ok(Value::String(text)),
                }
            }
            (
                Self::ToBoolean {
                    true_words,
                    false_words,
                },
                Value::Bool(flag),
            ) => {
                let (words, usual) = if flag {
                    (true_words, TRUE_WORDS)
                } else {
                    (false_words, FALSE_WORDS)
                };
                let first = words.first().map(String::as_str);
                Ok(Value::from(first.or_else(|| usual.first().copied())))
            }
            (Self::ToDate { formats, .. }, Value::String(text)) => match formats.first() {
                Some(format) => date::write(&text, format),
                None => Ok(Value::String(text)),
            },
            (_, value) => Ok(value),
        }
    }

    fn look_back(&self, value: &Value) -> Result<Value, String> {
        let Self::Lookup { table, .. } = self else {
            return Ok(value.clone());
        };
        let mut keys = table
            .iter()
            .filter(|(_, meaning)| *meaning == value)
            .map(|(key, _)| key);
        match (keys.next(), keys.next()) {
            (Some(key), None) => Ok(Value::from(key.as_str())),
            (None, _) => {
                let known: Vec<String> = table.values().take(20).map(Value::to_string).collect();
                Err(format!(
                    "it is not among the values of the look-up table: {}",
                    known.join(", ")
                ))
            }
            (Some(one), Some(other)) => Err(format!(
                "the look-up table has it for {} and for {}, so which one to write is not known",
                shown(one),
                shown(other)
            )),
        }
    }
}

fn written(value: &Value) -> String {
    value.to_string()
}
