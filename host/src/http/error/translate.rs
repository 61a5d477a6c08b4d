//! Every error of the layers below, turned into an answer: here and nowhere else.

use super::{Code, Error};
use crate::{
    market,
    model::Violation,
    runtime::{CallError, Failure},
    store,
    telemetry::chain,
    unify, vault, webhook,
};

impl From<market::Error> for Error {
    fn from(error: market::Error) -> Self {
        let sentence = sentence(&error);
        match error {
            market::Error::Connector(_) => Self::new(Code::ConnectorRefused, sentence),
            market::Error::Refused(_) | market::Error::Consent { .. } => {
                Self::new(Code::Conflict, sentence)
            }
            market::Error::Registry { .. } | market::Error::Fetch { .. } => {
                Self::new(Code::MarketplaceFailed, sentence)
            }
            market::Error::Unlisted(_) => Self::new(Code::ConnectorNotFound, sentence),
            market::Error::Reference(_) => Self::new(Code::InvalidBody, sentence),
            market::Error::Store(error) => error.into(),
        }
    }
}

impl From<unify::Error> for Error {
    fn from(error: unify::Error) -> Self {
        let sentence = sentence(&error);
        match error {
            unify::Error::UnknownConnector(_) => Self::new(Code::ConnectorNotFound, sentence),
            unify::Error::ConnectorUnavailable { .. } => {
                Self::new(Code::ConnectorUnavailable, sentence)
            }
            unify::Error::ObjectUnsupported { .. } | unify::Error::OperationUnsupported { .. } => {
                Self::new(Code::Unsupported, sentence)
            }
            unify::Error::RecordNotFound => Self::new(Code::RecordNotFound, sentence),
            unify::Error::CustomFieldNotFound => Self::new(Code::CustomFieldNotFound, sentence),
            unify::Error::MappingNotFound => Self::new(Code::MappingNotFound, sentence),
            unify::Error::Conflict(_) => Self::new(Code::Conflict, sentence),
            unify::Error::RetryNotFound => Self::new(Code::RetryNotFound, sentence),
            unify::Error::NotPermitted(_) => Self::new(Code::PassthroughDenied, sentence),
            unify::Error::BodyTooLarge(_) => Self::new(Code::BodyTooLarge, sentence),
            unify::Error::Invalid(violations) => {
                let first = violations.first().map(ToString::to_string);
                let detail = match first {
                    Some(first) => format!("The object is not valid: {first}."),
                    None => sentence,
                };
                Self::new(Code::ValidationFailed, detail).with_violations(violations)
            }
            unify::Error::InvalidSetting {
                ref field,
                ref message,
            } => {
                let violation = Violation {
                    path: pointer(field),
                    message: message.clone(),
                };
                Self::new(Code::InvalidSetting, sentence).with_violations(vec![violation])
            }
            unify::Error::LiveCursor => Self::new(Code::InvalidParameter, sentence),
            unify::Error::UnknownReference { path, .. } => {
                let violation = Violation {
                    path,
                    message: "is not the id of a record of this connection".to_owned(),
                };
                Self::new(Code::UnknownReference, sentence).with_violations(vec![violation])
            }
            unify::Error::CredentialsRefused(_) => Self::new(Code::CredentialsRefused, sentence),
            unify::Error::LoginDenied(_) | unify::Error::OtherAccount { .. } => {
                Self::new(Code::LoginRefused, sentence)
            }
            unify::Error::LinkClosed => Self::new(Code::Conflict, sentence),
            unify::Error::Link { field, message } => {
                let detail = format!("`{field}`: {message}.");
                let violation = Violation {
                    path: pointer(field),
                    message,
                };
                Self::new(Code::ValidationFailed, detail).with_violations(vec![violation])
            }
            unify::Error::NeedsReconnect(_) => Self::new(Code::NeedsReconnect, sentence),
            unify::Error::Provider(failure) => failure.into(),
            unify::Error::Connector(stopped) => stopped.into(),
            unify::Error::Contract(_) => Self::new(Code::ConnectorFailed, sentence),
            unify::Error::Vault(error) => error.into(),
            unify::Error::Store(error) => error.into(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let sentence = capitalised(&failure.to_string());
        match failure {
            Failure::Unauthorized(_) => Self::new(Code::NeedsReconnect, sentence),
            Failure::Forbidden(_) => Self::new(Code::ProviderForbidden, sentence),
            Failure::NotFound(_) => Self::new(Code::RecordNotFound, sentence),
            Failure::Invalid { field, message } => {
                let violation = Violation {
                    path: field.as_deref().map(pointer).unwrap_or_default(),
                    message,
                };
                Self::new(Code::ProviderRefused, sentence).with_violations(vec![violation])
            }
            Failure::Conflict(_) => Self::new(Code::ProviderConflict, sentence),
            Failure::RateLimited(wait) => {
                // Whoever is told nothing should still wait a little.
                let seconds = wait.map_or(5, |wait| wait.as_secs().max(1));
                Self::new(Code::RateLimited, sentence).with_retry_after(seconds)
            }
            Failure::Unavailable(_) => {
                Self::new(Code::ProviderUnavailable, sentence).with_retry_after(5)
            }
            Failure::Unsupported(_) => Self::new(Code::Unsupported, sentence),
            Failure::Unexpected(_) => Self::new(Code::ProviderFailed, sentence),
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        let (sentence, limit) = (sentence(&error), error.code());
        match error {
            CallError::Failure(failure) => failure.into(),
            CallError::Cpu(_) | CallError::Deadline(_) => {
                Self::new(Code::ConnectorTimeout, sentence)
            }
            CallError::Memory(_)
            | CallError::Stack
            | CallError::Tables(_)
            | CallError::Handles(_)
            | CallError::HostCalls(_)
            | CallError::HostBytes(_)
            | CallError::Output(..)
            | CallError::Passed(_)
            | CallError::Entries(..)
            | CallError::Cursor(..) => {
                let sentence = format!("{} ({limit}).", sentence.trim_end_matches('.'));
                Self::new(Code::ConnectorLimit, sentence)
            }
            CallError::Trap(_) | CallError::Impure(_) => Self::new(Code::ConnectorFailed, sentence),
            CallError::Busy(_) => Self::new(Code::Busy, sentence).with_retry_after(1),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Full(_) => {
                let detail = "The disk of the database is full.";
                Self::new(Code::StorageFull, detail)
                    .with_retry_after(30)
                    .caused_by(&error)
            }
            store::Error::Unavailable(_) => {
                let detail = "The database does not answer now.";
                Self::new(Code::StoreUnavailable, detail)
                    .with_retry_after(5)
                    .caused_by(&error)
            }
            store::Error::Conflict(_) | store::Error::Missing(_) => {
                Self::new(Code::Conflict, sentence(&error))
            }
            store::Error::NullCharacter => Self::new(Code::ValidationFailed, sentence(&error)),
            store::Error::LeaseLost
            | store::Error::Migration(_)
            | store::Error::Unsuitable(_)
            | store::Error::Corrupt(_)
            | store::Error::Refused(_) => Self::internal(&error),
        }
    }
}

impl From<vault::Error> for Error {
    fn from(error: vault::Error) -> Self {
        let sentence = sentence(&error);
        match error {
            vault::Error::Field { field, message } => {
                let violation = Violation {
                    path: pointer(&field),
                    message,
                };
                Self::new(Code::InvalidSetting, sentence).with_violations(vec![violation])
            }
            vault::Error::Scheme(_) | vault::Error::Address(_) => {
                Self::new(Code::InvalidSetting, sentence)
            }
            vault::Error::NoOAuthApp { .. } | vault::Error::OpenTokenAddress(_) => {
                Self::new(Code::OAuthAppMissing, sentence)
            }
            vault::Error::UnknownState | vault::Error::OtherApp(_) => {
                Self::new(Code::StateInvalid, sentence)
            }
            vault::Error::UnknownConnector(_) => Self::new(Code::ConnectorNotFound, sentence),
            vault::Error::Refused(_) => Self::new(Code::LoginRefused, sentence),
            vault::Error::Unavailable(_) => {
                Self::new(Code::ProviderUnavailable, sentence).with_retry_after(5)
            }
            vault::Error::Key(_) | vault::Error::WrongKey { .. } | vault::Error::Sealed(_) => {
                Self::internal(&error)
            }
            vault::Error::Store(error) => error.into(),
        }
    }
}

impl From<webhook::Error> for Error {
    fn from(error: webhook::Error) -> Self {
        let sentence = sentence(&error);
        match error {
            webhook::Error::Url(message) => {
                let violation = Violation {
                    path: "/url".to_owned(),
                    message,
                };
                Self::new(Code::ValidationFailed, sentence).with_violations(vec![violation])
            }
            webhook::Error::Missing => Self::new(Code::WebhookNotFound, sentence),
            webhook::Error::Vault(error) => error.into(),
            webhook::Error::Store(error) => error.into(),
        }
    }
}

/// The text of an error as a sentence: a capital in front, a full stop behind.
fn sentence(error: &dyn std::error::Error) -> String {
    capitalised(&chain(error))
}

/// A text as a sentence: a capital in front, a full stop behind.
#[must_use]
pub fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let mut sentence: String = match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    };
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// A field's name as a JSON Pointer; what is one already stays.
fn pointer(field: &str) -> String {
    if field.is_empty() || field.starts_with('/') {
        field.to_owned()
    } else {
        format!("/{}", field.replace('~', "~0").replace('/', "~1"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_provider_says_keeps_its_meaning() {
        let code = |failure: Failure| Error::from(unify::Error::Provider(failure)).code();
        let text = || "no".to_owned();
        assert_eq!(code(Failure::Conflict(text())), Code::ProviderConflict);
        assert_eq!(code(Failure::Unexpected(text())), Code::ProviderFailed);
        let limited = Error::from(Failure::RateLimited(Some(Duration::from_secs(7))));
        assert_eq!(limited.code(), Code::RateLimited);
        assert_eq!(limited.retry_after, Some(7));
        let refused = Error::from(Failure::Invalid {
            field: Some("email".into()),
            message: "is taken".into(),
        });
        assert_eq!(refused.violations[0].path, "/email");
    }

    #[test]
    fn a_limit_is_named() {
        let limited = Error::from(CallError::Memory(16));
        assert_eq!(limited.code(), Code::ConnectorLimit);
        assert_eq!(
            limited.to_string(),
            "The connector was stopped: it wanted more than 16 MiB of memory; its manifest would need a larger `memory_mib` in [permissions] (connector_memory_limit)."
        );
        let late = Error::from(CallError::Cpu(Duration::from_secs(1)));
        assert_eq!(late.code(), Code::ConnectorTimeout);
    }

    #[test]
    fn texts_are_sentences() {
        assert_eq!(capitalised("no such thing"), "No such thing.");
        assert_eq!(capitalised("Ärger!"), "Ärger!");
        assert_eq!(pointer("a/b"), "/a~1b");
        assert_eq!(pointer("/a/b"), "/a/b");
    }
}
