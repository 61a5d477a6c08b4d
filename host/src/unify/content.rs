//! Bodies of passed-through requests, encoded as the provider wants them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::Value;
use url::form_urlencoded;

use crate::model::{Entropy, Violation};

/// How a body is to be encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As JSON.
    #[default]
    Json,
    /// As a browser sends a form without files.
    Form,
    /// As a browser sends a form with files.
    Multipart,
    /// The bytes as they are.
    Binary,
}

/// A body with its content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The content type that describes it.
    pub content_type: String,
    /// The body.
    pub bytes: Bytes,
}

impl Format {
    /// By its name in requests.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "JSON" => Self::Json,
            "FORM" => Self::Form,
            "MULTIPART" => Self::Multipart,
            "BINARY" => Self::Binary,
            _ => return None,
        })
    }

    /// Encodes `data`.
    ///
    /// # Errors
    /// What in it cannot be encoded so, with its path.
    pub fn encode(self, data: &Value, entropy: &dyn Entropy) -> Result<Content, Violation> {
        let (content_type, bytes) = match self {
            Self::Json => ("application/json".to_owned(), data.to_string().into()),
            Self::Form => {
                let kind = "application/x-www-form-urlencoded".to_owned();
                (kind, form(data)?.into())
            }
            Self::Multipart => {
                let mut random = [0; 18];
                entropy.fill(&mut random);
                let boundary = base64::engine::general_purpose::URL_SAFE.encode(random);
                let kind = format!("multipart/form-data; boundary={boundary}");
                (kind, multipart(data, &boundary)?)
            }
            Self::Binary => {
                let inside = data.get("base64").unwrap_or(data);
                let kind = "application/octet-stream".to_owned();
                (kind, decoded(inside, "/data")?)
            }
        };
        Ok(Content {
            content_type,
            bytes: bytes.into(),
        })
    }
}

fn form(data: &Value) -> Result<String, Violation> {
    let Value::Object(fields) = data else {
        return Err(wrong("/data", "must be an object of texts for FORM"));
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        let several = std::slice::from_ref(value);
        for value in value.as_array().map_or(several, Vec::as_slice) {
            if value.is_null() {
                continue;
            }
            let path = format!("/data/{}", escaped(name));
            form.append_pair(name, &text(value, &path)?);
        }
    }
    Ok(form.finish())
}

/// `[{name, data, encoding?, file_name?, content_type?}]`. The content is in the request itself:
/// nothing here is the name of a file on this machine.
fn multipart(data: &Value, boundary: &str) -> Result<Vec<u8>, Violation> {
    let Value::Array(parts) = data else {
        let message =
            "must be an array of {name, data, encoding?, file_name?, content_type?} for MULTIPART";
        return Err(wrong("/data", message));
    };
    let mut body = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let path = |key: &str| format!("/data/{number}/{key}");
        let optional = |key: &str| match part.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(wrong(&path(key), "must be a text")),
        };
        let name = optional("name")?.ok_or_else(|| wrong(&path("name"), "is missing"))?;
        let content = part
            .get("data")
            .ok_or_else(|| wrong(&path("data"), "is missing"))?;
        let content = match optional("encoding")? {
            None | Some("text" | "utf8" | "utf-8" | "") => {
                text(content, &path("data"))?.into_bytes()
            }
            Some("base64") => decoded(content, &path("data"))?,
            Some(_) => return Err(wrong(&path("encoding"), "must be text or base64")),
        };
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            quoted(name)
        );
        let file_name = optional("file_name")?;
        if let Some(file_name) = file_name {
            head.push_str("; filename=\"");
            head.push_str(&quoted(file_name));
            head.push('"');
        }
        let usual = file_name.map(|_| "application/octet-stream");
        if let Some(kind) = optional("content_type")?.or(usual) {
            if !kind.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
                return Err(wrong(&path("content_type"), "is no content type"));
            }
            head.push_str("\r\nContent-Type: ");
            head.push_str(kind);
        }
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(body)
}

/// The text of a text, a number or a boolean.
fn text(value: &Value, path: &str) -> Result<String, Violation> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(wrong(path, "must be a text, a number or a boolean"))
        }
    }
}

fn decoded(value: &Value, path: &str) -> Result<Vec<u8>, Violation> {
    let text = value.as_str().map(str::trim);
    text.and_then(|text| STANDARD.decode(text).ok())
        .ok_or_else(|| wrong(path, "must be base64 (RFC 4648, with padding)"))
}

/// As browsers put names between quotes (WHATWG HTML, multipart form data).
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn wrong(path: &str, message: &str) -> Violation {
    Violation {
        path: path.to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn encode(format: Format, data: &Value) -> Result<String, String> {
        let content = format.encode(data, &Zeros);
        let content = content.map_err(|violation| violation.path)?;
        Ok(String::from_utf8(content.bytes.to_vec()).unwrap())
    }

    #[test]
    fn forms_repeat_what_is_several() {
        let data = json!({ "a": "x y", "b": [1, true], "c": null });
        assert_eq!(encode(Format::Form, &data).unwrap(), "a=x+y&b=1&b=true");
        let nested = json!({ "a/b": { "c": 1 } });
        assert_eq!(encode(Format::Form, &nested).unwrap_err(), "/data/a~1b");
    }

    #[test]
    fn parts_cannot_break_out_of_their_place() {
        let data = json!([
            { "name": "a\"\r\nX: y", "data": "text" },
            { "name": "f", "data": "AAH/", "encoding": "base64", "file_name": "x.bin" },
        ]);
        let content = Format::Multipart.encode(&data, &Zeros).unwrap();
        let text = String::from_utf8_lossy(&content.bytes);
        assert!(text.contains("name=\"a%22%0D%0AX: y\"\r\n\r\ntext\r\n--"));
        assert!(
            content
                .bytes
                .windows(4)
                .any(|four| four == [0, 1, 0xff, b'\r']),
            "{text}"
        );
        assert!(text.contains("filename=\"x.bin\"\r\nContent-Type: application/octet-stream"));
        for (data, path) in [
            (json!({}), "/data"),
            (json!([{ "data": "x" }]), "/data/0/name"),
            (json!([{ "name": "x" }]), "/data/0/data"),
            (
                json!([{ "name": "x", "data": "?", "encoding": "base64" }]),
                "/data/0/data",
            ),
            (
                json!([{ "name": "x", "data": "", "encoding": "hex" }]),
                "/data/0/encoding",
            ),
            (
                json!([{ "name": "x", "data": "", "content_type": "a\r\nb" }]),
                "/data/0/content_type",
            ),
        ] {
            assert_eq!(encode(Format::Multipart, &data).unwrap_err(), path);
        }
    }
}
