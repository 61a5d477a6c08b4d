//! What a provider sends by itself: an optional power of a connector.
//!
//! ```
//! use jackfield_sdk::webhooks::{Incoming, Notice, Receipt, Rejection, Signature, Webhooks};
//! use jackfield_sdk::models::crm::Contact;
//! # struct Example;
//!
//! impl Webhooks for Example {
//!     fn receive(request: &Incoming) -> Result<Receipt, Rejection> {
//!         Signature::hex(request.header("x-example-signature"))?
//!             .fresh(request, request.header("x-example-time"), 300)?
//!             .verify("webhook_secret", &request.body)?;
//!         let event: Event = request.json()?;
//!         Ok(Receipt::of([Notice::new(Contact::KIND).record(event.person).at_account(event.account)]))
//!     }
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Event { person: u64, account: u64 }
//! ```

use std::fmt::Display;

use serde::de::DeserializeOwned;

pub use crate::bindings::webhooks::exports::jackfield::connector::webhooks::{
    Change, Incoming, Notice, Receipt, Rejection, Reply,
};
use crate::secrets;

/// A connector that understands what its provider sends.
///
/// `receive` may use [`crate::secrets`], [`crate::log`] and [`crate::time::now`], and
/// sends no requests: the host reads each record anew afterwards. The manifest has `[webhooks]`, and the export is
/// `export_connector!(Example, manifest = "connector.toml", webhooks)`.
pub trait Webhooks {
    /// Verifies a request and tells what it says.
    fn receive(request: &Incoming) -> Result<Receipt, Rejection>;
}

impl Incoming {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(same)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as a type.
    ///
    /// # Errors
    /// `malformed` where it does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        serde_json::from_slice(&self.body).map_err(|error| Rejection::Malformed(error.to_string()))
    }
}

impl Notice {
    /// Something happened to records of an object.
    pub fn new(object: &str) -> Self {
        Self {
            account: None,
            object: object.to_owned(),
            remote_id: None,
            change: Change::Unknown,
            record: None,
        }
    }

    /// To this record.
    #[must_use]
    pub fn record(mut self, remote_id: impl Display) -> Self {
        self.remote_id = Some(remote_id.to_string());
        self
    }

    /// In the account with this id of the provider.
    #[must_use]
    pub fn at_account(mut self, account: impl Display) -> Self {
        self.account = Some(account.to_string());
        self
    }

    /// What happened to it.
    #[must_use]
    pub const fn change(mut self, change: Change) -> Self {
        self.change = change;
        self
    }
}

impl Receipt {
    /// A genuine request with these notices, answered 204.
    pub fn of(notices: impl IntoIterator<Item = Notice>) -> Self {
        Self {
            notices: notices.into_iter().collect(),
            answer: None,
        }
    }

    /// A request that only wants an answer, such as a challenge.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self {
            notices: Vec::new(),
            answer: Some(Reply {
                status,
                headers,
                body: body.into(),
            }),
        }
    }
}

/// A signature as the provider sent it, decoded.
#[derive(Clone, Debug)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Of hexadecimal digits, as `sha256=…` too.
    ///
    /// # Errors
    /// `forged` where there is none or it is no such text.
    pub fn hex(text: Option<&str>) -> Result<Self, Rejection> {
        let text = text.ok_or_else(|| forged("the signature is missing"))?;
        let digits = text.strip_prefix("sha256=").unwrap_or(text).as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pair = |pair: &[u8]| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
        bytes
            .map(Self)
            .ok_or_else(|| forged("the signature is not hexadecimal"))
    }

    /// Of base64, with or without padding, of either alphabet.
    ///
    /// # Errors
    /// `forged` where there is none or it is no such text.
    pub fn base64(text: Option<&str>) -> Result<Self, Rejection> {
        let text = text.ok_or_else(|| forged("the signature is missing"))?;
        decode_base64(text.trim_end_matches('='))
            .map(Self)
            .ok_or_else(|| forged("the signature is not base64"))
    }

    /// Refuses a request whose time is more than `tolerance` seconds from its arrival. The time is a number of
    /// seconds or milliseconds since 1970, or RFC 3339; it must be part of what is signed.
    ///
    /// # Errors
    /// `forged` where it is missing, no time, or too far away.
    pub fn fresh(
        self,
        request: &Incoming,
        time: Option<&str>,
        tolerance: u64,
    ) -> Result<Self, Rejection> {
        let time = time.ok_or_else(|| forged("the time is missing"))?;
        let millis = match time.parse::<u64>() {
            // Seconds have ten digits until the year 2286.
            Ok(seconds) if time.len() <= 10 => seconds.saturating_mul(1000),
            Ok(millis) => millis,
            Err(_) => crate::time::parse(time)
                .and_then(|millis| u64::try_from(millis).ok())
                .ok_or_else(|| forged("the time is none"))?,
        };
        if millis.abs_diff(request.received_at) > tolerance.saturating_mul(1000) {
            return Err(forged("the request is too old"));
        }
        Ok(self)
    }

    /// Compares with the HMAC-SHA-256 of the data under a named secret, in constant time.
    ///
    /// # Errors
    /// `forged` where they differ, or there is no such secret.
    pub fn verify(self, secret: &str, data: &[u8]) -> Result<(), Rejection> {
        let expected = secrets::hmac_sha256(secret, data)
            .map_err(|error| forged(format!("it cannot be verified: {}", error.message())))?;
        if same(&expected, &self.0) {
            Ok(())
        } else {
            Err(forged("the signature is wrong"))
        }
    }
}

fn forged(why: impl Into<String>) -> Rejection {
    Rejection::Forged(why.into())
}

/// Takes as long for every pair of one length.
fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let differences = left.iter().zip(right);
    std::hint::black_box(differences.fold(0, |all, (left, right)| all | (left ^ right))) == 0
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Rejection, Signature};
    use crate::testing::{self, Playback};

    #[test]
    fn signatures_of_both_spellings_are_compared() {
        let playback = Playback::empty().secrets(&["webhook_secret"]);
        let genuine = playback
            .run(|| crate::secrets::hmac_sha256("webhook_secret", b"body"))
            .unwrap();
        let hex: String = genuine.iter().map(|byte| format!("{byte:02X}")).collect();
        let verify = |hex: &str, body: &[u8]| {
            playback.run(|| Signature::hex(Some(hex))?.verify("webhook_secret", body))
        };
        assert_eq!(verify(&hex, b"body"), Ok(()));
        assert_eq!(verify(&format!("sha256={hex}"), b"body"), Ok(()));
        for (wrong, body) in [
            (hex.as_str(), &b"other"[..]),
            (hex.get(2..).unwrap_or_default(), b"body"),
            ("zz", b"body"),
            ("abc", b"body"),
        ] {
            assert!(
                matches!(verify(wrong, body), Err(Rejection::Forged(_))),
                "{wrong}"
            );
        }
        assert!(matches!(Signature::hex(None), Err(Rejection::Forged(_))));
        let decode = |text| Signature::base64(Some(text)).map(|signature| signature.0);
        assert_eq!(decode("aGk/Pg=="), Ok(b"hi?>".to_vec()));
        assert_eq!(decode("aGk_Pg"), Ok(b"hi?>".to_vec()));
        assert!(decode("a*").is_err());
    }

    #[test]
    fn old_requests_are_refused_whatever_way_time_is_written() {
        let request = testing::incoming("2026-01-01T00:05:00Z", &[], b"");
        let fresh = |time: &str| {
            Signature(Vec::new())
                .fresh(&request, Some(time), 300)
                .is_ok()
        };
        for good in [
            "2026-01-01T00:00:00Z",
            "1767225600",
            "1767225600000",
            "2026-01-01T00:10:00Z",
        ] {
            assert!(fresh(good), "{good}");
        }
        for bad in [
            "2025-12-31T23:59:59Z",
            "1767225599",
            "2026-01-01T00:10:01Z",
            "now",
            "",
        ] {
            assert!(!fresh(bad), "{bad}");
        }
    }
}
