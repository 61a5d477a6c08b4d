//! One page of a sync: read it through the sandbox, unify it, commit it with its cursor.

use std::time::Duration;

use super::{Error, Unify, custom, pass::finds_missing};
use crate::{
    model::{
        FailedRecord, NextQuery, ObjectKind, ObjectSupport, Origin, Query, Question, RemoteRecord,
        Run, Scope, Timestamp, ValueSource, rounded,
    },
    runtime::FetchRequest,
    store::{Checkpoint, ClaimedSync, PageOutcome, Source, SyncState, Way},
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
    /// Whether the run is over; otherwise the claim to go on with.
    pub done: bool,
    /// What the run asks, where it is over.
    pub question: Option<Question>,
    /// When the run began; what the next one asks for changes since.
    pub run_started_at: Timestamp,
}

impl Unify {
    /// Reads the next page of a claimed sync and commits it: records, events and cursor in one
    /// transaction. Moves `claimed` on to the page after it. After the last page, a part of what
    /// the provider no longer has is deleted.
    ///
    /// # Errors
    /// The provider or the connector fails, or the claim is lost: nothing of this page is kept.
    pub async fn sync_page(&self, claimed: &mut ClaimedSync) -> Result<SyncProgress, Error> {
        let scope = claimed.scope.clone();
        let kind = claimed.kind;
        let version = self.version(&scope.connection().connector)?;
        let support = Self::supported(&version, kind)?;
        if let (Some(run_started_at), true) =
            (claimed.state.run_started_at, is_read(&claimed.state))
        {
            let swept = self.sweep(claimed, support, run_started_at).await?;
            return Ok(SyncProgress {
                records: 0,
                failed: 0,
                done: !swept.more,
                question: swept.question,
                run_started_at,
            });
        }
        let (run_started_at, full) = match claimed.state.run_started_at {
            Some(started) => (started, claimed.state.run_full),
            None => {
                self.begin_run(&scope, kind, &version).await?;
                let now = self.0.clock.now();
                let full = is_full(&claimed.state, support, now);
                let finds = finds_missing(claimed, support, full);
                self.0.store.begin_pass(claimed, now, finds).await?;
                // Those of a run that was given up.
                (claimed.state.lap, claimed.state.query) = (None, None);
                (now, full)
            }
        };
        let state = &claimed.state;
        let since = since(state, support).filter(|_| !full);
        let mut query = match (support.result_cap, since) {
            (Some(_), Some(since)) => {
                let query = state.query.clone();
                Some(query.unwrap_or_else(|| Query::since(since)))
            }
            _ => None,
        };
        let since = query.as_ref().map(Query::from).or(since);
        let request = FetchRequest {
            object: kind.name().to_owned(),
            cursor: claimed.state.cursor.clone(),
            since: since.map(|since| since.to_string()),
            remote_id: None,
            limit: self.0.page_size,
        };
        let context = self.context_of(&scope, &version, &claimed.usage, Some(claimed.run))?;
        let as_of = self.0.store.reading(&scope).await?;
        let page = match version.fetch_records(context, request).await {
            Ok(page) => page,
            Err(error) => return Err(self.failed(&scope, error).await),
        };
        fault_point!("page.answered");
        if page.next_cursor.is_some() && page.next_cursor == claimed.state.cursor {
            return Err(Error::Contract(format!(
                "{kind}: the page after this cursor is the same page again"
            )));
        }
        if page.next_cursor.is_some() && page.next_cursor == claimed.state.lap {
            return Err(Error::Contract(format!(
                "{kind}: the pages go in a circle, and one that was read comes again"
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
        if let Some(FailedRecord {
            remote_id, reason, ..
        }) = mapped.failures.first()
        {
            tracing::warn!(
                connection = %scope.connection().id, object = %kind, remote_id, reason,
                failed = mapped.failures.len(),
                "records cannot be unified"
            );
        }
        if let (Some(cap), Some(query)) = (support.result_cap, &mut query) {
            let changes = records.iter().map(|record| record.modified_at.as_deref());
            query.page(changes.map(|text| text.and_then(Timestamp::parse)));
            if page.next_cursor.is_none()
                && let NextQuery::Rest(rest) = query.next(cap, support.since_granularity)
            {
                *query = rest;
            }
        }
        let way = Way {
            // So a circle is found before it was gone through three times.
            keep_cursor: (claimed.state.pages + 1).is_power_of_two(),
            query: query.as_ref(),
        };
        let checkpoint = Checkpoint {
            claimed,
            way,
            cursor: page.next_cursor.as_deref(),
            run_started_at,
            full,
            as_of,
            failures: &mapped.failures,
            total: page.total,
        };
        let origin = Origin {
            run: Some(claimed.run),
            ..Origin::unified(ValueSource::Sync, &mapped.unified_by)
        };
        let outcome = self
            .keep(
                &scope,
                kind,
                &mapped.upserts,
                Source::Sync(&checkpoint),
                &origin,
            )
            .await?;
        fault_point!("page.committed");
        count(&scope, kind, &outcome);
        let progress = SyncProgress {
            records: records.len(),
            failed: mapped.failures.len(),
            done: false,
            question: None,
            run_started_at,
        };
        claimed.state.run_started_at = Some(run_started_at);
        claimed.state.run_full = full;
        claimed.state.attempt = claimed.state.attempt.min(1);
        if way.keep_cursor {
            claimed.state.lap.clone_from(&page.next_cursor);
        }
        claimed.state.cursor = page.next_cursor;
        claimed.state.query = query;
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
        let mark = &custom::unified_by(version, &mappings).mark;
        self.0.store.mark_unified(scope, kind, mark).await?;
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

impl Unify {
    /// Ends a run that reads from the provider, as [`crate::store::Store::cancel_run`] tells.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cancel_run(
        &self,
        scope: &Scope,
        run: &Run,
        interval: Duration,
    ) -> Result<bool, Error> {
        let ended = self.0.store.cancel_run(scope, run, interval).await?;
        if ended {
            let connector = scope.connection().connector.as_str();
            METRICS.sync_runs.add([connector, "cancelled"], 1);
            self.0.work.notify_one();
        }
        Ok(ended)
    }
}

/// Whether the run at work has read its last page.
fn is_read(state: &SyncState) -> bool {
    state.cursor.is_none() && !state.query.as_ref().is_some_and(Query::is_new)
}

/// From when on an incremental run asks for changes; none where it was never told of all.
fn since(state: &SyncState, support: &ObjectSupport) -> Option<Timestamp> {
    let overlap = OVERLAP + Duration::from_secs(u64::from(support.look_back));
    let since = state.since?.minus(overlap);
    Some(rounded(since, support.since_granularity))
}

/// Whether a run that begins now reads everything of an object.
fn is_full(state: &SyncState, support: &ObjectSupport, now: Timestamp) -> bool {
    let turn = state.runs_since_full.saturating_add(1);
    let is_due = state.config.full_every.is_some_and(|every| turn >= every);
    let remembered = support.history_days.map(|days| {
        let days = Duration::from_secs(u64::from(days) * 24 * 3600);
        now.minus(days)
    });
    let is_forgotten = || since(state, support) < remembered;
    !support.incremental || state.since.is_none() || state.full_next || is_due || is_forgotten()
}

pub(super) fn count(scope: &Scope, kind: ObjectKind, outcome: &PageOutcome) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FullPass, SyncConfig, Trigger, WriteSafety};

    const DAY: i64 = 24 * 3600 * 1000;

    fn support() -> ObjectSupport {
        ObjectSupport {
            kind: ObjectKind::parse("crm.contact").unwrap(),
            read: true,
            push: Vec::new(),
            fields: Vec::new(),
            incremental: true,
            look_back: 0,
            full_pass: FullPass::Complete,
            since_granularity: None,
            history_days: None,
            result_cap: None,
            write_safety: WriteSafety::default(),
        }
    }

    /// A sync that has read everything, last at this time.
    fn complete(since: i64) -> SyncState {
        SyncState {
            kind: ObjectKind::parse("crm.contact").unwrap(),
            cursor: None,
            since: Some(Timestamp::from_millis(since)),
            full_done: true,
            run_started_at: None,
            next_run_at: Timestamp::from_millis(since),
            attempt: 1,
            records_read: 0,
            pages: 0,
            last_status: None,
            last_error: None,
            last_finished_at: None,
            paused: false,
            run_full: false,
            full_next: false,
            runs_since_full: 0,
            trigger: Trigger::Schedule,
            given_up_at: None,
            lap: None,
            query: None,
            question: None,
            config: SyncConfig::default(),
            run: None,
        }
    }

    #[test]
    fn everything_is_read_where_the_provider_has_forgotten() {
        let mut support = support();
        let at = |days: i64| Timestamp::from_millis(days * DAY);
        let state = complete(100 * DAY);
        assert!(!is_full(&state, &support, at(200)));
        support.history_days = Some(30);
        assert!(!is_full(&state, &support, at(129)));
        // What is taken off counts too.
        assert!(is_full(&state, &support, at(130)));
        support.incremental = false;
        assert!(is_full(&state, &support, at(101)));
    }

    #[test]
    fn a_time_is_moved_back_and_rounded_down() {
        let mut support = support();
        let state = complete(1_000_000);
        let asked = |support: &ObjectSupport| since(&state, support).unwrap().as_millis();
        assert_eq!(asked(&support), 940_000);
        support.look_back = 30;
        assert_eq!(asked(&support), 910_000);
        support.since_granularity = Some(60);
        assert_eq!(asked(&support), 900_000);
    }

    #[test]
    fn a_question_that_goes_on_is_not_the_end() {
        let mut state = complete(0);
        assert!(is_read(&state));
        state.query = Some(Query::since(Timestamp::from_millis(0)));
        assert!(!is_read(&state));
        state.cursor = Some("next".into());
        state.query = None;
        assert!(!is_read(&state));
    }
}
