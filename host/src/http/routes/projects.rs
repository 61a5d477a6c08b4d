//! Projects. An API key belongs to one, sees that one, and makes no other.

use axum::response::Response;
use serde::Serialize;

use super::json;
use crate::{
    http::{
        caller::Caller,
        error::{Code, Error},
    },
    model::{Environment, Project},
};

/// A project as the wire contract has it. Users and connector sets do not exist here; the
/// contract's clients want texts in their places.
#[derive(Serialize)]
struct ProjectBody<'a> {
    id_project: String,
    name: &'a str,
    environment: &'static str,
    sync_mode: &'static str,
    id_user: &'static str,
    id_connector_set: &'static str,
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
