//! Settings of a connection that is there.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    connections::{self, ConnectionBody, scope},
    json,
};
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::Operation,
    },
    model::{Choice, Violation},
    unify::SettingsChange,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::patch("/connections/{id}", update)
            .id("updateConnection")
            .tag("Connections")
            .summary("Change settings of a connection; what is not named stays.")
            .describe("`null` takes a setting back to its default. Settings of type `password` are never shown. Where the provider knows the choices of a setting, it is asked. All syncs of the connection read everything again.")
            .path::<Uuid>("id", "The `id_connection`.")
            .takes::<Update>()
            .gives::<ConnectionBody<'static>>(200, "The connection as it is now.")
            .fails(&[Code::ConnectionNotFound, Code::Conflict])
            .fails(PROVIDER_FAILURES),
        Operation::get("/connections/{id}/settings/{setting}/choices", choices)
            .id("listSettingChoices")
            .tag("Connections")
            .summary("What a setting can be set to, as the provider has it now.")
            .describe("For settings with `options_from` of `GET /connectors/{slug}`.")
            .path::<Uuid>("id", "The `id_connection`.")
            .path::<String>("setting", "The setting's `id`.")
            .gives::<ChoicesBody>(200, "The choices.")
            .fails(&[Code::ConnectionNotFound, Code::InvalidSetting])
            .fails(PROVIDER_FAILURES),
    ]
}

/// What goes wrong where the provider is asked.
const PROVIDER_FAILURES: &[Code] = &[
    Code::NeedsReconnect,
    Code::Unsupported,
    Code::RateLimited,
    Code::ProviderForbidden,
    Code::ProviderRefused,
    Code::ProviderFailed,
    Code::ProviderUnavailable,
    Code::ConnectorNotFound,
    Code::ConnectorFailed,
    Code::ConnectorUnavailable,
    Code::ConnectorTimeout,
    Code::Busy,
];

/// What changes of a connection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConnectionUpdate")]
pub(super) struct Update {
    /// Settings of the manifest, by id.
    #[schemars(with = "BTreeMap<String, Option<String>>", example = serde_json::json!({"locale": "de"}))]
    settings: BTreeMap<String, Value>,
}

/// What a setting can be set to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SettingChoices")]
struct ChoicesBody {
    choices: Vec<ChoiceBody>,
}

/// One of several things to choose.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SettingChoice")]
struct ChoiceBody {
    /// What the setting is set to.
    value: String,
    /// What a person reads.
    label: String,
}

impl From<Choice> for ChoiceBody {
    fn from(Choice { value, label }: Choice) -> Self {
        Self { value, label }
    }
}

pub(super) async fn update(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<Update>,
) -> Result<Response, Error> {
    let scope = scope(&services, actor.project.id, &id).await?;
    let changes = changes(body.settings)?;
    services
        .unify
        .update_settings(&scope, changes, &actor.name())
        .await?;
    let caller = Caller {
        project: actor.project,
    };
    connections::get(State(services), caller, Path(id)).await
}

pub(super) async fn choices(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path((id, setting)): Path<(String, String)>,
) -> Result<Response, Error> {
    let scope = scope(&services, caller.project.id, &id).await?;
    let found = services.unify.setting_choices(&scope, &setting).await?;
    json(&ChoicesBody {
        choices: found.into_iter().map(ChoiceBody::from).collect(),
    })
}

fn changes(settings: BTreeMap<String, Value>) -> Result<SettingsChange, Error> {
    let mut changes = SettingsChange::new();
    for (id, value) in settings {
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Array(_) | Value::Object(_) => {
                let violation = Violation {
                    path: format!("/settings/{}", id.replace('~', "~0").replace('/', "~1")),
                    message: "must be a text".to_owned(),
                };
                let detail = format!("The body is not valid: {violation}.");
                let error = Error::new(Code::ValidationFailed, detail);
                return Err(error.with_violations(vec![violation]));
            }
        };
        changes.insert(id, text);
    }
    Ok(changes)
}
