//! `ticketing.comment`: journals with notes, read issue by issue. Their remote id is `issue:journal`, because
//! Redmine has no address for a journal alone.

use jackfield_sdk::models::ticketing::Comment;
use jackfield_sdk::{
    Document, Failure, FetchRequest, Field, Fields, Page, PushAction, PushRequest, RemoteRecord,
    http,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::walk::Walk;
use crate::wire::{CommentInput, Detail, Issue, Journal, Journals, Named, OneIssue, joined, split};
use crate::{custom, refusal, ticket};

/// Each issue costs a request, and Redmine is not fast: a page of these takes about a second.
const ISSUES: u32 = 20;

pub(crate) fn fetch(request: &FetchRequest) -> Result<Page, Failure> {
    if let Some(id) = &request.remote_id {
        return Ok(Page::one(read(id)?));
    }
    let walk = Walk::read(request, ISSUES, None)?;
    walk.parts(request.limit, |issue| match journals(issue.id) {
        Ok(journals) => journals
            .iter()
            .filter(|journal| has_notes(journal))
            .map(|journal| part(issue.id, journal))
            .collect(),
        // Deleted or hidden since the list was made.
        Err(Failure::NotFound(_) | Failure::Forbidden(_)) => Ok(Vec::new()),
        Err(failure) => Err(failure),
    })
}

pub(crate) fn push(request: &PushRequest) -> Result<RemoteRecord, Failure> {
    match request.action {
        PushAction::Create => create(&request.read()?),
        PushAction::Update => update(request.id()?, request.read()?),
        PushAction::Delete => {
            let (_, journal) = split(request.id()?)?;
            // Redmine deletes a journal that has neither notes nor changes left.
            edit(journal, &json!({ "notes": "" }), &[404])?;
            Ok(RemoteRecord::deleted(request.id()?))
        }
    }
}

fn create(input: &CommentInput) -> Result<RemoteRecord, Failure> {
    let issue = input
        .issue
        .ok_or_else(|| Failure::invalid_field("ticket_id", "a comment needs a ticket"))?;
    let notes = input.notes.as_deref().unwrap_or_default();
    write(
        &issue.to_string(),
        notes,
        input.private_notes.unwrap_or(false),
    )
}

fn update(id: &str, input: CommentInput) -> Result<RemoteRecord, Failure> {
    let (issue, journal) = split(id)?;
    let mut change = Map::new();
    if let Some(notes) = input.notes {
        refuse_blank(&notes)?;
        change.insert("notes".into(), notes.into());
    }
    if let Some(private) = input.private_notes {
        if private {
            demand_private(&issue.to_string())?;
        }
        change.insert("private_notes".into(), private.into());
    }
    if !change.is_empty() {
        edit(journal, &Value::Object(change), &[])?;
    }
    read(id)
}

/// Adds notes to an issue.
pub(crate) fn write(issue: &str, notes: &str, private: bool) -> Result<RemoteRecord, Failure> {
    refuse_blank(notes)?;
    if private {
        demand_private(issue)?;
    }
    let change = json!({ "issue": { "notes": notes, "private_notes": private } });
    refusal::send(http::put(&ticket::one(issue)).json(&change))?;
    let issue: u64 = issue.parse().map_err(Failure::unexpected)?;
    // Redmine answers nothing. The newest journal with this text is ours, or says the same.
    let journals = journals(issue)?;
    let text =
        |journal: &Map<String, Value>| journal.get("notes").and_then(Value::as_str).map(plain);
    let written = journals
        .iter()
        .rev()
        .find(|journal| text(journal).as_deref() == Some(plain(notes).as_str()));
    let written = written
        .ok_or_else(|| Failure::Forbidden("Redmine took the comment and did not keep it".into()))?;
    let (number, record) = part(issue, written)?;
    if private && written.get("private_notes") != Some(&Value::Bool(true)) {
        return Err(Failure::unexpected(format!(
            "comment {number} of issue {issue} is public, against the request"
        )));
    }
    Ok(record)
}

/// Without the right to write private notes, Redmine makes them public and says nothing. So the right is looked up
/// before anything is sent.
fn demand_private(issue: &str) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Me {
        #[serde(default)]
        admin: bool,
        #[serde(default)]
        memberships: Vec<Membership>,
    }
    #[derive(Deserialize)]
    struct Membership {
        project: Named,
        roles: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Role {
        permissions: Vec<String>,
    }
    #[derive(Deserialize)]
    struct User<T> {
        user: T,
    }
    #[derive(Deserialize)]
    struct OneRole {
        role: Role,
    }
    let request = http::get("{api}/users/current.json").query("include", "memberships");
    let me = request.send()?.json::<User<Me>>()?.user;
    if me.admin {
        return Ok(());
    }
    let project = http::get(&ticket::one(issue))
        .send()?
        .json::<OneIssue<Issue>>()?
        .issue
        .project;
    let here = |membership: &&Membership| {
        project
            .as_ref()
            .is_some_and(|project| project.id == membership.project.id)
    };
    for role in me
        .memberships
        .iter()
        .filter(here)
        .flat_map(|membership| &membership.roles)
    {
        let role = http::get(&format!("{{api}}/roles/{}.json", role.id))
            .send()?
            .json::<OneRole>()?
            .role;
        if role
            .permissions
            .iter()
            .any(|permission| permission == "set_notes_private")
        {
            return Ok(());
        }
    }
    Err(Failure::Forbidden(
        "this account may not write private comments in the project".to_owned(),
    ))
}

fn edit(journal: u64, change: &Value, accepted: &[u16]) -> Result<(), Failure> {
    let address = format!("{{api}}/journals/{journal}.json");
    refusal::send(
        http::put(&address)
            .json(&json!({ "journal": change }))
            .accept(accepted),
    )
    .map(drop)
}

fn read(id: &str) -> Result<RemoteRecord, Failure> {
    let (issue, wanted) = split(id)?;
    let journals = journals(issue)?;
    let found = journals
        .iter()
        .find(|journal| number(journal) == Some(wanted) && has_notes(journal));
    let found =
        found.ok_or_else(|| Failure::NotFound(format!("issue {issue} has no comment {wanted}")))?;
    part(issue, found).map(|(_, record)| record)
}

/// The journals of an issue, oldest first.
fn journals(issue: u64) -> Result<Vec<Map<String, Value>>, Failure> {
    let request = http::get(&ticket::one(&issue.to_string())).query("include", "journals");
    let mut journals = request.send()?.json::<OneIssue<Journals>>()?.issue.journals;
    // Users may choose to see the newest first.
    journals.sort_by_key(number);
    Ok(journals)
}

/// The record of a journal with its number: its document, with the id of the issue.
fn part(issue: u64, journal: &Map<String, Value>) -> Result<(u64, RemoteRecord), Failure> {
    let number = number(journal).ok_or_else(|| Failure::unexpected("a journal has no id"))?;
    // Redmine tells since 6.0 when notes were edited.
    let modified = journal
        .get("updated_on")
        .or_else(|| journal.get("created_on"))
        .and_then(Value::as_str);
    let mut document = journal.clone();
    document.insert("issue".into(), json!({ "id": issue }));
    let record = RemoteRecord::composed(joined(issue, number), &document)?;
    Ok((number, record.modified_at(modified.map(str::to_owned))))
}

fn number(journal: &Map<String, Value>) -> Option<u64> {
    journal.get("id")?.as_u64()
}

fn has_notes(journal: &Map<String, Value>) -> bool {
    journal
        .get("notes")
        .and_then(Value::as_str)
        .is_some_and(|notes| !notes.trim().is_empty())
}

fn refuse_blank(notes: &str) -> Result<(), Failure> {
    if notes.trim().is_empty() {
        return Err(Failure::invalid_field(
            "body",
            "Redmine keeps no empty comment",
        ));
    }
    Ok(())
}

/// Servers differ in what they do with the ends of lines.
fn plain(notes: &str) -> String {
    notes.replace('\r', "").trim().to_owned()
}

pub(crate) fn to_unified(document: Document<'_>, fields: Fields<'_>) -> Result<Comment, Failure> {
    let journal: Journal = document.read()?;
    let issue = journal.issue.id;
    let added = |detail: &&Detail| detail.property == "attachment" && !detail.new_value.is_null();
    let files = journal
        .details
        .iter()
        .filter(added)
        .map(|detail| joined(issue, &detail.name));
    Ok(Comment {
        body: journal.notes.into(),
        is_private: journal.private_notes.into(),
        creator_type: "USER".into(),
        ticket_id: issue.to_string().into(),
        user_id: journal.user.map(|user| user.id.to_string()).into(),
        attachments: files.collect::<Vec<_>>().into(),
        field_mappings: custom::read(document, fields)?,
        ..Comment::default()
    })
}

/// The author is whoever the connection belongs to.
pub(crate) fn from_unified(comment: Comment) -> Result<CommentInput, Failure> {
    let issue = comment.ticket_id.into_value().map(|id| {
        id.parse()
            .map_err(|_| Failure::invalid_field("ticket_id", format!("{id:?} is no id of Redmine")))
    });
    let notes = match comment.body {
        Field::Null => {
            return Err(Failure::invalid_field(
                "body",
                "Redmine keeps no empty comment",
            ));
        }
        body => body.into_value(),
    };
    Ok(CommentInput {
        issue: issue.transpose()?,
        notes,
        private_notes: comment.is_private.into_value(),
    })
}
