//! Bodies of requests.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
    response::IntoResponse as _,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded;

use super::error::{Code, Error};

/// The most bytes of a body.
pub(super) const MAX_BODY: usize = 2 * 1024 * 1024;

/// A JSON body. The content type is not looked at: generated clients send odd ones, and no
/// route takes anything else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
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
        let bytes = read(request, state).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(None));
        }
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

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() {
            Code::ValidationFailed
        } else {
            Code::InvalidBody
        };
        Error::new(
            code,
            format!("The body is not what this request needs: {error}."),
        )
    })
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
        let array = json!({"a": []});
        assert!(fields_of(array.as_object().unwrap().clone()).is_err());
    }
}
