//! Operators and how they sign in.

use std::collections::BTreeMap;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{Error, networks, secret, texts};
use crate::model::Role;

/// Operators and how they sign in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Hours without use after which a session ends.
    pub idle_hours: u64,
    /// Days after the sign-in after which a session ends.
    pub absolute_days: u64,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Signing in with an account elsewhere.
    #[serde(default)]
    pub oidc: Option<Oidc>,
}

/// Signing in with an account elsewhere (OpenID Connect).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Who vouches for people; its settings are read from
    /// `ISSUER/.well-known/openid-configuration`.
    pub issuer: Url,
    /// This server's name there.
    pub client_id: String,
    /// And its secret.
    #[serde(deserialize_with = "required_secret")]
    pub client_secret: SecretString,
    /// What stands on the button.
    #[serde(default = "label")]
    pub label: String,
    /// What is asked for.
    #[serde(default = "scopes", deserialize_with = "texts")]
    pub scopes: Vec<String>,
    /// E-mail domains whose people get an account at their first sign-in.
    #[serde(default, deserialize_with = "texts")]
    pub allowed_domains: Vec<String>,
    /// E-mail addresses whose owners do.
    #[serde(default, deserialize_with = "texts")]
    pub allowed_emails: Vec<String>,
    /// What those are then.
    #[serde(default = "role")]
    pub role: String,
    /// The claim that tells the role: a text or a list of texts.
    #[serde(default)]
    pub role_claim: Option<String>,
    /// Values of that claim, by role.
    #[serde(default)]
    pub roles: BTreeMap<String, ClaimValues>,
}

/// Values of a claim.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct ClaimValues(#[serde(deserialize_with = "texts")] pub Vec<String>);

impl Access {
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(oidc) = &self.oidc else {
            return Ok(());
        };
        let invalid = |text: String| Err(Error::Invalid(text));
        let roles = oidc.roles.keys().chain([&oidc.role]);
        for role in roles {
            if Role::parse(role).is_none() {
                return invalid(format!(
                    "access.oidc: {role:?} is no role; there are owner, developer and viewer"
                ));
            }
        }
        if oidc.role_claim.is_some() == oidc.roles.is_empty() {
            return invalid(
                "access.oidc.role_claim and access.oidc.roles need each other: the claim, and its \
                 values for each role"
                    .to_owned(),
            );
        }
        if !oidc.scopes.iter().any(|scope| scope == "openid") {
            return invalid("access.oidc.scopes must have \"openid\" among them".to_owned());
        }
        Ok(())
    }
}

fn required_secret<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<SecretString, D::Error> {
    let given = secret(deserializer)?;
    given.ok_or_else(|| serde::de::Error::custom("the client's secret is missing"))
}

fn label() -> String {
    "Company account".to_owned()
}

fn scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(ToOwned::to_owned).into()
}

fn role() -> String {
    Role::Viewer.as_str().to_owned()
}
