//! Records: what a provider sent, and what we keep of it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{RecordId, Timestamp};

/// One element of a page that a connector read; `data` stays unparsed text.
#[derive(Debug, Deserialize)]
pub struct RemoteRecord<'page> {
    /// The provider's id.
    pub remote_id: String,
    /// When the provider changed it last, RFC 3339.
    #[serde(default)]
    pub modified_at: Option<String>,
    /// The provider's token for safe writes.
    #[serde(default)]
    pub version: Option<String>,
    /// True for a tombstone.
    #[serde(default)]
    pub deleted: bool,
    /// The provider's document; none in a tombstone.
    #[serde(borrow, default)]
    pub data: Option<&'page RawValue>,
}

/// A record to be written: the row that should stand in the database.
#[derive(Clone, Debug)]
pub struct Upsert {
    /// The provider's id.
    pub remote_id: String,
    /// What becomes of the record.
    pub document: StoredDocument,
    /// The provider's token for safe writes.
    pub remote_version: Option<String>,
    /// When the provider changed it.
    pub remote_modified_at: Option<Timestamp>,
}

/// The documents of a record, or that it is gone.
#[derive(Clone, Debug)]
pub enum StoredDocument {
    /// Present, with its documents.
    Present {
        /// The unified object as JSON text: every key of the schema, null where nothing is known.
        unified: String,
        /// The provider's document as JSON text.
        remote: String,
        /// Values of custom fields, a JSON object.
        custom: String,
    },
    /// There at the provider, but not let in by the sync's filters: as if it were deleted, unless
    /// a change of ours is on its way to it.
    Outside {
        /// As for [`Self::Present`].
        unified: String,
        /// As for [`Self::Present`].
        remote: String,
        /// As for [`Self::Present`].
        custom: String,
    },
    /// Deleted at the provider. Documents that we have are kept.
    Deleted,
}

/// What an upsert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was none (or it was deleted).
    Created,
    /// Its unified or custom values differ.
    Updated,
    /// It is deleted now and was not.
    Deleted,
    /// Nothing that an application can see is different.
    Unchanged,
}

impl Change {
    /// The last word of the event's type; none where there is nothing to announce.
    #[must_use]
    pub const fn event_suffix(self) -> Option<&'static str> {
        match self {
            Self::Created => Some("created"),
            Self::Updated => Some("updated"),
            Self::Deleted => Some("deleted"),
            Self::Unchanged => None,
        }
    }
}

/// A record as stored. JSON stays text: lists splice it into answers without parsing it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// The provider's id.
    pub remote_id: String,
    /// The unified object, a JSON object.
    pub unified: String,
    /// The provider's document, where it was asked for.
    pub remote: Option<String>,
    /// Values of custom fields, a JSON object.
    pub custom: String,
    /// The provider's token for safe writes.
    pub remote_version: Option<String>,
    /// When we saw it first.
    pub created_at: Timestamp,
    /// When we saw it change.
    pub modified_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// The wire form of a record: its unified object with the common fields before it.
///
/// `remote_data` is there only where `record.remote` is; `deleted_at` only on deleted records.
/// `dates` off writes null for both times (the wire contract's rule 12).
#[must_use]
pub fn splice(record: &Record, dates: bool) -> String {
    let mut out = String::with_capacity(spliced_size(record));
    splice_into(&mut out, record, dates);
    out
}

/// About how long [`splice`] of the record is, in bytes.
#[must_use]
pub fn spliced_size(record: &Record) -> usize {
    let remote = record.remote.as_ref().map_or(0, String::len);
    record.unified.len() + record.custom.len() + remote + record.remote_id.len() + 256
}

/// [`splice`] to the end of a longer text.
pub fn splice_into(out: &mut String, record: &Record, dates: bool) {
    use std::fmt::Write as _;
    let remote_id = serde_json::to_string(&record.remote_id).unwrap_or_default();
    let write = |out: &mut String| -> std::fmt::Result {
        write!(out, r#"{{"id":"{}","remote_id":{remote_id},"#, record.id)?;
        if dates {
            write!(
                out,
                r#""created_at":"{}","modified_at":"{}","#,
                record.created_at, record.modified_at
            )?;
        } else {
            out.push_str(r#""created_at":null,"modified_at":null,"#);
        }
        if let Some(deleted_at) = record.deleted_at {
            write!(out, r#""deleted_at":"{deleted_at}","#)?;
        }
        write!(out, r#""field_mappings":{}"#, record.custom)?;
        if let Some(remote) = &record.remote {
            write!(out, r#","remote_data":{remote}"#)?;
        }
        Ok(())
    };
    write(out).expect("writing to a string cannot fail");
    match record.unified.strip_prefix('{') {
        Some("}") | None => out.push('}'),
        Some(fields) => {
            out.push(',');
            out.push_str(fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spliced_record_is_the_json_object_it_should_be() {
        let mut record = Record {
            id: RecordId::derive(1, 1, "7"),
            remote_id: "a\"b".into(),
            unified: r#"{"name":"Ada"}"#.into(),
            remote: Some(r#"{"n":"Ada"}"#.into()),
            custom: "{}".into(),
            remote_version: None,
            created_at: Timestamp::from_millis(0),
            modified_at: Timestamp::from_millis(1),
            deleted_at: None,
        };
        let value: serde_json::Value = serde_json::from_str(&splice(&record, true)).unwrap();
        assert_eq!(value["remote_id"], "a\"b");
        assert_eq!(value["name"], "Ada");
        assert_eq!(value["remote_data"]["n"], "Ada");
        assert_eq!(value["modified_at"], "1970-01-01T00:00:00.001Z");
        record.unified = "{}".into();
        record.remote = None;
        let value: serde_json::Value = serde_json::from_str(&splice(&record, false)).unwrap();
        assert!(value["created_at"].is_null());
        assert!(value.get("remote_data").is_none());
    }
}
