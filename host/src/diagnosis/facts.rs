//! What an assistant is told: numbered sentences, with no record's content, no secret and no name
//! of a person in them.

use std::{collections::HashSet, sync::LazyLock};

use super::{Diagnosis, Overview, Problem, Subject, WINDOW_DAYS};
use crate::model::Timestamp;

/// Words that messages may have in common with nobody's data, one a line.
const WORDS: &str = include_str!("words.txt");
/// What stands in patterns in place of values.
const PLACES: [&str; 8] = ["N", "ID", "TIME", "HOST", "URL", "EMAIL", "ADDRESS", "…"];

static VOCABULARY: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| WORDS.lines().filter(|line| !line.is_empty()).collect());

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Counts from 1; an answer names it as `[1]`.
    pub number: usize,
    /// What it is about, in a word or two.
    pub about: &'static str,
    /// A sentence.
    pub says: String,
}

/// What is known of a run, a delivery or a connection.
#[must_use]
pub fn facts_of(diagnosis: &Diagnosis, now: Timestamp) -> Vec<Fact> {
    let mut facts = Facts::default();
    facts.add("time", format!("It is {now} now."));
    facts.subject(&diagnosis.subject);
    if diagnosis.problems.is_empty() {
        facts.add(
            "problem",
            "Nothing is known to be wrong with it.".to_owned(),
        );
    }
    for (index, problem) in diagnosis.problems.iter().enumerate() {
        facts.problem(index + 1, problem);
    }
    facts.0
}

/// What is known of a whole project.
#[must_use]
pub fn facts_of_project(overview: &Overview, now: Timestamp) -> Vec<Fact> {
    let mut facts = Facts::default();
    facts.add("time", format!("It is {now} now."));
    let number = overview.problems.len();
    facts.add(
        "project",
        format!("There are {number} different problems now."),
    );
    if overview.is_cut {
        let text = "There is more than is told here: only the newest things were looked at.";
        facts.add("project", text.to_owned());
    }
    for (index, problem) in overview.problems.iter().take(10).enumerate() {
        facts.problem(index + 1, problem);
    }
    facts.0
}

#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, about: &'static str, says: String) {
        let number = self.0.len() + 1;
        self.0.push(Fact {
            number,
            about,
            says,
        });
    }

    fn subject(&mut self, subject: &Subject) {
        match subject {
            Subject::Run(run) => {
                self.add(
                    "run",
                    format!(
                        "It is about the sync run {} of {} at a connection of the connector {}, direction {}, begun for the reason {}.",
                        run.id, run.kind, run.connector, run.direction, run.trigger
                    ),
                );
                let counts = run.counts;
                self.add(
                    "run",
                    format!(
                        "Its status is {}. It was begun at {}; so far there were {} attempts, {} pages and {} requests.",
                        run.status, run.started_at, run.attempts, run.pages, counts.requests
                    ),
                );
                self.add(
                    "run",
                    format!(
                        "{} records were read, {} created, {} updated, {} deleted; {} failed, {} wait as conflicts.",
                        counts.read,
                        counts.created,
                        counts.updated,
                        counts.deleted,
                        counts.failed,
                        counts.conflicts
                    ),
                );
                if let Some(at) = run.next_attempt_at {
                    self.add("run", format!("It is tried again at {at}."));
                }
                if let Some(by) = &run.by {
                    self.add(
                        "run",
                        format!("Version {} of the connector worked.", by.version),
                    );
                }
            }
            Subject::Delivery(delivery, webhook) => {
                self.add(
                    "delivery",
                    format!(
                        "It is about the delivery {} of an event to the webhook endpoint {webhook}.",
                        delivery.id
                    ),
                );
                self.add(
                    "delivery",
                    format!(
                        "Its state is {}. It was made at {}; {} attempts were begun.",
                        delivery.state.as_str(),
                        delivery.created_at,
                        delivery.attempts
                    ),
                );
                if let Some(at) = delivery.next_at {
                    self.add("delivery", format!("It is tried again at {at}."));
                }
            }
            Subject::Connection(connection) => {
                self.add(
                    "connection",
                    format!(
                        "It is about the connection {} of the connector {}, vertical {}, made at {}.",
                        connection.id,
                        connection.connector,
                        connection.vertical,
                        connection.created_at
                    ),
                );
                self.add(
                    "connection",
                    format!(
                        "Its status is {}; it logged in by the scheme {}, at the provider's {} environment.",
                        connection.status.as_str(),
                        connection.scheme,
                        connection.environment.as_str()
                    ),
                );
            }
        }
    }

    fn problem(&mut self, number: usize, problem: &Problem) {
        let of = |text: String| format!("Problem {number}: {text}");
        let class = problem.kind.as_str();
        let place = match (&problem.connector, &problem.webhook) {
            (Some(connector), _) => format!(" at the connector {connector}"),
            (None, Some(webhook)) => format!(" at the webhook endpoint {webhook}"),
            (None, None) => String::new(),
        };
        self.add(
            "problem",
            of(format!("an error of the class {class}{place}.")),
        );
        let pattern = told(&problem.pattern);
        self.add(
            "message",
            of(format!("the message, without values, is: {pattern}")),
        );
        if let Some(status) = problem.status {
            self.add("status", of(format!("the answer had the status {status}.")));
        }
        let counts = problem.counts;
        self.add(
            "how often",
            of(format!(
                "in the last {WINDOW_DAYS} days it was seen {} times here, {} times with this connector at {} connections, {} times in the project.",
                counts.here, counts.connector, counts.connections, counts.project
            )),
        );
        let spread = match problem.spread {
            super::Spread::One => "one place alone suffers from it at this time.",
            super::Spread::Several => {
                "several connections of the connector suffer from it at the same time."
            }
            super::Spread::Everywhere => {
                "connections of several connectors suffer from it at the same time."
            }
        };
        self.add("spread", of(spread.to_owned()));
        if let Some(since) = problem.since {
            self.add("since", of(format!("it began at {since}.")));
        }
        self.add(
            "last seen",
            of(format!("it was seen last at {}.", problem.last_seen_at)),
        );
        let good = match problem.last_success_at {
            Some(at) => format!("the same went well last at {at}."),
            None => "no earlier success is known.".to_owned(),
        };
        self.add("last success", of(good));
        if problem.changes.is_empty() {
            self.add(
                "changes",
                of("no change is known before it began.".to_owned()),
            );
        }
        for change in &problem.changes {
            self.add(
                "changes",
                of(format!(
                    "before it began, at {}: {}",
                    change.at, change.what
                )),
            );
        }
        self.add(
            "cause",
            of(format!(
                "the likely cause by the rule {}: {}",
                problem.rule.id, problem.cause
            )),
        );
        self.add(
            "who",
            of(format!("who can act: {}.", problem.rule.who.as_str())),
        );
        for step in &problem.steps {
            let link = step.link.as_deref();
            let link = link
                .map(|link| format!(" Page: {link}"))
                .unwrap_or_default();
            self.add("step", of(format!("a next step: {}{link}", step.text)));
        }
    }
}

/// A pattern with only those words that are in the vocabulary: what else stands there may come
/// from a record.
fn told(pattern: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in pattern.split_whitespace() {
        let core = word.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '…');
        // A number that a pattern kept is a status.
        let is_status = !core.is_empty() && core.bytes().all(|byte| byte.is_ascii_digit());
        let known = is_status
            || PLACES.contains(&core)
            || VOCABULARY.contains(core.to_lowercase().as_str());
        if known {
            words.push(word.to_owned());
        } else if words.last().is_none_or(|last| last != "…") {
            words.push("…".to_owned());
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::normalised;

    #[test]
    fn an_unknown_word_is_not_told() {
        for (message, known) in [
            (
                "the provider refuses email: Contact Zaphod Beeblebrox already exists",
                "the provider refuses email: contact … already exists",
            ),
            (
                "the provider refuses the credentials: token pat-na1-XYZ is expired",
                "the provider refuses the credentials: token … is expired",
            ),
            (
                "no connection to crm.acme.example: Connection refused (os error 111)",
                "no connection to HOST: Connection refused (os error 111)",
            ),
        ] {
            assert_eq!(
                told(&normalised(message)).to_lowercase(),
                known.to_lowercase()
            );
        }
    }

    #[test]
    fn the_vocabulary_is_one_lower_case_word_a_line() {
        for line in WORDS.lines() {
            assert!(
                !line.contains(' ') && line == line.to_lowercase(),
                "{line:?}"
            );
        }
    }
}
