//! Records as they are at the provider, and ways through their pages.
//!
//! A provider's own cursor needs no help: send `request.cursor`, answer the next one. For the other ways there are
//! [`Offset`], [`PageNumber`] and, for `Link` headers and "next" addresses, [`query_of`]. Every cursor is plain
//! text that outlives the instance that made it.

use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Failure, FetchRequest};

/// One record at the provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemoteRecord {
    /// The provider's id. Numbers become text.
    pub remote_id: String,
    /// When it changed last, RFC 3339; see [`time`](crate::time).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<String>,
    /// The token by which the provider notices a write on an old state, for example an `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The provider's own document, a JSON object; kept by the host as `remote_data`. None where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

impl RemoteRecord {
    /// A record with the document as the provider sent it, from a [`Raw`](crate::Raw).
    pub fn new(remote_id: impl Display, document: Box<RawValue>) -> Self {
        Self::with(remote_id, Some(document))
    }

    /// A record with a document that the connector put together.
    ///
    /// # Errors
    /// `unexpected` where serde cannot write it.
    pub fn composed(remote_id: impl Display, document: &impl Serialize) -> Result<Self, Failure> {
        let data = serde_json::value::to_raw_value(document).map_err(Failure::unexpected)?;
        Ok(Self::with(remote_id, Some(data)))
    }

    /// A record that is gone: what a delete answers.
    pub fn deleted(remote_id: impl Display) -> Self {
        Self {
            deleted: true,
            ..Self::with(remote_id, None)
        }
    }

    fn with(remote_id: impl Display, data: Option<Box<RawValue>>) -> Self {
        Self {
            remote_id: remote_id.to_string(),
            modified_at: None,
            version: None,
            deleted: false,
            data,
        }
    }

    /// Sets when it changed last: RFC 3339 text or none.
    #[must_use]
    pub fn modified_at(mut self, time: impl Into<Option<String>>) -> Self {
        self.modified_at = time.into();
        self
    }

    /// Sets the version token.
    #[must_use]
    pub fn version(mut self, version: impl Into<Option<String>>) -> Self {
        self.version = version.into();
        self
    }

    /// Marks it as gone or not, for providers that list deleted records.
    #[must_use]
    pub fn gone(mut self, deleted: bool) -> Self {
        self.deleted = deleted;
        self
    }
}

/// One page of records.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<RemoteRecord>,
    /// Where the next page begins; none on the last one.
    pub next_cursor: Option<String>,
    /// How many records there are on all pages, where the provider says so.
    pub total: Option<u64>,
}

impl Page {
    /// A page with these records, the last one unless [`Page::next`] says otherwise.
    pub fn new(records: impl IntoIterator<Item = RemoteRecord>) -> Self {
        Self {
            records: records.into_iter().collect(),
            next_cursor: None,
            total: None,
        }
    }

    /// The page of a single record, for `request.remote_id`.
    pub fn one(record: RemoteRecord) -> Self {
        Self::new([record])
    }

    /// Sets where the next page begins.
    #[must_use]
    pub fn next(mut self, cursor: Option<String>) -> Self {
        self.next_cursor = cursor.filter(|cursor| !cursor.is_empty());
        self
    }

    /// Says how many records there are on all pages, where the provider tells.
    #[must_use]
    pub fn total(mut self, records: impl Into<Option<u64>>) -> Self {
        self.total = records.into();
        self
    }
}

/// Paging by "skip so many, take so many". The cursor is the number to skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// How many records to skip.
    pub offset: u64,
    /// How many to take.
    pub limit: u32,
}

impl Offset {
    /// What the request asks for, with at most as many records as the provider allows in a page.
    ///
    /// # Errors
    /// `invalid` where the cursor is not one of ours.
    pub fn of(request: &FetchRequest, most: u32) -> Result<Self, Failure> {
        Ok(Self {
            offset: number(request)?.unwrap_or(0),
            limit: request.limit.clamp(1, most),
        })
    }

    /// The next cursor after so many records, of so many in total where the provider tells. Without a total, a
    /// full page means that there may be more.
    pub fn next(self, received: usize, total: Option<u64>) -> Option<String> {
        let reached = self.offset + received as u64;
        let more = match total {
            Some(total) => received > 0 && reached < total,
            None => received as u64 >= u64::from(self.limit),
        };
        more.then(|| reached.to_string())
    }
}

/// Paging by page number, starting with 1. The cursor is the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageNumber {
    /// The page to ask for.
    pub number: u64,
    /// How many records to ask for.
    pub size: u32,
}

impl PageNumber {
    /// What the request asks for, with at most as many records as the provider allows in a page.
    ///
    /// # Errors
    /// `invalid` where the cursor is not one of ours.
    pub fn of(request: &FetchRequest, most: u32) -> Result<Self, Failure> {
        Ok(Self {
            number: number(request)?.unwrap_or(1),
            size: request.limit.clamp(1, most),
        })
    }

    /// The next cursor, where there is more.
    pub fn next(self, more: bool) -> Option<String> {
        more.then(|| (self.number + 1).to_string())
    }

    /// The next cursor after so many records: a full page means that there may be more.
    pub fn next_after(self, received: usize) -> Option<String> {
        self.next(received as u64 >= u64::from(self.size))
    }
}

/// The query of a "next" address, which is the cursor for
/// [`Request::raw_query`](crate::http::Request::raw_query).
///
/// Only the query is kept: the path stays the connector's own, so a provider cannot send it elsewhere, and an
/// endpoint that the operator redirected stays redirected.
pub fn query_of(address: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    (!query.is_empty()).then(|| query.to_owned())
}

fn number(request: &FetchRequest) -> Result<Option<u64>, Failure> {
    let Some(cursor) = &request.cursor else {
        return Ok(None);
    };
    cursor
        .parse()
        .map(Some)
        .map_err(|_| Failure::invalid(format!("{cursor:?} is not a cursor of this connector")))
}

#[cfg(test)]
mod tests {
    use super::{Offset, PageNumber, query_of};
    use crate::testing;

    #[test]
    fn offsets_end_with_the_total_or_a_short_page() {
        let first = Offset::of(&testing::fetch("crm.contact"), 20).unwrap();
        assert_eq!((first.offset, first.limit), (0, 20));
        assert_eq!(first.next(20, Some(21)), Some("20".into()));
        assert_eq!(first.next(20, Some(20)), None);
        assert_eq!(first.next(0, Some(20)), None, "an empty page must not loop");
        assert_eq!(first.next(20, None), Some("20".into()));
        assert_eq!(first.next(19, None), None);
    }

    #[test]
    fn page_numbers_count_from_one() {
        let request = testing::fetch("crm.contact");
        assert_eq!(
            PageNumber::of(&request, 50).unwrap().next_after(50),
            Some("2".into())
        );
        let strange = crate::FetchRequest {
            cursor: Some("x".into()),
            ..request
        };
        assert!(PageNumber::of(&strange, 50).is_err());
    }

    #[test]
    fn only_the_query_of_a_next_address_is_kept() {
        assert_eq!(
            query_of("https://other.example/people?page=2&x=%20#top"),
            Some("page=2&x=%20".into())
        );
        assert_eq!(query_of("https://other.example/people"), None);
    }
}
