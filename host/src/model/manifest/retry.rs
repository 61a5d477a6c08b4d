//! What answers of a provider mean that do not say it by their status.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{
    ManifestError,
    rate_limit::{TimeForm, header},
};

/// A wait that is longer is a mistake in the manifest.
const LONGEST_WAIT: u64 = 24 * 3600;

/// The table `[retry]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Headers beside `Idempotency-Key` under which the provider does a request once, however
    /// often it is sent.
    #[serde(default)]
    pub idempotency_headers: Vec<String>,
    /// What answers mean; the first that fits holds.
    #[serde(default)]
    pub rules: Vec<RetryRule>,
}

/// An answer that fits everything named here has this meaning.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRule {
    /// One of these statuses; none: any.
    #[serde(default)]
    pub status: Vec<u16>,
    /// A header that the answer has.
    pub header: Option<String>,
    /// A place in its JSON body (RFC 6901) where something is.
    pub json: Option<String>,
    /// What the header or the place says: one of these, if there are several.
    pub equals: Option<OneOrMany>,
    /// What the header or the place contains, in whatever case.
    pub contains: Option<String>,
    /// What it means.
    pub meaning: Meaning,
    /// Where it says how long to wait; otherwise `Retry-After` counts.
    pub wait_header: Option<String>,
    /// The same as a place in the body.
    pub wait_json: Option<String>,
    /// How these tell it.
    #[serde(default)]
    pub wait_form: TimeForm,
    /// How long to wait where the answer does not say.
    pub wait_seconds: Option<u64>,
}

/// One value, or several of which one has to be it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// Several.
    Many(Vec<Value>),
    /// One.
    One(Value),
}

impl OneOrMany {
    /// All of them.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        match self {
            Self::Many(values) => values,
            Self::One(value) => std::slice::from_ref(value),
        }
    }
}

/// What an answer means, whatever its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Too many requests, as 429 says it.
    RateLimited,
    /// The access token has run out, as 401 says it: it is refreshed, and the request sent again.
    TokenExpired,
    /// The provider is not there for the moment, as 503 says it.
    Unavailable,
    /// The account may not do this, as 403 says it.
    Forbidden,
}

impl Meaning {
    /// The status that says it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::RateLimited => 429,
            Self::TokenExpired => 401,
            Self::Unavailable => 503,
            Self::Forbidden => 403,
        }
    }
}

impl RetryRule {
    /// How long to wait where the answer does not say.
    #[must_use]
    pub fn default_wait(&self) -> Option<Duration> {
        self.wait_seconds.map(Duration::from_secs)
    }

    fn check(&mut self, key: &str) -> Result<(), ManifestError> {
        let wrong = |field: &str, message: &str| {
            Err(ManifestError::value(format!("{key}.{field}"), message))
        };
        if self.status.is_empty() && self.header.is_none() && self.json.is_none() {
            return Err(ManifestError::value(
                key,
                "fits every answer: say which with status, header or json",
            ));
        }
        if self
            .status
            .iter()
            .any(|status| !(200..=599).contains(status))
        {
            return wrong("status", "must be from 200 to 599");
        }
        if self.header.is_some() && self.json.is_some() {
            return wrong("json", "is there beside header: write two rules");
        }
        let placed = self.header.is_some() || self.json.is_some();
        if !placed && (self.equals.is_some() || self.contains.is_some()) {
            let field = if self.equals.is_some() {
                "equals"
            } else {
                "contains"
            };
            return wrong(field, "needs header or json, which say what is compared");
        }
        if self.equals.is_some() && self.contains.is_some() {
            return wrong("contains", "is there beside equals: write one of them");
        }
        if self.contains.as_deref() == Some("") {
            return wrong("contains", "is empty");
        }
        if let Some(equals) = &self.equals {
            let values = equals.values();
            let plain =
                |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
            if values.is_empty() || !values.iter().all(plain) {
                return wrong(
                    "equals",
                    "must be a text, a number, true or false, or a list of them",
                );
            }
            if self.header.is_some() && !values.iter().all(Value::is_string) {
                return wrong("equals", "must be a text where a header is compared");
            }
        }
        for (field, pointer) in [("json", &self.json), ("wait_json", &self.wait_json)] {
            if pointer
                .as_deref()
                .is_some_and(|text| !text.starts_with('/'))
            {
                return wrong(
                    field,
                    "is no JSON Pointer: it begins with a slash, like /error/code",
                );
            }
        }
        for (field, name) in [
            ("header", &mut self.header),
            ("wait_header", &mut self.wait_header),
        ] {
            if let Some(name) = name {
                header(&format!("{key}.{field}"), name)?;
            }
        }
        if self.wait_header.is_some() && self.wait_json.is_some() {
            return wrong(
                "wait_json",
                "is there beside wait_header: write one of them",
            );
        }
        let says = self.wait_header.is_some() || self.wait_json.is_some();
        if !says && self.wait_form != TimeForm::default() {
            return wrong("wait_form", "needs wait_header or wait_json");
        }
        if self
            .wait_seconds
            .is_some_and(|seconds| !(1..=LONGEST_WAIT).contains(&seconds))
        {
            return wrong("wait_seconds", "must be from 1 to 86400");
        }
        let waits = matches!(self.meaning, Meaning::RateLimited | Meaning::Unavailable);
        if !waits && (says || self.wait_seconds.is_some()) {
            return wrong(
                "meaning",
                "is nothing that waiting helps against: leave wait_… away",
            );
        }
        Ok(())
    }
}

impl Retry {
    pub(super) fn check(mut self) -> Result<Self, ManifestError> {
        for name in &mut self.idempotency_headers {
            header("retry.idempotency_headers", name)?;
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            rule.check(&format!("retry.rules[{index}]"))?;
        }
        Ok(self)
    }
}
