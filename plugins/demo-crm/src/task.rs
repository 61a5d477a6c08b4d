//! `crm.task`: the provider's tasks. They have no custom fields.

use jackfield_sdk::models::crm::Task;
use jackfield_sdk::{Document, Failure, Field};

use crate::parts;
use crate::wire;

pub(crate) const NAMES: &[(&str, &str)] = &[
    ("title", "subject"),
    ("details", "content"),
    ("done", "status"),
    ("due_on", "due_date"),
    ("done_on", "finished_date"),
    ("assignee", "user_id"),
    ("organisation", "company_id"),
    ("deal", "deal_id"),
];

pub(crate) fn to_unified(document: Document<'_>) -> Result<Task, Failure> {
    let task: wire::Task = document.read()?;
    let status = |done| if done { "COMPLETED" } else { "PENDING" }.to_owned();
    Ok(Task {
        subject: parts::or_null(task.title),
        content: parts::or_null(task.details),
        status: parts::or_null(task.done).map(status),
        due_date: parts::or_null(task.due_on),
        finished_date: parts::or_null(task.done_on),
        user_id: parts::reference(task.assignee),
        company_id: parts::reference(task.organisation),
        deal_id: parts::reference(task.deal),
        ..Task::default()
    })
}

pub(crate) fn from_unified(task: Task) -> Result<wire::Task, Failure> {
    Ok(wire::Task {
        title: task.subject,
        details: task.content,
        done: done(task.status)?,
        due_on: task.due_date,
        done_on: task.finished_date,
        assignee: parts::id("user_id", task.user_id)?,
        organisation: parts::id("company_id", task.company_id)?,
        deal: parts::id("deal_id", task.deal_id)?,
    })
}

fn done(status: Field<String>) -> Result<Field<bool>, Failure> {
    status.try_map(|status| match status.as_str() {
        "COMPLETED" => Ok(true),
        "PENDING" => Ok(false),
        _ => Err(Failure::invalid_field(
            "status",
            "must be PENDING or COMPLETED in the demo CRM",
        )),
    })
}
