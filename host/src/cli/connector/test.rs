//! `connector test`: conformance.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use super::{Form, note, show};
use crate::{
    author::{self, Candidate, Outcome},
    runtime::{CompileLimits, Compiler},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    form: Form,
}

/// A connector, and what it is tried with.
#[derive(Debug, Args)]
pub(in crate::cli) struct Subject {
    /// The connector's folder, which is built first, or a `.wasm` file
    #[arg(value_name = "DIR_OR_FILE")]
    path: PathBuf,
    /// The folder of its fixtures [default: DIR/fixtures, else what the file carries]
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// A value of a variable or setting of the connection; can be given several times
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Subject {
    pub(super) async fn open(&self) -> Result<Candidate, author::Error> {
        let compiler = Compiler::this_program(CompileLimits::default());
        Candidate::open(&self.path, self.fixtures.as_deref(), compiler, &note).await
    }

    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        self.settings.iter().cloned().collect()
    }
}

impl Test {
    pub(super) async fn run(self) -> Result<()> {
        let candidate = self.subject.open().await?;
        let result = author::conformance(&candidate, &self.subject.settings()).await?;
        show(&result, &result, self.form)?;
        if !result.ok {
            bail!("{} checks failed", result.count(Outcome::Failed));
        }
        Ok(())
    }
}
