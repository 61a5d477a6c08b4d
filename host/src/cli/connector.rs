//! What a connector's author does on the command line.

mod bench;
mod dev;
mod new;
mod operator;
mod outlets;
mod publisher;
mod record;
mod test;

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
    /// Check a connector as the server would, and try it, without serving it.
    #[command(
        after_help = "Examples:\n  jackfield connector validate plugins/acme-crm\n  jackfield connector validate acme-crm.wasm --json"
    )]
    Validate {
        /// The connector's folder, which is built first, or a `.wasm` file
        #[arg(value_name = "DIR_OR_FILE")]
        path: PathBuf,
        /// The folder of its fixtures [default: DIR/fixtures, else what the file carries]
        #[arg(long, value_name = "DIR")]
        fixtures: Option<PathBuf>,
        #[command(flatten)]
        form: Form,
    },
    /// Run a connector in the sandbox against its fixtures and a provider on this machine that misbehaves.
    #[command(
        after_help = "Examples:\n  jackfield connector test plugins/acme-crm\n  jackfield connector test acme.wasm --fixtures fixtures --json"
    )]
    Test(test::Test),
    /// Read from the real provider, and write what it answered as a fixture, without credentials.
    #[command(after_help = record::HELP)]
    Record(record::Record),
    /// Work on a connector: built, checked and shown again whenever a file is saved.
    #[command(
        after_help = "Example:\n  jackfield connector dev plugins/acme-crm --fixture contacts.json\n\nWhat is good goes to the folder of a running `jackfield dev`, which swaps it in."
    )]
    Dev(dev::Dev),
    /// Measure how fast a connector maps the documents of its fixtures.
    Bench(bench::Bench),
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
            Self::Validate {
                path,
                fixtures,
                form,
            } => {
                let compiler = Compiler::this_program(CompileLimits::default());
                let report =
                    author::validate_path(&path, fixtures.as_deref(), compiler, &note).await?;
                show(&report, &report, form)?;
                if !report.ok {
                    bail!("{} would not be served", path.display());
                }
                Ok(())
            }
            Self::Test(test) => test.run().await,
            Self::Record(record) => record.run().await,
            Self::Dev(dev) => dev.run().await,
            Self::Bench(bench) => bench.run().await,
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
