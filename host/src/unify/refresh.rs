//! One record, read anew: for a person who waits, and for a provider's webhook.

use super::{Error, Unify, live::parse};
use crate::{
    model::{ObjectKind, Origin, Scope, StoredDocument, Timestamp, Upsert, ValueSource},
    runtime::{CallContext, CallError, ConnectorVersion, Failure, FetchRequest},
    store::Source,
};

/// What became of it.
pub(super) enum Refreshed {
    /// The provider has it, and so has the store, as it is there now.
    Stored,
    /// The provider does not have it any more; it is marked as deleted.
    Gone,
}

impl Unify {
    /// As [`Self::read_one`], where a record that cannot be unified is an error.
    pub(super) async fn refresh(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        remote_id: &str,
        why: ValueSource,
        context: CallContext,
    ) -> Result<Refreshed, Error> {
        let read = self.read_one(scope, version, kind, remote_id, why, context);
        read.await?.map_err(|reason| {
            Error::Contract(format!("{kind} {remote_id:?} cannot be unified: {reason}"))
        })
    }

    /// Reads the record that the provider knows by `remote_id`, and stores it with its event, as a
    /// sync does. `why` is noted beside it. One that cannot be unified is kept among those that
    /// fail: the inner error is the reason.
    pub(super) async fn read_one(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        remote_id: &str,
        why: ValueSource,
        context: CallContext,
    ) -> Result<Result<Refreshed, String>, Error> {
        let request = FetchRequest {
            object: kind.name().to_owned(),
            cursor: None,
            since: None,
            remote_id: Some(remote_id.to_owned()),
            limit: 1,
        };
        let as_of = self.0.store.reading(scope).await?;
        let page = match version.fetch_records(context, request).await {
            Ok(page) => page,
            Err(CallError::Failure(Failure::NotFound(_))) => {
                let gone = self.gone(scope, kind, remote_id, as_of, why).await;
                return gone.map(Ok);
            }
            Err(error) => return Err(self.failed(scope, error).await),
        };
        let mut records = parse(kind, &page)?;
        let others = records.len();
        records.retain(|record| record.remote_id == remote_id);
        match records.first() {
            Some(record) if !record.deleted => {}
            None if others > 0 => {
                return Err(Error::Contract(format!(
                    "fetch-records of {kind} was asked for {remote_id:?} and answered others"
                )));
            }
            _ => {
                let gone = self.gone(scope, kind, remote_id, as_of, why).await;
                return gone.map(Ok);
            }
        }
        let mapped = self.map_records(scope, version, kind, &records).await?;
        let mapped = mapped.keep(&self.0.store.sync_config(scope, kind).await?);
        if let Some(failure) = mapped.failures.first() {
            let store = &self.0.store;
            store.keep_failures(scope, kind, &mapped.failures).await?;
            return Ok(Err(failure.reason.clone()));
        }
        let origin = Origin::unified(why, &mapped.unified_by);
        self.keep(scope, kind, &mapped.upserts, Source::Read(as_of), &origin)
            .await?;
        Ok(Ok(Refreshed::Stored))
    }

    async fn gone(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        remote_id: &str,
        as_of: Timestamp,
        why: ValueSource,
    ) -> Result<Refreshed, Error> {
        let gone = Upsert {
            remote_id: remote_id.to_owned(),
            document: StoredDocument::Deleted,
            remote_version: None,
            remote_modified_at: None,
        };
        self.keep(scope, kind, &[gone], Source::Read(as_of), &Origin::of(why))
            .await?;
        Ok(Refreshed::Gone)
    }
}
