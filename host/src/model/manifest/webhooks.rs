//! What a connector says of the webhooks that its provider sends.

use serde::Deserialize;

use super::ManifestError;

/// The table `[webhooks]`: there exactly where the component exports the interface `webhooks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// How the connection of a notice is found.
    pub route: WebhookRoute,
    /// Which secret the provider signs with.
    pub secret: WebhookSecret,
}

/// How the connection of a notice is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookRoute {
    /// By the provider's id of the account: `/inbound/{connector}` for everybody.
    Account,
    /// By the path: `/inbound/{connector}/{connection id}`.
    Connection,
}

/// Which secret the provider signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookSecret {
    /// That of the operator's OAuth app: the guest names it `client_secret`.
    Client,
    /// One that the operator configures: `webhook_secret`.
    Operator,
    /// One for each connection, made by the host: `webhook_secret`.
    Connection,
}

impl WebhookRoute {
    /// As the manifest spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Connection => "connection",
        }
    }
}

impl WebhookSecret {
    /// As the manifest spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Operator => "operator",
            Self::Connection => "connection",
        }
    }

    /// The name under which the guest uses it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client_secret",
            Self::Operator | Self::Connection => "webhook_secret",
        }
    }
}

impl Webhooks {
    pub(super) fn check(self) -> Result<Self, ManifestError> {
        if self.secret == WebhookSecret::Connection && self.route != WebhookRoute::Connection {
            return Err(ManifestError::value(
                "webhooks.route",
                "must be \"connection\" where each connection has a secret of its own: only the path tells which to use",
            ));
        }
        Ok(self)
    }
}
