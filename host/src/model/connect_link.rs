//! Connect links: an address that lets a linked user connect an account, for a while.

use std::{fmt, time::Duration};

use url::{Host, Url};

use super::{Branding, ConnectLinkId, ConnectionId, LinkedUserId, ProjectId, Slug, Timestamp};

/// How long a link works where nothing else is said.
pub const LINK_LIFE: Duration = Duration::from_secs(3600);
/// The longest that a link may work.
pub const LONGEST_LINK_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a login takes a link at most: one that made no connection until then broke off, by a
/// crash for instance, and the link is open again.
pub const LINK_TAKEN: Duration = Duration::from_secs(60);

/// The languages of the connect page, the first for whoever prefers none of them.
pub const LANGUAGES: [&str; 3] = ["en", "de", "fr"];

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConnectLink {
    /// Whose account is connected.
    pub linked_user: LinkedUserId,
    /// What may be connected; anything where it is empty.
    pub connectors: Vec<Slug>,
    /// For which vertical; the connector's first where none is named.
    pub vertical: Option<String>,
    /// Where the browser goes in the end.
    pub return_url: Option<Url>,
    /// One of [`LANGUAGES`]; the browser's where none is named.
    pub language: Option<String>,
    /// The connection to log in again; a new one where none is named.
    pub connection: Option<ConnectionId>,
    /// Whom the integrator sends it to: kept for the integrator, used for nothing.
    pub email: Option<String>,
}

/// A link as it is kept. Its token is not: only the token's hash is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectLink {
    /// Its id.
    pub id: ConnectLinkId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// What it is for; once it was used, `connection` is what it made.
    pub what: NewConnectLink,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When somebody last logged in with it.
    pub used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// What a link can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// To log in.
    Open,
    /// It made its connection: until it expires, that one can be looked after and logged in again.
    Used,
    /// For nothing: its time is over.
    Expired,
    /// For nothing: it was taken back.
    Revoked,
}

impl LinkState {
    /// In lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl ConnectLink {
    /// What it can be used for at a moment.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> LinkState {
        if self.revoked_at.is_some() {
            LinkState::Revoked
        } else if self.expires_at <= now {
            LinkState::Expired
        } else if self.is_used(now) {
            LinkState::Used
        } else {
            LinkState::Open
        }
    }

    /// Whether it was used: then it is for its connection only.
    #[must_use]
    pub fn is_used(&self, now: Timestamp) -> bool {
        let made = self.what.connection.is_some();
        self.used_at
            .is_some_and(|at| made || now.since(at) < LINK_TAKEN)
    }

    /// Whether it is for this connector.
    #[must_use]
    pub fn allows(&self, connector: &Slug) -> bool {
        self.what.connectors.is_empty() || self.what.connectors.contains(connector)
    }
}

/// What a project says of its connect pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectSettings {
    /// Where browsers may be sent back to, and who may show the page in a frame.
    pub allowed_origins: Vec<WebOrigin>,
    /// How the pages look.
    pub branding: Branding,
}

impl ConnectSettings {
    /// Whether a browser may be sent there.
    #[must_use]
    pub fn allows(&self, return_url: &Url) -> bool {
        let origin = return_url.origin().ascii_serialization();
        self.allowed_origins.iter().any(|one| one.0 == origin)
    }
}

/// `scheme://host[:port]` of a web page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebOrigin(String);

/// A text that is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is http or https, a host and, perhaps, a port, like https://app.example.com: no path, no `*`"
)]
pub struct WebOriginError;

impl WebOrigin {
    /// Reads one; a slash at the end is forgiven.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, WebOriginError> {
        let url = Url::parse(text.trim()).map_err(|_| WebOriginError)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.host().as_ref().is_some_and(is_plain)
            && url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if plain {
            Ok(Self(url.origin().ascii_serialization()))
        } else {
            Err(WebOriginError)
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The URL standard lets `;` and `,` into names. Here they would end a part of the policy that the
/// origin becomes a part of.
fn is_plain(host: &Host<&str>) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    match host {
        Host::Domain(name) => name.bytes().all(good),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_what_browsers_compare() {
        for (text, expected) in [
            ("https://App.Example.com", "https://app.example.com"),
            ("https://app.example.com:443/", "https://app.example.com"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[::1]:5173", "http://[::1]:5173"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(WebOrigin::parse(text).unwrap().as_str(), expected);
        }
        for bad in [
            "",
            "app.example.com",
            "https://app.example.com/path",
            "https://*.example.com",
            "https://user@example.com",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a.example/?x",
            "https://a;script-src-elem",
            "https://a,b",
            "https://a'b",
        ] {
            assert!(WebOrigin::parse(bad).is_err(), "{bad}");
        }
        let settings = ConnectSettings {
            allowed_origins: vec![WebOrigin::parse("https://app.example.com").unwrap()],
            ..ConnectSettings::default()
        };
        let allows = |text: &str| settings.allows(&text.parse().unwrap());
        assert!(allows("https://app.example.com/done?x=1#y"));
        for other in [
            "http://app.example.com/",
            "https://app.example.com:8443/",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
        ] {
            assert!(!allows(other), "{other}");
        }
    }
}
