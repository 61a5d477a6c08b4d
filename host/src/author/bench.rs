//! How fast a connector maps, and what it costs.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Candidate, Error, conformance::mapping::writes, lab::Lab};
use crate::{
    model::ObjectKind,
    runtime::{CallError, ConnectorVersion},
};

/// Records in one call of `unify`, as in a page of a sync.
const PAGE: usize = 100;

/// What was measured. Its `Display` is for people, its JSON for programs.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The connector and its version.
    pub connector: String,
    /// The file's size.
    pub bytes: u64,
    /// To verify and compile it, milliseconds.
    pub compile_ms: f64,
    /// A call that does nothing: a fresh instance, microseconds; the middle one.
    pub instantiate_us: f64,
    /// The same; the slowest of a hundred.
    pub instantiate_p99_us: f64,
    /// The most memory that an instance had, bytes.
    pub peak_memory: u64,
    /// What each object's mappings do.
    pub objects: Vec<Speed>,
}

/// The speed of an object's mappings.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// The object.
    pub object: &'static str,
    /// Documents unified in a second; none where the fixtures have none.
    pub unify_per_second: Option<f64>,
    /// Objects turned into the provider's form in a second; each is a call. None where it is not
    /// written or has no input.
    pub desunify_per_second: Option<f64>,
}

/// Measures a connector with the documents of its fixtures, about `time` for each number.
///
/// # Errors
/// The component is refused, or a call fails.
pub async fn bench(candidate: &Candidate, time: Duration) -> Result<Figures, Error> {
    let started = Instant::now();
    let lab = Lab::open(candidate, BTreeMap::new(), None)
        .await?
        .map_err(|error| Error::Refused(candidate.path.clone(), error))?;
    let compile_ms = started.elapsed().as_secs_f64() * 1e3;
    let version = &lab.version;
    let failed = |error: CallError| Error::Provider(error.to_string());
    let manifest = lab.manifest();
    let Some(first) = manifest.objects.first().map(|object| object.kind) else {
        return Err(Error::Provider("connector.toml has no object".to_owned()));
    };
    let mut calls = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < time || calls.len() < 100 {
        let one = Instant::now();
        version
            .unify(first, "[]".to_owned(), &[])
            .await
            .map_err(failed)?;
        calls.push(one.elapsed());
        if begin.elapsed() > time * 10 {
            break;
        }
    }
    calls.sort();
    let at = |percent: usize| {
        let index = (calls.len() * percent / 100).min(calls.len().saturating_sub(1));
        calls
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    let (instantiate_us, instantiate_p99_us) = (at(50), at(99));
    let mut objects = Vec::new();
    for object in &manifest.objects {
        let kind = object.kind;
        let remotes: Vec<Value> = candidate
            .fixtures
            .documents(kind)
            .into_iter()
            .filter(|(_, case)| case.error.is_none())
            .filter_map(|(_, case)| case.remote.clone())
            .collect();
        let inputs: Vec<String> = candidate
            .fixtures
            .inputs(kind)
            .into_iter()
            .filter(|(_, case)| case.error.is_none())
            .filter_map(|(_, case)| Some(Value::Object(case.unified.clone()?).to_string()))
            .collect();
        objects.push(Speed {
            object: kind.name(),
            unify_per_second: unify(version, kind, &remotes, time).await.map_err(failed)?,
            desunify_per_second: if writes(object) {
                desunify(version, kind, &inputs, time)
                    .await
                    .map_err(failed)?
            } else {
                None
            },
        });
    }
    Ok(Figures {
        connector: format!("{} {}", manifest.slug, manifest.version),
        bytes: candidate.bytes.len() as u64,
        compile_ms,
        instantiate_us,
        instantiate_p99_us,
        peak_memory: version.peak_memory(),
        objects,
    })
}

async fn unify(
    version: &ConnectorVersion,
    kind: ObjectKind,
    remotes: &[Value],
    time: Duration,
) -> Result<Option<f64>, CallError> {
    if remotes.is_empty() {
        return Ok(None);
    }
    let page: Vec<&Value> = remotes.iter().cycle().take(PAGE).collect();
    let page = json!(page).to_string();
    let (begin, mut count) = (Instant::now(), 0.0);
    while begin.elapsed() < time {
        version.unify(kind, page.clone(), &[]).await?;
        count += PAGE as f64;
    }
    Ok(Some(count / begin.elapsed().as_secs_f64()))
}

async fn desunify(
    version: &ConnectorVersion,
    kind: ObjectKind,
    inputs: &[String],
    time: Duration,
) -> Result<Option<f64>, CallError> {
    if inputs.is_empty() {
        return Ok(None);
    }
    let (begin, mut count) = (Instant::now(), 0.0);
    for input in inputs.iter().cycle() {
        if begin.elapsed() >= time {
            break;
        }
        version.desunify(kind, input.clone(), &[]).await?;
        count += 1.0;
    }
    Ok(Some(count / begin.elapsed().as_secs_f64()))
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}, {} bytes", self.connector, self.bytes)?;
        writeln!(formatter, "compiled in    {:.0} ms", self.compile_ms)?;
        writeln!(
            formatter,
            "fresh instance {:.0} µs, at most {:.0} µs for 99 of 100",
            self.instantiate_us, self.instantiate_p99_us
        )?;
        writeln!(
            formatter,
            "memory         {:.1} MiB at most",
            self.peak_memory as f64 / 1024.0 / 1024.0
        )?;
        let told = |speed: Option<f64>| {
            speed.map_or_else(|| "-".to_owned(), |speed| format!("{speed:.0}/s"))
        };
        for speed in &self.objects {
            writeln!(
                formatter,
                "{:<24} unify {:>10}   desunify {:>10}",
                speed.object,
                told(speed.unify_per_second),
                told(speed.desunify_per_second)
            )?;
        }
        Ok(())
    }
}
