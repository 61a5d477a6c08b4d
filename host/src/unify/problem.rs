//! What a login that came to nothing is called on the connect page, where each name has a sentence
//! in every language.

use super::Error;
use crate::{
    runtime::{CallError, Failure},
    vault,
};

/// Why a login came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginProblem {
    /// One of [`LoginProblem::NAMES`].
    pub name: &'static str,
    /// What the provider said, where it said something.
    pub said: Option<String>,
    /// The field of the form that is wrong, and what is wrong with it.
    pub field: Option<(String, String)>,
}

impl LoginProblem {
    /// All there are.
    pub const NAMES: [&'static str; 17] = [
        "denied",
        "refused",
        "credentials",
        "forbidden",
        "not_found",
        "rate_limited",
        "too_often",
        "unavailable",
        "unexpected",
        "connector",
        "connector_gone",
        "not_configured",
        "other_account",
        "link_closed",
        "state",
        "input",
        "server",
    ];

    /// Too many logins were tried by one link.
    #[must_use]
    pub fn too_often() -> Self {
        Self::new("too_often")
    }

    fn new(name: &'static str) -> Self {
        Self {
            name,
            said: None,
            field: None,
        }
    }

    fn said(name: &'static str, said: &str) -> Self {
        let said: String = providers_own(said).chars().take(300).collect();
        Self {
            said: Some(said).filter(|said| !said.trim().is_empty()),
            ..Self::new(name)
        }
    }

    fn field(field: &str, message: &str) -> Self {
        Self {
            field: Some((field.to_owned(), message.to_owned())),
            ..Self::new("input")
        }
    }
}

impl Error {
    /// What an end customer is told of a login that ended so.
    #[must_use]
    pub fn problem(&self) -> LoginProblem {
        use LoginProblem as Problem;
        match self {
            Self::LoginDenied(said) if said.contains("access_denied") => Problem::new("denied"),
            Self::LoginDenied(said) | Self::Vault(vault::Error::Refused(said)) => {
                Problem::said("refused", said)
            }
            Self::CredentialsRefused(said) | Self::NeedsReconnect(said) => {
                Problem::said("credentials", said)
            }
            Self::Provider(failure) | Self::Connector(CallError::Failure(failure)) => {
                of_failure(failure)
            }
            Self::Vault(vault::Error::Unavailable(said)) => Problem::said("unavailable", said),
            Self::Connector(_) | Self::Contract(_) => Problem::new("connector"),
            Self::UnknownConnector(_)
            | Self::ConnectorUnavailable { .. }
            | Self::Vault(vault::Error::UnknownConnector(_) | vault::Error::Scheme(_)) => {
                Problem::new("connector_gone")
            }
            Self::Vault(vault::Error::NoOAuthApp { .. } | vault::Error::OpenTokenAddress(_)) => {
                Problem::new("not_configured")
            }
            Self::Vault(vault::Error::UnknownState | vault::Error::OtherApp(_)) => {
                Problem::new("state")
            }
            Self::OtherAccount { expected, .. } => Problem::said("other_account", expected),
            Self::LinkClosed => Problem::new("link_closed"),
            Self::InvalidSetting { field, message }
            | Self::Vault(vault::Error::Field { field, message }) => Problem::field(field, message),
            Self::Vault(vault::Error::Address(_)) => Problem::new("not_found"),
            _ => Problem::new("server"),
        }
    }
}

/// What the provider itself said, of a connector's sentence `GET {api}/me answered 401: no`: the
/// rest is for who writes connectors.
fn providers_own(said: &str) -> &str {
    let Some((request, answered)) = said.split_once(" answered ") else {
        return said;
    };
    let method = request.split(' ').next().unwrap_or_default();
    let is_request = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let rest = answered.trim_start_matches(|letter: char| letter.is_ascii_digit());
    if !is_request || rest.len() == answered.len() {
        return said;
    }
    rest.strip_prefix(": ").unwrap_or_default()
}

fn of_failure(failure: &Failure) -> LoginProblem {
    use LoginProblem as Problem;
    match failure {
        Failure::Unauthorized(said) => Problem::said("credentials", said),
        Failure::Forbidden(said) => Problem::said("forbidden", said),
        Failure::NotFound(said) => Problem::said("not_found", said),
        Failure::RateLimited(_) => Problem::new("rate_limited"),
        Failure::Unavailable(said) => Problem::said("unavailable", said),
        Failure::Invalid {
            field: Some(field),
            message,
        } => Problem::field(field, message),
        Failure::Invalid {
            field: None,
            message: said,
        }
        | Failure::Conflict(said)
        | Failure::Unexpected(said) => Problem::said("unexpected", said),
        Failure::Unsupported(_) => Problem::new("connector"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_what_the_provider_said_and_no_request() {
        let said = |text: &str| of_failure(&Failure::Unauthorized(text.to_owned())).said;
        let own = said("GET {api}/v1/me answered 401: wrong key: x");
        assert_eq!(own.as_deref(), Some("wrong key: x"));
        assert_eq!(said("GET {api}/v1/me answered 401"), None);
        for whole in ["Nobody answered 3 times", "wrong key"] {
            assert_eq!(said(whole).as_deref(), Some(whole));
        }
    }

    #[test]
    fn every_failure_of_a_login_has_a_name() {
        let text = || "said".to_owned();
        let failures = [
            Failure::Unauthorized(text()),
            Failure::Forbidden(text()),
            Failure::NotFound(text()),
            Failure::Conflict(text()),
            Failure::RateLimited(None),
            Failure::Unavailable(text()),
            Failure::Unsupported(text()),
            Failure::Unexpected(text()),
        ];
        let errors = failures.into_iter().map(Error::Provider).chain([
            Error::LoginDenied("\"access_denied\"".into()),
            Error::LoginDenied("\"invalid_scope\"".into()),
            Error::LinkClosed,
            Error::Vault(vault::Error::UnknownState),
            Error::RecordNotFound,
        ]);
        for error in errors {
            let problem = error.problem();
            assert!(LoginProblem::NAMES.contains(&problem.name), "{error}");
        }
        let denied = Error::LoginDenied("\"access_denied\". no".into()).problem();
        assert_eq!((denied.name, denied.said), ("denied", None));
    }
}
