//! What the calls of one execution used.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::ErrorClass;

/// The version of a connector that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunBy {
    /// As its manifest has it.
    pub version: String,
    /// The digest of its file, in hexadecimal.
    pub digest: String,
}

/// Requests and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Requests sent.
    pub requests: u64,
    /// Bytes of bodies, both ways.
    pub bytes: u64,
}

/// Counts what calls use until somebody writes it down. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    requests: AtomicU64,
    bytes: AtomicU64,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    by: Option<RunBy>,
    trouble: Option<ErrorClass>,
}

impl Usage {
    /// A request was sent, and bodies of so many bytes went either way. `trouble` is why no answer
    /// came.
    pub fn exchanged(&self, bytes: u64, trouble: Option<ErrorClass>) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.noted(|noted| noted.trouble = trouble);
    }

    /// This version makes the calls.
    pub fn by(&self, by: RunBy) {
        self.noted(|noted| noted.by = Some(by));
    }

    /// The version that made the last call.
    #[must_use]
    pub fn made_by(&self) -> Option<RunBy> {
        self.noted(|noted| noted.by.clone())
    }

    /// Why the last request had no answer.
    #[must_use]
    pub fn trouble(&self) -> Option<ErrorClass> {
        self.noted(|noted| noted.trouble)
    }

    /// What was used and not written down yet.
    #[must_use]
    pub fn used(&self) -> Used {
        Used {
            requests: self.0.requests.load(Ordering::Relaxed),
            bytes: self.0.bytes.load(Ordering::Relaxed),
        }
    }

    /// So much was written down.
    pub fn settle(&self, used: Used) {
        self.0.requests.fetch_sub(used.requests, Ordering::Relaxed);
        self.0.bytes.fetch_sub(used.bytes, Ordering::Relaxed);
    }

    fn noted<T>(&self, note: impl FnOnce(&mut Noted) -> T) -> T {
        note(&mut self.0.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_not_counted_again() {
        let usage = Usage::default();
        let same = usage.clone();
        same.exchanged(10, Some(ErrorClass::Timeout));
        let used = usage.used();
        assert_eq!((used.requests, used.bytes), (1, 10));
        assert_eq!(usage.trouble(), Some(ErrorClass::Timeout));
        same.exchanged(5, None);
        usage.settle(used);
        let left = usage.used();
        assert_eq!((left.requests, left.bytes), (1, 5));
        assert_eq!(usage.trouble(), None);
    }
}
