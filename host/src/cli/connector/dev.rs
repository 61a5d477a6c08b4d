//! `connector dev`: the loop of an author.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{note, print};
use crate::{
    author::{Session, SourceWatch},
    runtime::{CompileLimits, Compiler},
    telemetry,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Dev {
    /// The connector's folder
    dir: PathBuf,
    /// Show only what the documents of this fixture become
    #[arg(long, value_name = "NAME")]
    fixture: Option<String>,
    /// The folder of a running server that gets what is good
    #[arg(long, value_name = "DIR", default_value = ".jackfield/connectors")]
    into: PathBuf,
}

impl Dev {
    pub(super) async fn run(self) -> Result<()> {
        let compiler = Compiler::this_program(CompileLimits::default());
        let mut watch = SourceWatch::of_one(&self.dir);
        let mut session = Session::new(&self.dir, self.fixture, &self.into, compiler);
        loop {
            match session.look(&note).await {
                Ok(round) => print(&round.to_string())?,
                // The next save may mend it.
                Err(error) => note(&telemetry::chain(&error)),
            }
            note("waiting for a change; Ctrl-C stops");
            watch.changed().await;
        }
    }
}
