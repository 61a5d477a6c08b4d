//! People who operate this server.

use std::{fmt, str::FromStr};

use super::{OperatorId, SessionId, Timestamp};

/// What an operator may do. Each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees everything but secrets, changes nothing.
    Viewer,
    /// Changes what is in projects.
    Developer,
    /// Changes everything: operators, connectors and what they may reach.
    Owner,
}

impl Role {
    /// From the most to the least.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Developer, Self::Viewer];

    /// As it is stored and typed: `owner`, `developer`, `viewer`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Owner => "owner",
        }
    }

    /// The reverse.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What it means, for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Viewer => "sees everything but secrets, changes nothing",
            Self::Developer => "changes what is in projects",
            Self::Owner => "changes everything, operators and connectors too",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An e-mail address in the one spelling that it is compared in: without space around it, in
/// small letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress(String);

/// A text that is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address looks like name@example.com")]
pub struct EmailAddressError;

impl EmailAddress {
    const LONGEST: usize = 254;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = EmailAddressError;

    /// Refuses what cannot be one. Whether there is somebody behind it only a message would show,
    /// and this server sends none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim().to_lowercase();
        let odd = |character: char| character.is_whitespace() || character.is_control();
        let good = text.len() <= Self::LONGEST
            && !text.contains(odd)
            && !text.contains(['<', '>', ',', ';', '"'])
            && text.split_once('@').is_some_and(|(name, domain)| {
                !name.is_empty() && !domain.is_empty() && !domain.contains('@')
            });
        good.then_some(Self(text)).ok_or(EmailAddressError)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Somebody who may sign in to the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its id.
    pub id: OperatorId,
    /// What the operator signs in with.
    pub email: EmailAddress,
    /// What others call the operator.
    pub name: String,
    /// What the operator may do.
    pub role: Role,
}

impl Operator {
    /// Who it is for the audit log: `operator:<id>`.
    #[must_use]
    pub fn actor(&self) -> String {
        format!("operator:{}", self.id)
    }
}

/// From where somebody asks, as the request tells: for the operator to recognise, not a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The client's address.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// An operator's browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSession {
    /// Its id, which opens nothing.
    pub id: SessionId,
    /// When the operator signed in.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub used_at: Timestamp,
    /// Where it was last used.
    pub place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_spelled_one_way() {
        assert!(Role::Owner > Role::Developer && Role::Developer > Role::Viewer);
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("Owner"), None);
    }

    #[test]
    fn addresses_have_one_spelling() {
        let address: EmailAddress = " Ada@Example.COM ".parse().unwrap();
        assert_eq!(address.as_str(), "ada@example.com");
        assert_eq!(address.domain(), "example.com");
        for bad in ["", "ada", "@x", "ada@", "a b@x", "a@b@c", "a@x\0y", "<a@x>"] {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad:?}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        assert!(long.parse::<EmailAddress>().is_err());
    }
}
