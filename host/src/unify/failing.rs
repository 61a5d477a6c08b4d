//! Records that could not be unified, tried again alone.

use serde_json::value::RawValue;

use super::{Error, Unify, refresh::Refreshed};
use crate::{
    egress::Priority,
    model::{Origin, RecordId, RemoteRecord, Scope, SyncFailure, ValueSource},
    runtime::{CallContext, ConnectorVersion, Failure},
    store::Source,
};

/// What came of trying a failing record again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureRetry {
    /// It is unified now.
    Stored(RecordId),
    /// The provider has it no more.
    Deleted,
    /// It still fails: why.
    Failed(String),
}

impl Unify {
    /// Reads a failing record from the provider anew, or unifies the document that is kept: where
    /// that is `stored`, and where the connector reads no single records.
    ///
    /// # Errors
    /// The provider, the connector or the database fails.
    pub async fn retry_failure(
        &self,
        scope: &Scope,
        failure: &SyncFailure,
        stored: bool,
    ) -> Result<FailureRetry, Error> {
        let (kind, remote_id) = (failure.kind, failure.record.remote_id.as_str());
        let version = self.version(&scope.connection().connector)?;
        Self::supported(&version, kind)?;
        if stored {
            return self.unify_kept(scope, &version, failure).await;
        }
        let context = CallContext {
            priority: Priority::Interactive,
            ..self.context(scope, &version)?
        };
        let why = ValueSource::Read;
        match self
            .read_one(scope, &version, kind, remote_id, why, context)
            .await
        {
            Ok(Ok(Refreshed::Stored)) => {
                let record = self.0.store.record_id(scope, kind, remote_id);
                Ok(FailureRetry::Stored(record))
            }
            Ok(Ok(Refreshed::Gone)) => Ok(FailureRetry::Deleted),
            Ok(Err(reason)) => Ok(FailureRetry::Failed(reason)),
            Err(Error::Provider(Failure::Unsupported(_))) => {
                self.unify_kept(scope, &version, failure).await
            }
            Err(error) => Err(error),
        }
    }

    async fn unify_kept(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        failure: &SyncFailure,
    ) -> Result<FailureRetry, Error> {
        let (store, kind, kept) = (&self.0.store, failure.kind, &failure.record);
        let data: &RawValue = serde_json::from_str(&kept.remote)
            .map_err(|error| Error::Contract(format!("a kept {kind} is no JSON: {error}")))?;
        let record = RemoteRecord {
            remote_id: kept.remote_id.clone(),
            modified_at: kept.remote_modified_at.map(|time| time.to_string()),
            version: kept.remote_version.clone(),
            deleted: false,
            data: Some(data),
        };
        let mapped = self.map_records(scope, version, kind, &[record]).await?;
        let mut mapped = mapped.keep(&store.sync_config(scope, kind).await?);
        if let Some(failing) = mapped.failures.pop() {
            let reason = failing.reason.clone();
            store.keep_failures(scope, kind, &[failing]).await?;
            return Ok(FailureRetry::Failed(reason));
        }
        // It was read when it failed last; what was written since knows better.
        let source = Source::Read(failure.last_seen_at);
        let origin = Origin::unified(ValueSource::Read, &mapped.unified_by);
        self.keep(scope, kind, &mapped.upserts, source, &origin)
            .await?;
        let record = store.record_id(scope, kind, &kept.remote_id);
        Ok(FailureRetry::Stored(record))
    }
}
