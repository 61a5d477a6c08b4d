//! Projects. An API key belongs to one, sees that one, and makes no other.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::json;
use crate::{
    http::{
        caller::Caller,
        error::{Code, Error},
        operation::Operation,
    },
    model::{Environment, Project},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/projects", list)
            .id("getProjects")
            .tag("Projects")
            .summary("The project of the API key, as a list of one.")
            .gives::<Vec<ProjectBody<'static>>>(200, "The project."),
        Operation::post("/projects", create)
            .id("createProject")
            .tag("Projects")
            .summary("Refused: an API key works for one project and cannot make another.")
            .fails(&[Code::NotAllowed]),
    ]
}

/// A project as the wire contract has it. Users and connector sets do not exist here; the
/// contract's clients want texts in their places.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Project")]
struct ProjectBody<'a> {
    #[schemars(with = "Uuid")]
    id_project: String,
    /// As the operator called it.
    name: &'a str,
    #[schemars(with = "Environment")]
    environment: &'static str,
    /// Always `pull`.
    sync_mode: &'static str,
    /// Always empty.
    id_user: &'static str,
    /// Always empty.
    id_connector_set: &'static str,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
}

impl<'a> From<&'a Project> for ProjectBody<'a> {
    fn from(project: &'a Project) -> Self {
        Self {
            id_project: project.id.to_string(),
            name: &project.name,
            environment: Environment::as_str(project.environment),
            sync_mode: "pull",
            id_user: "",
            id_connector_set: "",
            created_at: project.created_at.to_string(),
        }
    }
}

pub(super) async fn list(caller: Caller) -> Result<Response, Error> {
    json(&[ProjectBody::from(&caller.project)])
}

pub(super) async fn create(_: Caller) -> Error {
    let detail = "An API key works for one project and cannot make another. On the server: `jackfield project create NAME`, then `jackfield api-key create --project ID`.";
    Error::new(Code::NotAllowed, detail)
}
