//! Who uses the server: projects, linked users, connections.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectionId, LinkedUserId, ObjectKind, ProjectId, Slug, Timestamp};

/// Sandbox or production, of a project and of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// For trying things out.
    Sandbox,
    /// For real.
    Production,
}

impl Environment {
    /// `sandbox` or `production`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Production => "production",
        }
    }

    /// The reverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sandbox, Self::Production]
            .into_iter()
            .find(|environment| environment.as_str() == text)
    }
}

/// One integrator's space.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// What people call it.
    pub name: String,
    /// Sandbox or production.
    pub environment: Environment,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Project {
    /// The longest name, in characters.
    pub const LONGEST_NAME: usize = 100;

    /// What a project may be called: a line with something to see, without the space around it.
    #[must_use]
    pub fn name_of(typed: &str) -> Option<&str> {
        let name = typed.trim();
        let is_good = !name.is_empty()
            && name.chars().count() <= Self::LONGEST_NAME
            && !name.chars().any(char::is_control);
        is_good.then_some(name)
    }
}

/// A customer of the integrator.
#[derive(Clone, Debug)]
pub struct LinkedUser {
    /// Its id.
    pub id: LinkedUserId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The integrator's own id of this customer; unique in the project.
    pub origin_id: String,
    /// What people call it.
    pub alias: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whether a connection works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionStatus {
    /// Its credentials were accepted last time.
    Valid,
    /// Its credentials are dead: a person has to log in again.
    NeedsReconnect,
}

impl ConnectionStatus {
    /// `valid` or `needs_reconnect`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NeedsReconnect => "needs_reconnect",
        }
    }

    /// The reverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Valid, Self::NeedsReconnect]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// A linked user's authenticated account at a provider. Credentials are not here: the vault has
/// them, sealed.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Its number in this database: a short key for its records, and part of their ids.
    pub number: u32,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Whose account it is.
    pub linked_user: LinkedUserId,
    /// The connector that serves it.
    pub connector: Slug,
    /// The vertical it was made for, `crm` for example.
    pub vertical: String,
    /// The name of the scheme in the manifest that it logged in with.
    pub scheme: String,
    /// The provider's environment.
    pub environment: Environment,
    /// Whether it works.
    pub status: ConnectionStatus,
    /// Why not, where it does not: what the provider said.
    pub status_reason: Option<String>,
    /// The provider's id of the account.
    pub account: Option<String>,
    /// What a person calls the account.
    pub account_name: Option<String>,
    /// Values of the manifest's variables and settings; no secrets among them.
    pub settings: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Connection {
    /// What its end customer is told where its login is dead, in sentences.
    #[must_use]
    pub fn login_is_dead(&self) -> String {
        format!(
            "Your {} has to be connected again: its login is not accepted any more. Until then nothing is read from it or written to it; nothing is lost.",
            self.in_words()
        )
    }

    /// What its end customer is told where an object cannot be brought up to date.
    #[must_use]
    pub fn sync_given_up(&self, kind: ObjectKind) -> String {
        let plural = &kind.spec().plural;
        format!(
            "The {plural} of your {} could not be brought up to date. What was read before is still there, and it is tried again later.",
            self.in_words()
        )
    }

    fn in_words(&self) -> String {
        match &self.account_name {
            Some(name) => format!("account {name:?} at {}", self.connector),
            None => format!("account at {}", self.connector),
        }
    }
}

/// An account at a provider that a login reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The provider's id of it.
    pub id: String,
    /// What a person calls it.
    pub name: Option<String>,
    /// What the connector wants to know of it later.
    pub settings: BTreeMap<String, String>,
}

/// What is known of a connection before it is stored.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose account it is.
    pub linked_user: LinkedUserId,
    /// The connector that serves it.
    pub connector: Slug,
    /// The vertical it is made for.
    pub vertical: String,
    /// The name of the scheme in the manifest.
    pub scheme: String,
    /// The provider's environment.
    pub environment: Environment,
    /// The provider's id of the account.
    pub account: Option<String>,
    /// What a person calls the account.
    pub account_name: Option<String>,
    /// Values of the manifest's variables and settings.
    pub settings: BTreeMap<String, String>,
}

/// A project and one of its connections: what every read and write of records needs.
///
/// Only `store` makes one, by looking a connection up *within* a project, so that holding a
/// `Scope` is the proof that the caller's project owns the connection.
#[derive(Clone, Debug)]
pub struct Scope {
    connection: Connection,
}

impl Scope {
    /// For `store`, after it has found the connection within the project.
    #[must_use]
    pub(crate) const fn proven(connection: Connection) -> Self {
        Self { connection }
    }

    /// The project.
    #[must_use]
    pub const fn project(&self) -> ProjectId {
        self.connection.project
    }

    /// The connection.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }
}
