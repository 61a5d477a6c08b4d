//! Taking back what was pushed: the inverse is queued where the provider still has our value.

use super::{Error, Unify};
use crate::{
    egress::Priority,
    model::{
        ChangeId, ChangeState, ProjectId, PushOperation, QueuedChange, RunId, Scope, ValueSource,
        conflict::{DELETED, Fields, fields_of, same},
    },
    store::{ChangeFilter, LocalWrite, Queued, WrittenBy},
};

/// The most changes of one run that are taken back at once.
const MOST: u32 = 10_000;

/// What became of taking a change back.
#[derive(Clone, Debug)]
pub struct Undone {
    /// The change that was to be taken back.
    pub of: ChangeId,
    /// The change that takes it back, where there is something to take back.
    pub by: Option<ChangeId>,
    /// The fields that get their old value again.
    pub fields: Vec<String>,
    /// The fields that do not, each with the reason.
    pub kept: Vec<(String, String)>,
}

impl Unify {
    /// Takes back a change that is done. The record is read at the provider first.
    ///
    /// # Errors
    /// The provider, the connector or the database fails.
    pub async fn undo_change(&self, scope: &Scope, change: &QueuedChange) -> Result<Undone, Error> {
        let store = &self.0.store;
        let (kind, id) = (change.kind, change.record);
        let mut undone = Undone {
            of: change.id,
            by: None,
            fields: Vec::new(),
            kept: Vec::new(),
        };
        if change.state != ChangeState::Done {
            let reason = format!("the change is {}, not done", change.state.as_str());
            let fields = change.pushed.keys().cloned();
            undone.kept = fields.map(|field| (field, reason.clone())).collect();
            return Ok(undone);
        }
        let version = self.version(&scope.connection().connector)?;
        if let Some(remote_id) = store.remote_id(scope, kind, id).await? {
            let mut context = self.context(scope, &version)?;
            context.priority = Priority::Interactive;
            self.refresh(
                scope,
                &version,
                kind,
                &remote_id,
                ValueSource::Read,
                context,
            )
            .await?;
        }
        let record = store.record(scope, kind, id, false).await?;
        let by = WrittenBy {
            actor: Some("undo"),
            undo_of: Some(change.id),
        };
        let created = change.action == PushOperation::Create;
        let write = match (&record, change.pushed.get(DELETED)) {
            (Some(record), None) if created => {
                let now = fields_of(&record.unified, &record.custom);
                let mut pushed = change.pushed.iter();
                if pushed.any(|(name, pushed)| !same(now.get(name), Some(&pushed.to))) {
                    let reason = "the record was changed since it was created anew".to_owned();
                    undone.kept.push((DELETED.to_owned(), reason));
                    return Ok(undone);
                }
                undone.fields.push(DELETED.to_owned());
                LocalWrite::Delete
            }
            (None, Some(deleted)) => {
                let fields = deleted.from.as_object().cloned().unwrap_or_default();
                undone.fields.push(DELETED.to_owned());
                LocalWrite::Restore(fields)
            }
            (Some(_), Some(_)) => {
                let reason = "the record is there again".to_owned();
                undone.kept.push((DELETED.to_owned(), reason));
                return Ok(undone);
            }
            (None, None) => {
                let reason = "the record is deleted".to_owned();
                let fields = change.pushed.keys().cloned();
                undone.kept = fields.map(|field| (field, reason.clone())).collect();
                return Ok(undone);
            }
            (Some(record), None) => {
                let now = fields_of(&record.unified, &record.custom);
                let mut fields = Fields::new();
                for (name, pushed) in &change.pushed {
                    if same(now.get(name), Some(&pushed.to)) {
                        undone.fields.push(name.clone());
                        fields.insert(name.clone(), pushed.from.clone());
                    } else {
                        let reason = "it was changed since".to_owned();
                        undone.kept.push((name.clone(), reason));
                    }
                }
                LocalWrite::Set(fields)
            }
        };
        if undone.fields.is_empty() {
            return Ok(undone);
        }
        let queued = store.queue_change(scope, kind, id, &write, by).await?;
        if let Queued::Change(change) = queued {
            undone.by = Some(change.id);
        }
        if undone.by.is_some() {
            store.mark_undone(scope.project(), change.id).await?;
        }
        Ok(undone)
    }

    /// Takes back every change that an outbound run pushed; none where the project has no such
    /// run, or it pushed nothing.
    ///
    /// # Errors
    /// As [`Self::undo_change`]: what was taken back before stays so.
    pub async fn undo_run(&self, project: ProjectId, run: RunId) -> Result<Vec<Undone>, Error> {
        let filter = ChangeFilter {
            run: Some(run),
            limit: MOST,
            ..ChangeFilter::default()
        };
        let mut undone = Vec::new();
        for (scope, change) in self.0.store.changes(project, &filter).await? {
            undone.push(self.undo_change(&scope, &change).await?);
        }
        Ok(undone)
    }
}
