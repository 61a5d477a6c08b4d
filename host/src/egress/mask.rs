//! What must not be seen again: secrets in what the other side answers.
//!
//! An answer may repeat what it was sent: echo services, error pages, debug headers. Whoever reads
//! an answer after this (a connector, the log, the API, a log of attempts) sees [`MASK`] in place
//! of every secret, in whatever usual way it is spelled.

use std::{borrow::Cow, cmp::Reverse};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem::Finder;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde_json::Value;

use super::{Flow, Response};

/// What stands in the place of a secret.
pub const MASK: &str = "[redacted]";
/// Shorter texts occur everywhere by chance; masking them would destroy what is around them.
pub const SHORTEST_MASKED: usize = 8;

/// Texts that must not be seen, in every spelling that is looked for.
///
/// They are: as it is, percent-encoded (and as in a form), in base64 (alone or within something
/// longer, both alphabets), in hexadecimal, and with the escapes of JSON.
#[derive(Default)]
pub struct Masks {
    /// The longest first: a secret within another must not leave the rest of the longer behind.
    spellings: Vec<Zeroizing<Vec<u8>>>,
}

impl Masks {
    /// Of these secrets; those shorter than [`SHORTEST_MASKED`] bytes are left out.
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut masks = Self::default();
        for secret in secrets {
            masks.add(secret.expose_secret());
        }
        masks
    }

    /// One more.
    pub fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST_MASKED {
            return;
        }
        for spelling in spellings(secret) {
            if !self.spellings.contains(&spelling) {
                self.spellings.push(spelling);
            }
        }
        self.spellings.sort_by_key(|known| Reverse(known.len()));
    }

    /// The text with [`MASK`] in place of every secret.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => text.to_owned(),
            // A spelling is whole characters, but so might be a half of something else.
            Cow::Owned(masked) => String::from_utf8_lossy(&masked).into_owned(),
        }
    }

    /// The same for bytes.
    #[must_use]
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut masked = Cow::Borrowed(bytes);
        for finder in self.finders() {
            if let Some(replaced) = replaced(&masked, &finder) {
                masked = Cow::Owned(replaced);
            }
        }
        masked
    }

    /// The same for a whole answer: headers and body. A length that is no longer right goes.
    pub fn response(&self, response: &mut Response) {
        if self.spellings.is_empty() {
            return;
        }
        self.headers(&mut response.headers);
        let body = self.body(&response.body);
        if let Cow::Owned(masked) = body {
            response.body = masked.into();
            response.headers.remove(CONTENT_LENGTH);
        }
    }

    /// The same for headers. One with a secret for a name is left out.
    pub fn headers(&self, headers: &mut HeaderMap) {
        let names = headers.keys().filter(|name| self.names(name.as_str()));
        for name in names.cloned().collect::<Vec<_>>() {
            headers.remove(name);
        }
        for value in headers.values_mut() {
            if let Cow::Owned(masked) = self.bytes(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&masked)
                    .unwrap_or_else(|_| HeaderValue::from_static(MASK));
            }
        }
    }

    /// The same for a body that flows; each secret is overwritten in its length, so that the
    /// body's length stays what was announced.
    #[must_use]
    pub fn flow(&self, flow: Flow) -> Flow {
        flow.masked(self.finders().map(Finder::into_owned).collect())
    }

    pub(super) fn body<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let masked = self.bytes(body);
        // Any character can be written as an escape in JSON; few servers do it, so it is looked
        // into only where there are such escapes.
        if Finder::new(r"\u00").find(&masked).is_some()
            && let Ok(mut value) = serde_json::from_slice(&masked)
            && self.json(&mut value)
        {
            return Cow::Owned(value.to_string().into_bytes());
        }
        masked
    }

    /// Whether something in it was masked.
    fn json(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.bytes(text.as_bytes()) {
                Cow::Borrowed(_) => false,
                Cow::Owned(masked) => {
                    *text = String::from_utf8_lossy(&masked).into_owned();
                    true
                }
            },
            Value::Array(items) => items
                .iter_mut()
                .fold(false, |any, item| self.json(item) | any),
            Value::Object(object) => {
                let mut any = false;
                for (name, mut item) in std::mem::take(object) {
                    any |= self.json(&mut item);
                    let masked = self.text(&name);
                    any |= masked != name;
                    object.insert(masked, item);
                }
                any
            }
            Value::Number(_) | Value::Null | Value::Bool(_) => false,
        }
    }

    /// Whether a header's name, which is in small letters, has a secret in it.
    fn names(&self, name: &str) -> bool {
        self.spellings.iter().any(|spelling| {
            Finder::new(&spelling.to_ascii_lowercase())
                .find(name.as_bytes())
                .is_some()
        })
    }

    fn finders(&self) -> impl Iterator<Item = Finder<'_>> {
        self.spellings
            .iter()
            .map(|spelling| Finder::new(spelling.as_slice()))
    }
}

/// The bytes with the mask in place of what is found; none where there is nothing.
fn replaced(bytes: &[u8], finder: &Finder<'_>) -> Option<Vec<u8>> {
    let mut found = finder.find_iter(bytes).peekable();
    found.peek()?;
    let (mut out, mut from) = (Vec::with_capacity(bytes.len()), 0);
    for start in found {
        let end = start + finder.needle().len();
        let (before, after) = (bytes.get(from..start)?, bytes.get(end..)?);
        out.extend_from_slice(before);
        let digits = finder.needle().iter().all(u8::is_ascii_digit);
        let beside = [
            start.checked_sub(1).and_then(|last| bytes.get(last)),
            after.first(),
        ];
        if digits && beside.into_iter().flatten().any(u8::is_ascii_digit) {
            // It is another number, of which the secret happens to be a part.
            out.extend_from_slice(finder.needle());
            from = end;
            continue;
        }
        // A number in JSON becomes a text, or the whole could not be read any more.
        let is_number = digits
            && matches!(before.trim_ascii_end().last(), Some(b':' | b',' | b'['))
            && matches!(after.trim_ascii_start().first(), Some(b',' | b'}' | b']'));
        if is_number {
            out.extend([b"\"", MASK.as_bytes(), b"\""].concat());
        } else {
            out.extend_from_slice(MASK.as_bytes());
        }
        from = end;
    }
    out.extend_from_slice(bytes.get(from..)?);
    Some(out)
}

fn spellings(secret: &str) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let bytes = secret.as_bytes();
    let form: String = url::form_urlencoded::byte_serialize(bytes).collect();
    let percent = form.replace('+', "%20").replace("%7E", "~");
    let json = Value::from(secret).to_string();
    let json = json
        .get(1..json.len().saturating_sub(1))
        .unwrap_or_default();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![
        secret.to_owned(),
        small_escapes(&form),
        small_escapes(&percent),
        form,
        percent,
        json.replace('/', "\\/"),
        json.to_owned(),
        hex.to_uppercase(),
        hex,
    ];
    for text in in_base64(bytes) {
        all.push(text.replace('+', "-").replace('/', "_"));
        all.push(text);
    }
    all.into_iter()
        .map(|text| Zeroizing::new(text.into_bytes()))
}

/// `%2F` as `%2f`.
fn small_escapes(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (escape, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        out.extend(["%", &escape.to_ascii_lowercase(), rest]);
    }
    out
}

/// In base64: alone, and what is the same of it whatever stands before and after it, at each of
/// the three places where it can begin within a group of three bytes.
fn in_base64(bytes: &[u8]) -> impl Iterator<Item = String> {
    let alone = STANDARD.encode(bytes);
    let bare = alone.trim_end_matches('=').to_owned();
    let within = (0..3_usize).filter_map(|before| {
        let text = STANDARD.encode([&vec![0; before], bytes].concat());
        // Whole characters of the secret's own bits only.
        let from = (before * 8).div_ceil(6);
        let to = (before + bytes.len()) * 8 / 6;
        text.get(from..to).map(str::to_owned)
    });
    [alone, bare].into_iter().chain(within.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "canary/key+1 ü&2";

    fn masks() -> Masks {
        Masks::of(&[SECRET.into()])
    }

    #[test]
    fn every_usual_spelling_is_masked() {
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        for answer in [
            SECRET,
            "canary%2Fkey%2B1+%C3%BC%262",
            "canary%2fkey%2b1%20%c3%bc%262",
            &hex.to_uppercase(),
            &hex,
            r"canary\/key+1 ü&2",
            &STANDARD.encode(SECRET),
            STANDARD.encode(SECRET).trim_end_matches('='),
            &STANDARD.encode(SECRET).replace('+', "-").replace('/', "_"),
        ] {
            let masked = masks().text(&format!("before {answer} after"));
            assert_eq!(masked, "before [redacted] after", "{answer}");
        }
        // Within something longer, what is next to it shares a character with it: at most four
        // bits at each end stay.
        for (before, after) in [("", ":b"), ("a:", ""), ("ab:", ":b"), ("abc:", "c")] {
            let answer = STANDARD.encode(format!("{before}{SECRET}{after}"));
            let masked = masks().text(&answer);
            let (front, back) = masked
                .split_once(MASK)
                .unwrap_or_else(|| panic!("{answer}"));
            let own = (before.len() * 8).div_ceil(6) + (after.len() * 8).div_ceil(6) + 2;
            assert!(
                front.len() + back.trim_end_matches('=').len() <= own,
                "{masked}"
            );
        }
    }

    #[test]
    fn a_whole_answer_is_masked_and_stays_readable() {
        let mut masks = masks();
        masks.add("12345678");
        masks.add("x-canary-name");
        let body = r#"{"a":"\u0063anary/key+1 \u00fc\u00262","n":12345678,"m":[1,12345678],"long":123456789}"#;
        let mut response = Response {
            status: 200,
            headers: HeaderMap::new(),
            body: body.into(),
        };
        response
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        response
            .headers
            .insert("x-echo", HeaderValue::from_static("Key 12345678"));
        response
            .headers
            .insert("x-canary-name", HeaderValue::from_static("1"));
        response
            .headers
            .insert("x-plain", HeaderValue::from_static("plain"));
        masks.response(&mut response);
        let read: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(
            read,
            serde_json::json!({ "a": MASK, "n": MASK, "m": [1, MASK], "long": read["long"] })
        );
        assert_eq!(response.headers.len(), 2);
        assert_eq!(response.headers["x-plain"], "plain");
        assert_eq!(response.headers["x-echo"], "Key [redacted]");
    }

    #[test]
    fn short_texts_are_left_alone() {
        let masks = Masks::of(&["1234567".into(), "12345678".into()]);
        assert_eq!(masks.text("1234567 12345678"), "1234567 [redacted]");
        let mut none = Response {
            status: 200,
            headers: HeaderMap::new(),
            body: "as it was".into(),
        };
        masks.response(&mut none);
        assert_eq!(&none.body[..], b"as it was");
    }
}
