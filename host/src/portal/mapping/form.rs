//! The form of a mapping: one field of the provider, one step, words that are replaced, a default.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    model::{Case, DataType, DateOutput, DecimalSign, MappingRules, Transform},
    portal::Texts,
};

/// What can be done with a value, by its word in the form; the first does nothing.
pub(super) const STEPS: [&str; 9] = [
    "",
    "trim",
    "lower",
    "upper",
    "title",
    "number",
    "number_comma",
    "boolean",
    "date",
];

/// A mapping as the form has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// The provider's field.
    pub(super) remote: String,
    /// One of [`STEPS`].
    pub(super) step: String,
    /// Lines such as `a = b`.
    pub(super) words: String,
    /// The value where the provider has none.
    pub(super) otherwise: String,
}

impl Rules {
    /// What was sent; none where the form was not.
    pub(super) fn typed(values: &BTreeMap<String, String>) -> Option<Self> {
        let get = |key: &str| values.get(key).cloned().unwrap_or_default();
        let sent = ["remote", "step", "words", "otherwise"];
        sent.iter()
            .any(|key| values.contains_key(*key))
            .then(|| Self {
                remote: get("remote"),
                step: get("step"),
                words: get("words").replace("\r\n", "\n"),
                otherwise: get("otherwise").trim().to_owned(),
            })
    }

    /// A stored mapping; none where the form cannot show it.
    pub(super) fn of(rules: &MappingRules) -> Option<Self> {
        let [remote] = rules.remote_fields.as_slice() else {
            return None;
        };
        let (step, words) = match rules.transforms.as_slice() {
            [] => (None, None),
            [
                Transform::Lookup {
                    table,
                    fallback: None,
                },
            ] => (None, Some(table)),
            [step] => (Some(step), None),
            [
                step,
                Transform::Lookup {
                    table,
                    fallback: None,
                },
            ] => (Some(step), Some(table)),
            _ => return None,
        };
        let step = match step {
            None => "",
            Some(step) => STEPS
                .into_iter()
                .find(|word| transform(word).as_ref() == Some(step))?,
        };
        let lines = words.into_iter().flatten();
        let lines = lines.map(|(from, to)| Some(format!("{from} = {}", text(to)?)));
        let lines: Option<Vec<String>> = lines.collect();
        Some(Self {
            remote: remote.clone(),
            step: step.to_owned(),
            words: lines?.join("\n"),
            otherwise: match &rules.default {
                None => String::new(),
                Some(value) => text(value)?,
            },
        })
    }

    /// The mapping for a field of that type, or what is wrong, a sentence.
    pub(super) fn rules(
        &self,
        data_type: DataType,
        texts: &'static Texts,
    ) -> Result<MappingRules, String> {
        if self.remote.is_empty() {
            return Err(texts.get("fields.wrong.remote").to_owned());
        }
        let value = |text: &str| {
            data_type
                .fit(Value::String(text.to_owned()))
                .map_err(|_| texts.with("fields.wrong.value", &[("value", text)]))
        };
        if !STEPS.contains(&self.step.as_str()) {
            return Err(texts.get("fields.wrong.step").to_owned());
        }
        let mut transforms: Vec<Transform> = transform(&self.step).into_iter().collect();
        let mut table = BTreeMap::new();
        for line in self.words.lines().filter(|line| !line.trim().is_empty()) {
            let (from, to) = line.split_once('=').ok_or_else(|| {
                let line: String = line.chars().take(80).collect();
                texts.with("fields.wrong.line", &[("line", &line)])
            })?;
            table.insert(from.trim().to_owned(), value(to.trim())?);
        }
        if !table.is_empty() {
            transforms.push(Transform::Lookup {
                table,
                fallback: None,
            });
        }
        let otherwise = Some(self.otherwise.as_str()).filter(|text| !text.is_empty());
        Ok(MappingRules {
            remote_fields: vec![self.remote.clone()],
            transforms,
            default: otherwise.map(value).transpose()?,
        })
    }
}

fn transform(step: &str) -> Option<Transform> {
    Some(match step {
        "trim" => Transform::Trim {},
        "lower" => Transform::Case { to: Case::Lower },
        "upper" => Transform::Case { to: Case::Upper },
        "title" => Transform::Case { to: Case::Title },
        "number" => Transform::ToNumber {
            decimal: DecimalSign::Point,
        },
        "number_comma" => Transform::ToNumber {
            decimal: DecimalSign::Comma,
        },
        "boolean" => Transform::ToBoolean {
            true_words: Vec::new(),
            false_words: Vec::new(),
        },
        "date" => Transform::ToDate {
            formats: Vec::new(),
            output: DateOutput::Date,
        },
        _ => return None,
    })
}

/// A single value as people type it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.contains('\n') => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn english() -> &'static Texts {
        Texts::find("en").unwrap()
    }

    #[test]
    fn what_is_typed_becomes_rules_and_is_shown_again() {
        for step in STEPS {
            let typed = Rules {
                remote: "size".to_owned(),
                step: step.to_owned(),
                words: "l = Large\ns = Small".to_owned(),
                otherwise: "unknown".to_owned(),
            };
            let rules = typed.rules(DataType::String, english()).unwrap();
            assert_eq!(rules.default, Some(json!("unknown")));
            assert_eq!(Rules::of(&rules), Some(typed), "{step}");
        }
        let plain = Rules {
            remote: "size".to_owned(),
            ..Rules::default()
        };
        let rules = plain.rules(DataType::Number, english()).unwrap();
        assert!(rules.transforms.is_empty() && rules.default.is_none());
    }

    #[test]
    fn what_cannot_be_is_said() {
        let typed = |words: &str, otherwise: &str| Rules {
            remote: "size".to_owned(),
            step: String::new(),
            words: words.to_owned(),
            otherwise: otherwise.to_owned(),
        };
        for (rules, part) in [
            (Rules::default(), "Choose"),
            (typed("l", ""), "l"),
            (typed("l = ten", ""), "ten"),
            (typed("", "none"), "none"),
        ] {
            let message = rules.rules(DataType::Number, english()).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        let good = typed("l = 10", "0")
            .rules(DataType::Number, english())
            .unwrap();
        assert_eq!(good.default, Some(json!(0)));
    }

    #[test]
    fn what_the_form_cannot_show_is_not_half_shown() {
        let rules = |value: Value| serde_json::from_value::<MappingRules>(value).unwrap();
        for hidden in [
            json!({"remote_fields": ["a", "b"], "transforms": [{"type": "concatenate"}], "default": null}),
            json!({"remote_fields": ["a"], "transforms": [{"type": "split", "separator": ","}], "default": null}),
            json!({"remote_fields": ["a"], "transforms": [], "default": ["x"]}),
            json!({"remote_fields": ["a"], "transforms": [{"type": "lookup", "table": {}, "fallback": 1}], "default": null}),
        ] {
            assert_eq!(Rules::of(&rules(hidden.clone())), None, "{hidden}");
        }
    }
}
