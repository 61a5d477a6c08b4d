//! One page of a sync: read it through the sandbox, unify it, commit it with its cursor.

use std::time::Duration;

use super::{Error, Unify, custom};
use crate::{
    model::{ObjectKind, RemoteRecord, Scope, Timestamp},
    runtime::FetchRequest,
    store::{Checkpoint, ClaimedSync, PageOutcome, Source, SyncState},
    telemetry::METRICS,
};

/// Taken off `since` on every incremental run: clocks differ, and a record that was being written
/// while the last run began may carry an earlier time. Reading a record twice changes nothing.
const OVERLAP: Duration = Duration::from_secs(60);

/// How far a sync came.
#[derive(Clone, Debug)]
pub struct SyncProgress {
    /// Records on this page.
    pub records: usize,
    /// Of those, how many could not be unified.
    pub failed: usize,
    /// Whether it was the last page; otherwise the claim to go on with.
    pub done: bool,
    /// When the run began; what the next one asks for changes since.
    pub run_started_at: Timestamp,
}

impl Unify {
    /// Reads the next page of a claimed sync and commits it: records, events and cursor in one
    /// transaction. Moves `claimed` on to the page after it.
    ///
    /// # Errors
    /// The provider or the connector fails, or the claim is lost: nothing of this page is kept.
    pub async fn sync_page(&self, claimed: &mut ClaimedSync) -> Result<SyncProgress, Error> {
        let scope = claimed.scope.clone();
        let kind = claimed.kind;
        let version = self.version(&scope.connection().connector)?;
        let support = Self::supported(&version, kind)?;
        let run_started_at = match claimed.state.run_started_at {
            Some(started) => started,
            None => {
                self.begin_run(&scope, kind, &version).await?;
                self.0.clock.now()
            }
        };
        let state = &claimed.state;
        let full = match state.run_started_at {
            Some(_) => state.run_full,
            None => !support.incremental || is_full(state),
        };
        let since = state.since.filter(|_| !full);
        let overlap = OVERLAP + Duration::from_secs(u64::from(support.look_back));
        let request = FetchRequest {
            object: kind.name().to_owned(),
            cursor: claimed.state.cursor.clone(),
            since: since.map(|since| since.minus(overlap).to_string()),
            remote_id: None,
            limit: self.0.page_size,
        };
        let context = self.context(&scope, &version)?;
        let as_of = self.0.store.reading(&scope).await?;
        let page = match version.fetch_records(context, request).await {
            Ok(page) => page,
            Err(error) => return Err(self.failed(&scope, error).await),
        };
        if page.next_cursor.is_some() && page.next_cursor == claimed.state.cursor {
            return Err(Error::Contract(format!(
                "{kind}: the page after this cursor is the same page again"
            )));
        }
        let records: Vec<RemoteRecord<'_>> =
            serde_json::from_str(&page.records).map_err(|error| {
                Error::Contract(format!(
                    "fetch-records of {kind} answered no array of records: {error}"
                ))
            })?;
        let mapped = self.map_records(&scope, &version, kind, &records).await?;
        let mapped = mapped.keep(&claimed.state.config);
        if let Some((remote_id, reason)) = mapped.failures.first() {
            tracing::warn!(
                connection = %scope.connection().id, object = %kind, remote_id, reason,
                failed = mapped.failures.len(),
                "records cannot be unified"
            );
        }
        let checkpoint = Checkpoint {
            claimed,
            cursor: page.next_cursor.as_deref(),
            run_started_at,
            full,
            as_of,
        };
        let outcome = self
            .0
            .store
            .apply_page(&scope, kind, &mapped.upserts, Source::Sync(&checkpoint))
            .await?;
        count(&scope, kind, &outcome);
        self.recheck(&scope, kind, &mapped.unified_by).await?;
        let progress = SyncProgress {
            records: records.len(),
            failed: mapped.failures.len(),
            done: page.next_cursor.is_none(),
            run_started_at,
        };
        claimed.state.run_started_at = Some(run_started_at);
        claimed.state.run_full = full;
        claimed.state.attempt = claimed.state.attempt.min(1);
        claimed.state.cursor = page.next_cursor;
        Ok(progress)
    }

    /// The first page of a run: the connector may have learnt new objects since the last one.
    async fn begin_run(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        version: &crate::runtime::ConnectorVersion,
    ) -> Result<(), Error> {
        let objects: Vec<ObjectKind> = readable(version).collect();
        self.0.store.ensure_syncs(scope, &objects).await?;
        let mappings = self.0.store.effective_mappings(scope, kind).await?;
        let mark = custom::mark(version, &mappings);
        self.0.store.mark_unified(scope, kind, &mark, true).await?;
        Ok(())
    }

    /// Makes syncs of a connection due now: all of its objects, or those of one vertical.
    ///
    /// # Errors
    /// The connector does not serve, or the database fails.
    pub async fn request_sync(&self, scope: &Scope, vertical: Option<&str>) -> Result<u32, Error> {
        let version = self.version(&scope.connection().connector)?;
        let objects: Vec<ObjectKind> = readable(&version)
            .filter(|kind| vertical.is_none_or(|vertical| kind.spec().vertical == vertical))
            .collect();
        self.0.store.ensure_syncs(scope, &objects).await?;
        let due = self.0.store.request_sync(scope, Some(&objects)).await?;
        self.0.work.notify_one();
        Ok(due)
    }
}

/// Whether a run that begins reads everything of an object that could tell what changed.
fn is_full(state: &SyncState) -> bool {
    let turn = state.runs_since_full.saturating_add(1);
    let is_due = state.config.full_every.is_some_and(|every| turn >= every);
    state.since.is_none() || state.full_next || is_due
}

fn count(scope: &Scope, kind: ObjectKind, outcome: &PageOutcome) {
    let connector = scope.connection().connector.as_str();
    METRICS.sync_pages.add([connector, kind.name()], 1);
    for (change, records) in [
        ("created", outcome.created),
        ("updated", outcome.updated),
        ("deleted", outcome.deleted),
        ("unchanged", outcome.unchanged),
    ] {
        METRICS
            .sync_records
            .add([connector, kind.name(), change], u64::from(records));
    }
}

/// The objects that a connector reads, in the manifest's order.
pub(super) fn readable(
    version: &crate::runtime::ConnectorVersion,
) -> impl Iterator<Item = ObjectKind> {
    version
        .manifest()
        .objects
        .iter()
        .filter(|object| object.read)
        .map(|object| object.kind)
}
