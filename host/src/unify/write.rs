//! Writes: to the provider first, then what the provider answered into the database.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Error, Interactive, Unify, outbound::edited};
use crate::{
    model::{
        FailedRecord, FieldMapping, ObjectKind, Origin, PushOperation, Record, RecordId,
        RemoteRecord, Scope, StoredDocument, Upsert, ValueSource, Violation, WriteMode, Written,
        conflict::Fields, money,
    },
    runtime::{ConnectorVersion, PushAction, PushRequest},
    store::Source,
};

impl Unify {
    /// Creates a record at the provider, whichever way the object's changes go: a record's id
    /// follows from the provider's id, so there is none before the provider has given one.
    ///
    /// # Errors
    /// The object is not valid, refers to nothing, or the provider or the connector fails.
    pub async fn create(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        body: Value,
        how: &Interactive,
    ) -> Result<Record, Error> {
        let version = self.writer(scope, kind, PushOperation::Create)?;
        let sent = names(edited(kind, &body));
        let data = self
            .provider_document(scope, &version, kind, body, WriteMode::Create, None)
            .await?;
        let request = self.push(kind, PushAction::Create, None, data, how);
        self.write_through(scope, &version, kind, request, sent, how)
            .await
    }

    /// Changes the fields that were sent: at the provider, or, where the object's changes go out,
    /// here at once and at the provider afterwards.
    ///
    /// # Errors
    /// As [`Self::create`], or there is no such record.
    pub async fn update(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        body: Value,
        how: &Interactive,
    ) -> Result<Record, Error> {
        let version = self.writer(scope, kind, PushOperation::Update)?;
        let record = self.stored(scope, kind, id, false).await?;
        if self.queues(scope, kind).await? {
            return self.queue_update(scope, kind, &record, body, how).await;
        }
        let sent = names(edited(kind, &body));
        let data = self
            .provider_document(
                scope,
                &version,
                kind,
                body,
                WriteMode::Update,
                Some(&record.unified),
            )
            .await?;
        let request = self.push(kind, PushAction::Update, Some(record), data, how);
        self.write_through(scope, &version, kind, request, sent, how)
            .await
    }

    /// Deletes a record at the provider, or here at once and there afterwards.
    ///
    /// # Errors
    /// There is no such record, or the provider or the connector fails.
    pub async fn delete(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        how: &Interactive,
    ) -> Result<(), Error> {
        let version = self.writer(scope, kind, PushOperation::Delete)?;
        let record = self.stored(scope, kind, id, false).await?;
        if self.queues(scope, kind).await? {
            return self.queue_delete(scope, kind, id, how).await;
        }
        let remote_id = record.remote_id.clone();
        let request = self.push(kind, PushAction::Delete, Some(record), "{}".to_owned(), how);
        let context = self.context_for(scope, &version, how)?;
        how.reached.mark();
        let answer = version.push_record(context, request).await;
        match answer {
            Ok(_) => {}
            // Gone already is what was asked for.
            Err(crate::runtime::CallError::Failure(crate::runtime::Failure::NotFound(_))) => {}
            Err(error) => return Err(self.failed(scope, error).await),
        }
        let gone = Upsert {
            remote_id,
            document: StoredDocument::Deleted,
            remote_version: None,
            remote_modified_at: None,
        };
        let origin = Origin {
            actor: how.actor.clone(),
            ..Origin::of(ValueSource::Write)
        };
        self.keep(scope, kind, &[gone], Source::Write, &origin)
            .await?;
        Ok(())
    }

    pub(super) fn writer(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        operation: PushOperation,
    ) -> Result<std::sync::Arc<ConnectorVersion>, Error> {
        let version = self.version(&scope.connection().connector)?;
        if Self::supported(&version, kind)?.push.contains(&operation) {
            return Ok(version);
        }
        Err(Error::OperationUnsupported {
            connector: version.manifest().slug.clone(),
            kind,
            operation: operation.as_str(),
        })
    }

    /// Validates what the application sent and has the connector translate it.
    pub(super) async fn provider_document(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        body: Value,
        mode: WriteMode,
        stored: Option<&str>,
    ) -> Result<String, Error> {
        let (unified, custom) = self.valid_input(scope, kind, body, mode, stored).await?;
        match version.desunify(kind, unified, &custom).await {
            Ok(data) => Ok(data),
            Err(error) => Err(self.failed(scope, error).await),
        }
    }

    /// What an application sent, validated and as connectors get it, with the custom fields in it.
    pub(super) async fn valid_input(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        body: Value,
        mode: WriteMode,
        stored: Option<&str>,
    ) -> Result<(String, Vec<FieldMapping>), Error> {
        let Value::Object(mut object) = body else {
            return Err(invalid("", "must be a JSON object"));
        };
        let custom = object.remove("field_mappings");
        let object = Value::Object(object);
        kind.validate_input(&object, mode).map_err(Error::Invalid)?;
        let mut object: Map<String, Value> = match object {
            Value::Object(object) => kind.spread(object),
            _ => Map::new(),
        };
        money::from_wire(kind, &mut object, stored).map_err(Error::Invalid)?;
        self.refer_out(scope, kind, &mut object).await?;
        let custom = self.custom_out(scope, kind, custom).await?;
        if !custom.fields.is_empty() {
            object.insert("field_mappings".to_owned(), Value::Object(custom.values));
        }
        Ok((Value::Object(object).to_string(), custom.fields))
    }

    fn push(
        &self,
        kind: ObjectKind,
        action: PushAction,
        record: Option<Record>,
        data: String,
        how: &Interactive,
    ) -> PushRequest {
        let (remote_id, version) = match record {
            Some(record) => (Some(record.remote_id), record.remote_version),
            None => (None, None),
        };
        PushRequest {
            object: kind.name().to_owned(),
            action,
            remote_id,
            version,
            data,
            idempotency_key: how
                .idempotency_key
                .clone()
                .unwrap_or_else(|| crate::model::EventId::generate(&*self.0.entropy).to_string()),
        }
    }

    async fn write_through(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        request: PushRequest,
        sent: BTreeSet<String>,
        how: &Interactive,
    ) -> Result<Record, Error> {
        let context = self.context_for(scope, version, how)?;
        how.reached.mark();
        let answer = match version.push_record(context, request).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.failed(scope, error).await),
        };
        fault_point!("write.answered");
        let remote: RemoteRecord<'_> = serde_json::from_str(&answer).map_err(|error| {
            Error::Contract(format!("push-record of {kind} answered no record: {error}"))
        })?;
        let remote_id = remote.remote_id.clone();
        let mut page = self.map_records(scope, version, kind, &[remote]).await?;
        if let Some(FailedRecord {
            remote_id, reason, ..
        }) = page.failures.pop()
        {
            return Err(Error::Contract(format!(
                "{kind} {remote_id:?} was written at the provider, but its answer cannot be unified: {reason}"
            )));
        }
        let origin = Origin {
            written: Some(Written {
                fields: sent,
                actor: how.actor.clone(),
            }),
            ..Origin::unified(ValueSource::Answer, &page.unified_by)
        };
        self.keep(scope, kind, &page.upserts, Source::Write, &origin)
            .await?;
        let id = self.0.store.record_id(scope, kind, &remote_id);
        self.stored(scope, kind, id, how.remote_data).await
    }
}

fn names(fields: Fields) -> BTreeSet<String> {
    fields.into_iter().map(|(name, _)| name).collect()
}

fn invalid(path: &str, message: &str) -> Error {
    Error::Invalid(vec![Violation {
        path: path.to_owned(),
        message: message.to_owned(),
    }])
}
