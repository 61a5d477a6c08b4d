//! What a connector's author does on the command line.

mod new;
mod operator;
mod outlets;
mod publisher;

use std::{fmt::Display, path::PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{note, print};
use crate::{
    author,
    runtime::{CompileLimits, Compiler},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a new connector that builds, validates and serves a record as it is.
    #[command(after_help = new::EXAMPLES)]
    New(new::New),
    /// Build a connector's crate into one `.wasm` file.
    #[command(
        after_help = "Example:\n  jackfield connector build plugins/demo-crm --out /srv/jackfield/plugins"
    )]
    Build {
        /// The crate's folder
        dir: PathBuf,
        /// Where the file goes, as SLUG.wasm
        #[arg(long, value_name = "DIR", default_value = "plugins")]
        out: PathBuf,
        #[command(flatten)]
        form: Form,
    },
    /// Check a `.wasm` file as the server would, and try it, without serving it.
    Validate {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        form: Form,
    },
    /// Show what a `.wasm` file is and what it may reach, without running it.
    Inspect {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        form: Form,
    },
    #[command(flatten)]
    Publisher(publisher::Command),
    #[command(flatten)]
    Operator(operator::Command),
    #[command(flatten)]
    Outlets(outlets::Command),
}

/// For whom an answer is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Form {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::New(new) => new.run(),
            Self::Build { dir, out, form } => {
                let built = author::build(&dir, &out, &note).await?;
                let text = format!("{} {}\n", built.path.display(), built.version);
                show(&built, &text, form)
            }
            Self::Validate { file, form } => {
                let report =
                    author::validate(&file, Compiler::this_program(CompileLimits::default()))
                        .await?;
                show(&report, &report, form)?;
                if !report.ok {
                    bail!("{} would not be served", file.display());
                }
                Ok(())
            }
            Self::Inspect { file, form } => {
                let inspection = author::inspect(&file)?;
                show(&inspection, &inspection, form)
            }
            Self::Publisher(command) => command.run(),
            Self::Operator(command) => command.run().await,
            Self::Outlets(command) => command.run().await,
        }
    }
}

fn show(value: &impl Serialize, text: &(impl Display + ?Sized), form: Form) -> Result<()> {
    if form.json {
        print(&format!("{}\n", serde_json::to_string_pretty(value)?))
    } else {
        print(&text.to_string())
    }
}
