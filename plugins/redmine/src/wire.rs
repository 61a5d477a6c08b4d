//! Redmine's documents, as far as the connector reads them.

use jackfield_sdk::{Failure, Raw};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A reference: `{"id": 1, "name": "Support"}`. An issue's parent has no name.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// Redmine 4 does not tell it within an issue.
    pub(crate) is_closed: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Priority {
    pub(crate) id: u64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) is_default: bool,
    /// Inactive ones stay on old issues and cannot be chosen. Redmine 4 lists no others.
    #[serde(default = "yes")]
    pub(crate) active: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CustomField {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// Text, or a list of it.
    #[serde(default)]
    pub(crate) value: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) project: Option<Named>,
    pub(crate) tracker: Option<Named>,
    pub(crate) status: Option<Status>,
    pub(crate) priority: Option<Named>,
    pub(crate) assigned_to: Option<Named>,
    pub(crate) category: Option<Named>,
    pub(crate) parent: Option<Named>,
    pub(crate) subject: Option<String>,
    pub(crate) description: Option<String>,
    /// A day, `2026-03-02`.
    pub(crate) due_date: Option<String>,
    /// When it was closed last; it stays when the issue is opened again.
    pub(crate) closed_on: Option<String>,
    #[serde(default)]
    pub(crate) custom_fields: Vec<CustomField>,
    #[serde(default)]
    pub(crate) attachments: Vec<Named>,
    /// Where the workflow and the user's role let it go; only where it was asked for.
    #[serde(default)]
    pub(crate) allowed_statuses: Vec<Status>,
}

/// What a list of issues is walked by.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct IssueKey {
    pub(crate) id: u64,
    /// RFC 3339 in UTC, whole seconds.
    pub(crate) updated_on: String,
    #[serde(default)]
    pub(crate) attachments: Vec<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Issues {
    pub(crate) issues: Vec<Raw<IssueKey>>,
    pub(crate) total_count: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OneIssue<T> {
    pub(crate) issue: T,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Journals {
    #[serde(default)]
    pub(crate) journals: Vec<Map<String, Value>>,
}

/// A comment as it is kept: the journal with the id of its issue, which Redmine leaves out.
#[derive(Debug, Deserialize)]
pub(crate) struct Journal {
    pub(crate) issue: Named,
    pub(crate) user: Option<Named>,
    pub(crate) notes: Option<String>,
    pub(crate) private_notes: Option<bool>,
    #[serde(default)]
    pub(crate) details: Vec<Detail>,
}

/// One change in a journal. A file that was added: `attachment`, with the file's id as the name.
#[derive(Debug, Deserialize)]
pub(crate) struct Detail {
    pub(crate) property: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) new_value: Value,
}

/// A file as it is kept: with the id of its issue, which Redmine leaves out.
#[derive(Debug, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) issue: Named,
    pub(crate) filename: Option<String>,
    pub(crate) content_url: Option<String>,
    pub(crate) author: Option<Named>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) updated_on: Option<String>,
    #[serde(default)]
    pub(crate) issue_categories: Vec<Named>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Projects {
    pub(crate) projects: Vec<Raw<Project>>,
    pub(crate) total_count: u64,
}

/// A user, or what a membership tells of one: a name in one piece.
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    pub(crate) firstname: Option<String>,
    pub(crate) lastname: Option<String>,
    pub(crate) mail: Option<String>,
    pub(crate) updated_on: Option<String>,
}

impl User {
    pub(crate) fn full_name(&self) -> String {
        let parts = [&self.name, &self.firstname, &self.lastname];
        parts
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Users {
    pub(crate) users: Vec<Raw<User>>,
    pub(crate) total_count: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OneUser {
    pub(crate) user: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Membership {
    /// None where the member is a group.
    pub(crate) user: Option<Raw<Named>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Memberships {
    pub(crate) memberships: Vec<Membership>,
    pub(crate) total_count: u64,
}

/// What `from_unified` makes of a ticket: the part that Redmine takes as it is, and names that `push` must look up.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IssueInput {
    pub(crate) issue: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<String>,
    /// The name of a tracker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tracker: Option<String>,
    /// The name of a category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<String>,
    /// Custom fields by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) custom: Map<String, Value>,
    /// A first comment, for a new issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<CommentInput>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct CommentInput {
    /// The issue of a new comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issue: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) private_notes: Option<bool>,
}

const fn yes() -> bool {
    true
}

/// The id of something that hangs on an issue and cannot be read without it: `issue:id`.
pub(crate) fn joined(issue: u64, id: impl std::fmt::Display) -> String {
    format!("{issue}:{id}")
}

/// The issue and the id in what [`joined`] made.
pub(crate) fn split(remote_id: &str) -> Result<(u64, u64), Failure> {
    remote_id
        .split_once(':')
        .and_then(|(issue, id)| Some((issue.parse().ok()?, id.parse().ok()?)))
        .ok_or_else(|| Failure::NotFound(format!("{remote_id:?} is no id of the form issue:id")))
}
