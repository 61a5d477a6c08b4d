//! `crm.stage`: the steps of a deal. Read only.

use jackfield_sdk::models::crm::Stage;
use jackfield_sdk::{Document, Failure};

use crate::wire;

pub(crate) const NAMES: &[(&str, &str)] = &[];

pub(crate) fn to_unified(document: Document<'_>) -> Result<Stage, Failure> {
    let stage: wire::Stage = document.read()?;
    Ok(Stage {
        stage_name: stage.label.into(),
        ..Stage::default()
    })
}
