//! The loop of an author: save, and see what became of it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Built, Candidate, Error, Report, build, lab::Lab, validate};
use crate::runtime::Compiler;

/// Larger outputs are shown whole instead of compared.
const MOST_LINES: usize = 2000;

/// A connector that is worked on.
#[derive(Debug)]
pub struct Session {
    folder: PathBuf,
    fixture: Option<String>,
    into: PathBuf,
    compiler: Compiler,
    last: Option<String>,
}

/// What came of one look. Its `Display` is for the terminal.
#[derive(Clone, Debug)]
pub struct Round {
    /// What is wrong with it.
    pub report: Report,
    /// What the documents of the fixtures become, and how that differs from the look before.
    pub output: String,
    /// The file, where it was put into the folder of a server.
    pub loaded: Option<Built>,
}

impl Session {
    /// Works on the connector in `folder`. `fixture` is a file's name of its fixtures; all of them
    /// where none is given. What is good goes to `into`, the folder of a running server.
    #[must_use]
    pub fn new(folder: &Path, fixture: Option<String>, into: &Path, compiler: Compiler) -> Self {
        Self {
            folder: folder.to_owned(),
            fixture,
            into: into.to_owned(),
            compiler,
            last: None,
        }
    }

    /// Builds, validates, shows, and hands on what is good.
    ///
    /// # Errors
    /// It does not build, or a file has a mistake: which, where and what to do.
    pub async fn look(&mut self, progress: &(dyn Fn(&str) + Sync)) -> Result<Round, Error> {
        let compiler = self.compiler.clone();
        let candidate = Candidate::open(&self.folder, None, compiler, progress).await?;
        let report = validate(&candidate).await?;
        let unified = self.unified(&candidate).await?;
        let output = match &self.last {
            None => unified.clone(),
            Some(last) if *last == unified => "unify answers the same as before\n".to_owned(),
            Some(last) => difference(last, &unified),
        };
        self.last = Some(unified);
        let loaded = match report.ok {
            true => Some(build(&self.folder, &self.into, &|_| {}).await?),
            false => None,
        };
        Ok(Round {
            report,
            output,
            loaded,
        })
    }

    /// What the chosen documents become, a line for each field.
    async fn unified(&self, candidate: &Candidate) -> Result<String, Error> {
        let Ok(lab) = Lab::open(candidate, std::collections::BTreeMap::new(), None).await? else {
            return Ok(String::new());
        };
        let mut texts = Vec::new();
        for object in &lab.manifest().objects {
            for (place, case) in candidate.fixtures.documents(object.kind) {
                let chosen = |name: &String| place.contains(&format!("/{name}"));
                if !self.fixture.as_ref().is_none_or(chosen) {
                    continue;
                }
                let documents = json!([case.remote]).to_string();
                let answer = lab
                    .version
                    .unify(object.kind, documents, &case.mappings())
                    .await;
                let entry = match answer {
                    Ok(answer) => serde_json::from_str::<Vec<Value>>(&answer)
                        .ok()
                        .and_then(|entries| entries.into_iter().next())
                        .unwrap_or_default(),
                    Err(error) => json!({ "error": error.to_string() }),
                };
                texts.push(format!("{place} {}\n{entry:#}\n", object.kind));
            }
        }
        Ok(texts.concat())
    }
}

impl fmt::Display for Round {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.output)?;
        write!(formatter, "{}", self.report)?;
        match &self.loaded {
            Some(built) => writeln!(formatter, "{} is in place", built.path.display()),
            None => writeln!(
                formatter,
                "not put into place; a server goes on with the version before"
            ),
        }
    }
}

/// The lines that went and came, with those that stayed around them.
fn difference(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if old.len() > MOST_LINES || new.len() > MOST_LINES {
        return after.to_owned();
    }
    // How much is common from here on.
    let width = new.len() + 1;
    let mut common = vec![0_usize; (old.len() + 1) * width];
    let at = |row: usize, column: usize| row * width + column;
    let get = |common: &[usize], index: usize| common.get(index).copied().unwrap_or_default();
    for (row, one) in old.iter().enumerate().rev() {
        for (column, other) in new.iter().enumerate().rev() {
            let value = if one == other {
                get(&common, at(row + 1, column + 1)) + 1
            } else {
                get(&common, at(row + 1, column)).max(get(&common, at(row, column + 1)))
            };
            if let Some(place) = common.get_mut(at(row, column)) {
                *place = value;
            }
        }
    }
    let mut lines: Vec<(char, &str)> = Vec::new();
    let (mut row, mut column) = (0, 0);
    loop {
        match (old.get(row), new.get(column)) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => {
                lines.push((' ', one));
                row += 1;
                column += 1;
            }
            (Some(one), other)
                if other.is_none()
                    || get(&common, at(row + 1, column)) >= get(&common, at(row, column + 1)) =>
            {
                lines.push(('-', one));
                row += 1;
            }
            (_, Some(other)) => {
                lines.push(('+', other));
                column += 1;
            }
            (Some(_), None) => break,
        }
    }
    let near = |index: usize| {
        let from = index.saturating_sub(2);
        let around = lines.iter().skip(from).take(index + 3 - from);
        around.into_iter().any(|(mark, _)| *mark != ' ')
    };
    lines
        .iter()
        .enumerate()
        .filter(|(index, _)| near(*index))
        .map(|(_, (mark, line))| format!("{mark} {line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_shown() {
        let before = "a\nb\nc\nd\ne\nf\ng\n";
        let after = "a\nb\nc\nD\ne\nf\ng\nh\n";
        assert_eq!(
            difference(before, after),
            "  b\n  c\n- d\n+ D\n  e\n  f\n  g\n+ h\n"
        );
    }
}
