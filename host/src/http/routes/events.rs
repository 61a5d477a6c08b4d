//! What happened in a project, newest first.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use super::json;
use crate::{
    http::{
        Services,
        caller::{Caller, Client},
        error::Error,
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{MAX_LIMIT, ObjectKind, ProjectId},
    store::EventRow,
};

const DEFAULT_EVENTS: u32 = 10;

/// All types that clients generated from the published contract can parse, one of them misspelt
/// there (`eecos`). They refuse a whole page for any other.
const GENERATED_TYPES: [&str; 56] = [
    "connection.created",
    "crm.contact.created",
    "crm.contact.pulled",
    "crm.company.created",
    "crm.company.pulled",
    "crm.deal.created",
    "crm.deal.pulled",
    "crm.engagement.created",
    "crm.engagement.pulled",
    "crm.note.created",
    "crm.note.pulled",
    "crm.stage.pulled",
    "crm.task.created",
    "crm.task.pulled",
    "crm.user.pulled",
    "ticketing.ticket.created",
    "ticketing.ticket.pulled",
    "ticketing.comment.created",
    "ticketing.comment.pulled",
    "ticketing.attachment.created",
    "ticketing.attachment.pulled",
    "ticketing.collection.pulled",
    "ticketing.account.pulled",
    "ticketing.contact.pulled",
    "ticketing.tag.pulled",
    "ticketing.team.pulled",
    "ticketing.user.pulled",
    "ats.activity.created",
    "ats.activity.pulled",
    "ats.application.created",
    "ats.application.pulled",
    "ats.attachment.created",
    "ats.attachment.pulled",
    "ats.candidate.created",
    "ats.candidate.pulled",
    "ats.department.pulled",
    "ats.eecos.pulled",
    "ats.interview.created",
    "ats.interview.pulled",
    "ats.job.pulled",
    "ats.jobinterviewstage.pulled",
    "ats.offer.created",
    "ats.office.pulled",
    "ats.rejectreason.pulled",
    "ats.scorecard.pulled",
    "ats.tag.pulled",
    "ats.user.pulled",
    "filestorage.file.created",
    "filestorage.file.pulled",
    "filestorage.folder.created",
    "filestorage.folder.pulled",
    "filestorage.group.pulled",
    "filestorage.user.pulled",
    "filestorage.drive.pulled",
    "filestorage.permission.pulled",
    "filestorage.sharedlink.pulled",
];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/events", list)
            .id("getPanoraCoreEvents")
            .tag("Events")
            .summary("What happened in the project, newest first.")
            .parameter(
                Parameter::query::<u32>("page", "Which page, from 1.")
                    .rule("minimum", 1)
                    .rule("default", 1),
            )
            .parameter(
                Parameter::query::<u32>("limit", "Events on a page; more than 200 count as 200.")
                    .rule("minimum", 1)
                    .rule("default", DEFAULT_EVENTS),
            )
            .gives::<Vec<EventBody<'static>>>(200, "The events."),
    ]
}

/// An event as the wire contract has it, where every value is a text, and its data.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct EventBody<'a> {
    #[schemars(with = "Uuid")]
    id_event: String,
    /// Empty where the event belongs to no connection.
    id_connection: String,
    #[schemars(with = "Uuid")]
    id_project: String,
    #[schemars(example = &"crm.contact.created")]
    r#type: &'a str,
    #[schemars(extend("enum" = ["success", "fail"]))]
    status: &'static str,
    /// Always `0`.
    direction: &'static str,
    #[schemars(extend("enum" = ["GET", "POST", "PUT", "DELETE"]))]
    method: &'static str,
    /// The path of what the event is about.
    #[schemars(example = &"/crm/contacts")]
    url: String,
    /// The connector; empty where the event belongs to no connection.
    provider: &'a str,
    #[schemars(extend("format" = "date-time"))]
    timestamp: String,
    /// Empty where the event belongs to no connection.
    id_linked_user: String,
    /// What the event is about, by its type.
    #[schemars(with = "Option<Value>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    client: Client,
    query: Query,
) -> Result<Response, Error> {
    let page = query.count("page", 1)?;
    let limit = query.count("limit", DEFAULT_EVENTS)?.min(MAX_LIMIT);
    let project = caller.project.id;
    let events = services.store.events(project, page, limit).await?;
    let bodies: Vec<_> = events
        .iter()
        .filter(|row| !client.is_generated || GENERATED_TYPES.contains(&row.event.kind.0.as_str()))
        .map(|row| body(project, row))
        .collect();
    json(&bodies)
}

fn body(project: ProjectId, row: &EventRow) -> EventBody<'_> {
    let kind = row.event.kind.0.as_str();
    let (about, what) = kind.rsplit_once('.').unwrap_or((kind, ""));
    let text = |value: Option<String>| value.unwrap_or_default();
    EventBody {
        id_event: row.event.id.to_string(),
        id_connection: text(row.event.connection.map(|id| id.to_string())),
        id_project: project.to_string(),
        r#type: kind,
        status: match what {
            "failed" | "needs_reconnect" => "fail",
            _ => "success",
        },
        direction: "0",
        method: match what {
            "created" => "POST",
            "updated" => "PUT",
            "deleted" => "DELETE",
            _ => "GET",
        },
        url: match ObjectKind::parse(about) {
            Some(kind) => format!("/{}/{}", kind.spec().vertical, kind.spec().plural),
            None if about == "connection" => "/connections".to_owned(),
            None => "/sync".to_owned(),
        },
        provider: row.connector.as_ref().map_or("", |slug| slug.as_str()),
        timestamp: row.event.created_at.to_string(),
        id_linked_user: text(row.linked_user.map(|id| id.to_string())),
        data: serde_json::from_str(&row.event.data).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, EventId, EventKind, SystemEntropy, Timestamp};

    #[test]
    fn every_value_that_the_contract_names_is_a_text() {
        let project = ProjectId::generate(&SystemEntropy);
        let row = |kind: &str| EventRow {
            event: Event {
                id: EventId::generate(&SystemEntropy),
                project,
                connection: None,
                kind: EventKind(kind.to_owned()),
                data: r#"{"id":"1"}"#.to_owned(),
                created_at: Timestamp::from_millis(0),
            },
            connector: None,
            linked_user: None,
        };
        let contact = row("crm.contact.created");
        let value = serde_json::to_value(body(project, &contact)).unwrap();
        assert_eq!(value["url"], "/crm/contacts");
        assert_eq!(value["method"], "POST");
        assert_eq!(value["id_connection"], "");
        assert_eq!(value["data"]["id"], "1");
        let failed = row("sync.failed");
        let value = serde_json::to_value(body(project, &failed)).unwrap();
        assert_eq!(value["status"], "fail");
    }
}
