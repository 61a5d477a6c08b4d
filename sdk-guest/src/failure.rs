//! Short ways to make and read a [`Failure`].

use std::fmt::Display;

use crate::bindings::jackfield::connector::http::HttpError;
use crate::{Failure, Invalid};

impl Failure {
    /// Input that is wrong, without a field to blame.
    pub fn invalid(message: impl Display) -> Self {
        Self::Invalid(Invalid {
            field: None,
            message: message.to_string(),
        })
    }

    /// Input that is wrong in one unified field.
    pub fn invalid_field(field: &str, message: impl Display) -> Self {
        Self::Invalid(Invalid {
            field: Some(field.to_owned()),
            message: message.to_string(),
        })
    }

    /// An answer that makes no sense.
    pub fn unexpected(message: impl Display) -> Self {
        Self::Unexpected(message.to_string())
    }

    /// What the connector does not do with this object, for example "does not write crm.stage".
    pub fn unsupported(message: impl Display) -> Self {
        Self::Unsupported(message.to_string())
    }

    /// The text that a person reads.
    pub fn message(&self) -> String {
        match self {
            Self::Unauthorized(text)
            | Self::Forbidden(text)
            | Self::NotFound(text)
            | Self::Conflict(text)
            | Self::Unavailable(text)
            | Self::Unsupported(text)
            | Self::Unexpected(text) => text.clone(),
            Self::Invalid(Invalid {
                field: Some(field),
                message,
            }) => format!("{field}: {message}"),
            Self::Invalid(Invalid {
                field: None,
                message,
            }) => message.clone(),
            Self::RateLimited(Some(seconds)) => format!("too many requests; wait {seconds} s"),
            Self::RateLimited(None) => "too many requests".to_owned(),
        }
    }
}

/// Limits are whole MiB where operators set them.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match bytes % MIB {
        0 => format!("{} MiB", bytes / MIB),
        _ => format!("{bytes} bytes"),
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Denied(reason) => {
                Self::Unexpected(format!("the host refused the request: {reason}"))
            }
            HttpError::Timeout => Self::Unavailable("no complete answer in time".to_owned()),
            HttpError::TooLarge(limit) => {
                Self::Unexpected(format!("the answer is larger than {}", size(limit)))
            }
            HttpError::RateLimited(seconds) => Self::RateLimited(seconds),
            HttpError::Unreachable(reason) => Self::Unavailable(reason),
        }
    }
}
