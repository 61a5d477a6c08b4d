//! Parameters of the query. Values that make no sense are errors that name the parameter;
//! parameters that nobody knows are left alone.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use url::form_urlencoded;

use super::error::{Code, Error};
use crate::model::{Cursor, DEFAULT_LIMIT, MAX_LIMIT, PageRequest, Timestamp};

/// The parameters of a request, decoded.
#[derive(Clone, Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Like [`Self::get`], for a parameter that has to be there.
    pub(super) fn require(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| {
            let detail = format!("The parameter `{name}` is missing.");
            Error::new(Code::InvalidParameter, detail)
        })
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.get(name) {
            None | Some("false" | "0" | "False") => Ok(false),
            Some("true" | "1" | "True") => Ok(true),
            Some(other) => Err(invalid(name, other, "true or false")),
        }
    }

    /// A whole number from 1. Generated clients send `50.0` for 50.
    pub(super) fn count(&self, name: &str, default: u32) -> Result<u32, Error> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let whole = match text.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
            _ => text,
        };
        match whole.parse::<u64>() {
            Ok(0) | Err(_) => Err(invalid(name, text, "a whole number from 1")),
            Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        }
    }

    /// The parameters of a list. A limit above the highest counts as the highest.
    pub(super) fn page(&self) -> Result<PageRequest, Error> {
        let cursor = self.get("cursor").map(Cursor::decode).transpose();
        let cursor = cursor.map_err(|error| {
            let detail = format!("The parameter `cursor` is not valid: {error}.");
            Error::new(Code::InvalidParameter, detail)
        })?;
        let modified_after = self.get("modified_after").map(|text| {
            // An offset's plus that was not escaped arrives as a space.
            Timestamp::parse(&text.replace(' ', "+")).ok_or_else(|| {
                let expected = "a time with an offset such as 2026-01-31T08:00:00Z";
                invalid("modified_after", text, expected)
            })
        });
        Ok(PageRequest {
            cursor,
            limit: self.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT),
            modified_after: modified_after.transpose()?,
            include_deleted: self.flag("include_deleted")?,
            remote_data: self.flag("remote_data")?,
        })
    }
}

fn invalid(name: &str, value: &str, expected: &str) -> Error {
    let value: String = value.chars().take(80).collect();
    let detail = format!("The parameter `{name}` is {value:?}, but must be {expected}.");
    Error::new(Code::InvalidParameter, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RecordId;

    #[test]
    fn lists_take_what_generated_clients_send() {
        let page = Query::parse("limit=50.0&remote_data=true&cursor=")
            .page()
            .unwrap();
        assert_eq!((page.limit, page.remote_data), (50, true));
        assert!(page.cursor.is_none() && !page.include_deleted);
        assert_eq!(Query::parse("").page().unwrap().limit, DEFAULT_LIMIT);
        let cursor = Cursor {
            backward: false,
            modified_at: Timestamp::from_millis(5),
            id: RecordId::derive(1, 1, "1"),
        };
        let query = format!("cursor={}&unknown=1&limit=100000", cursor.encode());
        let page = Query::parse(&query).page().unwrap();
        assert_eq!((page.cursor, page.limit), (Some(cursor), MAX_LIMIT));
        let page = Query::parse("modified_after=2026-01-02T03:04:05+01:00").page();
        assert_eq!(
            page.unwrap().modified_after,
            Timestamp::parse("2026-01-02T02:04:05Z")
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (query, name) in [
            ("limit=0", "`limit`"),
            ("limit=-1", "`limit`"),
            ("limit=1.5", "`limit`"),
            ("limit=nan", "`limit`"),
            ("limit=.0", "`limit`"),
            ("cursor=abc", "`cursor`"),
            ("modified_after=yesterday", "`modified_after`"),
            ("remote_data=maybe", "`remote_data`"),
        ] {
            let error = Query::parse(query).page().unwrap_err();
            assert_eq!(error.code(), Code::InvalidParameter);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
