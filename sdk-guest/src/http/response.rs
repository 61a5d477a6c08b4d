//! What came back, and what its status means.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Failure, page, time};

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// Method and address without the query, for messages.
    pub(super) request: String,
}

impl Response {
    /// The body as JSON. Read a [`Raw`](crate::Raw) to keep a document's own text beside what is read from it.
    ///
    /// # Errors
    /// `unexpected` where it does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::Unexpected(format!(
                "{} answered {} with a body that makes no sense: {error}",
                self.request, self.status
            ))
        })
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The address of the link with this relation in the `Link` headers (RFC 8288), for example `next`.
    pub fn link(&self, relation: &str) -> Option<&str> {
        self.headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("link"))
            .find_map(|(_, value)| link(value, relation))
    }

    /// The query of the `next` link: the cursor for [`Request::raw_query`](crate::http::Request::raw_query).
    pub fn next_query(&self) -> Option<String> {
        page::query_of(self.link("next")?)
    }

    /// Seconds to wait, as `Retry-After` says.
    pub fn retry_after(&self) -> Option<u32> {
        let value = self.header("retry-after")?.trim();
        value.parse().ok().or_else(|| {
            let millis = u64::try_from(time::parse_http_date(value)? - time::now()).unwrap_or(0);
            u32::try_from(millis.div_ceil(1000)).ok()
        })
    }

    /// Whether the status is 200–299.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// What the status means: 401 `unauthorized` · 403 `forbidden` · 404, 410 `not-found` · 409, 412 `conflict` ·
    /// 400, 422 `invalid` · 429 `rate-limited` · 408, 425, 5xx `unavailable` · anything else `unexpected`.
    pub fn failure(&self) -> Failure {
        let text = format!("{} answered {}{}", self.request, self.status, self.reason());
        match self.status {
            401 => Failure::Unauthorized(text),
            403 => Failure::Forbidden(text),
            404 | 410 => Failure::NotFound(text),
            409 | 412 => Failure::Conflict(text),
            400 | 422 => Failure::invalid(text),
            429 => Failure::RateLimited(self.retry_after()),
            408 | 425 | 500..=599 => Failure::Unavailable(text),
            _ => Failure::Unexpected(text),
        }
    }

    /// What the provider says about an error, cut to a sensible length; empty where it says nothing readable.
    fn reason(&self) -> String {
        const LONGEST: usize = 300;
        let text = match serde_json::from_slice::<Value>(&self.body) {
            Ok(answer) => sentence(&answer).map_or_else(|| answer.to_string(), str::to_owned),
            // A page for people says nothing that fits into a line.
            Err(_) if self.body.trim_ascii_start().starts_with(b"<") => String::new(),
            Err(_) => self.text(),
        };
        match text.trim() {
            "" => String::new(),
            text => format!(": {}", text.chars().take(LONGEST).collect::<String>()),
        }
    }
}

/// The sentence in the shapes of error that most providers use.
fn sentence(answer: &Value) -> Option<&str> {
    [
        "message",
        "error_description",
        "detail",
        "description",
        "error",
        "errors",
        "errorMessages",
        "title",
    ]
    .iter()
    .find_map(|key| match answer.get(key)? {
        Value::String(text) => Some(text.as_str()),
        Value::Array(items) => items
            .first()
            .and_then(|item| item.as_str().or_else(|| sentence(item))),
        inner @ Value::Object(_) => sentence(inner),
        _ => None,
    })
    .filter(|text| !text.is_empty())
}

/// The target of the first link with the relation. A comma inside `<…>` or quotes does not end a link.
fn link<'a>(header: &'a str, relation: &str) -> Option<&'a str> {
    let mut rest = header;
    loop {
        let (_, opened) = rest.split_once('<')?;
        let (target, after) = opened.split_once('>')?;
        let mut quoted = false;
        let end = after.find(|letter| {
            quoted ^= letter == '"';
            letter == ',' && !quoted
        });
        let (parameters, next) = end.map_or((after, ""), |at| after.split_at(at));
        let matches = parameters
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .any(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split_ascii_whitespace()
                        .any(|word| word.eq_ignore_ascii_case(relation))
            });
        if matches {
            return Some(target);
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::Response;
    use crate::Failure;
    use crate::testing::Playback;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        Response {
            status,
            headers,
            body: body.into(),
            request: "GET {api}/people".into(),
        }
    }

    #[test]
    fn statuses_become_failures() {
        let check = |status, body: &str, expected: Failure| {
            assert_eq!(response(status, &[], body).failure(), expected);
        };
        let text = |words: &str| format!("GET {{api}}/people answered {words}");
        check(401, "", Failure::Unauthorized(text("401")));
        check(
            403,
            r#"{"message":"no scope"}"#,
            Failure::Forbidden(text("403: no scope")),
        );
        check(404, "<html>", Failure::NotFound(text("404")));
        check(409, "taken", Failure::Conflict(text("409: taken")));
        check(
            422,
            r#"{"errors":[{"message":"name is missing"}]}"#,
            Failure::invalid(text("422: name is missing")),
        );
        check(
            400,
            r#"{"errorMessages":["bad"]}"#,
            Failure::invalid(text("400: bad")),
        );
        check(429, "", Failure::RateLimited(None));
        check(
            503,
            r#"{"error":{"message":"later"}}"#,
            Failure::Unavailable(text("503: later")),
        );
        check(302, "", Failure::Unexpected(text("302")));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(
            response(429, &[("retry-after", "7")], "").failure(),
            Failure::RateLimited(Some(7))
        );
        let date = response(429, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], "");
        let waiting = Playback::empty()
            .at("2015-10-21T07:27:30Z")
            .run(|| date.retry_after());
        assert_eq!(waiting, Some(30));
    }

    #[test]
    fn links_are_found_by_relation() {
        let header = r#"<https://a.example/x?page=1&q=a,b>; rel="prev"; title="a, b", <https://a.example/x?page=3>; rel=next"#;
        let response = response(200, &[("link", header)], "");
        assert_eq!(response.link("next"), Some("https://a.example/x?page=3"));
        assert_eq!(
            response.link("prev"),
            Some("https://a.example/x?page=1&q=a,b")
        );
        assert_eq!(response.link("last"), None);
        assert_eq!(response.next_query(), Some("page=3".into()));
    }
}
