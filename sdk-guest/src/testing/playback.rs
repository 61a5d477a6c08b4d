//! A host that knows the provider's answers from fixtures.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;

use serde_json::{Value, json};

use super::fixture::{self, Exchange};
use crate::bindings::jackfield::connector::{http, log, secrets};
use crate::{host, time};

/// Stands in for the host and the provider while a connector's function runs.
///
/// ```no_run
/// # use jackfield_sdk::{Account, Connection, Connector, Failure, testing::{self, Playback}};
/// # struct Example;
/// # impl Connector for Example {
/// #     fn authenticate(_: &Connection) -> Result<Vec<Account>, Failure> { Ok(vec![]) }
/// # }
/// let page = Playback::file("fixtures/people.json")
///     .run(|| Example::fetch_records(&testing::connection(&[]), &testing::fetch("crm.contact")));
/// assert_eq!(page.unwrap().records.len(), 2);
/// ```
#[derive(Debug)]
pub struct Playback(Rc<State>);

#[derive(Debug)]
struct State {
    exchanges: RefCell<Vec<Exchange>>,
    /// Whether every exchange must be asked for.
    complete: bool,
    now: Cell<u64>,
    secrets: RefCell<Vec<String>>,
    logs: RefCell<Vec<String>>,
}

impl Playback {
    /// Plays one fixture. A request that it does not know fails the test, and so does an exchange that is left
    /// over. The path is relative to the crate's folder.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::with(fixture::read(path.as_ref()).exchanges, true)
    }

    /// Plays all fixtures of a folder, each exchange once. A request that they do not know fails the test; what
    /// is left over does not matter.
    pub fn from_dir(folder: impl AsRef<Path>) -> Self {
        let fixtures = fixture::read_all(folder.as_ref());
        Self::with(
            fixtures
                .into_iter()
                .flat_map(|(_, fixture)| fixture.exchanges)
                .collect(),
            false,
        )
    }

    /// Plays exchanges in the form of `exchanges` of a fixture; each must be asked for.
    pub fn of(exchanges: Value) -> Self {
        Self::with(
            serde_json::from_value(exchanges).expect("exchanges have the form that fixtures have"),
            true,
        )
    }

    /// Knows no answer: every request fails the test.
    pub fn empty() -> Self {
        Self::with(Vec::new(), true)
    }

    fn with(exchanges: Vec<Exchange>, complete: bool) -> Self {
        let state = State {
            exchanges: RefCell::new(exchanges),
            complete,
            now: Cell::new(0),
            secrets: RefCell::default(),
            logs: RefCell::default(),
        };
        Self(Rc::new(state)).at("2026-01-01T00:00:00Z")
    }

    /// Sets the clock, RFC 3339. It stands still, at the beginning of 2026 by default.
    #[must_use]
    pub fn at(self, now: &str) -> Self {
        let millis = time::parse(now).and_then(|millis| u64::try_from(millis).ok());
        self.0
            .now
            .set(millis.expect("the clock is set to RFC 3339 after 1970"));
        self
    }

    /// Sets the secrets that may be used. Their HMAC and JWS are readable stand-ins that name the secret.
    #[must_use]
    pub fn secrets(self, names: &[&str]) -> Self {
        self.0
            .secrets
            .replace(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Runs the function against the fixtures.
    ///
    /// # Panics
    /// Where a request is not expected, or one is missing.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let result = host::with_backend(Rc::<State>::clone(&self.0), work);
        let left: Vec<String> = self.0.exchanges.borrow().iter().map(describe).collect();
        assert!(
            !self.0.complete || left.is_empty(),
            "requests were expected and not sent:\n{}",
            left.join("\n")
        );
        result
    }

    /// The lines that were logged, as `level: text`.
    pub fn logs(&self) -> Vec<String> {
        self.0.logs.borrow().clone()
    }
}

impl host::Backend for State {
    fn send(&self, request: &http::Request) -> Result<http::Response, http::HttpError> {
        let mut exchanges = self.exchanges.borrow_mut();
        let Some(index) = exchanges
            .iter()
            .position(|exchange| fits(&exchange.request, request))
        else {
            let body = request
                .body
                .as_deref()
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            let known: Vec<String> = exchanges.iter().map(describe).collect();
            panic!(
                "no fixture for this request:\n{} {} {:?} {body}\nthe fixtures expect:\n{}",
                request.method,
                request.url,
                request.headers,
                known.join("\n")
            );
        };
        let response = exchanges.remove(index).response;
        Ok(http::Response {
            status: response.status,
            headers: response
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_lowercase(), value))
                .collect(),
            body: match response.body {
                Value::Null => Vec::new(),
                Value::String(text) => text.into_bytes(),
                body => body.to_string().into_bytes(),
            },
        })
    }

    fn write_log(&self, level: log::Level, text: &str) {
        let level = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        self.logs.borrow_mut().push(format!("{level}: {text}"));
    }

    fn now(&self) -> u64 {
        self.now.get()
    }

    fn secret_names(&self) -> Vec<String> {
        self.secrets.borrow().clone()
    }

    fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Result<Vec<u8>, secrets::SecretError> {
        self.known(secret)?;
        Ok(format!("hmac-sha256 {secret} {}", String::from_utf8_lossy(data)).into_bytes())
    }

    fn sign_jwt(
        &self,
        secret: &str,
        algorithm: &str,
        claims: &str,
    ) -> Result<String, secrets::SecretError> {
        self.known(secret)?;
        Ok(format!("jwt {algorithm} {secret} {claims}"))
    }
}

impl State {
    fn known(&self, secret: &str) -> Result<(), secrets::SecretError> {
        let known = self.secrets.borrow().iter().any(|name| name == secret);
        known.then_some(()).ok_or(secrets::SecretError::Missing)
    }
}

fn describe(exchange: &Exchange) -> String {
    let fixture::Request {
        method,
        url,
        headers,
        body,
    } = &exchange.request;
    let body = body.as_ref().map(Value::to_string).unwrap_or_default();
    format!("{method} {url} {} {body}", json!(headers))
        .trim_end()
        .to_owned()
}

fn fits(expected: &fixture::Request, sent: &http::Request) -> bool {
    let bytes = sent.body.as_deref();
    let body_fits = match &expected.body {
        None => true,
        Some(Value::String(text)) => bytes == Some(text.as_bytes()),
        Some(body) => bytes.is_some_and(|bytes| {
            serde_json::from_slice::<Value>(bytes).is_ok_and(|sent| sent == *body)
        }),
    };
    let headers_fit = expected.headers.iter().all(|(name, value)| {
        sent.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case(name) && spelled(&header.value) == *value
        })
    });
    expected.method == sent.method && expected.url == sent.url && body_fits && headers_fit
}

/// A header as fixtures write it: a secret is its name in braces.
fn spelled(parts: &[http::Part]) -> String {
    let spell = |part: &http::Part| match part {
        http::Part::Text(text) => text.clone(),
        http::Part::Secret(name) => format!("{{{name}}}"),
    };
    parts.iter().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Playback;
    use crate::http::{Part, get, post};
    use crate::{Failure, log, secrets, time};

    #[test]
    fn exchanges_are_matched_by_all_that_they_say() {
        let playback = Playback::of(json!([
            {
                "request": { "method": "POST", "url": "{api}/people", "headers": { "x-key": "Token {api_key}" }, "body": { "b": 1, "a": 2 } },
                "response": { "status": 201, "headers": { "ETag": "7" }, "body": { "id": 1 } }
            },
            { "request": { "method": "GET", "url": "{api}/people/1" }, "response": { "status": 404 } }
        ]));
        playback.run(|| {
            let created = post("{api}/people")
                .header_parts(
                    "X-Key",
                    vec![Part::Text("Token ".into()), Part::Secret("api_key".into())],
                )
                .json(&json!({ "a": 2, "b": 1 }))
                .send()
                .unwrap();
            assert_eq!(
                (created.header("etag"), created.json::<Value>().unwrap()),
                (Some("7"), json!({ "id": 1 }))
            );
            assert!(matches!(
                get("{api}/people").path(1).send(),
                Err(Failure::NotFound(_))
            ));
        });
    }

    #[test]
    #[should_panic(expected = "no fixture for this request:\nGET {api}/other")]
    fn an_unknown_request_fails_the_test() {
        Playback::empty().run(|| get("{api}/other").send()).unwrap();
    }

    #[test]
    #[should_panic(expected = "requests were expected and not sent:\nGET {api}/people")]
    fn a_missing_request_fails_the_test() {
        Playback::of(
            json!([{ "request": { "method": "GET", "url": "{api}/people" }, "response": {} }]),
        )
        .run(|| ());
    }

    #[test]
    fn accepted_statuses_are_answers() {
        let playback = Playback::of(json!([
            { "request": { "method": "GET", "url": "{api}/x" }, "response": { "status": 304 } }
        ]));
        assert_eq!(
            playback
                .run(|| get("{api}/x").accept(&[304]).send())
                .unwrap()
                .status,
            304
        );
    }

    #[test]
    fn clock_secrets_and_log_are_there() {
        let playback = Playback::empty()
            .at("2026-03-02T09:00:00Z")
            .secrets(&["key"]);
        playback.run(|| {
            assert_eq!(
                time::from_millis(time::now()).as_deref(),
                Some("2026-03-02T09:00:00.000Z")
            );
            assert_eq!(secrets::names(), ["key"]);
            assert_eq!(
                secrets::sign_jwt("key", "HS256", &json!({ "iss": "x" })).unwrap(),
                r#"jwt HS256 key {"iss":"x"}"#
            );
            assert!(matches!(
                secrets::hmac_sha256("other", b""),
                Err(Failure::Unauthorized(_))
            ));
            log::warn("slow");
        });
        assert_eq!(playback.logs(), ["warn: slow"]);
    }
}
