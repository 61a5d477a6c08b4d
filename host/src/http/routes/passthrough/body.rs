//! The body of `POST /passthrough`, as applications and the published clients send it.

use axum::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{
    http::error::{Code, Error},
    model::{Entropy, Violation},
    unify::{Format, PassthroughRequest},
};

/// A request in the provider's own form. Empty objects and arrays count as not sent, for
/// published clients cannot leave them away.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PassthroughRequest", deny_unknown_fields)]
pub(super) struct Body {
    /// The method.
    method: Verb,
    /// Beneath the connector's endpoint (`/v1/people?sort=name`), beneath one of its other
    /// endpoints (`{name}/path`), or a whole URL.
    #[schemars(extend("examples" = ["/v1/people"]))]
    path: String,
    /// The body. For `JSON` any value; for `FORM` an object of texts; for `MULTIPART` an array of
    /// `{name, data, encoding?, file_name?, content_type?}` with `encoding` `text` or `base64`;
    /// for `BINARY` a text in base64, or `{"base64": "…"}`.
    #[serde(default)]
    data: Value,
    /// How `data` is encoded.
    #[serde(default, deserialize_with = "choice")]
    #[schemars(schema_with = "format_schema")]
    request_format: Option<String>,
    /// Takes the place of the connector's endpoint; still only where the connector may go.
    #[serde(default, rename = "overrideBaseUrl", deserialize_with = "choice")]
    #[schemars(schema_with = "base_schema")]
    override_base_url: Option<String>,
    /// Headers. The credentials of the connection are added by the server.
    #[serde(default, deserialize_with = "texts")]
    #[schemars(schema_with = "texts_schema")]
    headers: Vec<(String, String)>,
    /// Parameters of the query, besides those in `path`.
    #[serde(default, deserialize_with = "texts")]
    #[schemars(schema_with = "texts_schema")]
    query: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "PassthroughMethod")]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Head,
    Options,
}

impl Body {
    /// The request with its body encoded.
    pub(super) fn encode(self, entropy: &dyn Entropy) -> Result<PassthroughRequest, Error> {
        let writes = matches!(self.method, Verb::Post | Verb::Put | Verb::Patch);
        let format = match self.request_format.as_deref() {
            None => Format::default(),
            Some(name) => Format::parse(name).ok_or_else(|| {
                wrong("/request_format", "must be JSON, FORM, MULTIPART or BINARY")
            })?,
        };
        let mut headers = self.headers;
        let mut body = None;
        if !(self.data.is_null() || (is_empty(&self.data) && !writes)) {
            let content = format.encode(&self.data, entropy).map_err(invalid)?;
            let typed = headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            if typed && format == Format::Multipart {
                let message = "is set by the server for MULTIPART, since it names the boundary";
                return Err(wrong("/headers/content-type", message));
            }
            if !typed {
                headers.push(("content-type".to_owned(), content.content_type));
            }
            body = Some(content.bytes);
        }
        Ok(PassthroughRequest {
            method: self.method.method().to_string(),
            path: self.path,
            base_url: self.override_base_url,
            query: self.query,
            headers,
            body,
        })
    }
}

impl Verb {
    const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
            Self::Head => Method::HEAD,
            Self::Options => Method::OPTIONS,
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A text; what is empty counts as not sent.
fn choice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        other if is_empty(&other) => Ok(None),
        other => Err(D::Error::custom(format!("{other} is no text"))),
    }
}

/// Texts by name; several of one name as an array.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let object: Map<String, Value> = match Value::deserialize(deserializer)? {
        Value::Object(object) => object,
        other if is_empty(&other) => return Ok(Vec::new()),
        other => return Err(D::Error::custom(format!("{other} is no object of texts"))),
    };
    let mut texts = Vec::new();
    for (name, value) in object {
        let several = match value {
            Value::Array(items) => items,
            one => vec![one],
        };
        for value in several {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => {
                    return Err(D::Error::custom(format!("{name} is no text")));
                }
            };
            texts.push((name.clone(), text));
        }
    }
    Ok(texts)
}

fn format_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "enum": ["JSON", "FORM", "MULTIPART", "BINARY", "", null] },
        { "type": "object", "maxProperties": 0 },
        { "type": "array", "maxItems": 0 },
    ] })
}

fn base_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": ["string", "null"] },
        { "type": "object", "maxProperties": 0 },
        { "type": "array", "maxItems": 0 },
    ] })
}

fn texts_schema(_: &mut SchemaGenerator) -> Schema {
    let text = ["string", "number", "boolean", "null"];
    json_schema!({ "anyOf": [
        { "type": "object", "additionalProperties": { "anyOf": [
            { "type": text },
            { "type": "array", "items": { "type": text } },
        ] } },
        { "type": "array", "maxItems": 0 },
        { "enum": ["", null] },
    ] })
}

fn wrong(path: &str, message: &str) -> Error {
    invalid(Violation {
        path: path.to_owned(),
        message: message.to_owned(),
    })
}

fn invalid(violation: Violation) -> Error {
    let detail = format!("The request is not valid: {violation}.");
    Error::new(Code::ValidationFailed, detail).with_violations(vec![violation])
}
