//! Bodies of requests.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse as _,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use url::form_urlencoded;

use super::error::{Code, Error};
use crate::model::Violation;

/// The most bytes of a body.
pub(super) const MAX_BODY: usize = 2 * 1024 * 1024;

/// A JSON body. Besides JSON's own, content types are taken that clients send who say nothing of
/// the body: none, bytes, and command-line tools' form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        check_type(request.headers())?;
        let bytes = read(request, state).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            let detail = "The body is empty, but this request needs a JSON object.";
            return Err(Error::new(Code::InvalidBody, detail));
        }
        parse(&bytes).map(Self)
    }
}

/// A JSON body, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct OptionalJson<T>(pub(super) Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let typed = check_type(request.headers());
        let bytes = read(request, state).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(None));
        }
        typed?;
        parse(&bytes).map(|value| Self(Some(value)))
    }
}

/// The fields of a form, sent as JSON or as a browser sends forms.
#[derive(Clone)]
pub(super) struct Fields(pub(super) BTreeMap<String, String>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        let bytes = read(request, state).await?;
        // Command-line tools call a JSON body a form where nobody tells them otherwise.
        let is_json = bytes.trim_ascii_start().starts_with(b"{");
        if is_form && !is_json {
            return Ok(Self(form_urlencoded::parse(&bytes).into_owned().collect()));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(BTreeMap::new()));
        }
        fields_of(parse(&bytes)?).map(Self)
    }
}

/// A JSON object of texts; numbers and booleans count as their text.
pub(super) fn fields_of(
    object: serde_json::Map<String, Value>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut fields = BTreeMap::new();
    for (key, value) in object {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                let detail = format!("The field {key:?} must be a text.");
                return Err(Error::new(Code::InvalidSetting, detail));
            }
        };
        fields.insert(key, text);
    }
    Ok(fields)
}

/// Whether a body of that content type may be JSON.
fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let kind = text.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let may_be_json = match kind.as_str() {
        "application/json"
        | "application/octet-stream"
        | "application/x-www-form-urlencoded"
        | "" => true,
        other => other.starts_with("application/") && other.ends_with("+json"),
    };
    if may_be_json {
        return Ok(());
    }
    let kind: String = kind.chars().take(80).collect();
    let detail = format!("The header `Content-Type` is {kind:?}, but the body must be JSON.");
    Err(Error::new(Code::UnsupportedMediaType, detail))
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| {
            if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
                let detail = format!("The body has more than {MAX_BODY} bytes.");
                Error::new(Code::BodyTooLarge, detail)
            } else {
                Error::new(Code::InvalidBody, "The body broke off before its end.")
            }
        })
}

/// A JSON object as what a request needs. Structs take a list of their fields too, which no
/// schema allows.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.trim_ascii_start().starts_with(b"[") {
        let list = serde_json::from_slice::<serde::de::IgnoredAny>(bytes);
        list.map_err(|error| unreadable(&error))?;
        return Err(wrong_at(String::new(), "is a list, but must be an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    parsed.map_err(|error| refused(&error)).and_then(|value| {
        let end = deserializer.end();
        end.map(|()| value).map_err(|error| unreadable(&error))
    })
}

fn unreadable(error: &serde_json::Error) -> Error {
    let detail = format!("The body is not JSON: {error}.");
    Error::new(Code::InvalidBody, detail)
}

fn refused(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    if !error.inner().is_data() {
        return unreadable(error.inner());
    }
    let text = error.inner().to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    let mut path = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => path.push_str(&pointer(&index.to_string())),
            Segment::Map { key } => path.push_str(&pointer(key)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    // The path leads to the object; which key it lacks is in the text only.
    if let Some(missing) = message.strip_prefix("missing field `") {
        path.push_str(&pointer(missing.trim_end_matches('`')));
    }
    wrong_at(path, message)
}

/// The body is JSON, but wrong at the place that a JSON Pointer names.
fn wrong_at(path: String, message: impl Into<String>) -> Error {
    let message = message.into();
    let detail = if path.is_empty() {
        format!("The body is not what this request needs: {message}.")
    } else {
        format!("The body is not what this request needs: {path}: {message}.")
    };
    Error::new(Code::ValidationFailed, detail).with_violations(vec![Violation { path, message }])
}

/// A key as a step of a JSON Pointer.
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn forms_come_as_json_or_as_browsers_send_them() {
        let post = |kind: &str, body: &'static str| {
            let request = Request::builder().header(header::CONTENT_TYPE, kind);
            request.body(Body::from(body)).unwrap()
        };
        let form = post("application/x-www-form-urlencoded", "api_key=a%26b&n=1");
        let Fields(form) = Fields::from_request(form, &()).await.unwrap();
        assert_eq!(form["api_key"], "a&b");
        let body = post(
            "application/octet-stream",
            r#"{"api_key":"a&b","n":1,"x":null}"#,
        );
        let Fields(body) = Fields::from_request(body, &()).await.unwrap();
        assert_eq!(form, body);
        let mislabelled = post("application/x-www-form-urlencoded", r#"{"api_key":"k"}"#);
        let Fields(mislabelled) = Fields::from_request(mislabelled, &()).await.unwrap();
        assert_eq!(mislabelled["api_key"], "k");
    }

    #[test]
    fn the_failing_field_is_named() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only refused")]
        struct Inner {
            a: Vec<u8>,
        }
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only refused")]
        struct Outer {
            inner: Inner,
        }
        for (body, path) in [
            (r#"{"inner":{"a":[1,"x"]}}"#, "/inner/a/1"),
            (r#"{"inner":{}}"#, "/inner/a"),
            (r#"{"inner":{"a":[],"b~/c":1}}"#, "/inner/b~0~1c"),
            ("[]", ""),
            (r#"[{"a":[]}]"#, ""),
        ] {
            let error = parse::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!(error.code(), Code::ValidationFailed);
            assert_eq!(error.violations()[0].path, path, "{body}");
        }
        assert_eq!(
            parse::<Value>(b"{} x").unwrap_err().code(),
            Code::InvalidBody
        );
    }

    #[tokio::test]
    async fn bodies_that_are_wrong_are_told_apart() {
        let code = async |body: String| {
            let request = Request::new(Body::from(body));
            let parsed = Json::<serde_json::Map<String, Value>>::from_request(request, &()).await;
            parsed.unwrap_err().code()
        };
        assert_eq!(code("{".into()).await, Code::InvalidBody);
        assert_eq!(code(" ".into()).await, Code::InvalidBody);
        assert_eq!(code("[]".into()).await, Code::ValidationFailed);
        assert_eq!(code(" ".repeat(MAX_BODY + 1)).await, Code::BodyTooLarge);
        let typed = |kind: &str| {
            let request = Request::builder().header(header::CONTENT_TYPE, kind);
            request.body(Body::from("{}")).unwrap()
        };
        for (kind, good) in [
            ("application/json; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("application/octet-stream", true),
            ("text/plain", false),
            ("application/xml", false),
        ] {
            let parsed = Json::<Value>::from_request(typed(kind), &()).await;
            assert_eq!(parsed.is_ok(), good, "{kind}");
        }
        let array = json!({"a": []});
        assert!(fields_of(array.as_object().unwrap().clone()).is_err());
    }
}
