//! A project's own OAuth app at a provider.

use std::fmt;

use super::{Environment, Slug};

/// What an app is for: one way to log in of one connector, in one environment of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthAppKey {
    /// The connector.
    pub connector: Slug,
    /// The scheme's name in the manifest.
    pub scheme: String,
    /// Connections in this environment use it.
    pub environment: Environment,
}

impl fmt::Display for OAuthAppKey {
    /// `connector/scheme/environment`: what its secret's seal names. Connector and environment
    /// hold no slash, so no two have the same.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = self.environment.as_str();
        write!(
            formatter,
            "{}/{}/{environment}",
            self.connector, self.scheme
        )
    }
}
