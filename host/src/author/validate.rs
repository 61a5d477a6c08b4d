//! Checks a connector's file as the host would, and says what is wrong and what to do.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Candidate, Error, Fixtures, Inspection, conformance::mapping, lab::Lab, lint};
use crate::{
    model::{Manifest, ManifestError, PushOperation},
    runtime::{
        Artifact, CallError, Compiler, ConnectorVersion, Failure, LoadError, first_difference,
    },
};

/// What was found in a file. Its `Display` is for people, its JSON for programs.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether a host would load it and get what the manifest promises.
    pub ok: bool,
    /// What is wrong, errors first.
    pub problems: Vec<Problem>,
    /// What is in the file, where it could be read that far.
    pub inspection: Option<Inspection>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How much it matters.
    pub level: Level,
    /// Where: a key of `connector.toml`, or `file`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The host refuses it, or a promise of the manifest is not kept.
    Error,
    /// It works, and could be better.
    Warning,
}

impl Problem {
    pub(super) fn error(key: impl Into<String>, message: impl Into<String>, fix: &str) -> Self {
        Self::new(Level::Error, key.into(), message.into(), fix)
    }

    pub(super) fn warning(key: impl Into<String>, message: impl Into<String>, fix: &str) -> Self {
        Self::new(Level::Warning, key.into(), message.into(), fix)
    }

    fn new(level: Level, key: String, message: String, fix: &str) -> Self {
        Self {
            level,
            key,
            message,
            fix: fix.to_owned(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            let level = match problem.level {
                Level::Error => "error",
                Level::Warning => "warning",
            };
            writeln!(formatter, "{level}: {}: {}", problem.key, problem.message)?;
            writeln!(formatter, "  {}", problem.fix)?;
        }
        let warnings = self
            .problems
            .iter()
            .filter(|problem| problem.level == Level::Warning)
            .count();
        let name = self.inspection.as_ref().map_or_else(
            || "the file".to_owned(),
            |inspection| format!("{} {}", inspection.slug, inspection.manifest().version),
        );
        match (self.ok, warnings) {
            (true, 0) => writeln!(formatter, "{name} is good"),
            (true, 1) => writeln!(formatter, "{name} is good, with 1 warning"),
            (true, warnings) => writeln!(formatter, "{name} is good, with {warnings} warnings"),
            (false, _) => writeln!(formatter, "{name} is not good"),
        }
    }
}

/// The same for a connector's folder, which is built first, or a file. A mistake in the manifest or
/// in a fixture of a folder is told with its line.
///
/// # Errors
/// It does not build, something cannot be read, or the sandbox not be started.
pub async fn validate_path(
    path: &Path,
    fixtures: Option<&Path>,
    compiler: Compiler,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report, Error> {
    match Candidate::open(path, fixtures, compiler, progress).await {
        Ok(candidate) => validate(&candidate).await,
        Err(error @ Error::Manifest { .. }) => Ok(report(
            vec![Problem::error(
                "connector.toml",
                error.to_string(),
                "Correct this line; the keys that exist are in docs/connectors.md.",
            )],
            None,
        )),
        Err(error @ Error::Fixture { .. }) => Ok(report(
            vec![Problem::error(
                "fixtures",
                error.to_string(),
                "Correct it; `cargo doc -p jackfield-sdk` describes the form under `testing`.",
            )],
            None,
        )),
        Err(Error::Refused(_, error)) => Ok(report(vec![refusal(&error, &[])], None)),
        Err(error) => Err(error),
    }
}

/// Reads, compiles and starts a connector, and calls its two pure functions, also with the
/// documents of its fixtures.
///
/// # Errors
/// The sandbox cannot be started. What is wrong with the connector is in the report.
pub async fn validate(candidate: &Candidate) -> Result<Report, Error> {
    let bytes = &candidate.bytes;
    let artifact = match Artifact::read(bytes) {
        Ok(artifact) => artifact,
        Err(error) => return Ok(report(vec![refusal(&error, bytes)], None)),
    };
    let mut problems = lint::all(&artifact);
    match Lab::open(candidate, BTreeMap::new(), None).await? {
        Ok(lab) => {
            problems.extend(promises(&lab.version, &artifact.manifest).await);
            problems.extend(documents(&lab.version, &candidate.fixtures).await);
            problems.extend(uncovered(&lab.version).await);
        }
        Err(error) => problems.push(refusal(&error, &artifact.component)),
    }
    let inspection = match Inspection::of(&candidate.path, bytes, &artifact) {
        Ok(inspection) => Some(inspection),
        Err(error) => {
            problems.push(refusal(&error, bytes));
            None
        }
    };
    Ok(report(problems, inspection))
}

/// What the documents of the fixtures become: the same in every instance, and what the schemas say.
async fn documents(version: &ConnectorVersion, fixtures: &Fixtures) -> Vec<Problem> {
    let mut problems = Vec::new();
    for object in &version.manifest().objects {
        let kind = object.kind;
        let key = format!("objects.{:?}", kind.name());
        let cases = fixtures.documents(kind);
        let remotes: Vec<Value> = cases
            .iter()
            .filter_map(|(_, case)| case.remote.clone())
            .collect();
        match mapping::same_answers(version, kind, &remotes).await {
            Ok(true) => {}
            Ok(false) => problems.push(Problem::error(
                &key,
                "unify answers other bytes each time for the same documents",
                "Use maps that keep an order, and neither the time nor chance.",
            )),
            Err(error) => {
                problems.extend(broken(&key, "unify", Err(error)));
                continue;
            }
        }
        for (place, case) in cases {
            let remote = json!([case.remote]).to_string();
            let Ok(text) = version.unify(kind, remote, &case.mappings()).await else {
                continue;
            };
            let entries: Vec<Map<String, Value>> = serde_json::from_str(&text).unwrap_or_default();
            let Some(unified) = entries.first().filter(|one| !one.contains_key("error")) else {
                continue;
            };
            if let Err(violations) = mapping::fits_schema(kind, unified) {
                problems.push(Problem::error(
                    place,
                    format!(
                        "unify makes of it what is no {kind}: {}",
                        mapping::sentence(&violations)
                    ),
                    "Correct unify; the schemas are under wit/models/.",
                ));
            }
        }
    }
    problems
}

fn report(mut problems: Vec<Problem>, inspection: Option<Inspection>) -> Report {
    problems.sort_by_key(|problem| problem.level);
    problems.dedup();
    Report {
        ok: problems
            .iter()
            .all(|problem| problem.level == Level::Warning),
        problems,
        inspection,
    }
}

/// Whether the pure functions know every object that the manifest names. What they answer to an
/// empty document is their own business, as long as it is an answer.
async fn promises(version: &ConnectorVersion, manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    for object in &manifest.objects {
        let key = format!("objects.{:?}", object.kind.name());
        let unify = version.unify(object.kind, "[{}]".to_owned(), &[]).await;
        problems.extend(broken(&key, "unify", unify));
        let writes = object
            .push
            .iter()
            .any(|operation| *operation != PushOperation::Delete);
        if writes {
            let desunify = version.desunify(object.kind, "{}".to_owned(), &[]).await;
            problems.extend(broken(&key, "desunify", desunify));
        }
    }
    problems
}

/// Fields that the manifest promises and that no sample shows.
async fn uncovered(version: &ConnectorVersion) -> Vec<Problem> {
    if version.samples().is_empty() {
        return vec![Problem::warning(
            "file",
            "carries no samples, so nobody sees which fields it fills",
            "Name fixtures with `documents`: export_connector!(…, samples = [\"fixtures/contact.json\"]).",
        )];
    }
    let Ok(coverage) = version.coverage().await else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for object in &version.manifest().objects {
        let name = object.kind.name();
        let found = coverage.get(name).map_or(&[][..], Vec::as_slice);
        let shown = |field: &&String| {
            let mut found = found.iter();
            found.any(|one| one.name == **field && (one.readable || one.writable))
        };
        let missing: Vec<&str> = object
            .fields
            .iter()
            .filter(|field| !shown(field))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            problems.push(Problem::warning(
                format!("objects.{name:?}.fields"),
                format!("promises {}, which no sample shows", missing.join(", ")),
                "Add a fixture with a document that fills it, or take it out of connector.toml.",
            ));
        }
    }
    problems
}

fn broken(key: &str, function: &str, answer: Result<String, CallError>) -> Option<Problem> {
    match answer {
        Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() => None,
        Ok(_) => Some(Problem::error(
            key,
            format!("{function} answers text that is not JSON"),
            "Answer what serde_json wrote.",
        )),
        Err(CallError::Failure(Failure::Unsupported(text))) => Some(Problem::error(
            key,
            format!("is promised, and {function} says: {text}"),
            "Implement it, or take the object or the operation out of connector.toml.",
        )),
        Err(CallError::Failure(_)) => None,
        Err(error) => Some(Problem::error(
            key,
            format!("{function} of an empty document: {error}"),
            "Documents come from outside: answer a failure, do not panic, and use no import but the log.",
        )),
    }
}

/// A refusal of the host, as a problem with something to do.
fn refusal(error: &LoadError, component: &[u8]) -> Problem {
    let message = error.to_string();
    let (key, fix) = match error {
        LoadError::Manifest(ManifestError::Value { key, message }) => {
            return Problem::error(
                key.clone(),
                message.clone(),
                "Change this key of connector.toml and build again.",
            );
        }
        LoadError::Manifest(_) => (
            "connector.toml",
            "Correct connector.toml; the keys that exist are in docs/connectors.md.",
        ),
        LoadError::NoManifest | LoadError::ManyManifests(_) => (
            "connector.toml",
            "Embed it once: export_connector!(Type, manifest = \"connector.toml\").",
        ),
        LoadError::WebhooksNotExported | LoadError::WebhooksNotDeclared => (
            "webhooks",
            "Have both or neither: [webhooks] in connector.toml, and `webhooks` in export_connector!.",
        ),
        LoadError::ChoicesNotExported(_) | LoadError::ChoicesNotDeclared => (
            "settings",
            "Have both or neither: a setting with options_from = \"discovery\" in connector.toml, and `choices` in export_connector!.",
        ),
        LoadError::Samples(..) => (
            "file",
            "Name fewer or smaller fixtures under `samples` of export_connector!.",
        ),
        LoadError::Memory { .. } => (
            "permissions.memory_mib",
            "Ask for less, and read in smaller pages.",
        ),
        LoadError::NotWasm | LoadError::NoContract | LoadError::MissingExport(_) => (
            "file",
            "Give the .wasm file that `jackfield connector build` writes.",
        ),
        LoadError::ForbiddenImport(..) => (
            "file",
            "Build for wasm32-unknown-unknown, and leave out crates that want files, sockets or the clock of the system.",
        ),
        LoadError::Contract(_) => {
            let difference = first_difference(component).unwrap_or(message);
            return Problem::error(
                "file",
                format!("it does not match the contract: {difference}"),
                "Build it with the SDK, or the files of wit/, of this version of Jackfield.",
            );
        }
        LoadError::Probe(_) => (
            "file",
            "Nothing may be computed before the first call: look for a start function or a constructor.",
        ),
        LoadError::TooLarge(..) => (
            "file",
            "Build with the profile `connector`, which strips and optimises.",
        ),
        LoadError::Compile(_) => (
            "file",
            "Build with the profile `connector`; split functions that are generated and very long.",
        ),
        LoadError::Signature(_) => (
            "file",
            "Build it again, or sign it again with `jackfield connector sign`.",
        ),
        LoadError::Refused(_) | LoadError::Store(_) => {
            ("file", "Ask the operator of the server to allow it.")
        }
        LoadError::Io(_)
        | LoadError::Cache { .. }
        | LoadError::Malformed(_)
        | LoadError::Engine(_)
        | LoadError::Duplicate { .. } => ("file", "Build it again."),
    };
    Problem::error(key, message, fix)
}
