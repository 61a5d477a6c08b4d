//! `crm.stage`: the stages of all deal pipelines. HubSpot gives them at once.

use jackfield_sdk::models::crm::Stage;
use jackfield_sdk::{Document, Failure, FetchRequest, Page, Raw, RemoteRecord, http};

use crate::value::text;
use crate::wire;

/// A stage and the pipeline it belongs to.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) pipeline: String,
    pub(crate) stage: String,
}

pub(crate) fn to_unified(document: Document<'_>) -> Result<Stage, Failure> {
    let stage: wire::Stage = document.read()?;
    Ok(Stage {
        stage_name: text(stage.label.into()),
        field_mappings: serde_json::Map::new(),
    })
}

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    let stages = pipelines()?
        .into_iter()
        .flat_map(|pipeline| pipeline.stages);
    let mut records = stages.map(|Raw { document, value }| {
        RemoteRecord::new(value.id, document).modified_at(value.updated_at)
    });
    match &request.remote_id {
        None => Ok(Page::new(records)),
        Some(id) => {
            let found = records.find(|record| record.remote_id == *id);
            found
                .map(Page::one)
                .ok_or_else(|| Failure::NotFound(format!("HubSpot has no deal stage {id}")))
        }
    }
}

/// The first stage of the first pipeline, where a new deal begins.
pub(crate) fn first() -> Result<Place, Failure> {
    let pipeline = pipelines()?
        .into_iter()
        .min_by_key(|pipeline| pipeline.display_order);
    let place = pipeline.and_then(|pipeline| {
        let stage = pipeline
            .stages
            .iter()
            .min_by_key(|stage| stage.display_order)?;
        Some(Place {
            stage: stage.id.clone(),
            pipeline: pipeline.id,
        })
    });
    place.ok_or_else(|| Failure::invalid_field("stage_id", "the HubSpot account has no deal stage"))
}

/// The place of a stage.
pub(crate) fn find(stage: &str) -> Result<Place, Failure> {
    let mut pipelines = pipelines()?.into_iter();
    let pipeline = pipelines.find(|pipeline| pipeline.stages.iter().any(|known| known.id == stage));
    pipeline
        .map(|pipeline| Place {
            pipeline: pipeline.id,
            stage: stage.to_owned(),
        })
        .ok_or_else(|| {
            Failure::invalid_field("stage_id", format!("HubSpot has no deal stage {stage:?}"))
        })
}

fn pipelines() -> Result<Vec<wire::Pipeline>, Failure> {
    let answer: wire::Pipelines = http::get("{api}/crm/v3/pipelines/deals").send()?.json()?;
    Ok(answer.results)
}
