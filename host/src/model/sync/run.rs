//! One execution of a sync: a row of the sync log.

use std::collections::BTreeMap;

use super::{ErrorClass, RunBy, RunError, Trigger, words};
use crate::model::{ConnectionId, ObjectKind, RunId, Slug, Timestamp};

words! {
    /// Which way a run carries records.
    RunDirection {
        /// From the provider to us.
        Inbound = "inbound",
        /// From us to the provider.
        Outbound = "outbound",
    }
}

words! {
    /// How a run stands.
    RunStatus {
        /// It is at work, or goes on as soon as a worker is free.
        Running = "running",
        /// It failed for now, and goes on by itself later.
        Retrying = "retrying",
        /// It did all there was to do.
        Completed = "completed",
        /// It failed, for good or too often.
        Failed = "failed",
        /// It stopped before doing something that a person is to decide.
        Stopped = "stopped",
        /// Somebody ended it, its connection was deleted, or its sync was paused in the middle.
        Cancelled = "cancelled",
        /// Its process was stopped or killed in the middle of every attempt.
        Interrupted = "interrupted",
    }
}

words! {
    /// Where an estimate comes from.
    EstimateSource {
        /// The provider says how many there are.
        Provider = "provider",
        /// So many did the last run read that read everything.
        LastFullRun = "last_full_run",
    }
}

/// How many of what. Of an inbound run `created`, `updated` and `deleted` are records here, of an
/// outbound one they are records at the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Records that the provider gave us.
    pub read: u64,
    /// Records created.
    pub created: u64,
    /// Records updated.
    pub updated: u64,
    /// Records that were as they were.
    pub unchanged: u64,
    /// Records deleted.
    pub deleted: u64,
    /// Records that could not be unified, or changes that the provider does not take.
    pub failed: u64,
    /// Conflicts that began to wait for a person.
    pub conflicts: u64,
    /// Changes that the provider took.
    pub pushed: u64,
    /// Requests sent to the provider.
    pub requests: u64,
    /// Bytes of bodies sent to and received from the provider.
    pub bytes: u64,
}

/// How many records a run is going to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// How many.
    pub records: u64,
    /// Who says so.
    pub source: EstimateSource,
}

/// One execution of a sync. It stays the same one over failures that are tried again, crashes and
/// turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id; the text of a later run sorts after it.
    pub id: RunId,
    /// Of which connection.
    pub connection: ConnectionId,
    /// The connection's connector.
    pub connector: Slug,
    /// Of which object.
    pub kind: ObjectKind,
    /// Which way.
    pub direction: RunDirection,
    /// Why it was begun.
    pub trigger: Trigger,
    /// How it stands.
    pub status: RunStatus,
    /// Whether it reads everything; none before the first page, and for outbound runs.
    pub full: Option<bool>,
    /// Whether it went on in the middle of a pass that an earlier run gave up.
    pub resumed: bool,
    /// The connector's version that worked last; none before anything came of it.
    pub by: Option<RunBy>,
    /// Attempts, the one at work included.
    pub attempts: u32,
    /// Pages read.
    pub pages: u64,
    /// What it did so far.
    pub counts: RunCounts,
    /// How much there is to read, where that is known.
    pub estimate: Option<Estimate>,
    /// What went wrong last.
    pub error: Option<RunError>,
    /// How often what went wrong.
    pub errors: BTreeMap<ErrorClass, u32>,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// When something was counted last.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// In a word.
    pub status: RunStatus,
    /// Why, where it did not do what it was to do.
    pub error: Option<RunError>,
}
