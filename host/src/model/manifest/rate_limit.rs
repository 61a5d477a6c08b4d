//! What a provider allows in a time, as the manifest says it.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{Endpoint, ManifestError};

/// The share of a bucket that background work leaves to those who wait, where nothing is said.
const RESERVED: u8 = 20;
/// A month: no provider counts longer.
const LONGEST_WINDOW: u32 = 31 * 24 * 3600;

/// The table `[rate_limit]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Per cent of each bucket that only calls get for which somebody waits.
    #[serde(default = "reserved")]
    pub reserve_percent: u8,
    /// The buckets by name. A request takes from each that covers it.
    pub buckets: BTreeMap<String, RateBucket>,
}

const fn reserved() -> u8 {
    RESERVED
}

/// So many requests in so many seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateBucket {
    /// Requests in one window.
    pub requests: u32,
    /// Length of the window.
    pub seconds: u32,
    /// Who shares it.
    #[serde(default)]
    pub scope: BudgetScope,
    /// The methods that it covers; none: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Beginnings of the URLs that it covers, `{endpoint}/path` or absolute, `*` being any one
    /// segment; none: all.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Headers of answers that tell how it stands.
    pub headers: Option<LimitHeaders>,
}

impl RateBucket {
    /// Length of the window.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }
}

/// Who shares a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// Each connection has its own.
    #[default]
    Connection,
    /// All connections of one account at the provider, in whatever project.
    Account,
    /// All connections of the connector: the provider counts by OAuth app.
    App,
}

impl BudgetScope {
    /// As the manifest spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Account => "account",
            Self::App => "app",
        }
    }
}

/// Names of headers that tell how a bucket stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitHeaders {
    /// How many requests a window has.
    pub limit: Option<String>,
    /// How many are left.
    pub remaining: Option<String>,
    /// When the window ends.
    pub reset: Option<String>,
    /// What the reset's value is.
    #[serde(default)]
    pub reset_form: TimeForm,
}

/// How a provider tells a wait or the end of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    /// Seconds from now, or a date as HTTP or RFC 3339 spell it.
    #[default]
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMilliseconds,
}

impl RateLimits {
    pub(super) fn check(
        mut self,
        endpoints: &BTreeMap<String, Endpoint>,
    ) -> Result<Self, ManifestError> {
        if self.reserve_percent > 90 {
            let key = "rate_limit.reserve_percent";
            let message = "must be from 0 to 90: syncs need something too";
            return Err(ManifestError::value(key, message));
        }
        if self.buckets.is_empty() {
            let message = "has no bucket: add [rate_limit.buckets.<name>], or leave it away";
            return Err(ManifestError::value("rate_limit.buckets", message));
        }
        for (name, bucket) in &mut self.buckets {
            let key = format!("rate_limit.buckets.{name}");
            super::raw::identifier(&key, name)?;
            bucket.check(&key, endpoints)?;
        }
        Ok(self)
    }
}

impl RateBucket {
    fn check(
        &mut self,
        key: &str,
        endpoints: &BTreeMap<String, Endpoint>,
    ) -> Result<(), ManifestError> {
        let wrong = |field: &str, message: String| {
            Err(ManifestError::value(format!("{key}.{field}"), message))
        };
        if self.requests == 0 {
            return wrong("requests", "must be at least 1".to_owned());
        }
        if !(1..=LONGEST_WINDOW).contains(&self.seconds) {
            return wrong("seconds", format!("must be from 1 to {LONGEST_WINDOW}"));
        }
        for method in &self.methods {
            if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
                return wrong("methods", format!("{method:?} is no method, like \"GET\""));
            }
        }
        for url in &self.urls {
            if let Err(message) = check_url(url, endpoints) {
                return wrong("urls", message);
            }
        }
        let Some(headers) = &mut self.headers else {
            return Ok(());
        };
        for (field, name) in [
            ("limit", &mut headers.limit),
            ("remaining", &mut headers.remaining),
            ("reset", &mut headers.reset),
        ] {
            if let Some(name) = name {
                header(&format!("{key}.headers.{field}"), name)?;
            }
        }
        if (&headers.limit, &headers.remaining, &headers.reset) == (&None, &None, &None) {
            return wrong("headers", "name none of limit, remaining, reset".to_owned());
        }
        Ok(())
    }
}

fn check_url(url: &str, endpoints: &BTreeMap<String, Endpoint>) -> Result<(), String> {
    let Some(rest) = url.strip_prefix('{') else {
        return if url::Url::parse(url).is_ok_and(|url| url.has_host()) {
            Ok(())
        } else {
            Err(format!(
                "{url:?} is neither {{endpoint}}/path nor an absolute URL"
            ))
        };
    };
    match rest.split_once('}') {
        Some((name, path)) if endpoints.contains_key(name) => {
            if path.is_empty() || path.starts_with('/') {
                Ok(())
            } else {
                Err(format!("after {{{name}}} a path begins with a slash"))
            }
        }
        Some((name, _)) => Err(format!(
            "there is no endpoint {name:?}: add [endpoints.{name}]"
        )),
        None => Err(format!("{url:?} has a brace without a partner")),
    }
}

/// Checks a header's name and writes it as headers are compared: in lower case.
pub(super) fn header(key: &str, name: &mut String) -> Result<(), ManifestError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || !name.bytes().all(good) {
        let message = format!("{name:?} is no name of a header");
        return Err(ManifestError::value(key, message));
    }
    name.make_ascii_lowercase();
    Ok(())
}
