//! Pages of records and the cursors between them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Filters, RecordId, Timestamp};

/// Records on a page where the caller names no number.
pub const DEFAULT_LIMIT: u32 = 50;
/// The most records on a page.
pub const MAX_LIMIT: u32 = 200;

/// A place between two records in the order (modified, id).
///
/// Opaque to callers: base64 (URL alphabet, no padding) of a byte for the direction, eight of the
/// time and sixteen of the id. It names a place, not a record: it stays good when the record at
/// that place is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Towards older records, that is to the page before.
    pub backward: bool,
    /// Modification time of the record beside the place.
    pub modified_at: Timestamp,
    /// Its id.
    pub id: RecordId,
}

/// A text that is no cursor of ours.
#[derive(Debug, thiserror::Error)]
#[error("this is not a cursor that this server gave out; leave it away to start at the first page")]
pub struct CursorError;

impl Cursor {
    /// The text for the caller.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(25);
        bytes.push(u8::from(self.backward));
        bytes.extend_from_slice(&self.modified_at.as_millis().to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// The text is not one that `encode` makes.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let (direction, rest) = bytes.split_first().ok_or(CursorError)?;
        let (time, id) = rest.split_at_checked(8).ok_or(CursorError)?;
        let time: [u8; 8] = time.try_into().map_err(|_| CursorError)?;
        Ok(Self {
            backward: match direction {
                0 => false,
                1 => true,
                _ => return Err(CursorError),
            },
            modified_at: Timestamp::from_millis(i64::from_be_bytes(time)),
            id: RecordId::from_bytes(id).ok_or(CursorError)?,
        })
    }
}

/// Which page of a list.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// From where; the first page where there is none.
    pub cursor: Option<Cursor>,
    /// At most this many records, from 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// Only records modified after this moment.
    pub modified_after: Option<Timestamp>,
    /// Only records that we saw first after this moment.
    pub created_after: Option<Timestamp>,
    /// Only records with these values. The index does not know them: rows are read one after the
    /// other until the page is full.
    pub filters: Filters,
    /// Deleted ones too.
    pub include_deleted: bool,
    /// Whether the provider's documents are wanted.
    pub remote_data: bool,
}

impl Default for PageRequest {
    /// The first page of everything that is there.
    fn default() -> Self {
        Self {
            cursor: None,
            limit: DEFAULT_LIMIT,
            modified_after: None,
            created_after: None,
            filters: Filters::default(),
            include_deleted: false,
            remote_data: false,
        }
    }
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The records, oldest change first.
    pub data: Vec<T>,
    /// The page before, where there is one.
    pub previous: Option<Cursor>,
    /// The page after, where there is one.
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_the_journey_and_others_are_refused() {
        let cursor = Cursor {
            backward: true,
            modified_at: Timestamp::from_millis(1_700_000_000_123),
            id: RecordId::derive(1, 2, "3"),
        };
        assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
        for bad in ["", "x", "AAAA", "not base64!", &"A".repeat(200)] {
            assert!(Cursor::decode(bad).is_err(), "{bad}");
        }
    }
}
