//! Live reads: through the connector to the provider, stored on the way, then answered.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Error, Interactive, Unify, refresh::Refreshed};
use crate::{
    model::{
        FailedRecord, ObjectKind, Origin, Record, RecordId, RemoteRecord, Scope, StoredDocument,
        ValueSource,
    },
    runtime::{ConnectorVersion, FetchRequest, RecordPage},
    store::Source,
};

/// What a live cursor begins with: no cursor of a list of stored records has a full stop.
const PREFIX: &str = "live.";

/// One page as the provider gave it.
#[derive(Clone, Debug)]
pub struct LivePage {
    /// Its records in the provider's order, as they are stored now. What the provider says is
    /// deleted, and what cannot be unified, is left out.
    pub data: Vec<Record>,
    /// How to get the page after it.
    pub next: Option<String>,
}

impl Unify {
    /// Whether a text is a cursor that [`Self::list_live`] gave out, as far as its look goes.
    #[must_use]
    pub fn is_live_cursor(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads one page of at most about `limit` records from the provider and stores it.
    ///
    /// # Errors
    /// [`Error::LiveCursor`] where `cursor` is not one of this connection and object; the
    /// provider, the connector or the database fails.
    pub async fn list_live(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        cursor: Option<&str>,
        limit: u32,
        how: &Interactive,
    ) -> Result<LivePage, Error> {
        let version = self.reader(scope, kind)?;
        let cursor = cursor.map(|text| self.open_cursor(scope, kind, text));
        let request = FetchRequest {
            object: kind.name().to_owned(),
            cursor: cursor.transpose()?,
            since: None,
            remote_id: None,
            limit,
        };
        let context = self.context_for(scope, &version, how)?;
        let as_of = self.0.store.reading(scope).await?;
        let page = match version.fetch_records(context, request).await {
            Ok(page) => page,
            Err(error) => return Err(self.failed(scope, error).await),
        };
        let records = parse(kind, &page)?;
        let mapped = self.map_records(scope, &version, kind, &records).await?;
        let mapped = mapped.keep(&self.0.store.sync_config(scope, kind).await?);
        if let Some(FailedRecord {
            remote_id, reason, ..
        }) = mapped.failures.first()
        {
            tracing::warn!(
                connection = %scope.connection().id, object = %kind, remote_id, reason,
                failed = mapped.failures.len(),
                "records of a live page cannot be unified"
            );
        }
        let store = &self.0.store;
        store.keep_failures(scope, kind, &mapped.failures).await?;
        let origin = Origin::unified(ValueSource::Read, &mapped.unified_by);
        self.keep(scope, kind, &mapped.upserts, Source::Read(as_of), &origin)
            .await?;
        let ids: Vec<RecordId> = mapped
            .upserts
            .iter()
            .filter(|upsert| !matches!(upsert.document, StoredDocument::Deleted))
            .map(|upsert| store.record_id(scope, kind, &upsert.remote_id))
            .collect();
        let mut stored = store.records(scope, kind, &ids, how.remote_data).await?;
        Ok(LivePage {
            data: ids.iter().filter_map(|id| stored.remove(id)).collect(),
            next: page
                .next_cursor
                .map(|cursor| self.seal_cursor(scope, kind, &cursor)),
        })
    }

    /// Reads one record from the provider and stores it. Where the provider does not have it any
    /// more, it is marked as deleted.
    pub(super) async fn read_through(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        how: &Interactive,
    ) -> Result<Record, Error> {
        let version = self.reader(scope, kind)?;
        let remote_id = self.0.store.remote_id(scope, kind, id).await?;
        let remote_id = remote_id.ok_or(Error::RecordNotFound)?;
        let context = self.context_for(scope, &version, how)?;
        match self
            .refresh(
                scope,
                &version,
                kind,
                &remote_id,
                ValueSource::Read,
                context,
            )
            .await?
        {
            Refreshed::Stored => self.stored(scope, kind, id, how.remote_data).await,
            Refreshed::Gone => Err(Error::RecordNotFound),
        }
    }

    /// The connector's version that reads `kind`. A live read needs one, unlike a stored one.
    fn reader(
        &self,
        scope: &Scope,
        kind: ObjectKind,
    ) -> Result<std::sync::Arc<ConnectorVersion>, Error> {
        let version = self.version(&scope.connection().connector)?;
        if Self::supported(&version, kind)?.read {
            return Ok(version);
        }
        Err(Error::OperationUnsupported {
            connector: version.manifest().slug.clone(),
            kind,
            operation: "read",
        })
    }

    /// Sealed, so that nobody can make up a place for the connector to go on from, nor take one to
    /// another connection or object.
    fn seal_cursor(&self, scope: &Scope, kind: ObjectKind, cursor: &str) -> String {
        let connection = scope.connection().id.to_string();
        let context = ["live-cursor", &connection, kind.name()];
        let sealed = self.0.vault.seal(&context, cursor.as_bytes());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open_cursor(&self, scope: &Scope, kind: ObjectKind, text: &str) -> Result<String, Error> {
        let connection = scope.connection().id.to_string();
        let context = ["live-cursor", &connection, kind.name()];
        let sealed = text
            .strip_prefix(PREFIX)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .ok_or(Error::LiveCursor)?;
        let cursor = self.0.vault.open(&context, &sealed);
        let cursor = cursor.map_err(|_| Error::LiveCursor)?;
        String::from_utf8(cursor.to_vec()).map_err(|_| Error::LiveCursor)
    }
}

pub(super) fn parse(kind: ObjectKind, page: &RecordPage) -> Result<Vec<RemoteRecord<'_>>, Error> {
    serde_json::from_str(&page.records).map_err(|error| {
        Error::Contract(format!(
            "fetch-records of {kind} answered no array of records: {error}"
        ))
    })
}
