//! Changes of our applications on their way to providers, and conflicts that wait for a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ChangeId, ConflictId, Connection, Edit, ObjectKind, Pending, ProjectId, Push, PushOperation,
    RecordId, RunId, Timestamp, conflict::FieldConflict,
};

/// How a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeState {
    /// It waits for its turn, or for its next try.
    Queued,
    /// A worker is at it.
    Pushing,
    /// All that is left of it waits for a person.
    Conflict,
    /// The provider has what is left of it.
    Done,
    /// The provider does not take it; the record is as the provider has it again.
    Failed,
    /// Somebody called it off, or the provider's side won.
    Cancelled,
    /// It was done, and then taken back.
    Undone,
}

impl ChangeState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Pushing,
        Self::Conflict,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Undone,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pushing => "pushing",
            Self::Conflict => "conflict",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Undone => "undone",
        }
    }

    /// The one with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether it is still under way.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Pushing | Self::Conflict)
    }
}

/// What a change does at the provider.
pub type ChangeAction = PushOperation;

impl Push {
    /// What it does; none where there is nothing to do.
    #[must_use]
    pub const fn action(&self) -> Option<ChangeAction> {
        match self {
            Self::Nothing => None,
            Self::Update(_) => Some(PushOperation::Update),
            Self::Create(_) => Some(PushOperation::Create),
            Self::Delete => Some(PushOperation::Delete),
        }
    }
}

/// A field that the provider took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushedField {
    /// What it had before.
    pub from: Value,
    /// What it has since, in its own form.
    pub to: Value,
}

/// A change of one record: from the first edit that the provider does not have to its end. Edits
/// that come while it is under way become part of it.
#[derive(Clone, Debug)]
pub struct QueuedChange {
    /// Its id.
    pub id: ChangeId,
    /// Whose.
    pub project: ProjectId,
    /// The connection.
    pub connection: Connection,
    /// The object.
    pub kind: ObjectKind,
    /// The record.
    pub record: RecordId,
    /// What it does.
    pub action: ChangeAction,
    /// What is not pushed yet; of one that ended, what was not at its end.
    pub pending: Pending,
    /// What the provider took.
    pub pushed: BTreeMap<String, PushedField>,
    /// What gave way to the provider's own changes, or was refused.
    pub lost: BTreeMap<String, Edit>,
    /// How it stands.
    pub state: ChangeState,
    /// Counts edits and pushes: a request to the provider is known by it.
    pub revision: i64,
    /// Claims since the last push that came through.
    pub attempt: u32,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// Who made it first: the id of an API key, `undo` or `conflict`.
    pub actor: Option<String>,
    /// The outbound run that pushed it.
    pub run: Option<RunId>,
    /// The change that this one takes back.
    pub undo_of: Option<ChangeId>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Whether a conflict waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictState {
    /// It does.
    Open,
    /// Somebody decided, or both sides came to agree.
    Resolved,
}

impl ConflictState {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }

    /// The one with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Resolved]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// A record of which both sides changed the same fields.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// Its id.
    pub id: ConflictId,
    /// The change that our side of it belongs to.
    pub change: ChangeId,
    /// The connection.
    pub connection: Connection,
    /// The object.
    pub kind: ObjectKind,
    /// The record.
    pub record: RecordId,
    /// The fields with their three values.
    pub fields: BTreeMap<String, FieldConflict>,
    /// Whether it waits.
    pub state: ConflictState,
    /// What was decided, by field.
    pub decisions: Option<Value>,
    /// Who decided: the id of an API key; none where both sides came to agree by themselves.
    pub resolved_by: Option<String>,
    /// When it was found.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
}
