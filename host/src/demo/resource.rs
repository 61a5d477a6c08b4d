//! What the demo provider keeps: collections and the fields of their records, as data.

use std::fmt;

use serde_json::{Map, Value};

use crate::model::Timestamp;

/// A collection of records; its name is its path under `/v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// Sales representatives. Read only.
    Users,
    /// Steps of a deal. Read only.
    Stages,
    /// Organisations.
    Companies,
    /// People at organisations.
    People,
    /// Sales in the making.
    Deals,
    /// Remarks.
    Notes,
    /// Things to do.
    Tasks,
}

impl Collection {
    /// All of them; one only refers to others (and itself never).
    pub const ALL: [Self; 7] = [
        Self::Users,
        Self::Stages,
        Self::Companies,
        Self::People,
        Self::Deals,
        Self::Notes,
        Self::Tasks,
    ];

    /// The segment of the path.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Stages => "stages",
            Self::Companies => "companies",
            Self::People => "people",
            Self::Deals => "deals",
            Self::Notes => "notes",
            Self::Tasks => "tasks",
        }
    }

    /// The collection of a path.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|collection| collection.as_str() == name)
    }

    /// Whether the API takes changes.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        !matches!(self, Self::Users | Self::Stages)
    }

    /// The id of its first record. Far apart, so that an id in the wrong place is noticed.
    pub(super) const fn first_id(self) -> u64 {
        match self {
            Self::Users => 11,
            Self::Stages => 71,
            Self::Companies => 3001,
            Self::People => 10_001,
            Self::Deals => 50_001,
            Self::Notes => 600_001,
            Self::Tasks => 800_001,
        }
    }

    /// The fields of its records beside `id`, `version`, `created_on` and `updated_on`.
    pub(super) const fn fields(self) -> &'static [Field] {
        match self {
            Self::Users => USER,
            Self::Stages => STAGE,
            Self::Companies => COMPANY,
            Self::People => PERSON,
            Self::Deals => DEAL,
            Self::Notes => NOTE,
            Self::Tasks => TASK,
        }
    }

    pub(super) fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.name == name)
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// What a field may hold, null aside.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text of at most so many characters.
    Text(usize),
    /// A mail address.
    Mail,
    /// A whole number from 0.
    Whole,
    /// `true` or `false`.
    Flag,
    /// `2026-03-31`.
    Day,
    /// The id of a record.
    Reference(Collection),
    /// An object with some of `ADDRESS`, each text.
    Address,
    /// An object with whatever names and plain values: the account's own fields.
    Extra,
}

const ADDRESS: [&str; 5] = ["street", "postcode", "town", "region", "country"];

const fn required(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: true,
    }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
    }
}

const USER: &[Field] = &[
    required("full_name", Kind::Text(120)),
    required("mail", Kind::Mail),
];
const STAGE: &[Field] = &[
    required("label", Kind::Text(80)),
    required("position", Kind::Whole),
];
const COMPANY: &[Field] = &[
    required("label", Kind::Text(120)),
    optional("sector", Kind::Text(80)),
    optional("headcount", Kind::Whole),
    optional("website", Kind::Text(200)),
    optional("mail", Kind::Mail),
    optional("phone", Kind::Text(40)),
    optional("address", Kind::Address),
    optional("owner", Kind::Reference(Collection::Users)),
    optional("extra", Kind::Extra),
];
const PERSON: &[Field] = &[
    required("given_name", Kind::Text(80)),
    required("family_name", Kind::Text(80)),
    optional("mail", Kind::Mail),
    optional("phone", Kind::Text(40)),
    optional("mobile", Kind::Text(40)),
    optional("job_title", Kind::Text(120)),
    optional("address", Kind::Address),
    optional("organisation", Kind::Reference(Collection::Companies)),
    optional("owner", Kind::Reference(Collection::Users)),
    optional("extra", Kind::Extra),
];
const DEAL: &[Field] = &[
    required("title", Kind::Text(200)),
    optional("summary", Kind::Text(4000)),
    optional("amount_cents", Kind::Whole),
    optional("stage", Kind::Reference(Collection::Stages)),
    optional("organisation", Kind::Reference(Collection::Companies)),
    optional("owner", Kind::Reference(Collection::Users)),
    optional("extra", Kind::Extra),
];
const NOTE: &[Field] = &[
    required("text", Kind::Text(4000)),
    optional("author", Kind::Reference(Collection::Users)),
    optional("person", Kind::Reference(Collection::People)),
    optional("organisation", Kind::Reference(Collection::Companies)),
    optional("deal", Kind::Reference(Collection::Deals)),
];
const TASK: &[Field] = &[
    required("title", Kind::Text(200)),
    optional("details", Kind::Text(4000)),
    optional("done", Kind::Flag),
    optional("due_on", Kind::Day),
    optional("done_on", Kind::Day),
    optional("assignee", Kind::Reference(Collection::Users)),
    optional("organisation", Kind::Reference(Collection::Companies)),
    optional("deal", Kind::Reference(Collection::Deals)),
];

impl Kind {
    /// Checks a value that is not null.
    ///
    /// # Errors
    /// What it must be, to be read after the field's name.
    pub(super) fn check(
        &self,
        value: &Value,
        exists: impl Fn(Collection, u64) -> bool,
    ) -> Result<(), String> {
        match self {
            Self::Text(longest) => check_text(value, *longest),
            Self::Mail => {
                let good = value
                    .as_str()
                    .and_then(|text| text.split_once('@'))
                    .is_some_and(|(name, host)| {
                        !name.is_empty() && host.contains('.') && !host.contains(['@', ' '])
                    });
                must(good, "must be a mail address")
            }
            Self::Whole => must(
                value.as_u64().is_some(),
                "must be a whole number that is not negative",
            ),
            Self::Flag => must(value.is_boolean(), "must be true or false"),
            Self::Day => {
                let good = value.as_str().is_some_and(|text| {
                    text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_some()
                });
                must(good, "must be a day such as 2026-03-31")
            }
            Self::Reference(collection) => {
                let id = value.as_u64().ok_or("must be an id, which is a number")?;
                if exists(*collection, id) {
                    return Ok(());
                }
                Err(format!(
                    "names a record of {collection} that does not exist"
                ))
            }
            Self::Address => {
                let parts = value.as_object().ok_or("must be an object")?;
                for (name, part) in parts {
                    if !ADDRESS.contains(&name.as_str()) {
                        return Err(format!("has no part {name}"));
                    }
                    if !part.is_null() {
                        check_text(part, 120).map_err(|message| format!("{name} {message}"))?;
                    }
                }
                Ok(())
            }
            Self::Extra => {
                let extra = value.as_object().ok_or("must be an object")?;
                let plain = extra
                    .values()
                    .all(|value| !value.is_object() && !value.is_array());
                must(plain, "may hold texts, numbers, true and false only")
            }
        }
    }
}

fn check_text(value: &Value, longest: usize) -> Result<(), String> {
    let text = value.as_str().ok_or("must be text")?;
    if text.chars().count() <= longest {
        return Ok(());
    }
    Err(format!("must have at most {longest} characters"))
}

fn must(good: bool, message: &str) -> Result<(), String> {
    if good {
        Ok(())
    } else {
        Err(message.to_owned())
    }
}

/// Puts sent fields over known ones: null clears, `extra` is merged name by name.
pub(super) fn merge(known: &mut Map<String, Value>, sent: Map<String, Value>) {
    for (name, value) in sent {
        match (known.get_mut(&name), value) {
            (Some(Value::Object(extra)), Value::Object(changes)) if name == "extra" => {
                merge(extra, changes);
            }
            (_, Value::Null) => {
                known.remove(&name);
            }
            (_, value) => {
                known.insert(name, value);
            }
        }
    }
}
