//! What a connector's author does on the command line.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Outcome, print};
use crate::author;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a new connector: a crate that builds, validates and serves a record as it is.
    #[command(
        after_help = "Example:\n  jackfield connector new acme-crm && jackfield connector build plugins/acme-crm"
    )]
    New {
        /// Its name: lower-case letters, digits and hyphens
        name: String,
        /// The folder to make it in
        #[arg(long, value_name = "DIR", default_value = "plugins")]
        into: PathBuf,
    },
    /// Build a connector's crate into one `.wasm` file, and validate it.
    #[command(
        after_help = "Example:\n  jackfield connector build plugins/demo-crm --out /srv/jackfield/plugins"
    )]
    Build {
        /// The crate's folder
        dir: PathBuf,
        /// Where the file goes
        #[arg(long, value_name = "DIR", default_value = "plugins")]
        out: PathBuf,
    },
    /// Check a `.wasm` file as the server would, without serving it.
    Validate {
        /// The file
        file: PathBuf,
    },
    /// Print what a `.wasm` file is and what it may reach, without running it.
    Inspect {
        /// The file
        file: PathBuf,
    },
}

impl Command {
    pub(super) async fn run(self) -> Outcome {
        match self {
            Self::New { name, into } => print(&author::create(&name, &into)?),
            Self::Build { dir, out } => print(&author::build(&dir, &out).await?),
            Self::Validate { file } => print(&author::validate(&file).await?),
            Self::Inspect { file } => print(&author::inspect(&file)?),
        }
    }
}
