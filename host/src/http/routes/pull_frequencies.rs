//! How often the project's connections are read in the background.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{extract::State, response::Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::json;
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::Operation,
    },
    model::{ObjectKind, ProjectId, Violation},
};

/// A year.
const LONGEST: u32 = 31_536_000;

/// Those of the published contract, whose clients want them all.
const CONTRACT: [&str; 7] = [
    "crm",
    "ats",
    "hris",
    "accounting",
    "filestorage",
    "ecommerce",
    "ticketing",
];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/sync/pull_frequencies", get)
            .alias("/sync/pull-frequencies")
            .id("getPullFrequency")
            .tag("Sync")
            .summary("How often the connections of each vertical are read.")
            .gives::<Frequencies>(200, "What holds, for every vertical."),
        Operation::post("/sync/pull_frequencies", set)
            .alias("/sync/pull-frequencies")
            .id("updatePullFrequency")
            .tag("Sync")
            .summary("Choose how often the connections of some verticals are read.")
            .describe("Whole seconds from the end of a read to the next; 0 means only when it is asked for (`POST /sync/resync`), besides the first read of a new connection. Verticals that are not named keep what they have.")
            .takes::<Choice>()
            .gives::<Frequencies>(200, "What holds now, for every vertical."),
    ]
}

fn verticals() -> BTreeSet<&'static str> {
    let known = ObjectKind::all().map(|kind| kind.spec().vertical.as_str());
    known.chain(CONTRACT).collect()
}

fn schema(required: bool) -> Schema {
    let field = json!({
        "type": "integer", "minimum": 0, "maximum": LONGEST,
        "description": "Seconds from the end of a read to the next; 0: only when asked for.",
        "examples": [3600],
    });
    let fields: Map<String, Value> = verticals()
        .into_iter()
        .map(|vertical| (vertical.to_owned(), field.clone()))
        .collect();
    let names: Vec<&str> = verticals().into_iter().filter(|_| required).collect();
    json_schema!({
        "type": "object",
        "description": "Seconds by vertical.",
        "properties": fields,
        "required": names,
        "additionalProperties": false,
    })
}

#[derive(Serialize)]
struct Frequencies(BTreeMap<&'static str, u32>);

impl JsonSchema for Frequencies {
    fn schema_name() -> Cow<'static, str> {
        "PullFrequencies".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema(true)
    }
}

#[derive(Deserialize)]
struct Choice(BTreeMap<String, Value>);

impl JsonSchema for Choice {
    fn schema_name() -> Cow<'static, str> {
        "PullFrequenciesChoice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema(false)
    }
}

impl Choice {
    /// Generated clients send whole numbers with a fraction of zero.
    fn checked(self) -> Result<BTreeMap<String, u32>, Error> {
        let known = verticals();
        let mut chosen = BTreeMap::new();
        for (vertical, value) in self.0 {
            let seconds = value.as_f64().filter(|number| {
                number.fract() == 0.0 && (0.0..=f64::from(LONGEST)).contains(number)
            });
            let message = if !known.contains(vertical.as_str()) {
                "is no vertical of this server".to_owned()
            } else if let Some(seconds) = seconds {
                let text = format!("{seconds:.0}");
                chosen.insert(vertical, text.parse().unwrap_or(LONGEST));
                continue;
            } else {
                format!("must be a whole number of seconds from 0 to {LONGEST}")
            };
            let path = format!("/{}", vertical.replace('~', "~0").replace('/', "~1"));
            let detail = format!("The key {vertical:?} {message}.");
            let violation = Violation { path, message };
            let error = Error::new(Code::ValidationFailed, detail);
            return Err(error.with_violations(vec![violation]));
        }
        Ok(chosen)
    }
}

async fn get(State(services): State<Arc<Services>>, caller: Caller) -> Result<Response, Error> {
    effective(&services, caller.project.id).await
}

async fn set(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Json(choice): Json<Choice>,
) -> Result<Response, Error> {
    let chosen = choice.checked()?;
    let project = actor.project.id;
    let store = &services.store;
    store.set_pull_frequencies(project, &chosen).await?;
    let details = serde_json::json!({ "seconds": chosen });
    actor
        .audit(&services, "project.pull_frequencies", project, details)
        .await?;
    effective(&services, project).await
}

async fn effective(services: &Services, project: ProjectId) -> Result<Response, Error> {
    let chosen = services.store.pull_frequencies(project).await?;
    let default = u32::try_from(services.sync_interval.as_secs()).unwrap_or(LONGEST);
    let default = default.min(LONGEST);
    let all = verticals().into_iter().map(|vertical| {
        let seconds = chosen.get(vertical).copied().unwrap_or(default);
        (vertical, seconds)
    });
    json(&Frequencies(all.collect()))
}
