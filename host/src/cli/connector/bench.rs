//! `connector bench`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::{Form, show, test::Subject};
use crate::author;

#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    #[command(flatten)]
    subject: Subject,
    /// About how long each number is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    seconds: f64,
    #[command(flatten)]
    form: Form,
}

impl Bench {
    pub(super) async fn run(self) -> Result<()> {
        let candidate = self.subject.open().await?;
        let time = Duration::try_from_secs_f64(self.seconds)?;
        let figures = author::bench(&candidate, time).await?;
        show(&figures, &figures, self.form)
    }
}
