//! The manifest of a connector: `connector.toml`, embedded in the component.
//!
//! Unknown keys are errors, and every key that exists has an effect.

mod auth;
mod place;
mod rate_limit;
mod retry;
mod rule;
mod setting;
mod template;
mod webhooks;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ObjectKind, Slug};

pub use auth::{ApiKeyPlace, AuthField, AuthKind, AuthScheme, ClientAuthentication, OAuthClient};
pub use place::Mistake;
pub use rate_limit::{BudgetScope, LimitHeaders, RateBucket, RateLimits, TimeForm};
pub use retry::{Meaning, OneOrMany, Retry, RetryRule};
pub use rule::{HttpRule, HttpRuleError, RuleHost};
pub use setting::{OptionsFrom, Setting, SettingType};
pub use template::{Template, TemplateError, Variable, VariableType};
pub use webhooks::{WebhookRoute, WebhookSecret, Webhooks};

/// The custom section of the component that holds the manifest.
pub const MANIFEST_SECTION: &str = "jackfield:manifest";
/// The custom section that holds fixtures, from which the coverage is computed.
pub const SAMPLES_SECTION: &str = "jackfield:samples";

const MAX_MANIFEST: usize = 64 * 1024;
const MAX_ICON: usize = 32 * 1024;
const MAX_MEMORY_MIB: u32 = 256;

/// What a connector says of itself.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its name in URLs and configuration.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// Its version.
    pub version: semver::Version,
    /// One sentence.
    pub description: String,
    /// What it does, Markdown.
    pub overview: String,
    /// A `data:` URI of an SVG or PNG.
    pub icon: Option<String>,
    /// `#rrggbb`.
    pub accent_color: Option<String>,
    /// SPDX expression.
    pub licence: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
    /// What the end customer types to make up addresses.
    pub variables: BTreeMap<String, Variable>,
    /// Base URLs by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Ways to log in, in the order of the file.
    pub auth: Vec<AuthScheme>,
    /// What the end customer may choose.
    pub settings: Vec<Setting>,
    /// What it reads and writes, in the order in which it should be synced.
    pub objects: Vec<ObjectSupport>,
    /// What its provider sends by itself, where the connector reads that.
    pub webhooks: Option<Webhooks>,
    /// What its provider allows in a time, where that is known.
    pub rate_limit: Option<RateLimits>,
    /// What answers mean that do not say it by their status.
    pub retry: Retry,
    /// What it asks for.
    pub permissions: Permissions,
}

impl Manifest {
    /// Parses and checks the text of a manifest.
    ///
    /// # Errors
    /// The first thing that is wrong, with the key.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLarge(text.len()));
        }
        let raw: raw::Manifest = toml::from_str(text)?;
        raw.check()
    }

    /// What it does with an object.
    #[must_use]
    pub fn object(&self, kind: ObjectKind) -> Option<&ObjectSupport> {
        self.objects.iter().find(|object| object.kind == kind)
    }

    /// The way to log in of that name.
    #[must_use]
    pub fn scheme(&self, name: &str) -> Option<&AuthScheme> {
        self.auth.iter().find(|scheme| scheme.name == name)
    }

    /// The verticals of its objects, each once.
    #[must_use]
    pub fn verticals(&self) -> Vec<&'static str> {
        let mut verticals: Vec<&'static str> = Vec::new();
        for object in &self.objects {
            let vertical = object.kind.spec().vertical.as_str();
            if !verticals.contains(&vertical) {
                verticals.push(vertical);
            }
        }
        verticals
    }
}

/// A base URL for each of the provider's environments.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// For production.
    pub production: Template,
    /// For the sandbox, where that is another one.
    pub sandbox: Option<Template>,
}

/// What a connector does with one object.
#[derive(Clone, Debug)]
pub struct ObjectSupport {
    /// The object.
    pub kind: ObjectKind,
    /// Whether it can be read.
    pub read: bool,
    /// Which writes it does.
    pub push: Vec<PushOperation>,
    /// The unified fields that it fills.
    pub fields: Vec<String>,
    /// Whether reading honours `since`.
    pub incremental: bool,
    /// Seconds that the host takes off `since`, for providers with coarse clocks.
    pub look_back: u32,
    /// Whether reading everything gives everything: what is not in it is gone.
    pub full_pass: FullPass,
    /// The step, in seconds, in which the provider takes `since`; the host rounds down to it.
    pub since_granularity: Option<u32>,
    /// How many days back the provider tells what changed; before that, everything is read.
    pub history_days: Option<u32>,
    /// At most how many records the provider gives to one question for what changed.
    pub result_cap: Option<u32>,
    /// What a queued change does before it writes.
    pub write_safety: WriteSafety,
}

/// A write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOperation {
    /// A new record.
    Create,
    /// A change.
    Update,
    /// A deletion.
    Delete,
}

impl PushOperation {
    /// As the manifest spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// The one with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Create, Self::Update, Self::Delete]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

/// How a write is kept from overwriting what somebody else changed at the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteSafety {
    /// The provider compares an entity tag, which is the record's version.
    Etag,
    /// The provider compares a version token.
    Version,
    /// The provider compares nothing: the record is read, compared and written at once.
    #[default]
    ReadCompareWrite,
}

/// What reading everything of an object gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FullPass {
    /// All that there is: a record that is not in it is gone.
    Complete,
    /// Some of it, as the provider pleases: what is not in it may be there.
    #[default]
    Partial,
}

/// What a connector asks for.
#[derive(Clone, Debug)]
pub struct Permissions {
    /// Where it may send requests.
    pub http: Vec<HttpRule>,
    /// Credentials that it may use by name.
    pub secrets: Vec<String>,
    /// The most memory it may have, MiB.
    pub memory_mib: u32,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is larger than 64 KiB.
    #[error("the manifest has {0} bytes; at most {MAX_MANIFEST} are read")]
    TooLarge(usize),
    /// It is not TOML, or a key is unknown, missing or of the wrong type.
    #[error("connector.toml: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A value makes no sense.
    #[error("connector.toml: {key}: {message}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with it.
        message: String,
    },
}

impl ManifestError {
    fn value(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Value {
            key: key.into(),
            message: message.into(),
        }
    }
}

/// The file's own shape.
mod raw;

#[cfg(test)]
mod tests;
