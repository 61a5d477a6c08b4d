//! What a connector does: the five operations.

use std::fmt::Display;

use serde::de::DeserializeOwned;

use crate::document::{Document, Fields, Json};
use crate::page::{Page, RemoteRecord};
use crate::{Account, Connection, Failure, FetchRequest, PushRequest};

/// A connector. Implement what the manifest promises; the rest answers [`Failure::Unsupported`].
///
/// `authenticate`, `fetch_records` and `push_record` may use [`http`](crate::http), [`log`](crate::log),
/// [`secrets`](crate::secrets) and [`time::now`](crate::time::now). `unify` and `desunify` are pure: in them the
/// host denies all of these.
pub trait Connector {
    /// Checks the credentials with a cheap request and tells which accounts they reach, at least one.
    fn authenticate(connection: &Connection) -> Result<Vec<Account>, Failure>;

    /// Reads one page of records, or the one record that `request.remote_id` names.
    fn fetch_records(connection: &Connection, request: &FetchRequest) -> Result<Page, Failure> {
        let _ = connection;
        Err(Failure::Unsupported(format!(
            "this connector does not read {}",
            request.object
        )))
    }

    /// Writes one record and answers it as it is at the provider now, for a delete [`RemoteRecord::deleted`].
    fn push_record(
        connection: &Connection,
        request: &PushRequest,
    ) -> Result<RemoteRecord, Failure> {
        let _ = connection;
        Err(Failure::Unsupported(format!(
            "this connector does not write {}",
            request.object
        )))
    }

    /// Translates one document of the provider (`data` of a record) into the unified object.
    ///
    /// [`Failure::Invalid`] marks this document alone; any other failure ends the whole call.
    fn unify(object: &str, document: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        let _ = (document, fields);
        Err(Failure::Unsupported(format!(
            "this connector does not read {object}"
        )))
    }

    /// Translates one unified object into the document that `push_record` gets as `data`.
    ///
    /// An absent field must stay absent, so that an update changes no more than what was asked.
    fn desunify(object: &str, unified: Document<'_>, fields: Fields<'_>) -> Result<Json, Failure> {
        let _ = (unified, fields);
        Err(Failure::Unsupported(format!(
            "this connector does not write {object}"
        )))
    }
}

impl Account {
    /// An account with the provider's id, stable over reconnects.
    pub fn new(remote_id: impl Display) -> Self {
        Self {
            remote_id: remote_id.to_string(),
            display_name: None,
            settings: Vec::new(),
        }
    }

    /// What a person would call it.
    #[must_use]
    pub fn named(mut self, display_name: impl Into<String>) -> Self {
        self.display_name = Some(display_name.into());
        self
    }

    /// A value to remember with the connection; later in `connection.setting(key)`.
    #[must_use]
    pub fn remember(mut self, key: &str, value: impl Display) -> Self {
        self.settings.push(crate::Setting {
            key: key.to_owned(),
            value: value.to_string(),
        });
        self
    }
}

impl Connection {
    /// The value of a setting, where the connection has one that is not empty.
    pub fn setting(&self, key: &str) -> Option<&str> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        Some(setting.value.as_str()).filter(|value| !value.is_empty())
    }
}

impl PushRequest {
    /// The provider's id of the record to update or delete.
    ///
    /// # Errors
    /// `invalid` where there is none, as for a create.
    pub fn id(&self) -> Result<&str, Failure> {
        self.remote_id
            .as_deref()
            .ok_or_else(|| Failure::invalid("the write names no record"))
    }

    /// The input document as a type, for connectors that must look into it.
    ///
    /// # Errors
    /// `invalid` where it does not fit.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.data).map_err(Failure::invalid)
    }
}
