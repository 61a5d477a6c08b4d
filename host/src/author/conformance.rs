//! Whether a component does what `docs/connector-spec.md` asks for, in whatever language it is
//! written: its fixtures and a scripted provider on this machine against it, in the sandbox.

mod failures;
pub(super) mod mapping;
mod reading;
mod stage;
mod writing;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Serialize;

use super::{Candidate, Error, Fixtures, lab::Lab};
use crate::runtime::CallError;
use stage::Stage;

/// What came of the checks. Its `Display` is for people, its JSON for programs.
#[derive(Clone, Debug, Serialize)]
pub struct Conformance {
    /// Whether none failed.
    pub ok: bool,
    /// The connector and its version.
    pub connector: String,
    /// Every check, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked, `paging` for example.
    pub name: &'static str,
    /// Of what: an object, or empty for the whole connector.
    pub subject: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen, or why it failed or was skipped.
    pub detail: String,
    /// What to do; empty where it is ok.
    pub fix: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is as it should be.
    Ok,
    /// It is not.
    Failed,
    /// The fixtures do not say enough to find out.
    Skipped,
}

/// Checks a connector. `settings` are values of its variables and settings, where those that are
/// made up will not do.
///
/// # Errors
/// There is no sandbox. What is wrong with the connector is in the answer.
pub async fn conformance(
    candidate: &Candidate,
    settings: &BTreeMap<String, String>,
) -> Result<Conformance, Error> {
    let stage = stage::stage();
    let script = Arc::clone(&stage);
    let lab = match Lab::open(candidate, settings.clone(), Some(script)).await? {
        Ok(lab) => lab,
        Err(error) => {
            let name = candidate.path.display().to_string();
            let check = Check::of(
                "loads",
                "",
                Verdict::failed(
                    error.to_string(),
                    "See what `jackfield connector validate` says.",
                ),
            );
            return Ok(Conformance::of(name, vec![check]));
        }
    };
    stage.set(&candidate.fixtures, lab.bases());
    let bench = Bench {
        lab: &lab,
        stage: &stage,
        fixtures: &candidate.fixtures,
    };
    let mut checks = vec![Check::of(
        "loads",
        "",
        Verdict::ok("it starts in the sandbox"),
    )];
    checks.extend(mapping::all(&bench).await);
    let (read, ids) = reading::all(&bench).await;
    checks.extend(read);
    checks.extend(writing::all(&bench, &ids).await);
    let manifest = lab.manifest();
    let name = format!("{} {}", manifest.slug, manifest.version);
    Ok(Conformance::of(name, checks))
}

/// What every check has at hand.
#[derive(Clone, Copy)]
struct Bench<'a> {
    lab: &'a Lab,
    stage: &'a Stage,
    fixtures: &'a Fixtures,
}

/// What a check finds.
enum Verdict {
    Ok(String),
    Failed(String, String),
    Skipped(String, String),
}

impl Verdict {
    fn ok(detail: impl Into<String>) -> Self {
        Self::Ok(detail.into())
    }

    fn failed(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Failed(detail.into(), fix.into())
    }

    fn skipped(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Skipped(detail.into(), fix.into())
    }

    /// A call that ended as no call should.
    fn broken(what: &str, error: &CallError) -> Self {
        Self::failed(
            format!("{what}: {error}"),
            "Answer a failure with the case that says what to do, and never panic on what comes from outside.",
        )
    }

    /// Nothing was recorded that would answer.
    fn unrecorded(request: &str) -> Self {
        Self::skipped(
            format!("no fixture answers {request}"),
            "Add this exchange to a fixture, or record it: jackfield connector record.",
        )
    }
}

impl Check {
    fn of(name: &'static str, subject: &str, verdict: Verdict) -> Self {
        let (outcome, detail, fix) = match verdict {
            Verdict::Ok(detail) => (Outcome::Ok, detail, String::new()),
            Verdict::Failed(detail, fix) => (Outcome::Failed, detail, fix),
            Verdict::Skipped(detail, fix) => (Outcome::Skipped, detail, fix),
        };
        Self {
            name,
            subject: subject.to_owned(),
            outcome,
            detail,
            fix,
        }
    }
}

impl Conformance {
    fn of(connector: String, checks: Vec<Check>) -> Self {
        Self {
            ok: checks.iter().all(|check| check.outcome != Outcome::Failed),
            connector,
            checks,
        }
    }

    /// How many checks ended like this.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.outcome == outcome).count()
    }
}

impl fmt::Display for Conformance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let outcome = match check.outcome {
                Outcome::Ok => "ok     ",
                Outcome::Failed => "failed ",
                Outcome::Skipped => "skipped",
            };
            let place = match check.subject.as_str() {
                "" => check.name.to_owned(),
                subject => format!("{} {subject}", check.name),
            };
            writeln!(formatter, "{outcome}  {place}: {}", check.detail)?;
            if !check.fix.is_empty() {
                writeln!(formatter, "         {}", check.fix)?;
            }
        }
        writeln!(
            formatter,
            "{}: {} ok, {} failed, {} skipped",
            self.connector,
            self.count(Outcome::Ok),
            self.count(Outcome::Failed),
            self.count(Outcome::Skipped)
        )
    }
}
