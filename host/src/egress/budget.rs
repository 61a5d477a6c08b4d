//! What a provider allows in a time, as requests meet it on their way out.
//!
//! The budget is kept above, where the database is, and shared by all hosts. It is handed in with
//! a call.

use std::time::Duration;

use super::BoxFuture;
use crate::model::{RateBucket, Said, WindowRule};

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// Somebody: he may use the reserve, and is told at once where there is nothing left.
    Interactive,
    /// Nobody: work that can go on later.
    #[default]
    Background,
}

/// What one request takes a token from.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// The manifest's name of the bucket.
    pub name: &'a str,
    /// The bucket. None where the manifest has none for the request: then only a provider's own
    /// word can hold it back, and only work for which nobody waits.
    pub bucket: Option<&'a RateBucket>,
    /// Per cent of it that background work leaves alone.
    pub reserve_percent: u8,
}

impl Charge<'_> {
    /// Of a request that no bucket covers.
    pub const UNCOUNTED: Charge<'static> = Charge {
        name: "",
        bucket: None,
        reserve_percent: 0,
    };

    /// The numbers of its bucket.
    #[must_use]
    pub fn rule(&self) -> Option<WindowRule> {
        let bucket = self.bucket?;
        Some(WindowRule {
            requests: u64::from(bucket.requests),
            length: bucket.window(),
            reserve_percent: self.reserve_percent,
        })
    }
}

/// There is nothing left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Of which bucket.
    pub bucket: String,
    /// How long until there may be.
    pub wait: Duration,
}

/// A connection's share in what its provider allows.
pub trait Budget: Send + Sync {
    /// Takes one token from each, or none at all.
    fn take<'a>(
        &'a self,
        charges: &'a [Charge<'a>],
        priority: Priority,
    ) -> BoxFuture<'a, Result<(), Exhausted>>;

    /// The provider said how a bucket stands.
    fn correct<'a>(&'a self, charge: &'a Charge<'a>, said: Said) -> BoxFuture<'a, ()>;

    /// The provider wants to hear nothing for a time: from nobody.
    fn block<'a>(&'a self, charges: &'a [Charge<'a>], wait: Duration) -> BoxFuture<'a, ()>;
}

/// Nothing is counted and nothing held back: for calls before there is a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Budget for Unlimited {
    fn take<'a>(
        &'a self,
        _: &'a [Charge<'a>],
        _: Priority,
    ) -> BoxFuture<'a, Result<(), Exhausted>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn correct<'a>(&'a self, _: &'a Charge<'a>, _: Said) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn block<'a>(&'a self, _: &'a [Charge<'a>], _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}
