//! What a provider says about its own limits.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// A shared cell that an interactive call hands in and reads afterwards: what the provider said
/// about its limits in the last answer that said anything.
#[derive(Clone, Default, Debug)]
pub struct Downstream(Arc<Mutex<Option<DownstreamLimits>>>);

/// A provider's own limits.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct DownstreamLimits {
    /// Requests that may be sent in one window.
    pub limit: Option<u64>,
    /// Requests that are left of it.
    pub remaining: Option<u64>,
    /// Seconds until the window ends, or until the provider wants to hear from us again.
    pub reset_seconds: Option<u64>,
}

impl Downstream {
    /// Reads the headers of an answer. Where they say nothing about limits, what was known stays.
    pub fn note(&self, headers: &HeaderMap) {
        if let Some(limits) = DownstreamLimits::read(headers) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(limits);
        }
    }

    /// What is known.
    #[must_use]
    pub fn limits(&self) -> Option<DownstreamLimits> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The families of headers, the draft standard first. Each has `limit`, `remaining` and `reset`.
const FAMILIES: [&str; 4] = [
    "ratelimit-",
    "x-ratelimit-",
    "x-rate-limit-",
    "x-hubspot-ratelimit-",
];
/// Larger numbers are points in time (seconds since 1970), not spans; a window of ten years is
/// nobody's.
const LONGEST_SPAN: u64 = 10 * 365 * 24 * 3600;

impl DownstreamLimits {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        // `100, 100;w=60` and `100;w=60` begin with the number that counts now.
        let number = |name: &str| leading(text(name)?);
        let of = |key: &str| {
            FAMILIES
                .iter()
                .find_map(|family| number(&format!("{family}{key}")))
        };
        // HubSpot counts windows of ten seconds and days, and calls the short one by its length.
        let limit = of("limit").or_else(|| of("max"));
        let mut reset = of("reset")
            .and_then(|reset| span(reset, text("date")))
            .or_else(|| {
                let milliseconds = of("interval-milliseconds")?;
                Some(milliseconds.div_ceil(1000))
            });
        if let Some(wait) = text(RETRY_AFTER.as_str()) {
            reset = retry_after(wait, text("date")).or(reset);
        }
        // The newer draft has one header for all: `"default";r=50;t=30`.
        let (mut remaining, mut policy_limit) = (of("remaining"), None);
        if let Some(combined) = text("ratelimit") {
            remaining = remaining
                .or_else(|| parameter(combined, "r"))
                .or_else(|| parameter(combined, "remaining"));
            reset = reset
                .or_else(|| parameter(combined, "t"))
                .or_else(|| parameter(combined, "reset"));
            policy_limit = parameter(combined, "limit");
        }
        if let Some(policy) = text("ratelimit-policy") {
            policy_limit = policy_limit.or_else(|| parameter(policy, "q"));
        }
        let limits = Self {
            limit: limit.or(policy_limit),
            remaining,
            reset_seconds: reset,
        };
        (limits != Self::default()).then_some(limits)
    }
}

/// The seconds in a `Retry-After`: a number or a date.
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>) -> Option<u64> {
    let value = value.trim();
    if let Some(seconds) = leading(value) {
        return Some(seconds);
    }
    // The provider's own clock, where it says what time it has, is the one the date was made by.
    let wait = seconds(value)?.saturating_sub(seconds(date?.trim())?);
    Some(u64::try_from(wait).unwrap_or(0))
}

/// The seconds since 1970 of a date in a header.
pub(super) fn seconds(date: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(zoned.timestamp().as_second())
}

/// A reset is a span in seconds with some, a point in time with others.
fn span(reset: u64, date: Option<&str>) -> Option<u64> {
    if reset < LONGEST_SPAN {
        return Some(reset);
    }
    // Some count milliseconds.
    let point = if reset > 100 * LONGEST_SPAN {
        reset / 1000
    } else {
        reset
    };
    let now = u64::try_from(seconds(date?)?).ok()?;
    Some(point.saturating_sub(now))
}

/// The number a text begins with; a fraction is rounded up.
pub(super) fn leading(text: &str) -> Option<u64> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let number: u64 = digits.parse().ok()?;
    match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|digit: char| ('1'..='9').contains(&digit)) => {
            number.checked_add(1)
        }
        _ => Some(number),
    }
}

/// `r` in `"default";r=50;t=30`, or `remaining` in `limit=100, remaining=50, reset=5`.
fn parameter(text: &str, name: &str) -> Option<u64> {
    text.split([';', ',']).find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| leading(value.trim()))?
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn limits(headers: &[(&'static str, &'static str)]) -> Option<DownstreamLimits> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let downstream = Downstream::default();
        downstream.note(&headers);
        downstream.limits()
    }

    fn of(limit: u64, remaining: u64, reset: u64) -> DownstreamLimits {
        DownstreamLimits {
            limit: Some(limit),
            remaining: Some(remaining),
            reset_seconds: Some(reset),
        }
    }

    #[test]
    fn every_spelling_is_understood() {
        for family in FAMILIES {
            let headers = [("limit", "100;w=60"), ("remaining", "7"), ("reset", "30")];
            let headers = headers
                .iter()
                .map(|(key, value)| {
                    let name = format!("{family}{key}");
                    (
                        HeaderName::from_bytes(name.as_bytes()).unwrap(),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            assert_eq!(
                DownstreamLimits::read(&headers),
                Some(of(100, 7, 30)),
                "{family}"
            );
        }
        let draft = [
            ("ratelimit-policy", "\"default\";q=100;w=60"),
            ("ratelimit", "\"default\";r=50;t=30"),
        ];
        assert_eq!(limits(&draft), Some(of(100, 50, 30)));
        let older = [("ratelimit", "limit=100, remaining=50, reset=5")];
        assert_eq!(limits(&older), Some(of(100, 50, 5)));
        let hubspot = [
            ("x-hubspot-ratelimit-max", "100"),
            ("x-hubspot-ratelimit-remaining", "98"),
            ("x-hubspot-ratelimit-interval-milliseconds", "10000"),
        ];
        assert_eq!(limits(&hubspot), Some(of(100, 98, 10)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let point = [
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "4999"),
            ("x-ratelimit-reset", "784111817"),
            ("date", date),
        ];
        assert_eq!(limits(&point), Some(of(5000, 4999, 40)));
    }

    #[test]
    fn retry_after_says_when_to_come_again() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(retry_after("120", None), Some(120));
        assert_eq!(retry_after("0.5", None), Some(1));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", date), Some(60));
        assert_eq!(retry_after("soon", date), None);
        let reset = limits(&[("retry-after", "9"), ("ratelimit-reset", "30")]).unwrap();
        assert_eq!(reset.reset_seconds, Some(9));
    }

    #[test]
    fn an_answer_that_says_nothing_changes_nothing() {
        assert_eq!(limits(&[("content-type", "text/plain")]), None);
        let downstream = Downstream::default();
        downstream.note(&HeaderMap::from_iter([(
            HeaderName::from_static("ratelimit-remaining"),
            HeaderValue::from_static("3"),
        )]));
        downstream.note(&HeaderMap::new());
        assert_eq!(downstream.limits().unwrap().remaining, Some(3));
    }
}
