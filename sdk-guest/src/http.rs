//! Requests to the provider.
//!
//! ```
//! # use jackfield_sdk::{Failure, http};
//! # #[derive(serde::Deserialize)] struct People { results: Vec<String> }
//! # fn people() -> Result<People, Failure> {
//! let people: People = http::get("{api}/v1/people").query("page", 2).send()?.json()?;
//! # Ok(people)
//! # }
//! ```
//!
//! An address is `{name}` of an endpoint of the manifest followed by a path, or absolute. Requests carry the
//! connection's credentials unless they are [anonymous](Request::anonymous). A status outside 200–299 becomes a
//! [`Failure`] unless it is [accepted](Request::accept).

mod response;

use std::fmt::Display;

use serde::Serialize;

use crate::bindings::jackfield::connector::http as wit;
use crate::{Failure, host};

pub use crate::bindings::jackfield::connector::http::Part;
pub use response::Response;

/// A `GET` request.
pub fn get(url: &str) -> Request {
    Request::new("GET", url)
}

/// A `POST` request.
pub fn post(url: &str) -> Request {
    Request::new("POST", url)
}

/// A `PUT` request.
pub fn put(url: &str) -> Request {
    Request::new("PUT", url)
}

/// A `PATCH` request.
pub fn patch(url: &str) -> Request {
    Request::new("PATCH", url)
}

/// A `DELETE` request.
pub fn delete(url: &str) -> Request {
    Request::new("DELETE", url)
}

/// A request in the making.
#[derive(Clone, Debug)]
#[must_use = "a request is only sent by `send`"]
pub struct Request {
    wire: wit::Request,
    accepted: Vec<u16>,
    /// A body that could not be serialised; told by `send`, so that building needs no `?`.
    broken: Option<String>,
}

impl Request {
    /// A request with any method.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            wire: wit::Request {
                method: method.to_owned(),
                url: url.to_owned(),
                headers: Vec::new(),
                body: None,
                authenticated: true,
            },
            accepted: Vec::new(),
            broken: None,
        }
    }

    /// Adds a segment to the path, escaped: `get("{api}/people").path(id)`. Comes before any query.
    pub fn path(mut self, segment: impl Display) -> Self {
        self.wire.url.push('/');
        escape(&segment.to_string(), &mut self.wire.url);
        self
    }

    /// Adds a parameter to the query, escaped.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        self.begin_parameter();
        escape(name, &mut self.wire.url);
        self.wire.url.push('=');
        escape(&value.to_string(), &mut self.wire.url);
        self
    }

    /// Adds a parameter to the query where there is a value.
    pub fn query_opt(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a query as it is, without escaping; see [`query_of`](crate::page::query_of).
    pub fn raw_query(mut self, query: &str) -> Self {
        self.begin_parameter();
        self.wire.url.push_str(query);
        self
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: impl Into<String>) -> Self {
        self.header_parts(name, vec![Part::Text(value.into())])
    }

    /// Adds a header put together from text and names of secrets, in whose place the host puts the values.
    pub fn header_parts(mut self, name: &str, value: Vec<Part>) -> Self {
        self.wire.headers.push(wit::Header {
            name: name.to_owned(),
            value,
        });
        self
    }

    /// Sends the value as JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body("application/json", bytes),
            Err(error) => Self {
                broken: Some(error.to_string()),
                ..self
            },
        }
    }

    /// Sends pairs as a form.
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let mut body = String::new();
        for (name, value) in pairs {
            if !body.is_empty() {
                body.push('&');
            }
            escape(name, &mut body);
            body.push('=');
            escape(value, &mut body);
        }
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Sends the body as it is.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.wire.body = Some(body.into());
        self.header("content-type", content_type)
    }

    /// Sends the request without the connection's credentials.
    pub fn anonymous(mut self) -> Self {
        self.wire.authenticated = false;
        self
    }

    /// Gives these statuses to the caller instead of making them failures.
    pub fn accept(mut self, statuses: &[u16]) -> Self {
        self.accepted.extend_from_slice(statuses);
        self
    }

    /// Sends the request and waits for the whole answer.
    ///
    /// # Errors
    /// As [`Response::failure`] says for the status; `unavailable` where nothing came back; `rate-limited` where
    /// the host's own budget for the provider is used up; `unexpected` where the host refused the request.
    pub fn send(self) -> Result<Response, Failure> {
        if let Some(reason) = self.broken {
            return Err(Failure::Unexpected(format!(
                "the body cannot be written as JSON: {reason}"
            )));
        }
        let wit::Response {
            status,
            headers,
            body,
        } = host::send(&self.wire)?;
        // The query may hold search words and addresses, which have no place in a message.
        let path = self.wire.url.split('?').next().unwrap_or_default();
        let response = Response {
            status,
            headers,
            body,
            request: format!("{} {path}", self.wire.method),
        };
        if response.is_success() || self.accepted.contains(&status) {
            Ok(response)
        } else {
            Err(response.failure())
        }
    }

    fn begin_parameter(&mut self) {
        let url = &mut self.wire.url;
        if !url.contains('?') {
            url.push('?');
        } else if !url.ends_with(['?', '&']) {
            url.push('&');
        }
    }
}

/// Adds the text with everything escaped that is not unreserved in RFC 3986.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::get;

    #[test]
    fn addresses_are_escaped() {
        let request = get("{api}/people")
            .path("a/b ü")
            .query("q", "x&y=1")
            .query_opt("none", None::<u8>)
            .raw_query("a=1");
        assert_eq!(
            request.wire.url,
            "{api}/people/a%2Fb%20%C3%BC?q=x%26y%3D1&a=1"
        );
    }
}
