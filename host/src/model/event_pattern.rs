//! Which events an endpoint wants: types, and patterns over them.

use std::{fmt, str::FromStr};

use super::ObjectKind;

/// Types that are not about an object.
const PLAIN: [&str; 7] = [
    "connection.created",
    "connection.needs_reconnect",
    "connection.deleted",
    "sync.completed",
    "sync.failed",
    "sync.stopped",
    "webhook_endpoint.disabled",
];

/// What happens to a record.
const CHANGES: [&str; 3] = ["created", "updated", "deleted"];

/// The last part of the wire contract's name for "a read brought something": it stands for each of
/// [`CHANGES`].
const PULLED: &str = "pulled";

/// The names of the wire contract, one a line; some are of objects that no connector has yet.
const CONTRACT: &str = include_str!("event_pattern/contract.txt");

/// Names that the wire contract spells in its own way, and ours.
const MISSPELT: [(&str, &str); 1] = [("ats.eecos.pulled", "ats.eeocs.pulled")];

/// The longest pattern, in bytes.
const LONGEST: usize = 100;

/// A type of events, or a pattern with `*`: `crm.contact.created`, `crm.contact.*`, `*.created`,
/// `*`. The contract's `crm.contact.pulled` stands for what created, updated or deleted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern(String);

/// A text that matches no event there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} matches no type of events{}", hint(.suggestions))]
pub struct EventPatternError {
    text: String,
    suggestions: Vec<String>,
}

fn hint(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        "; use types such as crm.contact.created, or patterns such as crm.*, *.created and *".into()
    } else {
        format!("; did you mean {}?", suggestions.join(" or "))
    }
}

impl EventPattern {
    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it wants events of this type.
    #[must_use]
    pub fn matches(&self, kind: &str) -> bool {
        self.pulls(kind) || glob(self.0.as_bytes(), kind.as_bytes())
    }

    /// Whether it wants this type under the name `<object>.pulled`.
    fn pulls(&self, kind: &str) -> bool {
        let Some((object, change)) = kind.rsplit_once('.') else {
            return false;
        };
        CHANGES.contains(&change)
            && ObjectKind::parse(object).is_some()
            && ours(&self.0).rsplit_once('.') == Some((object, PULLED))
    }

    /// The type that an endpoint with these patterns gets an event under: its own, or the
    /// contract's `….pulled` where only that was asked for. None where no pattern matches.
    #[must_use]
    pub fn announced<'a>(patterns: &'a [Self], kind: &'a str) -> Option<&'a str> {
        let named = |pattern: &&Self| glob(pattern.0.as_bytes(), kind.as_bytes());
        if patterns.iter().any(|pattern| named(&pattern)) {
            return Some(kind);
        }
        let pulling = patterns.iter().find(|pattern| pattern.pulls(kind));
        pulling.map(Self::as_str)
    }

    /// Every type that this server announces, and every name of the wire contract.
    pub fn known() -> impl Iterator<Item = String> {
        let objects = ObjectKind::all().flat_map(|kind| {
            CHANGES
                .iter()
                .chain([&PULLED])
                .map(move |change| format!("{}.{change}", kind.name()))
        });
        let names = PLAIN.iter().copied().chain(CONTRACT.lines());
        names.map(str::to_owned).chain(objects)
    }
}

impl FromStr for EventPattern {
    type Err = EventPatternError;

    fn from_str(text: &str) -> Result<Self, EventPatternError> {
        let letter =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._*".contains(&byte);
        let plausible = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(letter);
        let wanted = text.as_bytes();
        if plausible && Self::known().any(|known| glob(wanted, known.as_bytes())) {
            return Ok(Self(text.to_owned()));
        }
        Err(EventPatternError {
            text: text.chars().take(LONGEST).collect(),
            suggestions: nearest(&text.to_ascii_lowercase()),
        })
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn ours(text: &str) -> &str {
    let found = MISSPELT.iter().find(|(theirs, _)| *theirs == text);
    found.map_or(text, |(_, ours)| ours)
}

/// Whether `text` matches: a star stands for any characters. At most one look back, so that no
/// pattern is slow.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match (pattern.get(at), text.get(read)) {
            (Some(b'*'), _) => {
                star = Some((at + 1, read));
                at += 1;
            }
            (Some(wanted), Some(found)) if wanted == found => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((after, from)) = star else {
                    return false;
                };
                star = Some((after, from + 1));
                at = after;
                read = from + 1;
            }
        }
    }
    pattern
        .get(at..)
        .is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

/// Up to three known types that look like a text.
fn nearest(text: &str) -> Vec<String> {
    let mut ranked: Vec<(usize, String)> = EventPattern::known()
        .map(|known| (distance(text, &known), known))
        .filter(|(distance, _)| *distance <= 4)
        .collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(3).map(|(_, known)| known).collect()
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    if left.len() > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.bytes().enumerate() {
        let mut before = line;
        let mut last = line + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let here = (before + usize::from(a != b)).min(last + 1).min(*cell + 1);
            before = std::mem::replace(cell, here);
            last = here;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> EventPattern {
        text.parse().unwrap()
    }

    #[test]
    fn patterns_match_what_they_say() {
        for (text, kind, expected) in [
            ("*", "sync.failed", true),
            ("crm.*", "crm.contact.created", true),
            ("crm.*", "ticketing.ticket.created", false),
            ("crm.contact.*", "crm.contact.deleted", true),
            ("crm.contact.*", "crm.company.created", false),
            ("*.created", "connection.created", true),
            ("*.created", "crm.contact.updated", false),
            ("crm.*.created", "crm.deal.created", true),
            ("crm.contact.created", "crm.contact.created", true),
            ("crm.contact.created", "crm.contact.updated", false),
            ("crm.contact.pulled", "crm.contact.updated", true),
            ("crm.contact.pulled", "crm.company.updated", false),
        ] {
            assert_eq!(pattern(text).matches(kind), expected, "{text} {kind}");
        }
    }

    #[test]
    fn what_is_asked_for_as_pulled_is_announced_as_pulled() {
        let both = [
            pattern("crm.contact.pulled"),
            pattern("crm.contact.created"),
        ];
        let created = "crm.contact.created";
        assert_eq!(EventPattern::announced(&both, created), Some(created));
        assert_eq!(
            EventPattern::announced(&both, "crm.contact.updated"),
            Some("crm.contact.pulled")
        );
        assert_eq!(EventPattern::announced(&both, "crm.deal.updated"), None);
    }

    #[test]
    fn unknown_ones_are_refused_with_what_was_meant() {
        let error = "crm.contacts.created".parse::<EventPattern>().unwrap_err();
        assert!(error.to_string().contains("crm.contact.created"), "{error}");
        for bad in [
            "",
            "crm.contact",
            "nothing.*",
            "CRM.*",
            "a b",
            "crm.contact.created\n",
        ] {
            assert!(bad.parse::<EventPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_name_of_the_wire_contract_is_accepted() {
        assert_eq!(CONTRACT.lines().count(), 56);
        for name in CONTRACT.lines() {
            pattern(name);
        }
    }
}
