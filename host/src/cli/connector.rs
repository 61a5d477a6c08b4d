//! What a connector's author does on the command line.

use std::{fmt::Display, path::PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{note, print};
use crate::author;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a new connector: a crate that builds, validates and serves a record as it is.
    #[command(
        after_help = "Example:\n  jackfield connector new acme-crm\n  jackfield connector build plugins/acme-crm"
    )]
    New {
        /// Its name: lower-case letters, digits and hyphens
        name: String,
        /// The new folder [default: plugins/NAME in a checkout of Jackfield, else NAME]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// The folder of the SDK's crate, outside of a checkout
        #[arg(long, value_name = "DIR")]
        sdk: Option<PathBuf>,
        /// Its first object
        #[arg(long, default_value = "crm.contact")]
        object: String,
        /// How customers log in
        #[arg(long, value_enum, default_value_t = Login::Bearer)]
        auth: Login,
    },
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
}

/// For whom an answer is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Form {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Login {
    /// A token that they paste
    Bearer,
    /// A key that they paste
    ApiKey,
    /// User name and password
    Basic,
    /// OAuth 2.0 in the browser
    #[value(name = "oauth2-code")]
    OAuth2Code,
}

impl From<Login> for author::Auth {
    fn from(login: Login) -> Self {
        match login {
            Login::Bearer => Self::Bearer,
            Login::ApiKey => Self::ApiKey,
            Login::Basic => Self::Basic,
            Login::OAuth2Code => Self::OAuth2Code,
        }
    }
}

impl Command {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::New {
                name,
                dir,
                sdk,
                object,
                auth,
            } => {
                let options = author::NewOptions {
                    dir,
                    sdk,
                    object: Some(object),
                    auth: auth.into(),
                };
                let folder = author::new(&name, &options)?;
                let folder = folder.display();
                print(&format!(
                    "Made {folder}. Next:\n  jackfield connector build {folder}\n"
                ))
            }
            Self::Build { dir, out, form } => {
                let built = author::build(&dir, &out, &note).await?;
                let text = format!("{} {}\n", built.path.display(), built.version);
                show(&built, &text, form)
            }
            Self::Validate { file, form } => {
                let report = author::validate(&file).await?;
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
