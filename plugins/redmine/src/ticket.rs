//! `ticketing.ticket`: issues.

use jackfield_sdk::models::ticketing::Ticket;
use jackfield_sdk::{
    Document, Failure, FetchRequest, Field, Fields, Page, PushAction, PushRequest, Raw,
    RemoteRecord, http, log, time,
};
use serde_json::{Map, Value, json};

use crate::walk::Walk;
use crate::wire::{CommentInput, Issue, IssueInput, IssueKey, OneIssue, Status, joined};
use crate::{comment, custom, lookup, refusal};

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    if let Some(id) = &request.remote_id {
        return Ok(Page::one(read(id)?));
    }
    let walk = Walk::read(request, request.limit, Some("attachments"))?;
    let (next, total) = (walk.next()?, walk.total);
    Ok(Page::new(walk.issues.into_iter().map(record))
        .next(next)
        .total(total))
}

pub(crate) fn push(request: &PushRequest) -> Result<RemoteRecord, Failure> {
    match request.action {
        PushAction::Create => create(request.read()?),
        PushAction::Update => update(request.id()?, request.read()?),
        PushAction::Delete => {
            // Gone is gone: a delete that is repeated after a crash has done its work.
            http::delete(&one(request.id()?)).accept(&[404]).send()?;
            Ok(RemoteRecord::deleted(request.id()?))
        }
    }
}

fn create(mut input: IssueInput) -> Result<RemoteRecord, Failure> {
    let Some(project) = input.issue.get("project_id").and_then(Value::as_u64) else {
        return Err(Failure::invalid_field(
            "collections",
            "a Redmine issue needs a project: the first collection",
        ));
    };
    if let Some(wanted) = &input.priority {
        input
            .issue
            .insert("priority_id".into(), lookup::priority(wanted)?.into());
    }
    if let Some(wanted) = &input.tracker {
        input
            .issue
            .insert("tracker_id".into(), lookup::tracker(wanted)?.into());
    }
    if let Some(wanted) = &input.category {
        input.issue.insert(
            "category_id".into(),
            lookup::category(wanted, project)?.into(),
        );
    }
    if !input.custom.is_empty() {
        custom::resolve(&mut input, &lookup::custom_fields()?)?;
    }
    let request = http::post("{api}/issues.json").json(&json!({ "issue": input.issue }));
    let id = refusal::send(request)?
        .json::<OneIssue<IssueKey>>()?
        .issue
        .id
        .to_string();

    // The issue exists now. To fail below would make the caller write it a second time.
    let finished = || -> Result<(), Failure> {
        if let Some(wanted) = &input.status {
            // A new issue begins where the tracker says, whatever status it is sent with.
            let current = current(&id)?;
            if let Some(status) = change_of_status(wanted, &current)? {
                write(&id, &json!({ "status_id": status }))?;
            }
        }
        if let Some(CommentInput {
            notes: Some(notes),
            private_notes,
            ..
        }) = &input.comment
        {
            comment::write(&id, notes, private_notes.unwrap_or(false))?;
        }
        Ok(())
    };
    if let Err(failure) = finished() {
        log::warn(&format!(
            "the new issue {id} lacks its status or first comment: {}",
            failure.message()
        ));
    }
    read(&id)
}

fn update(id: &str, mut input: IssueInput) -> Result<RemoteRecord, Failure> {
    let IssueInput {
        status,
        priority,
        tracker,
        category,
        ..
    } = &mut input;
    let names = [
        status.take(),
        priority.take(),
        tracker.take(),
        category.take(),
    ];
    if names.iter().any(Option::is_some) || !input.custom.is_empty() {
        let [status, priority, tracker, category] = names;
        let current = current(id)?;
        if let Some(wanted) = &status
            && let Some(status) = change_of_status(wanted, &current)?
        {
            input.issue.insert("status_id".into(), status.into());
        }
        // What has the wanted level or type already stays: "Urgent" must not become "High" because both are HIGH.
        if let Some(wanted) = &priority
            && current
                .priority
                .as_ref()
                .is_none_or(|now| lookup::level(&now.name) != wanted)
        {
            input
                .issue
                .insert("priority_id".into(), lookup::priority(wanted)?.into());
        }
        if let Some(wanted) = &tracker
            && current
                .tracker
                .as_ref()
                .is_none_or(|now| lookup::kind(&now.name) != wanted)
        {
            input
                .issue
                .insert("tracker_id".into(), lookup::tracker(wanted)?.into());
        }
        if let Some(wanted) = &category {
            let moved = input.issue.get("project_id").and_then(Value::as_u64);
            let project = moved.or_else(|| current.project.as_ref().map(|project| project.id));
            let project = project.ok_or_else(|| Failure::unexpected("the issue has no project"))?;
            input.issue.insert(
                "category_id".into(),
                lookup::category(wanted, project)?.into(),
            );
        }
        if !input.custom.is_empty() {
            custom::resolve(&mut input, &current.custom_fields)?;
        }
    }
    if !input.issue.is_empty() {
        write(id, &Value::Object(input.issue))?;
    }
    read(id)
}

/// The status to change to; none where the issue has the wanted one already.
fn change_of_status(wanted: &str, issue: &Issue) -> Result<Option<u64>, Failure> {
    let now = issue.status.as_ref();
    if now.is_some_and(|now| lookup::same(&now.name, wanted))
        || lookup::state(is_closed(issue)) == wanted
    {
        return Ok(None);
    }
    let all;
    let allowed: &[Status] = if issue.allowed_statuses.is_empty() {
        all = lookup::statuses()?;
        &all
    } else {
        &issue.allowed_statuses
    };
    lookup::status(wanted, allowed).map(Some)
}

fn is_closed(issue: &Issue) -> bool {
    let told = issue.status.as_ref().and_then(|status| status.is_closed);
    // Redmine 4 does not tell. An issue that was closed once is then taken for closed.
    told.unwrap_or_else(|| issue.closed_on.is_some())
}

fn current(id: &str) -> Result<Issue, Failure> {
    Ok(http::get(&one(id))
        .query("include", "allowed_statuses")
        .send()?
        .json::<OneIssue<Issue>>()?
        .issue)
}

fn read(id: &str) -> Result<RemoteRecord, Failure> {
    let answer: OneIssue<Raw<IssueKey>> = http::get(&one(id))
        .query("include", "attachments")
        .send()?
        .json()?;
    Ok(record(answer.issue))
}

fn write(id: &str, issue: &Value) -> Result<(), Failure> {
    refusal::send(http::put(&one(id)).json(&json!({ "issue": issue }))).map(drop)
}

/// The address of one issue. The host knows ids only from us, so there is nothing to escape.
pub(crate) fn one(id: &str) -> String {
    format!("{{api}}/issues/{id}.json")
}

fn record(issue: Raw<IssueKey>) -> RemoteRecord {
    RemoteRecord::new(issue.value.id, issue.document).modified_at(issue.value.updated_on)
}

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Ticket, Failure> {
    let issue: Issue = document.read()?;
    let closed = is_closed(&issue);
    let tracker = issue
        .tracker
        .as_ref()
        .map(|tracker| format!("tracker:{}", tracker.id));
    let category = issue
        .category
        .as_ref()
        .map(|category| format!("category:{}", category.id));
    let id = issue.id;
    Ok(Ticket {
        name: issue.subject.into(),
        status: lookup::state(closed).into(),
        description: issue.description.into(),
        due_date: issue.due_date.as_deref().and_then(time::normalise).into(),
        r#type: issue
            .tracker
            .map(|tracker| lookup::kind(&tracker.name).to_owned())
            .into(),
        parent_ticket: issue.parent.map(|parent| parent.id.to_string()).into(),
        collections: issue
            .project
            .into_iter()
            .map(|project| project.id.to_string())
            .collect::<Vec<_>>()
            .into(),
        tags: tracker
            .into_iter()
            .chain(category)
            .collect::<Vec<_>>()
            .into(),
        completed_at: issue
            .closed_on
            .filter(|_| closed)
            .as_deref()
            .and_then(time::normalise)
            .into(),
        priority: issue
            .priority
            .map(|priority| lookup::level(&priority.name).to_owned())
            .into(),
        assigned_to: issue
            .assigned_to
            .into_iter()
            .map(|user| user.id.to_string())
            .collect::<Vec<_>>()
            .into(),
        attachments: issue
            .attachments
            .iter()
            .map(|file| joined(id, file.id))
            .collect::<Vec<_>>()
            .into(),
        field_mappings: custom::read(document, fields)?,
        ..Ticket::default()
    })
}

/// An issue has exactly one project, tracker, priority and status, at most one category and assignee. A null for
/// what cannot be empty says nothing.
pub(crate) fn from_unified(ticket: Ticket, fields: Fields<'_>) -> Result<IssueInput, Failure> {
    let mut input = IssueInput {
        status: ticket.status.into_value(),
        priority: ticket.priority.into_value(),
        tracker: ticket.r#type.into_value(),
        ..IssueInput::default()
    };
    put(&mut input.issue, "subject", ticket.name);
    put(&mut input.issue, "description", ticket.description);
    let due = ticket.due_date.try_map(|text| {
        time::day(&text)
            .ok_or_else(|| Failure::invalid_field("due_date", format!("{text:?} is no time")))
    })?;
    put(&mut input.issue, "due_date", due);
    let parent = ticket
        .parent_ticket
        .try_map(|id| number("parent_ticket", &id))?;
    put(&mut input.issue, "parent_issue_id", parent);
    put(
        &mut input.issue,
        "assigned_to_id",
        only("assigned_to", ticket.assigned_to)?,
    );
    if let project @ Field::Value(_) = only("collections", ticket.collections)? {
        put(&mut input.issue, "project_id", project);
    }
    tags(ticket.tags, &mut input)?;
    input.comment = ticket.comment.into_value().map(|comment| CommentInput {
        issue: None,
        notes: comment.body.into_value(),
        private_notes: comment.is_private.into_value(),
    });
    custom::write(&ticket.field_mappings, fields, &mut input);
    Ok(input)
}

/// Tags are the tracker and the category, by id or name. The list replaces: without a category it has none.
fn tags(tags: Field<Vec<String>>, input: &mut IssueInput) -> Result<(), Failure> {
    if tags.is_absent() {
        return Ok(());
    }
    let mut category = Value::Null;
    for tag in tags.into_value().unwrap_or_default() {
        if let Some(id) = tag.strip_prefix("tracker:") {
            let before = input
                .issue
                .insert("tracker_id".into(), number("tags", id)?.into());
            if before.is_some() {
                return Err(Failure::invalid_field("tags", "an issue has one tracker"));
            }
            // The tag is the more exact word for what `type` says.
            input.tracker = None;
            continue;
        }
        if !category.is_null() || input.category.is_some() {
            return Err(Failure::invalid_field(
                "tags",
                "an issue has at most one category",
            ));
        }
        match tag.strip_prefix("category:") {
            Some(id) => category = number("tags", id)?.into(),
            None => input.category = Some(tag),
        }
    }
    if input.category.is_none() {
        input.issue.insert("category_id".into(), category);
    }
    Ok(())
}

fn put<T: Into<Value>>(issue: &mut Map<String, Value>, key: &str, field: Field<T>) {
    match field {
        Field::Absent => {}
        Field::Null => drop(issue.insert(key.to_owned(), Value::Null)),
        Field::Value(value) => drop(issue.insert(key.to_owned(), value.into())),
    }
}

/// The one id in a list that may hold one; an empty list is null.
fn only(field: &'static str, ids: Field<Vec<String>>) -> Result<Field<u64>, Failure> {
    Ok(match ids {
        Field::Absent => Field::Absent,
        Field::Null => Field::Null,
        Field::Value(ids) => match ids.as_slice() {
            [] => Field::Null,
            [id] => Field::Value(number(field, id)?),
            _ => return Err(Failure::invalid_field(field, "Redmine takes one at most")),
        },
    })
}

fn number(field: &'static str, id: &str) -> Result<u64, Failure> {
    id.parse()
        .map_err(|_| Failure::invalid_field(field, format!("{id:?} is no id of Redmine")))
}
