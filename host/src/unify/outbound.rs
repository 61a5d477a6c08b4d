//! Writes that are stored at once and pushed afterwards, and what a write would do.

use serde_json::{Map, Value};

use super::{Error, Interactive, Unify};
use crate::{
    model::{
        Direction, ObjectKind, PushOperation, QueuedChange, Record, RecordId, Scope, WriteMode,
        conflict::{DELETED, Fields, custom_name, fields_of, same},
    },
    store::{LocalWrite, Queued, WrittenBy},
};

/// What a write would send.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// What it would do.
    pub action: PushOperation,
    /// The provider's id of the record; none for a new one.
    pub remote_id: Option<String>,
    /// The document that the connector would be given to send; none for a deletion.
    pub document: Option<Value>,
    /// The fields that would change.
    pub changes: Vec<PreviewedField>,
}

/// A field that would change.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewedField {
    /// Its name; custom fields as `field_mappings.<slug>`.
    pub field: String,
    /// What it has.
    pub from: Value,
    /// What it would have.
    pub to: Value,
}

impl Unify {
    /// What a create (`id` none), an update, or a deletion (`body` none) would send, with the
    /// checks of the real one. Nothing is sent or stored.
    ///
    /// # Errors
    /// As the real one, as far as the provider is not asked.
    pub async fn preview_write(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: Option<RecordId>,
        body: Option<Value>,
    ) -> Result<Preview, Error> {
        let (action, mode) = match (id, &body) {
            (None, _) => (PushOperation::Create, WriteMode::Create),
            (Some(_), Some(_)) => (PushOperation::Update, WriteMode::Update),
            (Some(_), None) => (PushOperation::Delete, WriteMode::Update),
        };
        let version = self.writer(scope, kind, action)?;
        let record = match id {
            Some(id) => Some(self.stored(scope, kind, id, false).await?),
            None => None,
        };
        let known = record
            .as_ref()
            .map(|record| fields_of(&record.unified, &record.custom))
            .unwrap_or_default();
        let remote_id = record.as_ref().map(|record| record.remote_id.clone());
        let Some(body) = body else {
            let set = known
                .into_iter()
                .filter(|(_, value)| !same(Some(value), None));
            let changes = set.map(|(field, from)| PreviewedField {
                field,
                from,
                to: Value::Null,
            });
            return Ok(Preview {
                action,
                remote_id,
                document: None,
                changes: changes.collect(),
            });
        };
        let fields = edited(kind, &body);
        let stored = record.as_ref().map(|record| record.unified.as_str());
        let document = self
            .provider_document(scope, &version, kind, body, mode, stored)
            .await?;
        let changes = fields.into_iter().map(|(field, to)| PreviewedField {
            from: known.get(&field).cloned().unwrap_or_default(),
            field,
            to,
        });
        Ok(Preview {
            action,
            remote_id,
            document: serde_json::from_str(&document).ok(),
            changes: changes
                .filter(|one| !same(Some(&one.from), Some(&one.to)))
                .collect(),
        })
    }

    /// Whether our applications' changes of an object are stored at once and pushed afterwards,
    /// rather than written through.
    pub(super) async fn queues(&self, scope: &Scope, kind: ObjectKind) -> Result<bool, Error> {
        let config = self.0.store.sync_config(scope, kind).await?;
        Ok(config.direction != Direction::Inbound)
    }

    /// Changes fields here and queues them. They are checked, and translated once, before.
    pub(super) async fn queue_update(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        record: &Record,
        body: Value,
        how: &Interactive,
    ) -> Result<Record, Error> {
        let version = self.writer(scope, kind, PushOperation::Update)?;
        let fields = edited(kind, &body);
        let stored = Some(record.unified.as_str());
        self.provider_document(scope, &version, kind, body, WriteMode::Update, stored)
            .await?;
        let write = LocalWrite::Set(fields);
        self.queue(scope, kind, record.id, &write, how).await?;
        self.stored(scope, kind, record.id, how.remote_data).await
    }

    /// Sets again what a change could not push, as a new change; none where the record is so by
    /// now.
    ///
    /// # Errors
    /// [`Error::RecordNotFound`] where the record is not there any more; the database fails.
    pub async fn repeat_change(
        &self,
        scope: &Scope,
        change: &QueuedChange,
        actor: &str,
    ) -> Result<Option<QueuedChange>, Error> {
        let write = if change.lost.contains_key(DELETED) {
            LocalWrite::Delete
        } else {
            let lost = change.lost.iter();
            LocalWrite::Set(
                lost.map(|(name, edit)| (name.clone(), edit.value.clone()))
                    .collect(),
            )
        };
        let by = WrittenBy {
            actor: Some(actor),
            undo_of: None,
        };
        let store = &self.0.store;
        let queued = store
            .queue_change(scope, change.kind, change.record, &write, by)
            .await?;
        match queued {
            Queued::NoRecord => Err(Error::RecordNotFound),
            Queued::Nothing => Ok(None),
            Queued::Change(change) => Ok(Some(*change)),
        }
    }

    /// Deletes a record here and queues that.
    pub(super) async fn queue_delete(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        how: &Interactive,
    ) -> Result<(), Error> {
        self.queue(scope, kind, id, &LocalWrite::Delete, how).await
    }

    async fn queue(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        write: &LocalWrite,
        how: &Interactive,
    ) -> Result<(), Error> {
        let by = WrittenBy {
            actor: how.actor.as_deref(),
            undo_of: None,
        };
        let queued = self
            .0
            .store
            .queue_change(scope, kind, id, write, by)
            .await?;
        match queued {
            Queued::NoRecord => return Err(Error::RecordNotFound),
            Queued::Nothing => {}
            Queued::Change(change) => how.change.set(change.id),
        }
        Ok(())
    }
}

/// The fields that a body sets, by the names under which they are compared.
pub(super) fn edited(kind: ObjectKind, body: &Value) -> Fields {
    let Value::Object(mut object) = body.clone() else {
        return Fields::new();
    };
    let custom = object.remove("field_mappings");
    let mut fields = kind.spread(object);
    // A field that stands for the first one of a list goes with that list.
    for property in &kind.spec().properties {
        if let Some(list) = property.first_of.as_ref().and_then(|list| fields.get(list)) {
            let first = list.get(0).cloned().unwrap_or_default();
            fields.insert(property.name.clone(), first);
        }
    }
    if let Some(Value::Object(custom)) = custom {
        let named = custom.into_iter();
        fields.extend(named.map(|(slug, value)| (custom_name(&slug), value)));
    }
    fields
}

/// The body of a write that sets these fields.
pub(super) fn body_of(fields: &Fields) -> Value {
    let (unified, custom) = crate::model::conflict::split(fields);
    let mut body: Map<String, Value> = unified;
    if !custom.is_empty() {
        body.insert("field_mappings".to_owned(), Value::Object(custom));
    }
    Value::Object(body)
}
