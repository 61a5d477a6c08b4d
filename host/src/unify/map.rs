//! From a connector's page to rows: parse, unify in the sandbox, validate, refer, complete.

use std::sync::Arc;

use serde_json::{Map, Value, value::RawValue};

use super::{Error, Unify, custom};
use crate::{
    model::{
        EffectiveMappings, FailedRecord, ObjectKind, RemoteRecord, Scope, StoredDocument,
        SyncConfig, Timestamp, UnifiedBy, Upsert, Violation, money,
    },
    runtime::ConnectorVersion,
};

/// The most bytes of a provider's id.
const MAX_REMOTE_ID: usize = 512;

/// What became of a page.
pub(super) struct MappedPage {
    pub(super) upserts: Vec<Upsert>,
    /// Records that could not be unified.
    pub(super) failures: Vec<FailedRecord>,
    /// What unified them.
    pub(super) unified_by: Arc<UnifiedBy>,
}

impl MappedPage {
    /// Takes out what a sync's filters do not let in: it is as if it were not there, and a record
    /// that was there is gone.
    pub(super) fn keep(mut self, config: &SyncConfig) -> Self {
        if config.filters.is_empty() {
            return self;
        }
        for upsert in &mut self.upserts {
            upsert.document = match std::mem::replace(&mut upsert.document, StoredDocument::Deleted)
            {
                StoredDocument::Present {
                    unified,
                    remote,
                    custom,
                } if !serde_json::from_str(&unified).is_ok_and(|object| config.takes(&object)) => {
                    StoredDocument::Outside {
                        unified,
                        remote,
                        custom,
                    }
                }
                document => document,
            };
        }
        self
    }
}

/// What the connector made of one document.
pub(super) struct Unified {
    pub(super) unified: String,
    pub(super) custom: String,
}

impl Unify {
    /// Maps the records of a page. A record that fails does not stop the others.
    pub(super) async fn map_records(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        records: &[RemoteRecord<'_>],
    ) -> Result<MappedPage, Error> {
        let mut documents = Vec::with_capacity(records.len());
        for record in records {
            if record.remote_id.is_empty() || record.remote_id.len() > MAX_REMOTE_ID {
                return Err(Error::Contract(format!(
                    "a {kind} has a remote_id of {} bytes; 1 to {MAX_REMOTE_ID} are taken",
                    record.remote_id.len()
                )));
            }
            if !record.deleted {
                let data = record.data.ok_or_else(|| {
                    Error::Contract(format!("{kind} {:?} has no data", record.remote_id))
                })?;
                documents.push(data);
            }
        }
        let mappings = self.0.store.effective_mappings(scope, kind).await?;
        let mut unified = self
            .unify_documents(scope, version, kind, &mappings, &documents)
            .await?
            .into_iter();
        let mut page = MappedPage {
            upserts: Vec::with_capacity(records.len()),
            failures: Vec::new(),
            unified_by: custom::unified_by(version, &mappings),
        };
        for record in records {
            let document = match record.data.filter(|_| !record.deleted) {
                None => StoredDocument::Deleted,
                Some(data) => match unified.next() {
                    Some(Ok(unified)) => StoredDocument::Present {
                        unified: unified.unified,
                        remote: data.get().to_owned(),
                        custom: unified.custom,
                    },
                    Some(Err(reason)) => {
                        page.failures.push(FailedRecord {
                            remote_id: record.remote_id.clone(),
                            reason,
                            remote: data.get().to_owned(),
                            remote_version: record.version.clone(),
                            remote_modified_at: modified_at(record),
                        });
                        continue;
                    }
                    None => return Err(count(kind, records.len(), page.upserts.len())),
                },
            };
            page.upserts.push(Upsert {
                remote_id: record.remote_id.clone(),
                document,
                remote_version: record.version.clone(),
                remote_modified_at: modified_at(record),
            });
        }
        Ok(page)
    }

    /// Unifies documents: one entry per document, in order, each an object or a reason.
    pub(super) async fn unify_documents(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        mappings: &EffectiveMappings,
        documents: &[&RawValue],
    ) -> Result<Vec<Result<Unified, String>>, Error> {
        let entries = self
            .unify_as_answered(scope, version, kind, mappings, documents)
            .await?;
        entries
            .into_iter()
            .zip(documents)
            .map(|(entry, document)| {
                // Parsed only where a mapping reads it.
                let document: Value = if mappings.reads_document() {
                    serde_json::from_str(document.get()).map_err(|error| {
                        Error::Contract(format!("a document of {kind} is no JSON: {error}"))
                    })?
                } else {
                    Value::Null
                };
                Ok(self.accept(scope, kind, mappings, entry, &document))
            })
            .collect()
    }

    /// What the connector makes of documents, one entry for each, unchecked.
    pub(super) async fn unify_as_answered(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        kind: ObjectKind,
        mappings: &EffectiveMappings,
        documents: &[&RawValue],
    ) -> Result<Vec<Value>, Error> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let mut array =
            String::with_capacity(documents.iter().map(|one| one.get().len() + 1).sum());
        for document in documents {
            array.push(if array.is_empty() { '[' } else { ',' });
            array.push_str(document.get());
        }
        array.push(']');
        let answer = match version.unify(kind, array, &mappings.for_connector()).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.failed(scope, error).await),
        };
        let entries: Vec<Value> = serde_json::from_str(&answer).map_err(|error| {
            Error::Contract(format!("unify of {kind} answered no JSON array: {error}"))
        })?;
        if entries.len() != documents.len() {
            return Err(count(kind, documents.len(), entries.len()));
        }
        Ok(entries)
    }

    /// Checks one unified object and brings it into the form that is stored.
    fn accept(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        mappings: &EffectiveMappings,
        entry: Value,
        document: &Value,
    ) -> Result<Unified, String> {
        let Value::Object(mut object) = entry else {
            return Err("the connector answered something that is not an object".to_owned());
        };
        if let Some(error) = object.get("error") {
            let message = error.get("message").and_then(Value::as_str);
            let field = error.get("field").and_then(Value::as_str);
            let message = message.unwrap_or("the connector gave no reason");
            return Err(match field {
                Some(field) => format!("{field}: {message}"),
                None => message.to_owned(),
            });
        }
        let answered = match object.remove("field_mappings") {
            Some(Value::Object(answered)) => answered,
            _ => Map::new(),
        };
        let custom = custom::values(mappings, &answered, document);
        money::to_wire(kind, &mut object).map_err(|violations| sentence(&violations))?;
        let object = Value::Object(object);
        kind.validate_output(&object)
            .map_err(|violations| sentence(&violations))?;
        let Value::Object(mut object) = object else {
            return Err("the object is gone".to_owned());
        };
        self.refer_in(scope, kind, &mut object);
        let text = |map| serde_json::to_string(&map).map_err(|error| error.to_string());
        Ok(Unified {
            unified: text(kind.complete(object))?,
            custom: text(custom)?,
        })
    }
}

fn modified_at(record: &RemoteRecord<'_>) -> Option<Timestamp> {
    record.modified_at.as_deref().and_then(Timestamp::parse)
}

fn sentence(violations: &[Violation]) -> String {
    let texts: Vec<String> = violations.iter().take(3).map(ToString::to_string).collect();
    texts.join("; ")
}

fn count(kind: ObjectKind, expected: usize, found: usize) -> Error {
    Error::Contract(format!(
        "unify of {kind} answered {found} entries for {expected} documents"
    ))
}
