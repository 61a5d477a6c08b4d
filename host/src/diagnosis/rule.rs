//! From evidence to a cause and steps: the rules of `rules.toml`, the first that fits counts.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::{ErrorClass, words};

/// The rules as they are kept.
const TEXT: &str = include_str!("rules.toml");

/// What kind of thing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A run of a sync, or a login.
    Class(ErrorClass),
    /// A delivery of an event.
    Delivery,
    /// Records that a connector cannot unify.
    Record,
}

impl Kind {
    /// The word of the class, `delivery` or `record`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Class(class) => class.as_str(),
            Self::Delivery => "delivery",
            Self::Record => "record",
        }
    }

    /// The reverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "delivery" => Some(Self::Delivery),
            "record" => Some(Self::Record),
            class => ErrorClass::parse(class).map(Self::Class),
        }
    }
}

words! {
    /// How many suffer from it at the same time.
    Spread {
        /// One connection, or one endpoint.
        One = "one",
        /// Several connections of one connector.
        Several = "several",
        /// Connections of several connectors.
        Everywhere = "everywhere",
    }
}

words! {
    /// What was changed before it began.
    ChangeKind {
        /// The account was connected.
        Connected = "connected",
        /// Somebody logged in again.
        Reconnected = "reconnected",
        /// Settings of the connection or of the sync.
        Settings = "settings",
        /// Custom fields or field mappings.
        Mapping = "mapping",
        /// Another version of the connector began to serve.
        Version = "version",
        /// What the connector is allowed.
        Grant = "grant",
        /// The connector was disabled or suspended.
        Stopped = "stopped",
        /// The OAuth app.
        OauthApp = "oauth_app",
        /// The webhook endpoint.
        Endpoint = "endpoint",
    }
}

words! {
    /// Who can do something about it.
    Who {
        /// Whoever owns the connected account.
        EndCustomer = "end_customer",
        /// Whoever runs this server, or the application on top of it.
        Operator = "operator",
        /// Who wrote the connector.
        ConnectorAuthor = "connector_author",
        /// The other company.
        Provider = "provider",
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A sentence.
    pub text: String,
    /// Where to do it: a path of this server with places such as `{project}` in it.
    #[serde(default)]
    pub link: Option<String>,
}

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, stable.
    pub id: String,
    /// One of these kinds; words of [`Kind`].
    #[serde(rename = "class")]
    kinds: Vec<String>,
    /// One of these statuses, `404` or `5xx`; any or none where the list is empty.
    #[serde(default)]
    status: Vec<String>,
    /// One of these texts is in the message, in whatever case.
    #[serde(default)]
    text: Vec<String>,
    /// One of these.
    #[serde(default)]
    spread: Vec<Spread>,
    /// One of these came before it.
    #[serde(default)]
    change: Vec<ChangeKind>,
    /// The likely cause, a sentence, with places such as `{connector}`.
    pub cause: String,
    /// Who can do something about it.
    pub who: Who,
    /// What to do, in this order.
    pub steps: Vec<Step>,
}

/// What is known of an error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence<'a> {
    /// What kind of thing failed.
    pub(super) kind: Kind,
    /// The status that was answered, where one was.
    pub(super) status: Option<u16>,
    /// The message.
    pub(super) message: &'a str,
    /// How many suffer.
    pub(super) spread: Spread,
    /// What was changed before.
    pub(super) changes: &'a [ChangeKind],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    rule: Vec<Rule>,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let document: Document = toml::from_str(TEXT).expect("a test reads rules.toml");
    document.rule
});

impl Rule {
    /// The kinds of changes that this rule blames.
    #[must_use]
    pub fn blames(&self) -> &[ChangeKind] {
        &self.change
    }

    fn fits(&self, evidence: &Evidence<'_>, message: &str) -> bool {
        let kind = evidence.kind.as_str();
        let is_status =
            |pattern: &String| evidence.status.is_some_and(|status| fits(pattern, status));
        let any = |list_is_empty: bool, found: bool| list_is_empty || found;
        self.kinds.iter().any(|known| known == kind)
            && any(self.status.is_empty(), self.status.iter().any(is_status))
            && any(
                self.text.is_empty(),
                self.text.iter().any(|text| message.contains(text.as_str())),
            )
            && any(
                self.spread.is_empty(),
                self.spread.contains(&evidence.spread),
            )
            && any(
                self.change.is_empty(),
                self.change
                    .iter()
                    .any(|kind| evidence.changes.contains(kind)),
            )
    }
}

/// Whether `404` or `4xx` is said of a status.
fn fits(pattern: &str, status: u16) -> bool {
    match pattern.strip_suffix("xx") {
        Some(hundred) => hundred.parse() == Ok(status / 100),
        None => pattern.parse() == Ok(status),
    }
}

/// The first rule that fits.
///
/// # Panics
/// Never: a test shows that there is a rule without further conditions for each kind.
#[must_use]
pub(super) fn rule_for(evidence: &Evidence<'_>) -> &'static Rule {
    let message = evidence.message.to_lowercase();
    let mut rules = RULES.iter();
    rules
        .find(|rule| rule.fits(evidence, &message))
        .expect("each kind has a rule without further conditions")
}

#[cfg(test)]
mod tests;
