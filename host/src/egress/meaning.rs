//! What an answer means: by the manifest's rules first, then by its status.

use std::{borrow::Cow, time::Duration};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::{Response, downstream};
use crate::model::{LimitHeaders, Meaning, RetryRule, Said, TimeForm, Timestamp};

/// Larger bodies are records, not errors: no rule looks into them.
const LARGEST_ERROR: usize = 64 * 1024;

/// What an answer means, and how long to wait where it says so.
pub(super) fn read(
    rules: &[RetryRule],
    response: &Response,
    now: Timestamp,
) -> (Option<Meaning>, Option<Duration>) {
    let answer = Answer::new(response, now);
    if let Some(rule) = rules.iter().find(|rule| answer.fits(rule)) {
        let wait = answer.wait(rule).or_else(|| answer.retry_after());
        return (Some(rule.meaning), wait.or_else(|| rule.default_wait()));
    }
    let meaning = match response.status {
        401 => Some(Meaning::TokenExpired),
        429 => Some(Meaning::RateLimited),
        // 501 and 505 stay what they are.
        500 | 502..=504 | 506..=599 => Some(Meaning::Unavailable),
        _ => None,
    };
    let waits = matches!(meaning, Some(Meaning::RateLimited | Meaning::Unavailable));
    let wait = if waits { answer.retry_after() } else { None };
    (meaning, wait)
}

/// What an answer says of a bucket; none where it says nothing.
pub(super) fn said(headers: &LimitHeaders, response: &Response, now: Timestamp) -> Option<Said> {
    let answer = Answer::new(response, now);
    let number =
        |name: &Option<String>| downstream::leading(answer.header(name.as_deref()?)?.as_ref());
    let reset = headers
        .reset
        .as_deref()
        .and_then(|name| answer.header(name));
    let said = Said {
        limit: number(&headers.limit),
        remaining: number(&headers.remaining),
        reset: reset.and_then(|text| answer.time(&text, headers.reset_form)),
    };
    (said != Said::default()).then_some(said)
}

struct Answer<'a> {
    response: &'a Response,
    now: Timestamp,
    /// Parsed when the first rule looks into it.
    body: std::cell::OnceCell<Option<Value>>,
}

impl<'a> Answer<'a> {
    fn new(response: &'a Response, now: Timestamp) -> Self {
        Self {
            response,
            now,
            body: std::cell::OnceCell::new(),
        }
    }

    fn fits(&self, rule: &RetryRule) -> bool {
        if !rule.status.is_empty() && !rule.status.contains(&self.response.status) {
            return false;
        }
        match (&rule.header, &rule.json) {
            (Some(name), _) => self
                .header(name)
                .is_some_and(|text| says(rule, &Value::String(text.into_owned()))),
            (None, Some(pointer)) => self.place(pointer).is_some_and(|value| says(rule, value)),
            (None, None) => true,
        }
    }

    fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.response.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes().trim_ascii()))
    }

    fn place(&self, pointer: &str) -> Option<&Value> {
        let parse = || {
            let body = &self.response.body;
            if body.len() > LARGEST_ERROR {
                return None;
            }
            serde_json::from_slice(body).ok()
        };
        self.body.get_or_init(parse).as_ref()?.pointer(pointer)
    }

    fn wait(&self, rule: &RetryRule) -> Option<Duration> {
        let text = match (&rule.wait_header, &rule.wait_json) {
            (Some(name), _) => self.header(name)?,
            (None, Some(pointer)) => match self.place(pointer)? {
                Value::String(text) => Cow::Owned(text.clone()),
                Value::Number(number) => Cow::Owned(number.to_string()),
                _ => return None,
            },
            (None, None) => return None,
        };
        self.time(&text, rule.wait_form)
    }

    fn retry_after(&self) -> Option<Duration> {
        self.time(&self.header(RETRY_AFTER.as_str())?, TimeForm::Seconds)
    }

    /// The time from now that a text names.
    fn time(&self, text: &str, form: TimeForm) -> Option<Duration> {
        let number = || downstream::leading(text);
        let until = |millis: u64| {
            let point = Timestamp::from_millis(i64::try_from(millis).ok()?);
            Some(point.since(self.provider_now()))
        };
        match form {
            TimeForm::Seconds => match number().filter(|_| !text.contains([':', 'T'])) {
                Some(seconds) => Some(Duration::from_secs(seconds)),
                None => {
                    let point = downstream::seconds(text)
                        .map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)))
                        .or_else(|| Timestamp::parse(text))?;
                    Some(point.since(self.provider_now()))
                }
            },
            TimeForm::Milliseconds => number().map(Duration::from_millis),
            TimeForm::EpochSeconds => until(number()?.saturating_mul(1000)),
            TimeForm::EpochMilliseconds => until(number()?),
        }
    }

    /// The provider's own clock, where it says what time it has: points in time are by that one.
    fn provider_now(&self) -> Timestamp {
        date(&self.response.headers).unwrap_or(self.now)
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let seconds = downstream::seconds(headers.get(DATE)?.to_str().ok()?.trim())?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
}

fn says(rule: &RetryRule, value: &Value) -> bool {
    if let Some(equals) = &rule.equals {
        return equals.values().contains(value);
    }
    let Some(part) = &rule.contains else {
        return !value.is_null();
    };
    let part = part.to_lowercase();
    match value {
        Value::String(text) => text.to_lowercase().contains(&part),
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .any(|text| text.to_lowercase().contains(&part)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::model::Retry;

    const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);

    fn answer(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &'static str,
    ) -> Response {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        Response {
            status,
            headers: headers.collect(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// Rules for the cases that real providers are known for.
    fn rules() -> Vec<RetryRule> {
        let json = serde_json::json!({ "rules": [
            // GitHub: the primary limit, then the secondary one.
            { "status": [403], "header": "x-ratelimit-remaining", "equals": "0", "meaning": "rate_limited",
              "wait_header": "x-ratelimit-reset", "wait_form": "epoch_seconds" },
            { "status": [403], "header": "retry-after", "meaning": "rate_limited" },
            // Google.
            { "status": [403], "json": "/error/errors/0/reason",
              "equals": ["userRateLimitExceeded", "dailyLimitExceeded"], "meaning": "rate_limited", "wait_seconds": 60 },
            // Salesforce answers arrays.
            { "status": [403], "json": "/0/errorCode", "equals": "REQUEST_LIMIT_EXCEEDED", "meaning": "rate_limited",
              "wait_seconds": 3600 },
            // Slack and its like.
            { "status": [200], "json": "/error", "equals": "ratelimited", "meaning": "rate_limited",
              "wait_json": "/retry_after" },
            { "status": [200], "json": "/error", "contains": "TOKEN_EXPIRED", "meaning": "token_expired" },
            { "status": [200], "json": "/error", "contains": "missing_scope", "meaning": "forbidden" },
            { "status": [200], "json": "/errors/0/extensions/code", "equals": "THROTTLED", "meaning": "rate_limited" },
            { "status": [400], "json": "/fault", "equals": 17, "meaning": "unavailable" },
        ]});
        let retry: Retry = serde_json::from_value(json).unwrap();
        retry.rules
    }

    #[test]
    fn limits_hide_in_answers_of_every_status() {
        let limited =
            |seconds: Option<u64>| (Some(Meaning::RateLimited), seconds.map(Duration::from_secs));
        let reset = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "784111837"),
        ];
        let cases = [
            (answer(403, &reset, ""), limited(Some(60))),
            (answer(403, &[("retry-after", "9")], ""), limited(Some(9))),
            (
                answer(
                    403,
                    &[],
                    r#"{"error":{"errors":[{"reason":"dailyLimitExceeded"}]}}"#,
                ),
                limited(Some(60)),
            ),
            (
                answer(403, &[], r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#),
                limited(Some(3600)),
            ),
            (
                answer(
                    200,
                    &[],
                    r#"{"ok":false,"error":"ratelimited","retry_after":1.5}"#,
                ),
                limited(Some(2)),
            ),
            (
                answer(
                    200,
                    &[("retry-after", "4")],
                    r#"{"ok":false,"error":"ratelimited"}"#,
                ),
                limited(Some(4)),
            ),
            (
                answer(
                    200,
                    &[],
                    r#"{"errors":[{"extensions":{"code":"THROTTLED"}}]}"#,
                ),
                limited(None),
            ),
            (
                answer(200, &[], r#"{"error":"token_expired"}"#),
                (Some(Meaning::TokenExpired), None),
            ),
            (
                answer(200, &[], r#"{"error":"missing_scope"}"#),
                (Some(Meaning::Forbidden), None),
            ),
            (
                answer(400, &[], r#"{"fault":17}"#),
                (Some(Meaning::Unavailable), None),
            ),
            (answer(400, &[], r#"{"fault":"17"}"#), (None, None)),
            (
                answer(403, &[("x-ratelimit-remaining", "1")], "{}"),
                (None, None),
            ),
            (answer(403, &[], "<html>"), (None, None)),
            (answer(200, &[], r#"{"error":null}"#), (None, None)),
        ];
        for (response, expected) in cases {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            let read = read(&rules(), &response, NOW);
            assert_eq!(read, expected, "{} {body}", response.status);
        }
        let large = format!(
            r#"{{"error":"ratelimited","x":"{}"}}"#,
            "a".repeat(LARGEST_ERROR)
        );
        let mut response = answer(200, &[], "");
        response.body = large.into();
        assert_eq!(
            read(&rules(), &response, NOW),
            (None, None),
            "records are not searched"
        );
    }

    #[test]
    fn statuses_mean_what_they_say() {
        let meaning = |status| read(&[], &answer(status, &[], ""), NOW).0;
        assert_eq!(meaning(401), Some(Meaning::TokenExpired));
        assert_eq!(meaning(429), Some(Meaning::RateLimited));
        for status in [500, 502, 503, 504, 529] {
            assert_eq!(meaning(status), Some(Meaning::Unavailable), "{status}");
        }
        for status in [200, 204, 302, 400, 403, 404, 409, 412, 422, 501, 505] {
            assert_eq!(meaning(status), None, "{status}");
        }
    }

    #[test]
    fn a_wait_is_told_in_many_ways() {
        let wait = |value: &'static str, date: Option<&'static str>| {
            let mut headers = vec![("retry-after", value)];
            headers.extend(date.map(|date| ("date", date)));
            let wait = read(&[], &answer(429, &headers, ""), NOW).1;
            wait.map(|wait| wait.as_secs())
        };
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait("0.2", None), Some(1));
        // Without a date of the provider's, our own clock has to do.
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:37 GMT", None), Some(60));
        assert_eq!(
            wait(
                "Sun, 06 Nov 1994 08:50:37 GMT",
                Some("Sun, 06 Nov 1994 08:50:07 GMT")
            ),
            Some(30)
        );
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", None), Some(0));
        assert_eq!(wait("1994-11-06T08:49:47Z", None), Some(10));
        assert_eq!(wait("soon", None), None);
    }

    #[test]
    fn headers_tell_how_a_bucket_stands() {
        let headers = |reset_form| LimitHeaders {
            limit: Some("x-max".to_owned()),
            remaining: Some("x-left".to_owned()),
            reset: Some("x-reset".to_owned()),
            reset_form,
        };
        let of = |form, reset: &'static str| {
            let response = answer(
                200,
                &[("x-max", "100"), ("x-left", "7"), ("x-reset", reset)],
                "",
            );
            said(&headers(form), &response, NOW)
        };
        for (form, reset) in [
            (TimeForm::Seconds, "30"),
            (TimeForm::Milliseconds, "30000"),
            (TimeForm::EpochSeconds, "784111807"),
            (TimeForm::EpochMilliseconds, "784111807000"),
            (TimeForm::Seconds, "Sun, 06 Nov 1994 08:50:07 GMT"),
        ] {
            let expected = Said {
                limit: Some(100),
                remaining: Some(7),
                reset: Some(Duration::from_secs(30)),
            };
            assert_eq!(of(form, reset), Some(expected), "{form:?} {reset}");
        }
        assert_eq!(
            said(&headers(TimeForm::Seconds), &answer(200, &[], ""), NOW),
            None
        );
    }
}
