//! Queued changes on their way to the provider: read where that is needed, compare, write.

use std::sync::Arc;

use serde_json::Value;

use super::{Error, Unify, outbound::body_of};
use crate::{
    model::{
        ChangeState, FailedRecord, ObjectKind, Push, RemoteRecord, Scope, StoredDocument,
        UnifiedBy, Upsert, Usage, ValueSource, WriteMode, WriteSafety,
        conflict::{Fields, same},
    },
    runtime::{CallError, ConnectorVersion, Failure, PushAction, PushRequest},
    store::{ClaimedChange, PushTask},
};

/// How often one claim reads and merges again where the provider says that the record was changed.
const TRIES: u32 = 3;

impl Unify {
    /// Pushes a claimed change: how it stands afterwards, or none where nothing was left to push.
    ///
    /// A change of unknown outcome is compared with what the provider has before it is sent again.
    ///
    /// # Errors
    /// The provider, the connector or the database fails; the change is still claimed. Where its
    /// claim was lost, [`crate::store::Error::LeaseLost`].
    pub async fn push_change(&self, claimed: &ClaimedChange) -> Result<Option<ChangeState>, Error> {
        let (scope, kind) = (&claimed.scope, claimed.change.kind);
        let version = self.version(&scope.connection().connector)?;
        let support = Self::supported(&version, kind)?;
        let reads = support.write_safety == WriteSafety::ReadCompareWrite || claimed.unsure;
        if reads && !self.read_again(claimed, &version).await? {
            return Ok(None);
        }
        let mut refused = None;
        for _ in 0..TRIES {
            let Some(task) = self.0.store.begin_push(claimed).await? else {
                return Ok(None);
            };
            match self.send(claimed, &version, &task).await {
                Ok(state) => return Ok(Some(state)),
                Err(Error::Provider(failure @ (Failure::Conflict(_) | Failure::NotFound(_)))) => {
                    refused = Some(failure);
                }
                Err(error) => return Err(error),
            }
            if !self.read_again(claimed, &version).await? {
                return Ok(None);
            }
        }
        let never = || Failure::Conflict("the record changes faster than it can be read".into());
        Err(Error::Provider(refused.unwrap_or_else(never)))
    }

    /// Sends what is to be sent, and stores what the provider answers.
    async fn send(
        &self,
        claimed: &ClaimedChange,
        version: &ConnectorVersion,
        task: &PushTask,
    ) -> Result<ChangeState, Error> {
        let (scope, kind) = (&claimed.scope, claimed.change.kind);
        let (action, data) = match &task.push {
            Push::Nothing | Push::Delete => (PushAction::Delete, "{}".to_owned()),
            Push::Update(fields) => {
                let data = self
                    .document_of(claimed, version, fields, WriteMode::Update)
                    .await?;
                (PushAction::Update, data)
            }
            Push::Create(fields) => {
                let said = fields.iter().filter(|(_, value)| !same(Some(value), None));
                let fields: Fields = said
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                let data = self
                    .document_of(claimed, version, &fields, WriteMode::Create)
                    .await?;
                (PushAction::Create, data)
            }
        };
        let creates = action == PushAction::Create;
        let request = PushRequest {
            object: kind.name().to_owned(),
            remote_id: (!creates).then(|| task.remote_id.clone()),
            version: task.version.clone().filter(|_| !creates),
            action,
            data,
            idempotency_key: task.idempotency_key.clone(),
        };
        let deletes = action == PushAction::Delete;
        let context = self.context_of(scope, version, &claimed.usage, claimed.change.run)?;
        fault_point!("push.begun");
        let pushed = version.push_record(context, request).await;
        fault_point!("push.answered");
        let answer = match pushed {
            Ok(answer) => answer,
            // Gone already is what was asked for.
            Err(CallError::Failure(Failure::NotFound(_))) if deletes => String::new(),
            Err(error) => return Err(self.failed(scope, error).await),
        };
        let (upsert, unified_by) = if deletes {
            (gone(&task.remote_id), None)
        } else {
            let remote: RemoteRecord<'_> = serde_json::from_str(&answer).map_err(|error| {
                Error::Contract(format!("push-record of {kind} answered no record: {error}"))
            })?;
            let (upsert, by) = self.mapped(scope, version, kind, &[remote]).await?;
            (upsert, Some(by))
        };
        let finished = self
            .0
            .store
            .finish_push(claimed, &task.push, &upsert, unified_by.as_ref())
            .await?;
        fault_point!("push.committed");
        Ok(finished)
    }

    async fn document_of(
        &self,
        claimed: &ClaimedChange,
        version: &ConnectorVersion,
        fields: &Fields,
        mode: WriteMode,
    ) -> Result<String, Error> {
        let (scope, kind) = (&claimed.scope, claimed.change.kind);
        let record = claimed.change.record;
        let record = self.0.store.record(scope, kind, record, false).await?;
        let stored = record.as_ref().map(|record| record.unified.as_str());
        let body = body_of(&writable(kind, fields));
        self.provider_document(scope, version, kind, body, mode, stored)
            .await
    }

    /// Reads the record of a change anew and stores it, which compares it with the change; whether
    /// the change is still claimed afterwards.
    async fn read_again(
        &self,
        claimed: &ClaimedChange,
        version: &ConnectorVersion,
    ) -> Result<bool, Error> {
        let (scope, kind) = (&claimed.scope, claimed.change.kind);
        let store = &self.0.store;
        let remote_id = store.remote_id(scope, kind, claimed.change.record).await?;
        let remote_id = remote_id.ok_or(Error::RecordNotFound)?;
        let context = self.context_of(scope, version, &claimed.usage, claimed.change.run)?;
        match self
            .refresh(scope, version, kind, &remote_id, ValueSource::Read, context)
            .await
        {
            // Where it reads whole objects only, what the last sync read has to do.
            Ok(_) | Err(Error::Provider(Failure::Unsupported(_))) => {}
            Err(error) => return Err(error),
        }
        Ok(store.still_claimed(claimed).await?)
    }

    /// The first of some records, unified, and by what.
    async fn mapped(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        records: &[RemoteRecord<'_>],
    ) -> Result<(Upsert, Arc<UnifiedBy>), Error> {
        let first = records.get(..1).unwrap_or_default();
        let mut page = self.map_records(scope, version, kind, first).await?;
        if let Some(FailedRecord {
            remote_id, reason, ..
        }) = page.failures.pop()
        {
            return Err(Error::Contract(format!(
                "{kind} {remote_id:?} cannot be unified: {reason}"
            )));
        }
        let upsert = page.upserts.pop();
        let upsert =
            upsert.ok_or_else(|| Error::Contract(format!("{kind}: an answer without a record")))?;
        Ok((upsert, page.unified_by))
    }

    /// What a change would send now, as the connector would be given it; none where nothing is
    /// left to send or it cannot be translated any more.
    pub async fn change_document(
        &self,
        scope: &Scope,
        change: &crate::model::QueuedChange,
    ) -> Option<Value> {
        let version = self.version(&scope.connection().connector).ok()?;
        let claimed = ClaimedChange {
            scope: scope.clone(),
            change: change.clone(),
            unsure: false,
            fence: 0,
            usage: Usage::default(),
        };
        let (fields, mode) = match change.pending.to_push() {
            Push::Update(fields) => (fields, WriteMode::Update),
            Push::Create(fields) => (fields, WriteMode::Create),
            Push::Nothing | Push::Delete => return None,
        };
        let said = fields
            .into_iter()
            .filter(|(_, value)| mode == WriteMode::Update || !same(Some(value), None));
        let document = self
            .document_of(&claimed, &version, &said.collect(), mode)
            .await;
        serde_json::from_str(&document.ok()?).ok()
    }
}

fn gone(remote_id: &str) -> Upsert {
    Upsert {
        remote_id: remote_id.to_owned(),
        document: StoredDocument::Deleted,
        remote_version: None,
        remote_modified_at: None,
    }
}

/// Fields that stand for the first one of a list are left out where the list is there.
fn writable(kind: ObjectKind, fields: &Fields) -> Fields {
    let mut fields = fields.clone();
    for property in &kind.spec().properties {
        if property
            .first_of
            .as_ref()
            .is_some_and(|list| fields.contains_key(list))
        {
            fields.remove(&property.name);
        }
    }
    fields
}
