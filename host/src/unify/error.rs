//! Why a use case has no result. `http::error` alone turns these into statuses.

use std::time::Duration;

use crate::{
    model::{ErrorClass, ObjectKind, RunError, Slug, Usage, Violation},
    runtime::{CallError, Failure},
    store,
    telemetry::chain,
    vault,
};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connector of that name was ever loaded.
    #[error("there is no connector {0}; `GET /connectors` lists those that are loaded")]
    UnknownConnector(Slug),
    /// The connector does not serve now.
    #[error("the connector {connector} does not serve now: {reason}")]
    ConnectorUnavailable {
        /// Which.
        connector: Slug,
        /// Why, a sentence.
        reason: String,
    },
    /// The connector does not know the object.
    #[error(
        "the connector {connector} does not serve {kind}; `GET /connectors/{connector}` lists what it serves"
    )]
    ObjectUnsupported {
        /// Which connector.
        connector: Slug,
        /// Which object.
        kind: ObjectKind,
    },
    /// The connector does not do this with the object.
    #[error("the connector {connector} does not {operation} {kind} at its provider")]
    OperationUnsupported {
        /// Which connector.
        connector: Slug,
        /// Which object.
        kind: ObjectKind,
        /// `create`, `update` or `delete`.
        operation: &'static str,
    },
    /// No such record at this connection.
    #[error("there is no such record at this connection")]
    RecordNotFound,
    /// No such custom field in this project.
    #[error("this project has no such custom field; `GET /custom_fields` lists them")]
    CustomFieldNotFound,
    /// No such mapping of this custom field.
    #[error(
        "this custom field has no such mapping; `GET /custom_fields/{{id}}/mappings` lists them"
    )]
    MappingNotFound,
    /// Something of that name or for that place is there already.
    #[error("{0}")]
    Conflict(String),
    /// The queue has no such request of this project.
    #[error("there is no such request in the queue; results are kept for a day")]
    RetryNotFound,
    /// The connector's permissions or the operator's policy forbid the request: what, and what is
    /// allowed.
    #[error("{0}")]
    NotPermitted(String),
    /// The request's body is larger than this many bytes.
    #[error("the request's body has more than {0} bytes")]
    BodyTooLarge(u64),
    /// What was sent breaks the object's schema.
    #[error("the object is not valid")]
    Invalid(Vec<Violation>),
    /// A field of the login, a variable or a setting is missing or wrong.
    #[error("{field}: {message}")]
    InvalidSetting {
        /// Its key.
        field: String,
        /// What is wrong, a sentence.
        message: String,
    },
    /// A cursor of a live list that is not one of this connection and object.
    #[error(
        "this is not a live cursor that this server gave out for this connection and object; leave it away to start at the first page"
    )]
    LiveCursor,
    /// A field refers to a record that this connection does not have.
    #[error("{path}: there is no {target} {id} at this connection")]
    UnknownReference {
        /// JSON Pointer of the field.
        path: String,
        /// The object that it should refer to.
        target: ObjectKind,
        /// What was sent.
        id: String,
    },
    /// The provider refused the credentials of a new connection.
    #[error("the provider refuses the credentials: {0}")]
    CredentialsRefused(String),
    /// The provider sent the end customer back without logging in: its words.
    #[error("the provider ended the login: {0}")]
    LoginDenied(String),
    /// A login again reached other accounts than the connection's.
    #[error(
        "this login reaches {reached}, but the connection is one of {expected}: log in as {expected}"
    )]
    OtherAccount {
        /// The connection's account.
        expected: String,
        /// What was reached.
        reached: String,
    },
    /// The connect link cannot be used for this login.
    #[error("the connect link was used, has expired or was revoked: ask for a new one")]
    LinkClosed,
    /// What a connect link is to be for makes no sense.
    #[error("{field}: {message}")]
    Link {
        /// The key of the body.
        field: &'static str,
        /// What is wrong, a sentence.
        message: String,
    },
    /// The connection's credentials are dead.
    #[error("the connection needs a new login: {0}")]
    NeedsReconnect(String),
    /// The provider said no, or something that makes no sense.
    #[error("{0}")]
    Provider(Failure),
    /// The connector was stopped or crashed.
    #[error("{0}")]
    Connector(CallError),
    /// The connector answered something that breaks the contract.
    #[error("the connector broke the contract: {0}")]
    Contract(String),
    /// Credentials.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// How long the provider, or the budget of its connection, wants to hear nothing more: a
    /// reason to go on later, not a failure.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Provider(Failure::RateLimited(wait))
            | Self::Connector(CallError::Failure(Failure::RateLimited(wait))) => *wait,
            _ => None,
        }
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NeedsReconnect(_)
            | Self::CredentialsRefused(_)
            | Self::LoginDenied(_)
            | Self::OtherAccount { .. } => ErrorClass::Auth,
            Self::Provider(failure) | Self::Connector(CallError::Failure(failure)) => {
                class_of(failure)
            }
            Self::Connector(CallError::Deadline(_)) => ErrorClass::Timeout,
            Self::Connector(CallError::Busy(_)) => ErrorClass::Other,
            Self::Connector(_)
            | Self::UnknownConnector(_)
            | Self::ConnectorUnavailable { .. }
            | Self::ObjectUnsupported { .. }
            | Self::OperationUnsupported { .. } => ErrorClass::Connector,
            Self::Contract(_) => ErrorClass::Contract,
            Self::Store(_) | Self::Vault(vault::Error::Store(_)) => ErrorClass::Storage,
            Self::Vault(vault::Error::Refused(_)) => ErrorClass::Auth,
            Self::Vault(vault::Error::Unavailable(_)) => ErrorClass::Network,
            Self::NotPermitted(_) => ErrorClass::Forbidden,
            Self::Invalid(_)
            | Self::InvalidSetting { .. }
            | Self::Link { .. }
            | Self::LinkClosed
            | Self::UnknownReference { .. }
            | Self::Conflict(_)
            | Self::BodyTooLarge(_) => ErrorClass::Invalid,
            Self::RecordNotFound
            | Self::CustomFieldNotFound
            | Self::MappingNotFound
            | Self::RetryNotFound
            | Self::LiveCursor
            | Self::Vault(_) => ErrorClass::Other,
        }
    }

    /// For the sync log. A connector says that a provider is not available; what its calls used
    /// tells whether it could be reached and whether it was too slow.
    #[must_use]
    pub fn for_log(&self, usage: &Usage) -> RunError {
        let class = match self.class() {
            ErrorClass::Provider => usage.trouble().unwrap_or(ErrorClass::Provider),
            class => class,
        };
        RunError::new(class, chain(self))
    }
}

fn class_of(failure: &Failure) -> ErrorClass {
    match failure {
        Failure::Unauthorized(_) => ErrorClass::Auth,
        Failure::Forbidden(_) => ErrorClass::Forbidden,
        Failure::RateLimited(_) => ErrorClass::RateLimited,
        Failure::Invalid { .. } | Failure::Conflict(_) => ErrorClass::Invalid,
        Failure::Unavailable(_) | Failure::NotFound(_) | Failure::Unexpected(_) => {
            ErrorClass::Provider
        }
        Failure::Unsupported(_) => ErrorClass::Connector,
    }
}
