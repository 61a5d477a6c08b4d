//! Ways to log in at a provider.

use std::collections::BTreeMap;

use super::Template;

/// One way to log in.
#[derive(Clone, Debug)]
pub struct AuthScheme {
    /// Its name in the manifest.
    pub name: String,
    /// Its label.
    pub title: String,
    /// How it works.
    pub kind: AuthKind,
}

/// How a scheme works.
#[derive(Clone, Debug)]
pub enum AuthKind {
    /// OAuth 2.0 authorisation code (RFC 6749 §4.1), with PKCE (RFC 7636) or without.
    OAuth2Code {
        /// Where the customer's browser is sent.
        authorize_url: Template,
        /// Whether a PKCE challenge is sent.
        pkce: bool,
        /// Parameters added to the authorisation request.
        authorize_parameters: BTreeMap<String, String>,
        /// The rest, common to both grants.
        client: OAuthClient,
    },
    /// OAuth 2.0 client credentials (RFC 6749 §4.4); the customer types id and secret.
    OAuth2ClientCredentials {
        /// The rest, common to both grants.
        client: OAuthClient,
    },
    /// A key in a header, the query or a cookie.
    ApiKey {
        /// Where it goes.
        place: ApiKeyPlace,
        /// The name of the header, parameter or cookie.
        name: String,
        /// Text before the key.
        prefix: String,
        /// Label of the field.
        label: String,
    },
    /// HTTP Basic (RFC 7617).
    Basic {
        /// Label of the user name.
        username_label: String,
        /// Label of the password.
        password_label: String,
    },
    /// A token that does not expire, sent as `Authorization: Bearer`.
    Bearer {
        /// Label of the field.
        label: String,
    },
}

/// What both OAuth grants need.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// Where codes and refresh tokens are exchanged.
    pub token_url: Template,
    /// Where tokens are revoked when a connection is deleted (RFC 7009).
    pub revoke_url: Option<Template>,
    /// The variables whose values are hosts that whoever connects chooses.
    pub(super) typed_hosts: Vec<String>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What stands between scopes; a space by the standard.
    pub scope_separator: String,
    /// How the client shows who it is.
    pub client_authentication: ClientAuthentication,
    /// Parameters added to every token request.
    pub token_parameters: BTreeMap<String, String>,
}

impl OAuthClient {
    /// Whether one of these addresses is at a host that whoever connects chooses: an app's secret
    /// must not go there.
    #[must_use]
    pub fn is_open(&self, address: &Template) -> bool {
        address
            .variables()
            .any(|name| self.typed_hosts.iter().any(|typed| typed == name))
    }
}

/// How an OAuth client shows who it is (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `client_id` and `client_secret` in the body.
    Body,
    /// HTTP Basic.
    Basic,
}

/// Where an API key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyPlace {
    /// A header.
    Header,
    /// A parameter of the query.
    Query,
    /// A cookie.
    Cookie,
}

/// A field of the login form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthField {
    /// Its key, also the name of the secret.
    pub id: &'static str,
    /// Its label.
    pub title: String,
    /// Whether what is typed should be hidden.
    pub secret: bool,
}

impl AuthScheme {
    /// The type, as the manifest spells it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.kind {
            AuthKind::OAuth2Code { .. } => "oauth2_code",
            AuthKind::OAuth2ClientCredentials { .. } => "oauth2_client_credentials",
            AuthKind::ApiKey { .. } => "api_key",
            AuthKind::Basic { .. } => "basic",
            AuthKind::Bearer { .. } => "bearer",
        }
    }

    /// `token_type` of a connection in the wire contract: `oauth2`, `apikey` or `basic`.
    #[must_use]
    pub const fn wire_token_type(&self) -> &'static str {
        match self.kind {
            AuthKind::OAuth2Code { .. } | AuthKind::OAuth2ClientCredentials { .. } => "oauth2",
            AuthKind::ApiKey { .. } | AuthKind::Bearer { .. } => "apikey",
            AuthKind::Basic { .. } => "basic",
        }
    }

    /// What the end customer types; nothing for a login in the browser.
    #[must_use]
    pub fn fields(&self) -> Vec<AuthField> {
        let field = |id, title: &str, secret| AuthField {
            id,
            title: title.to_owned(),
            secret,
        };
        match &self.kind {
            AuthKind::OAuth2Code { .. } => Vec::new(),
            AuthKind::OAuth2ClientCredentials { .. } => vec![
                field("client_id", "Client ID", false),
                field("client_secret", "Client secret", true),
            ],
            AuthKind::ApiKey { label, .. } => vec![field("api_key", label, true)],
            AuthKind::Bearer { label } => vec![field("access_token", label, true)],
            AuthKind::Basic {
                username_label,
                password_label,
            } => vec![
                field("username", username_label, false),
                field("password", password_label, true),
            ],
        }
    }

    /// Whether id and secret of the client are what the customer types.
    #[must_use]
    pub const fn has_own_client(&self) -> bool {
        matches!(self.kind, AuthKind::OAuth2ClientCredentials { .. })
    }

    /// What the two OAuth grants share, where this is one.
    #[must_use]
    pub const fn oauth(&self) -> Option<&OAuthClient> {
        match &self.kind {
            AuthKind::OAuth2Code { client, .. } | AuthKind::OAuth2ClientCredentials { client } => {
                Some(client)
            }
            AuthKind::ApiKey { .. } | AuthKind::Basic { .. } | AuthKind::Bearer { .. } => None,
        }
    }
}
