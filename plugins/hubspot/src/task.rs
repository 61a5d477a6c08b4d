//! `crm.task`: HubSpot's tasks.

use jackfield_sdk::models::crm::Task;
use jackfield_sdk::{Document, Failure, Fields};

use crate::draft::Draft;
use crate::object::{Object, Target};
use crate::value::{self, text};
use crate::wire;

const COMPANY: Target = Target {
    path: "companies",
    name: "task_to_company",
    kind: 192,
    primary: false,
};
const DEAL: Target = Target {
    path: "deals",
    name: "task_to_deal",
    kind: 216,
    primary: false,
};

pub(crate) const OBJECT: Object = Object {
    path: "tasks",
    modified: "hs_lastmodifieddate",
    properties: wire::Task::NAMES,
    targets: &[COMPANY, DEAL],
    prefix: "",
    needs_timestamp: true,
};

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Task, Failure> {
    let record: wire::Record<wire::Task> = document.read()?;
    let properties = record.properties;
    Ok(Task {
        subject: text(properties.hs_task_subject),
        content: text(properties.hs_task_body),
        // NOT_STARTED, IN_PROGRESS, WAITING and DEFERRED all mean that it is still to be done.
        status: text(properties.hs_task_status).map(|status| {
            if status == "COMPLETED" {
                "COMPLETED"
            } else {
                "PENDING"
            }
            .to_owned()
        }),
        due_date: value::day("due_date", &properties.hs_timestamp)?,
        finished_date: value::day("finished_date", &properties.hs_task_completion_date)?,
        user_id: text(properties.hubspot_owner_id),
        company_id: value::associated_one(&record.associations, &COMPANY),
        deal_id: value::associated_one(&record.associations, &DEAL),
        field_mappings: value::custom(document, fields)?,
    })
}

pub(crate) fn from_unified(task: Task, fields: Fields<'_>) -> Result<Draft, Failure> {
    let properties = wire::Task {
        hs_task_subject: task.subject,
        hs_task_body: task.content,
        hs_task_status: task.status.map(|status| {
            if status == "PENDING" {
                "NOT_STARTED".to_owned()
            } else {
                status
            }
        }),
        hs_timestamp: value::day_to_write("due_date", task.due_date)?,
        hubspot_owner_id: task.user_id,
        ..wire::Task::default()
    };
    Ok(Draft::new(&properties, &task.field_mappings, fields)?
        .associate_one(&COMPANY, task.company_id)
        .associate_one(&DEAL, task.deal_id))
}
