//! A new version that crashes too often is noticed, while somebody can still be told apart from
//! nobody: within its first time, over its last calls.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::CallError;

/// When a version counts as broken.
#[derive(Clone, Copy, Debug)]
pub struct BreakerPolicy {
    /// Crashes that are needed at least; 0 lets no version count as broken.
    pub traps: u32,
    /// Percent of the last calls that have to have crashed.
    pub percent: u32,
    /// How many calls those are.
    pub calls: u32,
    /// How long after its start a version is watched.
    pub within: Duration,
    /// How long a version without a predecessor does not serve.
    pub pause: Duration,
}

/// The last calls of a version.
#[derive(Debug)]
pub(super) struct Breaker {
    began: Instant,
    /// Whether each crashed.
    last: Mutex<VecDeque<bool>>,
    /// How many measurements of ours are at work.
    resting: AtomicUsize,
}

/// Until it is dropped, calls do not count.
#[derive(Debug)]
pub(super) struct Rest<'breaker>(&'breaker AtomicUsize);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last: Mutex::default(),
            resting: AtomicUsize::new(0),
        }
    }

    /// Lets calls go uncounted: what is made up to see what a connector can do is nobody's data, and
    /// a crash over it is no reason to take a version from its customers.
    pub(super) fn rest(&self) -> Rest<'_> {
        self.resting.fetch_add(1, Ordering::Relaxed);
        Rest(&self.resting)
    }

    /// Counts a call. Why the version counts as broken, a sentence.
    pub(super) fn count(&self, error: Option<&CallError>, policy: BreakerPolicy) -> Option<String> {
        let rests = self.resting.load(Ordering::Relaxed) > 0;
        if policy.traps == 0 || rests || self.began.elapsed() > policy.within {
            return None;
        }
        let crashed = error.is_some_and(is_its_own_fault);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.push_back(crashed);
        if last.len() > policy.calls as usize {
            last.pop_front();
        }
        let crashes = last.iter().filter(|crashed| **crashed).count();
        let calls = last.len();
        let many = crashes >= policy.traps as usize;
        if !many || crashes * 100 <= calls * policy.percent as usize {
            return None;
        }
        // What is decided now is a matter of moments; calls until then start a new count.
        last.clear();
        drop(last);
        let error = error.map(ToString::to_string).unwrap_or_default();
        Some(format!(
            "{crashes} of its last {calls} calls crashed, the last one so: {error}"
        ))
    }
}

/// Not a slow or unwilling provider's, and not a full house's.
const fn is_its_own_fault(error: &CallError) -> bool {
    !matches!(
        error,
        CallError::Failure(_) | CallError::Busy(_) | CallError::Deadline(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        traps: 5,
        percent: 50,
        calls: 20,
        within: Duration::from_secs(3600),
        pause: Duration::from_secs(1),
    };

    #[test]
    fn crashes_count_and_a_providers_failures_do_not() {
        let breaker = Breaker::new();
        let slow = CallError::Deadline(Duration::from_secs(1));
        for _ in 0..100 {
            assert_eq!(breaker.count(Some(&slow), POLICY), None);
        }
        let crash = CallError::Trap("unreachable".to_owned());
        // Half of twenty is not more than half.
        for _ in 0..10 {
            assert_eq!(breaker.count(Some(&crash), POLICY), None);
        }
        let reason = breaker.count(Some(&crash), POLICY).unwrap();
        assert!(reason.contains("11 of its last 20"), "{reason}");
        assert_eq!(breaker.count(Some(&crash), POLICY), None, "once");
    }

    #[test]
    fn few_calls_are_enough_measurements_do_not_count_and_zero_turns_it_off() {
        let crash = CallError::Trap("unreachable".to_owned());
        let breaker = Breaker::new();
        for _ in 0..4 {
            assert_eq!(breaker.count(Some(&crash), POLICY), None);
        }
        assert!(breaker.count(Some(&crash), POLICY).is_some());
        let breaker = Breaker::new();
        let rest = breaker.rest();
        for _ in 0..50 {
            assert_eq!(breaker.count(Some(&crash), POLICY), None);
        }
        drop(rest);
        for calls in 1..=5 {
            let reason = breaker.count(Some(&crash), POLICY);
            assert_eq!(reason.is_some(), calls == 5, "{calls}");
        }
        let off = BreakerPolicy { traps: 0, ..POLICY };
        let breaker = Breaker::new();
        for _ in 0..50 {
            assert_eq!(breaker.count(Some(&crash), off), None);
        }
    }
}
